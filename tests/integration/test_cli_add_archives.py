"""`musictasks add` on albums in archives: into the library as a folder would be, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from archivekit import album_files, make_tar, make_zip
from clikit import (
    ALBUM,
    BOOKLET,
    FLAC,
    M4A,
    MP3,
    TARGETS,
    Library,
    copy_album,
    retag,
    settings_file,
    slow_run,
)
from enginekit import upload, wait_gone
from musictasks.cli import main
from musictasks.intake import Result
from musictasks.intake.archive_job import ArchiveJob
from musictasks.intake.archives import Taken
from musictasks.intake.planner import make_plan
from musictasks.intake.session import Session
from musictasks.library import MusicDatabase
from musictasks.music import open_library, read_tasks

Add = Callable[..., tuple[int, str]]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "Album.zip"
    path.write_bytes(make_zip(album_files()))
    return path


@pytest.fixture
def add(library: Library, capsys: pytest.CaptureFixture[str]) -> Add:
    """Adds in this process; returns the exit status and the output."""

    def add(*arguments: object) -> tuple[int, str]:
        status = main(["add", "--config", str(settings_file(library)), *map(str, arguments)])
        return status, capsys.readouterr().out

    return add


@pytest.fixture(scope="module")
def from_a_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """What a library holds that the same album was added to as a folder."""
    root = tmp_path_factory.mktemp("folder")
    library = Library(root / "library")
    assert (
        main(["add", "--config", str(settings_file(library)), str(copy_album(root / "album"))]) == 0
    )
    return library.content


@pytest.mark.parametrize("name", ["Album.zip", "Album.tar.gz", "Album.TXZ"])
def test_as_a_folder(
    library: Library, tmp_path: Path, add: Add, from_a_folder: tuple[object, ...], name: str
) -> None:
    """One upload, and the library is what it would be; nothing else is left."""
    mode = {"gz": "w:gz", "XZ": "w:xz"}.get(name[-2:])
    data = make_tar(album_files(), mode) if mode else make_zip(album_files())
    (tmp_path / name).write_bytes(data)
    status, output = add(tmp_path / name)
    assert status == 0
    assert output.startswith(f"{ALBUM}\n  + {name} ")
    assert output.endswith("  + imported, with artwork\n1 file added, 0 there already.\n")
    assert library.content == from_a_folder


def test_again(library: Library, archive: Path, add: Add) -> None:
    """The second time, or as another archive, it is there already; nothing is changed."""
    add(archive)
    content = library.content
    tar = archive.with_name("Album.tar")
    tar.write_bytes(make_tar(album_files()))
    for path in (archive, tar):
        status, output = add(path)
        assert status == 0
        assert "is there already\n  = nothing to import\n" in output
        assert output.endswith("0 files added, 1 there already.\n")
        assert library.content == content


def test_a_copy(library: Library, archive: Path, add: Add) -> None:
    """The same archive twice in one run is added once; a dry run counts alike."""
    copy = archive.with_name("copy.zip")
    copy.write_bytes(archive.read_bytes())
    status, output = add("-n", archive, copy)
    assert status == 0
    assert "1 file would be added, 1 are there already, 0 would be refused." in output
    status, output = add(archive, copy)
    assert status == 0
    assert output.endswith("1 file added, 1 there already.\n")
    assert library.leftovers == []


def test_cover_of_an_archive(library: Library, tmp_path: Path, add: Add) -> None:
    """Without a picture in a song the cover becomes the artwork, as in a folder."""
    files = {name: data for name, data in album_files().items() if FLAC not in name}
    (tmp_path / "a.zip").write_bytes(make_zip(files))
    status, output = add(tmp_path / "a.zip")
    assert status == 0
    assert "imported and artwork made of the cover" in output


def test_dry_run(library: Library, archive: Path, add: Add) -> None:
    """It shows the path of each file inside, and makes nothing; later what is there."""
    status, output = add("--dry-run", archive)
    assert status == 0
    for name, target in TARGETS.items():
        assert f"  + {target}\n      from Album/{name} in " in output
    assert "1 file would be added, 0 are there already, 0 would be refused." in output
    assert not library.root.exists()
    add(archive)
    status, output = add("--dry-run", archive)
    assert status == 0
    assert f"  = {TARGETS[BOOKLET]}\n" in output
    assert "0 files would be added, 1 are there already" in output


def test_what_is_given(library: Library, archive: Path, add: Add) -> None:
    """Artist, album and year count more than what the songs say."""
    assert add(archive, "--artist", "AC/DC", "--year", 1975)[0] == 0
    assert {name.rpartition("/")[0] for name in library.music} == {"AC∕DC/1975 - Über den Wäldern"}
    assert add(archive, "--artist", "A", "--album", "B", "--year", 2000)[0] == 0
    assert f"A/2000 - B/{TARGETS[MP3].rpartition('/')[2]}" in library.music
    assert library.leftovers == []


def test_songs_that_do_not_agree(library: Library, tmp_path: Path, add: Add) -> None:
    """What to give is said, by both runs; with it the upload that waits goes on."""
    song = retag(copy_album(tmp_path / "song", M4A) / M4A, date="1999")
    archive = tmp_path / "a.zip"
    archive.write_bytes(make_zip({**album_files(), f"Album/{M4A}": song.read_bytes()}))
    reason = "its songs have no year in common: give --year"
    for option in (["-n"], [], []):
        status, output = add(archive, *option)
        assert status == 1
        assert reason in output
    (task,) = read_tasks(library.settings).tasks
    assert f"{reason} (task {task.id}, readyforintegration)" in output
    assert library.music == {}
    status, output = add(archive, "--year", 2020)
    assert status == 0
    assert len(library.music) == len(TARGETS)
    assert library.leftovers == []


def test_an_album_with_other_files(library: Library, archive: Path, add: Add) -> None:
    """It is named and untouched; once it is away, the same command goes on."""
    there = library.root / "music" / ALBUM / "01 Song.flac"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"another song")
    for option, reason in (
        (["-n"], f"the album is there with other files, and is never overwritten: {ALBUM}"),
        ([], f"{ALBUM} exists already with other content"),
    ):
        status, output = add(archive, *option)
        assert status == 1
        assert reason in output
    assert list(library.music) == [f"{ALBUM}/01 Song.flac"]
    assert MusicDatabase(library.settings.database).albums() == []
    there.unlink()
    there.parent.rmdir()
    assert add(archive)[0] == 0
    assert set(library.music) == set(TARGETS.values())
    assert library.leftovers == []


def test_limits_that_were_raised(
    library: Library, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the settings refused is sent again by the next run, and let in by other settings."""
    few = settings_file(library, "archivefiles = 2")
    for _ in range(2):
        assert main(["add", str(archive), "--config", str(few)]) == 1
        assert "more than 2 files" in capsys.readouterr().out
    assert main(["add", str(archive), "--library", str(library.root)]) == 0
    assert library.leftovers == []


