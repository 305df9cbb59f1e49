"""Downloads from a server of this machine: whole and right, or one clear line and nothing left."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from typer.testing import CliRunner

from testbed import cli
from testbed.commands.data_command import download, print_sets
from testbed.datasets import catalogue
from testbed.datasets import download as downloading
from testbed.datasets import kodak as kodak_set
from testbed.datasets.catalogue import DATA_VARIABLE, Layout
from testbed.datasets.download import DownloadError
from testbed.datasets.kodak import KodakPicture
from testbed.datasets.unpack import ArchiveError, unpack
from testbed.errors import TestbedError
from testbed.images import load_images, make_source_image

SERVED_FOLDER = "cifar-10-batches-bin"


class Server(ThreadingHTTPServer):
    """Serves `content` by path; `stated` says another length than there is; counts requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content: dict[str, bytes] = {}
        self.stated: dict[str, int] = {}
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        self.server.requests.append(name)
        if name not in self.server.content:
            self.send_error(404)
            return
        content = self.server.content[name]
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.stated.get(name, len(content))))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv(DATA_VARIABLE, str(folder))
    monkeypatch.setattr(catalogue, "CIFAR10_PICTURES_PER_FILE", 2)
    return folder


RECORDS = {
    name: np.random.default_rng(index).integers(0, 10, 2 * 3073).astype(np.uint8).tobytes()
    for index, name in enumerate(catalogue.CIFAR10_LAYOUTS["binary"].files)
}


def packed(files: dict[str, bytes]) -> bytes:
    """A .tar.gz of these members, with what official archives hold beside them."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        top = tarfile.TarInfo(SERVED_FOLDER)
        top.type = tarfile.DIRTYPE
        archive.addfile(top)
        for name, content in {**files, f"{SERVED_FOLDER}/readme.html": b"read me"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


@pytest.fixture
def layout(server: Server, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A small CIFAR-10, on the server."""
    archive = packed({f"{SERVED_FOLDER}/{name}": content for name, content in RECORDS.items()})
    server.content["cifar.tar.gz"] = archive
    official = catalogue.CIFAR10_LAYOUTS["binary"]
    md5 = {
        source: {name: hashlib.md5(RECORDS[name]).hexdigest() for name in files}
        for source, files in official.md5.items()
    }
    sha256 = hashlib.sha256(archive).hexdigest()
    layout = replace(official, url=f"{server.url}cifar.tar.gz", sha256=sha256, md5=md5)
    monkeypatch.setattr(
        catalogue, "CIFAR10_LAYOUTS", {**catalogue.CIFAR10_LAYOUTS, "binary": layout}
    )
    return layout


def refused(match: str, folder: Path, name: str = "cifar10") -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(TestbedError, match=match) as caught:
        download(name, "binary", None)
    assert "\n" not in str(caught.value)
    assert sorted(folder.rglob("*")) == before


# ------------------------------------------------------------------------------------- downloads


