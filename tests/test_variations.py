"""What `vary` makes of a scenario, and that errors name the place in it that caused them."""

import itertools
import json
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.errors import ScenarioError
from testbed.language.overlay import Overlay
from testbed.language.scenario import Scenario, canonical_json
from testbed.language.scenario_loading import check_document, load_scenario
from testbed.language.variations import MAX_VARIANTS, combinations
from testbed.language.yaml_source import parse_document, parse_override
from testbed.running.plan import plan

SCENARIOS = Path(__file__).parent.parent / "scenarios"
BASE = """\
images: {source: samples32, limit: 2}
codecs:
  - {type: semantic, name: layered}
  - {type: jpeg}
link:
  snr_db: 10
  code_rate: 1/2
"""


def scenario_of(vary: str, overrides: list[str] | None = None, base: str = BASE) -> Scenario:
    document = parse_document((base + textwrap.dedent(vary)).encode(), "f.yaml")
    overlay = Overlay(document)
    for override in overrides or []:
        overlay.set(parse_override(override))
    return check_document(document, Path())


def problems_of(vary: str, overrides: list[str] | None = None) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        scenario_of(vary, overrides)
    return str(caught.value).splitlines()


def problem_of(vary: str, overrides: list[str] | None = None) -> str:
    (line,) = problems_of(vary, overrides)
    return line


def cases_of(scenario: Scenario) -> list[str]:
    return [variant.case for variant in scenario.variants]


# --- What varies ----------------------------------------------------------------------------


def test_a_dotted_key_of_vary_is_set_as_it_is_written() -> None:
    vary = "vary: {grid: {packets.max_bytes: [64, 128]}, cases: {one: {link.cbr: 1/3}}}\n"
    sets = ["vary.grid.packets.max_bytes=[32]", "vary.cases.one.link.cbr=1/2"]
    scenario = scenario_of(vary, sets)
    assert cases_of(scenario) == ["one, packets.max_bytes=32"]
    assert scenario.packets.max_bytes == 32
    assert [str(each) for each in scenario.link.cbr] == ["1/2"]


def test_many_cases_with_keys_of_their_own_are_checked_at_once() -> None:
    cases = (
        f"    c{i}: {{{', '.join(f'no.k{i}_{j}: 1' for j in range(9))}}}\n" for i in range(800)
    )
    text = "vary:\n  cases:\n" + "".join(cases)
    document = parse_document((BASE + text).encode(), "f.yaml")
    start = time.process_time()
    assert len(combinations(document)) == 800
    assert time.process_time() - start < 5


@pytest.mark.parametrize("vary", ["", "vary: null\n"])
def test_without_vary_there_is_one_variant(vary: str) -> None:
    scenario = scenario_of(vary)
    (variant,) = scenario.variants
    assert variant.case == ""
    assert variant.scenario is scenario
    assert "vary" not in scenario.canonical()


def test_a_grid_is_a_product_in_order() -> None:
    scenario = scenario_of("vary: {grid: {packets.max_bytes: [64, 256], link.cbr: [1/6, 1/3]}}\n")
    assert cases_of(scenario) == [
        "packets.max_bytes=64, link.cbr=1/6",
        "packets.max_bytes=64, link.cbr=1/3",
        "packets.max_bytes=256, link.cbr=1/6",
        "packets.max_bytes=256, link.cbr=1/3",
    ]
    assert [
        (each.scenario.packets.max_bytes, str(each.scenario.link.cbr[0]))
        for each in scenario.variants
    ] == [(64, "1/6"), (64, "1/3"), (256, "1/6"), (256, "1/3")]


def test_a_zip_goes_in_step() -> None:
    scenario = scenario_of("vary: {zip: {link.snr_db: [0, 5], link: {cbr: [1/6, 1/3]}}}\n")
    assert cases_of(scenario) == ["link.snr_db=0, link.cbr=1/6", "link.snr_db=5, link.cbr=1/3"]


