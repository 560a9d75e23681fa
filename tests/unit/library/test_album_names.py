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
    return SongTags(playtime_s=1, bitrate=1, mime_type="audio/flac", **known)  # pyright: ignore


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
@pytest.mark.parametrize(
    ("name", "number", "title", "expected"),
    [
        ("01 One.flac", 1, "One", "01 One.flac"),
        ("01 - One.flac", 1, "One", "01 One.flac"),
        ("Artist - Album - 01 One.flac", 1, "One", "01 One.flac"),
        ("10 Years - Album - 01 One.flac", 1, "One", "01 One.flac"),
        ("24 Hours.flac", 2, "24 Hours", "02 24 Hours.flac"),
        ("one.FLAC", 1, "Über/Unter", "01 Über∕Unter.flac"),
        ("01 a\u202egpj.flac", 1, "One", "01 One.flac"),
        ("two.mp3", 2, "a" * 300, f"02 {'a' * 248}.mp3"),
        (f"02 {'a' * 300}.mp3", 2, "a", "02 a.mp3"),
    ],
)
def test_songs_are_named_by_their_tags(
    folder: str, name: str, number: int, title: str, expected: str
) -> None:
    """As by `musictasks add`; the folders above all songs count for nothing."""
    assert names(song(folder + name, number=number, title=title)) == [expected]


@pytest.mark.parametrize("known", [{}, {"number": 9}, {"title": "Other"}])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("01 One.flac", "01 One.flac"),
        ("3 Three.M4A", "03 Three.m4a"),
        (" 01 One.flac", "01 One.flac"),
        ("01 - One.flac", "01 One.flac"),
        ("01 – One.flac", "01 One.flac"),
        ("01 — One.flac", "01 One.flac"),
        ("01 -One.flac", "01 One.flac"),
        ("01 _One.flac", "01 One.flac"),
        ("01 . One.flac", "01 One.flac"),
        ("01 ...One.flac", "01 ...One.flac"),
        ("01 .5 - One.flac", "01 .5 - One.flac"),
        ("2-01 One.flac", "2-01 One.flac"),
        ("2-01 - One.flac", "2-01 One.flac"),
        (f"02 {'ä' * 150}.mp3", f"02 {'ä' * 124}.mp3"),
    ],
)
def test_without_tags_their_names_count(known: dict[str, object], name: str, expected: str) -> None:
    """What separates the number from the title is part of neither, and the title is cut."""
    assert names(song(f"Album/{name}", **known)) == [expected]


@pytest.mark.parametrize("name", ["01 - .flac", "01 .flac", "01-One.flac", "One.flac", "01.flac"])
def test_a_name_that_tells_no_song(name: str) -> None:
    """Without tags it is refused, and named."""
    assert refused(song(name)).startswith(f"{name} in it has no name like '01 Song.flac'")


@pytest.mark.parametrize("told", [{"disc": 2}, {"disc": 1, "disc_count": 2}])
def test_a_tag_of_a_second_disc_gives_all_a_disc(told: dict[str, int]) -> None:
    """The songs that name none are of the first."""
    found = names(song("a.flac", number=1, title="A"), song("b.flac", number=2, title="B", **told))
    assert found == ["1-01 A.flac", f"{told['disc']}-02 B.flac"]


def test_a_name_tells_the_disc_of_its_own_number() -> None:
    """Else it is part of the title; the tags count more."""
    found = names(
        song("2-01 One.flac", number=1, title="One"),
        song("24-7 Two.flac", number=2, title="24-7 Two"),
        song("2-03 Three.flac", number=3, title="Three", disc=3),
    )
    assert found == ["2-01 One.flac", "1-02 24-7 Two.flac", "3-03 Three.flac"]


@pytest.mark.parametrize("folder", ["CD {}", "CD{}", "cd0{}", "Disc {}", "DISK_{}", "CD {} - Name"])
def test_folders_tell_the_disc(folder: str) -> None:
    """Where the tags and the name do not, and whether all songs have tags or not."""
    one, two = (f"Album/{folder.format(number)}" for number in (1, 2))
    found = names(
        song(f"{one}/01 One.flac", number=1, title="One", disc=1),
        song(f"{one}/02 Uno.flac"),
        song(f"{two}/01 One.flac", number=1, title="One"),
        song(f"{two}/02 Duo.flac"),
        song(f"{two}/1-03 Tre.flac"),
        song(f"{two}/04 More.flac", number=4, title="More", disc=1),
        other(f"{one}/cover.jpg"),
        other(f"{two}/cover.jpg"),
        other("Album/info.txt"),
    )
    assert found == [
        *("1-01 One.flac", "1-02 Uno.flac", "2-01 One.flac", "2-02 Duo.flac"),
        *("1-03 Tre.flac", "1-04 More.flac"),
        *("cover.jpg", f"{two.rpartition('/')[2]} - cover.jpg"),
        "info.txt",
    ]


def test_folders_count_where_all_tags_say_the_first_disc() -> None:
    """Some taggers write disc 1 into all songs; without such folders the songs are refused."""
    one = song("A/CD1/01 a.mp3", number=1, title="a", disc=1)
    two = song("A/CD2/01 b.mp3", number=1, title="b", disc=1)
    assert names(one, two) == ["1-01 a.mp3", "2-01 b.mp3"]
    flat = (song("A/01 a.mp3", number=1, title="a"), song("A/01 b.mp3", number=1, title="b"))
    assert "are both number 1 of disc 1" in refused(*flat)


