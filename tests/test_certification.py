"""Runs are held against theory: true links pass, links that deliver something else do not."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from running import run as run_plan
from scipy.special import j0

from channels.catalogue import CHANNELS, PACKET_LOSSES
from channels.channel import Channel
from channels.fading import Awgn, Rayleigh
from channels.gilbert_elliott import GilbertElliott, GilbertElliottChain
from channels.jitter import Jitter
from channels.packet_loss import IidPacketLoss
from channels.randomness import ChannelRandomness
from testbed.commands.run_command import RunOptions, run_scenario
from testbed.evaluation.certification import (
    FALSE_ALARM,
    Certification,
    certify,
    judged,
    write_certification,
)
from testbed.evaluation.certification_check import Check, count_p_value, gamma_p_value
from testbed.evaluation.certification_losses import LossChain, loss_chain
from testbed.evaluation.certification_report import CertificationError
from testbed.language.scenario_loading import load_scenario
from testbed.running.journal import JOURNAL
from testbed.running.plan import Plan, plan
from testbed.running.selection import Selection
from testbed.running.work import Row
from testbed.sending.simulation import OBSERVED

SCENARIO = """
name: certified
repetitions: 20
images: [{{source: samples32, limit: 4}}]
codecs: [{{type: jpeg}}]
packets: {{max_bytes: 40}}
link: {link}
"""


def scenario(link: str) -> str:
    """With the link's own values over those that all have here."""
    own = yaml.safe_load(f"{{{link}}}")
    common = {"snr_db": [4, 9], "cbr": "1/6", "modulation": "16qam"}
    return SCENARIO.format(link=json.dumps(common | own))


def run(folder: Path, link: str, *overrides: str) -> tuple[Plan, dict[str, Row]]:
    file = folder / "certified.yaml"
    file.write_text(scenario(link))
    planned = plan(load_scenario(file, list(overrides)))
    return planned, run_plan(planned, folder)[1]


def certified(folder: Path, link: str, *overrides: str) -> Certification:
    planned, rows = run(folder, link, *overrides)
    return certify(Selection(planned), rows)


def verdicts(certification: Certification) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for check in certification.checks:
        found.setdefault(check.family, set()).add(check.verdict)
    return found


SYMBOLS = {"delivered SNR", "reported noise", "uncoded error rate"}

TRUE_LINKS = {
    "channel: awgn": SYMBOLS | {"mean uncoded error rate"},
    "channel: awgn, transmissions: 4": SYMBOLS,
    "channel: awgn, coding: none, modulation: qpsk, damage: deliver": SYMBOLS,
    "channel: impaired": SYMBOLS,
    "channel: rayleigh_block": SYMBOLS | {"fading power", "mean uncoded error rate"},
    "channel: rayleigh_block, fading_block: image": SYMBOLS | {"fading power"},
    "channel: {type: rician, k_db: 3, variation: doppler, doppler: 0.003}": SYMBOLS
    | {"fading power", "Doppler"},
    "channel: {type: rayleigh, variation: doppler, doppler: 0.01}, fading_block: image": SYMBOLS
    | {"fading power", "Doppler"},
    "channel: {type: nakagami, m: 0.7, variation: symbol}": SYMBOLS | {"fading power"},
    'channel: {type: rayleigh, antennas: "1x2"}': SYMBOLS | {"fading power"},
    'channel: {type: nakagami, antennas: "2x2_alamouti"}': SYMBOLS | {"fading power"},
    "channel: {type: rician, shadowing_db: 6}": SYMBOLS,
    "channel: {type: ofdm, model: TDL-A, speed_m_s: 30}": SYMBOLS | {"fading power", "Doppler"},
    "channel: {type: ofdm, model: TDL-D, estimation: lmmse}": {"reported noise", "fading power"},
    "channel: {type: spatial_multiplexing, detector: zf}": {"reported noise"},
    "channel: {type: bsc, flip_probability: 0.07}, modulation: bpsk, code_rate: 1/3, cbr: 1": {
        "uncoded error rate"
    },
    "packet_loss: 0.1": SYMBOLS | {"packet loss"},
    "packet_loss: {type: gilbert_elliott, mean_loss: 0.3, mean_burst: 4}": SYMBOLS
    | {"packet loss", "burst length"},
    "packet_loss: {type: jitter, deadline_ms: 28}": SYMBOLS | {"packet loss", "burst length"},
    "channel: rayleigh_block, protection: {policy: table, name: power, layers: [{power_db: 3}, {}]}": SYMBOLS  # noqa: E501
    | {"fading power"},
}


