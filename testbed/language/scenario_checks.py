"""What no single value of a scenario shows: whether its values go together.

Each check raises what `scenario_values.wrong` makes, with the place in the scenario.

Nothing heavy may be imported here (torch, numba, sionna, pandas, matplotlib, codec, channels).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

from testbed.language.codec_sections import Codec
from testbed.language.comparison_section import Comparison
from testbed.language.link_grid import Link
from testbed.language.link_parts import make_part, mcs_scheme, modulations_of
from testbed.language.protection import PLANNED, LayerSetting
from testbed.language.scenario_values import CAPACITY, CODES, did_you_mean, wrong

Place: TypeAlias = tuple[str | int, ...]


def layers_of(grid: Link, at: Place) -> list[LayerSetting]:
    """All that a layer may be sent with. Raises the error of an MCS index that is not there."""
    try:
        schemes = grid.schemes()
    except KeyError as error:
        raise wrong(str(error.args[0]), (*at, "mcs")) from None
    layers: dict[LayerSetting, None] = {}
    for modulation, code_rate, table in schemes:
        for times, erasure_rate in itertools.product(grid.transmissions, grid.erasure_rate):
            # Nothing that is checked depends on capacity's value.
            rate = 1.0 if code_rate == CAPACITY else float(code_rate)
            link = LayerSetting(modulation, rate, times, float(erasure_rate))
            for index, protection in enumerate(grid.protection):
                try:
                    found = protection.settings(link, partial(mcs_scheme, table))
                except KeyError as error:
                    place = (*at, "protection", index, "layers")
                    raise wrong(str(error.args[0]), place) from None
                layers |= dict.fromkeys(found)
    return list(layers)


def check_channels(grid: Link, at: Place, layers: Sequence[LayerSetting]) -> None:
    """Every channel takes the modulations of all layers."""
    for channel in grid.channel:
        takes = modulations_of(channel)
        others = [each.modulation for each in layers if takes and each.modulation not in takes]
        if others:
            raise wrong(
                f"{channel.label} takes {', '.join(takes)} only, found {others[0]}: "
                f"set modulation: {takes[0]}",
                (*at, "channel"),
            )


def check_analog(grid: Link, at: Place) -> None:
    """Every channel takes analog symbols, for a codec that sends them."""
    for channel in grid.channel:
        takes = modulations_of(channel)
        if takes:
            raise wrong(
                f"{channel.label} takes {', '.join(takes)} only, found an analog codec: leave one "
                "of them out",
                (*at, "channel"),
            )


def check_comparison(comparison: Comparison, codecs: Sequence[str]) -> None:
    """The reference is a codec's name."""
    reference = comparison.reference
    if reference is not None and reference not in codecs:
        raise wrong(
            f"expected a codec's name, found {reference!r}" + did_you_mean(reference, codecs),
            ("comparison", "reference"),
        )


def check_reference_protection(
    comparison: Comparison, reference: Codec, grids: Sequence[Link]
) -> None:
    """grids: those of the reference codec."""
    wanted = comparison.reference_protection
    if wanted is not None and reference.analog:
        raise wrong(
            f"{reference.name} is an analog codec and has no protection: leave the key out",
            ("comparison", "reference_protection"),
        )
    names = list(dict.fromkeys(each.name for grid in grids for each in grid.protection))
    if wanted is not None and wanted not in names:
        raise wrong(
            f"expected a protection of the reference, {' or '.join(names)}, found {wanted!r}",
            ("comparison", "reference_protection"),
        )


def check_comparable(comparison: Comparison, grids: Sequence[Link]) -> None:
    """Schemes meet at the same SNR, and each published result has a place in some figure."""
    if any(grid.ebn0_db for grid in grids):
        raise wrong(
            "expected snr_db, found ebn0_db, at which every scheme has its own Es/N0: set snr_db",
            ("comparison",),
        )
    for index, each in enumerate(comparison.published or ()):
        met = {
            pair
            for grid in grids
            if set(each.channel) & set(grid.channel)
            and any(loss.mean_loss == 0 for loss in grid.packet_loss)
            for pair in itertools.product(grid.snr_db, grid.cbr)
        }
        along_snr = sum(cbr == each.cbr for _, cbr in met)
        along_cbr = sum(snr_db == each.snr_db for snr_db, _ in met)
        if max(along_snr, along_cbr) < 2:
            raise wrong(
                f"found {each.channel[0].label}, {each.snr_db:g} dB and CBR {each.cbr}, which no "
                "figure shows: expected a channel with several SNRs at its CBR, or several CBRs at "
                "its SNR, without packet loss",
                ("comparison", "published", index),
            )


