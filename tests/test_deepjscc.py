"""Learned analog transmission: the codec's laws, and its trials beside those of bits."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from run_folders import run_folder
from running import run, simulated

from channels.randomness import ChannelRandomness
from codec.analog import ReceivedSymbols
from codec.base import CodecError
from codec.deepjscc_codec import RATIOS, DeepJsccCodec
from testbed.errors import ScenarioError
from testbed.evaluation.certification import certify
from testbed.evaluation.metrics import psnr_db
from testbed.figures.axes import SWEEPS
from testbed.figures.curves import sweep_panels
from testbed.images import load_images
from testbed.language.scenario_loading import check_document
from testbed.language.yaml_source import parse_document
from testbed.running.plan import plan
from testbed.running.selection import Selection
from testbed.running.trials import ANALOG, expand_links
from testbed.sending.analog_simulation import symbols_within, transmit_symbols
from testbed.sending.transmission import layer_links

SCENARIO = """
images: {source: samples32, limit: 3}
repetitions: 4
codecs: [{type: deepjscc}, {type: jpeg}]
link:
  channel: [awgn, rayleigh_block]
  snr_db: [4, 12]
  modulation: [qpsk, 16qam]
  cbr: 1/6
"""


def scenario_of(text: str):
    return check_document(parse_document(text.encode(), "f.yaml"), Path())


@pytest.fixture(scope="module")
def codec() -> DeepJsccCodec:
    return DeepJsccCodec()


@pytest.fixture(scope="module")
def samples() -> list[np.ndarray]:
    return [image.pixels for image in load_images("samples32", Path())[:6]]


def over_noise(
    codec: DeepJsccCodec, image: np.ndarray, snr_db: float, uses: int = 512
) -> np.ndarray:
    (symbols,) = codec.encode_symbols([image], uses, snr_db)
    no = 10 ** (-snr_db / 10)
    received = symbols + math.sqrt(no) * ChannelRandomness(1).noise(0, len(symbols))
    noise = np.full(len(symbols), no)
    (picture,) = codec.decode_symbols([ReceivedSymbols(received, noise, *image.shape[:2])])
    return picture


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (33, 47), (64, 20)])
def test_symbols_have_unit_power_and_pictures_their_size(codec, size) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    (symbols,) = codec.encode_symbols([image], 10_000, 10.0)
    assert np.mean(np.abs(symbols) ** 2) == pytest.approx(1, abs=1e-12)
    noise = np.full(len(symbols), 0.1)
    (picture,) = codec.decode_symbols([ReceivedSymbols(symbols, noise, *size)])
    assert (picture.dtype, picture.shape) == (np.uint8, image.shape)


def test_more_snr_and_more_uses_are_better_pictures(codec, samples) -> None:
    by_snr = [
        np.mean([psnr_db(each, over_noise(codec, each, snr_db)) for each in samples])
        for snr_db in (0, 6, 12, 18)
    ]
    assert np.all(np.diff(by_snr) > 1)
    assert by_snr[2] > 28
    budgets = [int(3072 * Fraction(ratio)) for ratio in RATIOS]
    by_uses = [
        np.mean([psnr_db(each, over_noise(codec, each, 10, uses)) for each in samples])
        for uses in budgets
    ]
    assert np.all(np.diff(by_uses) > 1)


def test_budgets_are_kept(codec, samples) -> None:
    for uses, expected in ((0, None), (255, None), (512, 512), (800, 512), (513, 512)):
        (symbols,) = codec.encode_symbols(samples[:1], uses, 10.0)
        found = None if symbols is None else len(symbols)
        least = int(3072 * Fraction(RATIOS[0]))
        assert found == (expected if uses >= least else None)


def test_pictures_do_not_depend_on_those_beside_them(codec, samples) -> None:
    together = codec.encode_symbols(samples, 512, 7.0)
    for image, symbols in zip(samples, together, strict=True):
        (alone,) = codec.encode_symbols([image], 512, 7.0)
        assert np.array_equal(alone, symbols)
    received = [ReceivedSymbols(each, np.full(512, 0.2), 32, 32) for each in together]
    for each, picture in zip(received, codec.decode_symbols(received), strict=True):
        assert np.array_equal(codec.decode_symbols([each])[0], picture)


def test_what_does_not_fit_is_refused(codec) -> None:
    with pytest.raises(CodecError, match="expected an image"):
        codec.encode_symbols([np.zeros((8, 8), np.uint8)], 512, 10.0)
    with pytest.raises(CodecError, match="expected the symbols"):
        codec.decode_symbols([ReceivedSymbols(np.ones(7, complex), np.ones(7), 32, 32)])
    with pytest.raises(CodecError, match="expected trained_for"):
        DeepJsccCodec("fog")


def test_lost_symbols_fade_the_picture_and_do_not_end_it(codec, samples) -> None:
    (symbols,) = codec.encode_symbols(samples[:1], 512, 15.0)
    received, noise = symbols.copy(), np.full(512, 0.03)
    received[256:], noise[256:] = 0, math.inf
    (picture,) = codec.decode_symbols([ReceivedSymbols(received, noise, 32, 32)])
    whole = over_noise(codec, samples[0], 15.0)
    assert 12 < psnr_db(samples[0], picture) < psnr_db(samples[0], whole)


def test_packets_of_symbols_meet_the_link_s_draws() -> None:
    point = expand_links(scenario_of(SCENARIO + "  packet_loss: 0.5\n"))[-1]
    setting = layer_links(point)[0].setting
    randomness = ChannelRandomness(5)
    symbols = np.exp(2j * np.pi * np.arange(1000) / 7)
    sent, received, noise = transmit_symbols(symbols, setting, randomness, 100)
    lost = setting.loss.losses(0, 10, randomness)
    assert sent.packets_lost == lost.sum() > 0
    for number in range(10):
        part = slice(100 * number, 100 * number + 100)
        heard, left = setting.channel.transmit(symbols[part], setting.no, randomness, number)
        if lost[number]:
            assert np.all(received[part] == 0)
            assert np.all(noise[part] == math.inf)
        else:
            assert np.array_equal(received[part], heard)
            assert np.array_equal(noise[part], left)
    assert sent.ledger.channel_uses == sent.ledger.symbols == 1000
    assert symbols_within(1050, 100, setting.channel) == 1050


def test_trials_of_symbols_are_few_and_stand_beside_those_of_bits(tmp_path) -> None:
    scenario = scenario_of(SCENARIO)
    planned = plan(scenario)
    counts = [sum(trial.codec_index == k for trial in planned.trials) for k in (0, 1)]
    # What modulation and code are does not concern an analog codec.
    assert counts == [3 * 4 * 4, 3 * 4 * 8]
    _, rows = run(planned, tmp_path)
    certification = certify(Selection(planned), rows)
    assert not certification.violated
    assert certification.count("passed") > 0
    analog = [row for row in rows.values() if row["codec"] == "deepjscc"]
    for row in analog:
        assert row["modulation"] == row["protection"] == ANALOG
        assert row["channel_uses"] == row["symbols"] == row["budget"] == 512
        assert row["coded_bits"] == row["payload_bits"] == 0
        assert not row["failed"]
    folder = run_folder(pd.DataFrame(list(rows.values())), tmp_path / "drawn")
    panels = sweep_panels(folder.statistics, SWEEPS[0])
    assert len(panels) == 4
    for panel in panels:
        assert set(panel.rows["codec"]) == {"deepjscc", "jpeg"}
        assert (panel.rows["codec"] == "deepjscc").sum() == 2
        assert panel.rows["channel"].nunique() == 1


def test_a_budget_below_every_network_is_a_failure_that_costs_nothing() -> None:
    planned = plan(scenario_of(SCENARIO.replace("cbr: 1/6", "cbr: 1/48")))
    rows = [row for row in simulated(planned).values() if row["codec"] == "deepjscc"]
    assert rows
    for row in rows:
        assert row["failed"]
        assert row["channel_uses"] == row["packets_sent"] == 0


def test_channels_of_bits_are_refused() -> None:
    text = SCENARIO.replace("[awgn, rayleigh_block]", "bsc").replace("[qpsk, 16qam]", "bpsk")
    with pytest.raises(ScenarioError, match=r"f\.yaml:6:3: link\.channel: bsc takes bpsk only"):
        scenario_of(text)
