"""Files of the layered codec: round trip, cuts, damage, foreign bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.base import CodecError, EncodedImage, Layer, ReceivedLayer
from codec.container import read_container, write_container

LAYERS = (b"first layer", b"x", b"third")
HASH = "0123456789abcdef" * 4


def file() -> bytes:
    encoded = EncodedImage(tuple(Layer(str(i), data) for i, data in enumerate(LAYERS)))
    return write_container(encoded, "paper", HASH, "one_sided")


def test_what_was_written_is_read() -> None:
    stored = read_container(file())
    assert (stored.profile, stored.correction) == ("paper", "one_sided")
    assert stored.weights_sha256 == HASH[:16]
    assert stored.layers == tuple(ReceivedLayer(data, True) for data in LAYERS)


def test_a_cut_file_gives_what_is_there() -> None:
    data = file()
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
