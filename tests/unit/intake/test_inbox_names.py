"""Names of what is still coming in, and what stands still."""

from __future__ import annotations

import pytest
from musictasks.intake.inbox_names import held_back, is_temporary
from musictasks.intake.inbox_standing import Standing
from musictasks.library.inbox_directory import Kind, Seen


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Album.zip.crdownload",
            "Unconfirmed 812.crdownload",
            "Album.zip.part",
            "a.x1Y2.zip.part",
        ),
        *(
            "song.mp3.partial",
            "song.mp3.filepart",
            "song.flac.!qB",
            "Album.aria2",
            "Album.download",
        ),
        *("song.mp3.tmp", "SONG.MP3.TMP", ".song.mp3.aB3xY9", ".~tmp~", ".rsync-partial"),
        *(".com.google.Chrome.XyZ12a", ".syncthing.song.mp3.tmp", ".song.mp3.~1a2b", ".song.part"),
    ],
)
def test_programs_write_under_these_names(name: str) -> None:
    assert is_temporary(name)


@pytest.mark.parametrize(
    "name",
    [
        "part",
        "song.mp3",
        "Part 1.zip",
        "a.part1.zip",
        "tmp",
        ".DS_Store",
        "._song.mp3",
        "Part.tmpl",
    ],
)
def test_these_are_names_of_music_and_of_what_lies_beside_it(name: str) -> None:
    assert not is_temporary(name)


def test_a_file_is_held_back_by_its_own_part_alone() -> None:
    assert held_back("Album.zip", ["Album.zip.part"]) == "Album.zip.part"
    assert held_back("Album", ["Album.aria2"]) == "Album.aria2"
    assert held_back("Album", ["Album.zip.part", "Albums.part"]) is None


def seen(name: str, size: int = 1, **more: int) -> dict[tuple[str, ...], Seen]:
    return {
        (name,): Seen(Kind.FILE, size),
        **{(name, n): Seen(Kind.FILE, s) for n, s in more.items()},
    }


def test_nothing_is_waited_for_where_nothing_can_become_ready() -> None:
    """A part, a link and an empty folder wake nobody; else the nearest time does."""
    standing = Standing(10)
    standing.see("a.zip.part", seen("a.zip.part"), 0)
    standing.see("link", {("link",): Seen(Kind.LINK)}, 0)
    standing.see("folder", {("folder",): Seen(Kind.DIRECTORY)}, 0)
    assert standing.next_s() is None
    standing.see("b.zip", seen("b.zip"), 7)
    standing.see("c.zip", seen("c.zip"), 3)
    assert standing.next_s() == 13
    assert [[one.name for one in group] for group in standing.still(13)] == [["c.zip"]]


def test_loose_files_wake_when_the_last_of_them_stands_still() -> None:
    """Not when the first does: that would be again and again."""
    standing = Standing(10)
    standing.see("a.flac", seen("a.flac"), 0)
    standing.see("cover.png", seen("cover.png"), 8)
    assert standing.next_s() == 18
    assert standing.still(17) == []
    assert [[one.name for one in group] for group in standing.still(18)] == [
        ["a.flac", "cover.png"]
    ]


def test_loose_files_that_failed_hold_up_no_others() -> None:
    standing = Standing(10)
    standing.see("a.flac", seen("a.flac"), 0)
    standing.entries["a.flac"].failures = 1
    standing.entries["a.flac"].not_before_s = 3600
    standing.see("b.flac", seen("b.flac"), 0)
    assert [[one.name for one in group] for group in standing.still(10)] == [["b.flac"]]