def test_cases_zips_and_grids_multiply() -> None:
    scenario = scenario_of("""\
        vary:
          grid: {codecs.layered.layers: [1, 9]}
          zip: {link.snr_db: [0, 5], link.cbr: [1/6, 1/3]}
          cases:
            short: {packets.max_bytes: 64}
            long: {packets.max_bytes: 512, link: {code_rate: 2/3}}
            as_it_is:
        """)
    names = ("short", "long", "as_it_is")
    steps = ("link.snr_db=0, link.cbr=1/6", "link.snr_db=5, link.cbr=1/3")
    layers = ("codecs.layered.layers=1", "codecs.layered.layers=9")
    assert cases_of(scenario) == [
        ", ".join(each) for each in itertools.product(names, steps, layers)
    ]
    long = scenario.variants[5].scenario
    assert long.packets.max_bytes == 512
    assert str(long.link.code_rate[0]) == "2/3"
    assert long.codecs[0].model_dump()["layers"] == 9
    assert scenario.variants[-1].scenario.packets.max_bytes == 256


def test_labels_say_lists_and_mappings_in_words() -> None:
    scenario = scenario_of("""\
        vary:
          grid:
            link.snr_db: [[0, 2.5], 7]
            link.channel: [awgn, {type: rician, k_db: 3}]
            codecs.1.headers: [file]
            codecs.layered.layers: [null, 2]
        """)
    assert cases_of(scenario)[0] == (
        "link.snr_db=[0 2.5], link.channel=awgn, codecs.1.headers=file, codecs.layered.layers=null"
    )
    assert "link.channel=rician(k_db=3)" in cases_of(scenario)[2]


def test_rivals_of_what_is_varied_go() -> None:
    scenario = scenario_of("vary: {grid: {link.mcs: [3, 7], link.ebn0_db: [1]}}\n")
    link = scenario.variants[1].scenario.link
    assert (link.mcs, link.code_rate, link.snr_db, link.ebn0_db) == ((7,), (), (), (1.0,))


def test_a_case_may_replace_a_channel_or_change_it() -> None:
    base = BASE + "  channel: {type: rician, k_db: 9, doppler: 0.002}\n"
    scenario = scenario_of(
        """\
        vary:
          cases:
            changed: {link.channel: {k_db: 3}}
            replaced: {link: {channel: {type: rayleigh}}}
        """,
        base=base,
    )
    assert [each.scenario.link.channel[0].label for each in scenario.variants] == [
        "rician(doppler=0.002, k_db=3)",
        "rayleigh",
    ]


def test_a_single_codec_is_found_by_its_name() -> None:
    base = BASE.replace("\n  - {type: semantic, name: layered}\n  - {type: jpeg}", " {type: jpeg}")
    scenario = scenario_of("vary: {grid: {codecs.jpeg.headers: [file, abbreviated]}}\n", base=base)
    assert [each.scenario.codecs[0].model_dump()["headers"] for each in scenario.variants] == [
        "file",
        "abbreviated",
    ]


