"""`musictasks watch` as a process, and real programs that put music into its inbox."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import inboxmount
import pytest
from archivekit import album_files, make_zip
from clikit import TARGETS, Library, copy_album, retag, run
from inboxkit import PATIENCE_S, wait_until, watching
from musictasks.errors import ExtraMissing
from musictasks.intake.inbox_events import Events


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    path = tmp_path / "inbox"
    path.mkdir()
    return path


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return copy_album(tmp_path / "elsewhere" / "Album")


def brought_in(library: Library, inbox: Path) -> None:
    """Waits until the sample album is in the library, and the inbox empty."""
    wait_until(lambda: not any(inbox.iterdir()), f"{list(inbox.rglob('*'))} stays")
    assert set(library.music) == set(TARGETS.values())
    assert len(library.rows["songs"]) == 3
    # What saves have left over goes when the engine is closed, some moments after the last task.
    wait_until(lambda: library.leftovers == [], "something is left over")


def put(*command: object) -> None:
    subprocess.run(list(map(str, command)), check=True, timeout=PATIENCE_S)


@pytest.mark.parametrize("how", ["mv", "cp", "rsync"])
def test_an_album_that_is_put_there(library: Library, inbox: Path, album: Path, how: str) -> None:
    """rsync writes slowly, each file under a hidden name, and the times at the end."""
    if shutil.which(how) is None:
        pytest.skip(f"there is no {how} here")
    with watching(inbox, library.root) as process:
        if how == "mv":
            put("mv", album, inbox)
        elif how == "cp":
            put("cp", "-r", album, inbox)
        else:
            put("rsync", "-a", "--bwlimit=50", album, inbox)
        brought_in(library, inbox)
        assert process.poll() is None


def test_a_browsers_download_and_a_zip_that_grows(
    library: Library, inbox: Path, tmp_path: Path
) -> None:
    """Both for longer than the time after which something counts as standing still."""
    data = make_zip(album_files())
    song = retag(copy_album(tmp_path / "song", "02 Ebbe-Flut.mp3") / "02 Ebbe-Flut.mp3", album="B")
    part = inbox / "song.mp3.crdownload"
    with watching(inbox, library.root), (inbox / "Album.zip").open("wb", buffering=0) as growing:
        part.write_bytes(song.read_bytes())
        for number in range(4):
            growing.write(data[number * 40_000 : (number + 1) * 40_000])
            time.sleep(1)
        growing.write(data[160_000:])
        assert library.root.exists() is False
        growing.close()
        part.rename(inbox / "song.mp3")
        wait_until(lambda: not any(inbox.iterdir()), f"{list(inbox.rglob('*'))} stays")
    assert len(library.rows["songs"]) == 4


def test_it_ends_with_sigterm_and_with_ctrl_c(library: Library, inbox: Path) -> None:
    """Status 0; what it waits for is nothing that holds it up."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with watching(inbox, library.root) as process:
            process.send_signal(number)
            output, complaints = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0
            assert output.endswith("stopped\n")
            assert complaints == ""


def test_it_waits_for_an_inbox_that_is_renamed_and_comes_back(
    library: Library, inbox: Path, album: Path, tmp_path: Path
) -> None:
    with watching(inbox, library.root) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        next(line for line in lines if line.startswith("Ctrl-C"))
        away = inbox.rename(tmp_path / "away")
        assert any("it is not there" in line for line in lines)
        put("cp", "-r", album, away)
        away.rename(inbox)
        assert any("is there" in line for line in lines)
        brought_in(library, inbox)


