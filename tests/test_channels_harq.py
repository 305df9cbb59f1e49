"""Hybrid ARQ: what combining gains, and that it decides as Sionna's combining decoder."""

import numpy as np
import pytest
from numpy.typing import NDArray

from channels.coding import TransportBlockCode, transport_block_code
from channels.errors import ChannelError
from channels.harq import HarqMode, SoftBuffer, redundancy_version, send_with_harq
from channels.ldpc_decoder import decode_ldpc
from channels.ldpc_encoder import encode_ldpc
from channels.ldpc_graph import combined_graph, ldpc_graph
from channels.modulation import demodulate, modulate
from channels.randomness import ChannelRandomness, derive_key

RANDOMNESS = ChannelRandomness(derive_key("harq"))
Bits = NDArray[np.uint8]


def payload_of(code: TransportBlockCode, packet: int) -> Bits:
    return RANDOMNESS.generator("bits", packet).integers(0, 2, code.payload_bits, np.uint8)


def receive(bits: Bits, esn0_db: float, packet: int, transmission: int = 0) -> NDArray[np.float32]:
    """LLRs over QPSK and AWGN, of other noise for each transmission."""
    no = 10 ** (-esn0_db / 10)
    symbols = modulate(bits, "qpsk")
    noise = RANDOMNESS.noise(10 * packet + transmission, len(symbols))
    return demodulate(symbols + np.sqrt(no) * noise, no, "qpsk")


def block_error_rate(
    code: TransportBlockCode, mode: HarqMode, esn0_db: float, transmissions: int, words: int
) -> float:
    """Share of blocks that are wrong after exactly so many receptions."""
    errors = 0
    for packet in range(words):
        payload = payload_of(code, packet)
        buffer = SoftBuffer(code)
        for transmission in range(transmissions):
            rv = redundancy_version(mode, transmission)
            bits = code.encode_version(payload, rv)
            buffer.add(receive(bits, esn0_db, packet, transmission), rv)
        errors += not buffer.decode()[1]
    return errors / words


@pytest.mark.parametrize(("payload_bits", "rate"), [(304, 0.5), (304, 0.1), (9000, 0.8)])
def test_first_transmission_is_the_plain_path(payload_bits: int, rate: float) -> None:
    code = transport_block_code(payload_bits, rate, 2)
    # From hopeless to clear, so that failures are compared too.
    outcomes = set()
    for packet, esn0_db in enumerate(np.linspace(-9, 6, 16)):
        payload = payload_of(code, packet)
        llr = receive(code.encode(payload), float(esn0_db), packet)
        buffer = SoftBuffer(code)
        buffer.add(llr)
        decided, ok = buffer.decode()
        expected, expected_ok = code.decode(llr)
        np.testing.assert_array_equal(decided, expected)
        assert ok == expected_ok
        outcomes.add(ok)
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    ("k", "n", "bits_per_symbol", "versions", "ebn0_db"),
    [
        (320, 480, 4, (0, 2), -1.9),
        (320, 480, 4, (0, 0), -0.7),
        (320, 480, 2, (0, 2, 3), -4.0),
        (512, 640, 2, (0, 2), -1.9),
        (320, 800, 8, (0, 2, 3, 1), -5.6),
    ],
)
def test_combining_equals_sionna_word_by_word(
    k: int, n: int, bits_per_symbol: int, versions: tuple[int, ...], ebn0_db: float
) -> None:
    import torch
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    rng = np.random.default_rng(n)
    bits = rng.integers(0, 2, (24, k), np.uint8)
    variance = 0.5 * 10 ** (-ebn0_db / 10) / (k / n)
    graphs = [ldpc_graph(k, n, bits_per_symbol, rv) for rv in versions]
    sent = 2.0 * np.stack([encode_ldpc(bits, graph) for graph in graphs], axis=1) - 1.0
    received = sent + np.sqrt(variance) * rng.standard_normal(sent.shape)
    llr = (2.0 * received / variance).astype(np.float32)

    reference = LDPC5GDecoder(
        LDPC5GEncoder(k, n, bits_per_symbol),
        cn_update="offset-minsum",
        cn_schedule="layered",
        num_iter=8,
        harq_mode=True,
    )
    expected = reference(torch.from_numpy(llr), rv=list(versions)).numpy().astype(np.uint8)

    code = TransportBlockCode(k, k / n, bits_per_symbol, "none")
    assert (code.payload_bits, code.coded_bits) == (k, n)
    graph = combined_graph(k, n, bits_per_symbol, frozenset(versions))
    decided = np.empty_like(bits)
    for word in range(len(bits)):
        buffer = SoftBuffer(code)
        for reception, rv in zip(llr[word], versions, strict=True):
            buffer.add(reception, rv)
        assert buffer.versions == versions
        combined = buffer.words()
        assert combined.shape == (1, graph.n)
        decided[word] = decode_ldpc(combined, graph, 8, early_stop=False)[0][0]
    np.testing.assert_array_equal(decided, expected)
    right = np.all(decided == bits, axis=1)
    assert 0 < right.sum() < len(right)


