"""Files that users have from elsewhere, or that something may have damaged."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from PIL import Image as PillowImage

from codec.base import CodecError
from codec.container import read_container, write_container
from codec.layered import DEFAULT_CORRECTION, cut_layers, open_layered
from testbed.errors import TestbedError
from testbed.fuzz.damage import damaged
from testbed.fuzz.pictures import some_pictures
from testbed.fuzz.target import Cases, Random, one_by_one, probably, whole

# -------------------------------------------------------------------------- coded files, pictures


def prepare_container(folder: Path) -> Cases:
    """Cases for coded files: their index, and now and then the whole of `testbed decode`."""
    from testbed.files import decode_files

    files = []
    for profile in ("paper", "embedded"):
        codec = open_layered(profile)
        for encoded in codec.encode_batch(some_pictures(((8, 8), (5, 19)))):
            assert encoded is not None
            for n_bytes in (encoded.payload_bits // 8, encoded.payload_bits // 20):
                kept = cut_layers(encoded, n_bytes)
                name, digest = codec.profile.name, codec.profile.sha256
                files.append(write_container(kept, name, digest, DEFAULT_CORRECTION))
    path = folder / "fuzzed.sctb"

    def case(random: Random) -> None:
        file = files[whole(random, 0, len(files) - 1)]
        data = damaged(file, random, files)
        if probably(random, 0.2):
            data = _with_right_checks(data)
        try:
            stored = read_container(data)
        except CodecError:
            pass
        else:
            assert all(layer.complete for layer in stored.layers[:-1])
            assert all(layer.data in data for layer in stored.layers)
        if probably(random, 0.1):
            path.write_bytes(data)
            with suppress(TestbedError):
                (decoded,) = decode_files([path], folder, None, overwrite=True)
                assert decoded.path.is_file()

    return one_by_one(case)


def _with_right_checks(data: bytes) -> bytes:
    """The same file with CRCs that hold, so that what is wrong gets past them."""
    try:
        at = 6 + data[5] + 8
        count = data[at + 1] & 127
    except IndexError:
        return data
    index, content = at + 2, at + 2 + 8 * count
    out = bytearray(data)
    for number in range(count):
        place = index + 8 * number
        length = int.from_bytes(data[place : place + 4], "big")
        check = crc32(data[content : content + length])
        out[place + 4 : place + 8] = check.to_bytes(4, "big")
        content += length
    return bytes(out)


_PICTURE_FILES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("png", "PNG", {}),
    ("jpg", "JPEG", {}),
    ("bmp", "BMP", {}),
    ("gif", "GIF", {}),
    ("tif", "TIFF", {"compression": "tiff_lzw"}),
    ("tiff", "TIFF", {}),
    ("ppm", "PPM", {}),
    ("webp", "WEBP", {}),
)


def prepare_pictures(folder: Path) -> Cases:
    """Cases for pictures to send."""
    from testbed.images import ImageSourceError, read_picture

    files: list[tuple[Path, bytes]] = []
    for suffix, name, options in _PICTURE_FILES:
        for number, mode in enumerate(("RGB", "L", "P", "RGBA")):
            if name in ("JPEG", "PPM") and mode in ("P", "RGBA"):
                continue
            buffer = io.BytesIO()
            picture = PillowImage.fromarray(some_pictures(((20, 12),))[0]).convert(mode)
            picture.save(buffer, name, **options)
            files.append((folder / f"fuzzed{number}.{suffix}", buffer.getvalue()))
    others = [data for _, data in files]

    def case(random: Random) -> None:
        path, data = files[whole(random, 0, len(files) - 1)]
        path.write_bytes(damaged(data, random, others))
        try:
            pixels = read_picture(path)
        except ImageSourceError as error:
            assert len(str(error).splitlines()) == 1, str(error)
        else:
            assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3

    return one_by_one(case)


def prepare_cifar10(folder: Path) -> Cases:
    """Cases for CIFAR-10's Python layout, which is a pickle and is never unpickled."""
    del folder
    from testbed.datasets.batch_pickle import BatchError, read_batch

    planes = np.random.default_rng(0).integers(0, 256, (3, 3072)).astype(np.uint8)
    text = {"data": planes, "labels": [1, 2, 3], "filenames": ["a", "b", "c"]}
    content = _as_python_2_pickled(text)

    def case(random: Random) -> None:
        with suppress(BatchError):
            labels, found = read_batch(damaged(content, random, [content]))
            assert len(labels) == len(found) and found.shape[1:] == (3072,)

    (first, second) = read_batch(content)
    assert first.tolist() == [1, 2, 3] and np.array_equal(second, planes)
    return one_by_one(case)


