"""What a process does with works: set up once, then each work to its rows and failures."""

from __future__ import annotations

import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from testbed.errors import error_words
from testbed.plugins.loading import Plugin, load_plugins
from testbed.running.journal import FORMAT, line_of
from testbed.running.peak_memory import peak_memory_mib
from testbed.running.stream_cache import StreamCache
from testbed.running.work import Failure, Seconds, Work, WorkResult
from testbed.sending.simulation import rows_of, taken_cache_use, use_stream_cache


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a process needs to know before its first work.

    cache_folder: of encoded streams; None: none are kept on the disk.
    """

    plugins: tuple[Plugin, ...] = ()
    device: str = "cpu"
    cache_folder: Path | None = None
    cache_bytes: int = 0

    def begin(self) -> None:
        """Sets this process up; again with the same setup, nothing changes."""
        import torch

        from codec.device import set_device

        torch.set_num_threads(1)
        load_plugins(self.plugins)
        set_device(self.device)
        use_stream_cache(
            None if self.cache_folder is None else StreamCache(self.cache_folder, self.cache_bytes)
        )


def run_work(work: Work) -> WorkResult:
    """A row or a failure for each trial.

    An error of any kind is confined to the trials that raise it: the rest of the work is done
    without them. A trial that raises is tried once more before it counts as failed.
    """
    return replace(_outcome_of(work), cache=taken_cache_use(), peak_mib=peak_memory_mib())


def _outcome_of(work: Work) -> WorkResult:
    seconds = Seconds()
    # What follows is outside the handling of the first error, so that no traceback has it, too.
    with suppress(Exception):
        return WorkResult(work.codec.name, _lines_of(work, seconds), [], seconds)
    if len(work.trials) > 1:
        first, second = map(_outcome_of, halves(work))
        seconds.add(first.seconds)
        seconds.add(second.seconds)
        return WorkResult(
            work.codec.name,
            first.lines + second.lines,
            first.failures + second.failures,
            seconds,
            first.tracebacks + second.tracebacks,
        )
    try:
        return WorkResult(work.codec.name, _lines_of(work, seconds), [], seconds)
    except Exception as error:
        failure = failure_of(work, error_words(error))
        return WorkResult(work.codec.name, [], [failure], seconds, (traceback.format_exc(),))


def _lines_of(work: Work, seconds: Seconds) -> list[bytes]:
    return [line_of(row, FORMAT) for row in rows_of(work, seconds)]


def halves(work: Work) -> tuple[Work, Work]:
    """The work in two parts, each with the images that it needs: those of an image together."""
    trials = sorted(work.trials, key=lambda trial: trial.image_index)
    middle = len(trials) // 2
    parts = tuple(trials[:middle]), tuple(trials[middle:])
    first, second = (
        replace(
            work,
            trials=part,
            images={trial.image_index: work.images[trial.image_index] for trial in part},
        )
        for part in parts
    )
    return first, second


def failure_of(work: Work, words: str) -> Failure:
    """Of a work of one trial. words: one line."""
    (trial,) = work.trials
    return Failure(
        trial_id=trial.trial_id,
        case=work.case,
        codec=trial.codec_name,
        image=trial.image_name,
        repetition=trial.repetition,
        channel=trial.link.channel.label,
        snr_db=trial.link.snr_db,
        error=words[:500],
    )
