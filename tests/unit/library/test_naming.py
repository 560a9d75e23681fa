"""The naming scheme: paths to parts, parts to paths, and names made of any text."""

import pickle
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from musictasks.errors import InvalidPath
from musictasks.files import check_name
from musictasks.library.audio_formats import ALL_FORMATS, DEFAULT_FORMATS
from musictasks.library.naming import (
    AlbumPath,
    SongPath,
    VideoPath,
    album_of,
    check_album_file,
    check_new_file,
    check_new_video,
    is_video,
    parse_album,
    parse_song,
    parse_video,
)
from musictasks.library.safe_names import (
    safe_album_path,
    safe_name,
    safe_song_path,
    safe_video_path,
)

# Names as people write them: every character but those that files/ refuses anyway.
names = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\\"), min_size=1, max_size=30
).filter(lambda name: name.strip() and name not in {".", ".."})
years = st.integers(0, 9999)
numbers = st.integers(0, 9999)
extensions = st.sampled_from(sorted(ALL_FORMATS.extensions))


@given(names, years, names)
@example("AC/DC", 1980, "Back - in . Black")
def test_album_round_trip(artist, year, album):
    """The path of an album parses to the album it was made of."""
    value = AlbumPath(artist, year, album)
    assert parse_album(value.path) == value
    assert parse_album(value.path).path == value.path


@given(
    names,
    years,
    names,
    st.none() | numbers,
    numbers,
    names,
    extensions,
)
@example("A", 2020, "B", None, 1, "02-03 Song. 4", "flac")
@example("A", 2020, "B", 1, 1, "1-02 Song", "FLAC")
def test_song_round_trip(artist, year, album, disc, number, song, extension):
    """The path of a song parses to the song it was made of."""
    value = SongPath(artist, year, album, disc, number, song, extension)
    parsed = parse_song(value.path, ALL_FORMATS)
    assert parsed == value
    assert parsed.path == value.path
    assert album_of(value.path) == value.album_path == check_album_file(value.path, ALL_FORMATS)


@given(names, years, names, st.sampled_from(["m4v", "MP4", "webm"]))
def test_video_round_trip(artist, year, video, extension):
    """The path of a video parses to the video it was made of."""
    value = VideoPath(artist, year, video, extension)
    assert parse_video(value.path) == value


def test_one_disc_song():
    """A song of a one-disc album names no disc, and its disc counts as 1."""
    song = parse_song("Artist/2020 - Album/01 Song.flac")
    assert song == SongPath("Artist", 2020, "Album", None, 1, "Song", "flac")
    assert song.cd == 1


def test_many_disc_song():
    """A song of a many-disc album names its disc before the number."""
    song = parse_song("Artist/2020 - Album/2-03 Song.m4a")
    assert song == SongPath("Artist", 2020, "Album", 2, 3, "Song", "m4a")
    assert song.cd == 2


def test_numbers_without_zeros():
    """Numbers need no leading zero on disk; what we write has one."""
    song = parse_song("Artist/2020 - Album/1-2 Song.MP3")
    assert (song.disc, song.number) == (1, 2)
    assert song.path == "Artist/2020 - Album/1-02 Song.MP3"
    assert parse_song("Artist/2020 - Album/110 Song.mp3").number == 110


def test_only_the_first_separator_and_the_last_dot_count():
    """Names may themselves hold ` - ` and dots."""
    song = parse_song("A - B/2020 - C - D/01 E - F. G.flac.mp3")
    assert song == SongPath("A - B", 2020, "C - D", None, 1, "E - F. G.flac", "mp3")
    assert parse_video("A/2020 - 2021 - B.c.webm") == VideoPath("A", 2020, "2021 - B.c", "webm")


def test_slash():
    """A slash in a name is U+2215 in the path, and a slash again in the name."""
    song = SongPath("AC/DC", 1980, "A/B", None, 1, "C/D", "mp3")
    assert song.path == "AC∕DC/1980 - A∕B/01 C∕D.mp3"
    assert parse_song(song.path).artist == "AC/DC"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "Artist",
        "Artist/Album",
        "Artist/2020 - ",
        "Artist/2020 -  ",
        "Artist/202 - Album",
        "Artist/20201 - Album",
        "Artist/２０２０ - Album",
        "Artist/2020- Album",
        "/2020 - Album",
        " /2020 - Album",
        "../2020 - Album",
        "./2020 - Album",
        "Artist/../2020 - Album",
        "/Artist/2020 - Album",
        "Artist/2020 - Album/",
        "Artist//2020 - Album",
        "Artist/2020 - Al\nbum",
        "Artist/2020 - Album\n",
        "Artist/2020 - Al\0bum",
        "Artist/2020 - Al\\bum",
        "Artist/2020 - Al\udc80bum",
        "Artist/2020 - " + "ä" * 130,
    ],
)
def test_no_album(path):
    """What is not `{artist}/{year} - {album}` is refused, and told the scheme."""
    with pytest.raises(InvalidPath, match=r"\{artist\}/\{year\} - \{album\}"):
        parse_album(path)


