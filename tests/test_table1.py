"""The table of bitplane errors, against counting by hand with the codec's own layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from codec.base import ReceivedLayer
from codec.bitplanes import split_plane
from codec.profile import load_profile
from codec.semantic_codec import SemanticCodec
from testbed.commands.reproduce_command import as_latex, as_table, reproduce_table1
from testbed.images import load_images
from testbed.studies.table1 import PAPER_BCF_PERCENT, PAPER_EN_PERCENT, PlaneErrors, plane_errors


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.stack([i.pixels.transpose(2, 0, 1) for i in load_images("samples32", Path())])


@pytest.fixture(scope="module")
def errors(pictures: np.ndarray) -> dict[tuple[int, str], PlaneErrors]:
    return {(e.plane, e.rule): e for e in plane_errors(load_profile("paper"), pictures)}


def test_initial_errors_are_those_of_the_base_layer_as_received(pictures, errors) -> None:
    images = [picture.transpose(1, 2, 0) for picture in pictures]
    codec = SemanticCodec(layers=1)
    received = [
        [ReceivedLayer(each.layers[0].data, True)] for each in codec.encode_batch(images) if each
    ]
    base = np.stack([d.image.transpose(2, 0, 1) for d in codec.decode_batch(received)])
    for plane in range(8, 0, -1):
        wrong = np.count_nonzero(split_plane(base, plane) != split_plane(pictures, plane))
        assert errors[plane, "interval"].initial == wrong
        assert errors[plane, "one_sided"].initial == wrong
        assert errors[plane, "interval"].bits == pictures.size


def test_the_correction_mends_and_the_networks_mend_more(errors) -> None:
    for plane in range(7, 0, -1):
        for rule in ("interval", "one_sided"):
            each = errors[plane, rule]
            assert each.after_en < each.after_bcf <= each.initial
        if plane > 3:
            # Clipping from both sides mends more; in the lowest planes both are mostly luck.
            assert errors[plane, "interval"].after_bcf < errors[plane, "one_sided"].after_bcf
    # Above plane 8 nothing is known: there is nothing to be consistent with.
    assert errors[8, "interval"].after_bcf == errors[8, "interval"].initial


def test_together_they_remove_more_than_the_paper_reports(errors) -> None:
    ours = sum(
        errors[plane, "interval"].bcf_percent + errors[plane, "interval"].en_percent
        for plane in range(8, 0, -1)
    )
    assert ours > sum(PAPER_BCF_PERCENT.values()) + sum(PAPER_EN_PERCENT.values())


def test_percentages_and_sums() -> None:
    one = PlaneErrors(5, "interval", 1000, 400, 300, 100)
    assert (one.bcf_percent, one.en_percent) == (25, 50)
    assert one.plus(one) == PlaneErrors(5, "interval", 2000, 800, 600, 200)


def test_files_hold_every_plane_and_rule(errors, tmp_path: Path, capsys) -> None:
    reproduce_table1("paper", "samples32", 4, tmp_path)
    table = pd.read_csv(tmp_path / "table1.csv")
    assert len(table) == 16
    assert (table["bits"] == 4 * 3072).all()
    assert "summed over planes" in capsys.readouterr().out
    latex = as_latex(list(errors.values()), "note")
    assert latex.count(r"\\") == 2 + 8
    assert len(as_table(list(errors.values()))) == 16
