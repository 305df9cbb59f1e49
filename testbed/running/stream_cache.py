"""Encoded streams on the disk, so that no process and no later run codes a picture again.

An entry is a file named by the SHA-256 of its key, a text that says all that determines a stream
(`stream_key`). It holds

    MAGIC, VERSION, SHA-256 of the rest | length of the header | header | bytes of the layers

with the header as JSON: the key's SHA-256 and, of each layer, its name, its parts and how long its
`data` and `known` are. What does not fit its SHA-256 is removed and made again. Entries appear as a
whole (written aside, then renamed), so readers need no lock; writers share `size`, which says how
many bytes there are. Over the limit, entries that were not used for longest go.

A cache never fails a run: what it cannot read is missing, and when it cannot write it stops
writing and says why (`CacheUse.problem`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from channels.user_cache import user_cache_folder
from codec.base import EncodedImage, Layer
from testbed.language.codec_sections import CodecSection
from testbed.language.scenario import canonical_json
from testbed.sources import sources_sha256

MAGIC = b"SEMCOM-STREAM"
VERSION = 1
DEFAULT_LIMIT_BYTES = 2 << 30

TOUCH_AFTER_S = 600.0
"""An entry's time of use is that of its file, which is set no more often than this."""
ABANDONED_AFTER_S = 3600.0
"""Files that were begun so long ago are what a killed process left."""
PATIENCE_S = 0.5
"""A writer that waits longer for the others leaves its stream out."""
KEPT_SHARE = 0.9
"""Of the limit, when entries must go: so that not every writer has to look for some."""

_ENTRY_ERRORS = (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)
"""A folder is in the entry's place, or somebody empties the cache: that entry alone is left out."""

_HEAD = struct.Struct(f">{len(MAGIC)}sB32s")
_LENGTH = struct.Struct(">I")
_SIZE = "size"
_PART = ".part"


class Missing(Enum):
    """None is a stream, too: that of a picture which fits no budget."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING

Found: TypeAlias = EncodedImage | Literal[Missing.MISSING] | None


class DamagedEntry(Exception):
    """Bytes that are not an entry of this key."""


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What came of a cache. Sums of those of several processes are theirs together."""

    hits: int = 0
    misses: int = 0
    remade: int = 0
    """Of the misses: entries that were there and damaged."""
    read_bytes: int = 0
    written_bytes: int = 0
    problem: str = ""
    """Why nothing is kept any more; for the user. Empty if nothing is wrong."""

    def __add__(self, other: CacheUse) -> CacheUse:
        return CacheUse(
            self.hits + other.hits,
            self.misses + other.misses,
            self.remade + other.remade,
            self.read_bytes + other.read_bytes,
            self.written_bytes + other.written_bytes,
            self.problem or other.problem,
        )


def streams_folder() -> Path:
    """Where streams are kept: $TESTBED_STREAMS, else semcom-testbed/streams in the user's cache."""
    return user_cache_folder("streams", "TESTBED_STREAMS")


def stream_key(
    section: CodecSection, fingerprint: str, image_sha256: str, budget_bytes: int | None
) -> str:
    """All that determines a stream, as text.

    fingerprint: `registry.codec_fingerprint` of the section. image_sha256: of the pixels.
    """
    return canonical_json(
        {
            "codec": section.model_dump(mode="json", exclude={"name"}),
            "fingerprint": fingerprint,
            # An edited encoder must not meet the streams of the old one.
            "sources": sources_sha256("codec"),
            "image": image_sha256,
            "budget_bytes": budget_bytes,
        }
    )


