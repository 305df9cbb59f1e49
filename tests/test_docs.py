"""The documentation builds without a warning, says true things, and its examples run."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from testbed.cli import app
from testbed.language.reference import scenario_reference
from testbed.language.scenario_loading import load_scenario
from testbed.language.schema import scenario_schema
from testbed.plugin_api import __all__ as plugin_names
from testbed.sending.simulation import COLUMNS
from testbed.studies.gallery import shown

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXTS = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
COMMAND = re.compile(r"^(?:\S+=\S+ )*testbed(?: |$)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


# ---- the site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once, a warning being an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    command += ["-d", str(folder / "doctrees"), str(ROOT / "docs"), str(folder / "html")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return folder / "html"


def test_every_page_is_there(site: Path) -> None:
    for page in PAGES:
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file(), page


def test_it_can_be_read_without_a_network(site: Path) -> None:
    loads = re.compile(r"""(?:<script[^>]+src|<link[^>]+href|<img[^>]+src)=["'](https?:)?//""")
    for page in site.rglob("*.html"):
        assert not loads.search(page.read_text()), page


def test_equations_are_mathml(site: Path) -> None:
    page = (site / "codec.html").read_text()
    assert page.count("<math ") + page.count("<math>") >= 4
    assert "\\mathrm" not in page
    assert "math-error" not in "".join(file.read_text() for file in site.rglob("*.html"))


def test_the_scenario_reference_is_linked_by_section(site: Path) -> None:
    page = (site / "reference" / "scenario.html").read_text()
    for target in re.findall(r"\((scenario-[\w-]+)\)=", scenario_reference()):
        assert f'id="{target.replace("_", "-")}"' in page, target


def test_every_name_of_the_plugin_api_is_told(site: Path) -> None:
    page = (site / "reference" / "api.html").read_text()
    for name in plugin_names:
        assert re.search(rf">{name}<", page), name


def test_the_script_builds_what_is_tested_here() -> None:
    script = (ROOT / "scripts" / "docs").read_text()
    assert "sphinx -W --keep-going -b html" in script
    assert "extra='[dev]'" in script
    assert (ROOT / "scripts" / "docs").stat().st_mode & 0o100


# ---- what is generated


def keys_of(schema: Any) -> Iterator[str]:
    """Every key that some mapping of a schema may have."""
    if isinstance(schema, dict):
        for key, about in schema.get("properties", {}).items():
            yield key
            yield from keys_of(about)
        for word in ("anyOf", "oneOf", "$defs"):
            children = schema.get(word, [])
            for child in children.values() if isinstance(children, dict) else children:
                yield from keys_of(child)
        yield from keys_of(schema.get("items"))


def test_the_scenario_reference_has_every_key_with_its_words() -> None:
    page = scenario_reference()
    rows = {
        tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
        for line in page.splitlines()
        if line.startswith("| `")
    }
    told = {row[0].strip("`") for row in rows}
    # A type heads its section; a quantile is the objective's only key.
    assert set(keys_of(scenario_schema())) - told == {"type", "quantile"}
    assert all(len(row) == 4 and row[1] and row[3] for row in rows)
    of_key = {row[0]: row for row in rows}
    assert of_key["`max_bytes`"][1:3] == ("an integer, 8 to 8192", "`256`")
    assert "`16qam`" in of_key["`modulation`"][1]


def test_the_scenario_reference_has_every_type() -> None:
    page = scenario_reference()
    listed = CliRunner().invoke(app, ["list"]).stdout
    types = re.findall(r"\{type: (\w+)", listed)
    assert len(types) >= 25
    for each in types:
        assert re.search(rf"^### [\w.]+: {each}$", page, re.MULTILINE), each


def test_the_command_reference_has_every_command_and_option(site: Path) -> None:
    page = re.sub(r"<[^>]+>", "", (site / "reference" / "commands.html").read_text())
    for name, command in leaves(typer.main.get_command(app), "testbed"):
        assert name in page
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--") and option != "--help":
                    assert option in page, (name, option)


def leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if not children:
        yield name, command
        return
    for key, child in children.items():
        yield from leaves(child, f"{name} {key}")


def test_the_gallery_has_every_scenario(site: Path) -> None:
    for each in shown():
        page = (site / "gallery" / f"{each.name}.html").read_text()
        assert f"testbed run {each.file.as_posix()}" in re.sub(r"<[^>]+>", "", page)


# ---- what is written by hand


@pytest.mark.parametrize("page", [p for p in PAGES if ">>> " in p.read_text()], ids=name_of)
def test_python_examples_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    examples = "\n".join(block for block in blocks(page.read_text(), "python") if ">>> " in block)
    test = doctest.DocTestParser().get_doctest(examples, {}, page.name, str(page), 0)
    printed: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    result = runner.run(test, out=printed.append)
    assert result.attempted >= 3
    assert result.failed == 0, "".join(printed)


def commands_of(text: str) -> Iterator[str]:
    """Every command line of the testbed's in blocks and between backticks."""
    for block in [*blocks(text, "sh"), *re.findall(r"(?m)^(?: {4}.+\n)+", text)]:
        for line in block.splitlines():
            yield line.strip()
    without_blocks = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for code in re.findall(r"`([^`]+)`", without_blocks):
        yield " ".join(code.split())


