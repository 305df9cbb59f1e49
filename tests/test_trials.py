"""From scenarios to trials: SNR conversion, unions without repeats, stable ids, exact budgets."""

import hashlib
import math
import textwrap
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import expand_trials

from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import check_document, load_scenario
from testbed.language.scenario_values import MODULATION_BITS
from testbed.language.yaml_source import parse_document
from testbed.running.trials import budget_channel_uses, expand_links

QUICKSTART = Path(__file__).parent.parent / "scenarios" / "quickstart.yaml"
HEAD = "images: samples32\ncodecs: [{type: semantic}, {type: jpeg}]\n"
IMAGES = [("a.png", "aa" * 32), ("b.png", "bb" * 32)]
FINGERPRINTS = {"semantic": "weights-1", "jpeg": "pillow-13"}


def scenario_of(text: str) -> Scenario:
    return check_document(parse_document((HEAD + textwrap.dedent(text)).encode(), "f"), Path())


def ids_of(
    scenario: Scenario,
    images: list[tuple[str, str]] = IMAGES,
    fingerprints: dict[str, str] = FINGERPRINTS,
) -> set[str]:
    return {trial.trial_id for trial in expand_trials(scenario, images, fingerprints)}


# --- Link points ----------------------------------------------------------------------------


def test_a_sweep_is_for_the_codecs_that_it_names() -> None:
    scenario = scenario_of("""\
        sweeps:
          - {cbr: [1/3, 1/6], snr_db: 10}
          - {codecs: [jpeg], snr_db: 20}
        """)
    assert [link.snr_db for link in expand_links(scenario, "semantic")] == [10.0, 10.0]
    assert [link.snr_db for link in expand_links(scenario, "jpeg")] == [10.0, 10.0, 20.0]
    assert len(expand_links(scenario)) == 3
    trials = expand_trials(scenario, IMAGES, FINGERPRINTS)
    assert {trial.codec_name for trial in trials if trial.link.snr_db == 20.0} == {"jpeg"}
    assert len(trials) == (2 + 3) * len(IMAGES)
    # What is the same trial keeps its id.
    assert ids_of(scenario) > ids_of(scenario_of("link: {cbr: [1/3, 1/6], snr_db: 10}"))


def test_link_alone_is_a_grid_with_snr_fastest() -> None:
    links = expand_links(scenario_of("link: {snr_db: [5, 0], cbr: [1/6, 1/3]}"))
    assert [(link.cbr, link.snr_db) for link in links] == [
        (Fraction(1, 6), 5.0),
        (Fraction(1, 6), 0.0),
        (Fraction(1, 3), 5.0),
        (Fraction(1, 3), 0.0),
    ]


def test_sweeps_replace_the_link_and_make_a_union() -> None:
    scenario = scenario_of("""\
        link: {snr_db: [99], modulation: qpsk}
        sweeps:
          - snr_db: [0, 10]
          - {cbr: [1/3, 1/6], snr_db: 10}
        """)
    assert [(link.snr_db, link.cbr, link.modulation) for link in expand_links(scenario)] == [
        (0.0, Fraction(1, 3), "qpsk"),
        (10.0, Fraction(1, 3), "qpsk"),
        (10.0, Fraction(1, 6), "qpsk"),
    ]


def test_a_sweep_of_either_snr_ousts_the_other() -> None:
    scenario = scenario_of("""\
        link: {snr_db: 7, modulation: 16qam, code_rate: 1/2}
        sweeps: [{ebn0_db: 4}, {cbr: 1/6}]
        """)
    by_ebn0, by_snr = expand_links(scenario)
    assert by_ebn0.ebn0_db == 4.0
    assert by_ebn0.snr_db == pytest.approx(4 + 10 * math.log10(2), abs=1e-9)
    assert by_snr.snr_db == 7.0


def test_the_same_point_by_either_snr_is_one_point() -> None:
    first = expand_links(scenario_of("link: {ebn0_db: 4}"))[0]
    second = expand_links(scenario_of(f"link: {{snr_db: {first.snr_db}}}"))[0]
    assert first == second