@pytest.mark.parametrize(
    "name",
    [
        "Song.flac",
        "01.flac",
        "01 .flac",
        "01 Song",
        "01 Song.txt",
        "01 Song.flac\n",
        "01Song.flac",
        "-01 Song.flac",
        "1-2-3 Song.flac",
        "12345 Song.flac",
        "99999-01 Song.flac",
        "٠١ Song.flac",
        ".flac",
        "01 Song.",
        "..",
    ],
)
def test_no_song(name):
    """What is not a number, a name and a song's extension is refused."""
    with pytest.raises(InvalidPath):
        parse_song(f"Artist/2020 - Album/{name}")


@pytest.mark.parametrize("path", ["A/2020 - B.mkv", "A/2020 - B", "A/B.mp4", "A/2020 - .mp4", "A"])
def test_no_video(path):
    """What is not `{artist}/{year} - {video}.{ext}` is refused."""
    with pytest.raises(InvalidPath):
        parse_video(path)


@pytest.mark.parametrize(
    "make",
    [
        lambda: AlbumPath("..", 2020, "B"),
        lambda: AlbumPath("A\\B", 2020, "B"),
        lambda: AlbumPath("A", 20201, "B"),
        lambda: AlbumPath("A", -1, "B"),
        lambda: AlbumPath("", 2020, "B"),
        lambda: AlbumPath("A", 2020, " "),
        lambda: AlbumPath("A" * 256, 2020, "B"),
        lambda: SongPath("A", 2020, "B", None, 12345, "C", "mp3"),
        lambda: SongPath("A", 2020, "B", -1, 1, "C", "mp3"),
        lambda: SongPath("A", 2020, "B", None, 1, "C", "txt"),
        lambda: SongPath("A", 2020, "B", None, 1, "", "mp3"),
        lambda: VideoPath("A", 2020, "B", "mp3"),
        lambda: VideoPath("A", 2020, "B\n", "mp4"),
    ],
)
def test_no_value_without_a_valid_path(make):
    """A value that would have no valid path cannot be made."""
    with pytest.raises(InvalidPath):
        make()


def test_values_are_values():
    """Paths can be compared, used as keys and pickled."""
    song = parse_song("Artist/2020 - Album/01 Song.flac")
    assert pickle.loads(pickle.dumps(song)) == song
    assert len({song, parse_song(song.path)}) == 1


@pytest.mark.parametrize(
    ("name", "song", "video"),
    [
        ("01 Song.flac", True, False),
        ("01 Song.M4A", True, False),
        ("a/b.c/clip.WebM", False, True),
        ("booklet.pdf", False, False),
        ("mp3", False, False),
        (".mp3", False, False),
        ("a.mp3/b", False, False),
    ],
)
def test_extensions(name, song, video):
    """The extension in any case says what a file is."""
    assert (DEFAULT_FORMATS.is_song(name), is_video(name)) == (song, video)


@pytest.mark.parametrize("name", ["01 Song.flac", "booklet.pdf", "clip.mp4", "2-10 A.AAC", "notes"])
def test_album_file(name):
    """A song that follows the scheme, and any other file, may stand in an album directory."""
    path = f"Artist/2020 - Album/{name}"
    assert check_album_file(path) == AlbumPath("Artist", 2020, "Album")


@pytest.mark.parametrize(
    "path",
    [
        "Artist/2020 - Album/Song.flac",
        "Artist/2020 - Album",
        "Artist/Album/booklet.pdf",
        "Artist/2020 - Album/scans/booklet.pdf",
        "Artist/2020 - Album/.hidden.pdf",
        "Artist/2020 - Album/.mp3",
        "Artist/2020 - Album/../../../booklet.pdf",
        "booklet.pdf",
    ],
)
def test_no_album_file(path):
    """Other places, badly named songs and hidden files are no targets of an album file."""
    with pytest.raises(InvalidPath):
        check_album_file(path)


