"""What a run keeps to show: the same pictures, layers and planes as its trials had; and figures."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from codec.profile import load_paper_profile
from testbed.commands.run_command import RunOptions, run_scenario
from testbed.evaluation.run_folder import RunFolder, open_run
from testbed.examples import writing
from testbed.examples.choice import shown_trials
from testbed.examples.reading import ExamplesError, read_examples
from testbed.examples.writing import write_examples
from testbed.figures.bitplane_views import draw_bitplane_views
from testbed.figures.drawing import WIDTHS_IN, Drawing, save_drawing
from testbed.figures.picture_grid import Part, absolute_error, draw_picture_grids
from testbed.figures.picture_strip import draw_picture_strips
from testbed.figures.rate_distortion import draw_rate_distortion, rate_curves
from testbed.images import load_images
from testbed.language.scenario_loading import load_scenario
from testbed.registry import open_layered_codec
from testbed.running.plan import Plan, plan
from testbed.studies.table1 import plane_errors

SCENARIO = """
name: shown
seed: 3
repetitions: 2
images: {source: samples32, limit: 3}
codecs: [{type: semantic, name: layered}, {type: jpeg}, {type: deepjscc}]
link: {channel: [awgn, rayleigh_block], snr_db: [4, 9, 20], modulation: 16qam, cbr: 1/3}
figures: {strip: {image: 1}}
"""
CODECS = ("layered", "jpeg", "deepjscc")


class All:
    """The ids of trials that have rows: every one."""

    def __contains__(self, _: object) -> bool:
        return True


def planned(folder: Path, *overrides: str) -> Plan:
    file = folder / "shown.yaml"
    file.write_text(SCENARIO)
    return plan(load_scenario(file, overrides))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "shown.yaml").write_text(SCENARIO)
    options = RunOptions(folder / "out", workers=1, quiet=True)
    run_scenario(folder / "shown.yaml", [], ["testbed"], options)
    return folder / "out"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> RunFolder:
    return open_run(finished, tmp_path / "scratch")


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.array(picture)


# --- Received pictures ----------------------------------------------------------------------


def test_pictures_are_those_of_the_trials(finished: Path) -> None:
    examples = finished / "examples"
    table = pd.read_csv(examples / "pictures.csv", keep_default_na=False, na_values=["nan"])
    trials = pd.read_csv(finished / "trials.csv", keep_default_na=False, na_values=["nan"])
    assert len(table) == len(CODECS) * 2 * 3
    assert set(table["repetition"]) == {0} and table["image"].nunique() == 1
    both = table.merge(trials, on="trial_id", suffixes=("", "_trial"), validate="1:1")
    assert len(both) == len(table)
    for name in ("codec", "channel", "snr_db", "cbr", "failed", "layers_decoded", "psnr_db"):
        pd.testing.assert_series_equal(both[name], both[f"{name}_trial"], check_names=False)
    original = pixels_of(examples / "original.png")
    (source,) = (each for each in load_images("samples32", Path(), 3) if each.name in set(
        table["image"]))  # fmt: skip
    assert np.array_equal(original, source.pixels)
    for row in table.itertuples():
        error = original.astype(float) - pixels_of(examples / row.file)
        found = 10 * math.log10(255**2 / np.mean(error**2))
        assert found == pytest.approx(row.psnr_db, abs=1e-9)


def test_equal_pictures_share_a_file(finished: Path) -> None:
    table = read_examples(finished / "examples" / "..").pictures
    for _, own in table.groupby("codec"):
        contents = {file: pixels_of(finished / "examples" / file).tobytes() for file in own["file"]}
        assert len(set(contents.values())) == len(contents)
    assert table["file"].nunique() < len(table)


def test_examples_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    made = planned(tmp_path, "images.limit=1", "figures={}", "repetitions=1")
    for name in "ab":
        (tmp_path / name).mkdir()
        write_examples(made, All(), tmp_path / name)
    first = {path.name: path.read_bytes() for path in (tmp_path / "a" / "examples").iterdir()}
    second = {path.name: path.read_bytes() for path in (tmp_path / "b" / "examples").iterdir()}
    assert first == second and len(first) > 30


def test_what_has_no_row_is_left_out(tmp_path: Path) -> None:
    """It raised an error, or ended its process: it is not tried again for a figure."""
    made = planned(tmp_path, "codecs=[{type: jpeg}]", "link.channel=awgn")
    known = {trial.trial_id for trial in made.trials if trial.link.snr_db != 9}
    assert [path.name for path in write_examples(made, known, tmp_path)] == [
        "pictures.csv", "layers.csv",
    ]  # fmt: skip
    assert list(read_examples(tmp_path).pictures["snr_db"]) == [4, 20]
    first = {trial.trial_id for trial in made.trials if trial.image_index == 0}
    write_examples(made, first, tmp_path)
    examples = read_examples(tmp_path)
    assert examples.pictures.empty
    assert set(examples.layers["image"]) == {made.images[0].name}
    assert write_examples(made, (), tmp_path) == []


def test_examples_can_be_turned_off(tmp_path: Path) -> None:
    overrides = ("codecs=[{type: jpeg}]", "link.channel=awgn", "images.limit=1", "figures={}")
    on = planned(tmp_path, *overrides)
    off = planned(tmp_path, *overrides[:-1], "figures={examples: false}")
    assert write_examples(on, All(), tmp_path) and (tmp_path / "examples").is_dir()
    assert write_examples(off, All(), tmp_path) == []
    # Those of the run before would be taken for this one's.
    assert not (tmp_path / "examples").exists()
    assert "examples" not in on.scenario.canonical()["figures"]
    assert on.scenario.scenario_hash != off.scenario.scenario_hash


def test_a_codec_that_fails_at_what_no_trial_asked_costs_its_own_examples_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = planned(tmp_path, "codecs=[{type: jpeg}, {type: webp}]", "link.channel=awgn")
    layer_rows, notes = writing.layer_rows, []

    def failing(plan: Plan, known: object, codec: int) -> Iterator[object]:
        if codec == 0:
            raise ValueError("no\nsuch layer")
        return layer_rows(plan, known, codec)

    monkeypatch.setattr(writing, "layer_rows", failing)
    write_examples(made, All(), tmp_path, notes.append)
    assert notes == ["examples of jpeg are not whole: ValueError: no such layer"]
    examples = read_examples(tmp_path)
    assert set(examples.pictures["codec"]) == {"jpeg", "webp"}
    assert set(examples.layers["codec"]) == {"webp"}


# --- Which pictures -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "column", "expected"),
    [
        (["link.snr_db=[20, 0, 5]"], "snr_db", [0, 5, 20]),
        (["link.snr_db=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"], "snr_db", [0, 2, 4, 6, 8, 10]),
        (["figures={strip: {snr_db: [20, 4]}}"], "snr_db", [4, 20]),
        (["figures={strip: {snr_db: 9}}", "link.cbr=[1/6, 1/3]"], "snr_db", [9]),
        (["figures={strip: {snr_db: [1, 2, 3, 4, 5, 6, 7]}}", "link.snr_db=[1, 2, 3, 4, 5, 6, 7]"],
         "snr_db", [1, 2, 3, 4, 5, 6, 7]),
        (["link.snr_db=9", "link.cbr=[1/2, 1/6]"], "cbr", [1 / 6, 1 / 2]),
        (["link.snr_db=9", "link.packet_loss=[0.2, 0, 0.1]"], "packet_loss", [0, 0.1, 0.2]),
        # Bursts are another sweep than single losses.
        (["link.snr_db=9",
          "link.packet_loss=[0, 0.1, {type: gilbert_elliott, mean_loss: [0.05, 0.1, 0.3]}]"],
         "packet_loss", [0.05, 0.1, 0.3]),
        (["link.snr_db=9"], "snr_db", [9]),
        # The longer of two sweeps.
        (["sweeps=[{snr_db: [1, 2], cbr: 1/6}, {snr_db: [1, 2, 3]}]"], "snr_db", [1, 2, 3]),
    ],
)  # fmt: skip
def test_a_sweep_is_shown(
    tmp_path: Path, overrides: list[str], column: str, expected: list[float]
) -> None:
    made = planned(tmp_path, "codecs=[{type: jpeg}]", "link.channel=awgn", "figures={}", *overrides)
    (trials,) = shown_trials(made, All(), 0).values()
    assert [trial.link.columns[column] for trial in trials] == pytest.approx(expected)
    assert {trial.repetition for trial in trials} == {0}


def test_channels_are_bounded_unless_pictures_are_asked_for(tmp_path: Path) -> None:
    channels = "link.channel=[awgn, {type: rician, k_db: [0, 3, 6, 9, 12]}]"
    short = ("codecs=[{type: jpeg}]", "link.snr_db=9", channels)
    (trials,) = shown_trials(planned(tmp_path, *short, "figures={}"), All(), 0).values()
    assert len({trial.link.channel.label for trial in trials}) == 4
    (trials,) = shown_trials(planned(tmp_path, *short), All(), 0).values()
    assert len({trial.link.channel.label for trial in trials}) == 6


# --- Layers ---------------------------------------------------------------------------------


def test_layers_are_those_of_the_streams(finished: Path) -> None:
    layers = read_examples(finished).layers
    assert set(layers["codec"]) == {"layered", "jpeg"}
    codec = open_layered_codec("paper")
    for image in load_images("samples32", Path(), 3):
        (encoded,) = codec.encode_batch([image.pixels])
        own = layers[(layers["codec"] == "layered") & (layers["image"] == image.name)]
        sizes = np.cumsum([len(layer.data) for layer in encoded.layers])
        assert list(own["payload_bytes"]) == list(sizes)
        assert list(own["layer"]) == list(codec.layer_names)
        assert list(own["layers"]) == list(range(1, 10))
        assert np.allclose(own["bpp"], sizes / 128)
        # The last layer makes it exact, and each one before brings something.
        assert np.isinf(own["psnr_db"].iloc[-1]) and own["ssim"].iloc[-1] == 1
        assert np.all(np.diff(own["psnr_db"].iloc[:-1]) > 0)


def test_streams_without_layers_are_those_that_were_sent(finished: Path) -> None:
    layers = read_examples(finished).layers
    trials = pd.read_csv(finished / "trials.csv")
    sent = trials[(trials["codec"] == "jpeg") & ~trials["failed"]]
    own = layers[layers["codec"] == "jpeg"].set_index("image")
    assert (own["layers"] == 1).all() and (own["payload_bytes"] <= own["budget_bytes"]).all()
    for image, rows in sent.groupby("image"):
        # One budget; whole and intact, a stream shows what it shows without a channel.
        assert set(rows["payload_bits"]) == {8 * own.loc[image, "payload_bytes"]}
        assert set(rows["psnr_db"]) == {own.loc[image, "psnr_db"]}


def test_large_pictures_are_few(tmp_path: Path) -> None:
    made = planned(tmp_path, "images=[{source: samples32}, {source: samples_large}]", "figures={}")
    from testbed.examples.layers import picture_sets

    sets = {size: len(images) for size, images in picture_sets(made).items()}
    assert sets == {(32, 32): 8, (384, 256): 2}


# --- Bitplanes ------------------------------------------------------------------------------


def test_wrong_bits_are_those_of_the_papers_table(finished: Path) -> None:
    """Counted by another program, over the same picture."""
    examples = read_examples(finished)
    picture = examples.original.transpose(2, 0, 1)[None]
    expected = {
        (each.plane, stage): count
        for each in plane_errors(load_paper_profile("paper"), picture)
        if each.rule == "interval"
        for stage, count in (
            ("true", 0), ("initial", each.initial), ("bcf", each.after_bcf), ("en", each.after_en),
        )
    }  # fmt: skip
    planes = examples.planes
    found = dict(zip(zip(planes["plane"], planes["stage"], strict=True), planes["wrong_bits"],
                     strict=True))  # fmt: skip
    assert found == expected
    assert np.allclose(planes["share"], planes["wrong_bits"] / 3072)


def test_planes_are_files_of_one_bit(finished: Path) -> None:
    examples = read_examples(finished)
    for row in examples.planes.itertuples():
        with Image.open(finished / "examples" / row.file) as picture:
            assert (picture.mode, picture.size) == ("1", (96, 32))
        truth = examples.original.transpose(2, 0, 1) >> (row.plane - 1) & 1
        bits = examples.plane(row.file, 32, 32)
        assert np.count_nonzero(bits != truth) == row.wrong_bits


# --- Folders of anybody ---------------------------------------------------------------------


def changed(table: Path, old: str, new: str) -> None:
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("jpeg_1.png", "../secret.png", "expected names of PNG files in this folder"),
        ("jpeg_1.png", "/etc/passwd", "expected names of PNG files in this folder"),
        ("jpeg_1.png", "none.png", "none.png"),
        ("jpeg_1.png", "layered_plane8_true.png", "expected a picture of 32x32 pixels, found 96x3"),
        ("layers_decoded", "layers", "has no column 'layers_decoded'"),
        ("jpeg_1.png,", "jpeg_1.png,,", "cannot be read"),
        (",True,", ",perhaps,", "cannot be read"),
    ],
)
def test_examples_that_cannot_be_used(
    finished: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    shutil.copytree(finished, tmp_path / "out")
    Image.new("RGB", (32, 32)).save(tmp_path / "out" / "secret.png")
    changed(tmp_path / "out" / "examples" / "pictures.csv", old, new)
    run = open_run(tmp_path / "out", tmp_path / "scratch")
    with pytest.raises(ExamplesError, match=message) as error:
        for drawing in draw_picture_grids(run, "page"):
            plt.close(drawing.figure)
    assert "\n" not in str(error.value)
    plt.close("all")


def test_a_damaged_picture_is_one_line(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "out")
    file = tmp_path / "out" / "examples" / "jpeg_1.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(ExamplesError, match=r"jpeg_1\.png"):
        read_examples(tmp_path / "out").received("jpeg_1.png")


# --- Figures --------------------------------------------------------------------------------

MAKERS = (draw_picture_strips, draw_picture_grids, draw_rate_distortion, draw_bitplane_views)


@pytest.mark.parametrize("maker", MAKERS)
def test_figures_fit_their_width(run: RunFolder, maker: object) -> None:
    for width, width_in in WIDTHS_IN.items():
        drawings = list(maker(run, width))
        assert drawings
        for drawing in drawings:
            assert drawing.figure.get_figwidth() <= width_in
            assert drawing.figure.get_figheight() < 10
            assert drawing.caption.endswith(".")
            assert not any(each in drawing.caption for each in ("$", "..", "  "))
            plt.close(drawing.figure)


@pytest.mark.parametrize("maker", MAKERS)
def test_figures_are_the_same_bytes_each_time(
    run: RunFolder, tmp_path: Path, maker: object
) -> None:
    for name in "ab":
        drawings = maker(run, "column")
        save_drawing(next(drawings), tmp_path / name, [".svg"])
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize("maker", MAKERS)
def test_without_examples_nothing_is_drawn(finished: Path, tmp_path: Path, maker: object) -> None:
    shutil.copytree(finished, tmp_path / "out", ignore=shutil.ignore_patterns("examples"))
    run = open_run(tmp_path / "out", tmp_path / "scratch")
    assert list(maker(run, "page")) == []


def images_in(drawing: Drawing) -> list[np.ndarray]:
    found = [
        np.asarray(image.get_array()) for axes in drawing.figure.axes for image in axes.get_images()
    ]
    plt.close(drawing.figure)
    return found


def test_a_run_draws_strips_of_whole_pixels(finished: Path, run: RunFolder) -> None:
    for channel in ("awgn", "rayleigh_block"):
        for suffix in (".png", ".pdf"):
            assert (finished / "figures" / f"strip_{channel}{suffix}").is_file()
    examples = read_examples(finished)
    for drawing in draw_picture_strips(run, "page"):
        own = examples.pictures[examples.pictures["channel"] == drawing.stem.removeprefix("strip_")]
        original, *received = images_in(drawing)
        assert np.array_equal(original, examples.original)
        assert len(received) == len(own) == 9
        for shown, file in zip(received, own["file"], strict=True):
            assert np.array_equal(shown, examples.received(file))
        assert all(word in drawing.caption for word in ("channel draw 1 of 2", "32x32", "CBR 1/3"))


def test_errors_are_drawn_on_one_scale(run: RunFolder) -> None:
    examples = read_examples(run.path)
    drawing = next(draw_picture_grids(run, "page"))
    scales = {
        image.get_clim() for axes in drawing.figure.axes for image in axes.get_images()
        if np.asarray(image.get_array()).ndim == 2
    }  # fmt: skip
    errors = [each for each in images_in(drawing) if each.shape == (32, 32)]
    assert len(scales) == 1 and len(errors) == 9
    received = examples.received(examples.pictures["file"].iloc[0])
    expected = np.abs(examples.original.astype(float) - received.astype(float)).mean(axis=2)
    assert np.allclose(errors[0], expected)
    assert np.allclose(absolute_error(examples.original, received), expected)


def test_the_part_with_most_detail_is_enlarged() -> None:
    flat = np.full((160, 200, 3), 90, np.uint8)
    assert Part.of(flat[:128, :128]) is None
    flat[85:110, 120:140] = np.random.default_rng(0).integers(0, 256, (25, 20, 3))
    part = Part.of(flat)
    assert part == Part(top=80, left=100, height=40, width=50)
    assert part.cut(flat).shape == (40, 50, 3)


def test_rate_curves_are_means_over_pictures(run: RunFolder) -> None:
    layers = read_examples(run.path).layers
    curves = {curve.codec: curve for curve in rate_curves(layers, run.codecs)}
    assert set(curves) == {"layered", "jpeg"}
    rows = [row for row in layers.itertuples() if row.codec == "layered"]
    for count in range(1, 10):
        own = [row for row in rows if row.layers == count]
        point = curves["layered"].points.loc[count]
        assert point["bpp"] == pytest.approx(sum(row.bpp for row in own) / 3)
        assert point["psnr_db"] == pytest.approx(sum(min(row.psnr_db, 60) for row in own) / 3)
    assert curves["layered"].layers == ("base", *(f"plane{k}" for k in range(8, 0, -1)))
    assert curves["jpeg"].layers == ()


def test_pictures_of_few_layers_and_budgets_that_do_not_fit_all() -> None:
    rows = pd.DataFrame(
        [
            ("a", "one", 1, "base", np.nan, 1.0, 20.0),
            ("a", "one", 2, "plane8", np.nan, 3.0, np.inf),
            ("a", "two", 1, "base", np.nan, 2.0, np.inf),
            ("b", "one", 1, "b", 100, 0.5, 10.0),
            ("b", "one", 1, "b", 200, 1.5, 30.0),
            ("b", "two", 1, "b", 200, 1.7, 20.0),
        ],
        columns=["codec", "image", "layers", "layer", "budget_bytes", "bpp", "psnr_db"],
    ).assign(ssim=np.nan)
    first, second = rate_curves(rows, ("a", "b"))
    # The second picture is whole with its base: it stays what it is.
    assert first.points[["bpp", "psnr_db"]].to_numpy().tolist() == [[1.5, 40.0], [2.5, 60.0]]
    assert second.points[["bpp", "psnr_db"]].to_numpy().tolist() == [[1.6, 25.0]]


def test_wrong_bits_are_marked(run: RunFolder) -> None:
    planes = read_examples(run.path).planes
    (drawing,) = draw_bitplane_views(run, "column")
    shown = images_in(drawing)
    assert len(shown) == 32
    picture = read_examples(run.path).original[:, :, 1]
    for row, image in zip(planes.itertuples(), shown, strict=True):
        truth = picture >> (row.plane - 1) & 1
        assert np.array_equal(image[image < 2], truth[image < 2])
        if row.stage == "true":
            assert not (image == 2).any()
    # Green's wrong bits are some of all three channels'.
    marked = [int((image == 2).sum()) for image in shown]
    assert all(mark <= wrong for mark, wrong in zip(marked, planes["wrong_bits"], strict=True))
    assert sum(marked) > 0
