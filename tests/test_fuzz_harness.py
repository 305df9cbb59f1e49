"""The harness itself: whatever a case does, it is found, named, and can be repeated."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from testbed.commands.fuzz_command import FuzzError, run_fuzz
from testbed.fuzz.damage import damaged
from testbed.fuzz.harness import Limits, run_target
from testbed.fuzz.target import Cases, Random, Target, random_of

LIMITS = Limits(seconds=1.0, wall_s=4.0, grown_bytes=50_000_000, guard_bytes=2_000_000_000)
BAD = 7
"""Number of the case that does it."""


def prepare(what: str, folder: Path) -> Cases:
    """Cases of which the one with BAD's numbers misbehaves."""
    assert not list(folder.iterdir())
    bad = float(random_of(what, 1, BAD).random())

    def cases(randoms: Sequence[Random]) -> None:
        begun = time.process_time()
        if bad in [float(random.random()) for random in randoms]:
            if what == "raise":
                raise KeyError("not there")
            if what == "hang":
                time.sleep(60)
            if what == "spin":
                while time.process_time() < begun + 1.5:
                    pass
            if what == "grow":
                np.ones(15_000_000)
            if what == "guarded":
                np.ones(1_000_000_000)
            if what == "die":
                ctypes.string_at(0)

    return cases


@pytest.mark.parametrize(
    ("what", "kind", "text", "at_once"),
    [
        ("raise", "raised", "KeyError: 'not there'", 1),
        ("raise", "raised", "KeyError: 'not there'", 5),
        ("hang", "slow", "test_fuzz_harness.py", 1),
        ("spin", "slow", "s of the processor", 5),
        ("grow", "memory", "grew by 1", 1),
        ("guarded", "raised", "MemoryError", 1),
        ("die", "died", "Segmentation fault", 5),
    ],
)
def test_the_case_that_fails_is_found(what: str, kind: str, text: str, at_once: int) -> None:
    target = Target(what, "", partial(prepare, what), at_once)
    # What is told by the processor's time is waited for; only what sleeps meets the clock.
    limits = LIMITS if what == "hang" else replace(LIMITS, wall_s=60.0)
    report = run_target(target, 1, range(12), limits)
    (failure,) = report.failures
    assert (failure.kind, failure.number, failure.seed) == (kind, BAD, 1)
    assert text in failure.text
    assert f"testbed fuzz {what} --seed 1 --only 7" in str(failure)
    assert report.cases == 12


def test_a_seed_and_a_number_make_the_case() -> None:
    assert random_of("a", 1, 2).random() == random_of("a", 1, 2).random()
    others = (("a", 1, 2), ("b", 1, 2), ("a", 2, 2), ("a", 1, 3))
    assert len({random_of(*each).random() for each in others}) == 4


def test_failures_end_a_target() -> None:
    target = Target("raise", "", prepare_all)
    report = run_target(target, 1, range(1000), LIMITS, most_failures=3)
    assert [failure.number for failure in report.failures] == [0, 1, 2]


def prepare_all(folder: Path) -> Cases:
    """Cases that all fail."""
    del folder

    def cases(randoms: Sequence[Random]) -> None:
        raise ValueError(len(randoms))

    return cases


def test_what_cannot_be_prepared_says_why() -> None:
    target = Target("x", "", partial(prepare_nothing))
    with pytest.raises(RuntimeError, match="no such thing"):
        run_target(target, 1, range(1), LIMITS)


def prepare_nothing(folder: Path) -> Cases:
    """Fails."""
    raise OSError(f"no such thing in {folder}")


def test_damage_changes_bytes_and_stays_small() -> None:
    data = bytes(range(200))
    random = np.random.default_rng(0)
    found = [damaged(data, random, [b"other"]) for _ in range(500)]
    assert sum(each != data for each in found) > 450
    assert max(map(len, found)) < 5000
    assert min(map(len, found)) < 20
    assert all(isinstance(damaged(b"", random), bytes) for _ in range(200))


def test_the_command_repeats_a_case_and_names_unknown_targets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_fuzz(["trace"], 5, 1, only=3)
    assert "trace" in capsys.readouterr().out
    with pytest.raises(FuzzError, match="did you mean 'trace'"):
        run_fuzz(["trase"], 5, 1, None)
