"""An inbox in a process of the test's, which turns the clock: what is taken, what leaves, when."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from archivekit import album_files, make_zip
from attrs import define
from clikit import BOOKLET, COVER, FLAC, MP3, TARGETS, Library, copy_album, retag
from inboxkit import Desk
from musictasks.errors import SettingsError
from musictasks.files import Effects, using
from musictasks.intake import Batch, Inbox, Plan, Silent, What, inbox_round, planner
from musictasks.music import open_library
from videokit import make_video

PAGE = (Path(__file__).parents[2] / "docs" / "inbox.md").read_text(encoding="utf-8")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="macOS gives no leases")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return copy_album(tmp_path / "outside")


def whole(library: Library) -> bool:
    """Whether the sample album is there, and in the database."""
    return set(library.music) == set(TARGETS.values()) and len(library.rows["songs"]) == 3


def test_the_program_of_the_page_runs(tmp_path: Path) -> None:
    """docs/inbox.md says what it prints."""
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("done Album 5 added\n")


# -- when it is taken -----------------------------------------------------------------------------


def test_an_album_is_taken_when_it_has_stood_still_and_leaves_the_inbox(desk: Desk) -> None:
    copy_album(desk.path / "Album")
    assert not desk.pass_by(9)
    assert desk.pass_by(1)
    assert whole(desk.library)
    assert list(desk.path.iterdir()) == []
    assert desk.told(What.DONE) == {"Album": "5 added"}


def test_an_archive_a_single_song_and_a_clip_are_taken_as_what_they_are(desk: Desk) -> None:
    (desk.path / "Album.zip").write_bytes(make_zip(album_files()))
    song = copy_album(desk.path, FLAC) / FLAC
    retag(song, album="Single", title="Alone")
    (desk.path / "Artist - 2020 - Clip.mp4").write_bytes(make_video())
    assert desk.pass_by()
    assert set(desk.library.music) == {
        *(path for path in TARGETS.values()),
        "Søren Größenwald/2020 - Single/01 Alone.flac",
        "Artist/2020 - Clip.mp4",
    }
    assert list(desk.path.iterdir()) == []


def test_a_file_that_grows_begins_to_stand_still_with_its_last_change(desk: Desk) -> None:
    data, path = make_zip(album_files()), desk.path / "Album.zip"
    for end in range(10_000, len(data) + 10_000, 10_000):
        path.write_bytes(data[:end])
        assert not desk.pass_by(9)
    assert desk.pass_by(1)
    assert whole(desk.library)


def test_an_album_waits_for_the_last_of_its_files(desk: Desk) -> None:
    copy_album(desk.path / "Album", FLAC)
    for name in TARGETS:
        assert not desk.pass_by(9)
        copy_album(desk.path / "Album", name)
    assert not desk.pass_by(9)
    assert desk.pass_by(1)
    assert whole(desk.library)


def test_a_change_of_which_nothing_was_told_is_seen_before_anything_is_taken(desk: Desk) -> None:
    data, path = make_zip(album_files()), desk.path / "Album.zip"
    path.write_bytes(data[:1000])
    assert not desk.pass_by(9)
    path.write_bytes(data)
    assert not desk.pass_by(9, told=False)
    assert not desk.pass_by(9, told=False)
    assert desk.pass_by(1, told=False)
    assert whole(desk.library)


def test_a_notification_counts_as_a_change_though_all_looks_as_before(desk: Desk) -> None:
    copy_album(desk.path / "Album")
    assert not desk.pass_by(9)
    desk.notify("Album")
    assert not desk.pass_by(9)
    assert desk.pass_by(1)


@linux_only
def test_what_somebody_has_open_for_writing_is_not_taken_however_still_it_stands(
    desk: Desk,
) -> None:
    data, path = make_zip(album_files()), desk.path / "Album.zip"
    with path.open("wb", buffering=0) as file:
        file.write(data[:1000])
        for _ in range(3):
            assert not desk.pass_by(3600)
        assert desk.told(What.COMING) == {"Album.zip": "Album.zip is open for writing"}
        file.write(data[1000:])
    assert not desk.pass_by(9)
    assert desk.pass_by(1)
    assert whole(desk.library)


@pytest.mark.parametrize(
    "temporary",
    [
        "Album.zip.crdownload",
        "Unconfirmed 40.crdownload",
        "Album.zip.part",
        "Album.zip.tmp",
        ".Album.zip.aB3xY9",
        ".com.google.Chrome.Xy12",
    ],
)
def test_a_file_under_a_temporary_name_waits_for_its_own(desk: Desk, temporary: str) -> None:
    path = desk.path / temporary
    path.write_bytes(make_zip(album_files()))
    assert not desk.pass_by(3600)
    path.rename(desk.path / "Album.zip")
    assert not desk.pass_by(0)
    assert desk.pass_by(10)
    assert whole(desk.library)
    assert list(desk.path.iterdir()) == []


@pytest.mark.parametrize("temporary", [".02 Ebbe-Flut.mp3.aB3xY9", "02 Ebbe-Flut.mp3.part"])
def test_an_album_waits_for_a_temporary_name_in_it(desk: Desk, temporary: str) -> None:
    album = copy_album(desk.path / "Album")
    (album / MP3).rename(album / temporary)
    assert not desk.pass_by(3600)
    assert not desk.pass_by(0)
    assert temporary in desk.told(What.COMING)["Album"]
    (album / temporary).rename(album / MP3)
    assert not desk.pass_by(0)
    assert desk.pass_by(10)
    assert whole(desk.library)


def test_the_empty_file_that_a_browser_makes_beside_the_part_is_left_alone(desk: Desk) -> None:
    (desk.path / "Album.zip").touch()
    part = desk.path / "Album.q1W2e3.zip.part"
    part.write_bytes(make_zip(album_files()))
    assert not desk.pass_by(3600)
    part.replace(desk.path / "Album.zip")
    assert not desk.pass_by(0)
    assert desk.pass_by(10)
    assert whole(desk.library)
    assert list(desk.path.iterdir()) == []


def test_loose_files_go_together_when_the_last_of_them_stands_still(desk: Desk) -> None:
    """A cover alone would be refused; a broken archive beside them is an affair of its own."""
    copy_album(desk.path, COVER, BOOKLET)
    (desk.path / "broken.zip").write_bytes(b"broken")
    desk.pass_by(5)
    copy_album(desk.path)
    desk.pass_by(5)
    assert desk.names == {*TARGETS, "refused/broken.zip", "refused/broken.zip.txt"}
    assert desk.pass_by(10)
    assert whole(desk.library)
    assert desk.names == {"refused/broken.zip", "refused/broken.zip.txt"}


# -- what is refused ------------------------------------------------------------------------------


def test_what_is_refused_goes_to_refused_with_the_reason_and_what_to_do(desk: Desk) -> None:
    retag(copy_album(desk.path / "Album", FLAC) / FLAC, date=None)
    assert desk.pass_by()
    assert desk.names == {f"refused/Album/{FLAC}", "refused/Album.txt"}
    reason = (desk.path / "refused" / "Album.txt").read_text(encoding="utf-8")
    assert "its tags have no year: give --year" in reason
    assert f"Album/{FLAC}" in reason
    assert not desk.pass_by(3600)


def test_nothing_in_refused_is_overwritten(desk: Desk) -> None:
    refused = desk.path / "refused"
    (refused / "other.pdf").mkdir(parents=True)
    (refused / "broken.zip").write_bytes(b"earlier")
    (refused / "Album.txt").write_bytes(b"notes of mine")
    (desk.path / "broken.zip").write_bytes(b"broken")
    (desk.path / "other.pdf").write_bytes(b"pdf")
    (desk.path / "Album").mkdir()
    (desk.path / "Album" / "noise.ogg").write_bytes(b"noise")
    assert desk.pass_by()
    assert desk.names == {
        "refused/broken.zip",
        "refused/broken (2).zip",
        "refused/broken (2).zip.txt",
        "refused/other (2).pdf",
        "refused/other (2).pdf.txt",
        "refused/Album.txt",
        "refused/Album (2)/noise.ogg",
        "refused/Album (2).txt",
    }
    assert (refused / "broken.zip").read_bytes() == b"earlier"
    assert (refused / "broken (2).zip").read_bytes() == b"broken"
    assert (refused / "Album.txt").read_bytes() == b"notes of mine"


def test_of_an_album_only_what_is_refused_goes_there(desk: Desk) -> None:
    album = copy_album(desk.path / "Album")
    (album / "CD2").mkdir()
    (album / "CD2" / "noise.ogg").write_bytes(b"noise")
    (album / ".hidden").write_bytes(b"hidden")
    assert desk.pass_by()
    assert whole(desk.library)
    assert desk.names == {
        "refused/Album/CD2/noise.ogg",
        "refused/Album/.hidden",
        "refused/Album.txt",
    }


def test_a_hidden_or_ignored_file_stays_and_is_told_of_once(desk: Desk) -> None:
    album = copy_album(desk.path / "Album")
    for name in (".DS_Store", "Thumbs.db"):
        (album / name).write_bytes(b"junk")
    assert desk.pass_by()
    assert whole(desk.library)
    assert desk.names == {"Album/.DS_Store", "Album/Thumbs.db"}
    assert ".DS_Store, Thumbs.db" in desk.told(What.LEFT)["Album"]
    assert not desk.pass_by(3600)
    assert len([news for news in desk.news if news.what is What.LEFT]) == 1


def test_no_link_is_followed_out_of_the_inbox(desk: Desk, outside: Path) -> None:
    (desk.path / "link").symlink_to(outside)
    (desk.path / "song.flac").symlink_to(outside / FLAC)
    album = copy_album(desk.path / "Album", FLAC)
    (album / MP3).symlink_to(outside / MP3)
    assert desk.pass_by()
    assert set(desk.library.music) == {TARGETS[FLAC]}
    assert {path.name for path in desk.path.iterdir()} == {"link", "song.flac", "Album"}
    assert (desk.path / "Album" / MP3).is_symlink()
    assert {path.name for path in outside.iterdir()} == set(TARGETS)


def test_a_link_that_has_a_folders_place_while_it_is_read_brings_nothing_in(
    desk: Desk, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may write into the inbox, but not read what is elsewhere; the folder is back soon."""
    inner = desk.path / "Album" / "CD1"
    copy_album(inner)
    retag(outside / FLAC, album="Secret")
    real = planner.make_plan

    def swapped(*args: Any, **options: Any) -> Plan:
        aside = inner.rename(desk.root / "aside")
        inner.symlink_to(outside)
        plan = real(*args, **options)
        inner.unlink()
        aside.rename(inner)
        return plan

    monkeypatch.setattr(inbox_round, "make_plan", swapped)
    assert desk.pass_by()
    assert desk.library.music == {}
    assert "changed while it was read" in desk.told(What.COMING)["Album"]
    monkeypatch.undo()
    assert desk.pass_by()
    assert whole(desk.library)


