"""The journal: every finished trial's row, one JSON line each, written as soon as it is known.

    {"trial_id": "935008071ac84a26", ... , "observed": {...}, "format": "5f3c9a01", "crc32": "..."}
    {"trial_id": "...", "error": "...", ... , "format": "failure", "crc32": "..."}

Whatever kills a run, the lines before it count: the next run on the same folder skips the trials
that are there. A last line that was torn by the kill is dropped. Every line bears the CRC-32 of
what stands before it, so that a damaged one is known, costs only itself, and is simulated again.
The journal may hold trials of other scenarios; a trial's id says what it is the result of. Rows
whose `format`, a hash of the columns, is not today's are those of another version: they are left
alone, and their trials simulated again.

Rows stay on the disk; memory holds where each begins (offset_index.py).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from testbed.errors import OutputError
from testbed.running.offset_index import OffsetIndex
from testbed.running.work import Failure, Row
from testbed.sending.simulation import COLUMNS

JOURNAL = "journal.jsonl"
FORMAT = hashlib.sha256(",".join(COLUMNS).encode()).hexdigest()[:8]
"""Of the rows of this version; metrics' columns are told by the trial's id."""
FAILURE_FORMAT = "failure"

_END = re.compile(rb', "format": "([0-9a-z]{1,16})", "crc32": "([0-9a-f]{8})"\}\Z')
_START = re.compile(rb'\{"trial_id": "([0-9a-f]{16})", ')
_AT_ONCE = 4096
_LONGEST_LINE = 1 << 20
_LINES_AT_ONCE = 1000

Kind = Literal["row", "failure", "other", "damaged"]


class Journal:
    """An open journal that no other process may open. Use it in a `with`."""

    def __init__(self, folder: Path) -> None:
        """Raises OutputError if the folder cannot be used or another run holds it."""
        self.path = folder / JOURNAL
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Unbuffered: nothing is left to be written, and to fail, when the file is closed.
            self._file = self.path.open("a+b", buffering=0)
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot write results there ({error.strerror}); "
                "choose another folder with --out"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise OutputError(
                f"{folder}: another run is writing there; wait for it or choose another --out"
            ) from error
        except OSError as error:
            self._file.close()
            raise OutputError(
                f"{folder}: files there cannot be locked ({error.strerror}); "
                "choose another folder with --out"
            ) from error
        self._index = OffsetIndex()
        self._failed: dict[str, int] = {}
        self.damaged_lines = 0
        """Lines that are no rows."""
        self.other_lines = 0
        """Rows of another version."""
        self._size = self._read()
        self.rows: Mapping[str, Row] = _Rows(self._file.fileno(), self._index)
        """Of finished trials, by id, in the file's order; each is read when it is asked for."""

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _read(self) -> int:
        """Takes in what the file holds; its size without a torn last line."""
        offset = 0
        for line in _lines(self.path):
            if not line.endswith(b"\n"):
                self._file.truncate(offset)
                break
            self._take(line[:-1], offset)
            offset += len(line)
        return offset

    def _take(self, line: bytes, offset: int) -> None:
        kind, trial_id = kind_of(line)
        if kind == "row":
            self._index.add(trial_id, offset)
            self._failed.pop(trial_id, None)
        elif kind == "failure":
            self._failed[trial_id] = offset
        elif kind == "other":
            self.other_lines += 1
        else:
            self.damaged_lines += 1

    def add(self, rows: Iterable[Row], failures: Iterable[Failure] = ()) -> None:
        """Appends rows and failures; when it returns they are on the disk. Raises OutputError."""
        self.add_lines([line_of(row, FORMAT) for row in rows], failures)

    def add_lines(self, rows: Iterable[bytes], failures: Iterable[Failure] = ()) -> None:
        """The same of rows that are lines already."""
        self._append([*rows, *(line_of(failure.content(), FAILURE_FORMAT) for failure in failures)])

    def absorb(self, other: Journal) -> None:
        """Appends the rows of another journal that this one does not have. Raises OutputError."""
        lines: list[bytes] = []
        for line in _lines(other.path):
            kind, trial_id = kind_of(line[:-1])
            is_new = trial_id not in self.rows and trial_id not in self._failed
            if is_new if kind == "failure" else kind == "row" and trial_id not in self.rows:
                lines.append(line)
            if len(lines) >= _LINES_AT_ONCE:
                self._append(lines)
                lines = []
        self._append(lines)

    def _append(self, lines: list[bytes]) -> None:
        try:
            left = b"".join(lines)
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            # Whole lines alone: what a full disk leaves of one would be joined to the next.
            self._file.truncate(self._size)
            raise OutputError(
                f"{self.path}: cannot write ({error.strerror}); what is journalled is kept, "
                "run the same command again to go on"
            ) from error
        for line in lines:
            self._take(line[:-1], self._size)
            self._size += len(line)

    def failures(self) -> Iterator[Failure]:
        """Trials whose last attempt raised an error."""
        for offset in self._failed.values():
            yield Failure.of(content_of(_line_at(self._file.fileno(), offset)))


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def line_of(content: Mapping[str, Any], line_format: str) -> bytes:
    """A line of the journal, with its end. `content` begins with trial_id."""
    text = json.dumps(content)[:-1].encode() + f', "format": "{line_format}"'.encode()
    return text + f', "crc32": "{zlib.crc32(text):08x}"}}\n'.encode()


def kind_of(line: bytes) -> tuple[Kind, str]:
    """What a line (without its end) is, and of which trial; of "other" and "damaged" none."""
    end = _END.search(line)
    if end is None:
        return ("other" if _is_older_row(line) else "damaged"), ""
    start = _START.match(line)
    # The CRC is over all before itself.
    checked = line[: end.start(2) - len(b', "crc32": "')]
    if start is None or zlib.crc32(checked) != int(end[2], 16):
        return "damaged", ""
    if end[1] == FAILURE_FORMAT.encode():
        return "failure", start[1].decode()
    if end[1] == FORMAT.encode():
        return "row", start[1].decode()
    return "other", ""


def _is_older_row(line: bytes) -> bool:
    """Whether this is a row of the time before lines had a format."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and "trial_id" in row


def content_of(line: bytes) -> dict[str, Any]:
    """What `line_of` made a line of; ValueError or KeyError for what is none."""
    content: dict[str, Any] = json.loads(line)
    del content["format"], content["crc32"]
    return content


def _line_at(file: int, offset: int) -> bytes:
    """The line that begins there, without its end. OutputError if it is not what it was."""
    line, size = b"", _AT_ONCE
    while (end := line.find(b"\n")) < 0 and size <= 2 * _LONGEST_LINE:
        line, size = os.pread(file, size, offset), 4 * size
    line = line[:end] if end >= 0 else line
    if kind_of(line)[0] not in ("row", "failure"):
        raise OutputError(
            f"{JOURNAL}: the line at byte {offset} was changed during the run; run the same "
            "command again to simulate its trial anew"
        )
    return line


class _Rows(Mapping[str, Row]):
    def __init__(self, file: int, index: OffsetIndex) -> None:
        self._file, self._index = file, index

    def __getitem__(self, trial_id: str) -> Row:
        offset = self._index.get(trial_id)
        if offset is None:
            raise KeyError(trial_id)
        return content_of(_line_at(self._file, offset))

    def __contains__(self, trial_id: object) -> bool:
        return isinstance(trial_id, str) and self._index.get(trial_id) is not None

    def __iter__(self) -> Iterator[str]:
        return (trial_id for trial_id, _ in self._index)

    def __len__(self) -> int:
        return len(self._index)