@given(st.text(max_size=400), st.sampled_from(["", "flac", "tar.gz"]) | st.text(max_size=20))
@example("", "")
@example(".", "")
@example("..", "..")
@example("\0", "\n")
@example("a\u200d", "b/c")
@example("", "longer than an extension")
@example("ä" * 300, "flac")
def test_safe_name(text, extension):
    """Of any text comes a name that files/ takes, that is not hidden, and that stays the same."""
    name = safe_name(text, extension)
    assert check_name(name) == name
    assert not name.startswith(".")
    assert len(name.encode()) <= 255
    assert unicodedata.is_normalized("NFC", name)
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("text", "extension", "expected"),
    [
        ("Song", "flac", "Song.flac"),
        ("AC/DC", "", "AC∕DC"),
        ("AC\\DC", "", "AC∖DC"),
        (".38 Special", "", "․38 Special"),
        ("...", "", "․.."),
        ("A\r\nB\0C\x07", "", "A  BC"),
        ("A\u3000B\xa0C", "", "A\u3000B\xa0C"),
        ("  A ", "", "A"),
        ("u\u0308ber", "", "über"),
        ("u\0\u0308ber", "", "über"),
        ("\ud800", "", "_"),
        ("A\u202eB\u200f \u2066", "", "AB"),
        ("A\u2028B\u2029", "", "A B"),
        ("", "pdf", "_.pdf"),
        ("A", ".pdf", "A.pdf"),
        ("", "longer than an extension", "․longer than an extension"),
        ("A", "not an extension at all", "A.not an extension at all"),
        ("ä" * 300, "flac", "ä" * 125 + ".flac"),
        ("a" * 249 + " b", "flac", "a" * 249 + ".flac"),
    ],
)
def test_safe_name_says_what_it_does(text, extension, expected):
    """Each replacement is the documented one."""
    assert safe_name(text, extension) == expected


@given(st.text(max_size=300), years, st.text(max_size=300), st.text(max_size=300))
@example("A", 2020, "B", "x" * 300)
@example("\u200f.A", 2020, "\u200f B\u2028", "\0 C\u202e")
def test_paths_from_tags(artist, year, album, song):
    """Tags of any text make a path for a new file, unless an album's or song's name is empty."""
    try:
        album_path = safe_album_path(artist, year, album)
        song_path = safe_song_path(album_path, None, 7, song, "flac")
    except InvalidPath:
        assert "_" in (safe_name(album), safe_name(song))
    else:
        assert song_path.album_path == album_path == check_new_file(song_path.path)
        assert (song_path.number, song_path.extension) == (7, "flac")


@given(st.text(max_size=300), years, st.text(max_size=300))
@example("A", 2020, "x" * 300)
@example("A", 2020, "- B -")
@example("A", 2020, "B\t- C")
def test_paths_of_videos(artist, year, video):
    """Any text makes a path for a new video, unless the name is empty or MusicDB would cut it."""
    name = safe_name(f"{year:04d} - {safe_name(video)}", "mp4")
    if name.count(" - ") > 1:
        with pytest.raises(InvalidPath, match="another dash"):
            safe_video_path(artist, year, video, "MP4")
    elif safe_name(video) != "_":
        path = safe_video_path(artist, year, video, "MP4")
        assert path == check_new_video(path.path)
        assert (path.year, path.extension) == (year, "mp4")
        assert path.path.rpartition("/")[2].count(" - ") == 1


def test_a_video_with_a_separator_in_its_name():
    """It is refused, not renamed: a person decides how it is called."""
    with pytest.raises(InvalidPath, match="'B \u2013 C'"):
        safe_video_path("A - Z", 2020, "B - C", "mp4")


def test_extensions_become_lower_case():
    """MusicDB reads no others."""
    album = safe_album_path("A", 2020, "B")
    assert safe_song_path(album, 1, 2, "C", "FLAC").path == "A/2020 - B/1-02 C.flac"
    assert safe_video_path("A", 2020, "C", ".WebM").path == "A/2020 - C.webm"


@pytest.mark.parametrize("parse", [parse_album, parse_song, parse_video])
@pytest.mark.parametrize("path", [None, 3, b"A/2020 - B", ["A", "2020 - B"], {}])
def test_what_is_no_text_is_no_path(parse, path):
    """Also what cannot be remembered: a client may send any JSON."""
    with pytest.raises(InvalidPath, match="not text"):
        parse(path)