def test_a_name_that_is_no_text_is_a_name_like_others(desk: Desk) -> None:
    odd = os.fsdecode(b"Caf\xe9 \\ \n")
    album = copy_album(desk.path / odd)
    (album / FLAC).rename(album / os.fsdecode(b"\xff.flac"))
    (album / os.fsdecode(b"\xfe.ogg")).write_bytes(b"noise")
    assert desk.pass_by()
    assert len(desk.library.rows["songs"]) == 3
    assert desk.names == {f"refused/{odd}/" + os.fsdecode(b"\xfe.ogg"), f"refused/{odd}.txt"}


def test_two_spellings_of_one_new_artist_are_one_also_in_entries_beside_each_other(
    desk: Desk,
) -> None:
    for number, artist in enumerate(("Pink Floyd", "pink floyd")):
        song = copy_album(desk.path / f"{number}", FLAC) / FLAC
        retag(song, artist=artist, albumartist=None, album=f"Album {number}")
    assert desk.pass_by()
    assert len(desk.library.music) == 2
    assert {path.partition("/")[0] for path in desk.library.music} == {"Pink Floyd"}


# -- what changes while it is read ----------------------------------------------------------------


@define(eq=False)
class _Meddler(Silent):
    """Another program, which does something at the nth call of a method."""

    act: object = None
    at: str = "begin"

    def begin(self, batches: object) -> None:
        self._now("begin")

    def ended(self, batch: Batch) -> None:
        self._now("ended")

    def _now(self, what: str) -> None:
        if what == self.at and callable(self.act):
            act, self.act = self.act, None
            act()


