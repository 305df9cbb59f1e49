"""The modulation and coding schemes: printed efficiencies of the standard, and Sionna's tables."""

from fractions import Fraction

import numpy as np
import pytest

from channels.coding import transport_block_code
from channels.errors import ChannelError
from channels.mcs import MCS_TABLES, mcs
from channels.modulation import BITS_PER_SYMBOL

# Last columns of 3GPP TS 38.214, tables 5.1.3.1-1, -2 and -3.
EFFICIENCIES = {
    1: "0.2344 0.3066 0.3770 0.4902 0.6016 0.7402 0.8770 1.0273 1.1758 1.3262 1.3281 1.4766 1.6953 "
    "1.9141 2.1602 2.4063 2.5703 2.5664 2.7305 3.0293 3.3223 3.6094 3.9023 4.2129 4.5234 4.8164 "
    "5.1152 5.3320 5.5547",
    2: "0.2344 0.3770 0.6016 0.8770 1.1758 1.4766 1.6953 1.9141 2.1602 2.4063 2.5703 2.7305 3.0293 "
    "3.3223 3.6094 3.9023 4.2129 4.5234 4.8164 5.1152 5.3320 5.5547 5.8906 6.2266 6.5703 6.9141 "
    "7.1602 7.4063",
    3: "0.0586 0.0781 0.0977 0.1250 0.1523 0.1934 0.2344 0.3066 0.3770 0.4902 0.6016 0.7402 0.8770 "
    "1.0273 1.1758 1.3281 1.4766 1.6953 1.9141 2.1602 2.4063 2.5664 2.7305 3.0293 3.3223 3.6094 "
    "3.9023 4.2129 4.5234",
}


@pytest.mark.parametrize("table", [1, 2, 3])
def test_efficiencies_of_the_standard(table: int) -> None:
    printed = [float(text) for text in EFFICIENCIES[table].split()]
    found = [scheme.spectral_efficiency for scheme in MCS_TABLES[table]]
    np.testing.assert_allclose(found, printed, rtol=0, atol=5.001e-5)
    assert [scheme.index for scheme in MCS_TABLES[table]] == list(range(len(printed)))
    assert {scheme.table for scheme in MCS_TABLES[table]} == {table}


@pytest.mark.parametrize("table", [1, 2, 3])
def test_equal_to_sionna(table: int) -> None:
    from sionna.phy.nr.utils import decode_mcs_index

    for scheme in MCS_TABLES[table]:
        order, rate = decode_mcs_index(scheme.index, table, is_pusch=False)
        assert BITS_PER_SYMBOL[scheme.modulation] == order.item()
        assert float(scheme.code_rate) == rate.item()
        assert mcs(table, scheme.index) is scheme


def test_rates_are_exact() -> None:
    assert mcs(1, 0).code_rate == Fraction(120, 1024)
    assert mcs(2, 20).code_rate == Fraction(1365, 2048)
    assert (mcs(2, 27).modulation, mcs(2, 27).code_rate) == ("256qam", Fraction(948, 1024))


@pytest.mark.parametrize("table", [1, 2, 3])
def test_every_scheme_carries_a_payload(table: int) -> None:
    payload = np.random.default_rng(table).integers(0, 2, 1600, np.uint8)
    for scheme in MCS_TABLES[table]:
        order = BITS_PER_SYMBOL[scheme.modulation]
        code = transport_block_code(1600, float(scheme.code_rate), order)
        decided, ok = code.decode(10.0 * code.encode(payload).astype(np.float32) - 5.0)
        assert ok
        np.testing.assert_array_equal(decided, payload)
        # The block's own efficiency, with its CRC: never above the scheme's, and close to it.
        efficiency = 1616 / code.channel_uses
        assert 0.99 < efficiency / scheme.spectral_efficiency <= 1.0


@pytest.mark.parametrize(("table", "last"), [(1, 28), (2, 27), (3, 28)])
def test_reserved_indices(table: int, last: int) -> None:
    assert mcs(table, last).index == last
    for index in (-1, last + 1, 31, 32):
        with pytest.raises(ChannelError, match=rf"table {table}: expected 0 .. {last}, found"):
            mcs(table, index)
    with pytest.raises(ChannelError, match="expected 1, 2 or 3, found 4"):
        mcs(4, 0)
