"""The cache of streams: what goes in comes out, damage is seen, its size is kept, runs go on."""

from __future__ import annotations

import dataclasses
import errno
import multiprocessing
import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from codec.base import EncodedImage, Layer
from testbed import sources
from testbed.language.codec_sections import Codec
from testbed.running import stream_cache
from testbed.running.stream_cache import (
    MISSING,
    CacheUse,
    DamagedEntry,
    StreamCache,
    packed,
    stream_key,
    streams_folder,
    unpacked,
)

STREAM = EncodedImage(
    (
        Layer("base", b"\x00\x01 some bytes", b"known"),
        Layer("plane8", bytes(range(256)), parts=(100, 0, 156)),
    )
)


def entries(folder: Path) -> list[Path]:
    return [path for path in folder.glob("??/*") if path.is_file()]


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in entries(folder))


def stream_of(number: int, n_bytes: int = 500) -> EncodedImage:
    """A stream that tells whose it is."""
    data = random.Random(number).randbytes(n_bytes)
    return EncodedImage((Layer(f"layer {number}", data, parts=(n_bytes,)),))


# ----------------------------------------------------------------------------------- what is kept


layers = st.builds(
    Layer, st.text(max_size=8), st.binary(max_size=40), st.binary(max_size=9),
    st.lists(st.integers(0, 1 << 40), max_size=4).map(tuple),
)  # fmt: skip
streams = st.none() | st.builds(EncodedImage, st.lists(layers, max_size=16).map(tuple))


@given(streams, st.binary(min_size=32, max_size=32))
def test_what_goes_in_comes_out(value, digest: bytes) -> None:
    assert unpacked(packed(value, digest), digest) == value


def test_an_entry_holds_every_field() -> None:
    """A field that is added to a stream must be added to the entry, and VERSION raised."""
    assert [field.name for field in dataclasses.fields(EncodedImage)] == ["layers"]
    assert [field.name for field in dataclasses.fields(Layer)] == ["name", "data", "known", "parts"]


def test_streams_and_their_absence_are_kept_across_instances(tmp_path: Path) -> None:
    first = StreamCache(tmp_path / "new" / "folder")
    assert first.get("a") is MISSING
    assert not (tmp_path / "new").exists()
    first.put("a", STREAM)
    first.put("b", None)
    second = StreamCache(first.folder)
    assert second.get("a") == STREAM
    assert second.get("b") is None
    assert second.get("c") is MISSING
    size = size_of(first.folder)
    assert first.use == CacheUse(misses=1, written_bytes=size)
    assert second.use == CacheUse(hits=2, misses=1, read_bytes=size)
    assert (first.use + second.use).misses == 2
    assert not list(first.folder.rglob("*.part"))


def test_a_stream_that_holds_more_than_an_entry_is_not_kept(tmp_path: Path) -> None:
    class Extended(EncodedImage):
        pass

    kept = StreamCache(tmp_path)
    kept.put("a", Extended(STREAM.layers))
    assert kept.get("a") is MISSING


def test_keys_tell_apart_all_that_determines_a_stream() -> None:
    def section(**keys):
        return TypeAdapter(Codec).validate_python(keys)

    jpeg = section(type="jpeg")
    keys = {
        stream_key(jpeg, "jpeg 3.1", "ab", 1000),
        stream_key(jpeg, "jpeg 3.1", "ab", None),
        stream_key(jpeg, "jpeg 3.1", "ab", 100),
        stream_key(jpeg, "jpeg 3.1", "cd", 1000),
        stream_key(jpeg, "jpeg 3.2", "ab", 1000),
        stream_key(section(type="jpeg", subsampling="4:2:0"), "jpeg 3.1", "ab", 1000),
        stream_key(section(type="semantic", layers=3), "jpeg 3.1", "ab", 1000),
    }
    assert len(keys) == 7
    assert stream_key(section(type="jpeg", name="other"), "jpeg 3.1", "ab", 1000) in keys


def test_an_edited_codec_has_other_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "codec").mkdir()
    source = tmp_path / "codec" / "coder.py"
    monkeypatch.setattr(sources, "__file__", str(tmp_path / "testbed" / "sources.py"))
    found = []
    for text in ("a = 1", "a = 2", "a = 1"):
        source.write_text(text)
        found.append(sources.sources_sha256.__wrapped__("codec"))
    assert found[0] == found[2] != found[1]


