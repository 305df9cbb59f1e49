"""Which pictures of a source a scenario takes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from scipy import stats

from testbed.datasets.subset import Subset
from testbed.errors import ScenarioError
from testbed.images import DATA_VARIABLE, ImageSourceError
from testbed.language.image_sources import ImageSource
from testbed.language.scenario_loading import load_scenario

LABELS = [3, 5, 3, 0, 5, 3, 9, 9, 3, 5]


def positions(**keys: object) -> list[int]:
    source = ImageSource.model_validate({"source": "cifar10_test", **keys})
    return list(source.subset.positions(len(LABELS), lambda: LABELS))


def test_classes_then_indices_then_limit() -> None:
    assert positions() == list(range(10))
    assert positions(limit=3) == [0, 1, 2]
    assert positions(indices=[7, 2]) == [7, 2]
    assert positions(indices=4) == [4]
    assert positions(indices="2:5") == [2, 3, 4]
    assert positions(indices=" 2 : 5 ", limit=2) == [2, 3]
    assert positions(classes=["cat", "dog"]) == [0, 1, 2, 4, 5, 8, 9]
    assert positions(classes=["dog", 3]) == [0, 1, 2, 4, 5, 8, 9]
    assert positions(classes="cat", indices=[3, 0]) == [8, 0]
    assert positions(classes=3, indices="1:4", limit=2) == [2, 5]


def test_what_a_sample_draws_is_the_same_everywhere() -> None:
    """Against the rule said in words: the pictures of the lowest digests."""

    def lot(seed: int, index: int) -> bytes:
        parts = [b"s" + (6).to_bytes(8, "big") + b"sample"]
        for number in (seed, index):
            digits = str(number).encode()
            parts.append(b"i" + len(digits).to_bytes(8, "big") + digits)
        return hashlib.sha256(b"".join(parts)).digest()[:16]

    ranked = sorted(range(10), key=lambda index: lot(7, index))
    assert positions(sample=4, seed=7) == sorted(ranked[:4])
    assert positions(sample=4) == sorted(sorted(range(10), key=lambda index: lot(1, index))[:4])
    cats = [index for index in ranked if LABELS[index] == 3]
    assert positions(sample=2, seed=7, classes="cat") == sorted(cats[:2])
    assert positions(sample=4, seed=7, limit=2) == sorted(ranked[:4])[:2]
    assert positions(sample=10, seed=3) == list(range(10))
    assert Subset(sample=5, seed=7).positions(10_000, lambda: []) == [1717, 1912, 4920, 7042, 7517]


def test_samples_are_fair_and_nested() -> None:
    drawn = [Subset(sample=10, seed=seed).positions(40, lambda: []) for seed in range(800)]
    assert all(len(set(each)) == 10 and list(each) == sorted(each) for each in drawn)
    counts = np.bincount(np.concatenate(drawn), minlength=40)
    # Each picture is drawn by a quarter of the seeds; the bound errs once in 10,000 generators.
    expected, variance = 200, 800 * 0.25 * 0.75
    statistic = ((counts - expected) ** 2).sum() / variance * 39 / 40
    assert stats.chi2.sf(statistic, 39) > 1e-4
    for seed in range(20):
        fewer, more = (Subset(sample=k, seed=seed).positions(500, lambda: []) for k in (30, 200))
        assert set(fewer) < set(more)


def test_the_canonical_form_says_only_what_is_chosen() -> None:
    def canonical(**keys: object) -> dict[str, object]:
        source = ImageSource.model_validate({"source": "cifar10_test", **keys})
        found = source.model_dump(mode="json")
        assert ImageSource.model_validate(found) == source
        return found

    # As it was before there were subsets.
    assert canonical() == {"source": "cifar10_test", "limit": None}
    assert list(canonical(limit=3)) == ["source", "limit"]
    assert canonical(sample=5)["seed"] == 1
    assert canonical(indices=" 01:5")["indices"] == "1:5"
    assert canonical(indices=4)["indices"] == [4]
    assert canonical(classes=[3, "dog"])["classes"] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{source: cifar10_test, classes: [cat, dig]}", "images.*classes.*did you mean 'dog'"),
        ("{source: cifar10_test, classes: 10}", "expected one of airplane.* from 0 to 9; found 10"),
        ("{source: cifar10_test, classes: [cat, 3]}", "cat is in the list twice"),
        ("{source: kodak, classes: cat}", "kodak has no labels .*cifar10_test"),
        ("{source: cifar10_test, indices: [1, 5, 1]}", r"indices\[2\]: 1 is in the list twice"),
        ("{source: cifar10_test, indices: []}", "at least one value"),
        ("{source: cifar10_test, indices: [3, -1]}", r"indices\[1\]: .*0 or more, found -1"),
        ("{source: cifar10_test, indices: [1.0]}", "whole number.*write 1"),
        ("{source: cifar10_test, indices: true}", "whole number"),
        ("{source: cifar10_test, indices: 5:5}", "ends after its start, found 5:5"),
        ("{source: cifar10_test, indices: '5:'}", "a range such as 100:200"),
        ("{source: cifar10_test, sample: 0}", "1 or more, found 0"),
        ("{source: cifar10_test, sample: 3, indices: 1}", "indices or sample, found both"),
        ("{source: cifar10_test, seed: 3}", "seed: .*'sample'"),
        ("{source: cifar10_test, simple: 3}", "did you mean 'sample'"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, source: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"codecs: {{type: jpeg}}\nimages: {source}\nlink: {{snr_db: 5}}\n")
    with pytest.raises(ScenarioError, match=message) as caught:
        load_scenario(path)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].line == 2


def test_pictures_that_there_are_not(tmp_path: Path) -> None:
    for number in range(4):
        pixels = np.full((3, 3, 3), number, np.uint8)
        PillowImage.fromarray(pixels).save(tmp_path / f"{number}.png")

    def names(**keys: object) -> list[str]:
        source = ImageSource.model_validate({"source": "*.png", **keys})
        return [image.name for image in source.load(tmp_path)]

    assert names(indices=[3, 1]) == ["3.png", "1.png"]
    assert len(names(sample=4)) == 4
    for keys, message in (
        ({"indices": [0, 4]}, "indices: expected at most 3, as there are 4 pictures, found 4"),
        ({"indices": "2:6"}, "indices: expected at most 3, .* found 5"),
        ({"sample": 5}, "sample: expected at most 4, as there are 4 pictures, found 5"),
    ):
        with pytest.raises(ImageSourceError, match=message) as caught:
            names(**keys)
        assert "\n" not in str(caught.value)
    (tmp_path / "2.png").write_bytes(b"never read")
    assert names(indices=[3, 1]) == ["3.png", "1.png"]


@pytest.mark.skipif(DATA_VARIABLE not in os.environ, reason=f"needs CIFAR-10 in {DATA_VARIABLE}")
def test_names_stay_those_of_the_whole_set() -> None:
    source = {"source": "cifar10_test", "classes": ["cat"], "sample": 5, "seed": 7}
    chosen = ImageSource.model_validate(source).load(Path())
    assert {image.label for image in chosen} == {3}
    again = [int(image.name.removeprefix("cifar10_test/")) for image in chosen]
    same = ImageSource.model_validate({"source": "cifar10_test", "indices": again}).load(Path())
    assert [image.sha256 for image in same] == [image.sha256 for image in chosen]
    with pytest.raises(ImageSourceError, match="at most 999, as there are 1000 pictures of these"):
        ImageSource.model_validate(
            {"source": "cifar10_test", "classes": ["cat"], "indices": 1000}
        ).load(Path())