def meddle(desk: Desk, at: str, act: object) -> None:
    meddler = _Meddler(act, at)

    @contextmanager
    def display() -> Iterator[Silent]:
        yield meddler

    desk.inbox.display = display


@pytest.mark.parametrize("at", ["plan", "begin"])
def test_a_file_that_changes_while_it_is_read_is_taken_as_it_is_afterwards(
    desk: Desk, at: str
) -> None:
    """Before it was planned, and between the plan and the upload."""
    booklet = copy_album(desk.path / "Album") / BOOKLET

    def change() -> None:
        if not booklet.read_bytes().endswith(b"more"):
            booklet.write_bytes(booklet.read_bytes() + b"more")

    if at == "plan":
        desk.meanwhile = lambda _: change()
    else:
        meddle(desk, at, change)
    assert desk.pass_by(10)
    assert desk.names == {f"Album/{name}" for name in TARGETS}
    assert not desk.pass_by(9)
    assert desk.pass_by(1)
    assert desk.names == set()
    assert whole(desk.library)
    placed = desk.library.root / "music" / TARGETS[BOOKLET]
    assert placed.read_bytes().endswith(b"more")


def test_a_file_that_is_written_anew_after_it_was_brought_in_is_not_removed(desk: Desk) -> None:
    """Nor is anything else of its album; then it is refused, as its place has other bytes."""
    booklet = copy_album(desk.path / "Album") / BOOKLET
    status, data = booklet.stat(), booklet.read_bytes()

    def rewrite() -> None:
        """As many bytes, and as old as before."""
        booklet.write_bytes(data[::-1])
        os.utime(booklet, ns=(status.st_atime_ns, status.st_mtime_ns))

    meddle(desk, "ended", rewrite)
    assert desk.pass_by(10)
    assert desk.names == {f"Album/{name}" for name in TARGETS}
    assert desk.pass_by(10)
    assert whole(desk.library)
    assert desk.names == {f"refused/Album/{BOOKLET}", "refused/Album.txt"}
    assert (desk.path / "refused" / "Album" / BOOKLET).read_bytes() == data[::-1]
    assert (desk.library.root / "music" / TARGETS[BOOKLET]).read_bytes() == data