def test_what_is_no_album(library: Library, tmp_path: Path, add: Add) -> None:
    """The reason is said, and nothing is in the library; the rest of the run goes on."""
    (tmp_path / "bad.zip").write_bytes(make_zip({"a.txt": b"text"}))
    album = copy_album(tmp_path / "album", BOOKLET, MP3)
    status, output = add(tmp_path / "bad.zip", album)
    assert status == 1
    assert "there is no song in it" in output
    assert output.endswith("2 files added, 0 there already, 1 failed.\n")
    assert set(library.music) == {TARGETS[BOOKLET], TARGETS[MP3]}


def test_where_other_files_go(library: Library, archive: Path, tmp_path: Path, add: Add) -> None:
    """An archive never mixes with files or another archive of the run."""
    album = copy_album(tmp_path / "album", BOOKLET, MP3)
    status, output = add(archive, album)
    assert status == 1
    assert f"other files go to the same album, {ALBUM}" in output
    assert set(library.music) == {TARGETS[BOOKLET], TARGETS[MP3]}


def test_an_upload_of_somebody_else(library: Library, archive: Path, add: Add) -> None:
    """One with the same bytes that waits is taken over, wherever it is."""
    data = archive.read_bytes()
    with open_library(library.settings) as engine:
        task = upload(engine, data, 400_000, content_type="album", mime_type=None)
        engine.wait(task.id, "readyforintegration", 30)
    assert add(archive)[0] == 0
    assert set(library.music) == set(TARGETS.values())
    assert library.leftovers == []


