"""Files inside the page: data URIs, and how many bytes of them a page may have."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 14_500_000
"""Of one page, which stays below 15 MB."""
MIME = {
    ".png": "image/png", ".svg": "image/svg+xml", ".pdf": "application/pdf", ".csv": "text/csv",
    ".json": "application/json", ".yaml": "text/yaml", ".md": "text/markdown",
    ".tex": "text/x-tex", ".bib": "text/x-bibtex",
}  # fmt: skip


def data_uri(content: bytes, suffix: str) -> str:
    mime = MIME.get(suffix, "application/octet-stream")
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


@dataclass(slots=True)
class Room:
    """What is left of a page's bytes. Who asks first gets it, so that the order decides."""

    left: int

    def inline(self, path: Path) -> str | None:
        """A file as a data URI; None where it does not fit."""
        return data_uri(path.read_bytes(), path.suffix) if self.takes(path.stat().st_size) else None

    def takes(self, n_bytes: int) -> bool:
        """Whether they fit, in base64; then the room is less."""
        needed = 4 * ((n_bytes + 2) // 3)
        fits = needed <= self.left
        self.left -= needed * fits
        return fits


@dataclass(frozen=True, slots=True)
class Download:
    """A link to a file. `href`: data of the page's own, or a path relative to the page."""

    name: str
    href: str
    kib: float
    inside: bool


def download(path: Path, folder: Path, room: Room) -> Download:
    """path: a file in `folder`, which is the page's."""
    uri = room.inline(path)
    href = uri or path.relative_to(folder).as_posix()
    return Download(path.name, href, path.stat().st_size / 1024, uri is not None)