def test_a_song_that_comes_later_goes_to_the_same_album(desk: Desk) -> None:
    album = copy_album(desk.path / "Album", FLAC, COVER)
    meddle(desk, "ended", lambda: copy_album(album, MP3))
    assert desk.pass_by(10)
    assert desk.names == {f"Album/{name}" for name in (FLAC, COVER, MP3)}
    assert desk.pass_by(10)
    assert desk.names == set()
    assert set(desk.library.music) == {TARGETS[name] for name in (FLAC, COVER, MP3)}


# -- what stays -----------------------------------------------------------------------------------


def test_with_keep_nothing_leaves_and_only_reasons_are_written(tmp_path: Path) -> None:
    """Not even by the next process: it finds all of it there, and the same reasons."""
    desk = Desk(tmp_path, keep=True)
    copy_album(desk.path / "Album")
    (desk.path / "broken.zip").write_bytes(b"broken")
    for _ in range(2):
        assert desk.pass_by()
        assert not desk.pass_by(3600)
        assert whole(desk.library)
        kept = {f"Album/{name}" for name in TARGETS}
        assert desk.names == {*kept, "broken.zip", "refused/broken.zip.txt"}
        desk.again()
    assert desk.told(What.DONE) == {"Album": "5 there already"}


def test_with_keep_a_reason_that_cannot_be_written_holds_no_others_up(tmp_path: Path) -> None:
    """It is put off like what cannot leave the inbox, not tried all the time."""
    desk = Desk(tmp_path, keep=True)
    copy_album(desk.path / "Album")
    (desk.path / "Another").mkdir()
    (desk.path / "Another/a.mp3").write_bytes(b"no song")
    (desk.path / "refused").write_bytes(b"in the way")
    copy_album(desk.path / "Their Album")
    assert desk.pass_by(10)
    assert "Not a directory" in desk.told(What.LATER)["Another"]
    assert desk.told(What.DONE).keys() == {"Album", "Their Album"}
    assert not desk.told(What.WAITING)
    assert not desk.pass_by(29)
    (desk.path / "refused").unlink()
    assert desk.pass_by(1)
    assert desk.told(What.REFUSED).keys() == {"Another"}


