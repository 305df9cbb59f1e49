"""Gets published data sets: checked by their digests, and whole or not at all.

What arrives lies beside its place under a passing name until it is known to be whole and right;
whatever fails leaves nothing of it. Files that are there and right are not fetched again, and so
the same command goes on after an interruption, file by file. The fetching is pooch's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from testbed.datasets import catalogue
from testbed.datasets.catalogue import KODAK
from testbed.datasets.kodak import kodak_pictures
from testbed.datasets.unpack import file_md5, unpack
from testbed.errors import TestbedError

Say = Callable[[str], None]


class DownloadError(TestbedError):
    """A data set could not be fetched: one line with why, and how to mend it."""


def download_cifar10(folder: Path, layout_name: str, say: Say = print) -> Path:
    """CIFAR-10 into its official folder inside `folder`, which is returned.

    layout_name: a key of CIFAR10_LAYOUTS. Raises DownloadError, ArchiveError.
    """
    layout = catalogue.CIFAR10_LAYOUTS[layout_name]
    target = folder / layout.folder
    if all(file_md5(target / name) == md5 for name, md5 in layout.files.items()):
        say(f"{target}: already there, and right")
        return target
    archive = folder / layout.url.rsplit("/", 1)[1]
    fetch(layout.url, layout.sha256, archive)
    unpack(archive, layout.folder, layout.files)
    archive.unlink()
    say(f"{target}: {len(layout.files)} files, each with the md5 of the official one")
    return target


def download_kodak(folder: Path, say: Say = print) -> Path:
    """Kodak's 24 PNG files into the folder kodak inside `folder`, which is returned.

    Raises DownloadError.
    """
    target = folder / KODAK
    for name, digests in kodak_pictures().items():
        fetch(f"{catalogue.KODAK_URL}{name}.png", digests.file_sha256, target / f"{name}.png")
    say(f"{target}: {catalogue.KODAK_PICTURES} files, each with the sha256 of the official one")
    return target


def fetch(url: str, sha256: str, path: Path) -> None:
    """The file at `url` to `path`, unless it is there. Raises DownloadError."""
    try:
        import pooch
        from requests import HTTPError, RequestException, Timeout
    except ImportError:
        raise DownloadError(
            "downloading needs the package pooch, of the extra 'data': pip install "
            "'semcom-testbed[data]'"
        ) from None
    # Its progress is told here.
    pooch.get_logger().setLevel("ERROR")
    host = urlsplit(url).netloc
    try:
        with _ProgressBar(path.name) as bar:
            pooch.retrieve(
                url,
                known_hash=f"sha256:{sha256}",
                fname=path.name,
                path=path.parent,
                # A server must not unpack on the way what is checked as it was packed.
                downloader=pooch.HTTPDownloader(
                    progressbar=bar, chunk_size=1 << 16, headers={"Accept-Encoding": "identity"}
                ),
            )
        # Others may read it, as any file that is made in the usual way.
        path.chmod(0o644)
    except HTTPError as error:
        answer = "an error"
        if error.response is not None:
            # pooch leaves it open.
            error.response.close()
            answer = f"{error.response.status_code} {error.response.reason}"
        raise DownloadError(
            f"{url}: expected the file, the server answered {answer}; try again later, or get the "
            f"file elsewhere and put it at {path}"
        ) from error
    except Timeout as error:
        raise DownloadError(f"{url}: {host} does not answer; try again later") from error
    except RequestException as error:
        raise DownloadError(
            f"{url}: no connection to {host}, or it broke off; check the network and try again"
        ) from error
    except ValueError as error:
        # pooch's word for a digest that differs.
        raise DownloadError(
            f"{url}: expected the file with sha256 {sha256}, found another; try again, or get the "
            f"file elsewhere and put it at {path}"
        ) from error
    except OSError as error:
        words = error.strerror or " ".join(str(error).split())
        raise DownloadError(f"{path}: cannot be written ({words})") from error


class _ProgressBar:
    """What pooch tells of its progress, on a terminal; nothing elsewhere."""

    def __init__(self, name: str) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        self._progress = Progress(
            *columns,
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task(name, total=None)

    def __enter__(self) -> _ProgressBar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    @property
    def total(self) -> float | None:
        """Bytes in all; None as long as they are not known."""
        return self._progress.tasks[self._task].total

    @total.setter
    def total(self, total: float | None) -> None:
        self._progress.update(self._task, total=total or None)

    def update(self, n_bytes: int) -> None:
        self._progress.advance(self._task, n_bytes)

    def reset(self) -> None:
        """Back to none: pooch says at its end how many there were."""
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        """pooch has no more to tell."""
