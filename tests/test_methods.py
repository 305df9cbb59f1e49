"""methods.md says what the scenario says, and nothing else: of every scenario that ships."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from channels.ldpc_decoder import DEFAULT_ITERATIONS
from channels.polar_decoder import DEFAULT_LIST_SIZE
from testbed.evaluation.run_folder import RunFolder
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import load_scenario
from testbed.reporting.paper.bibliography import cited, entries, references
from testbed.reporting.paper.methods import methods, paragraphs
from testbed.reporting.paper.scenario_facts import grids, part, variants
from testbed.reporting.paper.wording import counted, listed, ranged

ROOT = Path(__file__).parents[1]
SCENARIOS = sorted(ROOT.glob("scenarios/**/*.yaml"))
MINIMAL = "images: samples32\ncodecs: {type: jpeg}\nlink: {snr_db: 10}\n"


@cache
def scenario_of(path: Path) -> Scenario:
    return load_scenario(path)


def run_of(scenario: Scenario, **manifest: Any) -> RunFolder:
    """A run of a scenario that never ran: its manifest alone."""
    codecs = [codec for each in scenario.variants for codec in each.scenario.codecs]
    said = {
        "scenario": scenario.canonical(),
        "scenario_sha256": scenario.scenario_hash,
        "trials": 5616,
        "trials_without_rows": 0,
        "certification": None,
        "codecs": {codec.name: "bitstream 1, Library 1.2.3" for codec in codecs},
        "codec_labels": {codec.name: codec.name for codec in codecs},
        "reference": codecs[0].name,
        "metrics": {"psnr_db": {"label": "PSNR (dB)", "higher_is_better": True}},
        "images": [{"name": f"{n}", "sha256": "0" * 64, "shape": [32, 32, 3]} for n in range(8)],
        "code": {"commit": None, "dirty": None},
        "versions": {"python": "3.11.2", "semcom-testbed": "0.1.0", "numpy": "2.4.6"},
        "machine": "x86_64",
    }
    return RunFolder(Path("nowhere"), said | manifest, Path("nowhere"))


def written(tmp_path: Path, text: str, **manifest: Any) -> str:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    return methods([run_of(load_scenario(path), **manifest)])


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_text_of_every_scenario_is_whole(path: Path) -> None:
    text = methods([run_of(scenario_of(path))], ["cbr", "snr_db"])
    assert not re.search(
        r"\b(None|nan|True|False)\b|\{|\}(?!\()| ,| \.(?!\d)|\.\.|  ", _plain(text)
    )
    assert not re.search(r"plug-in", text)
    for _, paragraph in paragraphs(run_of(scenario_of(path))):
        assert paragraph[0].isupper() or paragraph[0] == "`"
        assert paragraph.endswith(".")
    bibtex = references(cited(text), {"0.1.0"})
    assert set(re.findall(r"^@\w+\{([\w:-]+),", bibtex, re.M)) == set(cited(text))


def _plain(text: str) -> str:
    """Without formulas, which have braces."""
    return re.sub(r"\$[^$]*\$", "X", text)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_facts_are_there_if_and_only_if_the_scenario_has_them(path: Path) -> None:
    scenario = scenario_of(path)
    text = methods([run_of(scenario)])
    links = [grid for each in scenario.variants for grid in each.scenario.link_grids()]
    channels = {part_.label for grid in links for part_ in grid.channel}
    losses = [part_ for grid in links for part_ in grid.packet_loss]
    codecs = {codec.type for each in scenario.variants for codec in each.scenario.codecs}
    bits = [
        grid
        for each in scenario.variants
        for grid in each.scenario.link_grids()
        if any(not codec.analog for codec in each.scenario.codecs)
    ]
    names = {label.partition("(")[0] for label in channels}
    expected = {
        "AWGN channel": "awgn" in names,
        "Rician factor": "rician" in names,
        "Nakagami": "nakagami" in names,
        "OFDM": "ofdm" in names,
        "[@tr38901]": "ofdm" in names,
        "Doppler spectrum": any("doppler" in label for label in channels),
        "Alamouti": any("alamouti" in label for label in channels),
        "shadowing": any("shadowing" in label for label in channels),
        "binary symmetric": "bsc" in names,
        "Gilbert's chain": any(each.type == "gilbert_elliott" for each in losses),
        "lost independently": any(each.type == "iid" and each.mean_loss for each in losses),
        "measured trace": any(each.type == "trace" for each in losses),
        "jitter": any(each.type == "jitter" for each in losses),
        "polar": any({"polar", "ldpc_polar"} & set(grid.coding) for grid in bits),
        "Ideal codes are a bound": any("ideal" in grid.coding for grid in bits),
        "at capacity": any("capacity" in grid.spectral_efficiency for grid in bits),
        "chase combining": any(
            "chase" in grid.harq and max(grid.transmissions) > 1 for grid in bits
        ),
        "Reed-Solomon": any(min(grid.erasure_rate) < 1 for grid in bits),
        "delivered with their errors": any("deliver" in grid.damage for grid in bits),
        "tables of block error rates": any(
            "tables" in grid.fidelity and set(grid.coding) != {"ideal"} for grid in bits
        ),
        "DeepJSCC": "deepjscc" in codecs,
        "CABAC": "semantic" in codecs
        and any(
            getattr(codec, "profile", "") == "paper"
            for each in scenario.variants
            for codec in each.scenario.codecs
        ),
        "anew for each budget with the best of": any(
            (getattr(codec, "fit", None) or 1) > 1
            for each in scenario.variants
            for codec in each.scenario.codecs
        ),
        "WebP": "webp" in codecs,
        "JPEG XL": "jpegxl" in codecs,
        "CIFAR-10's test set": any(
            source.source == "cifar10_test"
            for each in scenario.variants
            for source in each.scenario.images
        ),
        "with its best scheme": scenario.comparison is not None,
        "MS-SSIM": any(each.type == "ms_ssim" for each in scenario.metrics or ()),
        "The task is recognition": any(each.type == "task" for each in scenario.metrics or ()),
    }
    # The label of a published result is not the method's.
    text = re.sub(r"Results of others.*", "", text)
    assert {words: words in text for words in expected} == expected


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_grids_are_those_that_are_simulated(path: Path) -> None:
    """The canonical form, read again, against the language's own."""
    for each, own in zip(
        scenario_of(path).variants, variants(scenario_of(path).canonical()).values(), strict=True
    ):
        links = each.scenario.link_grids()
        for link, read in zip(links, grids(own), strict=True):
            said = link.model_dump(mode="json")
            assert {key: read[key] for key in said} == said


