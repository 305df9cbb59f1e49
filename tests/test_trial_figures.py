"""Figures of single trials: what is drawn, against what plain Python finds in trials.csv."""

from __future__ import annotations

import csv
import itertools
import json
import math
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from codec.embedded.schedule import LAYER_NAMES as EMBEDDED_NAMES
from codec.semantic_codec import LAYER_NAMES as PAPER_NAMES
from testbed.evaluation.run_folder import RunFolder, RunFolderError
from testbed.examples.files import LAYER_COLUMNS
from testbed.figures.distribution import distribution, draw_distribution, telling
from testbed.figures.drawing import WIDTHS_IN, Drawing, Width, save_drawing
from testbed.figures.heat_maps import draw_heat_maps, full_grid, winners_of
from testbed.figures.layer_gain import draw_layer_gain, layer_gains
from testbed.figures.layer_names import SHIPPED_PROFILES
from testbed.figures.layer_survival import (
    LABEL_SHARE,
    all_layers,
    draw_layer_survival,
    name_place,
    survival,
)
from testbed.figures.ledger import BIT_KINDS, draw_ledger, shares
from testbed.figures.loss_decay import decay, draw_loss_decay
from testbed.figures.protections import draw_protections, gains
from testbed.figures.stems import StemError, checked_stem, stem_part
from testbed.figures.table_settings import measured_trials, panels_of
from testbed.figures.titles import wrapped
from testbed.language.setting_words import ratio_words
from testbed.sending.simulation import COLUMNS

MAKERS = (
    draw_layer_survival, draw_distribution, draw_heat_maps, draw_layer_gain, draw_ledger,
    draw_loss_decay, draw_protections,
)  # fmt: skip
SNRS_DB = (0.0, 5.0, 10.0)
CBRS = (1 / 6, 1 / 3)
IMAGES = 6

Rows = list[dict[str, Any]]


def _row(codec: str, **values: Any) -> dict[str, Any]:
    """A trial over white noise, half of its coded bits parity; the packets of analog codecs are
    symbols alone.
    """
    row = dict.fromkeys(COLUMNS, 0) | {
        "scenario": "made", "codec": codec, "case": "", "image": "a", "height": 32, "width": 32,
        "channel": "awgn", "snr_db": 10.0, "modulation": "qpsk", "code_rate": 0.5,
        "coding": "ldpc", "harq": "incremental", "transmissions_allowed": 1, "damage": "drop",
        "fidelity": "exact", "erasure_rate": 1.0, "protection": "equal", "schemes": "qpsk 0.5",
        "fading_block": "packet", "loss_model": "iid", "packet_loss": 0.0, "cbr": 1 / 6,
        "payload_bits": 400, "header_bits": 60, "crc_bits": 40, "parity_bits": 500,
        "coded_bits": 1000, "symbols": 500, "channel_uses": 500, "cbr_used": 1 / 6, "bpp": 0.4,
        "layers_decoded": 1, "packets_sent": 4, "packets_lost": 0, "psnr_db": 25.0, "ssim": 0.9,
        "failed": False,
    }  # fmt: skip
    if codec == "analog":
        row |= dict.fromkeys((*BIT_KINDS, "coded_bits"), 0)
        row |= {"modulation": "analog", "code_rate": math.nan, "protection": "analog"}
        row |= {"coding": "none", "ebn0_db": math.nan}
    return row | values