@pytest.mark.parametrize("link", TRUE_LINKS)
def test_links_deliver_what_they_state(link: str, tmp_path: Path) -> None:
    certification = certified(tmp_path, link)
    assert certification.violated == ()
    found = verdicts(certification)
    assert {family for family in found if "passed" in found[family]} >= TRUE_LINKS[link]
    assert all(check.why for check in certification.checks if check.p_value is None)
    # Strict JSON, without infinities.
    content = json.loads(write_certification(tmp_path, certification).read_text())
    assert content["passed"] == certification.made
    assert len(content["checks"]) == len(certification.checks)


@dataclass(frozen=True)
class Weaker(Awgn):
    """.3 dB below the SNR that is stated, known to the receiver."""

    def transmit(self, symbols, no, randomness, packet):
        return super().transmit(symbols, no * 10**0.03, randomness, packet)


@dataclass(frozen=True)
class Misreporting(Awgn):
    """The SNR is right, what the demapper is told of it is not."""

    def transmit(self, symbols, no, randomness, packet):
        received, noise = super().transmit(symbols, no, randomness, packet)
        return received, noise * 10**-0.03


@dataclass(frozen=True)
class SecretlyWeaker(Awgn):
    """.3 dB more noise than anyone is told."""

    def transmit(self, symbols, no, randomness, packet):
        received, _ = super().transmit(symbols, no * 10**0.03, randomness, packet)
        return received, np.full(len(symbols), no)


@dataclass(frozen=True, kw_only=True)
class WeakerRayleigh(Rayleigh):
    """The gains are right, and the noise is .3 dB above what is stated."""

    def transmit(self, symbols, no, randomness, packet):
        return super().transmit(symbols, no * 10**0.03, randomness, packet)


@dataclass(frozen=True, kw_only=True)
class NotRayleigh(Rayleigh):
    """Mean power 1, but most of it in a steady path."""

    def fade(self, scattered):
        return np.sqrt(0.8) + np.sqrt(0.2) * scattered


@dataclass(frozen=True, kw_only=True)
class Faster(Rayleigh):
    """Gains run through time at twice the Doppler frequency that is stated."""

    def gains(self, randomness, packet, **arguments):
        arguments["uses_each"] = 2 * arguments.get("uses_each", 1)
        return super().gains(randomness, packet, **arguments)


@dataclass(frozen=True)
class Impulsive(Awgn):
    """Noise of the right power that comes in bursts: only the errors give it away."""

    def transmit(self, symbols, no, randomness, packet):
        received, noise = super().transmit(symbols, no, randomness, packet)
        strong = np.arange(len(symbols)) % 2
        return symbols + (received - symbols) * np.sqrt(0.2 + 1.6 * strong), noise


@dataclass(frozen=True)
class LongerBursts(GilbertElliott):
    """The mean loss is right, and bursts last 6 packets, whatever is stated."""

    def losses(self, first_packet, count, randomness):
        other = GilbertElliott(self.mean_loss, 6.0)
        return other.losses(first_packet, count, randomness)


@dataclass(frozen=True)
class MoreLoss(IidPacketLoss):
    """Half as many losses again."""

    def losses(self, first_packet, count, randomness):
        other = IidPacketLoss(1.5 * self.probability)
        return other.losses(first_packet, count, randomness)


SABOTAGE = [
    (Weaker, "", "delivered SNR"),
    (Misreporting, "", "reported noise"),
    (SecretlyWeaker, "", "delivered SNR"),
    (SecretlyWeaker, "", "reported noise"),
    (WeakerRayleigh, "", "delivered SNR"),
    (WeakerRayleigh, "variation: symbol", "delivered SNR"),
    (Impulsive, "", "uncoded error rate"),
    (NotRayleigh, "", "fading power"),
    (NotRayleigh, "", "mean uncoded error rate"),
    (Faster, "variation: doppler, doppler: 0.01", "Doppler"),
    (LongerBursts, "mean_loss: 0.3, mean_burst: 2", "burst length"),
    (MoreLoss, "probability: 0.2", "packet loss"),
]


