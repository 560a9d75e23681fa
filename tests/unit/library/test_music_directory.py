"""The Music Directory: which albums, songs and files are in it."""

import os
import pickle
import shutil
from pathlib import Path

import pytest
from attrs import evolve
from musictasks.errors import InvalidPath
from musictasks.library import (
    AlbumPath,
    MusicDirectory,
    VideoPath,
    parse_song,
    parse_video,
    sample_album,
)

ALBUM = "Søren Größenwald/2020 - Über den Wäldern"
SONGS = ["01 Morgenroete.flac", "02 Ebbe-Flut.mp3", "03 Nacht - Reprise.m4a"]


@pytest.fixture
def music(tmp_path: Path) -> MusicDirectory:
    """A Music Directory with the sample album in it."""
    shutil.copytree(sample_album(), tmp_path / ALBUM)
    return MusicDirectory(tmp_path)


def test_songs_and_files(music: MusicDirectory):
    """Songs and all files of an album are listed by path; what the ignore list names is not."""
    assert music.songs(ALBUM) == [f"{ALBUM}/{name}" for name in SONGS]
    files = [f"{ALBUM}/{name}" for name in [*SONGS, "booklet.pdf", "cover.png"]]
    assert music.album_files(ALBUM) == files
    assert music.check_album(ALBUM) == music.songs(ALBUM)


def test_paths_are_those_on_disk(music: MusicDirectory):
    """A number without a leading zero keeps its path."""
    (music.root / ALBUM / "4 Song.MP3").write_bytes(b"x")
    assert f"{ALBUM}/4 Song.MP3" in music.songs(ALBUM)


def test_albums(music: MusicDirectory):
    """Albums are the directories that are named as such, and not ignored."""
    for path in ("A/2020 - B", "A/Notes", "lost+found/2020 - C", "B\\C/2020 - D", "E/2020 - F\n"):
        (music.root / path).mkdir(parents=True)
    (music.root / "A/2021 - file").write_bytes(b"")
    (music.root / "file").write_bytes(b"")
    (music.root / "Link").symlink_to(music.root / "A")
    (music.root / "A/2022 - link").symlink_to(music.root / "A/2020 - B")
    assert music.albums() == ["A/2020 - B", ALBUM]


def test_ignore_lists(music: MusicDirectory):
    """The settings may ignore other artists, albums and files."""
    root = music.root
    assert MusicDirectory(root, ignore_artists=frozenset({ALBUM.split("/")[0]})).albums() == []
    assert MusicDirectory(root, ignore_albums=frozenset({ALBUM.split("/")[1]})).albums() == []
    ignoring = MusicDirectory(root, ignore_songs=frozenset({SONGS[0]}))
    assert ignoring.songs(ALBUM) == [f"{ALBUM}/{name}" for name in SONGS[1:]]
    with pytest.raises(InvalidPath, match="ignore"):
        MusicDirectory(root, ignore_albums=frozenset({ALBUM.split("/")[1]})).check_album(ALBUM)


def test_hidden_files_are_not_there(music: MusicDirectory):
    """Hidden files and temporaries of ours are no files of the album."""
    (music.root / ALBUM / ".task.1.2.tmp").write_bytes(b"x")
    (music.root / ALBUM / ".04 Song.mp3").write_bytes(b"x")
    assert len(music.album_files(ALBUM)) == 5


def test_hidden_artists_are_not_there(music: MusicDirectory):
    """What lies in a hidden directory (a waste bin, say) is no album."""
    (music.root / ".Trash-1000/2020 - B").mkdir(parents=True)
    assert music.albums() == [ALBUM]


@pytest.mark.parametrize("path", ["A", "A/2020 - B", "A/B", "../2020 - B", "/A/2020 - B", ""])
def test_no_album(music: MusicDirectory, path: str):
    """A path that is none of an album, or where none is, is refused."""
    with pytest.raises(InvalidPath):
        music.check_album(path)


def test_an_album_holds_files_only(music: MusicDirectory):
    """A directory, a pipe or a link in an album is named and refused."""
    for make in (
        lambda path: path.mkdir(),
        lambda path: os.mkfifo(path),
        lambda path: path.symlink_to("/etc/passwd"),
    ):
        path = music.root / ALBUM / "scans"
        make(path)
        with pytest.raises(InvalidPath, match="scans"):
            music.check_album(ALBUM)
        path.rmdir() if path.is_dir() else path.unlink()


def test_an_album_through_a_link(music: MusicDirectory, tmp_path_factory: pytest.TempPathFactory):
    """An album directory that is a link is none, wherever it leads."""
    outside = tmp_path_factory.mktemp("outside")
    shutil.copytree(sample_album(), outside / "2020 - B")
    (music.root / "A").symlink_to(outside)
    with pytest.raises(InvalidPath):
        music.check_album("A/2020 - B")


def test_a_badly_named_song(music: MusicDirectory):
    """A song whose name does not follow the scheme is named and refused."""
    (music.root / ALBUM / "Bonus.flac").write_bytes(b"x")
    with pytest.raises(InvalidPath, match=r"Bonus\.flac"):
        music.check_album(ALBUM)


@pytest.mark.parametrize("name", ["04 \n.mp3", "04 \\.mp3"])
def test_a_song_with_an_impossible_name(music: MusicDirectory, name: str):
    """A song whose name cannot be a path of ours is refused, not skipped."""
    (music.root / ALBUM / name).write_bytes(b"x")
    with pytest.raises(InvalidPath):
        music.check_album(ALBUM)