def _as_python_2_pickled(content: dict[str, object]) -> bytes:
    """Protocol 2, with short text strings, as Python 2 wrote these files."""
    planes = content["data"]
    labels, names = content["labels"], content["filenames"]
    assert isinstance(planes, np.ndarray) and isinstance(labels, list) and isinstance(names, list)
    data = planes.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
        b"(K\x01K" + bytes([len(planes)]) + b"M\x00\x0c\x86cnumpy\ndtype\n(U\x02u1K\x00K\x01tR"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T" + len(data).to_bytes(4, "little") + data + b"tb"
    )
    numbers = b"](" + b"".join(b"K" + bytes([each]) for each in labels) + b"e"
    texts = b"](" + b"".join(b"U\x01" + each.encode() for each in names) + b"e"
    return (
        b"\x80\x02}(U\x04data" + array + b"U\x06labels" + numbers
        + b"U\x09filenames" + texts + b"u."
    )  # fmt: skip


# ------------------------------------------------------------------------------ text, one per line


def prepare_trace(folder: Path) -> Cases:
    """Cases for traces of packet losses."""
    from channels.errors import ChannelError
    from channels.loss_trace import LossTrace
    from channels.randomness import ChannelRandomness

    words = [b"0", b"1", b"lost", b"received", b"# a", b" LOST # b", b"", b"2", b"\xff"]
    path = folder / "trace.txt"

    def case(random: Random) -> None:
        lines = [words[i] for i in random.integers(0, whole(random, 4, len(words)), 30)]
        path.write_bytes(damaged(b"\n".join(lines), random, [b"\r\n0\r1"]))
        with suppress(ChannelError):
            trace = LossTrace(path)
            assert trace.length >= 1 and 0 <= trace.mean_loss <= 1
            losses = trace.losses(3, 40, ChannelRandomness(7))
            assert losses.shape == (40,) and losses.dtype == np.bool_

    return one_by_one(case)


def prepare_journal(folder: Path) -> Cases:
    """Cases for the journal: lines that are as they were written are found, whatever is around."""
    from testbed.running.journal import JOURNAL, Journal
    from testbed.sending.simulation import COLUMNS, OBSERVED

    rows: list[dict[str, Any]] = [
        dict.fromkeys(COLUMNS, 0.5 * n) | {"trial_id": f"{n:016x}", OBSERVED: {"symbols": n}}
        for n in range(8)
    ]
    with Journal(folder / "whole") as journal:
        journal.add(rows)
    lines = (folder / "whole" / JOURNAL).read_bytes().splitlines(keepends=True)
    assert len(lines) == len(rows)
    path = folder / "damaged" / JOURNAL
    path.parent.mkdir()

    def case(random: Random) -> None:
        kept, written = [], []
        for number, line in enumerate(lines):
            if probably(random, 0.5):
                kept.append(number)
                written.append(line)
            elif probably(random, 0.6):
                hurt = damaged(line, random, lines)
                # What has become a line of its own again would be found, too.
                written += [b"x" + part + b"\n" for part in hurt.split(b"\n") if part]
            else:
                written.append(_json_line(random) + b"\n")
        torn = lines[0][: whole(random, 0, len(lines[0]) - 1)]
        path.write_bytes(b"".join([*written, torn]))
        with Journal(path.parent) as journal:
            assert sorted(journal.rows) == [rows[n]["trial_id"] for n in kept]
            assert all(journal.rows[rows[n]["trial_id"]] == rows[n] for n in kept)
            assert list(journal.failures()) == []
        path.write_bytes(damaged(b"".join(lines), random, lines))
        with Journal(path.parent) as journal:
            assert all(journal.rows[trial_id] in rows for trial_id in journal.rows)
            list(journal.failures())

    return one_by_one(case)


def _json_line(random: Random) -> bytes:
    """A line of JSON that is no row."""
    lines = ("[]", "{}", "null", "1e999", '{"trial_id": []}', '{"trial_id": "x"}', "[" * 5000)
    return lines[whole(random, 0, len(lines) - 1)].encode()


