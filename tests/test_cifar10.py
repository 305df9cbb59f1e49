"""CIFAR-10 in both layouts, and Kodak: the official data, or one clear line."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.classifier import CLASSES
from testbed.datasets import catalogue
from testbed.datasets.batch_pickle import BatchError, read_batch
from testbed.datasets.catalogue import CIFAR10_CLASSES, CIFAR10_LAYOUTS
from testbed.datasets.cifar10 import Cifar10
from testbed.images import DATA_VARIABLE, ImageSourceError, load_images

needs_data = pytest.mark.skipif(
    DATA_VARIABLE not in os.environ, reason=f"needs CIFAR-10 and Kodak in {DATA_VARIABLE}"
)


def refused(source: str, match: str) -> None:
    with pytest.raises(ImageSourceError, match=match) as caught:
        load_images(source, Path())
    assert "\n" not in str(caught.value)


# -------------------------------------------------------- pickles, as Python 2's cPickle wrote them


def text(value: bytes) -> bytes:
    if len(value) < 256:
        return b"U" + struct.pack("<B", len(value)) + value
    return b"T" + struct.pack("<i", len(value)) + value


def whole(value: int) -> bytes:
    if value < 256:
        return b"K" + struct.pack("<B", value)
    return b"M" + struct.pack("<H", value) if value < 65536 else b"J" + struct.pack("<i", value)


def listed(items: list[bytes]) -> bytes:
    """In batches of 1000, as it does."""
    batches = [items[start : start + 1000] for start in range(0, len(items), 1000)]
    return b"]q\x05" + b"".join(b"(" + b"".join(batch) + b"e" for batch in batches)


def python_batch(records: np.ndarray, order: str = "C", title: bytes = b"a batch") -> bytes:
    """The pickle of records (n, 3073) of the binary layout."""
    n, planes = len(records), records[:, 1:]
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\t"
        b"(K\x01" + whole(n) + b"M\x00\x0c\x86"
        b"cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + (b"\x89" if order == "C" else b"\x88")
        + text(planes.tobytes(order))
        + b"tb"
    )
    names = [
        text(b"picture_%05d.png" % index) + b"r" + struct.pack("<i", 1000 + index)
        for index in range(n)
    ]
    content = [
        (b"batch_label", text(title) + b"q\x03"),
        (b"labels", listed([whole(int(label)) for label in records[:, 0]])),
        (b"data", array),
        (b"filenames", listed(names)),
    ]
    return b"\x80\x02}q\x01(" + b"".join(text(key) + value for key, value in content) + b"u."


def records_of(n: int, seed: int = 5) -> np.ndarray:
    records = np.random.default_rng(seed).integers(0, 256, (n, 3073)).astype(np.uint8)
    records[:, 0] %= 10
    return records


def unpickled(data: bytes) -> dict[bytes, object]:
    """By Python itself: what these tests write is a pickle of what it should be."""
    with warnings.catch_warnings():
        # numpy has moved what old pickles name.
        warnings.simplefilter("ignore", DeprecationWarning)
        return pickle.loads(data, encoding="bytes")


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_batch_is_read_as_python_would(order: str) -> None:
    records = records_of(1234)
    data = python_batch(records, order)
    expected = unpickled(data)
    labels, planes = read_batch(data)
    assert np.array_equal(planes, expected[b"data"])
    assert np.array_equal(planes, records[:, 1:])
    assert labels.tolist() == expected[b"labels"] == records[:, 0].tolist()


def test_nothing_of_a_pickle_is_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "harm"),)

    plain = python_batch(records_of(2))
    harm = pickle.dumps(Harm(), 2)
    for data in (harm, plain[:-2] + text(b"x") + harm[2:-1] + b"u."):
        unpickled(data)
        (tmp_path / "harm").rmdir()
        with pytest.raises(BatchError, match="the name 'posix mkdir'"):
            read_batch(data)
        assert not (tmp_path / "harm").exists()


def test_other_content_is_refused() -> None:
    def batch_error(data: bytes, match: str) -> None:
        with pytest.raises(BatchError, match=match) as caught:
            read_batch(data)
        assert "\n" not in str(caught.value)

    plain = python_batch(records_of(3))
    assert len(read_batch(plain)[0]) == 3
    batch_error(pickle.dumps([1], 2), "dictionary")
    batch_error(pickle.dumps({}, 2), "'data', found none")
    batch_error(pickle.dumps({}, 4), "protocol 2, found 4")
    batch_error(pickle.dumps({"data": 1.5}, 2), "the instruction 'X'")
    batch_error(plain.replace(b"u1", b"i1"), "another call")
    batch_error(plain.replace(b"M\x00\x0c", b"M\x01\x0c"), "found damage .*reshape")
    batch_error(plain.replace(b"filenames", b"filemanes"), "list of 3 under 'filenames'")
    batch_error(plain.replace(b"K\x00\x85", b"K\x01\x85"), "another call")
    too_high = records_of(3)
    too_high[1, 0] = 10
    batch_error(python_batch(too_high), "labels from 0 to 9")
    batch_error(plain[:-2] + whole(1 << 30) + b"Nu.", "text as key")
    batch_error(plain[:-1], "found no end")
    batch_error(plain[:9], "the end in it|found damage")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_batch_gives_one_clear_line(data: st.DataObject) -> None:
    batch = bytearray(python_batch(records_of(2)))
    for _ in range(data.draw(st.integers(1, 4))):
        # Few of the bytes are not pixels.
        ends = st.integers(0, 220), st.integers(len(batch) - 60, len(batch) - 1)
        batch[data.draw(st.one_of(*ends))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(batch)), st.integers(0, len(batch))))
    try:
        labels, planes = read_batch(bytes(batch[:cut]))
    except BatchError as error:
        assert "\n" not in str(error)
    else:
        assert planes.shape == (len(labels), 3072)


# ------------------------------------------------------------------------ small sets of each layout


@pytest.fixture
def records() -> np.ndarray:
    return records_of(24).reshape(6, 4, 3073)


@pytest.fixture
def folder(tmp_path: Path, records: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both layouts, of four pictures a file, with the md5 that go with them."""
    layouts = {}
    for name, layout in CIFAR10_LAYOUTS.items():
        (tmp_path / layout.folder).mkdir()
        md5 = {}
        for file_name, file_records in zip(layout.files, records, strict=True):
            content = file_records.tobytes() if name == "binary" else python_batch(file_records)
            (tmp_path / layout.folder / file_name).write_bytes(content)
            md5[file_name] = hashlib.md5(content).hexdigest()
        layouts[name] = replace(
            layout,
            md5={
                source: {file_name: md5[file_name] for file_name in files}
                for source, files in layout.md5.items()
            },
        )
    monkeypatch.setattr(catalogue, "CIFAR10_LAYOUTS", layouts)
    monkeypatch.setattr(catalogue, "CIFAR10_PICTURES_PER_FILE", 4)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    return tmp_path


def remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.mark.parametrize("layout", ["binary", "python"])
def test_pictures_labels_and_names(folder: Path, records: np.ndarray, layout: str) -> None:
    if layout == "python":
        remove(folder / "cifar-10-batches-bin")
    test = load_images("cifar10_test", Path())
    assert [image.name for image in test] == [f"cifar10_test/{n:05d}" for n in range(4)]
    planes = records[5, 2, 1:].reshape(3, 32, 32)
    for channel in range(3):
        assert np.array_equal(test[2].pixels[:, :, channel], planes[channel])
    digest = hashlib.sha256(b"32x32x3:" + planes.transpose(1, 2, 0).tobytes()).hexdigest()
    assert test[2].sha256 == digest
    assert [image.label for image in test] == records[5, :, 0].tolist()
    train = load_images("cifar10_train", Path(), 9)
    assert [image.label for image in train] == records[:, :, 0].ravel()[:9].tolist()
    assert [image.name[-5:] for image in train] == [f"{n:05d}" for n in range(9)]
    assert len(load_images("cifar10_train", Path())) == 20
    assert train[4].pixels[0, 0].tolist() == records[1, 0, [1, 1025, 2049]].tolist()
    with pytest.raises(ValueError, match="read-only"):
        train[0].pixels[0, 0, 0] = 1


