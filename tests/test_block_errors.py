"""Mutual information against closed forms and simulation; block error tables and their files."""

import json
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from channels import block_errors
from channels.block_errors import (
    PAYLOAD_GRID,
    BlockErrorCurve,
    BlockErrorTable,
    TableKey,
    build_table,
    error_curve,
    load_table,
    tables_folder,
)
from channels.errors import ChannelError
from channels.fading import Awgn
from channels.modulation import BITS_PER_SYMBOL, demodulate, modulate
from channels.mutual_information import (
    bicm_information,
    effective_snr_db,
    effective_snrs_db,
    snr_db_of_information,
)
from channels.polar_code import polar_code
from channels.randomness import ChannelRandomness, derive_key
from channels.snr import esn0_db_from_ebn0_db, noise_power
from channels.transport_sizes import transport_sizes


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TESTBED_TABLES", str(tmp_path / "tables"))
    return tmp_path / "tables"


# Mutual information


@pytest.mark.parametrize(("rate", "ebn0_db"), [(1 / 2, 0.187), (1 / 3, -0.495), (2 / 3, 1.059)])
def test_capacity_of_the_binary_input_channel(rate: float, ebn0_db: float) -> None:
    """Shannon limits of BPSK, as in any textbook on coding; QPSK is two of them."""
    bpsk = snr_db_of_information(rate, "bpsk")
    assert bpsk == pytest.approx(esn0_db_from_ebn0_db(ebn0_db, rate, 1), abs=0.002)
    qpsk = snr_db_of_information(rate, "qpsk")
    assert qpsk == pytest.approx(esn0_db_from_ebn0_db(ebn0_db, rate, 2), abs=0.002)


@pytest.mark.parametrize("modulation", list(BITS_PER_SYMBOL))
def test_information_is_below_capacity_and_ends_at_one(modulation: str) -> None:
    m = BITS_PER_SYMBOL[modulation]
    snr_db = np.arange(-40.0, 60.0, 0.7)
    information = np.array([bicm_information(float(s), modulation) for s in snr_db])
    assert np.all(np.diff(information) >= 0) and np.all(np.diff(information[information < 1]) >= 0)
    dimensions = 0.5 if m == 1 else 1.0
    capacity = dimensions * np.log2(1 + 10 ** (snr_db / 10) / dimensions)
    # The table is linear between its points.
    assert np.all(m * information < capacity * 1.0005)
    assert 1 - 2e-9 < information[-1] < 1


@pytest.mark.parametrize(("modulation", "share"), [("qpsk", 1.0), ("16qam", 0.8)])
def test_information_at_low_snr(modulation: str, share: float) -> None:
    """Gray-mapped QPSK reaches the wideband slope of capacity, 16QAM four fifths of it.

    A. Martinez, A. Guillén i Fàbregas, G. Caire, F. Willems, "Bit-interleaved coded modulation in
    the wideband regime", IEEE Trans. Inf. Theory 54(12), 2008.
    """
    total = BITS_PER_SYMBOL[modulation] * bicm_information(-35.0, modulation)
    assert total * np.log(2) / 10**-3.5 == pytest.approx(share, rel=2e-3)


@pytest.mark.parametrize(
    ("modulation", "snr_db"), [("16qam", 6.0), ("64qam", 12.0), ("256qam", 14.0), ("1024qam", 25.0)]
)
def test_information_is_that_of_the_demapper(modulation: str, snr_db: float) -> None:
    randomness = ChannelRandomness(derive_key("information", modulation))
    count = 100_000 * BITS_PER_SYMBOL[modulation]
    bits = randomness.generator("bits", 0).integers(0, 2, count, np.uint8)
    sent = modulate(bits, modulation)
    received, noise = Awgn().transmit(sent, noise_power(snr_db), randomness, 0)
    llr = demodulate(received, noise, modulation).astype(np.float64)
    each = 1 - np.logaddexp(0, -(2.0 * bits - 1) * llr) / np.log(2)
    # Bits of a symbol are not independent: symbols are.
    each = each.reshape(len(sent), -1).mean(axis=1)
    margin = 2.576 * each.std() / np.sqrt(len(each))
    assert abs(each.mean() - bicm_information(snr_db, modulation)) < margin