def test_an_album_without_songs(music: MusicDirectory):
    """An album directory without a song is no album."""
    for name in SONGS:
        (music.root / ALBUM / name).unlink()
    with pytest.raises(InvalidPath, match="no song"):
        music.check_album(ALBUM)


@pytest.mark.parametrize("name", ["01 Song.flac", "booklet.pdf", "01 ...And Justice.mp3"])
def test_a_target(music: MusicDirectory, name: str):
    """A file that follows the scheme may go into an album, be that there or not."""
    target = f"Künstler/2014 - .5/{name}"
    assert music.check_target(target) == AlbumPath("Künstler", 2014, ".5")


@pytest.mark.parametrize(
    "path",
    [
        ".A/2020 - B/01 C.flac",
        ".git/2020 - B/booklet.pdf",
        "A/2020 - B/.booklet.pdf",
        " A/2020 - B/01 C.flac",
        "A\u3000/2020 - B/01 C.flac",
        "A/2020 - B /01 C.flac",
        "A/2020 -  B/01 C.flac",
        "A/2020 - B/01  C.flac",
        "A/2020 - B/01 C .flac",
        "A/2020 - B/ booklet.pdf",
        "A/2020 - B/booklet.pdf ",
        "A/2020 - B/gpj.\u202etelkoob.pdf",
        "A\u200f/2020 - B/booklet.pdf",
        "A/2020 - B\u2066C/booklet.pdf",
        "A/2020 - B/01 C\u2028D.flac",
        "A\u2029B/2020 - B/01 C.flac",
        "lost+found/2020 - B/01 C.flac",
        "A/2020 - B/README",
        "A/2020 - B/Thumbs.db",
    ],
)
def test_no_target(music: MusicDirectory, path: str):
    """Hidden, misleading and ignored names are no targets."""
    with pytest.raises(InvalidPath):
        music.check_target(path)


def test_targets_of_albums_and_videos(music: MusicDirectory):
    """What follows the scheme may be made, be it there or not."""
    assert music.check_target_album("A/2014 - .5") == AlbumPath("A", 2014, ".5")
    video = VideoPath("A", 2014, "B.C", "mp4")
    assert music.check_target_video("A/2014 - B.C.mp4") == video
    assert music.check_target("A/2014 - B/BOOKLET.PDF") == AlbumPath("A", 2014, "B")


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("A/2014 - B.MP4", "end it in '.mp4'"),
        ("A/2014 - B.WebM", "end it in '.webm'"),
        ("A/2014 - B - C.mp4", "'B – C'"),
        ("A/2014 - B - C - D.mp4", "'B – C – D'"),
    ],
)
def test_videos_that_musicdb_does_not_read_back_are_no_targets(
    music: MusicDirectory, path: str, remedy: str
):
    """The refusal says what would do, which does; what is there already is read as it is."""
    with pytest.raises(InvalidPath, match=remedy) as caught:
        music.check_target_video(path)
    assert caught.value.path == path
    video = parse_video(path)
    better = evolve(
        video, video=video.video.replace(" - ", " – "), extension=video.extension.lower()
    )
    assert music.check_target_video(better.path) == better


@pytest.mark.parametrize("extension", ["FLAC", "Mp3", "m4A", "AAC"])
def test_songs_that_musicdb_does_not_read_back_are_no_targets(
    music: MusicDirectory, extension: str
):
    """The refusal names the extension that would do; what is there already is read as it is."""
    path = f"A/2014 - B - C/01 D - E.{extension}"
    with pytest.raises(InvalidPath, match=rf"end it in '\.{extension.lower()}'"):
        music.check_target(path)
    assert parse_song(path).extension == extension
    assert music.check_target(f"A/2014 - B - C/01 D - E.{extension.lower()}")


@pytest.mark.parametrize(
    "path",
    [
        *("A/B", "../2020 - B", "A/2020 - B/C", ".A/2020 - B", "A/2020 - B ", "A /2020 - B"),
        *("A/2020 - \u202eB", "lost+found/2020 - B"),
    ],
)
def test_no_target_of_an_album_or_a_video(music: MusicDirectory, path: str):
    """As strict as for files."""
    with pytest.raises(InvalidPath):
        music.check_target_album(path)
    with pytest.raises(InvalidPath):
        music.check_target_video(f"{path}.mp4")


def test_an_ignored_album_is_no_target(music: MusicDirectory):
    """What the settings ignore could not be found again."""
    ignoring = MusicDirectory(music.root, ignore_albums=frozenset({"2020 - B"}))
    with pytest.raises(InvalidPath, match="ignore lists"):
        ignoring.check_target("A/2020 - B/01 C.flac")
    with pytest.raises(InvalidPath, match="ignore lists"):
        ignoring.check_target_album("A/2020 - B")


@pytest.mark.parametrize("album", ["A /2020 - B", "A\u202e/2020 -  B\u2028"])
def test_names_that_are_no_targets_stay_albums_on_disk(music: MusicDirectory, album: str):
    """The file system is always right: what is there already is read as it is."""
    shutil.copytree(sample_album(), music.root / album)
    assert album in music.albums()
    assert len(music.check_album(album)) == 3


def test_modified(music: MusicDirectory):
    """The time of the last change is told in whole seconds; a missing path is an error."""
    os.utime(music.root / ALBUM, (1_600_000_000.9, 1_600_000_000.9))
    assert music.modified(ALBUM) == 1_600_000_000
    with pytest.raises(FileNotFoundError):
        music.modified("A/2020 - B")


def test_a_value(music: MusicDirectory):
    """A Music Directory can be pickled: handlers carry it into other processes."""
    assert pickle.loads(pickle.dumps(music)) == music
