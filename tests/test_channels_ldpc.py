"""The 5G LDPC codes, bit by bit and word by word against Sionna's."""

import numpy as np
import pytest
from numpy.typing import NDArray

from channels.errors import ChannelError
from channels.ldpc_decoder import decode_ldpc
from channels.ldpc_encoder import encode_ldpc
from channels.ldpc_graph import LdpcGraph, combined_graph, ldpc_graph

# Sizes at the borders of the choices of base graph and lifting size, at the extremes of the rate,
# with and without filler bits, with every modulation order.
ENCODER_CASES = [
    (12, 60, 4),
    (12, 14, 2),
    (13, 64, 8),
    (24, 48, 6),
    (64, 128, 2),
    (120, 300, 4),
    (192, 960, 8),
    (193, 386, 2),
    (292, 312, 6),
    (293, 438, 6),
    (293, 437, 1),
    (320, 960, 6),
    (560, 1120, 4),
    (561, 840, 8),
    (640, 3200, 2),
    (641, 960, 4),
    (1000, 1056, 8),
    (1024, 2048, 4),
    (1024, 1530, 6),
    (1501, 3004, 4),
    (2000, 10000, 8),
    (3824, 5712, 6),
    (3824, 5700, 4),
    (3840, 19200, 2),
    (3841, 11520, 8),
    (5000, 9000, 6),
    (8448, 25344, 8),
    (8448, 8896, 4),
]


@pytest.mark.filterwarnings("ignore:Effective coderate")
@pytest.mark.parametrize(("k", "n", "bits_per_symbol"), ENCODER_CASES)
def test_encoder_equals_sionna(k: int, n: int, bits_per_symbol: int) -> None:
    import torch
    from sionna.phy.fec.ldpc import LDPC5GEncoder

    bits = np.random.default_rng(k + n).integers(0, 2, (4, k), np.uint8)
    encoder = LDPC5GEncoder(k, n, bits_per_symbol)
    expected = encoder(torch.tensor(bits, dtype=torch.float32)).numpy()
    graph = ldpc_graph(k, n, bits_per_symbol)
    assert graph.lifting_size == encoder.z
    assert graph.filler_bits == encoder.k_filler
    np.testing.assert_array_equal(encode_ldpc(bits, graph), expected)


# From the highest rate, where a version is a small part of the buffer, to the lowest, where it is
# all of it; starts before, in and after the filler bits; both base graphs.
VERSION_CASES = [
    (12, 60, 4),
    (13, 64, 8),
    (64, 128, 2),
    (193, 386, 2),
    (320, 960, 6),
    (561, 840, 8),
    (640, 3200, 2),
    (1024, 1090, 10),
    (3000, 8000, 4),
    (3824, 5700, 4),
    (5000, 9000, 6),
    (8448, 25344, 8),
    (8448, 8896, 4),
]


@pytest.mark.filterwarnings("ignore:Effective coderate")
@pytest.mark.parametrize(("k", "n", "bits_per_symbol"), VERSION_CASES)
def test_redundancy_versions_equal_sionna(k: int, n: int, bits_per_symbol: int) -> None:
    import torch
    from sionna.phy.fec.ldpc import LDPC5GEncoder

    bits = np.random.default_rng(k + n).integers(0, 2, (3, k), np.uint8)
    encoder = LDPC5GEncoder(k, n, bits_per_symbol)
    expected = encoder(torch.tensor(bits, dtype=torch.float32), rv=[0, 1, 2, 3]).numpy()
    for rv in range(4):
        graph = ldpc_graph(k, n, bits_per_symbol, rv)
        np.testing.assert_array_equal(encode_ldpc(bits, graph), expected[:, rv])


@pytest.mark.parametrize("rv", [1, 2, 3])
def test_a_graph_has_the_rows_that_its_version_needs(rv: int) -> None:
    graph = ldpc_graph(1024, 1280, 2, rv)
    assert len(np.unique(graph.sent)) == graph.n
    extensions = graph.sent // graph.lifting_size - graph.information_columns - 4
    np.testing.assert_array_equal(np.unique(extensions[extensions >= 0]), np.arange(graph.rows - 4))
    assert graph.rows < 46
    # Each extension row ends with its own parity, which occurs nowhere else.
    last = graph.edge_column[graph.row_start[1:] - 1]
    np.testing.assert_array_equal(last[4:], graph.information_columns + np.arange(4, graph.rows))


# Versions 1 and 2 leave the information bits out: alone, they need nearly the whole buffer.
@pytest.mark.parametrize(("rv", "n"), [(0, 800), (3, 1800), (1, 3500), (2, 3500)])
def test_a_version_that_carries_enough_decodes_alone(rv: int, n: int) -> None:
    bits = np.random.default_rng(5).integers(0, 2, (3, 700), np.uint8)
    for bits_per_symbol in (1, 4, 10):
        graph = ldpc_graph(700, n, bits_per_symbol, rv)
        decided, ok = decode_ldpc(8.0 * encode_ldpc(bits, graph).astype(np.float32) - 4.0, graph)
        np.testing.assert_array_equal(decided, bits)
        assert ok.all()


