"""Pages of the gallery: for each scenario what its comment says, its figures, its text.

Made of the scenario's file and of what is kept in results/reference, by `testbed gallery`; they are
committed, so that a code host shows them, and a test holds them to what they are made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.errors import OutputError
from testbed.language.reference import markdown_text
from testbed.studies.gallery import ROOT, Shown, shown

PAGES = Path("docs/gallery")
INDEX = Path("docs/gallery.md")
REFERENCE = Path("results/reference")

FOLDERS = {
    "": "Studies",
    "small": "Studies in small, on pictures that ship",
    "channels": "Links",
    "codecs": "Codecs",
    "language": "The scenario language",
}
"""Folders of scenarios/ and what is in them, in the order of the index; others follow."""

_INTRODUCTION = """\
# Gallery of scenarios

Every scenario that ships, to copy and change, with a small result of it. `testbed check FILE` says
what a scenario means and how long it will take, `testbed gallery` runs them all again (`--check`:
and says whether anything has changed). Those that name CIFAR-10 or Kodak need [the data](data.md).
"""


def opening(text: str) -> str:
    """The comment that a scenario begins with, as one paragraph."""
    lines = text.splitlines()
    end = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.removeprefix("#").strip() for line in lines[:end])


def first_sentence(words: str) -> str:
    """Up to its full stop."""
    end = words.find(". ")
    return words if end < 0 else words[: end + 1]


def kept_of(each: Shown) -> tuple[list[str], list[str]]:
    """Names of the tables and of the figures that results/reference holds of a scenario."""
    names = sorted(file.name for file in (ROOT / REFERENCE / each.name).glob("*"))
    figures = [name for name in names if name.endswith(".png")]
    return [name for name in names if name not in figures], figures


def page(each: Shown) -> str:
    """The page of one scenario, as Markdown."""
    text = (ROOT / each.file).read_text()
    body = text.splitlines()
    while body and (body[0].startswith("#") or not body[0].strip()):
        del body[0]
    tables, figures = kept_of(each)
    folder = f"../../{REFERENCE.as_posix()}/{each.name}"
    parts = [f"# {each.name}", markdown_text(opening(text))]
    parts += [f"![{each.name}, {Path(name).stem}]({folder}/{name})" for name in figures]
    if tables:
        links = ", ".join(f"[{name}]({folder}/{name})" for name in tables)
        parts.append(f"Kept of its result: {links}.")
    else:
        parts.append("No result of it is kept.")
    parts.append(
        f"```sh\ntestbed run {each.file.as_posix()}\ntestbed report results/{each.name}\n```"
    )
    parts.append(f"````yaml\n# {each.file.as_posix()}\n" + "\n".join(body) + "\n````")
    return "\n\n".join(parts) + "\n"


def index(scenarios: Sequence[Shown]) -> str:
    """The page that lists them all, by folder."""
    by_folder: dict[str, list[Shown]] = {folder: [] for folder in FOLDERS}
    for each in scenarios:
        by_folder.setdefault("/".join(each.file.parent.parts[1:]), []).append(each)
    parts = [_INTRODUCTION.rstrip()]
    for folder, own in by_folder.items():
        if not own:
            continue
        parts.append(f"## {FOLDERS.get(folder, folder)}")
        rows = [
            f"| [{each.name}](gallery/{each.name}.md) | "
            f"{markdown_text(first_sentence(opening((ROOT / each.file).read_text())))} |"
            for each in own
        ]
        parts.append("\n".join(["| scenario | |", "|---|---|", *rows]))
    names = "\n".join(f"gallery/{each.name}" for own in by_folder.values() for each in own)
    parts.append(f"```{{toctree}}\n:hidden:\n{names}\n```")
    return "\n\n".join(parts) + "\n"


def pages() -> Mapping[Path, str]:
    """All pages by their paths in the repository."""
    scenarios = shown()
    return {INDEX: index(scenarios)} | {PAGES / f"{each.name}.md": page(each) for each in scenarios}


def write_pages() -> list[Path]:
    """Writes them, and takes away those of scenarios that are gone. Raises OutputError."""
    made = pages()
    try:
        (ROOT / PAGES).mkdir(parents=True, exist_ok=True)
        for old in (ROOT / PAGES).glob("*.md"):
            if old.relative_to(ROOT) not in made:
                old.unlink()
        for path, text in made.items():
            (ROOT / path).write_text(text)
    except OSError as error:
        raise OutputError(f"{ROOT / PAGES}: cannot be written ({error.strerror})") from error
    return list(made)