def prepare_tables(folder: Path) -> Cases:
    """Cases for what is kept of measurements: block error tables, points of the LDPC decoder."""
    # There is no other way to read a table without measuring what cannot be read.
    from channels.block_errors import BlockErrorTable, TableKey, _content, _digest, _read, _write
    from testbed.studies.ldpc_quality import known_points

    key = TableKey("qpsk", 0.5, 64, words=100)
    table = BlockErrorTable(
        key, np.array([-2.0, -1.0, 0.0]), np.array([100, 100, 100]), np.array([99, 50, 0])
    )
    path, partial = folder / "table.json", folder / "points.jsonl"
    _write(path, table)
    written = path.read_bytes()
    assert _read(path, key) is not None
    line = json.dumps([[64, 128, 100, "x"], 1.5, [1, 2], [3, 4]]).encode()

    def case(random: Random) -> None:
        data = damaged(written, random, [written])
        if probably(random, 0.5):
            # A right hash over wrong values.
            content = _content(table)
            values = [1e400, 10**400, -1, "x", None, [], [1.0], {"a": 1}, [[1]], float("nan")]
            value = values[whole(random, 0, len(values) - 1)]
            content[list(content)[whole(random, 0, len(content) - 1)]] = value
            with suppress(ValueError):
                content["sha256"] = _digest(content)
            data = json.dumps(content).encode()
        path.write_bytes(data)
        found = _read(path, key)
        if found is not None:
            assert _content(found).items() <= json.loads(data).items()
        partial.write_bytes(b"\n".join(damaged(line, random, [b"[[],[],[],[]]"]) for _ in range(4)))
        for esn0_db, point in known_points(partial, [64, 128, 100, "x"], 100).items():
            assert isinstance(esn0_db, float) and point.words == 100

    return one_by_one(case)


def prepare_streams(folder: Path) -> Cases:
    """Cases for the cache of coded streams: an entry is as it was written, or missing."""
    from codec.base import EncodedImage, Layer
    from testbed.running.stream_cache import MISSING, StreamCache

    def case(random: Random) -> None:
        cache = StreamCache(folder, 1 << 20)
        layers = tuple(Layer(f"l{n}", random.bytes(50), b"k" * n) for n in range(3))
        value = EncodedImage(layers) if probably(random, 0.8) else None
        cache.put("a key", value)
        (entry,) = (path for path in folder.rglob("*") if len(path.name) >= 60 and path.is_file())
        entry.write_bytes(damaged(entry.read_bytes(), random, [b"", entry.read_bytes()]))
        found = cache.get("a key")
        assert found is MISSING or found == value

    return one_by_one(case)


def prepare_curves(folder: Path) -> Cases:
    """Cases for figure2.csv and table1.csv, of which claims are judged."""
    from testbed.errors import OutputError
    from testbed.studies.claims_markdown import write_claims
    from testbed.studies.figure2 import conventional_curves

    reference = Path(__file__).parents[2] / "results" / "reference"
    curves = (reference / "figure2.csv").read_bytes()
    planes = (reference / "table1.csv").read_bytes()
    write_claims(_filled(folder, curves, planes), "note")

    def case(random: Random) -> None:
        hurt = _damaged_table(curves, random)
        _filled(folder, hurt, _damaged_table(planes, random))
        if probably(random, 0.1):
            with suppress(OutputError):
                write_claims(folder, "note")
        with suppress(OutputError):
            conventional_curves(folder / "figure2.csv", 10_000)

    return one_by_one(case)


def _filled(folder: Path, curves: bytes, planes: bytes) -> Path:
    (folder / "figure2.csv").write_bytes(curves)
    (folder / "table1.csv").write_bytes(planes)
    return folder


def _damaged_table(table: bytes, random: Random) -> bytes:
    """With other bytes, or with other values in some of its fields."""
    if probably(random, 0.5):
        return damaged(table, random, [table])
    fields = table.split(b",")
    values = [b"nan", b"inf", b"-1", b"1e999", b"x", b"", b'"', b"99999999999999999999", b"0"]
    for _ in range(whole(random, 1, 5)):
        fields[whole(random, 0, len(fields) - 1)] = values[whole(random, 0, len(values) - 1)]
    return b",".join(fields)