def test_a_failed_upload_of_the_album_stays(library: Library, archive: Path, add: Add) -> None:
    """It is no import: adding the album as a folder leaves it for a look or a retry."""
    (library.root / "music" / ALBUM).mkdir(parents=True)
    assert add(archive)[0] == 1
    assert add(copy_album(archive.parent / "album"))[0] == 0
    assert [task.state for task in read_tasks(library.settings).tasks] == ["integrationfailed"]


def test_a_task_that_is_removed_meanwhile(library: Library, archive: Path) -> None:
    """The album is not there then, and that is said."""
    (planned,) = make_plan([archive], library.settings).archives
    with open_library(library.settings) as engine:
        job = ArchiveJob(Session(engine), planned, Taken({}))
        assert job.step()
        assert job.task is not None
        engine.remove(job.task.id)
        wait_gone(engine, job.task.id)
        assert job.step()
        assert job.result is Result.FAILED
        assert "was removed before the album was at its place" in str(job.reason)
        assert job.album is None


def in_upload(data: Path) -> bool:
    return any((data / "uploads").glob("*"))


def unpacking(data: Path) -> bool:
    return any((data / "uploads").glob("*.preprocessed/*"))


def assembling(data: Path) -> bool:
    return any((data.parent / "music").glob("*/.*.tmp/*"))


def placed(data: Path) -> bool:
    return any((data.parent / "music").glob("*/[!.]*/*"))


def import_begun(data: Path) -> bool:
    paths = (data / "tasks").glob("[!.]*.json")
    return any(b'"importingmusic"' in path.read_bytes() for path in paths)


@pytest.mark.parametrize("until", [in_upload, unpacking, assembling, placed, import_begun])
def test_killed_and_run_again(
    library: Library, archive: Path, from_a_folder: tuple[object, ...], until: Callable[..., bool]
) -> None:
    """A run that is killed at work and run again ends as an undisturbed one."""
    process, config = slow_run(library, archive, until)
    with process:
        process.kill()
    assert main(["add", "--config", str(config), str(archive)]) == 0
    assert library.content == from_a_folder


def test_uploads_are_off(
    library: Library, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan refuses what the settings do not let in, in both runs."""
    config = settings_file(library, "[uploads]", "allow=albumfile")
    for option in (["-n"], []):
        assert main(["add", *option, "--config", str(config), str(archive)]) == 1
        assert "[uploads] allow does not name album\n" in capsys.readouterr().out


def test_two_spellings_of_one_new_artist_are_one_also_in_archives_beside_each_other(
    add: Add, library: Library, tmp_path: Path
) -> None:
    """None of them is in the library when the others get their place."""
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    for number, artist in enumerate(("Pink Floyd", "pink floyd", "PINK FLOYD")):
        song = copy_album(tmp_path / f"{number}", FLAC) / FLAC
        retag(song, artist=artist, albumartist=None, album=f"Album {number}")
        (downloads / f"{number}.zip").write_bytes(make_zip({FLAC: song.read_bytes()}))
    retag(copy_album(downloads, FLAC) / FLAC, artist="Pink floyd", albumartist=None)
    assert add(downloads)[0] == 0
    assert len(library.music) == 4
    assert {path.partition("/")[0] for path in library.music} == {"Pink floyd"}
