"""What the files of an archive are called in an album."""

from __future__ import annotations

import pytest
from musictasks.errors import MediaError
from musictasks.library import (
    ArchivedFile,
    SongTags,
    album_annotations,
    album_names,
    is_left_out,
)


def tags(**known: object) -> SongTags:
    return SongTags(playtime_s=1, bitrate_kbit=1, mime_type="audio/flac", **known)  # pyright: ignore


def song(path: str, **known: object) -> ArchivedFile:
    return ArchivedFile(tuple(path.split("/")), tags(**known))


def other(path: str) -> ArchivedFile:
    return ArchivedFile(tuple(path.split("/")))


def names(*files: ArchivedFile) -> list[str]:
    return album_names("x.zip", files)


def refused(*files: ArchivedFile) -> str:
    with pytest.raises(MediaError) as caught:
        names(*files)
    assert caught.value.path == "x.zip"
    return caught.value.reason


@pytest.mark.parametrize("folder", ["", "Album/", "Artist/Album/"])
def test_names_that_follow_the_scheme_stay(folder: str) -> None:
    """Whatever the tags say; the folders above all songs count for nothing."""
    files = [f"{folder}{name}" for name in ("01 One.flac", "1-02 Two.MP3", "3 Three.m4a")]
    found = names(*(song(path, number=9, title="Other") for path in files))
    assert found == ["01 One.flac", "1-02 Two.MP3", "3 Three.m4a"]


def test_other_songs_are_named_by_their_tags() -> None:
    """Slashes and dots that begin a name become what looks like them; the extension stays."""
    found = names(
        song("Album/one.FLAC", number=1, title="Über/Unter", disc=1),
        song("Album/two.mp3", number=2, title="a" * 300),
    )
    assert found == ["01 Über∕Unter.FLAC", f"02 {'a' * 248}.mp3"]


@pytest.mark.parametrize("told", [{"disc": 2}, {"disc_count": 2}])
def test_a_tag_of_a_second_disc_gives_all_a_disc(told: dict[str, int]) -> None:
    """The songs that name none are of the first."""
    found = names(song("a.flac", number=1, title="A"), song("b.flac", number=1, title="B", **told))
    assert found == ["1-01 A.flac", f"{told.get('disc', 1)}-01 B.flac"]


def test_songs_in_several_folders_need_a_disc() -> None:
    """From the name or the tags; a name that follows the scheme counts where there is neither."""
    found = names(
        song("Album/CD1/01 One.flac", number=1, title="One", disc=1),
        song("Album/CD2/01 Two.flac", number=1, title="Two", disc=2),
        song("Album/CD2/2-02 Three.flac"),
        song("Album/CD2/03 Four.flac"),
        other("Album/CD1/cover.jpg"),
        other("Album/CD2/cover.jpg"),
        other("Album/info.txt"),
    )
    assert found == [
        *("1-01 One.flac", "2-01 Two.flac", "2-02 Three.flac", "03 Four.flac"),
        *("CD1 - cover.jpg", "CD2 - cover.jpg", "info.txt"),
    ]


def test_other_files_keep_their_names() -> None:
    """From a folder beside the songs they take its name along."""
    found = names(
        song("Album/Music/01 One.flac"),
        *map(
            other, ("Album/Music/cover.jpg", "Album/Scans/1/back.tar", "READ.ME", "Album/LICENSE")
        ),
    )
    assert found[1:] == ["cover.jpg", "Album - Scans - 1 - back.tar", "READ.ME", "Album - LICENSE"]


def test_a_song_without_name_and_tags() -> None:
    """It is named."""
    for known in ({"number": 1}, {"title": "One"}, {}):
        assert refused(song("a/One.flac", **known)).startswith("a/One.flac in it has no name like")
    assert "a/One.flac in it has no usable name" in refused(song("a/One.flac", number=1, title=" "))


def test_without_a_song() -> None:
    """An album has one."""
    assert refused(other("cover.jpg")) == refused() == "there is no song in it"


@pytest.mark.parametrize(
    "files",
    [
        ("01 One.flac", "01 ONE.flac"),
        ("01 One.flac", "a.flac"),
        ("01 E\u0301.flac", "01 \u00e9.flac"),
    ],
)
def test_two_that_become_the_same(files: tuple[str, str]) -> None:
    """In the case or in the normal form; both are named."""
    reason = refused(*(song(path, number=1, title="One") for path in files))
    assert reason == f"{files[0]} and {files[1]} in it would become the same file"


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        ("Album/.DS_Store", True),
        ("__MACOSX/Album/._01 Song.flac", True),
        (".hidden/01 Song.flac", True),
        ("Album/Thumbs.db", True),
        ("Album/01 Song.flac", False),
        ("Thumbs.db/01 Song.flac", False),
    ],
)
def test_what_is_left_out(path: str, left_out: bool) -> None:
    """Hidden files, macOS's own, and the ignore list."""
    assert is_left_out(path.split("/"), frozenset({"Thumbs.db"})) is left_out


def test_annotations() -> None:
    """What the songs agree on is told, and the files."""
    one = tags(artist="A", album_artist="Both", album="Album", year=2020)
    two = tags(artist="B", album_artist="Both", album="Album", year=2021)
    files = {"songs": ["1 a.mp3", "2 b.mp3"], "otherfiles": ["c.pdf"]}
    found = album_annotations(["2 b.mp3", "c.pdf", "1 a.mp3"], [one, two])
    assert found == {"artist": "Both", "album": "Album", **files}
    assert album_annotations([], [tags()]) == {"songs": [], "otherfiles": []}