def test_one_folder_of_a_disc() -> None:
    """The first disc alone is a one-disc album; the second alone is a second disc."""
    assert names(song("Album/CD1/01 One.flac")) == ["01 One.flac"]
    assert names(song("Album/CD2/01 One.flac")) == ["2-01 One.flac"]


@pytest.mark.parametrize("folder", ["CD", "CDs", "CD1999", "CD 1a", "Discover 1", "Bonus CD 2"])
def test_folders_that_tell_no_disc(folder: str) -> None:
    """They only look like it."""
    assert names(song(f"{folder}/01 One.flac")) == ["01 One.flac"]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Album/01 One.flac", "Album/01 Two.flac"),
        ("Album/01 One.flac", "Album/1 Two.flac"),
        ("Album/01 One.flac", "Album/Bonus/01 Two.flac"),
        ("Album/01 One.flac", "Album/01 One.mp3"),
        ("2-01 One.flac", "CD2/01 Two.flac"),
    ],
)
def test_two_songs_of_one_number(one: str, two: str) -> None:
    """Both are named: one of them is of another disc, or of another album."""
    disc = 2 if "CD2" in two else 1
    expected = f"{one} and {two} in it are both number 1 of disc {disc}: "
    assert refused(song(one), song(two)).startswith(expected)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Art/2001 - X/01 One.flac", "Art/2002 - Y/02 Two.flac"),
        ("01 One.flac", "Y/CD2/02 Two.flac"),
        ("X/CD1/01 One.flac", "Y/CD2/02 Two.flac"),
    ],
)
def test_several_albums(one: str, two: str) -> None:
    """Folders whose songs are of different albums are refused, and the albums named."""
    reason = refused(song(one, album="X"), song(two, album="Y"), song(f"{two}3 A.mp3", album="Y"))
    assert reason == "it holds several albums: X, Y; send one archive for each"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (("01 One.flac", "X"), ("02 Two.flac", "Y")),
        (("A/01 One.flac", "X"), ("B/02 Two.flac", "x")),
        (("A/01 One.flac", "X"), ("B/02 Two.flac", None)),
        (("A/01 One.flac", "X (Disc 1)"), ("B/02 Two.flac", "X [CD2]")),
        (("A/01 One.flac", "X"), ("B/02 Two.flac", "X, Disc 2: Live")),
        (("A/CD1/01 One.flac", "X"), ("A/CD2/02 Two.flac", "Y")),
    ],
)
def test_one_album(one: tuple[str, str], two: tuple[str, str]) -> None:
    """The songs of one folder, of discs, and of folders whose tags agree or tell nothing."""
    found = names(*(song(path, album=album, disc=1) for path, album in (one, two)))
    assert [name[-7:] for name in found] == ["ne.flac", "wo.flac"]


def test_many_albums() -> None:
    """Not all are named."""
    reason = refused(*(song(f"{n}/{n} One.flac", album=f"Album {n}") for n in range(1, 10)))
    assert reason.startswith("it holds several albums: Album 1, Album 2, Album 3, Album 4 and more")


def test_other_files_keep_their_names() -> None:
    """The second of a name takes the names of its folders along."""
    paths = ("Album/cover.jpg", "Album/Scans/1/back.jpg", "READ.ME", "Album/LICENSE")
    found = names(
        song("Album/Music/01 One.flac"),
        *map(other, (*paths, "Album/Music/Cover.jpg", "Album/Scans/2/back.jpg")),
    )
    assert found[1:] == [
        *("cover.jpg", "back.jpg", "READ.ME", "LICENSE"),
        *("Album - Music - Cover.jpg", "Album - Scans - 2 - back.jpg"),
    ]


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
        ("Album/Thumbs.db", True),
        ("Album/Icon\r", True),
        ("Album/.AppleDouble/01 Song.flac", True),
        (".git/config", True),
        ("Album/01 Song.flac", False),
        ("Thumbs.db/01 Song.flac", False),
        ("...And You Will Know Us/01 Song.flac", False),
        (".hack/01 Song.flac", False),
        ("Album/...And Justice for All.flac", False),
        ("Album/Icon", False),
    ],
)
def test_what_is_left_out(path: str, left_out: bool) -> None:
    """Hidden files, the system's own, and the ignore list; but no music for a dot in a name."""
    assert is_left_out(path.split("/"), frozenset({"Thumbs.db"})) is left_out


def test_annotations() -> None:
    """What the songs agree on is told, and the files."""
    one = tags(artist="A", album_artist="Both", album="Album", year=2020)
    two = tags(artist="B", album_artist="Both", album="Album", year=2021)
    files = {"songs": ["1 a.mp3", "2 b.mp3"], "otherfiles": ["c.pdf"]}
    found = album_annotations(["2 b.mp3", "c.pdf", "1 a.mp3"], [one, two])
    assert found == {"artist": "Both", "album": "Album", **files}
    discs = [tags(album="Album (Disc 1)"), tags(album="Album (Disc 2)")]
    assert album_annotations([], discs)["album"] == "Album"
    assert album_annotations([], discs[:1])["album"] == "Album (Disc 1)"
    assert album_annotations([], [tags()]) == {"songs": [], "otherfiles": []}


def test_audio_that_is_no_song_here() -> None:
    """It is no booklet: it is named, and so is what the library has."""
    reason = refused(song("A/01 One.flac", number=1, title="One"), other("A/02 Two.OGG"))
    assert reason.startswith("A/02 Two.OGG in it: this kind of audio is unknown")
