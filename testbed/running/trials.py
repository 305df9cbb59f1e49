"""From a scenario to its trials: link points, trial ids, budgets of channel uses.

A trial is one image, sent once by one codec over one link point. Its id is a hash of all that its
result depends on and of nothing else, so that results of any scenario, shard or earlier run with
the same id are the same result.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any, Literal

from testbed.language.adaptation import Adaptation
from testbed.language.link_grid import Link
from testbed.language.link_parts import LinkPart, mcs_scheme
from testbed.language.protection import PLANNED, LayerSetting
from testbed.language.scenario import Scenario, canonical_json
from testbed.language.scenario_values import (
    CAPACITY,
    GAUSSIAN,
    MODULATION_BITS,
    SpectralEfficiency,
    as_fraction,
    rounded_db,
)

ID_VERSION = 4
"""Part of every id. Raised when a change of the simulation makes earlier results incomparable."""

TABLES_VERSION = 3
"""Likewise, of the ids of what rests on block error tables, of changes of these and of planning."""


@dataclass(frozen=True, slots=True)
class LinkPoint:
    """One setting of the link. `snr_db` and `ebn0_db` are always both filled in:

        Es/N0 = Eb/N0 + 10 log10(R log2 M)   [dB], R the code rate, M the constellation's size

    snr_db       Es/N0 in dB per complex channel use, 9 decimals
    ebn0_db      Eb/N0 in dB per information bit, 9 decimals, always derived from `snr_db`
    modulation, code_rate   the link's own, as given or by mcs; without coding the rate is 1, of an
                 ideal code it is in bits per complex symbol, and the modulation `GAUSSIAN`
    cbr          complex channel uses per source value (3 H W), > 0; exact, so that budgets are
    channel, packet_loss   types and parameters (link_parts.py)
    transmissions, erasure_rate   the link's own
    protection   its name in results
    policy       how it is decided what each layer is sent with
    quantile     of the PSNR, 0 .. 1, that a plan makes the greatest; None: its mean
    adaptation   how `adaptive` decides it
    layers       what each layer is sent with, by layer, the last one serving all that follow; or
                 what a policy that plans for each picture can choose from; none of an analog codec
    plugin_policy   the policy, if a plug-in registers it
    """

    channel: LinkPart
    snr_db: float
    ebn0_db: float
    modulation: str
    code_rate: float
    cbr: Fraction
    packet_loss: LinkPart
    fading_block: str
    coding: Literal["ldpc", "polar", "ldpc_polar", "none", "ideal"]
    harq: Literal["incremental", "chase"]
    transmissions: int
    damage: Literal["drop", "deliver"]
    fidelity: Literal["exact", "tables"]
    erasure_rate: float
    protection: str
    policy: str
    quantile: float | None
    adaptation: Adaptation | None
    layers: tuple[LayerSetting, ...]
    plugin_policy: LinkPart | None = None

    @property
    def columns(self) -> dict[str, str | float | int]:
        """What the table says of the point, by column. What an analog codec has not is NaN."""
        analog = self.modulation == ANALOG
        loss = self.packet_loss.mean_loss
        return {
            "channel": self.channel.label,
            "snr_db": self.snr_db,
            "ebn0_db": math.nan if analog else self.ebn0_db,
            "modulation": self.modulation,
            "code_rate": math.nan if analog else self.code_rate,
            "coding": self.coding,
            "harq": self.harq,
            "transmissions_allowed": self.transmissions,
            "damage": self.damage,
            "fidelity": self.fidelity,
            "erasure_rate": self.erasure_rate,
            "protection": self.protection,
            "fading_block": self.fading_block,
            "loss_model": self.packet_loss.loss_model,
            "packet_loss": math.nan if loss is None else loss,
            "cbr": float(self.cbr),
        }

    def canonical(self) -> dict[str, Any]:
        """What identifies the point, JSON-able. Eb/N0 is left out: it follows from the rest."""
        return (
            {
                "channel": self.channel.identity,
                "snr_db": self.snr_db,
                "modulation": self.modulation,
                "code_rate": self.code_rate,
                "cbr": str(self.cbr),
                "packet_loss": self.packet_loss.identity,
                "fading_block": self.fading_block,
                "coding": self.coding,
                "harq": self.harq,
                "transmissions": self.transmissions,
                "damage": self.damage,
                "fidelity": self.fidelity,
                "erasure_rate": self.erasure_rate,
                "protection": self.protection,
                "policy": self.policy,
                "quantile": self.quantile,
                "adaptation": asdict(self.adaptation) if self.adaptation else None,
                "layers": [asdict(layer) for layer in self.layers],
            }
            | ({"tables_version": TABLES_VERSION} if self.rests_on_tables else {})
            | ({"plugin_policy": self.plugin_policy.identity} if self.plugin_policy else {})
        )

    @property
    def chooses(self) -> bool:
        """Whether its policy chooses for each picture what layers are sent with."""
        return self.policy in PLANNED or self.plugin_policy is not None

    @property
    def rests_on_tables(self) -> bool:
        """Whether block error tables decide what is sent, or what arrives."""
        return self.fidelity == "tables" or self.policy in PLANNED


@dataclass(frozen=True, slots=True)
class Trial:
    """One image through one codec and one link point, once.

    `trial_id` is 16 hex characters. The indices count from 0 in the scenario's codecs and in the
    plan's list of images; `repetition` from 0.
    """

    trial_id: str
    codec_index: int
    codec_name: str
    image_index: int
    image_name: str
    link: LinkPoint
    repetition: int


ANALOG = "analog"
"""The modulation and the protection, in results, of a codec that sends symbols instead of bits."""


def analog_point(point: LinkPoint) -> LinkPoint:
    """The point as an analog codec meets it: all that concerns bits and packets' CRCs is gone."""
    return replace(
        point,
        ebn0_db=point.snr_db,
        modulation=ANALOG,
        code_rate=1.0,
        coding="none",
        harq="incremental",
        transmissions=1,
        damage="drop",
        fidelity="exact",
        erasure_rate=1.0,
        protection=ANALOG,
        policy="equal",
        quantile=None,
        adaptation=None,
        layers=(),
        plugin_policy=None,
    )


