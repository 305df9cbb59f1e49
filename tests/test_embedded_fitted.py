"""Streams of the embedded profile that are made for one budget."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from extreme_pictures import extreme_pictures
from scipy.special import erfc
from test_embedded_codec import first_bytes, stream_of, whole
from test_embedded_irreversible import mse
from test_embedded_transform import real_coefficients
from typer.testing import CliRunner

from codec.base import CodecError, Image, ReceivedLayer, ReceivedPart
from codec.embedded.bin_engine import (
    decoder_input,
    finish_encoder,
    start_decoder,
    start_encoder,
)
from codec.embedded.codec import EmbeddedCodec, alike_of
from codec.embedded.coding import encode_alike
from codec.embedded.fitted import FittedCodec
from codec.embedded.pass_coder import MOST_STEPS
from codec.embedded.pyramid import split
from codec.embedded.schedule import BLOCK, first_level, kind_of
from codec.embedded.slices import as_layers, boxes
from codec.embedded.steps import (
    FACTORS,
    INVERSES,
    STEPS,
    UNIT_STEP,
    read_step,
    stepped_coefficients,
    tell_step,
    unstepped,
)
from codec.embedded.transform import coefficients, expected_pixels
from codec.embedded.versions import STEPPED_VERSION
from codec.layered import open_layered
from codec.picture_header import PictureHeader
from testbed.cli import app
from testbed.evaluation.metrics import psnr_db
from testbed.images import load_images, read_picture
from testbed.language.codec_sections import SemanticCodecSection
from testbed.registry import CodecSetupError, codec_fingerprint, make_codec

ALL_STEPS = np.arange(STEPS)


@pytest.fixture(scope="module")
def codec() -> FittedCodec:
    opened = open_layered("embedded", fit=STEPS)
    assert isinstance(opened, FittedCodec)
    return opened


@pytest.fixture(scope="module")
def samples() -> list[Image]:
    return [image.pixels for image in load_images("samples32", Path())[::3]]


def errors(codec: FittedCodec, pictures: list[Image], budget_bytes: int) -> list[float]:
    encoded = codec.encode_batch(pictures, budget_bytes)
    assert all(each is not None and each.payload_bits <= 8 * budget_bytes for each in encoded)
    shown = codec.decode_batch([whole(each) for each in encoded if each is not None])
    return [mse(found.image, picture) for found, picture in zip(shown, pictures, strict=True)]


# ------------------------------------------------------------------------------------ the steps


def test_factors_are_powers_of_two_that_no_libm_rounds_otherwise() -> None:
    for sign, table in ((1, FACTORS), (-1, INVERSES)):
        exact = 2.0 ** (14 + sign * (ALL_STEPS - UNIT_STEP) / 8)
        assert np.abs(exact - table).max() < 0.5 - 0.005
    assert FACTORS[UNIT_STEP] == INVERSES[UNIT_STEP] == 2**14


def test_stepped_coefficients_are_the_lapped_dct_in_that_step() -> None:
    random = np.random.default_rng(1)
    pictures = random.integers(0, 256, (STEPS, 12, 16, 3)).astype(np.uint8)
    found = stepped_coefficients(pictures, ALL_STEPS)
    unit = found[UNIT_STEP : UNIT_STEP + 1]
    assert np.array_equal(unit, coefficients(pictures, reversible=False)[UNIT_STEP : UNIT_STEP + 1])
    for k in ALL_STEPS:
        factor = 2 ** ((k - UNIT_STEP) / 8)
        error = found[k] - factor * real_coefficients(pictures[k])
        assert np.abs(error).max() < 0.5 + 6 / 16 * factor
        assert abs(error.mean()) < 0.05


def test_no_picture_asks_for_more_than_a_first_level_can_say() -> None:
    """Blocks' by the bases' norms: test_embedded_pyramid."""
    extremes = extreme_pictures(24, 16)
    parts = split(stepped_coefficients(extremes, np.full(len(extremes), STEPS - 1)))
    stages = len(parts) - 2
    top = first_level(stages)
    for k, part in enumerate(parts[:-1]):
        assert (np.abs(part) >> kind_of(k, stages).planes(top)).max() <= 4 < MOST_STEPS
    for group, first in zip(BLOCK.groups, BLOCK.first or (), strict=True):
        steps = np.abs(parts[-1][..., group]) >> BLOCK.planes(first)[group]
        assert steps.max() < MOST_STEPS


@pytest.mark.parametrize("step", range(STEPS))
def test_coefficients_in_any_step_give_the_picture_back(step: int) -> None:
    pictures = np.random.default_rng(step).integers(5, 251, (40, 16, 16, 3)).astype(np.uint8)
    steps = np.full(len(pictures), step)
    known = stepped_coefficients(pictures, steps) << 4
    shown = expected_pixels(unstepped(known, steps), 16, 16, grey=False, reversible=False)
    # Rounding to steps of 2^((3 - k) / 8) is noise, of this variance in red, green and blue, before
    # grey levels are rounded; the inverse's sixteenths add a little.
    variance = np.array([1.5, 1.25, 1.5]) / 12 * 4 ** ((UNIT_STEP - step) / 8)
    levels = np.arange(1, 6)[:, None]
    beyond = erfc((levels - 0.5) / np.sqrt(2 * variance))
    expected = np.sum((2 * levels - 1) * beyond, axis=0).mean()
    assert 0.95 * expected < mse(shown, pictures) < 1.5 * expected


def test_a_stream_says_its_step_first_or_ends_before() -> None:
    for step in ALL_STEPS:
        coder, buffer = start_encoder(), np.empty(32, np.uint8)
        tell_step(coder, buffer, step)
        data = buffer[: int(finish_encoder(coder, buffer))].tobytes()
        assert len(data) == 1
        data = decoder_input(data)
        assert read_step(start_decoder(data), data) == step
    nothing = decoder_input(b"")
    assert read_step(start_decoder(nothing), nothing) == -1


# ---------------------------------------------------------------------------------- the streams


def test_without_a_budget_it_is_the_irreversible_stream_in_one_layer(
    codec: FittedCodec, samples: list[Image]
) -> None:
    layered = EmbeddedCodec(codec.profile, reversible=False)
    for one, other in zip(codec.encode_batch(samples), layered.encode_batch(samples), strict=True):
        assert one is not None and other is not None
        (layer,) = one.layers
        assert 0 <= len(layer.data) - other.payload_bits // 8 <= 1
        assert layer.data[0] == 13 << 4 | 8 | (other.layers[0].data[0] & 7)
        # Either codec reads both.
        for reader in (codec, layered):
            first, second = reader.decode_batch([whole(one), whole(other)])
            assert np.array_equal(first.image, second.image)
            assert first.layers_decoded == 1


@pytest.mark.parametrize("rate_bpp", [0.5, 1, 2, 4])
def test_more_steps_are_never_worse_and_better_than_cutting(
    codec: FittedCodec, samples: list[Image], rate_bpp: float
) -> None:
    budget_bytes = int(128 * rate_bpp)
    found = [
        errors(FittedCodec(codec.profile, tries), samples, budget_bytes) for tries in (1, 2, 4, 8)
    ]
    for fewer, more in pairwise(found):
        assert all(b <= a for a, b in zip(fewer, more, strict=True))
    streams = map(stream_of, EmbeddedCodec(codec.profile, reversible=False).encode_batch(samples))
    cut = codec.decode_batch([first_bytes(stream, budget_bytes) for stream in streams])
    gain_db = 10 * np.log10(
        [mse(each.image, picture) for each, picture in zip(cut, samples, strict=True)]
    ) - 10 * np.log10(found[-1])
    # .3 to .5 dB on CIFAR-10's test half; these are few.
    assert gain_db.mean() > 0.1


def test_budgets_that_bear_no_picture_get_none(codec: FittedCodec, samples: list[Image]) -> None:
    for budget_bytes in (0, 1):
        assert codec.encode_batch(samples[:2], budget_bytes) == [None, None]
    assert all(codec.encode_batch(samples[:2], 4))


def test_budgets_beyond_the_whole_stream_get_it_whole(
    codec: FittedCodec, samples: list[Image]
) -> None:
    (encoded,) = codec.encode_batch(samples[:1], 10_000)
    assert encoded is not None
    # In the finest step, which is then the best.
    assert errors(codec, samples[:1], 10_000)[0] < 0.2
    (unit,) = FittedCodec(codec.profile, 1).encode_batch(samples[:1], 10_000)
    assert unit is not None and encoded.payload_bits > unit.payload_bits


def test_what_else_is_in_the_batch_changes_nothing(
    codec: FittedCodec, samples: list[Image]
) -> None:
    grey = np.repeat(samples[1][..., :1], 3, axis=2)
    pictures = [*samples[:3], grey, samples[4][:20, :24], samples[5]]
    together = codec.encode_batch(pictures, 100)
    assert together == [codec.encode_batch([picture], 100)[0] for picture in pictures]
    (found,) = codec.decode_batch([whole(together[3])] if together[3] else [])
    assert found.image is not None
    assert (found.image == found.image[..., :1]).all()


def test_a_prefix_shows_what_it_tells(codec: FittedCodec, samples: list[Image]) -> None:
    (encoded,) = codec.encode_batch(samples[2:3], 400)
    cuts = [codec.decode_batch([first_bytes(stream_of(encoded), n)])[0] for n in (1, 8, 40, 200)]
    assert cuts[0].image is None
    shown = [psnr_db(samples[2], each.image) for each in cuts[1:]]
    assert shown == sorted(shown)
    assert shown[-1] > 25


def test_slices_with_steps_decode_and_damaged_headers_cost_one(
    codec: FittedCodec, samples: list[Image]
) -> None:
    """No encoder here makes them; decoders know them all the same."""
    picture = np.tile(samples[1], (2, 2, 1))
    header = PictureHeader(64, 64, 0, False, 32, False, STEPPED_VERSION)
    places = boxes(64, 64, 32)
    alike = alike_of(places[0], header, codec.profile)
    pictures = np.stack([picture[box.place] for box in places])
    steps = np.arange(4)
    encoded = as_layers(["stream"], header, encode_alike(codec.profile, pictures, alike, 1, steps))
    (found,) = codec.decode_batch([whole(encoded)])
    # One layer is the base.
    assert mse(found.image, picture) < 800
    (layer,) = encoded.layers
    ends = np.cumsum(layer.parts)
    parts = [layer.data[end - size : end] for end, size in zip(ends, layer.parts, strict=True)]
    # The code of the first part's header without the bit that every stream with a step has.
    parts[0] = bytes([parts[0][0] & ~8]) + parts[0][1:]
    received = [ReceivedPart(k, data, True) for k, data in enumerate(parts)]
    (others,) = codec.decode_batch([[ReceivedLayer(b"".join(parts), True, parts=tuple(received))]])
    assert others.image is not None and found.image is not None
    assert np.array_equal(others.image[32:], found.image[32:])


# ------------------------------------------------------------------------------- how it is chosen


def section(**keys: object) -> SemanticCodecSection:
    return SemanticCodecSection.model_validate({"type": "semantic", "profile": "embedded", **keys})


def test_scenarios_choose_it() -> None:
    chosen = make_codec(section(fit=4))
    assert isinstance(chosen, FittedCodec)
    assert chosen.steps == (1, 3, 5, 7)
    assert codec_fingerprint(section(fit=4)).startswith("bitstream 13, ")
    for wrong in (0, 3, 16, True, "8", 2.0):
        with pytest.raises(ValueError, match="expected"):
            section(fit=wrong)
    with pytest.raises(ValueError, match="irreversible: leave this out"):
        section(fit=8, reversible=True)
    # Trials are known by a hash of this; as it was before there was the key.
    assert "fit" not in section().model_dump(mode="json")
    assert section(fit=8).model_dump(mode="json")["fit"] == 8


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(CodecError, match="'paper' fits no stream to its budget"):
        open_layered("paper", fit=8)
    for other in ({"layers": 3}, {"slice_side": 64}):
        with pytest.raises(CodecSetupError, match="one layer and no slices"):
            make_codec(section(fit=8, **other))
    with pytest.raises(CodecError, match="found 3"):
        open_layered("embedded", fit=3)
    with pytest.raises(CodecError, match="at most 1024 pixels a side"):
        open_layered("embedded", fit=1).encode_batch([np.zeros((8, 1025, 3), np.uint8)])


def test_testbed_encode_fits_files(tmp_path: Path, samples: list[Image]) -> None:
    from PIL import Image as Pillow

    Pillow.fromarray(samples[0]).save(tmp_path / "one.png")
    run, out = CliRunner().invoke, ["--out", str(tmp_path), "--profile", "embedded"]
    asked = ["encode", str(tmp_path / "one.png"), *out, "--fit", "8"]
    for wrong, words in ((asked, "needs --bytes"), ([*asked[:-1], "3"], "1, 2, 4 or 8 steps")):
        refused = run(app, wrong)
        assert refused.exit_code == 2
        assert "--fit" in refused.output and words in refused.output
    refused = run(app, [*asked, "--bytes", "1"])
    assert "no picture fits into 1 bytes" in str(refused.exception)
    done = run(app, [*asked, "--bytes", "200"])
    assert done.exit_code == 0, done.output
    assert "stream          200 bytes" in done.output
    (coded,) = tmp_path.glob("one.*[!g]")
    assert run(app, ["decode", str(coded), "--out", str(tmp_path / "back")]).exit_code == 0
    assert psnr_db(samples[0], read_picture(tmp_path / "back" / "one.png")) > 23


SCENARIO = """
seed: 1
images: {source: samples32, limit: 4}
codecs:
  - {type: semantic, name: layered, profile: embedded, reversible: false}
  - {type: semantic, name: fitted, profile: embedded, fit: 8}
