"""The layered codec on files: pictures to .sctb and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PillowImage

from codec.base import CodecError
from codec.container import read_container, write_container
from codec.semantic_codec import SemanticCodec
from testbed.errors import ImageError, OutputError, TestbedError
from testbed.images import read_picture

SUFFIX = ".sctb"


class StoredFileError(TestbedError):
    """A coded file cannot be used."""


@dataclass(frozen=True, slots=True)
class CodedFile:
    """One picture coded: sizes in bytes, `index_bytes` is the file's overhead."""

    path: Path
    height: int
    width: int
    layer_bytes: tuple[int, ...]
    index_bytes: int


def encode_files(
    pictures: Sequence[Path], folder: Path, profile: str, layers: int
) -> list[CodedFile]:
    """Codes each picture into `folder`. Raises TestbedError."""
    codec = _codec(profile, layers)
    coded = []
    for path in pictures:
        if not path.is_file():
            raise ImageError(f"{path}: no such picture")
        pixels = read_picture(path)
        (encoded,) = codec.encode_batch([pixels])
        assert encoded is not None
        data = write_container(encoded, profile, codec.profile.sha256, codec.correction)
        target = folder / f"{path.stem}{SUFFIX}"
        _write(target, data)
        sizes = tuple(len(layer.data) for layer in encoded.layers)
        coded.append(
            CodedFile(target, pixels.shape[0], pixels.shape[1], sizes, len(data) - sum(sizes))
        )
    return coded


def decode_files(files: Sequence[Path], folder: Path, layers: int | None) -> list[tuple[Path, int]]:
    """Decodes each file to a PNG from its first `layers` layers: (path, whole layers used)."""
    decoded = []
    for path in files:
        try:
            stored = read_container(path.read_bytes())
        except OSError as error:
            raise StoredFileError(f"{path}: cannot read ({error.strerror})") from error
        except CodecError as error:
            raise StoredFileError(f"{path}: {error}") from error
        codec = _codec(stored.profile, 9)
        if not codec.profile.sha256.startswith(stored.weights_sha256):
            raise StoredFileError(
                f"{path}: coded with weights {stored.weights_sha256} of the profile "
                f"'{stored.profile}', here are {codec.profile.sha256[:16]}; decode it with the "
                "version of the testbed that made it"
            )
        codec.correction = stored.correction
        (result,) = codec.decode_batch([stored.layers[:layers]])
        if result.image is None:
            raise StoredFileError(f"{path}: the base layer is missing or damaged")
        target = folder / f"{path.stem}.png"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            PillowImage.fromarray(result.image).save(target)
        except OSError as error:
            raise OutputError(f"{target}: cannot write ({error.strerror})") from error
        decoded.append((target, result.layers_decoded))
    return decoded


def _codec(profile: str, layers: int) -> SemanticCodec:
    try:
        return SemanticCodec(profile, layers)
    except CodecError as error:
        raise StoredFileError(str(error)) from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise OutputError(f"{path}: cannot write ({error.strerror})") from error
