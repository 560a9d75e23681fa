"""`musictasks scan` and `import` on a Music Directory with real songs in it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from clikit import ALBUM, BOOKLET, COVER, FLAC, MP3, TARGETS, Library, copy_album, retag, run
from musictasks.cli import main
from musictasks.library import DEFAULT_ARTWORK, MusicDatabase
from musictasks.music import open_library
from musictasks.statemachine import MusicTask, Outcome, Work
from scankit import Shelf
from videokit import make_video

OTHER = "Artist/2001 - Other"

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """A Music Directory with two albums that nobody has imported yet."""
    library = Library(tmp_path / "library")
    copy_album(library.root / "music" / ALBUM, FLAC, MP3, BOOKLET, COVER)
    Shelf(library.root).put(f"{OTHER}/01 Song.mp3")
    return library


@pytest.fixture
def cli(library: Library, capsys) -> Cli:
    """Runs a command in this process; returns exit status, output and complaints."""

    def cli(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main([*map(str, arguments), "--library", str(library.root)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return cli


def database(library: Library) -> MusicDatabase:
    return MusicDatabase(library.settings.database)


def album_paths(library: Library) -> list[str]:
    return [row["path"] for row in database(library).albums()]


def test_scan_of_new_music(library, cli):
    """Each new album is a line with its songs; the end says how many, and what to do next."""
    status, output, complaints = cli("scan")
    assert (status, complaints) == (0, "")
    *lines, summary, advice = output.splitlines()
    assert lines == [f"+ {OTHER}  1 song", f"+ {ALBUM}  2 songs"]
    assert summary.startswith("new: 2 artists, 2 albums, 3 songs; lost: nothing; moved: nothing;")
    assert "musictasks import --new" in advice
    assert library.leftovers == []
    assert album_paths(library) == []


def test_scan_of_what_is_known(library, cli):
    """Where nothing is to be done, it says so in one line."""
    cli("import", "--new")
    status, output, _ = cli("scan")
    assert status == 0
    assert output.splitlines() == [
        "new: nothing; lost: nothing; moved: nothing; skipped: nothing.",
        "The database has what is in the Music Directory, and nothing else.",
    ]


def test_scan_of_changes(library, cli):
    """Moved, lost, new and skipped each have a mark; what moved is not also new and lost."""
    Shelf(library.root).put(f"{OTHER}/02 Lost.mp3", "Gone/2000 - Album/01 Song.mp3")
    cli("import", "--new")
    music = library.root / "music"
    (music / ALBUM).rename(music / "Artist" / "1999 - Moved")
    (music / OTHER / "02 Lost.mp3").unlink()
    (music / OTHER / "01 Song.mp3").rename(music / OTHER / "01 Renamed.mp3")
    shutil.rmtree(music / "Gone")
    Shelf(library.root).put(f"{OTHER}/03 New.mp3", "Artist/loose.mp3", "Artist/2000 - Video.mp4")
    status, output, _ = cli("scan")
    *lines, summary, _, _, _ = output.splitlines()
    assert status == 0
    assert lines[:-1] == [
        "+ Artist/2000 - Video.mp4",
        f"+ {OTHER}/03 New.mp3",
        f"- {OTHER}/02 Lost.mp3",
        "- Gone/2000 - Album  1 song",
        f"> {OTHER}/01 Song.mp3  → {OTHER}/01 Renamed.mp3",
        f"> {ALBUM}  → Artist/1999 - Moved  (2 files)",
    ]
    assert lines[-1].startswith("! Artist/loose.mp3  it has 2 parts")
    assert "(2 of them in albums that are in the database)" in summary


def test_scan_in_a_terminal(library):
    """In a terminal the albums hang below their artists, and the cursor is there again."""
    script = shutil.which("script")
    if script is None:
        pytest.skip("no script(1)")
    command = f"{sys.executable} -m musictasks.cli scan --library {library.root}"
    done = subprocess.run(
        [script, "-qec", command, os.devnull],
        env={**os.environ, "TERM": "xterm", "COLUMNS": "60", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.stdout)
    assert "├── Artist\n│   └── 2001 - Other  1 song\n" in shown
    assert done.stdout.rfind("\x1b[?25h") > done.stdout.rfind("\x1b[?25l")


def test_scan_as_json(library, cli):
    """The documented annotations, and nothing else, go to programs."""
    (library.root / "music" / "Artist" / "1\x7f\x1b.mp3").touch()
    status, output, _ = cli("scan", "--json")
    found = json.loads(output)
    assert status == 0
    assert set(found) == {"newpaths", "lostpaths", "movedpaths", "skippedpaths"}
    assert [album["path"] for album in found["newpaths"]["albums"]] == [OTHER, ALBUM]
    checksums = {song["path"]: song["checksum"] for song in found["newpaths"]["songs"]}
    assert checksums.items() <= library.music.items()
    assert not set(output) & {"\x7f", "\x1b"}


def test_show_of_a_finished_scan(library, cli):
    """What it found stands there as `scan` prints it, once; what a person broke, as it is."""
    with open_library(library.settings) as engine:
        task = engine.scan()
        engine.wait(task.id, "fsscancomplete", timeout=30)
    _, scanned, _ = cli("scan")
    status, output, _ = cli("show", task.id)
    assert status == 0
    assert output.endswith(f"found\n{scanned}")
    assert '"newpaths": ' not in output
    file = library.settings.tasks / f"{task.id}.json"
    file.write_text(file.read_text("utf-8").replace('"movedpaths": []', '"movedpaths": [7]'))
    status, output, _ = cli("show", task.id)
    assert status == 0
    assert '"movedpaths": [7]' in output


def test_scan_of_an_unmounted_directory(library, cli):
    """The reason is a complaint, the status is 1, and no task is left behind."""
    cli("import", "--new")
    (library.root / "music").rename(library.root / "elsewhere")
    for arguments in (["scan"], ["scan", "--json"], ["import", "--new"]):
        status, output, complaints = cli(*arguments)
        assert (status, output) == (1, "")
        assert "is it mounted?" in complaints
    assert library.leftovers == []


def test_scan_goes_on_with_one_that_was_cut_off(library, cli):
    """A scan that an earlier run left behind is taken over, and gone afterwards."""
    engine = open_library(library.settings)
    engine.scan()
    engine.close()
    assert len(library.leftovers) == 1
    status, output, _ = cli("scan")
    assert status == 0
    assert f"+ {ALBUM}  2 songs" in output
    assert library.leftovers == []


def test_scan_that_is_interrupted(library):
    """Ctrl-C in the middle of a large file ends the command with 130, and leaves no task."""
    large = library.root / "music" / OTHER / "02 Large.mp3"
    large.touch()
    os.truncate(large, 2**40)
    program = (
        "import hashlib, os, signal, sys\n"
        "from musictasks.cli import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell may ignore it
        "sha256 = hashlib.sha256\n"
        "class Interrupting:\n"
        "    def __init__(self): self.digest, self.blocks = sha256(), 0\n"
        "    def update(self, data):\n"
        "        self.blocks += 1\n"
        "        if self.blocks == 3: os.kill(os.getpid(), signal.SIGINT)\n"
        "    def hexdigest(self): return self.digest.hexdigest()\n"
        "hashlib.sha256 = Interrupting\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "scan", "--library", str(library.root)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 130, done
    assert "interrupted" in done.stderr
    assert library.leftovers == []


def test_import_of_all_that_is_new(library, cli):
    """Every new album is in the database, with artwork; the second time there is nothing to do."""
    status, output, _ = cli("import", "--new")
    assert status == 0
    assert output.splitlines()[-1] == "2 imported, 0 there already."
    assert f"+ {ALBUM}  imported, with artwork" in output
    assert album_paths(library) == [OTHER, ALBUM]
    assert library.leftovers == []
    content = library.content
    assert cli("import", "--new")[1] == "0 imported, 0 there already.\n"
    assert library.content == content


def test_import_of_new_songs_in_a_known_album(library, cli):
    """`--new` brings in what joined an album, too."""
    cli("import", "--new")
    Shelf(library.root).put(f"{OTHER}/02 New.mp3")
    status, output, _ = cli("import", "--new")
    assert (status, output.splitlines()[-1]) == (0, "1 imported, 0 there already.")
    assert len(database(library).songs(OTHER)) == 2


def test_import_by_path(library, cli, monkeypatch):
    """A path may be the disk's, seen from here, or that in the Music Directory."""
    music = library.root / "music"
    monkeypatch.chdir(music / "Artist")
    for path in (music / ALBUM, f"{music / ALBUM}/", f"../{ALBUM}", ALBUM):
        status, output, _ = cli("import", path, OTHER, "2001 - Other")
        assert status == 0, output
        assert output.count(OTHER) == 1
        assert output.count(ALBUM) == 1
    assert output.splitlines()[-1] == "0 imported, 2 there already."
    assert album_paths(library) == [OTHER, ALBUM]
    assert library.leftovers == []


