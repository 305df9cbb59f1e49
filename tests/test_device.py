"""Every network is evaluated on the device that was set, and nothing changes on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from codec import device
from codec.analog import ReceivedSymbols
from codec.base import CodecError
from codec.classifier import class_of
from codec.deepjscc_codec import DeepJsccCodec
from codec.layered import open_layered
from codec.semantic_codec import SemanticCodec
from testbed.evaluation.lpips import LpipsNetwork, load_lpips
from testbed.images import load_images


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return load_images("samples32", Path())[3].pixels


@pytest.fixture(scope="module")
def lpips_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("lpips") / "weights.safetensors"
    save_file({k: v.abs() for k, v in LpipsNetwork().state_dict().items()}, path)
    return path


def coded(codec, picture: np.ndarray) -> list[object]:
    """Streams and pictures of a layered codec, the last of them from a stream that was cut."""
    (encoded,) = codec.encode_batch([picture])
    whole = [layer.whole for layer in encoded.layers]
    shown = codec.decode_batch([whole, whole[:3]])
    return [encoded, *(each.image.tobytes() for each in shown)]


def all_networks(picture: np.ndarray, lpips_file: Path) -> dict[str, Callable[[], list[object]]]:
    """By name: what a family of networks makes of a picture, as plain values."""

    def deepjscc() -> list[object]:
        codec = DeepJsccCodec("awgn")
        (symbols,) = codec.encode_symbols([picture], 300, 10.0)
        noise = np.full(len(symbols), 0.1)
        (shown,) = codec.decode_symbols([ReceivedSymbols(symbols, noise, *picture.shape[:2])])
        return [symbols.tobytes(), shown.tobytes()]

    return {
        "paper": lambda: coded(SemanticCodec(), picture),
        "embedded": lambda: coded(open_layered("embedded"), picture),
        "deepjscc": deepjscc,
        "classifier": lambda: [class_of(picture)],
        "lpips": lambda: [load_lpips(lpips_file)[0].distance(picture, picture[::-1])],
    }


FAMILIES = ("paper", "embedded", "deepjscc", "classifier", "lpips")


@pytest.fixture
def called() -> Iterator[list[nn.Module]]:
    """The modules that are called, from outside or by others."""
    modules: list[nn.Module] = []
    hook = nn.modules.module.register_module_forward_pre_hook(
        lambda module, _: modules.append(module)
    )
    yield modules
    hook.remove()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The CPU under another name: all that is done for a GPU is done, with the same sums."""
    monkeypatch.setattr(device, "_device", torch.device("cpu", 0))
    device._copies.clear()
    yield
    device._copies.clear()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("family", FAMILIES)
def test_every_network_goes_through_the_device(
    picture, lpips_file: Path, family: str, called
) -> None:
    """On another device only copies are called; were a network called past it, it would be seen."""
    found = all_networks(picture, lpips_file)[family]()
    copies = {part for copy in device._copies.values() for part in copy.modules()}
    assert called
    assert set(called) <= copies
    device._device = device.HOME
    called.clear()
    assert all_networks(picture, lpips_file)[family]() == found
    assert called
    assert not set(called) & copies


def test_on_the_cpu_nothing_is_copied(picture, lpips_file: Path) -> None:
    assert device.device_name() == "cpu"
    for make in all_networks(picture, lpips_file).values():
        make()
    assert not device._copies
    network = nn.Linear(1, 1)
    x = torch.ones(1)
    assert device.evaluate(nn.Identity(), x) is x
    assert torch.equal(device.evaluate(network, x), network(x))


@pytest.mark.usefixtures("elsewhere")
def test_a_copy_is_made_once_and_goes_with_its_network() -> None:
    network = nn.Linear(2, 2)
    for _ in range(3):
        device.evaluate(network, torch.ones(1, 2))
    (copy,) = device._copies.values()
    assert copy is not network
    assert copy.weight is not network.weight
    del network
    assert not device._copies


def test_symbols_of_another_device_are_other_results(monkeypatch: pytest.MonkeyPatch) -> None:
    here = DeepJsccCodec().versions
    monkeypatch.setattr(device, "_device", torch.device("cuda"))
    assert DeepJsccCodec().versions == f"{here}, cuda"


# --------------------------------------------------------------------------------------- exactness


@pytest.fixture
def flags_restored() -> Iterator[None]:
    backends = torch.backends
    before = (
        backends.cudnn.enabled,
        backends.cudnn.allow_tf32,
        backends.cuda.matmul.allow_tf32,
        os.environ.get("NVIDIA_TF32_OVERRIDE"),
    )
    yield
    backends.cudnn.enabled, backends.cudnn.allow_tf32 = before[:2]
    backends.cuda.matmul.allow_tf32 = before[2]
    os.environ.pop("NVIDIA_TF32_OVERRIDE", None)
    if before[3] is not None:
        os.environ["NVIDIA_TF32_OVERRIDE"] = before[3]


@pytest.mark.usefixtures("flags_restored")
def test_nothing_is_left_that_is_not_exact() -> None:
    torch.backends.cuda.matmul.allow_tf32 = True
    device.sums_of_products_only()
    assert not torch.backends.cudnn.enabled
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"


def test_inexact_sums_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.sums_are_exact(device.HOME)
    convolve = torch.nn.functional.conv2d

    def with_tf32(x, weight, **options):
        """Factors of 11 bits, as TF32 has them."""
        if weight.dtype == torch.float32:
            weight = (weight.view(torch.int32) & ~0x1FFF).view(torch.float32)
        return convolve(x, weight, **options)

    def nearly(x, weight, **options):
        return convolve(x, weight, **options) * (1 + 2**-22)

    for wrong in (with_tf32, nearly):
        monkeypatch.setattr(device.F, "conv2d", wrong)
        assert not device.sums_are_exact(device.HOME)


def test_a_device_that_cannot_be_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CodecError, match=r"^expected cpu or cuda, found 'tpu'$"):
        device.set_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CodecError, match=r"^torch .*; use the device cpu$") as error:
        device.set_device("cuda")
    assert "\n" not in str(error.value)
    assert device.device_name() == "cpu"
    device.set_device("cpu")


@pytest.mark.usefixtures("flags_restored")
def test_a_gpu_that_adds_wrongly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Some GPU")
    monkeypatch.setattr(device, "sums_are_exact", lambda _: False)
    with pytest.raises(CodecError, match="Some GPU does not add integers exactly"):
        device.set_device("cuda")
    assert device.device_name() == "cpu"
    monkeypatch.setattr(device, "sums_are_exact", lambda _: True)
    monkeypatch.setattr(device, "_device", device.HOME)
    device.set_device("cuda")
    assert device.device_name() == "cuda"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
@pytest.mark.usefixtures("flags_restored")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_gpu_gives_the_same_streams(picture, lpips_file: Path, family: str) -> None:
    make = all_networks(picture, lpips_file)[family]
    here = make()
    device.set_device("cuda")
    try:
        there = make()
    finally:
        device.set_device("cpu")
    if family in ("paper", "embedded"):
        assert there == here
    elif family == "lpips":
        assert there == pytest.approx(here, rel=1e-3)
