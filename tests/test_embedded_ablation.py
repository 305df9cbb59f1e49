"""The ablation's reckoning agrees with the coder whose parts it weighs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from codec.embedded.ablation import h266_bits, level_bits, without_estimator
from codec.embedded.codec import EmbeddedCodec
from codec.embedded.profile import EmbeddedProfile
from codec.embedded.schedule import LEVELS
from codec.profile import load_profile
from testbed.cli import app
from testbed.images import load_images
from testbed.studies.equal_rates import layered_points


@pytest.fixture(scope="module")
def profile() -> EmbeddedProfile:
    found = load_profile("embedded")
    assert isinstance(found, EmbeddedProfile)
    return found


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.stack([image.pixels for image in load_images("samples32", Path())][:4])


def test_h266_takes_more_than_the_entropy_and_has_a_floor() -> None:
    # Odd numerators: at multiples of 1/64 the two bins round to different probabilities.
    p = np.arange(1, 65536, 2) / 65536
    mean = p * h266_bits()[1::2] + (1 - p) * h266_bits()[::-1][::2]
    entropy = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    assert (mean > entropy - 1e-9).all()
    middle = (p > 0.05) & (p < 0.95)
    assert (mean[middle] < 1.03 * entropy[middle]).all()
    # 4 of 510 at the least for the improbable bin: a certain one is not free.
    assert -np.log2(506 / 510) <= h266_bits()[-1] < -np.log2(252 / 256)


def test_bits_of_the_networks_are_those_of_the_stream(profile, pictures) -> None:
    counted = level_bits(profile, pictures)
    plain = replace(profile, corrects=False)
    encoded = EmbeddedCodec(plain).encode_batch(list(pictures))
    stream_bits = np.mean([each.payload_bits for each in encoded if each is not None])
    # Escapes beyond first levels, header and end come on top.
    networks = sum(each.networks for each in counted)
    assert networks < stream_bits < 1.01 * networks + 24
    assert [each.level for each in counted] == list(LEVELS)
    # Overconfident by chance in one level, the networks may even gain by being coarse there.
    assert networks < sum(each.contexts_h266 for each in counted)
    for each in counted:
        assert each.networks < 1.01 * each.contexts_h266 + 1e-6
    # The levels before the blocks' first tell of root and details alone.
    assert all(each.networks > 0 for each in counted)


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (9, 40)])
def test_other_sizes_are_counted_too(profile, size) -> None:
    """Smooth pictures: hardly a coefficient lies beyond what its first level can tell."""
    y, x = np.mgrid[: size[0], : size[1]]
    picture = np.stack([100 + 2 * y + x, 120 - y + 2 * x, 90 + y + x], axis=-1).astype(np.uint8)
    networks = sum(each.networks for each in level_bits(profile, picture[None]))
    (encoded,) = EmbeddedCodec(replace(profile, corrects=False)).encode_batch([picture])
    assert encoded is not None
    assert networks < encoded.payload_bits < 1.02 * networks + 64


def test_the_estimator_shows_more_than_middles(profile, pictures) -> None:
    images, rates_bpp = list(pictures), [0.5, 1.0, 4.0]
    expected, bits = layered_points("a", EmbeddedCodec(profile), images, rates_bpp)
    middles, same_bits = layered_points(
        "b", EmbeddedCodec(without_estimator(profile)), images, rates_bpp
    )
    assert bits == same_bits
    assert all(a.psnr_db > b.psnr_db for a, b in zip(expected, middles, strict=True))


def test_the_command_writes_a_table(tmp_path: Path) -> None:
    arguments = ["--images", "samples32", "--limit", "2", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["reproduce", "ablation", *arguments])
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "ablation.csv")
    assert set(table["images"]) == {2}
    rates, qualities = table[table["unit"] != "dB"], table[table["unit"] == "dB"]
    assert (rates["with"] < rates["without"]).all()
    assert set(qualities.groupby("part").size()) == {5}
    finer = qualities[qualities["part"] == "irreversible transform"][-2:]
    assert (finer["with"] > finer["without"]).all()


def test_of_photographs_it_says_what_their_correction_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testbed.commands.ablation_command.RATES_BPP", ())
    arguments = ["--images", "samples_large", "--limit", "1", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["reproduce", "ablation", *arguments])
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "ablation.csv").set_index("part")
    row = table.loc["correction by what was told"]
    # Streams have headers and ends, which the networks' bits have not.
    assert row["without"] == pytest.approx(table.loc["prediction by the networks", "with"], 0.01)
    assert 0.9 * row["without"] < row["with"] < row["without"]