@pytest.mark.parametrize("modulation", MODULATION_BITS)
@settings(max_examples=20, deadline=None)
@given(
    hundredths_db=st.integers(-3000, 3000),
    code_rate=st.sampled_from(["1/5", "1/3", "1/2", "2/3", "0.95"]),
)
def test_es_n0_is_eb_n0_plus_bits_per_use(
    modulation: str, hundredths_db: int, code_rate: str
) -> None:
    ebn0_db = hundredths_db / 100
    (link,) = expand_links(
        scenario_of(
            f"link: {{ebn0_db: {ebn0_db}, modulation: {modulation}, code_rate: {code_rate}}}"
        )
    )
    bits = float(Fraction(code_rate)) * MODULATION_BITS[modulation]
    assert link.ebn0_db == ebn0_db
    assert link.snr_db == pytest.approx(ebn0_db + 10 * math.log10(bits), abs=1e-8)


def test_known_conversion() -> None:
    # QPSK at rate 1/2 carries one bit per channel use: Es/N0 and Eb/N0 are the same.
    (link,) = expand_links(scenario_of("link: {snr_db: -0.0, modulation: qpsk, code_rate: 1/2}"))
    assert (link.snr_db, link.ebn0_db) == (0.0, 0.0)
    assert str(link.snr_db) == "0.0"


def test_quickstart_links() -> None:
    links = expand_links(load_scenario(QUICKSTART))
    # 11 SNRs on two channels and six ratios at 12 dB, of which 1/3 is in both.
    assert len(links) == 11 * 2 + 6 - 1
    assert len(set(links)) == len(links)


# --- Trials ---------------------------------------------------------------------------------


def test_trials_are_all_combinations_once() -> None:
    scenario = scenario_of("link: {snr_db: [0, 5, 10]}\nrepetitions: 4")
    trials = expand_trials(scenario, IMAGES, FINGERPRINTS)
    assert len(trials) == 2 * 3 * 2 * 4
    assert len({trial.trial_id for trial in trials}) == len(trials)
    assert all(len(trial.trial_id) == 16 for trial in trials)
    first = trials[0]
    assert (first.codec_index, first.codec_name) == (0, "semantic")
    assert (first.image_index, first.image_name, first.repetition) == (0, "a.png", 0)


def test_an_image_given_twice_is_sent_once() -> None:
    scenario = scenario_of("link: {snr_db: 0}")
    trials = expand_trials(scenario, [*IMAGES, IMAGES[0]], FINGERPRINTS)
    assert [trial.image_index for trial in trials] == [0, 1, 0, 1]


def test_a_trial_id_is_pinned() -> None:
    # If this changes, earlier results are orphaned: raise ID_VERSION and say so in the changelog.
    trials = expand_trials(scenario_of("link: {snr_db: 10}"), IMAGES, FINGERPRINTS)
    written_out = (
        '{"codec":{"correction":"interval","layers":null,"name":"semantic",'
        '"profile":"paper","type":"semantic"},'
        '"codec_fingerprint":"weights-1","id_version":4,'
        f'"image":{{"name":"a.png","sha256":"{"aa" * 32}"}},'
        '"link":{"adaptation":null,"cbr":"1/3","channel":"awgn","code_rate":0.5,"coding":"ldpc","damage":"drop",'
        '"erasure_rate":1.0,"fading_block":"packet","fidelity":"exact","harq":"incremental","layers":'
        '[{"code_rate":0.5,"erasure_rate":1.0,"modulation":"16qam","power_db":0.0,'
        '"transmissions":1}],"modulation":"16qam","packet_loss":"iid","policy":"equal","protection":"equal",'
        '"quantile":null,'
        '"snr_db":10.0,"transmissions":1},'
        '"packets":{"max_bytes":256},"repetition":0,"seed":1}'
    )
    assert trials[0].trial_id == hashlib.sha256(written_out.encode()).hexdigest()[:16]
    assert trials[0].trial_id == "95bbc9313155a1d3"