def test_what_the_library_has_no_time_for_stays_and_is_tried_again(desk: Desk) -> None:
    copy_album(desk.path / "Album")
    with open_library(desk.library.settings):
        assert not desk.pass_by(10)
        assert not desk.pass_by(1)
    assert "in use" in desk.told(What.WAITING)[""]
    assert len(desk.names) == 5
    assert desk.pass_by(60)
    assert whole(desk.library)
    assert desk.names == set()
    assert What.BACK in {news.what for news in desk.news}


class _FullDisk(Effects):
    """There is no room for the bytes of uploads."""

    def write(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        if len(data) > 30_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data, offset)


def test_what_meets_a_full_disk_stays_and_is_tried_again(desk: Desk) -> None:
    """All of the album: the small files that have found room stay, too."""
    copy_album(desk.path / "Album")
    with using(_FullDisk()):
        assert desk.pass_by(10)
        assert not desk.pass_by(20)
        assert "No space left on device" in desk.told(What.LATER)["Album"]
        assert desk.names == {f"Album/{name}" for name in TARGETS}
    assert desk.pass_by(3600)
    assert whole(desk.library)
    assert desk.names == set()


def test_what_cannot_be_noted_stays_and_is_tried_again_and_not_all_the_time(desk: Desk) -> None:
    """Nothing has left the inbox, and there is no note; it is not for ever."""
    copy_album(desk.path / "Album")
    (desk.path / ".musictasks").write_bytes(b"in the way")
    assert desk.pass_by(10)
    assert "it cannot leave the inbox" in desk.told(What.LATER)["Album"]
    assert len(desk.names) == 6
    assert not desk.pass_by(29)
    assert desk.pass_by(1)
    # What is due is done, or put off: a watch that has nothing to do waits.
    assert desk.inbox._wait_s() > 0
    (desk.path / ".musictasks").unlink()
    assert desk.pass_by(30)
    assert desk.names == set()
    assert whole(desk.library)


def test_what_stands_still_is_not_called_coming_because_it_stays(desk: Desk) -> None:
    """By `run_once`, which tells at its end what it leaves for the next time."""
    copy_album(desk.path / "Album")
    (desk.path / ".musictasks").write_bytes(b"in the way")
    desk.inbox.run_once(sleep=lambda _: desk.pass_by(10, told=False))
    assert desk.told(What.LATER).keys() == {"Album"}
    assert not desk.told(What.COMING)
    desk.again()
    with open_library(desk.library.settings):
        desk.inbox.run_once(sleep=lambda _: desk.pass_by(10, told=False))
    assert desk.told(What.WAITING)
    assert not desk.told(What.COMING)


def test_folders_in_folders_without_end_hold_no_others_up(desk: Desk) -> None:
    copy_album(desk.path / "Album")
    deep = "/".join(["d"] * 500)
    (desk.path / "Deep" / deep).mkdir(parents=True)
    assert desk.pass_by()
    assert whole(desk.library)
    assert "too many folders" in desk.told(What.LATER)["Deep"]


def test_an_archive_whose_album_is_there_with_other_files_is_refused_after_a_look(
    desk: Desk,
) -> None:
    """The engine can only say that it failed; the look into it says that it always will."""
    copy_album(desk.path / "Album", FLAC)
    assert desk.pass_by()
    (desk.path / "Album.zip").write_bytes(make_zip(album_files()))
    assert desk.pass_by()
    assert desk.names == {"refused/Album.zip", "refused/Album.zip.txt"}
    reason = (desk.path / "refused" / "Album.zip.txt").read_text(encoding="utf-8")
    assert "the album is there with other files" in reason