def test_only_the_files_that_are_asked_for_are_read(folder: Path, records: np.ndarray) -> None:
    binary = folder / "cifar-10-batches-bin"
    for number in (1, 2, 4):
        (binary / f"data_batch_{number}.bin").write_bytes(b"damaged")
    pictures = Cifar10("cifar10_train")
    found = pictures.images([17, 9, 16])
    assert [image.name[-2:] for image in found] == ["17", "09", "16"]
    assert [image.label for image in found] == records[[4, 2, 4], [1, 1, 0], 0].tolist()


def test_data_that_are_wrong(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "cifar-10-batches-bin" / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    refused("cifar10_test", "test_batch.bin is not the official file: expected md5")
    path.unlink()
    refused("cifar10_test", "cannot read .*test_batch.bin")
    remove(path.parent)
    batch = folder / "cifar-10-batches-py" / "test_batch"
    whole = batch.read_bytes()
    batch.write_bytes(whole + b".")
    refused("cifar10_test", "test_batch is not the official file: .*--layout python")
    # Even if it were the official one, a pickle of something else gives a line.
    other = pickle.dumps({b"data": 1}, 2)
    batch.write_bytes(other)
    layout = catalogue.CIFAR10_LAYOUTS["python"]
    md5 = {**layout.md5, "cifar10_test": {"test_batch": hashlib.md5(other).hexdigest()}}
    changed = {**catalogue.CIFAR10_LAYOUTS, "python": replace(layout, md5=md5)}
    monkeypatch.setattr(catalogue, "CIFAR10_LAYOUTS", changed)
    refused("cifar10_test", "test_batch: expected numpy's arrays alone, found the name '_codecs")
    monkeypatch.setenv(DATA_VARIABLE, str(folder / "nowhere"))
    refused("cifar10_test", "expected the folder .*cifar-10-batches-bin .*data download cifar10")
    monkeypatch.delenv(DATA_VARIABLE)
    refused("cifar10_test", "TESTBED_DATA is not set")


def test_the_classes_are_those_of_the_classifier() -> None:
    assert CIFAR10_CLASSES == CLASSES


# -------------------------------------------------------------------------------- the official data


@needs_data
def test_the_official_test_pictures_in_both_layouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = CIFAR10_LAYOUTS["python"]
    official = Cifar10("cifar10_test", CIFAR10_LAYOUTS["binary"])
    expected = official.images(range(10_000))
    records = np.frombuffer((official.folder / "test_batch.bin").read_bytes(), np.uint8)
    content = python_batch(records.reshape(-1, 3073))
    (tmp_path / layout.folder).mkdir()
    (tmp_path / layout.folder / "test_batch").write_bytes(content)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    md5 = {"cifar10_test": {"test_batch": hashlib.md5(content).hexdigest()}}
    pickled = Cifar10("cifar10_test", replace(layout, md5=md5)).images(range(10_000))
    for one, other in zip(expected, pickled, strict=True):
        assert (one.name, one.label, one.sha256) == (other.name, other.label, other.sha256)
    # All pictures are parts of one array: 10,000 times 3072 bytes, once.
    assert {id(image.pixels.base) for image in expected} == {id(expected[0].pixels.base)}


@needs_data
def test_kodak_is_known_by_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(os.environ[DATA_VARIABLE]).expanduser() / "kodak"
    own = tmp_path / "kodak"
    own.mkdir()
    for path in folder.glob("*.png"):
        (own / path.name).symlink_to(path.resolve())
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    first = load_images("kodak", Path(), 2)
    assert [image.name for image in first] == ["kodak/kodim01", "kodak/kodim02"]
    assert first[0].pixels.shape == (512, 768, 3)
    (own / "kodim02.png").unlink()
    refused("kodak", "expected the 24 pictures .* found 23")
    (own / "kodim02.png").symlink_to((folder / "kodim03.png").resolve())
    refused("kodak", r"kodim02.png does not hold the published picture")
    assert len(load_images("kodak", Path(), 1)) == 1
    (own / "kodim02.png").rename(own / "other.png")
    refused("kodak", "such as other.png")