def bits_per_use_db(code_rate: float, modulation: str) -> float:
    """10 log10(R log2 M): Es/N0 minus Eb/N0, in dB. KeyError for an unknown modulation.

    With an ideal code 10 log10(R), R in bits per complex symbol.
    """
    bits = 1 if modulation == GAUSSIAN else MODULATION_BITS[modulation]
    return 10 * math.log10(code_rate * bits)


def capacity_bits_per_use(snr_db: float) -> float:
    """log2(1 + Es/N0), the capacity of white noise per complex channel use.

    To 10 digits, so that the last one of a logarithm never decides a trial's identity.
    """
    capacity = math.log1p(10 ** (snr_db / 10)) / math.log(2)
    return float(f"{capacity:.10g}")


def budget_channel_uses(cbr: Fraction | float | str, height: int, width: int) -> int:
    """floor(cbr * 3 * height * width) complex channel uses, in exact arithmetic.

    A float is taken for the nearest fraction with a denominator <= 10**6: 1/3 of a 32 x 32 image
    is 1024 uses, never 1023. ValueError for text that is not a fraction.
    """
    return math.floor(as_fraction(cbr) * 3 * height * width)


def expand_links(scenario: Scenario, codec: str | None = None) -> list[LinkPoint]:
    """The link points of the scenario, each once, in the order of the YAML's sweeps and values.

    codec: only those of the codec of this name.

    Within a grid the SNR varies fastest, then in the order of the schema: protection,
    erasure_rate, fidelity, damage, transmissions, harq, fading_block, packet_loss, cbr, coding,
    mcs_table, mcs, code_rate, modulation and, slowest, channel.
    """
    grids = scenario.link_grids(codec)
    return list(dict.fromkeys(point for grid in grids for point in _grid_points(grid)))


