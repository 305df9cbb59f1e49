"""Files of weights, and what comes of networks whose weights fit and are wrong; analog symbols."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from codec.analog import ReceivedSymbols
from codec.base import CodecError, ReceivedLayer
from codec.classifier import WEIGHTS, Classifier
from codec.deepjscc_codec import DeepJsccCodec
from codec.layered import open_layered
from codec.profile import WEIGHTS_FOLDER, load_profile
from codec.weights_file import load_network
from testbed.fuzz.damage import damaged
from testbed.fuzz.pictures import some_pictures
from testbed.fuzz.target import Cases, Random, one_by_one, probably, whole

_DTYPES = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.float16,
           torch.float32, torch.float64, torch.bool)  # fmt: skip


def prepare_weights(folder: Path) -> Cases:
    """Cases for the weights of the layered codec; those that load must code without harm."""
    files = {name: (WEIGHTS_FOLDER / f"{name}.safetensors").read_bytes() for name in _NAMES}
    tensors = {name: load(raw) for name, raw in files.items()}
    # A name of its own for each file: loaded profiles are remembered by path.
    path = folder / "fuzzed.safetensors"
    pictures = some_pictures(((8, 8), (1, 3)))

    def case(random: Random) -> None:
        name = _NAMES[whole(random, 0, 1)]
        if probably(random, 0.4):
            path.write_bytes(_damaged_file(files[name], random))
        else:
            path.write_bytes(save(_other_tensors(tensors[name], random)))
        load_profile.cache_clear()
        with suppress(CodecError):
            codec = open_layered(str(path))
            for encoded in codec.encode_batch(pictures):
                assert encoded is not None
                layers = [layer.whole for layer in encoded.layers]
                cut = ReceivedLayer(layers[0].data[: whole(random, 0, 40)], complete=False)
                codec.decode_batch([layers, [cut]])

    return one_by_one(case)


_NAMES = ("paper", "embedded")


def prepare_networks(folder: Path) -> Cases:
    """Cases for the weights of networks that compute with floating point."""
    from testbed.evaluation.lpips import LpipsNetwork

    torch.manual_seed(0)
    lpips = {key: value.half() for key, value in LpipsNetwork().state_dict().items()}
    files = [(save(lpips), LpipsNetwork), (WEIGHTS.read_bytes(), Classifier)]
    tensors = [load(raw) for raw, _ in files]
    path = folder / "fuzzed.safetensors"

    def case(random: Random) -> None:
        index = whole(random, 0, len(files) - 1)
        raw, make = files[index]
        if probably(random, 0.5):
            path.write_bytes(_damaged_file(raw, random))
        else:
            path.write_bytes(save(_other_tensors(tensors[index], random)))
        with suppress(CodecError):
            load_network(path, "a network", lambda _: make())

    return one_by_one(case)


def _damaged_file(raw: bytes, random: Random) -> bytes:
    """Mostly in its index, which says where each tensor is and of what shape."""
    head = 8 + int.from_bytes(raw[:8], "little")
    if probably(random, 0.7):
        return damaged(raw[:head], random) + raw[head:]
    return damaged(raw, random)


def _other_tensors(tensors: dict[str, Tensor], random: Random) -> dict[str, Tensor]:
    """Of which one to three are missing, of another shape or type, or hold wild values."""
    found = dict(tensors)
    names = list(tensors)
    for _ in range(whole(random, 1, 3)):
        name = names[whole(random, 0, len(names) - 1)]
        tensor = found.pop(name, None)
        kind = whole(random, 0, 5)
        if tensor is None or kind == 0:
            continue
        if kind == 1:
            tensor = tensor.to(_DTYPES[whole(random, 0, len(_DTYPES) - 1)])
        elif kind == 2 and tensor.dim():
            tensor = tensor[: whole(random, 0, tensor.shape[0])]
        elif kind == 3:
            tensor = tensor.reshape(-1) if probably(random, 0.5) else tensor[None]
        else:
            tensor = _wild(tensor, random)
        found[name] = tensor.contiguous()
    return found


def _wild(tensor: Tensor, random: Random) -> Tensor:
    """With some or all values replaced by the ends of a type's range, or by what is no number."""
    if probably(random, 0.3) and not tensor.is_floating_point():
        tensor = tensor.double()
    if tensor.dtype == torch.bool:
        return ~tensor
    if tensor.is_floating_point():
        limits = torch.finfo(tensor.dtype)
        choices = [float("nan"), float("inf"), -float("inf"), limits.max, limits.min, 0.5]
        value = choices[whole(random, 0, len(choices) - 1)]
    else:
        whole_limits = torch.iinfo(tensor.dtype)
        value = [whole_limits.min, whole_limits.max, 0][whole(random, 0, 2)]
    flat = tensor.reshape(-1).clone()
    if probably(random, 0.5) and len(flat):
        flat[whole(random, 0, len(flat) - 1)] = value
    else:
        flat[:] = value
    return flat.reshape(tensor.shape)


def prepare_symbols(folder: Path) -> Cases:
    """Cases for the symbols of learned analog transmission."""
    del folder
    codec = DeepJsccCodec()
    pictures = some_pictures(((8, 8), (5, 7)))
    sent = []
    for uses in (8, 16, 32):
        for picture in pictures:
            (symbols,) = codec.encode_symbols([picture], 4 * uses, 10.0)
            if symbols is not None:
                sent.append((symbols, picture.shape))
    values = [np.nan, np.inf, -np.inf, 1e308, -1e308, 1e38, 1e-320, 0.0, -0.0, 1e12]
    powers = [np.nan, np.inf, 0.0, -1.0, -np.inf, 1e-320, 1e308, 1e12]

    def case(random: Random) -> None:
        symbols, (height, width, _) = sent[whole(random, 0, len(sent) - 1)]
        received = symbols + random.normal(0, 0.2, len(symbols))
        noise = np.full(len(symbols), 0.04)
        for parts, wild in ((received.real, values), (received.imag, values), (noise, powers)):
            if probably(random, 0.6):
                share = random.choice([0.02, 0.3, 1.0])
                hit = random.random(len(parts)) < share
                parts[hit] = random.choice(wild, int(hit.sum()))
        if probably(random, 0.1):
            received = received[: whole(random, 0, len(received))]
            noise = noise[: len(received)]
        with suppress(CodecError):
            (picture,) = codec.decode_symbols([ReceivedSymbols(received, noise, height, width)])
            assert picture.dtype == np.uint8 and picture.shape == (height, width, 3)

    return one_by_one(case)
