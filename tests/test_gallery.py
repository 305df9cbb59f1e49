"""The gallery: what is kept is of today's scenarios, and comes out again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testbed.commands.gallery_command import make_gallery
from testbed.language.scenario_loading import load_scenario
from testbed.studies.gallery import (
    FIGURES,
    GALLERY_CSV,
    ROOT,
    GalleryError,
    Shown,
    differing,
    read_index,
    shown,
)
from testbed.studies.gallery_pages import REFERENCE, first_sentence, kept_of, opening, pages

KEPT = {row["name"]: row for row in read_index(ROOT / REFERENCE / GALLERY_CSV)}


def test_names_tell_scenarios_apart() -> None:
    names = [each.name for each in shown()]
    assert len(names) == len(set(names)) > 40
    assert set(FIGURES) <= set(names)


@pytest.mark.parametrize("each", shown(), ids=lambda each: each.name)
def test_what_is_kept_is_of_this_scenario(each: Shown) -> None:
    row = KEPT[each.name]
    assert row["file"] == each.file.as_posix()
    tables, figures = kept_of(each)
    assert figures and any(name.endswith(".csv") for name in tables)
    if "TESTBED_DATA" not in os.environ and _needs_data(each.file):
        pytest.skip("needs CIFAR-10 or Kodak in TESTBED_DATA")
    assert load_scenario(ROOT / each.file).scenario_hash == row["scenario_sha256"]


def _needs_data(file: Path) -> bool:
    text = (ROOT / file).read_text()
    return any(name in text for name in ("cifar10_test", "kodak"))


@pytest.mark.parametrize(("path", "text"), pages().items(), ids=lambda value: str(value)[:40])
def test_pages_say_what_they_are_made_of(path: Path, text: str) -> None:
    assert (ROOT / path).read_text() == text, "run `testbed gallery`"


def test_a_scenario_comes_out_as_it_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_gallery(["iid_loss"], tmp_path / "runs", ROOT / REFERENCE, 1, check=True)
    assert "iid_loss: as kept" in capsys.readouterr().out
    # A result that has changed is told, file by file.
    made = tmp_path / "runs" / "iid_loss"
    (made / "journal.jsonl").write_bytes(b"")
    make_gallery(["iid_loss"], tmp_path / "runs", tmp_path / "kept", 1, check=False)
    kept = tmp_path / "kept" / "iid_loss"
    assert list(differing(kept, ROOT / REFERENCE / "iid_loss")) == []
    (kept / "statistics.csv").write_text("other\n")
    with pytest.raises(GalleryError, match=r"1 files.*statistics\.csv"):
        make_gallery(["iid_loss"], tmp_path / "runs", tmp_path / "kept", 1, check=True)


def test_scenarios_that_are_not_there() -> None:
    with pytest.raises(GalleryError, match=r"no scenario of that name; there are .*awgn"):
        shown(["awgm"])


def test_openings() -> None:
    assert opening("# One. Two\n# three.\n\n# four\nseed: 1\n") == "One. Two three."
    assert first_sentence("One, 1.5 dB. Two.") == "One, 1.5 dB."
    assert first_sentence("One") == "One"