def test_chase_combining_of_two_gains_3_db() -> None:
    code = transport_block_code(304, 0.5, 2)
    words = 700
    once = block_error_rate(code, "chase", 1.1, 1, words)
    twice = block_error_rate(code, "chase", 1.1 - 10 * np.log10(2), 2, words)
    assert 0.1 < once < 0.6
    deviation = np.sqrt((once * (1 - once) + twice * (1 - twice)) / words)
    assert abs(once - twice) < 2.576 * deviation


def test_other_parities_beat_repeated_ones_at_high_rate() -> None:
    """Rate 8/9 twice: repeated it stays a rate of 8/9 at 3 dB more, incremental it is 4/9."""
    code = transport_block_code(1008, 8 / 9, 2)
    assert block_error_rate(code, "chase", 1.7, 2, 60) > 0.9
    assert block_error_rate(code, "incremental", 1.7, 2, 60) < 0.1


def test_sent_again_until_decoded() -> None:
    code = transport_block_code(304, 0.75, 2)
    counts = []
    for packet in range(30):
        payload = payload_of(code, packet)
        seen: list[Bits] = []

        def transmit(bits: Bits, transmission: int, packet: int = packet) -> NDArray[np.float32]:
            assert transmission == len(seen)  # noqa: B023
            seen.append(bits)  # noqa: B023
            return receive(bits, -1.0, packet, transmission)

        outcome = send_with_harq(code, payload, transmit)
        assert outcome.transmissions == len(seen)
        for bits, rv in zip(seen, (0, 2, 3, 1), strict=False):
            np.testing.assert_array_equal(bits, code.encode_version(payload, rv))
        assert outcome.ok
        np.testing.assert_array_equal(outcome.payload, payload)
        counts.append(outcome.transmissions)
    # Es/N0 = -1 dB carries at most log2(1 + .79) = .84 bits per use, the first transmission 1.5.
    assert min(counts) >= 2


def test_given_up_after_the_last_transmission() -> None:
    code = transport_block_code(304, 0.75, 2)
    noise = RANDOMNESS.generator("nothing", 0)

    def transmit(bits: Bits, _transmission: int) -> NDArray[np.float32]:
        return noise.standard_normal(len(bits)).astype(np.float32)

    outcome = send_with_harq(code, payload_of(code, 0), transmit, "chase", 3)
    assert not outcome.ok
    assert outcome.transmissions == 3


def test_errors() -> None:
    code = transport_block_code(304, 0.5, 2)
    buffer = SoftBuffer(code)
    with pytest.raises(ChannelError, match="at least one, found none"):
        buffer.decode()
    with pytest.raises(ChannelError, match=r"0 \.\. 3, found 4"):
        buffer.add(np.zeros(code.coded_bits, np.float32), 4)
    with pytest.raises(ChannelError, match=r"llr\[640\], found \(3,\)"):
        buffer.add(np.zeros(3, np.float32))
    with pytest.raises(ChannelError, match="chase or incremental, found 'arq'"):
        redundancy_version("arq", 0)  # type: ignore[arg-type]
    with pytest.raises(ChannelError, match="transmission >= 0, found -1"):
        redundancy_version("chase", -1)
    with pytest.raises(ChannelError, match="max_transmissions >= 1, found 0"):
        send_with_harq(code, payload_of(code, 0), lambda bits, _: bits, max_transmissions=0)  # type: ignore[arg-type, return-value]