def test_it_waits_for_a_disk_that_is_unmounted(tmp_path: Path) -> None:
    """What is put into the place of the disk meanwhile is none of the inbox."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare to mount a tmpfs with")
    trial = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if subprocess.run(trial, capture_output=True, check=False).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    ended = subprocess.run(
        ["unshare", "-Urm", sys.executable, inboxmount.__file__, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout)
    assert seen["status"] == 0
    assert seen["beside"] == len(TARGETS)


def test_once_brings_in_what_is_there_and_says_how_that_ended(
    library: Library, inbox: Path, album: Path
) -> None:
    shutil.copytree(album, inbox / "Album")
    (inbox / "other.zip.part").write_bytes(b"part")
    once = ("watch", inbox, "--once", "--settle", "0", "--library", library.root)
    status, output, complaints = run(*once)
    assert (status, complaints) == (0, "")
    assert output.splitlines()[-1] == "1 brought in, 1 still coming in."
    (inbox / "broken.zip").write_bytes(b"broken")
    status, output, _ = run(*once)
    assert status == 1
    assert output.splitlines()[-1] == "0 brought in, 1 refused, 1 still coming in."
    assert (inbox / "refused" / "broken.zip").is_file()


def test_once_needs_the_inbox_and_a_library_that_is_free(
    library: Library, tmp_path: Path, album: Path
) -> None:
    once = ("watch", album.parent, "--once", "--settle", "0", "--library", library.root)
    status, _, complaints = run("watch", tmp_path / "none", *once[2:])
    assert status == 1
    assert "it is not there" in complaints
    status, _, complaints = run("watch", library.root, *once[2:])
    assert status == 2
    assert "have to lie beside each other" in complaints
    with watching(tmp_path / "nothing", library.root):
        pass
    from musictasks.music import open_library

    with open_library(library.settings):
        status, output, _ = run(*once)
    assert status == 1
    assert "in use" in output
    assert len(list(album.iterdir())) == len(TARGETS)


def test_without_watchfiles_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ExtraMissing, match=r"musictasks\[watch\]"):
        Events(tmp_path).listen(None)


def test_where_the_system_tells_nothing_it_can_be_polled(
    library: Library, inbox: Path, album: Path
) -> None:
    with watching(inbox, library.root, "--poll"):
        put("cp", "-r", album, inbox)
        brought_in(library, inbox)


@pytest.mark.long
def test_a_zip_that_grows_for_30_seconds(library: Library, inbox: Path, tmp_path: Path) -> None:
    """Written in parts, each by another process, so that nobody has it open in between."""
    source = tmp_path / "Album.zip"
    source.write_bytes(make_zip(album_files()))
    size = source.stat().st_size
    with watching(inbox, library.root, "--settle", "8"):
        for at in range(30):
            block = size // 30 + 1
            put("dd", f"if={source}", f"of={inbox / 'Album.zip'}", f"bs={block}", f"skip={at}",
                f"seek={at}", "count=1", "conv=notrunc", "status=none")  # fmt: skip
            assert not library.root.exists()
            time.sleep(1)
        brought_in(library, inbox)


def make_albums(directory: Path, number: int) -> None:
    """Albums of one song each, of a hundred artists."""
    song = copy_album(directory, "02 Ebbe-Flut.mp3") / "02 Ebbe-Flut.mp3"
    for one in range(number):
        retag(song, artist=f"Artist {one % 100}", album=f"Album {one}")
        (directory / "albums" / f"Album {one}").mkdir(parents=True)
        shutil.copyfile(song, directory / "albums" / f"Album {one}" / "song.mp3")


@pytest.mark.parametrize("number", [20, pytest.param(500, marks=pytest.mark.long)])
def test_many_albums_at_once(library: Library, tmp_path: Path, number: int) -> None:
    inbox = tmp_path / "inbox"
    make_albums(tmp_path / "made", number)
    (tmp_path / "made" / "albums").rename(inbox)
    log = tmp_path / "log"
    with log.open("w") as output:
        command = ["watch", inbox, "--once", "--settle", "0", "--library", library.root]
        done = subprocess.run(
            [sys.executable, "-m", "musictasks", *map(str, command)],
            stdout=output,
            check=False,
            timeout=20 * PATIENCE_S,
        )
    assert done.returncode == 0
    assert list(inbox.iterdir()) == []
    assert len(library.rows["albums"]) == len(library.rows["songs"]) == number
    assert len(library.music) == number
    assert library.leftovers == []
