"""The sum-product decoder, against exhaustive decoding and against Sionna's, word by word."""

from itertools import product

import numpy as np
import pytest

from channels.bench_ldpc_quality import QualityBench
from channels.errors import ChannelError
from channels.ldpc_graph import LdpcGraph, ldpc_graph
from channels.sum_product import decode_sum_product


def test_bits_of_a_tree_are_decided_by_their_exact_posteriors() -> None:
    """Three checks that share no bit: the most likely value of each bit, over all its words."""
    shifts = np.array([0, 2, 1, 1, 2], np.int32)
    graph = LdpcGraph(
        k=12, n=15, bits_per_symbol=1, base_graph=2, lifting_size=3, set_index=0,
        information_columns=4, rows=1, row_start=np.array([0, 5], np.int32),
        edge_column=np.arange(5, dtype=np.int32), edge_shift=shifts,
        sent=np.arange(15, dtype=np.int32),
    )  # fmt: skip
    llr = np.random.default_rng(0).normal(0.0, 2.0, (300, 15)).astype(np.float32)
    expected = np.empty((300, 12), np.uint8)
    even = np.array([w for w in product((0, 1), repeat=5) if sum(w) % 2 == 0])
    for check in range(3):
        bits = np.arange(5) * 3 + (check + shifts) % 3
        weight = np.exp(llr[:, bits].astype(np.float64) @ even.T)
        one = weight @ even > weight @ (1 - even)
        expected[:, bits[:4]] = one[:, :4]
    np.testing.assert_array_equal(decode_sum_product(llr, graph, 1), expected)
    hard = llr[:, :12] > 0
    assert (expected != hard).any()


# Es/N0 where some words fail; both base graphs, filler bits, the lowest and the highest rate.
@pytest.mark.parametrize(
    ("k", "code_rate", "esn0_db", "words"),
    [
        (128, 1 / 3, -0.4, 200),
        (128, 8 / 9, 8.5, 300),
        (512, 1 / 2, 1.6, 80),
        (1024, 8 / 9, 6.6, 60),
        (2048, 1 / 3, -1.0, 20),
        (4224, 3 / 4, 4.15, 12),
    ],
)
def test_equals_sionna_word_by_word(k: int, code_rate: float, esn0_db: float, words: int) -> None:
    import torch
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    bench = QualityBench(k, code_rate, words)
    bits, llr = bench.receive(range(words), esn0_db)
    reference = LDPC5GDecoder(
        LDPC5GEncoder(k, bench.n, 2), cn_update="boxplus-phi", cn_schedule="flooding", num_iter=20
    )
    with torch.inference_mode():
        expected = reference(torch.from_numpy(llr)).numpy().astype(np.uint8)
    decided = decode_sum_product(llr, bench.graph, 20)
    right = (decided == bits).all(axis=1)
    # Equal in success and failure; a word that neither decodes may differ in some bits.
    np.testing.assert_array_equal(right, (expected == bits).all(axis=1))
    assert 0 < right.sum() < words
    np.testing.assert_array_equal(decided[right], expected[right])
    assert (decided != expected).any(axis=1).mean() <= 0.05


def test_certain_and_unknown_bits() -> None:
    """LLRs of any size are kept in range; of a word of which nothing is known all bits are 1."""
    graph = ldpc_graph(100, 200, 2)
    zeros = np.full((1, 200), -1e30, np.float32)
    assert not decode_sum_product(zeros, graph).any()
    assert decode_sum_product(np.zeros((1, 200), np.float32), graph).all()


def test_words_do_not_influence_one_another() -> None:
    bench = QualityBench(320, 1 / 2, 12)
    _, llr = bench.receive(range(12), 1.4)
    together = decode_sum_product(llr, bench.graph)
    for word in range(12):
        alone = decode_sum_product(llr[word : word + 1], bench.graph)
        np.testing.assert_array_equal(alone[0], together[word])


def test_arguments_that_do_not_fit() -> None:
    graph = ldpc_graph(100, 200)
    with pytest.raises(ChannelError, match=r"llr\[words, 200\], found \(1, 199\)"):
        decode_sum_product(np.zeros((1, 199), np.float32), graph)
    with pytest.raises(ChannelError, match="max_iterations >= 1, found 0"):
        decode_sum_product(np.zeros((1, 200), np.float32), graph, 0)