VALUES = {
    "packets.max_bytes": st.integers(8, 8192),
    "seed": st.integers(0, 2**40),
    "repetitions": st.integers(1, 1000),
    "link.snr_db": st.integers(-20, 30),
    "codecs.layered.layers": st.integers(1, 9),
    "link.cbr": st.sampled_from(["1/12", "1/6", "1/3", 1]),
}
GRIDS = st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4, unique=True).flatmap(
    lambda keys: st.fixed_dictionaries(
        {key: st.lists(VALUES[key], min_size=1, max_size=3, unique=True) for key in keys}
    )
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(GRIDS)
def test_a_grids_variants_are_what_sets_would_give(grid: dict[str, list[Any]]) -> None:
    vary = "vary: " + yaml.safe_dump({"grid": grid}, sort_keys=False, default_flow_style=True)
    scenario = scenario_of(vary, base=BASE)
    product = list(itertools.product(*grid.values()))
    assert len(scenario.variants) == len(product)
    for variant, values in zip(scenario.variants, product, strict=True):
        sets = [f"{key}={value}" for key, value in zip(grid, values, strict=True)]
        assert variant.scenario.canonical() == scenario_of("", sets).canonical()
        assert variant.case == ", ".join(sets)


def test_every_variant_is_planned() -> None:
    scenario = scenario_of("vary: {grid: {packets.max_bytes: [64, 256], repetitions: [1, 3]}}\n")
    planned = plan(scenario)
    assert [variant.case for variant in planned.variants] == cases_of(scenario)
    # Two codecs, two pictures.
    assert len(planned.trials) == 2 * 2 * (1 + 3 + 1 + 3)


def test_vary_may_be_set_and_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(BASE + "vary: {grid: {seed: [1, 2]}}\n")
    varied = load_scenario(path, ["vary.grid.packets.max_bytes=[64, 128]"])
    assert len(varied.variants) == 4
    assert cases_of(load_scenario(path, ["vary=null"])) == [""]


def test_vary_is_inherited(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE + "vary: {grid: {seed: [1, 2]}}\n")
    path = tmp_path / "f.yaml"
    path.write_text("extends: base.yaml\nvary: {grid: {link.snr_db: [3, 4, 5]}}\n")
    assert len(load_scenario(path).variants) == 6


# --- The hash -------------------------------------------------------------------------------


def test_the_hash_knows_what_is_varied() -> None:
    varied = scenario_of("vary: {grid: {seed: [1, 2]}}\n")
    canonical = json.loads(canonical_json(varied.canonical()))
    assert canonical["vary"] == {"seed=1": {}, "seed=2": {"seed": 2}}
    other = scenario_of("vary: {grid: {seed: [1, 3]}}\n")
    hashes = {each.scenario_hash for each in (varied, other, scenario_of(""))}
    assert len(hashes) == 3
    # A variant is the scenario that says the same without `vary`.
    assert varied.variants[1].scenario.scenario_hash == scenario_of("seed: 2\n").scenario_hash


# --- Errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vary", "place", "message"),
    [
        ("vary: 3", "8:1", "vary: expected a mapping with grid, zip or cases, found 3"),
        ("vary: {}", "8:1", "vary: expected a mapping with grid, zip or cases, found an empty one"),
        ("vary: {gird: {seed: [1]}}", "8:8", "vary.gird: unknown key: did you mean 'grid'?"),
        ("vary: {seed: [1]}", "8:8", "vary.seed: unknown key: write vary: {grid: {seed: [..]}}"),
        ("vary: {zzz: [1]}", "8:8", "vary.zzz: unknown key: use one of cases, zip, grid"),
        ("vary: {link.cbr: [1]}", "8:8", "unknown key: write vary: {grid: {link.cbr: [..]}}"),
        ("vary: {grid: []}", "8:8", "vary.grid: expected a mapping of keys and lists of values"),
        (
            "vary: {grid: {seed: 3}}",
            "8:15",
            "vary.grid.seed: expected a list of values, found 3: w",
        ),
        (
            "vary: {grid: {seed: []}}",
            "8:15",
            "vary.grid.seed: expected a list of values, found an ",
        ),
        ("vary: {grid: {a..b: [1]}}", "8:15", "expected a key such as link.snr_db, found the text"),
        (
            "vary: {grid: {name: [a]}}",
            "8:15",
            "name is the same for all variants and cannot be var",
        ),
        ("vary: {grid: {vary.grid: [1]}}", "8:15", "vary is the same for all variants"),
        ("vary: {cases: {a: {comparison: {}}}}", "8:20", "comparison is the same for all variants"),
        ("vary: {zip: {figures: {strip: [1]}}}", "8:14", "figures is the same for all variants"),
        ("vary: {grid: {extends: [a]}}", "8:15", "extends is the same for all variants"),
        ("vary: {grid: {plugins: [a]}}", "8:15", "plugins is the same for all variants"),
        ("vary: {cases: [1]}", "8:8", "vary.cases: expected a mapping of names, found a list"),
        ("vary: {cases: {Ab: {}}}", "8:16", "vary.cases: expected a name of a-z, 0-9, '_' and '-'"),
        ("vary: {cases: {a: 3}}", "8:16", "vary.cases.a: expected a mapping of what the case sets"),
        (
            "vary: {zip: {seed: [1, 2], link.snr_db: [1, 2, 3]}}",
            "8:8",
            "vary.zip: expected lists of one length: seed has 2, link.snr_db has 3",
        ),
        (
            "vary: {grid: {seed: [1, 2], repetitions: [1, 1]}}",
            "8:1",
            "two variants are called 'seed=1, repetitions=1': take a value out that is there twice",
        ),
        (
            "vary: {grid: {link.cbr: [1/3, 2/6]}}",
            "8:1",
            "the variants 'link.cbr=1/3' and 'link.cbr=2/6' are the same scenario",
        ),
        (
            "vary: {cases: {a: {seed: 2}, b: {seed: 2}}}",
            "8:1",
            "the variants 'a' and 'b' are the same scenario: take one of them out",
        ),
        (
            "vary: {grid: {codecs.0.layers: [1], codecs.layered: {layers: [2]}}}",
            "8:63",
            "codecs[0].layers is set twice, by vary.grid.'codecs.0.layers'[0] and by ",
        ),
        (
            "vary: {cases: {a: {link: {cbr: 1}}}, zip: {link.cbr: [1/2]}}",
            "8:55",
            "link.cbr is set twice, by vary.cases.a.link and by vary.zip.'link.cbr'[0]: keep one",
        ),
        (
            "vary: {cases: {a: {link.cbr: 1, link: {cbr: 1}}}}",
            "8:33",
            "link.cbr is set twice, by vary.cases.a.'link.cbr' and by vary.cases.a.link: keep one",
        ),
        ("vary: {grid: {codecs.layred.layers: [1]}}", "8:38", "did you mean 'layered'?"),
        (
            "vary: {grid: {codecs.zzz.layers: [1]}}",
            "8:35",
            "use a number, or one of 'layered', 'jpe",
        ),
        ("vary: {grid: {seed.x: [1]}}", "8:24", "seed: expected a whole number"),
        (
            "vary: {grid: {pakets.max_bytes: [9]}}",
            "8:34",
            "pakets: unknown key: did you mean 'packe",
        ),
    ],
)
def test_what_is_wrong_with_vary(vary: str, place: str, message: str) -> None:
    found = problem_of(vary + "\n")
    assert found.startswith(f"f.yaml:{place}: "), found
    assert message in found