def _rows() -> Rows:
    """A grid of SNR and bandwidth on two channels, two protections, draws that differ in number."""
    random = np.random.default_rng(7)
    found = []
    for channel, snr_db, cbr, protection, codec, image in itertools.product(
        ("awgn", "rayleigh_block"), SNRS_DB, CBRS, ("equal", "strong"),
        ("layered", "jpeg", "analog"), range(IMAGES),
    ):  # fmt: skip
        if codec == "analog" and protection == "strong":
            continue
        for draw in range(2 + (image == 0)):
            lost = int(random.integers(5)) if channel != "awgn" else 4 * (snr_db < 5)
            layers = 0 if lost == 4 else int(random.integers(1, 4)) if codec == "layered" else 1
            exact = codec == "jpeg" and snr_db == 10 and image == 1 and layers > 0
            psnr_db = math.inf if exact else 10 + 4 * layers + snr_db / 5 + 6 * cbr
            again = 1000 * (protection == "strong" and snr_db == 0)
            values = {
                "channel": channel, "snr_db": snr_db, "cbr": cbr, "image": f"picture{image}",
                "repetition": draw, "layers_decoded": layers, "packets_lost": lost,
                "failed": layers == 0,
                "psnr_db": psnr_db + random.normal() if layers else 11.0 + image,
            }  # fmt: skip
            if codec != "analog":
                values |= {"protection": protection, "retransmission_bits": again}
                values |= {"coded_bits": 1000 + again, "symbols": 500 + again // 2}
                values |= {"channel_uses": 600 + again // 2}
            found.append(_row(codec, **values))
    return found


def _run(folder: Path, rows: Rows, **codecs: dict[str, Any]) -> RunFolder:
    folder.mkdir(exist_ok=True)
    with (folder / "trials.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow(row | {"trial_id": f"{number:016x}"})
    sections = {
        "layered": {"type": "semantic", "profile": "paper"},
        "jpeg": {"type": "jpeg", "headers": "abbreviated"},
        "analog": {"type": "deepjscc"},
    } | codecs
    names = list(dict.fromkeys(row["codec"] for row in rows))
    manifest = {
        "scenario": {"name": "made", "codecs": [{"name": n, **sections[n]} for n in names]},
        "codec_labels": {name: f"the {name}" for name in names},
        "reference": names[0],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return RunFolder(folder, manifest, folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return _run(tmp_path_factory.mktemp("run"), _rows())


@pytest.fixture(autouse=True)
def _no_open_figures() -> Iterator[None]:
    yield
    plt.close("all")


def _read(run: RunFolder, **wanted: str) -> list[dict[str, str]]:
    with run.trials_path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if all(row[k] == v for k, v in wanted.items())]


def _mean_of_pictures(rows: list[dict[str, str]], values: Iterable[float]) -> float:
    of_picture = defaultdict(list)
    for row, value in zip(rows, values, strict=True):
        of_picture[row["image"]].append(value)
    return statistics.fmean(statistics.fmean(each) for each in of_picture.values())


def _psnr_db(row: dict[str, str]) -> float:
    return min(60.0, float(row["psnr_db"]))


def _point(trials: Any, **wanted: str) -> Any:
    (point,) = (
        each
        for each in trials.points
        if all((each.setting | {"codec": each.codec})[k] == v for k, v in wanted.items())
    )
    return point


PLACE = {"channel": "rayleigh_block", "cbr": str(1 / 6), "protection": "equal"}


def test_survival_is_the_share_of_trials_by_picture(run: RunFolder) -> None:
    with measured_trials(run, "layers_decoded") as trials:
        points = [_point(trials, codec="layered", snr_db=str(snr), **PLACE) for snr in SNRS_DB]
        found = survival(trials, points, 3)
    for column, snr_db in enumerate(SNRS_DB):
        rows = _read(run, codec="layered", snr_db=str(snr_db), **PLACE)
        for least in (1, 2, 3):
            expected = _mean_of_pictures(
                rows, [int(row["layers_decoded"]) >= least for row in rows]
            )
            assert found[least - 1, column] == pytest.approx(expected)


def test_distribution_counts_every_picture_alike(run: RunFolder) -> None:
    with measured_trials(run) as trials:
        point = _point(trials, codec="jpeg", snr_db="10.0", **PLACE)
        values, reached = distribution(trials.share(point, "psnr_db"))
    rows = _read(run, codec="jpeg", snr_db="10.0", **PLACE)
    assert values.tolist() == sorted({_psnr_db(row) for row in rows})
    for value, share in zip(values, reached, strict=True):
        assert share == pytest.approx(
            _mean_of_pictures(rows, [_psnr_db(row) <= value for row in rows])
        )
    assert values[-1] == 60.0 and reached[-1] == 1.0


def test_drawn_distribution_is_the_counted_one(run: RunFolder) -> None:
    drawing = next(draw_distribution(run, "page"))
    axes = [each for each in drawing.figure.axes if each.get_title() == "10 dB"]
    (line,) = (each for each in axes[0].lines if each.get_label() == "the jpeg")
    rows = _read(
        run, codec="jpeg", snr_db="10.0", channel="awgn", cbr=str(1 / 6), protection="equal"
    )
    for value, share in zip(line.get_xdata(), line.get_ydata(), strict=True):
        expected = _mean_of_pictures(rows, [_psnr_db(row) <= value for row in rows])
        assert share == pytest.approx(expected)


def test_telling_points_are_where_things_happen() -> None:
    assert telling([10, 10, 10, 12, 16, 21, 27, 30, 30], 4) == [3, 4, 5, 6]
    assert telling([1.0, 2.0], 4) == [0, 1]
    assert len(telling([5.0] * 9, 4)) == 4


def test_sweeps_that_cross_are_no_plane() -> None:
    cross = {(float(snr), 1 / 6) for snr in range(5)} | {(2.0, cbr) for cbr in (1 / 4, 1 / 3)}
    assert full_grid(cross) == set()
    grid = set(itertools.product((0.0, 1.0), (0.1, 0.2)))
    assert full_grid(grid | {(7.0, 0.1), (0.0, 0.9)}) == grid


def test_winner_is_ahead_by_the_paired_difference(run: RunFolder) -> None:
    with measured_trials(run) as trials:
        (panel,) = (
            each for each in panels_of(trials, ["snr_db", "cbr"])
            if "Rayleigh" in each.title and "strong" not in each.title
        )  # fmt: skip
        points = {
            each.codec: each for each in panel.at("snr_db", 10.0)
            if float(each.setting["cbr"]) == 1 / 3
        }  # fmt: skip
        winner = winners_of(trials, {(10.0, 1 / 3): points})[10.0, 1 / 3]
    means = {}
    for codec in points:
        rows = _read(run, codec=codec, snr_db="10.0", channel="rayleigh_block", cbr=str(1 / 3))
        rows = [row for row in rows if row["protection"] in ("equal", "analog")]
        means[codec] = _mean_of_pictures(rows, map(_psnr_db, rows))
    first, second = sorted(means.values(), reverse=True)[:2]
    assert means[winner.codec] == pytest.approx(first)
    assert winner.margin_db == pytest.approx(first - second)


def test_winner_is_certain_only_if_no_picture_speaks_against_it(tmp_path: Path) -> None:
    def winner(differences: list[float]) -> bool:
        rows = [_row("jpeg", image=f"p{n}", psnr_db=20.0) for n in range(8)]
        rows += [
            _row("layered", image=f"p{n}", psnr_db=20.0 + difference)
            for n, difference in enumerate(differences)
        ]
        with measured_trials(_run(tmp_path, rows)) as trials:
            points = {point.codec: point for point in trials.points}
            found = winners_of(trials, {(10.0, 1 / 6): points})[10.0, 1 / 6]
        assert (found.codec, found.margin_db) == ("layered", pytest.approx(sum(differences) / 8))
        return found.is_certain

    assert winner([1.0, 1.2, 0.8, 1.1, 0.9, 1.0, 1.3, 0.7])
    assert not winner([9.0, -2, -2, -2, 9, -2, -2, -2])


def test_ledger_shares_are_of_channel_uses(run: RunFolder) -> None:
    with measured_trials(run, *BIT_KINDS, "coded_bits", "symbols", "channel_uses") as trials:
        wanted = PLACE | {"protection": "strong", "codec": "layered", "snr_db": "0.0"}
        found = shares(trials, [_point(trials, **wanted)])
        analog = shares(trials, [_point(trials, codec="analog", snr_db="0.0", **ANALOG)])
    rows = _read(run, **wanted)
    total = {
        name: sum(int(row[name]) for row in rows)
        for name in (*BIT_KINDS, "coded_bits", "symbols", "channel_uses")
    }
    assert sum(found.values()) == pytest.approx(1)
    for name, kind in BIT_KINDS.items():
        bits = total[name] / total["coded_bits"]
        expected = bits * total["symbols"] / total["channel_uses"]
        assert found.get(kind.label, 0.0) == pytest.approx(expected)
    beyond = 1 - total["symbols"] / total["channel_uses"]
    assert found["pilots, prefixes"] == pytest.approx(beyond) and beyond > 0
    assert analog == {"analog symbols": 1.0}


ANALOG = {"channel": "rayleigh_block", "cbr": str(1 / 6)}


def test_ledger_of_nothing_and_of_multiplexed_symbols(tmp_path: Path) -> None:
    nothing = dict.fromkeys((*BIT_KINDS, "coded_bits", "symbols", "channel_uses"), 0)
    rows = [_row("jpeg", **nothing), _row("layered", symbols=1000, channel_uses=250)]
    folder = _run(tmp_path, rows)
    with measured_trials(folder, *BIT_KINDS, "coded_bits", "symbols", "channel_uses") as trials:
        silent, multiplexed = (shares(trials, [point]) for point in trials.points)
    assert silent == {}
    assert multiplexed == {"payload": 0.4, "headers": 0.06, "CRCs": 0.04, "parity": 0.5}


def test_ledger_draws_an_axis_only_where_it_matters(run: RunFolder) -> None:
    (drawing,) = draw_ledger(run, "page")
    titles = [each.get_title() for each in drawing.figure.axes]
    # Two channels alike; what is sent again depends on the SNR, and only with one protection.
    assert len(titles) == 2 and all("and 1 further setting, alike" in title for title in titles)
    groups = [{text.get_text() for text in each.texts} for each in drawing.figure.axes]
    assert not any("dB" in text for text in groups[0])
    assert {"0 dB", "5 dB", "10 dB"} <= groups[1]


def test_decay_is_mean_and_quantile_at_the_measured_loss(run: RunFolder) -> None:
    with measured_trials(run, "packets_sent", "packets_lost") as trials:
        points = [_point(trials, codec="jpeg", snr_db=str(snr), **PLACE) for snr in SNRS_DB]
        found = decay(trials, points, measured=True)
    for number, snr_db in enumerate(SNRS_DB):
        rows = _read(run, codec="jpeg", snr_db=str(snr_db), **PLACE)
        lost, sent = (
            sum(int(row[name]) for row in rows) for name in ("packets_lost", "packets_sent")
        )
        assert found.loss[number] == pytest.approx(100 * lost / sent)
        assert found.mean_db[number] == pytest.approx(_mean_of_pictures(rows, map(_psnr_db, rows)))
        assert min(map(_psnr_db, rows)) <= found.low_db[number] <= found.mean_db[number]


def test_decay_along_stated_loss(tmp_path: Path) -> None:
    rows = [
        _row("jpeg", packet_loss=loss, repetition=draw, psnr_db=30 - 100 * loss - draw)
        for loss in (0.1, 0.0, 0.2)
        for draw in range(21)
    ]
    folder = _run(tmp_path, rows)
    with measured_trials(folder, "packets_sent", "packets_lost") as trials:
        (panel,) = panels_of(trials, ["packet_loss"])
        found = decay(trials, panel.along("packet_loss"), measured=False)
    assert found.loss == [0.0, 10.0, 20.0]
    assert found.mean_db == pytest.approx([20.0, 10.0, 0.0])
    # The second lowest of 21 is their 5 % quantile.
    assert found.low_db == pytest.approx([11.0, 1.0, -9.0])
    assert len(list(draw_loss_decay(folder, "column"))) == 1


def test_gains_are_paired_by_picture_and_draw(run: RunFolder) -> None:
    with measured_trials(run, "layers_decoded") as trials:
        wanted = {"codec": "layered", "channel": "rayleigh_block", "cbr": str(1 / 6)}
        strong, equal = (
            [_point(trials, snr_db=str(snr), protection=name, **wanted) for snr in SNRS_DB]
            for name in ("strong", "equal")
        )
        found = gains(trials, strong, equal, "snr_db")
    for gain, snr_db in zip(found, SNRS_DB, strict=True):
        rows = _read(run, snr_db=str(snr_db), **wanted)
        ahead, others = (
            {
                (row["image"], row["repetition"]): _psnr_db(row)
                for row in rows
                if row["protection"] == name
            }
            for name in ("strong", "equal")
        )
        expected = _mean_of_pictures(
            [{"image": image} for image, _ in ahead],
            [psnr_db - others[pair] for pair, psnr_db in ahead.items()],
        )
        assert gain.difference_db == pytest.approx(expected)
        assert gain.low_db <= gain.difference_db <= gain.high_db


def test_gains_leave_out_what_only_one_has(tmp_path: Path) -> None:
    rows = [_row("layered", image=f"p{n}", psnr_db=20.0 + n) for n in range(7)]
    rows += [
        _row("layered", image=f"p{n}", psnr_db=21.5 + n, protection="strong") for n in range(5)
    ]
    with measured_trials(_run(tmp_path, rows), "layers_decoded") as trials:
        equal, strong = trials.points
        (found,) = gains(trials, [strong], [equal], "snr_db")
    # All pairs differ by the same: there is nothing to be uncertain about.
    assert (found.difference_db, found.low_db, found.high_db) == pytest.approx((1.5, 1.5, 1.5))


def _with_examples(folder: Path, rows: Rows) -> RunFolder:
    run = _run(folder, rows)
    (folder / "examples").mkdir()
    with (folder / "examples" / "layers.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(LAYER_COLUMNS)
        for image, first_db in (("p0", 20.0), ("p1", 22.0)):
            steps = [(100, first_db), (150, first_db + 1), (350, math.inf)]
            for layers, (payload, psnr_db) in enumerate(steps, 1):
                name = ("base", "plane8", "plane7")[layers - 1]
                writer.writerow(
                    ["layered", image, "32x32", layers, name, "", payload, 1.0, psnr_db, 0.9]
                )
        writer.writerow(["jpeg", "p0", "32x32", 1, "", 500, 480, 3.75, 30.0, 0.9])
    return run


def test_layer_gains_in_closed_form(tmp_path: Path) -> None:
    # 500 uses carry 50 bytes of payload: 10 uses a byte. Mid-grey has 8 dB and 10 dB.
    rows = [_row("layered", image=name, failed=False) for name in ("p0", "p1")]
    rows += [_row("layered", image="p0", failed=True, psnr_db=8.0, repetition=1)]
    rows += [_row("jpeg", image="p1", failed=True, psnr_db=10.0)]
    run = _with_examples(tmp_path, rows)
    (found,) = layer_gains(run)
    assert (found.names, found.images) == (("base", "plane 8", "plane 7"), 2)
    assert found.uses_per_byte == pytest.approx(10)
    assert found.gain_db == pytest.approx([12, 1, (39 + 37) / 2])
    assert found.uses == pytest.approx([1000, 500, 2000])
    assert found.db_per_1000_uses == pytest.approx([12, 2, 19])
    (drawing,) = draw_layer_gain(run, "column")
    assert "2 pictures of 32x32" in drawing.caption


def test_base_layer_needs_mid_grey_of_all_pictures(tmp_path: Path) -> None:
    rows = [_row("layered", image="p0"), _row("layered", image="p0", failed=True, repetition=1)]
    (found,) = layer_gains(_with_examples(tmp_path, rows))
    assert found.names == ("plane 8", "plane 7")
    assert found.gain_db == pytest.approx([1, 38])


def test_layers_are_called_as_the_codecs_call_them() -> None:
    for profile, names in (("paper", PAPER_NAMES), ("embedded", EMBEDDED_NAMES)):
        spaced = [re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", " ", name) for name in names]
        assert list(SHIPPED_PROFILES[profile]) == spaced


def test_analog_codecs_stand_beside_all_that_meet_the_same_medium(run: RunFolder) -> None:
    with measured_trials(run) as trials:
        panels = panels_of(trials, ["snr_db"])
    assert len(panels) == 8
    for panel in panels:
        assert panel.codecs(run.codecs) == ["layered", "jpeg", "analog"]
        assert panel.values("snr_db") == list(SNRS_DB)
        media = {(p.setting["channel"], p.setting["cbr"]) for p in panel.points}
        assert len(media) == 1 and len(panel.points) == 9


def _drawings(run: RunFolder, width: Width) -> list[Drawing]:
    return [drawing for maker in MAKERS for drawing in maker(run, width)]


@pytest.mark.parametrize("width", ["column", "page"])
def test_every_kind_is_drawn_at_its_width(run: RunFolder, width: Width) -> None:
    found = _drawings(run, width)
    kinds = {re.sub(r"_\d+$", "", each.stem) for each in found}
    assert kinds == {
        "layer_survival", "psnr_distribution", "psnr_map", "ledger", "loss_decay",
        "protection_gain",
    }  # fmt: skip
    assert len({each.stem for each in found}) == len(found)
    for drawing in found:
        assert re.fullmatch(r"[a-z0-9._=,-]+", drawing.stem)
        assert f"{IMAGES} pictures of 32x32 pixels, 2 channel draws each." in drawing.caption
        assert "$" not in drawing.caption + drawing.title
    for kind in kinds:
        figure = next(each.figure for each in found if each.stem == kind)
        figure.draw_without_rendering()
        assert figure.get_tightbbox().width <= WIDTHS_IN[width] + 0.02


def test_the_same_table_gives_the_same_bytes(run: RunFolder, tmp_path: Path) -> None:
    once, again = (
        [
            path.read_bytes()
            for path in save_drawing(next(draw_heat_maps(run, "column")), tmp_path / name)
        ]
        for name in ("once", "again")
    )
    assert len(once) == 3 and once == again


def test_nothing_is_drawn_where_there_is_nothing_to_say(tmp_path: Path) -> None:
    rows = [_row("jpeg", image=f"p{n}", layers_decoded=1) for n in range(3)]
    found = _drawings(_run(tmp_path, rows), "page")
    # Where the uses go can be said of a single point.
    assert [each.stem for each in found] == ["ledger"]


def test_too_many_settings_are_left_out_and_said_so(tmp_path: Path) -> None:
    rows = [
        _row(
            "layered", channel=f"rician(k_db={k})", snr_db=snr_db, layers_decoded=2,
            image=f"p{image}", packets_lost=2,
        )
        for k in range(30) for snr_db in (0.0, 5.0) for image in range(2)
    ]  # fmt: skip
    found = list(draw_layer_survival(_run(tmp_path, rows), "page"))
    assert [each.stem for each in found] == [
        "layer_survival",
        *(f"layer_survival_{n}" for n in (2, 3, 4)),
    ]
    assert all("There are 6 further panels" in each.caption for each in found)
    titles = [axes.get_title() for each in found for axes in each.figure.axes]
    assert len(titles) == 24
    assert all(f"k {k} dB" in title.replace("\N{NO-BREAK SPACE}", " ")
               for k, title in ((0, titles[0]), (29, titles[-1])))  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(1 / 6, "1/6"), (0.5, "1/2"), (2 / 3, "2/3"), (1.0, "1"), (0.1234567, "0.123")],
)
def test_ratios_are_fractions(ratio: float, words: str) -> None:
    assert ratio_words(ratio) == words


def test_a_table_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    run = _run(tmp_path, [_row("jpeg")])
    run.trials_path.write_text("no table\n")
    with pytest.raises(RunFolderError, match=r"trials\.csv: cannot be read"):
        next(draw_ledger(run, "page"))


def test_layers_of_several_codecs_are_in_the_order_of_each() -> None:
    paper = ["base", "plane 8", "plane 7", "plane 5", "plane 4"]
    embedded = ["base", "plane 5", "plane 4 low", "plane 4"]
    found = all_layers([paper[:2], paper, embedded])
    assert sorted(found) == sorted({*paper, *embedded})
    for own in (paper, embedded):
        assert [name for name in found if name in own] == own


def test_a_layers_name_lies_in_its_band() -> None:
    snr_db, characters = [0.0, 4.0, 8.0, 20.0], 7
    top, bottom = np.array([0.0, 0.4, 1.0, 1.0]), np.array([0.0, 0.0, 0.3, 0.9])
    place = name_place(snr_db, top, bottom, characters)
    assert place is not None
    at, height = place
    beside = np.linspace(at - 0.01 * characters * 20, at + 0.01 * characters * 20, 50)
    assert beside.min() >= 0
    assert beside.max() <= 20
    for edge, sign in ((top, 1), (bottom, -1)):
        assert (sign * (np.interp(beside, snr_db, edge) - height)).min() >= LABEL_SHARE / 2
    assert name_place(snr_db, top, top - 0.9 * LABEL_SHARE, characters) is None


@pytest.mark.parametrize("stem", ["../x", "a/b", "A", "", "a b", "a\n"])
def test_no_figure_is_written_outside_its_folder(stem: str) -> None:
    with pytest.raises(StemError, match="expected a figure's name"):
        checked_stem(stem)


def test_words_become_parts_of_stems() -> None:
    assert stem_part("rician(k_db=6)") == "rician_k_db=6"
    taken = {stem_part("a b")}
    assert stem_part("a/b", taken) not in taken
    assert checked_stem(stem_part("../../Ä$x")) == "x"


@pytest.mark.parametrize(
    ("title", "lines"),
    [
        ("AWGN, $E_s/N_0$ 10 dB, CBR 1/6", ["AWGN, $E_s/N_0$ 10 dB,", "CBR 1/6"]),
        ("one part that is far too long for it", ["one part that is far too", "long for it"]),
    ],
)
def test_lines_of_titles_end_with_commas(title: str, lines: list[str]) -> None:
    found = wrapped(title, 24)
    assert found.split("\n") == lines