def test_import_makes_artwork_of_a_cover(library, cli):
    """Where no song has a picture, the cover image beside them is taken, as by `add`."""
    (library.root / "music" / TARGETS[FLAC].replace("01 Morgenröte", "01 Morgenroete")).unlink()
    status, output, _ = cli("import", ALBUM)
    assert status == 0
    assert "artwork made of the cover" in output
    row = database(library).album(ALBUM)
    assert row is not None
    assert row["artworkpath"] != DEFAULT_ARTWORK


def as_version_0_1_0_wrote(library: Library) -> None:
    with closing(sqlite3.connect(library.settings.database)) as connection, connection:
        connection.execute("UPDATE songs SET bitrate = round(bitrate / 1000.0), likes = 5")


def test_bitrates_of_an_earlier_version(library, cli):
    """`check` lists them, with what to do; that mends them, and nothing else."""
    cli("import", "--new")
    assert cli("check")[0] == 0
    as_version_0_1_0_wrote(library)
    before = library.rows
    status, output, _ = cli("check")
    assert status == 1
    assert output.count("bitrate in kbit/s  ") == 3
    assert f"bitrate in kbit/s  {OTHER}/01 Song.mp3\n{19 * ' '}96, and the file has " in output
    assert library.rows == before
    commands = [line.strip() for line in output.splitlines() if "musictasks import" in line]
    assert commands == [f"musictasks import '{album}'" for album in (OTHER, ALBUM)]

    for command in commands:
        status, output, _ = cli(*shlex.split(command)[1:])
        assert (status, output.splitlines()[-1]) == (0, "1 imported, 0 there already.")

    assert cli("check")[0] == 0
    after = library.rows
    songs = [dict(enumerate(row)) for row in after["songs"]]
    assert sorted(row.pop(9) for row in songs) == [95999, 95999, 110205]
    assert [{**dict(enumerate(row))} | {9: None} for row in before["songs"]] == [
        row | {9: None} for row in songs
    ]
    assert {**after, "songs": None} == {**before, "songs": None}
    assert cli("import", OTHER, ALBUM)[1].endswith("0 imported, 2 there already.\n")