def test_variations_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "v.yaml"
    path.write_text(
        MINIMAL
        + "vary:\n  grid: {packets.max_bytes: [64, 128], link.cbr: [1/6, 1/3], seed: [1, 2]}\n"
    )
    scenario = load_scenario(path)
    read = variants(scenario.canonical())
    assert list(read) == [each.case for each in scenario.variants]
    assert [own | {} for own in read.values()] == [
        {k: v for k, v in each.scenario.canonical().items() if k != "vary"}
        for each in scenario.variants
    ]
    text = methods([run_of(scenario)])
    assert "eight variations" in text
    assert "at most 64 or 128 bytes" in text
    assert "the seeds 1 and 2" in text


def test_one_and_many(tmp_path: Path) -> None:
    image = {"name": "a", "sha256": "0" * 64, "shape": [32, 32, 3]}
    one = written(tmp_path, MINIMAL, images=[image], trials=1)
    assert "The image is one picture of 32x32 pixels" in one
    assert "one trial." in one
    assert "one independent channel draw at each point" in one
    assert "bootstrap" not in one
    many = written(tmp_path, MINIMAL + "repetitions: 3\n", images=[image] * 2)
    assert "two pictures of 32x32 pixels" in many
    assert "three independent channel draws" in many
    assert "speak for these pictures alone" in many
    whole = written(tmp_path, MINIMAL, images=[image] * 5)
    assert "resamples of whole pictures" in whole
    assert "these pictures alone" not in whole