def check_ideal(grid: Link, at: Place) -> None:
    """An ideal code goes with spectral_efficiency and with nothing that looks at bits."""
    if "ideal" not in grid.coding:
        if grid.spectral_efficiency:
            raise wrong(
                "expected coding: ideal with spectral_efficiency: other codes have modulation and "
                "code_rate, or mcs",
                (*at, "spectral_efficiency"),
            )
        return
    if not grid.spectral_efficiency:
        raise wrong(
            "expected spectral_efficiency with coding ideal, in bits per complex symbol, instead "
            "of modulation, code_rate and mcs",
            (*at, "coding"),
        )
    for key, expected, found in (
        ("coding", "ideal", grid.coding),
        ("damage", "drop", grid.damage),
        ("protection", "equal", [each.policy for each in grid.protection]),
    ):
        if set(found) != {expected}:
            other = next(each for each in found if each != expected)
            raise wrong(
                f"expected {key}: {expected} with an ideal code, found {other}: say so in a sweep "
                "of its own",
                (*at, key),
            )
    _check_ideal_channels(grid, at)


def _check_ideal_channels(grid: Link, at: Place) -> None:
    from channels.errors import ChannelError
    from channels.ideal import check_ideal_channel

    for channel in grid.channel:
        try:
            check_ideal_channel(make_part("channel", channel))
        except ChannelError as error:
            raise wrong(str(error), (*at, "channel")) from None
        if CAPACITY not in grid.spectral_efficiency:
            continue
        if channel.type != "awgn":
            raise wrong(
                f"expected capacity with the channel awgn alone, found {channel.label}: the sender "
                "does not know the fade; give a list of numbers, and look at the best of them",
                (*at, "spectral_efficiency"),
            )
        if not grid.snr_db:
            raise wrong(
                "expected capacity with snr_db, found ebn0_db, which hangs on the rate",
                (*at, "spectral_efficiency"),
            )


def check_polar(grid: Link, at: Place, layers: Sequence[LayerSetting], max_bytes: int) -> None:
    """Packets are small enough for polar codes, at every rate."""
    if "polar" not in grid.coding:
        return
    # Imports numba.
    from testbed.language.polar_limit import largest_max_bytes

    tightest = min(layers, key=largest_max_bytes)
    largest = largest_max_bytes(tightest)
    if max_bytes > largest:
        raise wrong(
            f"expected packets.max_bytes of at most {largest} with polar codes of rate "
            f"{tightest.code_rate:.3g}, found {max_bytes}: set packets: {{max_bytes: {largest}}}, "
            "or coding: ldpc_polar",
            (*at, "coding"),
        )


def check_plans(grid: Link, at: Place) -> None:
    """Plans are made with block error tables; an ideal code needs none."""
    if "tables" in grid.fidelity and "ideal" not in grid.coding:
        _check_tables(grid, at, "fidelity tables: others need the exact link")
    planned = [each.policy for each in grid.protection if each.policy in PLANNED]
    if not planned:
        return
    _check_tables(grid, at, f"protection {planned[0]}: others are not planned with")
    for channel in grid.channel:
        if modulations_of(channel):
            raise wrong(
                f"{channel.label} takes one modulation only: nothing is left to plan",
                (*at, "protection"),
            )


def _check_tables(grid: Link, at: Place, reason: str) -> None:
    """What block error tables can stand for, `reason` being why they have to."""
    for key, expected, found in (
        ("coding", CODES, grid.coding),
        ("damage", ("drop",), grid.damage),
    ):
        if not set(found) <= set(expected):
            raise wrong(f"expected {key}: {' or '.join(expected)} with {reason}", (*at, key))


def check_transmissions(grid: Link, at: Place, layers: Sequence[LayerSetting]) -> None:
    """What is sent again can be combined."""
    if all(layer.transmissions == 1 for layer in layers):
        return
    if "none" in grid.coding:
        raise wrong(
            "expected transmissions: 1 without coding: no receptions can be combined",
            (*at, "coding"),
        )
    tables = [each.layers or () for each in grid.protection]
    if any(
        (layer.transmissions or times) > 1
        for table in tables
        if any(layer.power_db for layer in table)
        for layer, times in itertools.product(table, grid.transmissions)
    ):
        raise wrong(
            "expected transmissions: 1 with power_db: how much power is spent would depend on "
            "what fails",
            (*at, "protection"),
        )
