"""`musictasks add` on a real album, from the files to the database and back again."""

from __future__ import annotations

import gc
import re
import shutil
import signal
from pathlib import Path

import pytest
from clikit import (
    ALBUM,
    ARTIST,
    BOOKLET,
    COVER,
    FLAC,
    M4A,
    MP3,
    TARGETS,
    Library,
    copy_album,
    retag,
    run,
    settings_file,
    slow_run,
)
from musictasks.cli import main
from musictasks.intake import plan
from musictasks.library import MusicDatabase
from musictasks.music import open_library
from PIL import Image


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return copy_album(tmp_path / "album")


@pytest.fixture
def add(library, capsys):
    """Adds in this process; returns the exit status and the output."""

    def add(*arguments: object) -> tuple[int, str]:
        status = main(["add", "--config", str(settings_file(library)), *map(str, arguments)])
        return status, capsys.readouterr().out

    return add


def test_album(library, album, capsys):
    """All files are at their place, the songs in the database, with artwork; nothing is left."""
    assert main(["add", "--library", str(library.root), str(album)]) == 0
    output = capsys.readouterr().out
    assert output.endswith("5 files added, 0 there already.\n")
    assert set(library.music) == set(TARGETS.values())
    songs = {row["path"]: row for row in database_of(library).songs(ALBUM)}
    assert set(songs) == {TARGETS[name] for name in (FLAC, MP3, M4A)}
    row = database_of(library).album(ALBUM)
    assert row is not None
    assert (row["numofsongs"], row["release"]) == (3, 2020)
    with Image.open(library.settings.artwork / "500x500" / row["artworkpath"]) as image:
        assert image.size == (500, 500)
    assert library.leftovers == []


def database_of(library: Library) -> MusicDatabase:
    return MusicDatabase(library.settings.database)


def test_again(library, album, add):
    """The second time says what is there already and changes nothing, not even a time stamp."""
    add(album)
    stamps = {path: path.stat().st_mtime_ns for path in library.root.rglob("*") if path.is_file()}
    content = library.content
    status, output = add(album)
    assert status == 0
    assert output.endswith("0 files added, 5 there already.\n")
    assert "nothing to import" in output
    assert library.content == content
    changed = [path for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp]
    assert changed == []


def test_a_caller_who_goes_on_has_its_garbage_collected(album, add):
    """Nothing stays frozen: else each later start of an engine would count all of it."""
    before = gc.get_freeze_count()
    assert add(album)[0] == 0
    assert (before, gc.get_freeze_count()) == (0, 0)


def test_one_file_later(library, album, add):
    """A song that comes later joins its album in the database."""
    add(album / FLAC)
    status, _ = add(album)
    assert status == 0
    assert set(library.music) == set(TARGETS.values())
    row = database_of(library).album(ALBUM)
    assert row is not None
    assert row["numofsongs"] == 3


def test_lost_artwork_and_rows_come_back(library, album, add):
    """What the database or the artwork lacks is made again, without an upload."""
    add(album)
    content = library.content
    shutil.rmtree(library.settings.artwork)
    status, output = add(album)
    assert status == 0
    assert "imported, with artwork" in output
    assert library.content == content


def test_cover_becomes_artwork_where_no_song_has_a_picture(library, album, add):
    """The cover image is the source of the artwork if the songs have none."""
    (album / FLAC).unlink()
    status, output = add(album)
    assert status == 0
    assert "imported and artwork made of the cover" in output
    row = database_of(library).album(ALBUM)
    assert row is not None
    assert row["artworkpath"] != "default.jpg"
    assert library.leftovers == []


def test_album_without_any_picture(library, album, add):
    """Without a picture the album keeps the default artwork, also when it is added again."""
    assert add(album / MP3, album / M4A)[0] == 0
    status, output = add(album / MP3, album / M4A)
    assert status == 0
    assert "nothing to import" in output
    row = database_of(library).album(ALBUM)
    assert row is not None
    assert row["artworkpath"] == "default.jpg"


def test_same_bytes_for_two_paths(library, album, add):
    """Two names of the same bytes are both added, one after the other."""
    shutil.copyfile(album / COVER, album / "back.png")
    status, _ = add(album)
    assert status == 0
    assert set(library.music) == {*TARGETS.values(), f"{ALBUM}/back.png"}
    assert library.leftovers == []


def test_same_song_twice(library, album, add):
    """A copy of a song for the same path is found to be there already."""
    shutil.copyfile(album / MP3, album / "again.mp3")
    status, output = add(album)
    assert status == 0
    assert output.endswith("5 files added, 1 there already.\n")


