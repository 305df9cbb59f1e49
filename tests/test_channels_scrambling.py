"""The scrambling sequence, against the standard's recursion and Sionna, and its use."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.errors import ChannelError
from channels.scrambling import descramble_llr, gold_sequence, scramble, shared_channel_c_init

C_INIT = st.integers(0, 2**31 - 1)


@given(C_INIT, st.integers(0, 300))
@settings(deadline=None, max_examples=25)
def test_recursion_of_the_standard(c_init: int, length: int) -> None:
    # 3GPP TS 38.211, 5.2.1, one bit after the other.
    x1 = [1] + [0] * 30
    x2 = [(c_init >> i) & 1 for i in range(31)]
    for n in range(1600 + length):
        x1.append((x1[n + 3] + x1[n]) % 2)
        x2.append((x2[n + 3] + x2[n + 2] + x2[n + 1] + x2[n]) % 2)
    expected = [(x1[n + 1600] + x2[n + 1600]) % 2 for n in range(length)]
    np.testing.assert_array_equal(gold_sequence(length, c_init), expected)


@pytest.mark.parametrize(("n_rnti", "n_id", "q"), [(1, 1, 0), (65535, 1023, 1), (4321, 77, 1)])
def test_equal_to_sionna(n_rnti: int, n_id: int, q: int) -> None:
    import torch
    from sionna.phy.fec.scrambling import TB5GScrambler

    bits = np.random.default_rng(n_id).integers(0, 2, 3001, np.uint8)
    scrambler = TB5GScrambler(
        n_rnti=n_rnti, n_id=n_id, codeword_index=q, channel_type="PDSCH", precision="single"
    )
    expected = scrambler(torch.tensor(bits, dtype=torch.float32)[None]).numpy()[0]
    np.testing.assert_array_equal(scramble(bits, shared_channel_c_init(n_rnti, q, n_id)), expected)


@given(C_INIT, st.integers(0, 200))
@settings(deadline=None, max_examples=50)
def test_descrambling_undoes_scrambling(c_init: int, length: int) -> None:
    rng = np.random.default_rng(length)
    bits = rng.integers(0, 2, length, np.uint8)
    reliability = rng.exponential(1.0, length).astype(np.float32)
    scrambled = scramble(bits, c_init)
    np.testing.assert_array_equal(scramble(scrambled, c_init), bits)
    llr = descramble_llr(np.where(scrambled == 1, reliability, -reliability), c_init)
    assert llr.dtype == np.float32
    np.testing.assert_array_equal(llr, np.where(bits == 1, reliability, -reliability))


def test_sequence_is_balanced_and_different_for_each_start() -> None:
    length = 100_000
    first, second = gold_sequence(length, 12345), gold_sequence(length, 12346)
    for sequence in (first, first ^ second, first[1:] ^ first[:-1]):
        # Not as even as coin tosses (a deviation of .0016): few terms feed the registers back.
        assert abs(sequence.mean() - 0.5) < 0.02
    np.testing.assert_array_equal(gold_sequence(1000, 12345), first[:1000])
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


def test_errors() -> None:
    for c_init in (-1, 2**31):
        with pytest.raises(ChannelError, match=r"c_init: expected 0 \.\. 2147483647"):
            scramble(np.zeros(8, np.uint8), c_init)
    with pytest.raises(ChannelError, match=r"n_rnti: expected 0 \.\. 65535, found 65536"):
        shared_channel_c_init(65536)
    with pytest.raises(ChannelError, match=r"q: expected 0 \.\. 1, found 2"):
        shared_channel_c_init(1, 2)
    with pytest.raises(ChannelError, match=r"n_id: expected 0 \.\. 1023, found 1024"):
        shared_channel_c_init(1, 0, 1024)
