"""statistics.csv and differences.csv against numpy, scipy and sums by hand."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_envelope import table

from testbed.errors import OutputError
from testbed.evaluation.intervals import image_interval
from testbed.evaluation.metrics import EXACT_PSNR_DB
from testbed.evaluation.statistics import write_statistics
from testbed.evaluation.trial_store import by_picture, open_trials
from testbed.evaluation.trials_table import METRICS

KEY = ["codec", "snr_db", "code_rate"]
LABELS = METRICS | {"task": "recognised pictures (share)", "lpips": "LPIPS"}


def written(
    frame: pd.DataFrame, folder: Path, reference: str = "layered", **options: object
) -> tuple[pd.DataFrame, pd.DataFrame]:
    frame = frame.assign(cbr_used=0.2 + 0.01 * frame["repetition"], bpp=frame["code_rate"])
    columns = [name for name in frame if name not in ("failed", "task", "lpips")]
    columns += [name for name in ("failed", "task", "lpips") if name in frame]
    file = folder / "trials.csv"
    frame[columns].to_csv(file, index=False, na_rep="nan")
    metrics = {name: label for name, label in LABELS.items() if name in frame}
    paths = write_statistics(file, metrics, reference, folder, **options)
    assert [path.name for path in paths] == ["statistics.csv", "differences.csv"]
    one, other = (pd.read_csv(path, keep_default_na=False, na_values=["nan"]) for path in paths)
    return one, other


def one_point(**columns: object) -> pd.DataFrame:
    frame = table(**columns)
    keep = (frame["codec"] == "jpeg") & (frame["snr_db"] == 0) & (frame["code_rate"] == 0.5)
    return frame[keep].reset_index(drop=True)


# --- statistics.csv -------------------------------------------------------------------------


def test_means_and_quantiles_are_those_of_pandas(tmp_path: Path) -> None:
    frame = table()
    rows, _ = written(frame, tmp_path)
    groups = frame.groupby(KEY)
    found = rows.set_index(KEY).sort_index()
    for name, unit in (("psnr", "_db"), ("ssim", "")):
        values = groups[name + unit]
        assert found[name + unit].to_numpy() == pytest.approx(values.mean().to_numpy(), rel=1e-5)
        for word, level in (("q05", 0.05), ("median", 0.5), ("q95", 0.95)):
            expected = values.quantile(level).to_numpy()
            assert found[f"{name}_{word}{unit}"].to_numpy() == pytest.approx(expected, rel=1e-5)
    assert (rows[["trials", "images", "draws"]] == [36, 12, 3]).all().all()
    assert rows["cbr_used"].to_numpy() == pytest.approx(0.21)
    assert (rows["bpp"] == rows["code_rate"]).all()


def test_the_interval_of_a_mean_is_a_bootstrap_over_pictures(tmp_path: Path) -> None:
    frame = one_point(images=40)
    rows, _ = written(frame, tmp_path)
    means = frame.groupby("image")["psnr_db"].mean().to_numpy()
    expected = stats.bootstrap(
        (means,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(5)
    ).confidence_interval
    width = expected.high - expected.low
    assert rows["psnr_low_db"][0] == pytest.approx(expected.low, abs=0.08 * width)
    assert rows["psnr_high_db"][0] == pytest.approx(expected.high, abs=0.08 * width)
    assert rows["interval_over"][0] == "images"


def test_a_rate_has_the_interval_of_wilson(tmp_path: Path) -> None:
    frame = one_point(images=20, draws=1)
    frame["failed"] = np.arange(20) < 3
    rows, _ = written(frame, tmp_path)
    expected = stats.binomtest(3, 20).proportion_ci(method="wilson")
    assert rows["failed"][0] == 0.15
    assert rows[["failed_low", "failed_high"]].iloc[0].tolist() == pytest.approx(
        [expected.low, expected.high], rel=1e-4
    )


def test_none_failed_has_an_upper_bound_and_so_have_shares(tmp_path: Path) -> None:
    rows, _ = written(one_point(images=20, draws=1, task=1.0), tmp_path)
    expected = stats.binomtest(0, 20).proportion_ci(method="wilson")
    assert rows[["failed", "failed_low"]].iloc[0].tolist() == [0, 0]
    assert rows["failed_high"][0] == pytest.approx(expected.high, rel=1e-4)
    assert rows["task_low"][0] == pytest.approx(1 - expected.high, rel=1e-4)


def test_a_point_knows_how_alike_draws_are_from_its_curve(tmp_path: Path) -> None:
    """At one SNR the draws of a picture fail alike; at the other none fails."""
    frame = table(20)
    alike = frame["image"].isin([f"picture {k}" for k in range(5)])
    frame["failed"] = alike & (frame["snr_db"] == 0.0)
    rows, _ = written(frame, tmp_path)
    expected = stats.binomtest(0, 20).proportion_ci(method="wilson")
    none = rows[rows["snr_db"] == 5.0]
    assert none["failed_high"].to_numpy() == pytest.approx(expected.high, rel=1e-4)


def test_uneven_draws_count_by_picture(tmp_path: Path) -> None:
    frame = one_point(images=6, draws=4)
    # Picture k keeps its first 1 + k % 4 draws.
    frame = frame[frame["repetition"] <= frame["image"].str[-1].astype(int) % 4]
    frame["failed"] = frame["image"] == "picture 1"
    rows, _ = written(frame, tmp_path)
    by_image = frame.groupby("image")["psnr_db"].mean()
    row = rows.iloc[0]
    assert row[["trials", "images", "draws"]].tolist() == [13, 6, 1]
    assert row["psnr_db"] == pytest.approx(by_image.mean(), rel=1e-5)
    assert row["failed"] == pytest.approx(1 / 6, rel=1e-5)
    # The draws of a picture are alike: six pictures, whatever their draws.
    expected = stats.binomtest(1, 6).proportion_ci(method="wilson")
    assert row["failed_high"] == pytest.approx(expected.high, rel=1e-4)
    assert by_image.min() <= row["psnr_low_db"] < row["psnr_high_db"] <= by_image.max()


def test_few_pictures_and_single_trials_have_the_intervals_that_can_be_had(tmp_path: Path) -> None:
    (one,), (single,) = (
        written(one_point(images=1, draws=draws), tmp_path)[0].to_dict("records")
        for draws in (30, 1)
    )
    values = one_point(images=1, draws=30)["psnr_db"]
    half = 1.96 * values.std() / np.sqrt(30)
    assert one["interval_over"] == "draws"
    assert one["psnr_high_db"] - one["psnr_low_db"] == pytest.approx(2 * half, rel=0.15)
    assert single["interval_over"] == "none"
    assert single["psnr_q05_db"] == single["psnr_median_db"] == single["psnr_db"]
    ends = ("psnr_low_db", "psnr_high_db", "failed_low", "failed_high")
    assert np.isnan([single[name] for name in ends]).all()


def test_all_failed_and_all_exact(tmp_path: Path) -> None:
    rows, _ = written(table(psnr_db=np.inf, failed=True), tmp_path)
    exact = rows[["psnr_db", "psnr_low_db", "psnr_high_db", "psnr_q05_db", "psnr_q95_db"]]
    assert (exact == EXACT_PSNR_DB).all().all()
    assert (rows[["failed", "failed_high"]] == 1).all().all()
    assert (rows["failed_low"] < 0.9).all()


def test_a_metric_without_a_value_is_nan_and_of_some_pictures_their_own(tmp_path: Path) -> None:
    frame = table(lpips=0.5, ssim=np.nan)
    frame.loc[frame["image"] == "picture 3", "lpips"] = np.nan
    rows, differences = written(frame, tmp_path)
    assert (rows["lpips"] == 0.5).all()
    assert rows[["ssim", "ssim_low", "ssim_median"]].isna().all().all()
    assert differences[["ssim_difference", "ssim_better"]].isna().all().all()
    assert (differences[["lpips_difference", "lpips_better"]] == 0).all().all()
    assert (differences["pairs"] == 36).all()


def test_rows_come_as_the_table_has_them_with_its_own_texts(tmp_path: Path) -> None:
    frame = table(cbr=1 / 3, packet_loss=np.nan).replace({"codec": {"jpeg": "007"}})
    rows, _ = written(frame, tmp_path)
    expected = frame[KEY].drop_duplicates()
    assert rows["snr_db"].tolist() == expected["snr_db"].tolist()
    assert rows["code_rate"].tolist() == expected["code_rate"].tolist()
    line = (tmp_path / "statistics.csv").read_text().splitlines()[-1]
    assert line.startswith("007,,awgn,5.0,qpsk,0.7,ldpc,0.3333333333333333,iid,nan,packet,")


def test_the_order_of_a_points_rows_changes_nothing(tmp_path: Path) -> None:
    frame = table()
    written(frame, tmp_path)
    one = [(tmp_path / name).read_bytes() for name in ("statistics.csv", "differences.csv")]
    places = frame.groupby(KEY, sort=False).ngroup()
    shuffled = frame.sample(frac=1, random_state=1)
    written(shuffled.loc[places[shuffled.index].sort_values(kind="stable").index], tmp_path)
    assert [(tmp_path / n).read_bytes() for n in ("statistics.csv", "differences.csv")] == one


def test_variations_and_sizes_are_points_of_their_own(tmp_path: Path) -> None:
    frames = [
        table(case=case, height=height, width=64, psnr_db=psnr)
        for case, height, psnr in (("a", 32, 20), ("b", 32, 30), ("b", 96, 40))
    ]
    frames[2]["image"] = "other " + frames[2]["image"]
    rows, differences = written(pd.concat(frames), tmp_path)
    assert list(rows)[:2] == ["codec", "case"]
    found = set(zip(rows["case"], rows["size"], rows["psnr_db"], strict=True))
    assert found == {("a", "64x32", 20), ("b", "64x32", 30), ("b", "96x64", 40)}
    assert len(rows) == 36
    assert len(differences) == 18
    assert (differences["psnr_difference_db"] == 0).all()


def test_a_table_without_rows_gives_headings(tmp_path: Path) -> None:
    rows, differences = written(table().iloc[:0], tmp_path)
    assert len(rows) == len(differences) == 0
    assert {"psnr_q95_db", "failed_high"} <= set(rows)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    written(table(), tmp_path)
    with pytest.raises(OutputError, match=r"none: cannot write .*No such file"):
        write_statistics(tmp_path / "trials.csv", METRICS, "layered", tmp_path / "none")


def test_points_in_many_parts_are_put_together(tmp_path: Path, monkeypatch) -> None:
    """As a journal has them: trials of all points in turn, over many chunks of the table."""
    frame = table(8, 3, lpips=np.linspace(0, 1, 2 * 2 * 3 * 8 * 3))
    written(frame, tmp_path)
    files = [tmp_path / name for name in ("statistics.csv", "differences.csv")]
    whole = [sorted(file.read_text().splitlines()) for file in files]
    monkeypatch.setattr("testbed.evaluation.trial_store._CHUNK_ROWS", 7)
    written(frame.sample(frac=1, random_state=2), tmp_path)
    assert [sorted(file.read_text().splitlines()) for file in files] == whole
    assert {path.name for path in tmp_path.iterdir()} == {
        "trials.csv", "statistics.csv", "differences.csv"
    }  # fmt: skip


def test_pictures_of_one_name_are_pictures_of_their_own(tmp_path: Path) -> None:
    """Two folders may both have a "kodim01": the k-th of one codec is the k-th of the other."""
    frame = table(6, 2)
    # In the order of a run: a point's pictures one after another.
    frame["image"] = frame["image"].replace({"picture 3": "picture 0"})
    rows, differences = written(frame, tmp_path)
    assert (rows[["images", "draws"]] == [6, 2]).all().all()
    assert (differences[["images", "pairs"]] == [6, 12]).all().all()
    apart, apart_differences = written(table(6, 2), tmp_path)
    assert rows["psnr_db"].tolist() == apart["psnr_db"].tolist()
    names = ["psnr_difference_db", "psnr_better"]
    assert (differences[names] == apart_differences[names]).all().all()


def test_memory_does_not_grow_with_the_number_of_trials(tmp_path: Path, monkeypatch) -> None:
    """Three times the points of 500 trials each. Five values of a trial are 40 bytes."""
    monkeypatch.setattr("testbed.evaluation.trial_store._CHUNK_ROWS", 500)
    peaks, trials = [], []
    for points in (1, 1, 3):  # the first for whatever is loaded once
        frame = pd.concat(table(25, 20, cbr=1 / (1 + k)) for k in range(points))
        frame = frame[frame["codec"] == "jpeg"]
        written(frame, tmp_path)
        trials.append(len(frame))
        tracemalloc.start()
        with open_trials(tmp_path / "trials.csv", list(METRICS), tmp_path) as store:
            for point in store.points:
                store.values(point)
                store.differences(point, store.points[0])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert trials[1:] == [3000, 9000]
    assert peaks[2] - peaks[1] < 8 * (trials[2] - trials[1])


def test_an_interval_is_that_of_resamples_in_one_piece(monkeypatch) -> None:
    """However they are cut, and whether they are remembered or not."""
    random = np.random.default_rng(0)
    of_images = np.random.default_rng(1).normal(size=300)
    resampled = of_images[random.integers(300, size=(1000, 300))].mean(1)
    expected = tuple(np.quantile(resampled, [0.025, 0.975]))
    assert image_interval(of_images) == image_interval(of_images) == expected
    monkeypatch.setattr("testbed.evaluation.intervals._KEPT", 0)
    for block in (1, 700, 1 << 20):
        monkeypatch.setattr("testbed.evaluation.intervals._BLOCK", block)
        assert image_interval(of_images) == expected


# --- differences.csv ------------------------------------------------------------------------


def test_differences_are_paired_at_the_same_setting(tmp_path: Path) -> None:
    frame = table(20)
    noise = np.random.default_rng(0).normal(0, 0.1, len(frame))
    picture = frame["image"].map({name: 5 * k % 17 for k, name in enumerate(set(frame["image"]))})
    frame = frame.assign(psnr_db=20 + picture + (frame["codec"] == "jpeg") + noise)
    rows, differences = written(frame, tmp_path)
    assert len(differences) == 6
    assert set(zip(differences["codec"], differences["reference"], strict=True)) == {
        ("jpeg", "layered")
    }
    means = frame.pivot_table(index=["snr_db", "code_rate"], columns="codec", values="psnr_db")
    expected = (means["jpeg"] - means["layered"]).to_numpy()
    by_key = differences.sort_values(["snr_db", "code_rate"])
    assert by_key["psnr_difference_db"].to_numpy() == pytest.approx(expected, rel=1e-4)
    width = differences["psnr_difference_high_db"] - differences["psnr_difference_low_db"]
    assert width.max() < 0.1 * (rows["psnr_high_db"] - rows["psnr_low_db"]).min()
    assert (differences["psnr_better"] == 1).all()
    assert (differences["psnr_worse"] == 0).all()


def test_pairs_are_what_both_have(tmp_path: Path) -> None:
    frame = table(6, 3)
    layered = frame["codec"] == "layered"
    gone = (layered & (frame["image"] == "picture 0")) | (layered & (frame["repetition"] == 2))
    gone |= ~layered & (frame["image"] == "picture 5") & (frame["repetition"] == 0)
    rest = frame[~gone]
    _, differences = written(rest, tmp_path)
    assert (differences[["pairs", "images", "draws"]] == [9, 5, 1]).all().all()
    by_trial = rest.pivot(index=["snr_db", "code_rate", "image", "repetition"], columns="codec")
    gap = (by_trial["psnr_db"]["jpeg"] - by_trial["psnr_db"]["layered"]).dropna()
    by_image = gap.groupby(["snr_db", "code_rate", "image"]).mean()
    expected = by_image.groupby(["snr_db", "code_rate"]).mean().to_numpy()
    found = differences.sort_values(["snr_db", "code_rate"])
    assert found["psnr_difference_db"].to_numpy() == pytest.approx(expected, rel=1e-4)
    better = (by_image > 0).groupby(["snr_db", "code_rate"]).mean().to_numpy()
    assert found["psnr_better"].to_numpy() == pytest.approx(better)


def test_an_analog_codec_is_held_against_all_over_its_medium(tmp_path: Path) -> None:
    analog = table(codec="deepjscc", modulation="analog", coding="none", protection="analog")
    analog = analog.drop_duplicates(["snr_db", "image", "repetition"]).assign(code_rate=np.nan)
    frame = pd.concat([table(), analog])
    _, differences = written(frame, tmp_path)
    own = differences[differences["codec"] == "deepjscc"]
    assert len(own) == 6
    assert set(own["code_rate"]) == {0.3, 0.5, 0.7}
    # And the other way round.
    _, differences = written(frame, tmp_path, "deepjscc")
    assert len(differences) == 12
    assert set(differences["modulation"]) == {"qpsk"}


def test_less_may_be_better(tmp_path: Path) -> None:
    frame = table(8)
    frame = frame.assign(lpips=np.where(frame["codec"] == "jpeg", 0.2, 0.5))
    _, differences = written(frame, tmp_path, lower_is_better={"lpips"})
    assert differences["lpips_difference"].to_numpy() == pytest.approx(-0.3)
    assert (differences["lpips_better"] == 1).all()


def test_one_codec_has_no_differences(tmp_path: Path) -> None:
    rows, differences = written(one_point(), tmp_path, "jpeg")
    assert (len(rows), len(differences)) == (1, 0)
    assert "psnr_difference_low_db" in differences


def test_values_lie_by_picture() -> None:
    found = by_picture(np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([False, True, True]))
    np.testing.assert_array_equal(found[0], [[1, 2], [3, np.nan], [4, np.nan]])
