"""Loss above the physical layer: bursts, traces and late packets, against closed forms."""

import dataclasses
import hashlib
import itertools
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from channels.errors import ChannelError
from channels.gilbert_elliott import GilbertElliott, GilbertElliottChain
from channels.jitter import Jitter
from channels.loss_trace import LossTrace
from channels.packet_loss import PACKET_LOSSES, IidPacketLoss, PacketLoss, register_packet_loss
from channels.randomness import ChannelRandomness, derive_key

RANDOMNESS = ChannelRandomness(derive_key("packet loss tests"))
TRACE = "# measured\n0\nreceived\n1\n\nLost  # twice in a row\n  0\n"
TRACE_LOST = [False, False, True, True, False]

probabilities = st.floats(0.0, 1.0)


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "five.txt"
    path.write_text(TRACE)
    return path


def run_lengths(lost: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Lengths of the runs of losses that begin and end within `lost`."""
    lengths = [len(list(run)) for bad, run in itertools.groupby(lost) if bad]
    return np.array(lengths[int(lost[0]) : len(lengths) - int(lost[-1])])


def assert_within_99(found: float, expected: float, deviation: float) -> None:
    assert abs(found - expected) < 2.576 * deviation


@pytest.fixture(params=["iid", "gilbert_elliott", "gilbert_elliott_chain", "trace", "jitter"])
def model(request: pytest.FixtureRequest, trace: Path) -> PacketLoss:
    models: dict[str, Callable[[], PacketLoss]] = {
        "iid": lambda: IidPacketLoss(0.3),
        "gilbert_elliott": lambda: GilbertElliott(0.3, 4.0),
        "gilbert_elliott_chain": lambda: GilbertElliottChain(0.1, 0.2, 0.05, 0.8),
        "trace": lambda: LossTrace(trace),
        "jitter": lambda: Jitter(deadline_ms=27.0, duplicate_probability=0.3),
    }
    made = models[request.param]()
    assert type(made) is PACKET_LOSSES[request.param]
    return made


def test_fates_are_the_same_in_any_run(model: PacketLoss) -> None:
    whole = model.losses(0, 300, RANDOMNESS)
    assert whole.dtype == np.bool_
    assert whole.shape == (300,)
    assert 20 < whole.sum() < 280
    again = dataclasses.replace(model)  # type: ignore[type-var]
    for first, count in ((299, 1), (0, 1), (100, 150), (7, 0), (1, 2), (250, 50)):
        part = again.losses(first, count, RANDOMNESS)
        np.testing.assert_array_equal(part, whole[first : first + count])
    others = {
        model.losses(0, 300, ChannelRandomness(derive_key("other image", image))).tobytes()
        for image in range(20)
    }
    assert len(others) == (5 if isinstance(model, LossTrace) else 20)


def test_what_arrives_is_what_is_not_lost(model: PacketLoss) -> None:
    whole = model.arrivals(0, 300, RANDOMNESS)
    assert whole.dtype == np.int64
    for first, count in ((0, 300), (50, 100), (7, 0)):
        lost = model.losses(first, count, RANDOMNESS)
        arrived = model.arrivals(first, count, RANDOMNESS)
        assert set(arrived.tolist()) == set((first + np.flatnonzero(~lost)).tolist())
        # A part arrives in the order that it has in the whole.
        within = (whole >= first) & (whole < first + count)
        np.testing.assert_array_equal(arrived, whole[within])
    if not isinstance(model, Jitter):
        assert np.all(np.diff(whole) > 0)


def test_models_are_values(model: PacketLoss) -> None:
    again = dataclasses.replace(model)  # type: ignore[type-var]
    assert again == model == pickle.loads(pickle.dumps(model))
    assert hash(again) == hash(model)


# Gilbert-Elliott


@pytest.mark.parametrize(
    ("mean_loss", "mean_burst"), [(0.05, 3.0), (0.3, 10.0), (0.01, 1.0 / 0.99), (0.7, 4.0)]
)
def test_gilbert_has_the_loss_and_the_bursts_that_were_asked(
    mean_loss: float, mean_burst: float
) -> None:
    count = 60_000
    lost = GilbertElliott(mean_loss, mean_burst).losses(0, count, RANDOMNESS)
    ends = 1.0 / mean_burst
    begins = mean_loss * ends / (1.0 - mean_loss)
    memory = 1.0 - ends - begins
    spread = mean_loss * (1.0 - mean_loss) * (1.0 + memory) / (1.0 - memory)
    assert_within_99(float(lost.mean()), mean_loss, math.sqrt(spread / count))
    # A run is geometric: P(length = n) = (1 - ends)^(n - 1) ends.
    runs = run_lengths(lost)
    assert_within_99(float(runs.mean()), mean_burst, math.sqrt((1 - ends) / len(runs)) / ends)
    assert_within_99(float(np.mean(runs == 1)), ends, math.sqrt(ends * (1 - ends) / len(runs)))
    gaps = run_lengths(~lost)
    deviation = math.sqrt((1 - begins) / len(gaps)) / begins
    assert_within_99(float(gaps.mean()), 1.0 / begins, deviation)


@pytest.mark.parametrize("packet", [0, 1, 9])
def test_gilbert_starts_in_its_stationary_state(packet: int) -> None:
    model = GilbertElliott(0.2, 20.0)
    images = 4000
    keys = (derive_key("stationary", packet, image) for image in range(images))
    lost = sum(bool(model.losses(packet, 1, ChannelRandomness(key))[0]) for key in keys)
    assert_within_99(lost / images, 0.2, math.sqrt(0.2 * 0.8 / images))


@pytest.mark.parametrize("chain", [(0.05, 0.25, 0.02, 0.6), (0.7, 0.8, 0.1, 0.9)])
def test_elliott_loses_in_both_states(chain: tuple[float, float, float, float]) -> None:
    p, q, in_good, in_bad = chain
    model = GilbertElliottChain(*chain)
    count = 60_000
    lost = model.losses(0, count, RANDOMNESS)
    bad = p / (p + q)
    mean_loss = (1 - bad) * in_good + bad * in_bad
    assert model.mean_loss == pytest.approx(mean_loss)
    memory = 1 - p - q
    between = bad * (1 - bad) * (in_bad - in_good) ** 2
    spread = mean_loss * (1 - mean_loss) + 2 * between * memory / (1 - memory)
    assert_within_99(float(lost.mean()), mean_loss, math.sqrt(spread / count))
    # P(two in a row) = mean_loss^2 + the covariance of neighbours.
    both = float(np.mean(lost[1:] & lost[:-1]))
    assert both == pytest.approx(mean_loss**2 + between * memory, abs=4 / math.sqrt(count))
    runs = run_lengths(lost)
    deviation = float(runs.std()) / math.sqrt(len(runs))
    assert_within_99(float(runs.mean()), model.mean_burst, deviation)


@given(st.floats(1e-6, 0.99), st.floats(1.0, 100.0))
def test_gilbert_and_its_chain_agree(mean_loss: float, stretch: float) -> None:
    mean_burst = stretch / (1.0 - mean_loss)
    chain = GilbertElliott(mean_loss, mean_burst).chain
    assert chain.mean_loss == pytest.approx(mean_loss)
    assert chain.mean_burst == pytest.approx(mean_burst)


def test_shortest_bursts_are_independent_losses() -> None:
    chain = GilbertElliott(0.25, 1.3333333).chain
    assert chain.good_to_bad == pytest.approx(1.0 - chain.bad_to_good, abs=1e-6)
    assert not GilbertElliott(0.0, 1.0).losses(0, 100, RANDOMNESS).any()


@given(probabilities, probabilities, st.integers(0, 60), st.integers(0, 2**32))
@settings(deadline=None)
def test_a_chain_is_the_same_from_wherever_it_is_followed(
    good_to_bad: float, bad_to_good: float, first: int, key: int
) -> None:
    model = GilbertElliottChain(good_to_bad, max(bad_to_good, 1e-3), 0.1, 0.9)
    randomness = ChannelRandomness(key)
    np.testing.assert_array_equal(
        model.losses(first, 64 - first, randomness), model.losses(0, 64, randomness)[first:]
    )


def test_a_late_packet_of_a_chain_is_found_quickly() -> None:
    """By steps back to where the state is certain, not from packet 0."""
    model = GilbertElliott(0.1, 5.0)
    packet = 1 << 60
    lost = model.losses(packet, 3, RANDOMNESS)
    np.testing.assert_array_equal(lost[1:], model.losses(packet + 1, 2, RANDOMNESS))


@given(
    st.lists(st.floats(0.001, 0.999), min_size=4, max_size=4),
    st.lists(probabilities, min_size=4, max_size=4),
    st.integers(0, 2**32),
)
@settings(deadline=None)
def test_more_of_whatever_loses_adds_losses(
    less: list[float], growth: list[float], key: int
) -> None:
    p, stay, in_good, in_bad = less
    # Stays at least as likely bad from bad as from good, and as likely lost.
    stay, in_bad = max(p, stay), max(in_good, in_bad)
    more_stay = stay + growth[1] * (0.999 - stay)
    more_p = p + growth[0] * (more_stay - p)
    more_in_bad = in_bad + growth[3] * (1 - in_bad)
    more_in_good = in_good + growth[2] * (more_in_bad - in_good)
    randomness = ChannelRandomness(key)
    few = GilbertElliottChain(p, 1 - stay, in_good, in_bad).losses(0, 60, randomness)
    many = GilbertElliottChain(more_p, 1 - more_stay, more_in_good, more_in_bad)
    assert not np.any(few & ~many.losses(0, 60, randomness))


def test_a_larger_mean_loss_adds_losses_at_the_same_burst() -> None:
    lost = [GilbertElliott(loss, 6.0).losses(0, 3000, RANDOMNESS) for loss in (0.02, 0.1, 0.4)]
    assert not np.any(lost[0] & ~lost[1])
    assert not np.any(lost[1] & ~lost[2])
    assert 0 < lost[0].sum() < lost[1].sum() < lost[2].sum()


# Traces


def test_a_trace_from_its_beginning_and_again(trace: Path) -> None:
    model = LossTrace(trace, "beginning")
    assert model.length == 5
    assert model.mean_loss == 0.4
    assert model.losses(0, 12, RANDOMNESS).tolist() == (3 * TRACE_LOST)[:12]
    assert model.losses(4, 3, RANDOMNESS).tolist() == (2 * TRACE_LOST)[4:7]


def test_a_trace_from_a_random_line(trace: Path) -> None:
    model = LossTrace(trace)
    images = 2000
    rotations = [TRACE_LOST[k:] + TRACE_LOST[:k] for k in range(5)]
    starts = np.zeros(5)
    for image in range(images):
        randomness = ChannelRandomness(derive_key("trace", image))
        starts[rotations.index(model.losses(0, 5, randomness).tolist())] += 1
    # Every line is as likely to be the first: chi-squared with 4 degrees of freedom.
    assert np.sum((starts - images / 5) ** 2 / (images / 5)) < stats.chi2.ppf(0.99, 4)


def test_a_trace_is_its_content(trace: Path, tmp_path: Path) -> None:
    model = LossTrace(trace)
    assert model.content_sha256 == hashlib.sha256(TRACE.encode()).hexdigest()
    copy = tmp_path / "copy.txt"
    copy.write_text(TRACE)
    kept = LossTrace(copy)
    assert kept == model
    assert kept != LossTrace(trace, "beginning")
    copy.write_text(TRACE.replace("received", "lost"))
    changed = LossTrace(copy)
    assert changed != model
    assert changed.content_sha256 != model.content_sha256
    copy.unlink()
    assert kept.losses(0, 5, RANDOMNESS).tolist() == model.losses(0, 5, RANDOMNESS).tolist()


def test_a_trace_in_the_files_of_other_systems(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_bytes(b"\xef\xbb\xbf0\r\n1\r\n# d\xc3\xa9but\r\n1")
    assert LossTrace(path, "beginning").losses(0, 3, RANDOMNESS).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"0\n1\n2\n", r"bad\.txt, line 3: expected 0, 1, received or lost, found '2'"),
        (b"# a\n\nlost lost\n", "line 3: .* found 'lost lost'"),
        (b"0\n\xff\xfe\n", "line 2: expected 0, 1"),
        (b"x" * 1000, r"line 1: .* found 'x{20}\.\.\.'"),
        (b"# nothing\n\n", "expected at least one packet, found none"),
        (b"", "expected at least one packet, found none"),
    ],
)
def test_damaged_traces(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(ChannelError, match=message):
        LossTrace(path)


# Jitter


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0, 30.0])
@pytest.mark.parametrize("duplicates", [0.0, 0.4])
def test_late_share_is_the_tail_of_the_delays(shape: float, duplicates: float) -> None:
    count = 12_000
    jitter_ms, base_ms = 6.0, 15.0
    delays = stats.gamma(shape, loc=base_ms, scale=jitter_ms / math.sqrt(shape))
    assert delays.std() == pytest.approx(jitter_ms)
    previous = np.ones(count, np.bool_)
    for share in (0.5, 0.1, 0.02):
        deadline_ms = float(delays.isf(share))
        model = Jitter(1.0, base_ms, jitter_ms, deadline_ms, shape, duplicates)
        lost = model.losses(0, count, RANDOMNESS)
        expected = share * (1 - duplicates * (1 - share))
        deviation = math.sqrt(expected * (1 - expected) / count)
        assert_within_99(float(lost.mean()), expected, deviation)
        # A later deadline only takes losses away.
        assert not np.any(lost & ~previous)
        previous = lost


def test_more_jitter_and_fewer_duplicates_add_losses() -> None:
    def lost(jitter_ms: float, duplicates: float) -> NDArray[np.bool_]:
        model = Jitter(jitter_ms=jitter_ms, duplicate_probability=duplicates, deadline_ms=30.0)
        return model.losses(0, 2000, RANDOMNESS)

    assert not np.any(lost(3.0, 0.2) & ~lost(6.0, 0.2))
    assert not np.any(lost(6.0, 0.7) & ~lost(6.0, 0.2))
    assert lost(6.0, 0.7).sum() < lost(6.0, 0.2).sum() < lost(6.0, 0.0).sum()


def test_arrivals_are_the_packets_on_time_and_their_duplicates() -> None:
    count, duplicates = 8000, 0.3
    model = Jitter(2.0, 10.0, 5.0, 20.0, 1.0, duplicates)
    packets, copies = np.unique(model.arrivals(0, count, RANDOMNESS), return_counts=True)
    lost = model.losses(0, count, RANDOMNESS)
    np.testing.assert_array_equal(packets, np.flatnonzero(~lost))
    assert set(copies.tolist()) == {1, 2}
    on_time = 1 - math.exp(-10.0 / 5.0)
    twice = duplicates * on_time**2
    deviation = math.sqrt(twice * (1 - twice) / count)
    assert_within_99(int(np.sum(copies == 2)) / count, twice, deviation)


@pytest.mark.parametrize("interval_ms", [0.0, 2.0, 10.0])
def test_neighbours_overtake_each_other_as_often_as_their_delays_say(interval_ms: float) -> None:
    """With exponential delays of mean s, P(d[n] > d[n+1] + interval) = exp(-interval / s) / 2."""
    count, jitter_ms = 16_000, 5.0
    model = Jitter(interval_ms, 20.0, jitter_ms, 1e6, 1.0)
    arrived = model.arrivals(0, count, RANDOMNESS)
    place = np.empty(count, np.int64)
    place[arrived] = np.arange(count)
    overtaken = place[0::2] > place[1::2]
    expected = math.exp(-interval_ms / jitter_ms) / 2
    deviation = math.sqrt(expected * (1 - expected) / (count // 2))
    assert_within_99(float(overtaken.mean()), expected, deviation)


def test_without_jitter_the_deadline_is_sharp() -> None:
    on_time = Jitter(0.0, 20.0, 0.0, 20.0, duplicate_probability=1.0)
    assert on_time.arrivals(5, 3, RANDOMNESS).tolist() == [5, 5, 6, 6, 7, 7]
    late = Jitter(0.0, 20.0, 0.0, 19.99)
    assert late.losses(0, 3, RANDOMNESS).all()
    assert late.arrivals(0, 3, RANDOMNESS).tolist() == []


# Errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GilbertElliott(-0.1), r"mean_loss: expected 0\.0 \.\. 1\.0, found -0\.1"),
        (lambda: GilbertElliott(1.0), "mean_loss: expected less than 1"),
        (lambda: GilbertElliott(0.5, 1.9), "mean_burst: expected at least 2, .* found 1.9"),
        (lambda: GilbertElliott(0.0, 0.5), "mean_burst: expected 1.0 .. 1000000.0, found 0.5"),
        (lambda: GilbertElliott(0.1, math.inf), "mean_burst: expected .* found inf"),
        (lambda: GilbertElliott(math.nan), "mean_loss: expected .* found nan"),
        (lambda: GilbertElliottChain(1.1), "good_to_bad: expected .* found 1.1"),
        (lambda: GilbertElliottChain(0.1, -1.0), "bad_to_good: expected .* found -1.0"),
        (lambda: GilbertElliottChain(loss_in_good=2.0), "loss_in_good: expected"),
        (lambda: GilbertElliottChain(loss_in_bad=math.nan), "loss_in_bad: expected"),
        (lambda: GilbertElliottChain(0.0, 0.0), "no stationary state.*, found 0 and 0"),
        (lambda: LossTrace(), "file: expected the path of a loss trace, found none"),
        (lambda: LossTrace(Path("no/such")), "file: expected a readable .*such: No such file"),
        (lambda: LossTrace(Path("/dev/zero")), "file: expected a readable .*zero: a device or a"),
        (lambda: LossTrace(Path("a"), "end"), "start: expected one of random, beginning"),  # type: ignore[arg-type]
        (lambda: Jitter(interval_ms=-1.0), "interval_ms: expected"),
        (lambda: Jitter(base_ms=math.inf), "base_ms: expected"),
        (lambda: Jitter(jitter_ms=math.nan), "jitter_ms: expected"),
        (lambda: Jitter(deadline_ms=-0.1), "deadline_ms: expected"),
        (lambda: Jitter(shape=0.0), "shape: expected"),
        (lambda: Jitter(duplicate_probability=1.5), "duplicate_probability: expected"),
        (lambda: register_packet_loss("trace")(Jitter), "'trace': expected a new name"),
        (lambda: register_packet_loss("jitter")(LossTrace), "'jitter': expected a new name"),
        (lambda: register_packet_loss("gilbert_elliott")(Jitter), "expected a new name"),
    ],
)
def test_errors(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ChannelError, match=message):
        make()
