"""Channels and loss models in a scenario: one YAML key for each field of the registered classes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest

from channels.channel import CHANNELS, Channel, check_range, register_channel
from channels.fading import RayleighBlock
from channels.packet_loss import IidPacketLoss
from testbed.errors import ScenarioError
from testbed.language.link_parts import Kind, LinkPart, make_part, names_of, parameters_of
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import check_document
from testbed.language.yaml_source import parse_document
from testbed.running.trials import expand_links

BASE = "images: samples32\ncodecs: {type: jpeg}\nlink:\n  snr_db: 10\n"


@pytest.fixture(autouse=True)
def leaky_channel() -> Iterator[None]:
    """Registers a channel that has a field of every type."""

    @register_channel("leaky")
    @dataclasses.dataclass(frozen=True)
    class Leaky(Channel):
        leak: float = 0.1
        taps: int = 1
        shape: Literal["round", "square"] = "round"
        warm: bool = False
        at: tuple[int, ...] = (2, 11)
        table: Path | None = None
        fading_block: str = "packet"

        def __post_init__(self) -> None:
            check_range("leak", self.leak, 0.0, 1.0)

        def transmit(self, symbols, no, *_):
            return symbols, np.full(len(symbols), no)

    yield
    del CHANNELS["leaky"]


def scenario_of(link: str) -> Scenario:
    return check_document(parse_document((BASE + f"  {link}\n").encode(), "f.yaml"), Path("here"))


def labels_of(link: str) -> list[str]:
    return [part.label for part in scenario_of(link).link.channel]


def test_names_mappings_and_lists() -> None:
    assert labels_of("channel: leaky") == ["leaky"]
    assert labels_of("channel: {type: leaky}") == ["leaky"]
    assert labels_of("channel: [awgn, {type: leaky, leak: 0.5}]") == ["awgn", "leaky(leak=0.5)"]
    assert labels_of("channel: {type: leaky, taps: 3, leak: 1}") == ["leaky(leak=1, taps=3)"]
    assert labels_of("channel: {type: leaky, shape: square, warm: true}") == [
        "leaky(shape=square, warm=true)"
    ]


def test_a_list_is_swept_and_a_list_of_lists_where_lists_are_values() -> None:
    assert labels_of("channel: {type: leaky, leak: [0, 0.5], taps: [1, 2]}") == [
        "leaky(leak=0)", "leaky(leak=0, taps=2)",
        "leaky(leak=0.5)", "leaky(leak=0.5, taps=2)",
    ]  # fmt: skip
    assert labels_of("channel: {type: leaky, at: [3, 4]}") == ["leaky(at=[3 4])"]
    assert labels_of("channel: {type: leaky, at: [[3], [2, 11]]}") == ["leaky(at=[3])", "leaky"]


def test_what_is_written_out_as_the_default_is_the_default() -> None:
    assert labels_of("channel: {type: leaky, leak: 0.1, taps: 1}") == ["leaky"]
    given, left_out = (
        scenario_of("packet_loss: 0"),
        scenario_of("cbr: 1/3"),
    )
    assert given.link.packet_loss == left_out.link.packet_loss == (LinkPart("iid"),)


def test_parts_become_channels() -> None:
    (point,) = expand_links(scenario_of("channel: {type: leaky, leak: 0.5}\n  fading_block: image"))
    made = make_part("channel", point.channel, fading_block=point.fading_block)
    assert (made.leak, made.fading_block) == (0.5, "image")
    (part,) = scenario_of("channel: {type: leaky, table: a.txt}").link.channel
    assert make_part("channel", part).table is None or part.folder == "here"
    assert make_part("channel", LinkPart("rayleigh_block"), fading_block="image") == RayleighBlock(
        "image"
    )


def test_a_number_is_an_independent_loss() -> None:
    scenario = scenario_of("packet_loss: [0.1, {type: iid, probability: 0.2}]")
    losses = [make_part("packet loss", part) for part in scenario.link.packet_loss]
    assert losses == [IidPacketLoss(0.1), IidPacketLoss(0.2)]
    assert [part.mean_loss for part in scenario.link.packet_loss] == [0.1, 0.2]
    assert [part.loss_model for part in scenario.link.packet_loss] == ["iid", "iid"]


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("channel: leeky", "link.channel: expected one of awgn"),
        ("channel: leeky", "did you mean 'leaky'?"),
        ("channel: {type: leeky}", "link.channel.type: expected one of"),
        ("channel: {leak: 1}", "the key 'type' is missing: expected one of"),
        ("channel: 3", "expected one of awgn"),
        ("channel: [awgn, [awgn]]", "link.channel[1]: expected one of"),
        ("channel: []", "expected at least one value, found an empty list"),
        ("channel: {type: leaky, lek: 1}", "link.channel.lek: unknown key: did you mean 'leak'?"),
        ("channel: {type: awgn, lek: 1}", "unknown key: awgn has no parameters"),
        ("channel: {type: leaky, leak: 1e-3}", "expected a number, found the text '1e-3': write 1"),
        ("channel: {type: leaky, leak: [0.1, 2]}", "leak: expected 0.0 .. 1.0, found 2.0"),
        ("channel: {type: leaky, taps: 1.5}", "taps: expected a whole number, found 1.5"),
        ("channel: {type: leaky, warm: 1}", "warm: expected true or false, found 1"),
        ("channel: {type: leaky, shape: oval}", "shape: expected one of round, square"),
        ("channel: {type: leaky, at: 3}", "at: expected a list, found 3"),
        ("channel: {type: leaky, at: [x]}", "expected a whole number, found the text 'x'"),
        ("channel: {type: leaky, leak: []}", "expected at least one value, found an empty list"),
        ("channel: {type: leaky, fading_block: image}", "fading_block is a key of the link"),
        ("channel: [leaky, {type: leaky, leak: 0.1}]", "leaky is in the list twice, as items 0"),
        ("packet_loss: -0.1", "packet_loss: expected 0.0 .. 1.0, found -0.1"),
        ("packet_loss: 5%", "write 5 without the unit"),
    ],
)  # fmt: skip
def test_mistakes(link: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario_of(link)
    assert str(caught.value).startswith("f.yaml:5:")
    assert message in str(caught.value)


def test_lists_that_multiply_beyond_measure_are_refused() -> None:
    many = list(range(2, 302))
    loss = {"type": "gilbert_elliott", "mean_loss": [k / 1000 for k in many], "mean_burst": many}
    with pytest.raises(ScenarioError, match="expected at most 10000 in all, found more"):
        scenario_of(f"packet_loss: {loss}")


def test_the_schema_offers_every_parameter() -> None:
    schema = Scenario.model_json_schema()
    assert json.loads(json.dumps(schema)) == schema
    text = str(schema)
    for kind in get_args(Kind):
        for name in names_of(kind):
            assert f"'const': '{name}'" in text
            assert all(f"'{key}'" in text for key in parameters_of(kind, name))
