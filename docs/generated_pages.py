"""Pages that are made of what they describe, so that they cannot say anything else.

    <!-- generated: scenario -->   the scenario language, of its JSON Schema
    <!-- generated: commands -->   the command line, of its own help

Sphinx reads a page with such a comment as if the generated Markdown stood there. Beside that, links
to folders, which a code host shows and a site does not have, lead to the gallery or nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

from testbed.cli import app as command_line
from testbed.language.reference import markdown_text, scenario_reference

ROOT = Path(__file__).parent.parent
_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+)\)")
_END_OF_EXAMPLE = re.compile(r"(```python\n>>> (?:(?!```).)*?)\n\n```", re.DOTALL)
_COMMENT = re.compile(r"<!-- generated: (\w+) -->")


def fill(_application: object, page: str, source: list[str]) -> None:
    """Sphinx's event `source-read`."""
    text = _COMMENT.sub(lambda found: GENERATED[found[1]](), source[0])
    folder = (ROOT / "docs" / page).parent
    text = _LINK.sub(lambda found: _without_folder(found, folder), text)
    # The empty line is for doctest.
    source[0] = _END_OF_EXAMPLE.sub(r"\1\n```", text)


def _without_folder(link: re.Match[str], folder: Path) -> str:
    target = (folder / link[2]).resolve()
    if not target.is_dir():
        return link[0]
    return (
        f"[{link[1]}](gallery.md)" if ROOT / "scenarios" in (target, *target.parents) else link[1]
    )


def commands() -> str:
    """A section for each command: its usage, what it does, arguments and options."""
    return "\n".join(_command(typer.main.get_command(command_line), "testbed", 1))


def _command(command: Any, name: str, level: int, parent: Any = None) -> Iterator[str]:
    context = command.context_class(command, info_name=name.split()[-1], parent=parent)
    if level > 1:
        yield f"({name.replace(' ', '-')})="
        yield f"{'#' * level} {name}\n"
    if not getattr(command, "commands", None):
        usage = " ".join(command.collect_usage_pieces(context))
        yield f"```text\n{name} {usage}\n```\n"
    for paragraph in (command.help or "").split("\n\n"):
        yield f"{markdown_text(paragraph)}\n"
    records = [each.get_help_record(context) for each in command.get_params(context)]
    rows = [each for each in records if each and not each[0].startswith("--help")]
    if rows:
        yield "| argument or option | meaning |\n|---|---|"
        for names, words in rows:
            yield f"| {markdown_text(f'`{names}`')} | {markdown_text(words)} |"
        yield ""
    for key, child in sorted(getattr(command, "commands", {}).items()):
        yield from _command(child, f"{name} {key}", level + 1, context)


GENERATED: dict[str, Callable[[], str]] = {
    "scenario": scenario_reference,
    "commands": commands,
}
"""By the name in a page's comment."""