def test_same_song_twice_in_a_dry_run(library, album, add):
    """A dry run counts a copy as the real run does."""
    shutil.copyfile(album / MP3, album / "again.mp3")
    status, output = add("-n", album)
    assert status == 0
    assert "5 files would be added, 1 are there already, 0 would be refused." in output
    assert ", the same as " in output


@pytest.mark.parametrize(
    ("lines", "reason", "refused"),
    [
        (["[uploads]", "allow="], "uploads are switched off: [uploads] allow is empty", 5),
        (["[uploads]", "allow=artwork"], "[uploads] allow does not name albumfile", 5),
        (["maxuploadsize=63000"], "larger than the 63000 bytes of [tasks] maxuploadsize", 1),
    ],
)
def test_dry_run_tells_what_settings_refuse(library, album, capsys, lines, reason, refused):
    """What the settings do not let in is refused with the reason, in the dry run and the real."""
    config = settings_file(library, *lines)
    dry = main(["add", "-n", "--config", str(config), str(album)]), capsys.readouterr().out
    real = main(["add", "--config", str(config), str(album)]), capsys.readouterr().out
    assert (dry[0], real[0]) == (1, 1)
    assert dry[1].count(reason) == real[1].count(reason) == refused
    assert f"{5 - refused} files would be added, 0 are there already, {refused} would" in dry[1]
    assert real[1].endswith(f"{5 - refused} files added, 0 there already, {refused} refused.\n")


def test_what_is_there_needs_no_upload(library, album, add, capsys):
    """Where uploads are off, what the library has already is no reason for a complaint."""
    assert add(album)[0] == 0
    config = settings_file(library, "[uploads]", "allow=")
    for option in (["-n"], []):
        assert main(["add", *option, "--config", str(config), str(album)]) == 0


def test_links_of_a_folder(library, album, add):
    """A link in a folder is not followed, and named with the reason, in the real run too."""
    (album / "link.txt").symlink_to("/etc/passwd")
    (album / ".hidden").write_bytes(b"x")
    status, output = add("-n", album)
    assert status == 0
    assert "link.txt: a link; left out\n" in output
    assert ".hidden: hidden; left out\n" in output
    status, output = add(album)
    assert status == 0
    assert "link.txt: a link; left out\n" in output
    assert ".hidden" not in output
    assert set(library.music) == set(TARGETS.values())


def test_some_refused(library, album, add):
    """What can be added is added; the exit status tells that not everything was."""
    retag(album / MP3, tracknumber=None)
    status, output = add(album, album / "nothing")
    assert status == 1
    assert "no track number" in output
    assert output.endswith("4 files added, 0 there already, 2 refused.\n")
    assert TARGETS[FLAC] in library.music


def test_nothing_found(library, tmp_path, add):
    """An empty folder is not what anybody asked for."""
    (tmp_path / "empty").mkdir()
    status, output = add(tmp_path / "empty")
    assert (status, output) == (1, "0 files added, 0 there already, nothing was found.\n")
    assert not library.root.exists()


def test_dry_run(library, album, add):
    """A dry run shows every target path and every refusal, and makes nothing."""
    retag(album / MP3, title=None)
    status, output = add("--dry-run", album)
    assert status == 1
    for name in (FLAC, M4A, BOOKLET, COVER):
        assert f"  + {TARGETS[name]}\n" in output
    assert "its tags have no title" in output
    assert "4 files would be added, 0 are there already, 1 would be refused" in output
    assert not library.root.exists()
    retag(album / MP3, title="Ebbe/Flut")
    assert add("-n", album)[0] == 0


def test_names_are_shown_harmlessly(library, album, add):
    """Escape sequences in tags and file names reach neither the terminal nor the library."""
    retag(album / FLAC, title="\x1b]0;title\x07")
    (album / "\x1b[2Jbooklet.pdf").write_bytes(b"%PDF")
    for arguments in (["-n"], []):
        status, output = add(*arguments, album)
        assert status == 0
        assert "\x1b" not in output
        assert "\x07" not in output
    assert not any("\x1b" in name for name in library.music)


def test_ignored_by_the_settings(library, album, capsys):
    """A settings file of MusicDB serves in place of a library's directory."""
    config = settings_file(library, "chunksize=1000")
    text = config.read_text(encoding="utf-8") + "[music]\nignoresongs=booklet.pdf\n"
    config.write_text(text, encoding="utf-8")
    assert main(["add", "--config", str(config), str(album)]) == 0
    assert set(library.music) == set(TARGETS.values()) - {TARGETS[BOOKLET]}