def test_check_beside_songs_that_cannot_be_compared(library, cli):
    """Without the Music Directory nothing is listed; a database that cannot be read is told of."""
    cli("import", "--new")
    as_version_0_1_0_wrote(library)
    (library.root / "music").rename(library.root / "elsewhere")
    assert cli("check")[0] == 0
    library.settings.database.write_bytes(b"no database" * 1000)
    status, output, _ = cli("check")
    assert status == 1
    assert str(library.settings.database) in output
    library.settings.database.unlink()
    assert cli("check")[0] == 0


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("Nobody", "no such artist"),
        ("Empty Artist", "no album and no video"),
        ("Artist/2020 - Missing", "no such album"),
        ("/etc/passwd", "not in the Music Directory"),
        ("../data/tasks", "not in the Music Directory"),
        ("", "the whole Music Directory"),
        (".", "the whole Music Directory"),
        (f"{OTHER}/01 Song.mp3", "with its album"),
        ("Artist/2020 - Missing.mp4", "no such video"),
        ("Artist/2020 - Empty", "no song"),
    ],
)
def test_import_of_what_is_none(library, cli, path, reason):
    """It is refused with the reason and status 1; what else was named is imported."""
    (library.root / "music" / "Artist" / "2020 - Empty").mkdir()
    (library.root / "music" / "Empty Artist").mkdir()
    status, output, _ = cli("import", path, OTHER)
    assert status == 1
    (refusal,) = [line for line in output.splitlines() if line.startswith("!")]
    assert reason in refusal
    assert output.endswith("1 imported, 0 there already, 1 refused.\n")
    assert album_paths(library) == [OTHER]


def test_import_of_an_artist(library, cli):
    """All albums and videos of the artist; what is none of them is refused by its own name."""
    music = library.root / "music"
    (music / "Artist" / "1990 - Empty").mkdir()
    (music / "Artist" / "1991 - Other things").touch()
    (music / "Artist" / "1992 - Video.mp4").write_bytes(b"no video")
    Shelf(library.root).put("Another/2020 - Album/01 Song.mp3")
    status, output, _ = cli("import", music / "Artist")
    assert status == 1
    lines = output.splitlines()
    assert "! Artist/1990 - Empty  there is no song in it" in lines
    assert [line.split("  ")[0] for line in lines if "1992 - Video" in line] == [
        "! Artist/1992 - Video.mp4"
    ]
    assert lines[-1] == "1 imported, 0 there already, 1 failed, 1 refused."
    assert album_paths(library) == [OTHER]


def test_import_names_what_is_wrong_in_an_album(library, cli):
    """A directory, a link or a pipe in it stands in the line with its path."""
    music = library.root / "music"
    for number, make in enumerate((Path.mkdir, lambda path: path.symlink_to("x"), os.mkfifo)):
        shutil.copytree(music / OTHER, music / "Artist" / f"200{number} - Odd")
        make(music / "Artist" / f"200{number} - Odd" / "odd thing")
    paths = [f"Artist/200{number} - Odd" for number in range(3)]
    status, output, _ = cli("import", *paths)
    assert status == 1
    for path in paths:
        assert f"! {path}  {path}/odd thing: an album directory holds files only" in output