def test_ids_of_what_rests_on_tables_know_their_version(monkeypatch: pytest.MonkeyPatch) -> None:
    link = "link: {snr_db: 10, fidelity: [exact, tables], protection: [equal, optimised]}"
    before = ids_of(scenario_of(link))
    monkeypatch.setattr("testbed.running.trials.TABLES_VERSION", -1)
    # Equal protection, bit by bit: two pictures, two codecs.
    assert len(before & ids_of(scenario_of(link))) == 4


def test_of_an_ideal_code_there_is_one_tier() -> None:
    link = "{snr_db: 10, coding: ideal, spectral_efficiency: 1, fidelity: [exact, tables]}"
    assert [point.fidelity for point in expand_links(scenario_of(f"link: {link}"))] == ["exact"]


BASE = "link: {snr_db: [0, 5]}\nrepetitions: 2\n"


@pytest.mark.parametrize(
    "same",
    [
        "name: other\n" + BASE,
        "description: other\n" + BASE,
        "figures: {strip: {image: 1}}\n" + BASE,
        "link: {snr_db: 77}\nsweeps: [{snr_db: [5, 0]}]\nrepetitions: 2",
        "seed: 1\n" + BASE,
    ],
)
def test_ids_ignore_what_does_not_change_results(same: str) -> None:
    assert ids_of(scenario_of(same)) == ids_of(scenario_of(BASE))


@pytest.mark.parametrize(
    "more", [BASE.replace("5]", "5, 6]"), BASE.replace("repetitions: 2", "repetitions: 3")]
)
def test_more_trials_keep_the_ids_of_the_others(more: str) -> None:
    assert ids_of(scenario_of(more)) > ids_of(scenario_of(BASE))


@pytest.mark.parametrize(
    "other",
    [
        "seed: 2\n" + BASE,
        "packets: {max_bytes: 128}\n" + BASE,
        BASE.replace("{", "{cbr: 1/4, "),
        BASE.replace("{", "{code_rate: 1/3, "),
        BASE.replace("{", "{modulation: qpsk, "),
        BASE.replace("{", "{channel: rayleigh_block, "),
        BASE.replace("{", "{packet_loss: 0.1, "),
        BASE.replace("{", "{fading_block: image, "),
    ],
)
def test_ids_depend_on_what_changes_results(other: str) -> None:
    assert not ids_of(scenario_of(other)) & ids_of(scenario_of(BASE))


def test_ids_depend_on_images_and_fingerprints() -> None:
    scenario = scenario_of(BASE)
    ids = ids_of(scenario)
    assert not ids & ids_of(scenario, images=[("a.png", "cc" * 32)])
    changed = ids & ids_of(scenario, fingerprints=FINGERPRINTS | {"semantic": "weights-2"})
    assert len(changed) == len(ids) / 2


def test_a_missing_fingerprint_is_an_error() -> None:
    with pytest.raises(KeyError, match="semantic"):
        expand_trials(scenario_of(BASE), IMAGES, {"jpeg": "x"})


# --- Budgets --------------------------------------------------------------------------------


@pytest.mark.parametrize("third", ["1/3", 1 / 3, Fraction(1, 3)])
def test_a_third_of_a_small_image_is_1024_uses(third: Any) -> None:
    assert budget_channel_uses(third, 32, 32) == 1024


@given(
    numerator=st.integers(1, 50),
    denominator=st.integers(1, 50),
    height=st.integers(1, 4000),
    width=st.integers(1, 4000),
)
def test_budgets_are_exact(numerator: int, denominator: int, height: int, width: int) -> None:
    expected = numerator * 3 * height * width // denominator
    assert budget_channel_uses(numerator / denominator, height, width) == expected
    assert budget_channel_uses(f"{numerator}/{denominator}", height, width) == expected