def test_manifest_facts(tmp_path: Path) -> None:
    plain = written(tmp_path, MINIMAL)
    assert "git commit" not in plain
    assert "checks" not in plain
    assert "Sionna 2" not in plain
    told = written(
        tmp_path, MINIMAL, code={"commit": "abc123", "dirty": True},
        certification={"false_alarm": 0.001, "passed": 11, "violated": 1, "not_checked": 3},
        trials_without_rows=2,
    )  # fmt: skip
    assert "git commit abc123, with changes that are not committed" in told
    assert "11 of 12 checks passed" in told
    assert "two trials raised an error and are left out" in told.lower()
    assert "stop" not in told
    stopped = written(
        tmp_path, MINIMAL + "repetitions: 100\nstop: {interval_db: 0.5, trials: 90}\n"
    )
    assert "up to 100 independent channel draws" in stopped
    assert "at most 0.5 dB wide or it had had 90 trials" in stopped


def test_what_is_not_in_the_run_is_not_said(tmp_path: Path) -> None:
    analog = written(
        tmp_path, "images: samples32\ncodecs: {type: deepjscc}\nlink: {snr_db: 10, cbr: 1/6}\n"
    )
    for words in ("LDPC", "16QAM", "Streams travel", "CRC of", "scrambled"):
        assert words not in analog
    ebn0 = written(tmp_path, MINIMAL.replace("snr_db", "ebn0_db"))
    assert "$E_b/N_0$ per information bit is 10 dB" in ebn0
    assert "The SNR is the ratio" not in ebn0


def test_schemes_are_those_that_something_is_sent_with() -> None:
    """A protection that chooses takes none of the link's; the same ones are told once in a row."""
    chosen = methods([run_of(scenario_of(ROOT / "scenarios/channels/link_adaptation.yaml"))])
    assert "16QAM" not in chosen
    assert "with the schemes that the protection chooses" in chosen
    planned = methods([run_of(scenario_of(ROOT / "scenarios/channels/protection_planned.yaml"))])
    told = re.findall(r"`(\w+)` (?:\w+ )*?chooses [^.]*? from the (same|modulation)", planned)
    assert told == [
        ("best_equal", "modulation"), ("optimised", "same"), ("retransmitting", "modulation"),
        ("oracle", "modulation"),
    ]  # fmt: skip


def test_a_table_of_protection_is_told_layer_by_layer(tmp_path: Path) -> None:
    text = written(
        tmp_path,
        MINIMAL.replace("{snr_db: 10}", """
  snr_db: 10
  protection:
    policy: table
    name: own
    layers: [{mcs: 0, transmissions: 4}, {modulation: 16qam, erasure_rate: 1/2}, {}]
"""),
    )  # fmt: skip
    assert (
        "The protection `own` is fixed for each layer: it sends the first layer with MCS 0 and up "
        "to four transmissions; the second layer with 16QAM and erasure rate 1/2; all others as "
        "the link says."
    ) in text
    # What layers have beside the link's own values is charged, too.
    assert "padding, erasure parity and retransmissions included." in text
    assert "protection" not in written(tmp_path, MINIMAL).lower()


def test_numbers_of_the_decoders_are_theirs() -> None:
    text = methods([run_of(scenario_of(ROOT / "scenarios/channels/polar.yaml"))])
    assert f"at most {DEFAULT_ITERATIONS} iterations" in text
    assert f"lists of {DEFAULT_LIST_SIZE} paths" in text