def parse(line: str) -> None:
    """Raises for a command, an option or an argument that the command line does not take."""
    arguments = shlex.split(line, comments=True)
    command, context = typer.main.get_command(app), None
    arguments = arguments[arguments.index("testbed") + 1 :]
    name = "testbed"
    while getattr(command, "commands", None):
        if not arguments:
            return
        name = arguments.pop(0)
        if name == "--help":
            return
        assert name in command.commands, f"{line}: no command {name!r}"  # type: ignore[attr-defined]
        command = command.commands[name]  # type: ignore[attr-defined]
    if not arguments:
        # Named in a sentence.
        return
    context = command.make_context(name, arguments, resilient_parsing=False)
    assert context is not None


@pytest.mark.parametrize("page", [*TEXTS, ROOT / "README.md"], ids=name_of)
def test_commands_exist(page: Path) -> None:
    for line in commands_of(page.read_text()):
        if COMMAND.match(line) and "COMMAND" not in line:
            try:
                parse(line)
            except Exception as error:
                message = getattr(error, "format_message", lambda error=error: str(error))()
                # Options alone, as in a sentence, leave out what must be given.
                if "Missing argument" not in message and "Missing option" not in message:
                    pytest.fail(f"{name_of(page)}: {line}: {message}")


def test_that_commands_are_parsed() -> None:
    parse("testbed run x.yaml --set link.snr_db=[0,5] --workers 2   # a comment")
    for wrong in ("testbed rum x.yaml", "testbed run x.yaml --worker", "testbed list x"):
        with pytest.raises(Exception, match=r"rum|worker|x") as caught:
            parse(wrong)
        assert "Missing" not in str(caught.value)


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_links_and_tests_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
    for file in re.findall(r"`((?:tests|testbed|codec|channels|scenarios|scripts)/[\w/.]+)`", text):
        assert (ROOT / file).exists(), file
    every_test = "\n".join(file.read_text() for file in (ROOT / "tests").glob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in every_test, name


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "plugins.md").read_text()
    (tmp_path / "every_loss.py").write_text(blocks(page, "python")[0])
    (tmp_path / "every.yaml").write_text(blocks(page, "yaml")[0])
    command = [sys.executable, "-m", "testbed.cli", "run", "every.yaml", "--out", "out"]
    command += ["--quiet", "--workers", "1", "--set", "images.limit=1", "--set", "repetitions=1"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    table = (tmp_path / "out" / "trials.csv").read_text()
    assert all(f"every(number={n})" in table for n in (5, 20))
    monkeypatch.chdir(tmp_path)
    refused = subprocess.run(
        [*command[:3], "check", "every.yaml", "--quick", "--set", "link.packet_loss.number=1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "expected 2 or more, found 1" in refused.stderr


@pytest.mark.parametrize(
    "block", blocks((ROOT / "docs" / "quickstart.md").read_text(), "yaml"), ids=["quickstart"]
)
def test_the_quickstart_scenario_loads(block: str, tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(block)
    assert load_scenario(file).link.points == 2 * 3


def test_the_scenarios_of_links_load(tmp_path: Path) -> None:
    link, whole = blocks((ROOT / "docs" / "links.md").read_text(), "yaml")
    file = tmp_path / "my.yaml"
    file.write_text("images: samples32\ncodecs: {type: semantic}\n" + link)
    assert load_scenario(file).link.points == 2 * 2 * 2 * 4
    file.write_text(whole)
    assert load_scenario(file).link.points == 2 * 2 * 4


def test_every_column_is_told() -> None:
    page = (ROOT / "docs" / "results.md").read_text()
    told = set(re.findall(r"`(\w+)`", "".join(re.findall(r"(?m)^\|.*\|$", page))))
    assert set(COLUMNS) <= told


# ---- citation and changelog


CFF = {
    "type": "object",
    "required": ["cff-version", "message", "title", "authors"],
    "additionalProperties": False,
    "properties": {
        "cff-version": {"const": "1.2.0"},
        "message": {"type": "string", "minLength": 1},
        "type": {"enum": ["software", "dataset"]},
        "title": {"type": "string", "minLength": 1},
        "abstract": {"type": "string", "minLength": 1},
        "authors": {"$ref": "#/$defs/people"},
        "version": {"type": ["string", "number"]},
        "license": {"type": "string"},
        "keywords": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "references": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["authors", "title", "type"],
                "additionalProperties": False,
                "properties": {
                    "type": {"enum": ["article", "conference-paper", "generic", "report"]},
                    "title": {"type": "string", "minLength": 1},
                    "authors": {"$ref": "#/$defs/people"},
                    "notes": {"type": "string"},
                },
            },
        },
    },
    "$defs": {
        "people": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": False,
                "properties": {
                    key: {"type": "string", "minLength": 1}
                    for key in ("name", "family-names", "given-names")
                },
            },
        }
    },
}
"""What this project uses of the Citation File Format 1.2.0 (Druskat et al., 2021, schema.json)."""


def test_the_citation_file_is_valid() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    Draft202012Validator(CFF).validate(citation)
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{citation["version"]}"' in project
    assert f'license = "{citation["license"]}"' in project
    assert citation["authors"][0]["name"] in (ROOT / "LICENSE").read_text()


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    releases = re.findall(r"(?m)^## (.+)$", text)
    assert releases[0] == "[Unreleased]" or re.match(r"\[[\d.]+\] - \d{4}-\d\d-\d\d", releases[0])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"(?m)^### (.+)$", text)) <= kinds


def test_nothing_is_left_to_be_filled_in() -> None:
    for page in [*TEXTS, ROOT / "CITATION.cff"]:
        assert not re.search(r"@[A-Z]+@|TODO|TBD", page.read_text()), page
