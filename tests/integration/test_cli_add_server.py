"""`musictasks add --server`: an album goes to a server elsewhere, whatever breaks on the way."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from archivekit import album_files, make_zip
from clikit import ALBUM, TARGETS, Library, copy_album, files_in
from damagingwire import DamagingWire
from musictasks.cli import main
from musictasks.library import MusicDatabase
from serverkit import TOKEN, Served, ServerProcess, served_library, wait_until


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with served_library(tmp_path / "served", token=TOKEN) as served:
        yield served


@pytest.fixture
def add(served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Adds to the server in this process; returns the exit status and the output."""
    monkeypatch.setenv("MUSICTASKS_TOKEN", TOKEN)

    def add(*arguments: object, url: str = served.url) -> tuple[int, str]:
        status = main(["add", "--server", url, *map(str, arguments)])
        return status, capsys.readouterr().out

    return add


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return copy_album(tmp_path / "album")


def local(tmp_path: Path, *paths: Path) -> dict[str, str]:
    """What an `add` without a server makes of it."""
    library = Library(tmp_path / "local")
    assert main(["add", "--library", str(library.root), *map(str, paths)]) == 0
    return files_in(library.root / "music")


def test_a_server_gets_what_a_library_here_would_get(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    """The same files at the same paths, imported, with artwork; once more changes nothing."""
    for _ in range(2):
        status, output = add(album)
        assert (status, output.splitlines()[-1]) == (0, "5 files sent.")
        assert files_in(tmp_path / "served/music") == local(tmp_path, album)
    database = MusicDatabase(Library(tmp_path / "served").settings.database)
    assert len(database.songs(ALBUM)) == 3
    found = database.album(ALBUM)
    assert found is not None
    assert found["artworkpath"] != "default.jpg"


def test_an_archive_is_unpacked_there(served: Served, add: Callable[..., Any], tmp_path: Path):
    """Its songs say where it goes, or the one who adds it."""
    (tmp_path / "album.zip").write_bytes(make_zip(album_files()))
    assert add(tmp_path / "album.zip", "--album", "Another", "--year", 1999)[0] == 0
    artist = ALBUM.partition("/")[0]
    assert (tmp_path / "served/music" / artist / "1999 - Another").is_dir()


def test_nothing_is_sent_by_a_dry_run(served: Served, add: Callable[..., Any], album: Path):
    status, output = add(album, "--dry-run", url="http://127.0.0.1:1")
    assert status == 0
    assert all(target in output for target in TARGETS.values())
    assert served.engine.tasks() == []


def test_a_damaged_chunk_is_sent_again(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    with DamagingWire(served.port, at=30_000) as wire:
        assert add(album, url=f"http://127.0.0.1:{wire.port}")[0] == 0
        assert wire.damaged == 1
    assert files_in(tmp_path / "served/music") == local(tmp_path, album)


def test_without_the_token_it_says_so(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    (tmp_path / "token").write_text("not the token\n")
    status, output = add(album, "--token-file", tmp_path / "token")
    assert status == 1
    assert "this needs the server's token" in output
    assert served.engine.tasks() == []


def test_what_is_in_its_place_is_not_overwritten(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    """The others come in, and it is said what stands there."""
    there = tmp_path / "served/music" / TARGETS["booklet.pdf"]
    there.parent.mkdir(parents=True)
    there.write_bytes(b"another booklet")
    status, output = add(album)
    assert status == 1
    assert "4 files sent, 1 failed." in output
    assert there.read_bytes() == b"another booklet"


@pytest.mark.parametrize("url", ["music.example", "ftp://x", "http://", "http://x:port"])
def test_what_is_no_address_is_refused(url: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["add", "--server", url, "x"])
    assert "is no address" in capsys.readouterr().err


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=pytest.mark.long)])
def test_it_goes_on_whatever_is_killed(album: Path, tmp_path: Path, kills: int):
    """The command once, the server more often: the library is that of an undisturbed run."""
    (booklet,) = album.glob("*.pdf")
    booklet.write_bytes(booklet.read_bytes() + random.Random(1).randbytes(20_000_000))
    expected = local(tmp_path, album)
    root = tmp_path / "served"
    with ServerProcess(root) as server:
        command = [sys.executable, "-m", "musictasks.cli", "add", "--server", server.url]
        first = subprocess.Popen([*command, str(album)], stdout=subprocess.PIPE)
        wait_until(lambda: large_upload(root) > 4_000_000)
        first.kill()
        first.communicate()
        second = subprocess.Popen([*command, str(album)], stdout=subprocess.PIPE, text=True)
        for _ in range(kills):
            server.kill()
            server.start()
        output, _ = second.communicate(timeout=100)
    assert second.returncode == 0, output
    assert files_in(root / "music") == expected


def large_upload(root: Path) -> int:
    sizes = [path.stat().st_size for path in (root / "data/uploads").glob("*/albumfile-*.pdf")]
    return max(sizes, default=0)