@pytest.mark.usefixtures("layout")
def test_cifar10_is_fetched_checked_and_unpacked(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    download("cifar10", "binary", None)
    assert sorted(path.name for path in folder.rglob("*")) == sorted([SERVED_FOLDER, *RECORDS])
    for name, content in RECORDS.items():
        assert (folder / SERVED_FOLDER / name).read_bytes() == content
    assert len(load_images("cifar10_train", Path())) == 10
    download("cifar10", "binary", None)
    assert server.requests == ["cifar.tar.gz"]
    assert "already there, and right" in capsys.readouterr().out
    # What was damaged since is mended.
    (folder / SERVED_FOLDER / "test_batch.bin").write_bytes(b"damaged")
    download("cifar10", "binary", None)
    assert len(load_images("cifar10_test", Path())) == 2


@pytest.mark.usefixtures("layout")
def test_an_archive_that_is_there_is_not_fetched_again(folder: Path, server: Server) -> None:
    """As after an interruption between fetching and unpacking."""
    (folder / "cifar.tar.gz").write_bytes(server.content["cifar.tar.gz"])
    download("cifar10", "binary", None)
    assert server.requests == []
    assert len(load_images("cifar10_test", Path())) == 2


def test_what_a_server_answers_wrong(folder: Path, server: Server, layout: Layout) -> None:
    archive = server.content["cifar.tar.gz"]
    server.content["cifar.tar.gz"] = archive[:-1] + b"x"
    refused(f"{layout.url}: expected the file with sha256 {layout.sha256}", folder)
    server.content["cifar.tar.gz"] = archive[:1000]
    refused("expected the file with sha256", folder)
    server.stated["cifar.tar.gz"] = len(archive)
    refused("broke off", folder)
    del server.content["cifar.tar.gz"]
    refused("404 Not Found; try again later, or get the file elsewhere", folder)


def test_no_server(folder: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/cifar.tar.gz"
    monkeypatch.setattr(catalogue, "CIFAR10_LAYOUTS", {"binary": replace(layout, url=url)})
    refused("no connection to 127.0.0.1:.* check the network", folder)


@pytest.mark.usefixtures("layout")
def test_folders_that_cannot_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match="cannot be written") as caught:
        download("cifar10", "binary", folder / "file" / "data")
    assert "\n" not in str(caught.value)
    monkeypatch.delenv(DATA_VARIABLE)
    refused("give --folder DIR, or set .* TESTBED_DATA", folder)


def test_without_pooch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    refused(r"the extra 'data': pip install 'semcom-testbed\[data\]'", folder)


def test_kodak_goes_on_where_it_stopped(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {}
    for number in range(1, 25):
        pixels = np.full((4, 6, 3), number, np.uint8)
        file = io.BytesIO()
        PillowImage.fromarray(pixels).save(file, "PNG")
        server.content[f"kodim{number:02d}.png"] = file.getvalue()
        known[f"kodim{number:02d}"] = KodakPicture(
            hashlib.sha256(file.getvalue()).hexdigest(), make_source_image("", pixels).sha256
        )
    for module in (kodak_set, downloading):
        monkeypatch.setattr(module, "kodak_pictures", lambda: known)
    monkeypatch.setattr(catalogue, "KODAK_URL", server.url)
    missing = server.content.pop("kodim05.png")
    with pytest.raises(DownloadError, match=r"kodim05.png: .*404"):
        download("kodak", "binary", None)
    assert len(list((folder / "kodak").iterdir())) == 4
    server.content["kodim05.png"] = missing
    download("kodak", "binary", None)
    assert len(server.requests) == 25
    assert len(load_images("kodak", Path())) == 24
    assert {path.stat().st_mode & 0o777 for path in (folder / "kodak").iterdir()} == {0o644}


# --------------------------------------------------------------------------------- hostile archives


def test_nothing_unexpected_leaves_an_archive(folder: Path, tmp_path: Path) -> None:
    good = {"a": b"good"}
    md5 = {"a": hashlib.md5(b"good").hexdigest()}
    path = folder / "x.tar.gz"

    def archive_refused(content: bytes, match: str) -> None:
        path.write_bytes(content)
        with pytest.raises(ArchiveError, match=match) as caught:
            unpack(path, SERVED_FOLDER, md5)
        assert "\n" not in str(caught.value)
        assert sorted(tmp_path.rglob("*")) == [folder, path]

    def link(kind: bytes, target: str) -> bytes:
        packed_link = io.BytesIO()
        with tarfile.open(fileobj=packed_link, mode="w:gz") as archive:
            member = tarfile.TarInfo(f"{SERVED_FOLDER}/a")
            member.type, member.linkname = kind, target
            archive.addfile(member)
        return packed_link.getvalue()

    inside = f"{SERVED_FOLDER}/a"
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        archive_refused(link(kind, "/etc/passwd"), "found a link")
    archive_refused(packed({inside: b"bad"}), "expected cifar-10-batches-bin/a with md5")
    archive_refused(packed({"../a": b"good", "/tmp/a": b"good", "a": b"good"}), "found none")
    whole = packed({inside: os.urandom(5000)})
    archive_refused(whole[: len(whole) // 2], "cannot be unpacked")
    archive_refused(b"no archive", "cannot be unpacked")

    path.write_bytes(packed({"../evil": b"x", f"{SERVED_FOLDER}/../evil": b"x", inside: b"good"}))
    unpack(path, SERVED_FOLDER, md5)
    assert {each.name for each in (folder / SERVED_FOLDER).iterdir()} == set(good)
    assert not (tmp_path / "evil").exists() and not (folder / "evil").exists()


# ------------------------------------------------------------------------------------- the commands


@pytest.mark.usefixtures("layout")
def test_the_list_says_what_is_where(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert print_sets()
    assert "cifar10_test: not found; `testbed data download cifar10`" in capsys.readouterr().out
    download("cifar10", "binary", None)
    capsys.readouterr()
    assert print_sets()
    out = capsys.readouterr().out
    assert f"{DATA_VARIABLE}: {folder}" in out
    assert f"cifar10_test: 2 pictures; {folder / SERVED_FOLDER}; as published, by md5: test_" in out
    assert "samples32: 30 pictures" in out
    (folder / SERVED_FOLDER / "data_batch_3.bin").write_bytes(b"damaged")
    (folder / "kodak").mkdir()
    assert not print_sets()
    out = capsys.readouterr().out
    assert "cifar10_train: not usable" in out and "data_batch_3.bin is not the official" in out
    assert "kodak: not usable: kodak: expected the 24 pictures" in out


@pytest.mark.usefixtures("layout")
def test_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    asked = ["data", "download", "cifar10", "--folder", str(other)]
    result = CliRunner().invoke(cli.app, asked)
    assert result.exit_code == 0, result.output
    assert f"export {DATA_VARIABLE}={other}" in result.output
    assert (other / SERVED_FOLDER / "test_batch.bin").is_file()
    assert CliRunner().invoke(cli.app, ["data", "list"]).exit_code == 0
    (other / SERVED_FOLDER / "test_batch.bin").write_bytes(b"")
    monkeypatch.setenv(DATA_VARIABLE, str(other))
    assert CliRunner().invoke(cli.app, ["data", "list"]).exit_code == 1
    for arguments, line in (
        (["cifar100"], "expected one of cifar10, kodak; found 'cifar100'"),
        (["cifar10", "--layout", "matlab"], "--layout: expected binary or python, found 'matlab'"),
    ):
        monkeypatch.setattr("sys.argv", ["testbed", "data", "download", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert caught.value.code == 1
        assert capsys.readouterr().err == line + "\n"
