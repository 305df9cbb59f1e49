"""What the testbed raises when a user can mend the cause.

    Exception
      TestbedError          one clear line per problem; the command line prints it, no traceback
        ScenarioError       a scenario file or a `--set` is wrong: where, expected, found, mend
        ImageError          a picture, or a folder of pictures, cannot be used
        OutputError         a results folder or a file cannot be written
        CodecSetupError     (registry.py) a codec cannot be made, or cannot code an image
        StoredFileError     (files.py) a coded file cannot be decoded
        WorkerError         (runner.py) a worker process died

Any other exception is an error of the testbed itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class TestbedError(Exception):
    """Base of all errors that a user can mend. `str(error)` is for people: no traceback needed."""

    # The name begins with "Test": without this pytest would try to collect it.
    __test__ = False


class ImageError(TestbedError):
    """A picture, or a folder of pictures, is missing or cannot be read."""


class OutputError(TestbedError):
    """A results folder is missing, not writable, or holds the results of something else."""


@dataclass(frozen=True, slots=True)
class ScenarioProblem:
    """One thing that is wrong in a scenario.

    `file` is the scenario's path as the user gave it, or the `--set` at fault. `line` and `column`
    count from 1; None where there are none (a missing file, a `--set`).
    """

    file: str
    line: int | None
    column: int | None
    message: str

    def __str__(self) -> str:
        where = [str(each) for each in (self.file, self.line, self.column) if each is not None]
        return f"{':'.join(where)}: {self.message}"


class ScenarioError(TestbedError):
    """A scenario cannot be used. `str` has one line `FILE:LINE:COLUMN: message` per problem.

    `problems` holds at least one, in order of their places; `file`, `line`, `column` and `message`
    are those of the first.
    """

    def __init__(self, problems: Sequence[ScenarioProblem]) -> None:
        # All that is needed to rebuild the error is in `args`, so that it survives pickling.
        super().__init__(tuple(problems))
        self.problems = tuple(problems)
        self.file = problems[0].file
        self.line = problems[0].line
        self.column = problems[0].column
        self.message = problems[0].message

    @classmethod
    def at(cls, file: str, line: int | None, column: int | None, message: str) -> ScenarioError:
        """The error for a single problem."""
        return cls([ScenarioProblem(file, line, column, message)])

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def error_words(error: BaseException) -> str:
    """Its kind and its message on one line: of an error in code that is not the testbed's."""
    return " ".join(f"{type(error).__name__}: {error}".split())