def test_the_folder_is_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTBED_STREAMS", str(tmp_path / "own"))
    assert streams_folder() == tmp_path / "own"
    monkeypatch.delenv("TESTBED_STREAMS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert streams_folder() == tmp_path / "semcom-testbed" / "streams"


# ----------------------------------------------------------------------------------------- damage


def test_every_flipped_bit_and_every_cut_is_seen() -> None:
    digest = bytes(range(32))
    for value in (STREAM, None):
        raw = packed(value, digest)
        for place in range(len(raw)):
            for bit in (0x01, 0x80):
                flipped = bytearray(raw)
                flipped[place] ^= bit
                with pytest.raises(DamagedEntry):
                    unpacked(bytes(flipped), digest)
            with pytest.raises(DamagedEntry):
                unpacked(raw[:place], digest)
        with pytest.raises(DamagedEntry):
            unpacked(raw + b"\0", digest)
        with pytest.raises(DamagedEntry):
            unpacked(raw, digest[::-1])


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_content_with_the_right_hash_is_an_entry_or_damaged(content: bytes) -> None:
    head = packed(None, bytes(32))[:14]
    whole = head + stream_cache.hashlib.sha256(content).digest() + content
    with pytest.raises(DamagedEntry):
        unpacked(whole, bytes(32))


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_entry_is_removed_and_made_again(tmp_path: Path, damage: bytes | None) -> None:
    kept = StreamCache(tmp_path)
    kept.put("a", STREAM)
    (path,) = entries(tmp_path)
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] if damage is None else damage)
    assert kept.get("a") is MISSING
    assert (kept.use.remade, kept.use.misses) == (1, 1)
    assert not path.exists()
    kept.put("a", STREAM)
    assert kept.get("a") == STREAM
    assert path.read_bytes() == raw


def test_another_keys_entry_is_damage(tmp_path: Path) -> None:
    kept = StreamCache(tmp_path)
    kept.put("a", STREAM)
    (path,) = entries(tmp_path)
    kept.put("b", None)
    (other,) = set(entries(tmp_path)) - {path}
    path.write_bytes(other.read_bytes())
    assert kept.get("a") is MISSING
    assert kept.use.remade == 1


@pytest.mark.parametrize("kind", ["link", "folder", "full folder", "pipe"])
def test_what_is_no_file_is_missing(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "streams"
    kept = StreamCache(folder)
    kept.put("a", STREAM)
    (path,) = entries(folder)
    path.rename(tmp_path / "elsewhere")
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
        if kind == "full folder":
            (path / "file").touch()
    assert kept.get("a") is MISSING
    kept.put("a", STREAM)
    assert kept.get("a") == (STREAM if kind in ("link", "pipe") else MISSING)
    assert (tmp_path / "elsewhere").read_bytes() == packed(
        STREAM, stream_cache.hashlib.sha256(b"a").digest()
    )
    kept.put("b", STREAM)
    assert kept.get("b") == STREAM
    assert not kept.use.problem


# ------------------------------------------------------------------------------------------- size


def test_what_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    one = len(packed(stream_of(10), bytes(32)))
    kept = StreamCache(tmp_path, 20 * one)
    paths = {}
    for number in range(20):
        before = set(entries(tmp_path))
        kept.put(f"{number}", stream_of(10 + number))
        (paths[number],) = set(entries(tmp_path)) - before
    assert len(entries(tmp_path)) == 20
    for number, path in paths.items():
        os.utime(path, (0, time.time() - 5000 + number))
    # Reading one makes it the last to go.
    assert kept.get("0") == stream_of(10)
    kept.put("new", stream_of(50))
    assert size_of(tmp_path) <= kept.limit_bytes * stream_cache.KEPT_SHARE
    left = {number for number, path in paths.items() if path.exists()}
    assert left == {0, *range(21 - (len(left) - 1) - 1, 20)}
    assert 12 < len(left) < 19
    assert kept.get("new") == stream_of(50)


def test_reading_again_and_again_writes_no_times(tmp_path: Path) -> None:
    kept = StreamCache(tmp_path)
    kept.put("a", STREAM)
    (path,) = entries(tmp_path)
    recent = time.time_ns() - 10**9 * 60
    os.utime(path, ns=(recent, recent))
    kept.get("a")
    assert path.stat().st_mtime_ns == recent


def test_a_stream_above_the_limit_is_not_kept(tmp_path: Path) -> None:
    kept = StreamCache(tmp_path, 100)
    kept.put("a", STREAM)
    assert kept.get("a") is MISSING
    assert not kept.use.problem


@pytest.mark.parametrize("words", [b"", b"no number", b"-5", None])
def test_a_lost_count_is_made_again(tmp_path: Path, words: bytes | None) -> None:
    kept = StreamCache(tmp_path, 5000)
    for number in range(5):
        kept.put(f"{number}", stream_of(number))
    count = tmp_path / "size"
    true = int(count.read_bytes())
    assert true == size_of(tmp_path)
    if words is None:
        count.unlink()
    else:
        count.write_bytes(words)
    kept.put("new", stream_of(9))
    assert int(count.read_bytes()) == size_of(tmp_path) > true


def test_what_killed_writers_left_goes(tmp_path: Path) -> None:
    kept = StreamCache(tmp_path, 3000)
    kept.put("a", stream_of(1))
    folder = entries(tmp_path)[0].parent
    old, recent = folder / "old.part", folder / "recent.part"
    for path in (old, recent):
        path.write_bytes(bytes(100))
    os.utime(old, (0, 0))
    for number in range(10):
        kept.put(f"{number}", stream_of(number))
    assert not old.exists()
    assert recent.exists()


def test_a_writer_that_must_wait_too_long_leaves_its_stream_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_cache, "PATIENCE_S", 0.01)
    kept = StreamCache(tmp_path)
    with stream_cache._locked(tmp_path / "size"):
        kept.put("a", STREAM)
    assert kept.get("a") is MISSING
    assert not kept.use.problem
    kept.put("a", STREAM)
    assert kept.get("a") == STREAM


