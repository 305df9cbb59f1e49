"""The training scripts, end to end on a handful of pictures: files that the codec can use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from codec.base import ReceivedLayer
from codec.semantic_codec import SemanticCodec
from codec.training import contexts, export, train
from codec.training.data import photo_crops
from testbed.images import load_images


@pytest.fixture(scope="module")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in CIFAR-10's binary layout, of the packaged samples: five batches of 12 images."""
    folder = tmp_path_factory.mktemp("cifar")
    samples = np.stack([image.pixels for image in load_images("samples32", Path())])
    for k in range(5):
        chosen = samples[np.arange(12 * k, 12 * k + 12) % len(samples)]
        records = np.concatenate(
            [np.zeros((12, 1), np.uint8), chosen.transpose(0, 3, 1, 2).reshape(12, -1)], axis=1
        )
        (folder / f"data_batch_{k + 1}.bin").write_bytes(records.tobytes())
    return folder


def test_one_pass_from_pictures_to_weights(
    cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codec.training.data.VALIDATION_IMAGES", 6)
    monkeypatch.setattr(export, "SHIFTS", (12, 13))
    options = ["--cifar", str(cifar), "--out", str(tmp_path), "--minutes", "0.08", "--batch", "4"]
    train.main(options)
    manifest = json.loads((tmp_path / "paper.json").read_text())
    assert manifest["validation"]["psnr_db"][-1] is None
    assert str(tmp_path) not in json.dumps(manifest)
    codec = SemanticCodec(str(tmp_path / "paper.safetensors"))
    assert codec.profile.sha256 == manifest["sha256"]
    image = np.random.default_rng(0).integers(0, 256, (17, 9, 3)).astype(np.uint8)
    (encoded,) = codec.encode_batch([image])
    (decoded,) = codec.decode_batch([[ReceivedLayer(each.data, True) for each in encoded.layers]])
    assert np.array_equal(decoded.image, image)
    # Once more with the same settings: everything is there. With others: refused.
    train.main(options)
    assert json.loads((tmp_path / "paper.json").read_text())["sha256"] == manifest["sha256"]
    with pytest.raises(SystemExit, match="of another run"):
        train.main([*options, "--seed", "2"])
    # Training on from a finished run: the manifest tells how the starting point came about.
    options[options.index("--out") + 1] = str(tmp_path / "on")
    train.main([*options, "--start-from", str(tmp_path)])
    further = json.loads((tmp_path / "on" / "paper.json").read_text())
    assert further["started_from"]["sha256"] == manifest["sha256"]
    assert further["sha256"] != manifest["sha256"]


def test_start_probabilities_are_the_shares_that_were_counted() -> None:
    counts = np.array([[900, 100], [0, 0], [10**6, 0]])
    p1 = contexts.start_probabilities(counts) / 2**15
    assert p1[0] == pytest.approx(0.1, abs=0.002)
    # Never met: as all together. Never 1: close to 0, and yet not certain.
    assert p1[1] == pytest.approx(100 / 1001000, abs=0.001)
    assert 0 < p1[2] < 0.002


def test_crops_come_from_every_picture_that_is_large_enough(tmp_path: Path) -> None:
    from PIL import Image

    for name, side in (("a", 20), ("b", 40), ("c", 200)):
        Image.effect_noise((side, side), 50).save(tmp_path / f"{name}.png")
    crops = photo_crops(sorted(tmp_path.glob("*.png")), 30, seed=0)
    assert crops.shape == (20, 3, 32, 32)