def noisy_llr(
    bits: NDArray[np.uint8], graph: LdpcGraph, ebn0_db: float, seed: int
) -> NDArray[np.float32]:
    """LLRs of antipodal signalling over AWGN, float32[words, n]."""
    variance = 0.5 * 10 ** (-ebn0_db / 10) / (graph.k / graph.n)
    sent = 2.0 * encode_ldpc(bits, graph) - 1.0
    noise = np.random.default_rng(seed).standard_normal(sent.shape) * np.sqrt(variance)
    llr = 2.0 * (sent + noise) / variance
    return np.asarray(llr, np.float32)


# Eb/N0 where a good part of the words fails after 8 iterations, so that failures are compared too.
@pytest.mark.parametrize(
    ("k", "n", "bits_per_symbol", "ebn0_db"),
    [(1024, 2048, 2, 1.3), (320, 960, 4, 1.2), (120, 300, 6, 0.8), (3840, 5120, 8, 2.75)],
)
def test_decoder_equals_sionna_word_by_word(
    k: int, n: int, bits_per_symbol: int, ebn0_db: float
) -> None:
    import torch
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    graph = ldpc_graph(k, n, bits_per_symbol)
    bits = np.random.default_rng(n).integers(0, 2, (24, k), np.uint8)
    llr = noisy_llr(bits, graph, ebn0_db, seed=k)
    reference = LDPC5GDecoder(
        LDPC5GEncoder(k, n, bits_per_symbol),
        cn_update="offset-minsum",
        cn_schedule="layered",
        num_iter=8,
    )
    expected = reference(torch.from_numpy(llr)).numpy().astype(np.uint8)
    decided, parity_ok = decode_ldpc(llr, graph, max_iterations=8, early_stop=False)
    np.testing.assert_array_equal(decided, expected)
    right = np.all(decided == bits, axis=1)
    assert 0 < right.sum() < len(right)
    # Information bits may be right before all parity bits are, but not the other way round.
    assert not np.any(parity_ok & ~right)
    assert parity_ok.any()


def test_words_do_not_influence_one_another() -> None:
    graph = ldpc_graph(320, 640, 2)
    bits = np.random.default_rng(1).integers(0, 2, (20, 320), np.uint8)
    llr = noisy_llr(bits, graph, 1.5, seed=2)
    together, ok = decode_ldpc(llr, graph)
    for word in range(20):
        alone, alone_ok = decode_ldpc(llr[word : word + 1], graph)
        np.testing.assert_array_equal(alone[0], together[word])
        assert alone_ok[0] == ok[word]


@pytest.mark.parametrize(
    ("k", "n"), [(12, 14), (12, 480), (50, 700), (5000, 16000), (3900, 19500), (3840, 76800)]
)
def test_round_trip_with_repetition_and_at_extreme_rates(k: int, n: int) -> None:
    graph = ldpc_graph(k, n)
    bits = np.random.default_rng(k).integers(0, 2, (3, k), np.uint8)
    decided, ok = decode_ldpc(8.0 * encode_ldpc(bits, graph).astype(np.float32) - 4.0, graph)
    np.testing.assert_array_equal(decided, bits)
    assert ok.all()


def test_noise_alone_does_not_pass_the_parity_check() -> None:
    graph = ldpc_graph(1024, 2048, 2)
    llr = np.random.default_rng(3).standard_normal((10, 2048)).astype(np.float32)
    assert not decode_ldpc(llr, graph)[1].any()


@pytest.mark.parametrize(
    ("k", "n", "bits_per_symbol", "message"),
    [
        (11, 22, 2, "12 <= k <= 8448, found k = 11"),
        (8449, 16898, 2, "found k = 8449"),
        (100, 104, 2, "k / n <= 0.95, found 100 / 104"),
        (100, 201, 2, "multiple of 2, found n = 201"),
    ],
)
def test_sizes_that_no_code_has(k: int, n: int, bits_per_symbol: int, message: str) -> None:
    with pytest.raises(ChannelError, match=message):
        ldpc_graph(k, n, bits_per_symbol)


def test_versions_that_do_not_exist() -> None:
    for rv in (-1, 4):
        with pytest.raises(ChannelError, match=rf"0 \.\. 3, found {rv}"):
            ldpc_graph(100, 200, 2, rv)
    with pytest.raises(ChannelError, match="at least one, found none"):
        combined_graph(100, 200, 2, frozenset())


def test_data_of_the_wrong_shape() -> None:
    graph = ldpc_graph(100, 200)
    with pytest.raises(ChannelError, match=r"bits\[words, 100\], found \(1, 99\)"):
        encode_ldpc(np.zeros((1, 99), np.uint8), graph)
    with pytest.raises(ChannelError, match=r"llr\[words, 200\], found \(200,\)"):
        decode_ldpc(np.zeros(200, np.float32), graph)
    with pytest.raises(ChannelError, match="max_iterations >= 1, found 0"):
        decode_ldpc(np.zeros((1, 200), np.float32), graph, max_iterations=0)