# --------------------------------------------------------------------------------------- problems


@pytest.mark.parametrize("place", ["pwrite", "replace", "mkstemp"])
def test_a_full_disk_is_told_once_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    kept = StreamCache(tmp_path)
    kept.put("a", STREAM)
    tries = []

    def full(*_: object, **__: object) -> None:
        tries.append(1)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    owner = {"pwrite": os, "replace": Path, "mkstemp": stream_cache.tempfile}[place]
    monkeypatch.setattr(owner, place, full)
    for number in range(3):
        kept.put(f"{number}", STREAM)
    assert len(tries) == 1
    assert str(tmp_path) in kept.use.problem
    assert "No space left on device" in kept.use.problem
    assert "\n" not in kept.use.problem
    assert kept.get("0") is MISSING
    assert kept.get("a") == STREAM
    assert not list(tmp_path.rglob("*.part"))


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = StreamCache(tmp_path / "file" / "folder")
    assert kept.get("a") is MISSING
    kept.put("a", STREAM)
    assert "Not a directory" in kept.use.problem
    assert kept.get("a") is MISSING


# ---------------------------------------------------------------------------------- many processes


LIMIT = 20_000


def hammer(folder: Path, seed: int) -> tuple[int, CacheUse]:
    """Puts, gets and damages at random; the number of wrong streams that it was given."""
    choose = random.Random(seed)
    kept = StreamCache(folder, LIMIT)
    wrong = 0
    for _ in range(400):
        number = choose.randrange(80)
        n_bytes = 100 + 7 * number
        found = kept.get(f"key {number}")
        if found is MISSING:
            kept.put(f"key {number}", stream_of(number, n_bytes))
        elif found != stream_of(number, n_bytes):
            wrong += 1
        if choose.random() < 0.03 and (there := entries(folder)):
            path = choose.choice(there)
            try:
                if choose.random() < 0.5:
                    path.unlink()
                elif path.suffix != ".part":
                    path.write_bytes(path.read_bytes()[: choose.randrange(100)])
            except FileNotFoundError:
                pass
    return wrong, kept.use


def test_processes_share_a_small_cache(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        results = pool.starmap(hammer, [(tmp_path, seed) for seed in range(3)])
    assert [wrong for wrong, _ in results] == [0, 0, 0]
    use = sum((each for _, each in results), CacheUse())
    assert use.hits + use.misses == 1200
    assert use.hits > 100
    assert not use.problem
    assert 0 < size_of(tmp_path) <= LIMIT
    assert not list(tmp_path.rglob("*.part"))