@settings(max_examples=50, deadline=None)
@given(st.floats(-60.0, 12.0), st.sampled_from(list(BITS_PER_SYMBOL)))
def test_information_and_its_inverse(snr_db: float, modulation: str) -> None:
    information = bicm_information(snr_db, modulation)
    assert snr_db_of_information(information, modulation) == pytest.approx(snr_db, abs=1e-4)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-20.0, 20.0), min_size=1, max_size=20),
    st.sampled_from(["16qam", "64qam", "256qam"]),
)
def test_effective_snr_lies_between_the_extremes(snrs_db: list[float], modulation: str) -> None:
    noise = 10 ** (-np.array(snrs_db) / 10)
    effective = effective_snr_db(noise, modulation)
    assert min(snrs_db) - 1e-3 < effective < max(snrs_db) + 1e-3
    assert effective_snr_db(noise[::-1], modulation) == pytest.approx(effective, abs=1e-6)


def test_effective_snr_of_known_mixtures() -> None:
    assert effective_snr_db(np.full(9, noise_power(7.0)), "16qam") == pytest.approx(7.0, abs=1e-4)
    # Half of the symbols perfect, half erased: half a bit each.
    half = np.array([1e-9, 1e9] * 50)
    assert effective_snr_db(half, "bpsk") == pytest.approx(-2.823, abs=0.002)
    blocks = np.repeat(noise_power(3.0) * np.array([1.0, 0.1]), 20)
    assert effective_snrs_db(blocks, "qpsk", 2) == pytest.approx([3.0, 13.0], abs=1e-3)
    # A sample on the border of two blocks belongs to both.
    found = effective_snrs_db(np.array([0.1, 0.2, 0.4]), "16qam", 2)
    expected = [
        effective_snr_db(np.array(mix), "16qam") for mix in ([0.1, 0.1, 0.2], [0.2, 0.4, 0.4])
    ]
    assert found == pytest.approx(expected, abs=1e-6)


def test_impossible_information_is_refused() -> None:
    with pytest.raises(ChannelError, match="information: expected 0"):
        snr_db_of_information(1.1, "qpsk")
    with pytest.raises(ChannelError, match="modulation"):
        bicm_information(0.0, "8psk")
    with pytest.raises(ChannelError, match="equal blocks"):
        effective_snrs_db(np.ones(5), "qpsk", 0)


# Curves through given counts


def table_of(
    errors: list[int], words: int = 1000, first_db: float = 5.0, payload_bits: int = 512
) -> BlockErrorTable:
    return BlockErrorTable(
        TableKey("16qam", 0.5, payload_bits, words),
        first_db + 0.25 * np.arange(len(errors)),
        np.full(len(errors), words),
        np.array(errors),
    )


def test_curve_goes_through_its_points() -> None:
    table = table_of([990, 700, 200, 10, 0])
    assert table.error_rate(5.25) == pytest.approx(700.5 / 1001)
    assert table.error_rate(5.75) == pytest.approx(10.5 / 1001)
    between = norm.isf(table.error_rate(5.625))
    ends = norm.isf([table.error_rate(5.5), table.error_rate(5.75)])
    assert between == pytest.approx(np.mean(ends))
    assert table.error_rate(table.threshold_db) == pytest.approx(0.1)
    assert table.error_rate(0.0) > 1 - 1e-6
    assert table.error_rate(10.0) < 1e-6


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=12))
def test_curve_never_rises(errors: list[int]) -> None:
    table = table_of(errors, words=100)
    rates = [table.error_rate(float(s)) for s in np.arange(0.0, 12.0, 0.05)]
    assert all(0 <= after <= before <= 1 for before, after in pairwise(rates))


def test_points_where_all_fail_say_nothing_of_lower_snr() -> None:
    few, many = table_of([100, 50, 0], 100, 5.5), table_of([100] * 3 + [50, 0], 100)
    for snr_db in (3.0, 5.5, 5.6, 7.0):
        assert few.error_rate(snr_db) == pytest.approx(many.error_rate(snr_db))


def test_code_that_never_decodes_stays_so() -> None:
    table = table_of([1000, 1000, 1000])
    assert table.error_rate(60.0) > 0.999
    # One byte at rate 0.95: too few parities for the columns that are never sent.
    measured = build_table("qpsk", 0.95, 8, words=20)
    assert measured.error_rate(60.0) > 0.9


def test_curve_between_sizes() -> None:
    errors = [990, 700, 200, 10, 0]
    low, high = table_of(errors, payload_bits=512), table_of(errors, first_db=4.0)
    curve = BlockErrorCurve(low, high, 0.25)
    assert curve.threshold_db == pytest.approx(low.threshold_db - 0.25)
    assert curve.error_rate(5.0) == pytest.approx(low.error_rate(5.25))
    assert BlockErrorCurve(low, high, 0.0).error_rate(5.3) == low.error_rate(5.3)


