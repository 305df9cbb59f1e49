"""The training scripts, end to end on a handful of pictures: files that the codec can use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import kstest
from torch import Tensor, nn

from codec.base import ReceivedLayer
from codec.classifier import load_classifier
from codec.deepjscc_codec import load_networks
from codec.semantic_codec import SemanticCodec
from codec.training import classifier, contexts, deepjscc, export, loop, train
from codec.training.data import photo_crops
from codec.training.loop import LoopSettings
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


def test_normalisations_settle_before_the_end(tmp_path: Path) -> None:
    """Then they use the statistics that they have, and keep them."""
    model, seen = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), []
    norm = model[1]
    pictures = torch.randn(32, 3, 2, 2)

    def loss_of(indices: NDArray[np.int64]) -> tuple[Tensor, dict[str, float]]:
        found = model(pictures[indices])
        seen.append((norm.training, norm.running_mean.clone()))
        return found.square().mean(), {}

    loop.train("x", model, loss_of, 32, LoopSettings(tmp_path, 0.01, "x", batch=8, settled=0.5))
    training = [at for at, _ in seen]
    assert training == sorted(training, reverse=True)
    changes = training.index(False)
    assert 0.2 < changes / len(seen) < 0.8
    assert all(torch.equal(mean, norm.running_mean) for _, mean in seen[changes:])
    assert not torch.equal(seen[0][1], norm.running_mean)
    # What is kept is about a mean over all batches, not what the last few held.
    with torch.no_grad():
        whole = model[0](pictures).mean((0, 2, 3))
    assert torch.allclose(norm.running_mean, whole, atol=0.05)
    # A run that goes on when they have settled leaves them alone from its first step.
    kept, before = norm.running_mean.clone(), len(seen)
    loop.train("x", model, loss_of, 32, LoopSettings(tmp_path, 0.012, "x", batch=8, settled=0.5))
    assert len(seen) > before
    assert not any(at for at, _ in seen[before:])
    assert torch.equal(norm.running_mean, kept)
    before = len(seen)
    loop.train("y", model, loss_of, 32, LoopSettings(tmp_path, 0.002, "y", batch=8))
    assert all(at for at, _ in seen[before:])


def test_a_checkpoint_of_other_networks_is_one_line(tmp_path: Path) -> None:
    def loss_of(_: NDArray[np.int64]) -> tuple[Tensor, dict[str, float]]:
        return torch.zeros(1, requires_grad=True).sum(), {}

    settings = LoopSettings(tmp_path, 0.001, "x", batch=2)
    loop.train("x", nn.Linear(2, 3), loss_of, 4, settings)
    with pytest.raises(SystemExit, match="of another form") as raised:
        loop.train("x", nn.Linear(2, 4), loss_of, 4, settings)
    assert "\n" not in str(raised.value)


def test_one_pass_from_pictures_to_weights(
    cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codec.training.data.VALIDATION_IMAGES", 6)
    monkeypatch.setattr(export, "SHIFTS", (12, 13))
    options = ["--cifar", str(cifar), "--out", str(tmp_path), "--minutes", "0.03", "--batch", "4"]
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


def test_networks_of_deepjscc(cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codec.training.data.VALIDATION_IMAGES", 6)
    options = ["--cifar", str(cifar), "--minutes", "0.03", "--batch", "4", "--channel", "rayleigh"]
    deepjscc.main([*options, "--cbr", "1/12", "--out", str(tmp_path)])
    manifest = json.loads((tmp_path / "rayleigh_1_12.json").read_text())
    networks, sha256 = load_networks(tmp_path / "rayleigh_1_12.safetensors")
    assert sha256 == manifest["sha256"]
    assert str(tmp_path) not in json.dumps(manifest)
    quality = list(manifest["validation_psnr_db_by_snr_db"].values())
    assert np.isfinite(quality).all()
    # A network of another bandwidth ratio takes over all that fits.
    start = str(tmp_path / "deepjscc_rayleigh_1_12.checkpoint.pt")
    on = tmp_path / "on"
    deepjscc.main([*options, "--cbr", "1/6", "--out", str(on), "--start-from", start])
    further, _ = load_networks(on / "rayleigh_1_6.safetensors")
    assert further.encoder.head.out_channels == 2 * networks.encoder.head.out_channels


def test_the_classifier(cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codec.training.data.VALIDATION_IMAGES", 6)
    monkeypatch.setattr(classifier, "VALIDATION_IMAGES", 6)
    # The label of each picture, which the batches of this module leave at 0, is the first byte.
    assert classifier.labels_of(cifar).tolist() == [0] * 60
    options = ["--cifar", str(cifar), "--out", str(tmp_path), "--minutes", "0.1", "--batch", "16"]
    classifier.main(options)
    manifest = json.loads((tmp_path / "classifier.json").read_text())
    network, sha256 = load_classifier(tmp_path / "classifier.safetensors")
    assert sha256 == manifest["sha256"]
    assert str(tmp_path) not in json.dumps(manifest)
    # Of a single class it learns to say that class, of anything.
    assert manifest["validation_accuracy"] == 1
    assert network(torch.rand(2, 3, 8, 40)).argmax(1).tolist() == [0, 0]


def test_training_pictures_are_moved_and_mirrored() -> None:
    ramp = np.broadcast_to(np.arange(100, 132, dtype=np.uint8), (64, 3, 32, 32))
    batch = classifier.augmented(ramp, np.random.default_rng(0)).numpy() * 255
    steps = np.diff(batch[:, 0, 10, 8:24], axis=1).round()
    assert {tuple(np.unique(each)) for each in steps} == {(1.0,), (-1.0,)}
    middles = batch[:, 0, 10, 16].round()
    assert middles.min() >= 100 + 15 - 4
    assert middles.max() <= 100 + 16 + 4
    assert len(np.unique(middles)) > 6


def test_the_channel_of_the_training_is_the_link_s() -> None:
    """Noise of variance 1 / SNR per pair of numbers, and exponential power gains."""
    random = torch.Generator().manual_seed(0)
    snr_db = torch.full((4000,), 7.0)
    symbols = torch.full((4000, 2, 4, 4), 0.5)
    received, snr = deepjscc.through_channel(symbols, snr_db, "awgn", random)
    assert torch.allclose(snr, torch.tensor(10**0.7))
    per_use = (received - symbols).square().sum(1).mean()
    assert float(per_use) == pytest.approx(10**-0.7, rel=0.02)
    received, snr = deepjscc.through_channel(symbols, snr_db, "rayleigh", random)
    gain = snr[:, 0, 0, 0].numpy() / 10**0.7
    assert kstest(gain, "expon").pvalue > 0.001
    assert float(((received - symbols).square() * snr).mean()) == pytest.approx(0.5, rel=0.02)


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