def test_import_of_a_song_with_another_name(library, cli):
    """What was renamed within its album was moved from nowhere else."""
    cli("import", "--new")
    (library.root / "music" / OTHER / "01 Song.mp3").rename(
        library.root / "music" / OTHER / "01 Renamed.mp3"
    )
    status, output, _ = cli("import", "--new")
    assert (status, "moved from" in output) == (0, False)
    assert f"+ {OTHER}  imported" in output


def test_import_of_a_broken_song(library, cli):
    """An album with a song that cannot be read fails by name; the others are imported."""
    (library.root / "music" / OTHER / "02 Broken.mp3").write_bytes(b"no music")
    status, output, _ = cli("import", "--new")
    assert status == 1
    assert f"! {OTHER}  {OTHER}/02 Broken.mp3: " in output
    assert output.endswith("1 imported, 0 there already, 1 failed.\n")
    assert album_paths(library) == [ALBUM]


def test_moved_songs_with_other_tags(library, cli):
    """They are moved as the others are, and the line counts them."""
    cli("import", "--new")
    place = library.root / "music" / "Artist" / "1999 - Moved"
    (library.root / "music" / ALBUM).rename(place)
    retag(place / MP3, title="Another title")
    status, output, _ = cli("scan")
    line = f"> {ALBUM}  → Artist/1999 - Moved  (2 files, 1 with other tags)"
    assert (status, line in output.splitlines()) == (0, True)


def test_import_of_a_moved_album(library, cli):
    """It is imported as a new one, and the line says whose rows stay."""
    cli("import", "--new")
    music = library.root / "music"
    (music / OTHER).rename(music / "Artist" / "2002 - Moved")
    status, output, _ = cli("import", "--new")
    assert status == 0
    assert f"moved from {OTHER}, which stays in the database" in output
    assert album_paths(library) == [OTHER, "Artist/2002 - Moved", ALBUM]


def test_import_of_a_video(library, cli):
    """By path or as new, with frames; again it is there, and its picture stays."""
    path = "Artist/2020 - Clip.mp4"
    (library.root / "music" / path).write_bytes(make_video())
    assert f"+ {path}" in cli("scan")[1]
    status, output, _ = cli("import", "--new")
    assert status == 0
    assert f"+ {path}  imported, with frames" in output
    row = database(library).video(path)
    assert row is not None
    assert (library.settings.video_frames_root / row["framesdirectory"]).is_dir()
    status, output, _ = cli("import", library.root / "music" / path)
    assert (status, output.splitlines()) == (
        0,
        [f"= {path}  is there already", "0 imported, 1 there already."],
    )
    assert database(library).video(path) == row
    assert library.leftovers == []


def test_import_goes_on_with_what_was_cut_off(library, cli):
    """An import that an earlier run began is no longer new to a scan, and is waited for."""
    path = "Artist/2020 - Clip.mp4"
    (library.root / "music" / path).write_bytes(make_video())

    def until_it_is_stopped(task: MusicTask, work: Work) -> Outcome:
        while True:
            work.check()
            time.sleep(0.01)

    handlers = {"artwork import": until_it_is_stopped}
    with open_library(library.settings, handlers=handlers) as engine:
        task = engine.import_music("video", path, with_artwork=True)
        engine.wait(task.id, "importingartwork", 30)
    assert len(library.leftovers) == 1
    status, output, _ = cli("import", "--new")
    assert status == 0
    assert f"{path}  " in output  # how far it was by then is a matter of chance
    row = database(library).video(path)
    assert row is not None
    assert row["previewfile"] == "preview.webp"
    assert library.leftovers == []


def test_import_of_nothing(cli):
    """Without a path and without --new it is wrong usage."""
    status, output, complaints = cli("import")
    assert (status, output) == (2, "")
    assert "--new" in complaints


def test_both_need_the_tasks_for_themselves(library, cli):
    """While another program has them, it is named, and nothing is done."""
    with open_library(library.settings):
        for arguments in (["scan"], ["import", "--new"]):
            status, output, complaints = cli(*arguments)
            assert (status, output) == (1, "")
            assert "is in use by process" in complaints


def test_no_library_is_made_without_music(tmp_path: Path):
    """A directory that was named, but holds no music, is no library, and stays as it is."""
    for command in (["scan"], ["import", "--new"]):
        status, _, complaints = run(*command, "--library", tmp_path)
        assert status == 1
        assert "holds no library" in complaints
    assert list(tmp_path.iterdir()) == []