def test_a_value_that_is_refused_is_shown_where_it_stands() -> None:
    lines = problems_of("""\
        vary:
          grid:
            packets.max_bytes: [64, 4]
            codecs.layered.layers:
              - 10
              - 9
        """)
    assert [line.split(": ")[:2] for line in lines] == [
        ["f.yaml:10:29", "packets.max_bytes"],
        ["f.yaml:12:9", "codecs[0].layers"],
    ]
    assert lines[0].endswith("found 4 (variant packets.max_bytes=4, codecs.layered.layers=10)")


def test_a_combination_that_is_refused_names_the_choice_that_caused_it() -> None:
    # Without coding nothing is combined; the error is found at `link`, its cause is the choice.
    found = problem_of("""\
        vary:
          grid: {seed: [1, 2], link.coding: [ldpc, none]}
          cases: {once: {}, twice: {link.transmissions: 2}}
        """)
    assert found.startswith("f.yaml:9:44: link.coding: expected transmissions: 1 without coding")
    assert "(variant twice, seed=1, link.coding=none)" in found


def test_what_is_wrong_in_all_variants_is_said_once() -> None:
    document = BASE.replace("limit: 2", "limit: 0") + "vary: {grid: {seed: [1, 2, 3]}}\n"
    with pytest.raises(ScenarioError) as caught:
        check_document(parse_document(document.encode(), "f.yaml"), Path())
    assert str(caught.value).startswith("f.yaml:1:29: images.limit: expected a whole number, 1 or")
    assert len(caught.value.problems) == 1
    assert "variant" not in str(caught.value)