class StreamCache:
    """Streams in `folder`, at most `limit_bytes` of them. Any number of processes may share it."""

    def __init__(self, folder: Path, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        """Touches nothing: the folder is made when there is something to keep."""
        self.folder, self.limit_bytes = folder, limit_bytes
        self.use = CacheUse()

    def get(self, key: str) -> Found:
        """The stream of `key`; None if no stream fits the budget; MISSING if it must be made."""
        digest = hashlib.sha256(key.encode()).digest()
        path = self._path(digest)
        try:
            raw = _read(path)
            found = unpacked(raw, digest)
        except DamagedEntry:
            with contextlib.suppress(OSError):
                path.unlink()
            self.use += CacheUse(misses=1, remade=1)
            return MISSING
        except OSError:
            self.use += CacheUse(misses=1)
            return MISSING
        self.use += CacheUse(hits=1, read_bytes=len(raw))
        return found

    def put(self, key: str, value: EncodedImage | None) -> None:
        """Keeps a stream, unless it is larger than the limit or the cache has a problem."""
        if self.use.problem or not _is_plain(value):
            return
        digest = hashlib.sha256(key.encode()).digest()
        raw = packed(value, digest)
        if len(raw) > self.limit_bytes:
            return
        try:
            self._write(self._path(digest), raw)
        except OSError as error:
            if error.errno in _ENTRY_ERRORS:
                return
            self.use += CacheUse(
                problem=f"{self.folder}: streams are not kept ({error.strerror or error}); "
                "pictures are coded again where they are needed again"
            )

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self.folder / name[:2] / name[2:]

    def _write(self, path: Path, raw: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=path.parent, suffix=_PART)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
            if self._has_room_for(len(raw)):
                Path(aside).replace(path)
                self.use += CacheUse(written_bytes=len(raw))
        finally:
            with contextlib.suppress(OSError):
                Path(aside).unlink()

    def _has_room_for(self, n_bytes: int) -> bool:
        """Counts an entry that is about to appear, and makes room; False if others are too busy."""
        with _locked(self.folder / _SIZE) as handle:
            if handle is None:
                return False
            words = os.pread(handle, 32, 0)
            total = int(words) if words.isdigit() else None
            if total is None or total + n_bytes > self.limit_bytes:
                # The new entry is there already, under its passing name.
                total = self._trimmed(n_bytes) - n_bytes
            os.ftruncate(handle, 0)
            os.pwrite(handle, b"%d" % (total + n_bytes), 0)
        return True

    def _trimmed(self, n_new: int) -> int:
        """Removes what was not used for longest if all is over the limit; bytes that are left.

        An entry of `n_new` bytes is about to appear. Files may vanish meanwhile.
        """
        entries, total = [], 0
        now = time.time()
        for path in self.folder.glob("??/*"):
            with contextlib.suppress(OSError):
                status = path.lstat()
                if not stat.S_ISREG(status.st_mode):
                    continue
                if path.suffix != _PART:
                    entries.append((status.st_mtime_ns, status.st_size, path))
                elif now - status.st_mtime > ABANDONED_AFTER_S:
                    path.unlink()
                    continue
                total += status.st_size
        if total <= self.limit_bytes:
            return total
        goal = max(n_new, int(KEPT_SHARE * self.limit_bytes))
        for _, size, path in sorted(entries, key=lambda entry: entry[0]):
            if total <= goal:
                break
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            total -= size
        return total


def packed(value: EncodedImage | None, key_digest: bytes) -> bytes:
    """An entry."""
    layers = None if value is None else value.layers
    header: dict[str, Any] = {"key": key_digest.hex(), "layers": None}
    if layers is not None:
        header["layers"] = [
            {
                "name": layer.name,
                "data": len(layer.data),
                "known": len(layer.known),
                "parts": [int(part) for part in layer.parts],
            }
            for layer in layers
        ]
    words = canonical_json(header).encode()
    content = b"".join(
        [_LENGTH.pack(len(words)), words]
        + [part for layer in layers or () for part in (layer.data, layer.known)]
    )
    return _HEAD.pack(MAGIC, VERSION, hashlib.sha256(content).digest()) + content


def unpacked(raw: bytes, key_digest: bytes) -> EncodedImage | None:
    """What an entry holds. Raises DamagedEntry unless it is, bit for bit, one of this key."""
    content = raw[_HEAD.size :]
    if raw[: _HEAD.size] != _HEAD.pack(MAGIC, VERSION, hashlib.sha256(content).digest()):
        raise DamagedEntry
    try:
        (length,) = _LENGTH.unpack_from(content)
        place = _LENGTH.size + length
        header = json.loads(content[_LENGTH.size : place])
        if header["key"] != key_digest.hex():
            raise DamagedEntry
        if header["layers"] is None:
            return None
        layers = []
        for each in header["layers"]:
            data = content[place : place + each["data"]]
            place += each["data"]
            known = content[place : place + each["known"]]
            place += each["known"]
            layers.append(Layer(each["name"], data, known, tuple(each["parts"])))
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise DamagedEntry from error
    if place != len(content):
        raise DamagedEntry
    return EncodedImage(tuple(layers))


def _is_plain(value: EncodedImage | None) -> bool:
    """Whether it is of these classes: one derived from them may hold more than an entry does."""
    return value is None or (
        type(value) is EncodedImage and all(type(layer) is Layer for layer in value.layers)
    )


def _read(path: Path) -> bytes:
    """The bytes of a file. Raises OSError also for a link, a folder or a pipe."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        raw = file.read()
        if time.time() - status.st_mtime > TOUCH_AFTER_S:
            with contextlib.suppress(OSError):
                os.utime(handle)
    return raw


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """The open file, which no other process has locked; None if one keeps it for PATIENCE_S."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    yield None
                    return
                time.sleep(0.002)
        yield handle
    finally:
        os.close(handle)
