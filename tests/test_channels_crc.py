"""CRCs against the catalogue's check values and against Sionna's encoder."""

from typing import get_args

import numpy as np
import pytest

from channels.crc import CRC_BITS, CrcKind, append_crc, check_crc
from channels.errors import ChannelError

KINDS: tuple[CrcKind, ...] = get_args(CrcKind)

# Remainders of the ASCII digits 1 to 9, from G. Cook's catalogue of parametrised CRC algorithms
# (CRC-16/XMODEM, CRC-24/LTE-A, CRC-24/LTE-B, which are the polynomials of 3GPP TS 38.212).
CHECK_VALUES: dict[CrcKind, int] = {"crc16": 0x31C3, "crc24a": 0xCDE703, "crc24b": 0x23EF52}


@pytest.mark.parametrize("kind", KINDS)
def test_catalogue_check_values(kind: CrcKind) -> None:
    bits = np.unpackbits(np.frombuffer(b"123456789", np.uint8))
    parity = append_crc(bits, kind)[len(bits) :]
    assert int("".join(map(str, parity)), 2) == CHECK_VALUES[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 7, 100, 1001])
def test_equal_to_sionna(kind: CrcKind, k: int) -> None:
    import torch
    from sionna.phy.fec.crc import CRCEncoder

    bits = np.random.default_rng(k).integers(0, 2, (3, k), np.uint8)
    expected = CRCEncoder(kind.upper())(torch.tensor(bits, dtype=torch.float32)).numpy()
    assert [append_crc(word, kind).tolist() for word in bits] == expected.astype(int).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_every_single_and_every_short_burst_error_is_found(kind: CrcKind) -> None:
    word = append_crc(np.random.default_rng(0).integers(0, 2, 60, np.uint8), kind)
    assert check_crc(word, kind)
    for start in range(len(word)):
        for length in (1, 2, CRC_BITS[kind]):
            damaged = word.copy()
            damaged[start] ^= 1
            end = min(start + length - 1, len(word) - 1)
            if end > start:
                damaged[end] ^= 1
            assert not check_crc(damaged, kind)


def test_errors() -> None:
    with pytest.raises(ChannelError, match="crc32"):
        append_crc(np.zeros(8, np.uint8), "crc32")  # type: ignore[arg-type]
    with pytest.raises(ChannelError, match="at least 16 bits, found 15"):
        check_crc(np.zeros(15, np.uint8), "crc16")