def test_file_that_changes_while_it_is_read(library, album, add, monkeypatch):
    """A file that is another than it was fails by its checksum or length; the rest goes on."""
    plan_first = plan

    def plan_then_change(*arguments, **options):
        plan = plan_first(*arguments, **options)
        data = (album / BOOKLET).read_bytes()
        (album / BOOKLET).write_bytes(data[:-1] + b"!")
        (album / COVER).write_bytes(b"short")
        return plan

    monkeypatch.setattr("musictasks.cli.add.plan", plan_then_change)
    status, output = add(album)
    assert status == 1
    assert "SHA-1" in output
    assert "got shorter" in output
    assert output.endswith("3 files added, 0 there already, 2 failed.\n")
    monkeypatch.undo()
    (album / COVER).write_bytes(b"another one")
    assert add(album)[0] == 0
    assert len(library.music) == 5


def test_directory_in_use(library, album):
    """While another process owns the tasks, `add` says so and changes nothing."""
    engine = open_library(library.settings)
    try:
        status, output, complaints = run("add", "--library", library.root, album, anew=True)
    finally:
        engine.close()
    assert (status, output) == (1, "")
    assert "is in use by process" in complaints
    assert library.music == {}


def test_library_that_cannot_be_made(tmp_path, capsys):
    """The complaint names the directory that could not be made, and why."""
    (tmp_path / "music").mkdir()
    (tmp_path / "file").write_text("in the way")
    config = tmp_path / "musicdb.ini"
    config.write_text("[directories]\nmusic=music\ndata=file/data\n", encoding="utf-8")
    for command in (["scan"], ["import", "--new"]):
        assert main([*command, "--config", str(config)]) == 1
        complaints = capsys.readouterr().err
        assert f"musictasks: {tmp_path}/file/data cannot be made: Not a directory" in complaints


def test_ignored_artist(library, album, capsys):
    """What the settings ignore is refused before anything is uploaded, with the reason."""
    config = settings_file(library, "[music]", f"ignoreartists={ARTIST}")
    assert main(["add", "--config", str(config), str(album)]) == 1
    assert "the ignore lists of the settings name it" in capsys.readouterr().out
    assert list(library.music) == []


def test_album_that_is_not_imported(library, album, capsys):
    """Why an album is not imported follows after one space."""
    (library.root / "music" / ARTIST / "2020 - Über den Wäldern" / "folder").mkdir(parents=True)
    assert main(["add", "--library", str(library.root), str(album)]) == 1
    assert re.search("  ! not imported: [^ ]", capsys.readouterr().out)


def test_no_library_by_accident(album, tmp_path, monkeypatch, capsys):
    """Without a library named, or one in the current directory, none is made."""
    monkeypatch.chdir(tmp_path)
    assert main(["add", str(album)]) == 1
    assert "holds no library" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["album"]
    assert main(["add", "--library", ".", str(album)]) == 0
    assert main(["add", str(album)]) == 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[object, ...]:
    """What a library holds after a run that nothing disturbed."""
    root = tmp_path_factory.mktemp("undisturbed")
    library = Library(root / "library")
    assert (
        main(["add", "--config", str(settings_file(library)), str(copy_album(root / "album"))]) == 0
    )
    return library.content


def in_upload(data: Path) -> bool:
    return any((data / "uploads").glob("*"))


def one_placed(data: Path) -> bool:
    return any((data.parent / "music").glob("*/*/[!.]*"))


def import_begun(data: Path) -> bool:
    return any(b'"album"' in path.read_bytes() for path in (data / "tasks").glob("[!.]*.json"))


def artwork_begun(data: Path) -> bool:
    return any((data / "webdata" / "artwork").glob("*/*Wäldern.jpg"))


@pytest.mark.parametrize("until", [in_upload, one_placed, import_begun, artwork_begun])
def test_killed_and_run_again(library, album, undisturbed, until):
    """A run that is killed at work and run again ends as an undisturbed one."""
    process, config = slow_run(library, album, until)
    with process:
        process.kill()
    assert main(["add", "--config", str(config), str(album)]) == 0
    assert library.content == undisturbed


def test_interrupted(library, album, undisturbed):
    """Ctrl-C stops the engine cleanly, says how to go on, and the same command goes on."""
    # So small that the upload lasts, also where this process gets no time to look.
    process, config = slow_run(library, album, in_upload, chunk_bytes=1)
    with process:
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complaints == "musictasks: interrupted. The same command again goes on where it was.\n"
    settings_file(library)
    assert main(["add", "--config", str(config), str(album)]) == 0
    assert library.content == undisturbed
