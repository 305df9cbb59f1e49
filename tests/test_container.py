"""Files of the layered codec: round trip, cuts, damage, foreign bytes, earlier versions."""

from __future__ import annotations

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.base import CodecError, ReceivedLayer
from codec.container import read_container, write_container

LAYERS = (b"first layer", b"x", b"third")
HASH = "0123456789abcdef" * 4


def file(*, cut: bool = False) -> bytes:
    last = len(LAYERS) - 1
    layers = [ReceivedLayer(data, not (cut and i == last)) for i, data in enumerate(LAYERS)]
    return write_container(layers, "paper", HASH, "one_sided")


def test_what_was_written_is_read() -> None:
    stored = read_container(file())
    assert (stored.profile, stored.correction) == ("paper", "one_sided")
    assert stored.weights_sha256 == HASH[:16]
    assert stored.layers == tuple(ReceivedLayer(data, True) for data in LAYERS)


def test_a_layer_that_was_cut_on_purpose_is_not_taken_for_a_whole_one() -> None:
    assert len(file(cut=True)) == len(file())
    layers = read_container(file(cut=True)).layers
    assert [layer.data for layer in layers] == list(LAYERS)
    assert [layer.complete for layer in layers] == [True, True, False]
    # It is still checked.
    damaged = file(cut=True)[:-1] + b"?"
    assert [layer.data for layer in read_container(damaged).layers] == list(LAYERS[:2])


def test_only_the_last_layer_may_be_cut() -> None:
    for layers in ([], [ReceivedLayer(b"a", False), ReceivedLayer(b"b", True)]):
        with pytest.raises(ValueError, match="only the last one"):
            write_container(layers, "paper", HASH, "interval")


def test_files_of_version_1_are_read() -> None:
    """Byte by byte as the first release wrote them."""
    data = b"SCTB\x01\x05paper" + bytes.fromhex(HASH)[:8] + b"\x01\x03"
    for layer in LAYERS:
        data += len(layer).to_bytes(4, "big") + crc32(layer).to_bytes(4, "big")
    assert read_container(data + b"".join(LAYERS)) == read_container(file())
    with pytest.raises(CodecError, match="version 2 or less, found 3"):
        read_container(data.replace(b"SCTB\x01", b"SCTB\x03"))


@pytest.mark.parametrize("cut", [False, True])
def test_a_cut_file_gives_what_is_there(cut: bool) -> None:
    data = file(cut=cut)
    index = len(data) - sum(map(len, LAYERS))
    for length in range(len(data)):
        if length < index:
            with pytest.raises(CodecError):
                read_container(data[:length])
        else:
            layers = read_container(data[:length]).layers
            assert b"".join(layer.data for layer in layers) == data[index:length]
            assert all(layer.complete for layer in layers[:-1])


def test_a_damaged_layer_and_those_after_it_are_left_out() -> None:
    data = bytearray(file())
    data[-6] ^= 1
    assert [layer.data for layer in read_container(bytes(data)).layers] == [LAYERS[0]]


@given(st.binary(max_size=80))
def test_foreign_bytes_are_refused_or_read(data: bytes) -> None:
    for candidate in (data, b"SCTB" + data, file()[:6] + data):
        try:
            read_container(candidate)
        except CodecError:
            continue


def test_a_profile_that_is_a_path_is_refused() -> None:
    data = file().replace(b"paper", b"/etc/")
    with pytest.raises(CodecError, match="names no profile"):
        read_container(data)