def test_too_many() -> None:
    values = list(range(1, 33))
    vary = f"vary: {{grid: {{seed: {values}, repetitions: {values}}}}}\n"
    assert f"at most {MAX_VARIANTS} variants, found 32 x 32: 1024" in problem_of(vary)
    snrs = [n / 100 for n in range(2000)]
    vary = (
        f"vary: {{cases: {{many: {{link.snr_db: {snrs}}}}}, grid: {{seed: {list(range(60))}}}}}\n"
    )
    assert "at most 100000 link points in all variants, found 120000" in problem_of(vary)


def test_a_label_that_is_too_long_asks_for_cases() -> None:
    found = problem_of(f"vary: {{grid: {{link.snr_db: [{list(range(100))}]}}}}\n")
    assert "characters, expected at most 200: use cases, which have names" in found


@pytest.mark.parametrize(
    "override", ["packets.max_bytes=9", "packets={max_bytes: 9}", "link.ebn0_db=3", "link.snr_db=3"]
)
def test_a_set_of_what_is_varied_is_refused(override: str) -> None:
    vary = "vary: {zip: {packets.max_bytes: [64, 128], link.snr_db: [1, 2]}}\n"
    found = problem_of(vary, [override])
    assert found.startswith(f"--set {override}: ")
    assert "is varied (f.yaml:8): set it there, such as vary.grid." in found


def test_later_problems_name_the_variant() -> None:
    scenario = scenario_of("vary: {grid: {link.channel: [awgn, rayleigh]}}\n")
    second = scenario.variants[1].scenario
    error = second.problem(("link", "channel"), "not there")
    assert str(error) == "f.yaml:8:36: link.channel: not there (variant link.channel=rayleigh)"
    assert str(scenario.problem(("link", "snr_db"), "no")) == "f.yaml:6:3: link.snr_db: no"


@pytest.mark.parametrize("file", sorted(SCENARIOS.glob("**/*.yaml")), ids=lambda file: file.stem)
def test_shipped_scenarios_load_with_their_variants(file: Path) -> None:
    scenario = load_scenario(file)
    assert len({variant.case for variant in scenario.variants}) == len(scenario.variants)


KEYS = st.sampled_from(
    ["seed", "link", "link.snr_db", "link.mcs", "codecs", "codecs.0", "codecs.jpeg.name", "images",
     "images.0.limit", "codecs[5].x", "codecs[0].layers[1]", "a[0]", "", ".", "link..x", "grid",
     "packets.max_bytes", "sweeps", "vary", "1", "link.channel.k_db"]
)  # fmt: skip
SCALARS = st.sampled_from([None, True, 0, 3, 0.5, -1e300, "x", "1/3", "jpeg", "awgn", "\x1b"])
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)
FORMS = st.one_of(ANYTHING, st.dictionaries(KEYS, st.lists(ANYTHING, max_size=3), max_size=3))


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(st.sampled_from(["grid", "zip", "cases"]), FORMS, max_size=3),
    st.dictionaries(st.sampled_from(["a", "b-1"]), st.dictionaries(KEYS, ANYTHING, max_size=3)),
)
def test_any_vary_gives_variants_or_a_scenarios_error(
    vary: dict[str, Any], cases: dict[str, Any]
) -> None:
    for form in (vary, vary | {"cases": cases}):
        try:
            scenario = scenario_of(yaml.safe_dump({"vary": form}, sort_keys=False))
        except ScenarioError as error:
            assert len(str(error).split("\n")) == len(error.problems)
            assert all(problem.line for problem in error.problems)
        else:
            assert len(set(cases_of(scenario))) == len(scenario.variants)