# Measured tables


def test_known_block_error_rates_over_awgn() -> None:
    """Sionna's default decoder; ours is between 0 and 0.2 dB better."""
    table = build_table("qpsk", 0.5, 1008, words=800)
    assert table.key.sizes.block_information_bits == 1024
    for ebn0_db, known in ((1.0, 0.53), (1.5, 0.03), (2.0, 0.0)):
        snr_db = esn0_db_from_ebn0_db(ebn0_db, 0.5, 2)
        assert table.error_rate(snr_db) < known + 0.003
        assert table.error_rate(snr_db - 0.2) > known - 0.003


def test_table_is_adaptive_and_deterministic() -> None:
    table = build_table("16qam", 0.5, 128, words=600, seed=3)
    again = build_table("16qam", 0.5, 128, words=600, seed=3)
    other = build_table("16qam", 0.5, 128, words=600, seed=4)
    assert np.array_equal(table.errors, again.errors)
    assert not np.array_equal(table.errors, other.errors)
    assert np.allclose(np.diff(table.snr_db), 0.25) and np.all(table.snr_db % 0.25 == 0)
    assert table.errors[0] >= 0.97 * table.words[0]
    assert table.errors[-1] <= 1e-3 * table.words[-1]
    assert np.all(table.words <= 600)
    assert np.all((table.errors >= 100) | (table.words == 600))


def test_sizes_between_those_of_tables() -> None:
    """The interpolated threshold against one measured: at most 0.1 dB off, sampling included."""
    for payload in (320, 560):
        curve = error_curve("16qam", 0.5, payload, words=600)
        assert curve.lower.key.payload_bits < payload < curve.upper.key.payload_bits
        direct = build_table("16qam", 0.5, payload, words=600, seed=1)
        assert curve.threshold_db == pytest.approx(direct.threshold_db, abs=0.1)


def test_tables_of_the_same_base_graph() -> None:
    curve = error_curve("qpsk", 0.5, 8 * 1000, words=1, grid=(3808, 4096, 8424))
    assert (curve.lower.key.payload_bits, curve.upper.key.payload_bits) == (4096, 8424)
    assert error_curve("qpsk", 0.5, 64, words=1).lower.key.payload_bits == 64
    assert error_curve("qpsk", 0.5, 64, words=1).weight == 0.0
    # Beyond the ends of the grid: the last one.
    assert error_curve("qpsk", 0.5, 32, words=1, grid=(64, 128)).upper.key.payload_bits == 64
    with pytest.raises(ChannelError, match="expected a payload near"):
        error_curve("qpsk", 0.5, 8000, words=1, grid=(64, 128))
    assert max(PAYLOAD_GRID) == 8424
    assert transport_sizes(8424, 0.5, 2).code_blocks == 1
    assert transport_sizes(8432, 0.5, 2).code_blocks == 2


def test_retransmissions_have_tables_of_their_own() -> None:
    once = build_table("qpsk", 0.5, 128, words=300)
    chase = build_table("qpsk", 0.5, 128, words=300, versions=(0, 0))
    incremental = build_table("qpsk", 0.5, 128, words=300, versions=(0, 2))
    # QPSK symbols received twice are worth 3 dB; other parities are worth more.
    assert once.threshold_db - chase.threshold_db == pytest.approx(3.01, abs=0.25)
    assert incremental.threshold_db < chase.threshold_db - 0.3


def test_impossible_tables_are_refused() -> None:
    with pytest.raises(ChannelError, match="one code block, found 9000 bits, which take 2"):
        TableKey("qpsk", 0.5, 9000)
    with pytest.raises(ChannelError, match="words"):
        TableKey("qpsk", 0.5, 64, words=0)
    with pytest.raises(ChannelError, match="versions"):
        TableKey("qpsk", 0.5, 64, versions=())
    with pytest.raises(ChannelError, match="code: expected one of ldpc, polar, found 'none'"):
        TableKey("qpsk", 0.5, 64, code="none")  # type: ignore[arg-type]
    with pytest.raises(ChannelError, match="version 0 of a polar code"):
        TableKey("qpsk", 0.5, 64, versions=(0, 2), code="polar")
    with pytest.raises(ChannelError, match="at most 1007 payload bits"):
        TableKey("qpsk", 0.5, 1008, code="polar")