def test_an_archive_stays_if_a_song_of_it_was_changed_under_its_old_time(desk: Desk) -> None:
    """Of as many bytes as before: the ledger alone would say that the archive is there."""
    archive = make_zip(album_files())
    (desk.path / "Album.zip").write_bytes(archive)
    assert desk.pass_by()
    assert desk.names == set()
    booklet = desk.library.root / "music" / TARGETS[BOOKLET]
    status, data = booklet.stat(), booklet.read_bytes()
    booklet.write_bytes(data[::-1])
    os.utime(booklet, ns=(status.st_atime_ns, status.st_mtime_ns))
    (desk.path / "Album.zip").write_bytes(archive)
    assert desk.pass_by()
    assert desk.names == {"refused/Album.zip", "refused/Album.zip.txt"}
    assert booklet.read_bytes() == data[::-1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_stays_and_holds_no_others_up(desk: Desk) -> None:
    copy_album(desk.path, FLAC)
    (desk.path / "locked.flac").write_bytes(b"song")
    (desk.path / "locked.flac").chmod(0)
    assert desk.pass_by()
    assert set(desk.library.music) == {TARGETS[FLAC]}
    assert "Permission denied" in desk.told(What.LATER)["locked.flac"]
    assert desk.names == {"locked.flac"}


# -- an inbox, or a library, that is away ---------------------------------------------------------


def test_an_inbox_that_is_away_is_waited_for(desk: Desk, tmp_path: Path) -> None:
    copy_album(desk.path / "Album")
    away = desk.path.rename(tmp_path / "away")
    assert desk.inbox.is_away()
    assert "it is not there" in desk.told(What.WAITING)[""]
    assert not desk.pass_by(3600)
    away.rename(desk.path)
    assert not desk.inbox.is_away()
    assert "is there" in desk.told(What.BACK)[""]
    assert not desk.pass_by(9)
    assert desk.pass_by(1)
    assert whole(desk.library)
    assert desk.names == set()


def test_an_inbox_that_goes_while_it_is_read_has_lost_nothing(desk: Desk, tmp_path: Path) -> None:
    """Neither is anything of it refused since it cannot be read, nor is anything made there."""
    copy_album(desk.path / "Album")
    away = tmp_path / "away"

    def swap() -> None:
        desk.path.rename(away)
        desk.path.mkdir()

    meddle(desk, "begin", swap)
    desk.pass_by(10)
    assert desk.names == set()
    assert {path.name for path in (away / "Album").iterdir()} == set(TARGETS)
    desk.path.rmdir()
    away.rename(desk.path)
    assert not desk.inbox.is_away()
    desk.pass_by(3600)
    assert whole(desk.library)
    assert desk.names == set()


def test_nothing_is_brought_into_a_music_directory_that_is_away(desk: Desk) -> None:
    """Neither one that went while it was watched, nor an empty one at the start of a process."""
    copy_album(desk.path / "Album", FLAC)
    assert desk.pass_by()
    music = desk.library.root / "music"
    away = music.rename(desk.root / "away")
    copy_album(desk.path / "Album", MP3)
    assert not desk.pass_by()
    assert "it is not there" in desk.told(What.WAITING)[""]
    assert not music.exists()
    music.mkdir()
    desk.again()
    assert not desk.pass_by()
    assert "is empty, but the database has music" in desk.told(What.WAITING)[""]
    assert list(music.iterdir()) == []
    music.rmdir()
    away.rename(music)
    assert desk.pass_by(3600)
    assert set(desk.library.music) == {TARGETS[FLAC], TARGETS[MP3]}


def test_a_database_that_a_killed_process_has_begun_is_no_music(desk: Desk) -> None:
    data = desk.library.root / "data"
    data.mkdir(parents=True)
    (desk.library.root / "music").mkdir()
    (data / "music.db").touch()
    copy_album(desk.path / "Album")
    assert desk.pass_by()
    assert whole(desk.library)


@pytest.mark.parametrize("inside", ["library/music/inbox", "library/data", "."])
def test_an_inbox_and_a_library_lie_beside_each_other(tmp_path: Path, inside: str) -> None:
    with pytest.raises(SettingsError, match="have to lie beside each other"):
        Inbox(
            directory=tmp_path / inside,
            settings=Library(tmp_path / "library").settings,
            opened=lambda: open_library(Library(tmp_path / "library").settings),
            display=lambda: pytest.fail("nothing is shown"),
            tell=print,
        )