@pytest.mark.parametrize(("made", "parameters", "family"), SABOTAGE)
def test_sabotage_is_noticed(
    made: type,
    parameters: str,
    family: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_channel = issubclass(made, Channel)
    known = CHANNELS if is_channel else PACKET_LOSSES
    monkeypatch.setitem(known, f"sabotage_{made.__name__}", made)
    key = "channel" if is_channel else "packet_loss"
    part = f"{{type: sabotage_{made.__name__}{', ' * bool(parameters)}{parameters}}}"
    certification = certified(tmp_path, f"{key}: {part}", "repetitions=80")
    assert verdicts(certification)[family] == {"violated"}


def test_what_is_asked_is_judged_all_together() -> None:
    """A thousandth is the chance of a false alarm of the run, not of one check."""
    checks = [Check("a", "b", "c", p_value=p) for p in (0.5, 3e-4, 0.1, 2.4e-4)]
    checks.append(Check("a", "b", "c", why="too few draws"))
    certification = judged(checks)
    # Of four that were made: below a quarter of the level.
    assert [check.verdict for check in certification.checks] == [
        "passed", "passed", "passed", "violated", "not checked"
    ]  # fmt: skip
    assert certification.summary() == {
        "false_alarm": FALSE_ALARM, "passed": 3, "violated": 1, "not_checked": 1,
    }  # fmt: skip


def test_it_is_the_same_for_any_batches_order_and_interruption(tmp_path: Path) -> None:
    link = "channel: {type: rayleigh, variation: doppler}, packet_loss: 0.2"
    planned, rows = run(tmp_path, link)
    reference = write_certification(tmp_path, certify(Selection(planned), rows)).read_bytes()
    (tmp_path / "b").mkdir()
    path = tmp_path / "b" / JOURNAL
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(reversed(lines[: len(lines) // 2])))
    _, rows = run_plan(planned, path.parent, images_at_once=1)
    again = write_certification(path.parent, certify(Selection(planned), rows))
    assert again.read_bytes() == reference


def test_a_picture_by_two_names_counts_once(tmp_path: Path) -> None:
    """It meets the same draws under both."""
    picture = Image.effect_noise((16, 16), 60).convert("RGB")
    for name in ("one", "other"):
        picture.save(tmp_path / f"{name}.png")
    planned, rows = run(tmp_path, "cbr: 1", "images=['*.png']", "repetitions=30")
    assert len(planned.trials) == 2 * 2 * 30
    one = [
        rows[t.trial_id][OBSERVED]
        for t in planned.trials
        if t.image_name == next(iter(planned.trials)).image_name
    ]
    for check in certify(Selection(planned), rows).checks:
        if check.family == "delivered SNR":
            assert check.draws == sum(each["symbols"] for each in one) / 2


def test_what_fails_by_tables_is_not_called_delivered(tmp_path: Path) -> None:
    planned, rows = run(tmp_path, "channel: rayleigh_block")
    unobserved = {key: row | {OBSERVED: None} for key, row in rows.items()}
    found = verdicts(certify(Selection(planned), unobserved))
    assert found == {"delivered SNR": {"not checked"}, "fading power": {"passed"}}


def test_strict_fails_when_all_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CHANNELS, "sabotage_strict", Weaker)
    file = tmp_path / "strict.yaml"
    file.write_text(scenario("channel: [awgn, sabotage_strict]"))
    out = tmp_path / "out"
    with pytest.raises(CertificationError, match=r"certification.json: \d+ of \d+ checks violated"):
        run_scenario(file, [], ["testbed", "run"], RunOptions(out, 1, strict=True))
    shown = capsys.readouterr().err
    assert "violated" in shown
    assert "sabotage_strict" in shown
    assert json.loads((out / "manifest.json").read_text())["certification"]["violated"] >= 2
    for suffix in ("png", "pdf"):
        assert (out / "figures" / f"certification.{suffix}").stat().st_size > 5000


def test_p_values_of_exponential_sums_are_uniform() -> None:
    random = np.random.default_rng(1)
    p = np.array([gamma_p_value(x, 7.0) for x in random.gamma(7.0, size=4000)])
    for level in (0.5, 0.1, 0.01):
        spread = (level * (1 - level) / len(p)) ** 0.5
        assert abs(np.mean(p < level) - level) < 4 * spread


@pytest.mark.parametrize("burst", [1.0, 3.0, 10.0])
@pytest.mark.parametrize("bursts", [0.3, 5.0, 60.0])
def test_p_values_of_counts_promise_no_more_than_they_keep(burst: float, bursts: float) -> None:
    """Poisson many bursts of geometric length: mean b, second moment b (2 b - 1)."""
    random = np.random.default_rng(2)
    n = 20_000
    number = random.poisson(bursts, n)
    sums = number + np.where(
        number > 0, random.negative_binomial(np.maximum(number, 1), 1 / burst), 0
    )
    values, counts = np.unique(sums, return_counts=True)
    p = np.array(
        [count_p_value(float(x), bursts * burst, bursts * burst * (2 * burst - 1)) for x in values]
    )
    for level in (1e-2, 1e-3):
        rate = counts[p < level].sum() / n
        assert rate < level + 4 * (level / n) ** 0.5


def test_p_values_of_nothing_expected() -> None:
    assert count_p_value(0.0, 0.0, 0.0) == 1.0
    assert count_p_value(3.0, 0.0, 0.0) == 0.0
    assert count_p_value(0.0, 1e-9, 1e-9) == 1.0
    assert count_p_value(4.0, 1e-9, 1e-9) < 1e-9


CHAINS = [
    IidPacketLoss(0.3),
    GilbertElliott(0.3, 2.5),
    GilbertElliottChain(0.2, 0.3, loss_in_good=0.1, loss_in_bad=0.7),
]


@pytest.mark.parametrize("model", CHAINS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("packets", [1, 2, 3, 6])
def test_variances_of_losses_by_trying_every_pattern(model, packets: int) -> None:
    chain = loss_chain(model)
    assert chain is not None
    mean_burst = getattr(model, "mean_burst", 1 / (1 - chain.mean_loss))
    assert chain.again == pytest.approx(1 - 1 / mean_burst)
    losses = pairs = squared_losses = squared_pairs = total = 0.0
    for pattern in itertools.product((False, True), repeat=packets):
        likely = pattern_probability(chain, pattern)
        lost = sum(pattern)
        pair = sum(a * (b - chain.again) for a, b in itertools.pairwise(pattern))
        total += likely
        losses, squared_losses = losses + likely * lost, squared_losses + likely * lost**2
        pairs, squared_pairs = pairs + likely * pair, squared_pairs + likely * pair**2
    assert total == pytest.approx(1.0)
    assert losses == pytest.approx(packets * chain.mean_loss)
    assert pairs == pytest.approx(0.0, abs=1e-12)
    assert chain.loss_variance(packets) == pytest.approx(squared_losses - losses**2)
    assert chain.pair_variance(packets) == pytest.approx(squared_pairs, abs=1e-12)


def pattern_probability(chain: LossChain, pattern: tuple[bool, ...]) -> float:
    """The forward algorithm of hidden Markov models."""
    state = chain.start
    for number, lost in enumerate(pattern):
        state = state @ chain.transitions if number else state
        state = state * (chain.loss if lost else 1 - chain.loss)
    return float(state.sum())


def test_late_packets_are_as_many_as_the_jitter_says() -> None:
    model = Jitter(deadline_ms=26.0, duplicate_probability=0.4)
    chain = loss_chain(model)
    assert chain is not None
    lost = model.losses(0, 20_000, ChannelRandomness(5)).mean()
    assert lost == pytest.approx(chain.mean_loss, abs=4 * (0.25 / 20_000) ** 0.5)


def test_the_lag_of_the_doppler_check_tells_speeds_apart(tmp_path: Path) -> None:
    planned, rows = run(tmp_path, "channel: {type: rayleigh, variation: doppler, doppler: 0.02}")
    checks = certify(Selection(planned), rows).checks
    (check,) = (each for each in checks if each.family == "Doppler")
    assert check.expected == pytest.approx(j0(1.0), abs=0.02)
    assert check.found == pytest.approx(check.expected, abs=4 * check.spread)