def test_libraries_have_their_own_names(tmp_path: Path) -> None:
    pillow = "bitstream 1, Pillow 13.0.0, libjpeg_turbo 3.2.0, jpg 6.2"
    assert "coded by Pillow 13.0.0 and libjpeg-turbo 3.2.0, at" in written(
        tmp_path, MINIMAL, codecs={"jpeg": f"mosaic 1, {pillow}"}
    )
    other = pillow.replace("libjpeg_turbo 3.2.0, jpg 6.2", "libjpeg_turbo None, jpg 9.6")
    assert "coded by Pillow 13.0.0 and libjpeg 9.6, at" in written(
        tmp_path, MINIMAL, codecs={"jpeg": other}
    )


def test_parts_have_their_defaults_and_those_of_plug_ins_do_not() -> None:
    assert part("channel", "rician(k_db=3, antennas=1x2)").parameters["shadowing_db"] == "0"
    assert part("channel", "rician(k_db=3, antennas=1x2)").parameters["k_db"] == "3"
    assert part("channel", "ofdm(pilot_symbols=[2 7 11])").parameters["pilot_symbols"] == "[2 7 11]"
    assert part("metric", "task(against=original) " + "0" * 64).parameters == {
        "against": "original"
    }
    own = part("channel", "impulses(rate=0.1) plugin " + "a" * 64)
    assert (own.type, own.parameters, own.known) == ("impulses", {"rate": "0.1"}, False)


def test_a_plug_in_is_called_one() -> None:
    run = run_of(load_scenario(ROOT / "scenarios/channels/awgn.yaml"))
    run.manifest["scenario"]["link"]["channel"] = ["impulses(rate=0.1) plugin " + "a" * 64]
    text = methods([run])
    assert "The channel `impulses` (rate = 0.1) is that of a plug-in." in text
    assert "AWGN" not in text


def test_several_runs_have_sections() -> None:
    runs = [run_of(scenario_of(path)) for path in SCENARIOS[:2]]
    text = methods(runs)
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        f"## {run.name}" for run in runs
    ]
    assert methods(runs) == text


def test_wording() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a", "b"], "or") == "a or b"
    assert counted(1, "picture") == "one picture"
    assert counted(5616, "trial") == "5,616 trials"
    assert ranged([0, 2, 4, 6], "dB") == "0 to 6 dB in steps of 2 dB"
    assert ranged([4, 0], "dB") == "0 and 4 dB"
    assert ranged([0, 1, 3, 4], "dB") == "0, 1, 3 and 4 dB"


def test_entries_are_bibtex() -> None:
    for key, entry in entries().items():
        assert re.match(rf"@\w+\{{{key},\n", entry)
        assert entry.count("{") == entry.count("}")
        assert "author = " in entry and "title = " in entry
    with pytest.raises(KeyError):
        references(["unknown"], set())


def test_the_testbed_is_cited_as_its_citation_file_says() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    entry = references(["semcom-testbed"], {"0.1.0"})
    assert f"title = {{{citation['title']}" in entry
    assert f"author = {{{{{citation['authors'][0]['name']}}}}}" in entry
    assert "Version 0.1.0" in entry
    assert "Version" not in references(["semcom-testbed"], {"0.1.0", "0.2.0"})
    (paper,) = citation["references"]
    assert paper["title"] in entries()["samarathunga"]


def test_a_run_that_has_not_ended_says_so_and_chooses_nothing() -> None:
    run = run_of(scenario_of(ROOT / "scenarios/comparison.yaml"))
    assert "with its best scheme" in methods([run])
    partial = RunFolder(run.path, run.manifest, run.tables, ("This run has not ended: 3 of 9.",))
    text = methods([partial])
    assert "> This run has not ended: 3 of 9." in text
    assert "with its best scheme" not in text


def test_every_entry_is_cited_by_some_text() -> None:
    """An entry that nothing cites serves nobody."""
    folder = ROOT / "testbed/reporting/paper"
    source = "".join(path.read_text() for path in folder.glob("methods*.py"))
    for key in entries():
        assert f"@{key}" in source or f'"{key}"' in source, key
