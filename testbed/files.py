"""The layered codec on files: pictures to .sctb and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PillowImage

from codec.base import CodecError
from codec.container import read_container, write_container
from codec.layered import DEFAULT_CORRECTION, cut_layers
from testbed.errors import ImageError, OutputError, TestbedError
from testbed.images import read_picture
from testbed.registry import open_layered_codec

SUFFIX = ".sctb"


class StoredFileError(TestbedError):
    """A coded file cannot be used."""


@dataclass(frozen=True, slots=True)
class CodedLayer:
    """A layer in a file: how many of its bytes are there, `whole_bytes` how many there could be."""

    name: str
    n_bytes: int
    whole_bytes: int


@dataclass(frozen=True, slots=True)
class CodedFile:
    """One picture coded; `index_bytes` is the file's overhead."""

    path: Path
    height: int
    width: int
    layers: tuple[CodedLayer, ...]
    index_bytes: int


@dataclass(frozen=True, slots=True)
class DecodedFile:
    """One picture decoded from so many whole layers, and a part of the next if `and_a_part`."""

    path: Path
    whole_layers: int
    and_a_part: bool


def encode_files(
    pictures: Sequence[Path],
    folder: Path,
    profile: str,
    layers: int | None = None,
    most_bytes: int | None = None,
    *,
    reversible: bool = True,
    fit: int | None = None,
    overwrite: bool = False,
) -> list[CodedFile]:
    """Codes each picture into `folder`. `profile`, `reversible`, `fit` as for open_layered.

    Raises TestbedError.

    layers: all, unless given. most_bytes: where the stream is cut, in bytes of the layers, the
    index not counted; what it is fitted to, if it is.
    """
    codec = open_layered_codec(profile, layers, reversible=reversible, fit=fit)
    coded = []
    for path, target in _targets(pictures, folder, SUFFIX, overwrite):
        if not path.is_file():
            kind = "a folder; name the pictures in it" if path.is_dir() else "not there"
            raise ImageError(f"{path}: expected a picture, it is {kind}")
        pixels = read_picture(path)
        try:
            (encoded,) = codec.encode_batch([pixels], most_bytes)
        except CodecError as error:
            raise ImageError(f"{path}: {error}") from error
        if encoded is None:
            raise ImageError(f"{path}: no picture fits into {most_bytes} bytes; give more")
        kept = cut_layers(encoded, encoded.payload_bits // 8 if most_bytes is None else most_bytes)
        data = write_container(kept, codec.profile.name, codec.profile.sha256, DEFAULT_CORRECTION)
        _write(target, data)
        sizes = tuple(
            CodedLayer(layer.name, len(part.data), len(layer.data))
            for layer, part in zip(encoded.layers, kept, strict=False)
        )
        index_bytes = len(data) - sum(each.n_bytes for each in sizes)
        coded.append(CodedFile(target, pixels.shape[0], pixels.shape[1], sizes, index_bytes))
    return coded


def decode_files(
    files: Sequence[Path],
    folder: Path,
    layers: int | None,
    profile: str | None = None,
    *,
    overwrite: bool = False,
) -> list[DecodedFile]:
    """Decodes each file to a PNG from its first `layers` layers.

    `profile`: the weights, if they are not those that ship under the name in the file. Raises
    TestbedError.
    """
    decoded = []
    for path, target in _targets(files, folder, ".png", overwrite):
        try:
            stored = read_container(path.read_bytes())
        except OSError as error:
            raise StoredFileError(f"{path}: cannot read ({error.strerror})") from error
        except CodecError as error:
            raise StoredFileError(f"{path}: {error}") from error
        codec = open_layered_codec(profile or stored.profile, correction=stored.correction)
        if not codec.profile.sha256.startswith(stored.weights_sha256):
            raise StoredFileError(
                f"{path}: coded with weights {stored.weights_sha256} of the profile "
                f"'{stored.profile}', here are {codec.profile.sha256[:16]}; name the right ones "
                "with --profile"
            )
        received = stored.layers[:layers]
        (result,) = codec.decode_batch([received])
        if result.image is None:
            raise StoredFileError(f"{path}: the base layer is missing, damaged or cut too short")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            PillowImage.fromarray(result.image).save(target)
        except OSError as error:
            raise OutputError(f"{target}: cannot write ({error.strerror})") from error
        used = result.layers_decoded
        # What follows a layer that is whole by the index and does not decode is of no use.
        and_a_part = used < len(received) and not received[used].complete
        decoded.append(DecodedFile(target, used, and_a_part))
    return decoded


def _targets(
    sources: Sequence[Path], folder: Path, suffix: str, overwrite: bool
) -> list[tuple[Path, Path]]:
    """Each source with the file that it becomes; none is written twice or over what is there."""
    targets: dict[Path, Path] = {}
    for source in sources:
        target = folder / f"{source.stem}{suffix}"
        if target in targets:
            raise OutputError(f"{targets[target]} and {source} would both become {target}")
        if target.exists() and not overwrite:
            raise OutputError(f"{target}: is there already; --force writes over it")
        targets[target] = source
    return [(source, target) for target, source in targets.items()]


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise OutputError(f"{path}: cannot write ({error.strerror})") from error
