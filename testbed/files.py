"""The layered codec on files: pictures to .sctb and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PillowImage

from codec.base import CodecError
from codec.container import read_container, write_container
from testbed.errors import ImageError, OutputError, TestbedError
from testbed.images import read_picture
from testbed.registry import open_layered_codec

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
    pictures: Sequence[Path], folder: Path, profile: str, layers: int, *, overwrite: bool = False
) -> list[CodedFile]:
    """Codes each picture into `folder`. `profile` as for SemanticCodec. Raises TestbedError."""
    codec = open_layered_codec(profile, layers)
    coded = []
    for path, target in _targets(pictures, folder, SUFFIX, overwrite):
        if not path.is_file():
            kind = "a folder; name the pictures in it" if path.is_dir() else "not there"
            raise ImageError(f"{path}: expected a picture, it is {kind}")
        pixels = read_picture(path)
        try:
            (encoded,) = codec.encode_batch([pixels])
        except CodecError as error:
            raise ImageError(f"{path}: {error}") from error
        assert encoded is not None
        data = write_container(encoded, codec.profile.name, codec.profile.sha256, codec.correction)
        _write(target, data)
        sizes = tuple(len(layer.data) for layer in encoded.layers)
        coded.append(
            CodedFile(target, pixels.shape[0], pixels.shape[1], sizes, len(data) - sum(sizes))
        )
    return coded


def decode_files(
    files: Sequence[Path],
    folder: Path,
    layers: int | None,
    profile: str | None = None,
    *,
    overwrite: bool = False,
) -> list[tuple[Path, int]]:
    """Decodes each file to a PNG from its first `layers` layers: (path, whole layers used).

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
        codec = open_layered_codec(profile or stored.profile)
        if not codec.profile.sha256.startswith(stored.weights_sha256):
            raise StoredFileError(
                f"{path}: coded with weights {stored.weights_sha256} of the profile "
                f"'{stored.profile}', here are {codec.profile.sha256[:16]}; name the right ones "
                "with --profile"
            )
        codec.correction = stored.correction
        (result,) = codec.decode_batch([stored.layers[:layers]])
        if result.image is None:
            raise StoredFileError(f"{path}: the base layer is missing or damaged")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            PillowImage.fromarray(result.image).save(target)
        except OSError as error:
            raise OutputError(f"{target}: cannot write ({error.strerror})") from error
        decoded.append((target, result.layers_decoded))
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