@dataclass(frozen=True)
class Point:
    """One codec over one link point: its trials are those of images and repetitions.

    `around`: what is hashed for a trial's id, without image and repetition, which stand between
    the three parts.
    """

    codec_index: int
    codec_name: str
    link: LinkPoint
    around: tuple[str, str, str]

    def trial_id(self, image_name: str, image_sha256: str, repetition: int) -> str:
        """See Trial."""
        image = _image_text(image_name, image_sha256)
        first, second, third = self.around
        text = f"{first}{image}{second}{repetition}{third}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def trial(self, image_index: int, image_name: str, image_sha256: str, repetition: int) -> Trial:
        """The trial of one image and one repetition."""
        return Trial(
            self.trial_id(image_name, image_sha256, repetition),
            self.codec_index, self.codec_name, image_index, image_name, self.link, repetition,
        )  # fmt: skip


@lru_cache(maxsize=1 << 16)
def _image_text(name: str, sha256: str) -> str:
    return canonical_json({"name": name, "sha256": sha256})


_IMAGE, _REPETITION = "\0image", "\0repetition"
"""Stand-ins that no text of a scenario contains, all of it being printable."""


def expand_points(scenario: Scenario, codec_fingerprints: Mapping[str, str]) -> list[Point]:
    """Codec by codec, link by link.

    `codec_fingerprints`: by the codec's name, what beside the scenario determines its output, such
    as the hash of its weights and its version. KeyError if one is missing.
    """
    points = []
    packets = scenario.packets.model_dump(mode="json")
    for codec_index, codec in enumerate(scenario.codecs):
        identity = {
            "id_version": ID_VERSION,
            "seed": scenario.seed,
            "packets": packets,
            "codec": codec.model_dump(mode="json"),
            "codec_fingerprint": codec_fingerprints[codec.name],
            "image": _IMAGE,
            "repetition": _REPETITION,
        }
        if scenario.metrics:
            # A row holds them. Their order is the table's alone.
            identity["metrics"] = sorted(metric.identity for metric in scenario.metrics)
        links = expand_links(scenario, codec.name)
        met = dict.fromkeys(map(analog_point, links)) if codec.analog else links
        for link in met:
            text = canonical_json(identity | {"link": link.canonical()})
            first, rest = text.split(canonical_json(_IMAGE))
            second, third = rest.split(canonical_json(_REPETITION))
            points.append(Point(codec_index, codec.name, link, (first, second, third)))
    return points


def _grid_points(grid: Link) -> Iterator[LinkPoint]:
    media = itertools.product(
        grid.channel, grid.schemes(), grid.coding, grid.cbr, grid.packet_loss, grid.fading_block
    )
    for channel, (modulation, rate, mcs_table), coding, cbr, packet_loss, fading_block in media:
        ways = itertools.product(
            grid.harq, grid.transmissions, grid.damage, grid.fidelity, grid.erasure_rate,
            grid.protection, grid.snr_db or grid.ebn0_db,
        )  # fmt: skip
        for harq, transmissions, damage, fidelity, erasure_rate, protection, given_db in ways:
            code_rate = _code_rate(coding, rate, given_db)
            gain_db = bits_per_use_db(code_rate, modulation)
            snr_db = given_db if grid.snr_db else rounded_db(given_db + gain_db)
            own = LayerSetting(modulation, code_rate, transmissions, float(erasure_rate))
            layers = protection.settings(own, partial(mcs_scheme, mcs_table))
            if coding == "none":
                layers = tuple(replace(layer, code_rate=1.0) for layer in layers)
            yield LinkPoint(
                channel=channel,
                snr_db=snr_db,
                ebn0_db=rounded_db(snr_db - gain_db),
                modulation=modulation,
                code_rate=code_rate,
                cbr=cbr,
                packet_loss=packet_loss,
                fading_block=fading_block,
                coding=coding,
                harq=harq,
                transmissions=transmissions,
                damage=damage,
                # Of an ideal code there is one tier.
                fidelity="exact" if coding == "ideal" else fidelity,
                erasure_rate=float(erasure_rate),
                protection=protection.name,
                policy=protection.policy,
                quantile=protection.quantile,
                adaptation=protection.adaptation,
                layers=layers,
                plugin_policy=protection.part,
            )


def _code_rate(coding: str, rate: SpectralEfficiency, snr_db: float) -> float:
    """As it is applied: without coding there is none."""
    if coding == "none":
        return 1.0
    return capacity_bits_per_use(snr_db) if rate == CAPACITY else float(rate)