link: {channel: awgn, cbr: 1/6, snr_db: 20, mcs: 14}
"""


def test_on_a_link_one_layer_and_its_best_step_are_worth_decibels(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SCENARIO)
    done = CliRunner().invoke(
        app, ["run", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "out"), "--workers", "1"]
    )
    assert done.exit_code == 0, done.output
    trials = pd.read_csv(tmp_path / "out" / "trials.csv").set_index(["codec", "image"])
    layered, fitted = trials.loc["layered"], trials.loc["fitted"]
    assert (fitted["layers_sent"] == 1).all() and (layered["layers_sent"] > 1).all()
    assert (fitted["channel_uses"] <= 512).all()
    assert (fitted["header_bits"] < layered["header_bits"]).all()
    assert (fitted["psnr_db"] - layered["psnr_db"]).mean() > 0.4


LOSSES = """
seed: 1
repetitions: 4
images: {source: samples32, limit: 4}
codecs: [{type: semantic, profile: embedded, fit: 1}]
packets: {max_bytes: 32}
link:
  {channel: awgn, cbr: 1/3, snr_db: 20, mcs: 14, packet_loss: {type: iid, probability: 0.2}}
"""


def test_on_a_link_what_comes_before_the_first_gap_is_shown(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(LOSSES)
    done = CliRunner().invoke(
        app, ["run", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "out"), "--workers", "1"]
    )
    assert done.exit_code == 0, done.output
    trials = pd.read_csv(tmp_path / "out" / "trials.csv")
    cut = trials[(trials["packets_lost"] > 0) & ~trials["failed"]]
    assert len(cut) >= 4
    assert (cut["layers_decoded"] == 0).all()
    whole = trials[trials["packets_lost"] == 0].groupby("image")["psnr_db"].max()
    for _, row in cut.iterrows():
        assert 12 < row["psnr_db"] < whole.get(row["image"], 50.0)
