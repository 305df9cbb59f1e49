"""The journal: every finished trial's row, one JSON line each, written as soon as it is known.

Whatever kills a run, the lines before it count: the next run on the same folder skips the trials
that are there. A last line that was torn by the kill is dropped. The journal may hold trials of
other scenarios; a trial's id says what it is the result of. Rows with other keys than today's are
those of another version: they are left alone, and their trials simulated again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path

from testbed.errors import OutputError
from testbed.simulation import Row, is_row

JOURNAL = "journal.jsonl"


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
        self.rows: dict[str, Row] = {}
        self.damaged_lines = 0
        """Lines that are no rows."""
        self.other_lines = 0
        """Rows of another version."""
        self._read()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _read(self) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        for line in content[:whole].splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if isinstance(row, dict) and is_row(list(row)):
                self.rows[row["trial_id"]] = row
            elif isinstance(row, dict) and "trial_id" in row:
                self.other_lines += 1
            else:
                self.damaged_lines += 1

    def add(self, rows: Iterable[Row]) -> None:
        """Appends rows; when it returns they are on the disk. Raises OutputError."""
        rows = list(rows)
        try:
            lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
            while lines:
                lines = lines[self._file.write(lines) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot write ({error.strerror}); what is journalled is kept, "
                "run the same command again to go on"
            ) from error
        self.rows |= {row["trial_id"]: row for row in rows}