def test_polar_codes_have_tables_of_their_own() -> None:
    """Of the sizes that they take; a second reception of the same bits is worth 3 dB."""
    once = error_curve("qpsk", 0.5, 128, 600, code="polar")
    twice = error_curve("qpsk", 0.5, 128, 600, versions=(0, 0), code="polar")
    assert once.lower.key.code == "polar"
    # At one error in ten LDPC needs some tenths of a decibel more.
    ldpc = error_curve("qpsk", 0.5, 128, 600)
    assert 0.1 < ldpc.threshold_db - once.threshold_db < 1.0
    assert once.threshold_db - twice.threshold_db == pytest.approx(10 * np.log10(2), abs=0.1)
    # At rate 1/40 at most 188 bits are taken.
    low = error_curve("qpsk", 1 / 40, 184, 20, code="polar")
    assert low.upper.key.payload_bits == 184
    # Whatever a packet's size, there are tables of its mother code.
    codes = {payload: polar_code(payload + 16, 2 * payload + 32) for payload in range(8, 1008, 8)}
    kinds = {
        payload: (code.mother_bits, code.n > code.mother_bits) for payload, code in codes.items()
    }
    grid = block_errors._polar_grid(0.5, 2)
    assert {kinds[payload] for payload in grid} == set(kinds.values()) and len(grid) < 60


# Files


def fresh(key: TableKey) -> BlockErrorTable:
    """As another process would load it."""
    block_errors._load.cache_clear()
    return load_table(key)


def count_builds(monkeypatch: pytest.MonkeyPatch) -> list[TableKey]:
    built: list[TableKey] = []
    measure = block_errors._measure

    def counted(key: TableKey) -> BlockErrorTable:
        built.append(key)
        return measure(key)

    monkeypatch.setattr(block_errors, "_measure", counted)
    return built


def test_files_come_back_as_they_were(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = count_builds(monkeypatch)
    key = TableKey("qpsk", 0.5, 64, words=30)
    first, second = fresh(key), fresh(key)
    assert len(built) == 1
    assert second.key == key
    for name in ("snr_db", "words", "errors"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert [path.name for path in own_folder.iterdir()] == [key.file_name()]
    # All that determines a table is in the name of its file.
    others = [
        TableKey("16qam", 0.5, 64, words=30),
        TableKey("qpsk", 0.4, 64, words=30),
        TableKey("qpsk", 0.5, 128, words=30),
        TableKey("qpsk", 0.5, 64, words=31),
        TableKey("qpsk", 0.5, 64, words=30, seed=1),
        TableKey("qpsk", 0.5, 64, words=30, versions=(0, 2)),
        TableKey("qpsk", 0.5, 64, words=30, max_iterations=10),
        TableKey("qpsk", 0.5, 64, words=30, code="polar"),
    ]
    assert len({other.file_name() for other in [key, *others]}) == 9


def test_damaged_files_are_made_anew(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = TableKey("qpsk", 0.5, 64, words=30)
    fresh(key)
    path = own_folder / key.file_name()
    right = path.read_bytes()
    content = json.loads(right)
    content["errors"][0] -= 1
    built = count_builds(monkeypatch)
    damaged = [b"", right[:-20], b"[]", b"\xff\xfe", json.dumps(content).encode()]
    for number, wrong in enumerate(damaged, start=1):
        path.write_bytes(wrong)
        fresh(key)
        assert len(built) == number
        assert path.read_bytes() == right
    # A sound file under another's name is no better.
    other = TableKey("qpsk", 0.5, 64, words=31)
    (own_folder / other.file_name()).write_bytes(right)
    assert fresh(other).key.words == 31
    assert len(built) == len(damaged) + 1


def test_writers_and_readers_at_once(own_folder: Path) -> None:
    key = TableKey("qpsk", 0.5, 64, words=30)
    table = fresh(key)
    path = own_folder / key.file_name()
    seen: list[bool] = []

    def work() -> None:
        for _ in range(50):
            block_errors._write(path, table)
            seen.append(block_errors._read(path, key) is not None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 200 and all(seen)
    assert [found.name for found in own_folder.iterdir()] == [key.file_name()]


def test_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TESTBED_TABLES", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="not kept"):
        assert fresh(TableKey("qpsk", 0.5, 64, words=10)).error_rate(20.0) < 0.1


def test_place_of_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tables_folder() == tmp_path / "tables"
    monkeypatch.delenv("TESTBED_TABLES")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert tables_folder() == tmp_path / "cache" / "semcom-testbed" / "tables"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tables_folder() == tmp_path / ".cache" / "semcom-testbed" / "tables"
