"""Scenarios: valid ones, which load and mean the same however they are written, and broken ones,
which are refused with the line."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from testbed.errors import ScenarioError, TestbedError
from testbed.fuzz.damage import damaged
from testbed.fuzz.target import Cases, Random, one_by_one, probably, whole
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import load_scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"

Maker = Callable[[Random], Any]


def _shipped() -> list[tuple[Path, bytes]]:
    files = [(path, path.read_bytes()) for path in sorted(SCENARIOS.rglob("*.yaml"))]
    if not files:
        raise TestbedError(f"{SCENARIOS}: expected the scenarios of the source tree, found none")
    return files


# ------------------------------------------------------------------------------------ valid ones


def _one_of(*values: Any) -> Maker:
    return lambda random: values[whole(random, 0, len(values) - 1)]


def _number(low: float, high: float) -> Maker:
    return lambda random: round(float(random.uniform(low, high)), whole(random, 1, 6))


def _whole(low: int, high: int) -> Maker:
    return lambda random: whole(random, low, high)


def _some_of(maker: Maker, kind: Callable[[Any], str] = json.dumps) -> Maker:
    """One value, or a list of several of different kinds."""

    def make(random: Random) -> Any:
        found: list[Any] = []
        for _ in range(whole(random, 1, 3)):
            value = maker(random)
            if all(kind(value) != kind(each) for each in found):
                found.append(value)
        return found[0] if len(found) == 1 and probably(random, 0.5) else found

    return make


def _type(part: Any) -> str:
    """Of a channel or loss model; defaults that are written out make two of them the same."""
    if isinstance(part, float):
        return "iid"
    return str(part["type"]) if isinstance(part, dict) else str(part)


def _mapping(always: dict[str, Maker], perhaps: dict[str, Maker]) -> Maker:
    """A mapping with all of `always` and some of `perhaps`, in any order."""

    def make(random: Random) -> dict[str, Any]:
        chosen = dict(always)
        chosen.update({key: maker for key, maker in perhaps.items() if probably(random, 0.4)})
        keys = [list(chosen)[i] for i in random.permutation(len(chosen))]
        return {key: chosen[key](random) for key in keys}

    return make


_FADING = {
    "doppler": _number(0.0001, 0.4),
    "shadowing_db": _number(0, 12),
    "antennas": _one_of("1x1", "1x2"),
}
_CHANNEL: tuple[Maker, ...] = (
    _one_of("awgn", "rayleigh_block", "rayleigh"),
    _mapping({"type": _one_of("rician"), "k_db": _number(-20, 20)}, _FADING),
    _mapping({"type": _one_of("nakagami"), "m": _number(0.5, 20)}, _FADING),
    _mapping({"type": _one_of("impaired")}, {"cfo": _number(0, 0.001)}),
    _mapping(
        {"type": _one_of("ofdm")},
        {"model": _one_of("TDL-A", "TDL-B", "TDL-C"), "speed_m_s": _number(0, 20)},
    ),
)
_LOSS: tuple[Maker, ...] = (
    _number(0, 0.9),
    _mapping({"type": _one_of("iid"), "probability": _number(0.01, 0.9)}, {}),
    _mapping(
        {"type": _one_of("gilbert_elliott"), "mean_loss": _number(0.01, 0.4)},
        {"mean_burst": _number(2, 9)},
    ),
)
_CODEC: tuple[Maker, ...] = (
    _mapping({"type": _one_of("semantic")}, {"layers": _whole(1, 9)}),
    _mapping(
        {"type": _one_of("semantic"), "profile": _one_of("embedded")},
        {"slice_side": _one_of(32, 64), "reversible": _one_of(True, False)},
    ),
    _mapping(
        {"type": _one_of("semantic"), "profile": _one_of("embedded"), "fit": _one_of(1, 2)}, {}
    ),
    _mapping(
        {"type": _one_of("jpeg")},
        {"headers": _one_of("file", "payload"), "on_loss": _one_of("drop", "conceal")},
    ),
    _mapping({"type": _one_of("jpeg2000")}, {"resolutions": _whole(1, 6)}),
    _mapping({"type": _one_of("webp")}, {"lossless": _one_of(True, False)}),
)
_RATE = _one_of("1/3", 0.5, "2/3", 0.75, "5/6", 0.333)
_GRID = {
    "cbr": _some_of(_one_of("1/12", "1/6", 0.25, "1/3", 1, 0.1)),
    "packet_loss": _some_of(lambda random: _LOSS[whole(random, 0, len(_LOSS) - 1)](random), _type),
    "fading_block": _some_of(_one_of("packet", "image")),
    "harq": _some_of(_one_of("incremental", "chase")),
    "erasure_rate": _some_of(_one_of(1, 0.5, "4/5", "1/256")),
    "transmissions": _some_of(_whole(1, 32)),
    "channel": _some_of(
        lambda random: _CHANNEL[whole(random, 0, len(_CHANNEL) - 1)](random), _type
    ),
}
_SCHEMES: tuple[dict[str, Maker], ...] = (
    {},
    {"modulation": _some_of(_one_of("bpsk", "qpsk", "16qam", "64qam", "256qam"))},
    {"modulation": _some_of(_one_of("qpsk", "1024qam")), "code_rate": _some_of(_RATE)},
    {"mcs": _some_of(_whole(0, 27)), "mcs_table": _one_of(1, 2)},
)
_SNRS = ("snr_db", "ebn0_db")


def _link(random: Random, *, sweeps: bool) -> dict[str, Any]:
    scheme = _SCHEMES[whole(random, 0, len(_SCHEMES) - 1)]
    snr = {_SNRS[whole(random, 0, 1)]: _some_of(_number(-100, 100))}
    made: dict[str, Any] = _mapping({**scheme, **({} if sweeps else snr)}, _GRID)(random)
    return made


def _valid(random: Random) -> dict[str, Any]:
    """A scenario, by construction."""
    codecs = []
    for number in range(whole(random, 1, 4)):
        codec = _CODEC[whole(random, 0, len(_CODEC) - 1)](random)
        codecs.append({**codec, "name": f"c{number}"})
    sweeps = probably(random, 0.3)
    scenario: dict[str, Any] = _mapping(
        {
            "images": _one_of("samples32", {"source": "samples_large", "limit": 2}, ["samples32"]),
            "codecs": lambda _: codecs if len(codecs) > 1 else codecs[0],
            "link": lambda random: _link(random, sweeps=sweeps),
        },
        {
            "name": _one_of("a", "x_1-2", "9"),
            "description": _one_of("text", "ünï: # 'quoted'", ""),
            "seed": _one_of(0, 1, 2**63 - 1),
            "repetitions": _whole(1, 1_000_000),
            "packets": _mapping({"max_bytes": _whole(8, 8192)}, {}),
            "metrics": _one_of("ms_ssim", ["psnr_y_db", "ms_ssim"]),
            "figures": _one_of({"strip": {"image": 0}}, {}),
        },
    )(random)
    if sweeps:
        snr = _SNRS[whole(random, 0, 1)]
        few = {key: _GRID[key] for key in ("cbr", "harq", "fading_block")}
        scenario["sweeps"] = [
            _mapping({snr: _some_of(_number(-100, 100))}, few)(random)
            for _ in range(whole(random, 1, 3))
        ]
    return scenario


def prepare_scenarios(folder: Path) -> Cases:
    """Cases of valid scenarios: each loads, and so does what it says, to the same hash."""
    path = folder / "valid.yaml"

    def loaded(data: dict[str, Any], style: bool | None, *, sort: bool) -> Scenario:
        text = yaml.safe_dump(data, allow_unicode=True, default_flow_style=style, sort_keys=sort)
        path.write_text(text)
        return load_scenario(path)

    def case(random: Random) -> None:
        data = _valid(random)
        scenario = loaded(data, None, sort=False)
        assert loaded(data, True, sort=True).scenario_hash == scenario.scenario_hash
        again = loaded(_said(scenario.canonical(), data), False, sort=True)
        assert again.scenario_hash == scenario.scenario_hash
        assert scenario.link_grids()

    return one_by_one(case)


_LABELLED = ("channel", "packet_loss", "metrics")


def _said(canonical: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """The canonical form as a scenario: without what it does not give.

    It names channels, loss models and metrics by labels, which are no YAML: these are as written.
    """

    def given(values: dict[str, Any], written: dict[str, Any]) -> dict[str, Any]:
        kept = {k: v for k, v in values.items() if v not in ([], None) and k not in _LABELLED}
        return kept | {key: written[key] for key in _LABELLED if key in written}

    said = given(canonical, data)
    said["link"] = given(canonical["link"], data["link"])
    if canonical.get("sweeps"):
        pairs = zip(canonical["sweeps"], data["sweeps"], strict=True)
        said["sweeps"] = [given(each, written) for each, written in pairs]
    if said.get("figures") == {"strip": None}:
        del said["figures"]
    return said


# ----------------------------------------------------------------------------------- broken ones

_STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 0.5, 1e30, 10**30, float("inf"), float("nan"), "", "x", "1/0", "1/3",
    "é\u2028", [], {}, [[]], [1, "a", None], {"type": "awgn"}, {"type": None}, "../../etc",
    "capacity", "\0", {"": 1}, [{}], ["a", "a"], "base.yaml", ".", "2024-01-01",
)  # fmt: skip


def prepare_broken(folder: Path) -> Cases:
    """Cases of scenarios that ship, with keys and values changed, and of bytes changed."""
    documents = [(path, yaml.safe_load(raw), raw) for path, raw in _shipped()]
    raws = [raw for _, _, raw in documents]

    def case(random: Random) -> None:
        path, data, raw = documents[whole(random, 0, len(documents) - 1)]
        if probably(random, 0.3):
            content = damaged(raw, random, raws)
        else:
            changed = copy.deepcopy(data)
            for _ in range(whole(random, 1, 3)):
                _change(changed, data, random)
            content = yaml.safe_dump(changed, allow_unicode=True, sort_keys=False).encode()
        # Beside the files that it may name.
        target = folder / path.name
        target.write_bytes(content)
        _load(target, [])

    return one_by_one(case)


def _change(data: Any, original: Any, random: Random) -> None:
    """Somewhere in the data, a key or a value: another name, another value, gone or doubled."""
    node = _any_node(data, random)
    other = _any_node(original, random)
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    if not keys:
        return
    key = keys[whole(random, 0, len(keys) - 1)]
    strange = copy.deepcopy(_STRANGE[whole(random, 0, len(_STRANGE) - 1)])
    match whole(random, 0, 5):
        case 0:
            node[key] = strange
        case 1:
            del node[key]
        case 2:
            node[key] = copy.deepcopy(other)
        case 3 if isinstance(node, dict):
            node[f"{key}_" if probably(random, 0.5) else str(key)[1:]] = node.pop(key)
        case 4 if isinstance(node[key], int | float):
            node[key] = node[key] * (-1, 1000, 0.001, 1e20)[whole(random, 0, 3)]
        case _:
            node[key] = [node[key], copy.deepcopy(node[key])]


def _any_node(data: Any, random: Random) -> Any:
    """A mapping or a list within the data."""
    while True:
        inner = list(data.values()) if isinstance(data, dict) else list(data)
        inner = [each for each in inner if isinstance(each, dict | list)]
        if not inner or probably(random, 0.3):
            return data
        data = inner[whole(random, 0, len(inner) - 1)]


def prepare_overrides(folder: Path) -> Cases:
    """Cases of `--set`, with keys and values that fit or do not."""
    path = folder / "whole.yaml"
    path.write_bytes((SCENARIOS / "quickstart.yaml").read_bytes())
    plain = (
        "seed link snr_db codecs 0 1 layered cbr name images source sweeps packets max_bytes vary "
        "channel type . [0] [99999999999] - : ' \" {} [] , # & * ! | > % @ ` null true 1e3 1/3 ? "
        "protection layers figures strip é = == << extends 16qam"
    )
    words = (*plain.split(), "", "\n", "\t", "\u2028", "\0")

    def text(random: Random) -> str:
        joint = ("", ".", " ")[whole(random, 0, 2)]
        return joint.join(words[i] for i in random.integers(0, len(words), whole(random, 0, 5)))

    def case(random: Random) -> None:
        overrides = [f"{text(random)}={text(random)}" for _ in range(whole(random, 1, 3))]
        if probably(random, 0.2):
            overrides[0] = text(random)
        _load(path, overrides)

    return one_by_one(case)


def prepare_yaml(folder: Path) -> Cases:
    """Cases for the YAML reader alone: any bytes, and text that looks like YAML."""
    from testbed.language.yaml_source import read_document

    pieces = (
        b"a: 1\n", b"- ", b"{", b"}", b"[", b"]", b"&x ", b"*x", b"<<: ", b"? ", b": ", b"\n",
        b"  ", b"'", b'"', b"|", b">", b"#", b"---\n", b"...\n", b"!!int ", b"%YAML 1.1\n", b"\t",
        b"\xff", b"\xef\xbb\xbf", b"\\U99999999", b"\\ud800", b"1e999", b"0x1F", b"9" * 50,
        b"[" * 60, b"a" * 2000, b"\r", b"\xe2\x80\xa8", b"~", b"null: ", b"\x00", b"a: &a [*a]\n",
    )  # fmt: skip
    path = folder / "any.yaml"

    def case(random: Random) -> None:
        if probably(random, 0.2):
            content = random.bytes(whole(random, 0, 80))
        else:
            chosen = random.integers(0, len(pieces), whole(random, 0, 30))
            content = b"".join(pieces[i] for i in chosen)
        path.write_bytes(content)
        try:
            document = read_document(path)
        except ScenarioError as error:
            _check(error, path)
        else:
            assert isinstance(document.data, dict)

    return one_by_one(case)


def _load(path: Path, overrides: list[str]) -> None:
    try:
        scenario = load_scenario(path, overrides)
    except ScenarioError as error:
        _check(error, path)
    else:
        assert len(scenario.scenario_hash) == 64


def _check(error: ScenarioError, path: Path) -> None:
    """One line for each problem, with the file's line, unless a `--set` or no line is at fault."""
    lines = str(error).split("\n")
    assert len(lines) == len(error.problems) >= 1, str(error)
    for problem in error.problems:
        assert problem.message and problem.message.isprintable(), repr(problem.message)
        if problem.line is not None:
            assert problem.file.endswith(".yaml") and problem.line >= 1
        else:
            assert problem.file.startswith("--set") or str(path) in problem.file
