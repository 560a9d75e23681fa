"""Settings: defaults, MusicDB's own file, and what is refused with which words."""

import os
import pickle
from pathlib import Path

import pytest
from attrs import evolve, fields
from musictasks.errors import SettingsError
from musictasks.music.settings import Settings

#: What a MusicDB server has in its file, cut down to a part of each section.
MUSICDB_INI = """\
[meta]
version=7
[server]
url=https://localhost/
[directories]
music=/srv/music
data=/srv/data
[uploads]
allow=albumfile, artwork
[music]
cache=/srv/cache
ignoreartists=lost+found / @eaDir
ignorealbums=
ignoresongs=.directory / desktop.ini
[albumcover]
scales=50, 150
[videoframes]
frames=7
scales=50x27, 150×83
previewlength=2.5
[tasks]
chunksize=1024
maxuploadsize=2048
maxage=1
keepfinished=0
keepfailed=0.5
stoptimeout=3
attempts=4
workers=5
durability=none
archivesize=6
archivefiles=7
archiveratio=8
imagesize=9
imagepixels=10
audioformats=flac, OGG
[debug]
disablestats=0
"""


@pytest.fixture
def ini(tmp_path):
    def write(text):
        path = tmp_path / "musicdb.ini"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def with_line(section, line):
    """A file that is right but for one line."""
    return f"[directories]\nmusic=/m\ndata=/d\n[{section}]\n{line}\n"


def test_defaults():
    """A directory is all that settings need: music and data in it, and the documented values."""
    settings = Settings.in_directory("/srv/lib")
    assert settings.music == Path("/srv/lib/music")
    assert settings.data == Path("/srv/lib/data")
    assert settings.allow == {"video", "albumfile", "album", "artwork"}
    assert settings.ignore_artists == {"lost+found"}
    assert settings.ignore_albums == set()
    assert settings.ignore_songs == {
        ".directory", "desktop.ini", "Desktop.ini", ".DS_Store", "Thumbs.db", "README",
    }  # fmt: skip
    assert settings.artwork_scales == (150, 200, 500, 1000)
    assert (settings.video_frames, settings.video_scales) == (5, ((150, 83),))
    assert settings.video_preview_length_s == 3
    assert settings.chunk_size == 409600
    assert settings.max_upload_size_bytes == 4 * 1024**3
    assert (settings.max_age_s, settings.keep_finished_s, settings.keep_failed_s) == (
        86400, 60, 86400,
    )  # fmt: skip
    assert (settings.stop_timeout_s, settings.attempts) == (10, 3)
    assert settings.workers == os.cpu_count()
    assert settings.durability == "fsync"
    assert settings.audio_formats == {"flac", "mp3", "m4a", "aac"}
    assert (settings.image_size_bytes, settings.image_pixels) == (20_000_000, 25_000_000)


def test_derived_paths():
    """What lies in the data directory lies where a MusicDB server looks for it."""
    settings = Settings(music=Path("/m"), data=Path("/d"))
    assert settings.uploads == Path("/d/uploads")
    assert settings.tasks == Path("/d/tasks")
    assert settings.database == Path("/d/music.db")
    assert settings.artwork == Path("/d/webdata/artwork")
    assert settings.video_frames_root == Path("/d/webdata/videoframes")
    assert settings.owner_file == Path("/d/tasks.owner.json")


def test_file_of_musicdb(ini):
    """Every key is read from the section it has in MusicDB's file; other sections are ignored."""
    assert Settings.from_file(ini(MUSICDB_INI)) == Settings(
        music=Path("/srv/music"),
        data=Path("/srv/data"),
        allow=frozenset({"albumfile", "artwork"}),
        ignore_artists=frozenset({"lost+found", "@eaDir"}),
        ignore_albums=frozenset(),
        ignore_songs=frozenset({".directory", "desktop.ini"}),
        artwork_scales=(50, 150),
        video_frames=7,
        video_scales=((50, 27), (150, 83)),
        video_preview_length_s=2.5,
        chunk_size=1024,
        max_upload_size_bytes=2048,
        max_age_s=1,
        keep_finished_s=0,
        keep_failed_s=0.5,
        stop_timeout_s=3,
        attempts=4,
        workers=5,
        durability="none",
        archive_size_bytes=6,
        archive_files=7,
        archive_ratio=8,
        image_size_bytes=9,
        image_pixels=10,
        audio_formats=frozenset({"flac", "ogg"}),
    )


def test_every_setting_has_a_place_of_its_own():
    """No two settings read the same key, so a file can set each of them."""
    places = [item.metadata["place"] for item in fields(Settings)]
    assert len(set(places)) == len(places)
    assert all(len(place) == 2 for place in places)


def test_file_with_directories_only(ini):
    """What a file does not set has its default; no `allow` means that all may be uploaded."""
    settings = Settings.from_file(ini("[directories]\nmusic=/m\ndata=/d\n"))
    assert settings == Settings(music=Path("/m"), data=Path("/d"))


def test_empty_allow_turns_uploads_off(ini):
    """`allow` without a value is no missing `allow`."""
    assert Settings.from_file(ini(with_line("uploads", "allow ="))).allow == frozenset()


def test_values_are_interpolated(ini):
    """`%(name)s` is another value of the section or of `[DEFAULT]`, and `%%` a percent sign."""
    path = ini(
        "[DEFAULT]\nroot=/srv\n[directories]\nmusic=%(ROOT)s/100%%\ndata=%(music)s/data\n"
        "[tasks]\nworkers=%(attempts)s\nattempts=2\n"
    )
    settings = Settings.from_file(path)
    assert (settings.music, settings.data) == (Path("/srv/100%"), Path("/srv/100%/data"))
    assert settings.workers == 2


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("/100%", "'%' must be followed by '%' or '('"),
        ("/%(root)s", "contains an interpolation key 'root' which is not a valid option name"),
        ("/%(music", "bad interpolation variable reference"),
        ("/%(music)s", "Recursion limit exceeded"),
    ],
)
def test_values_that_cannot_be_interpolated(ini, value, reason):
    """File, section, key and value are named, and how a percent sign is written."""
    path = ini(f"[directories]\nmusic={value}\ndata=/d\n")
    with pytest.raises(SettingsError) as caught:
        Settings.from_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: [directories] music: {value!r} cannot be interpolated: ")
    assert reason in message
    assert message.endswith("a percent sign is written '%%'")
    assert message.count(value) == 1
    assert Settings.from_file(path, music="/m").music == Path("/m")


def test_values_of_others_may_have_any_percent_signs(ini):
    """Sections and keys that are not ours are never interpolated."""
    path = ini(
        "[log]\nformat=%(asctime)s 100%\n[music]\ncache=%(nobody)s\n"
        "[directories]\nmusic=/m\ndata=/d\n"
    )
    assert Settings.from_file(path) == Settings(music=Path("/m"), data=Path("/d"))


@pytest.mark.parametrize(
    ("allow", "kept"), [("songs, video, podcast,video", {"video"}), ("songs", set())]
)
def test_content_types_that_are_unknown_are_left_out(ini, caplog, allow, kept):
    """A warning names them and the file; a program that names them itself gets an error."""
    path = ini(with_line("uploads", f"allow = {allow}"))
    assert Settings.from_file(path).allow == kept
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    unknown = "podcast, songs" if kept else "songs"
    assert record.getMessage().startswith(f"{path}: [uploads] allow: unknown here and left out: ")
    assert f": {unknown} (" in record.getMessage()
    with pytest.raises(SettingsError):
        Settings.from_file(path, allow={"songs"})


def test_known_content_types_are_not_logged(ini, caplog):
    """A file without mistakes says nothing."""
    Settings.from_file(ini(MUSICDB_INI))
    assert caplog.records == []


def test_relative_directories(ini, tmp_path, monkeypatch):
    """Directories in a file are relative to the file, not to where somebody stands."""
    path = ini("[directories]\nmusic=music\ndata=~/data\n")
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", "/home/someone")
    settings = Settings.from_file(path)
    assert settings.music == tmp_path / "music"
    assert settings.data == Path("/home/someone/data")


def test_directories_hold_when_the_process_moves(tmp_path, monkeypatch):
    """A relative directory is made absolute at once."""
    monkeypatch.chdir(tmp_path)
    settings = Settings.in_directory("lib")
    monkeypatch.chdir("/")
    assert settings.music == tmp_path / "lib" / "music"


def test_overrides_count_more(ini):
    """A caller's value counts more than the file's, also where the file's is missing."""
    path = ini("[directories]\nmusic=/m\n[tasks]\nworkers=2\n")
    settings = Settings.from_file(path, data="/elsewhere", workers=7)
    assert (settings.data, settings.workers) == (Path("/elsewhere"), 7)
    assert Settings.in_directory("/x", data="/y").data == Path("/y")


@pytest.mark.parametrize(
    ("section", "line", "reason"),
    [
        ("tasks", "chunksize = 400 KiB", "'400 KiB' is not a number of bytes, 1 or more"),
        ("tasks", "chunksize =", "'' is not a number of bytes, 1 or more"),
        ("tasks", "chunksize = 0", "0 is not a number of bytes, 1 or more"),
        ("tasks", "maxage = nan", "nan is not a number of seconds, 0 or more"),
        ("tasks", "maxage = -1", "-1.0 is not a number of seconds, 0 or more"),
        ("tasks", "keepfailed = 1d", "'1d' is not a number of seconds, 0 or more"),
        ("tasks", "attempts = 1.5", "'1.5' is not a whole number, 1 or more"),
        ("tasks", "workers = ٣٣x", "'٣٣x' is not a whole number, 1 or more"),
        ("tasks", "durability = maybe", "'maybe' is not 'fsync' or 'none'"),
        ("albumcover", "scales = 50 150", "'50 150' is not a list of numbers of pixels, sepa"),
        ("albumcover", "scales = 0", "(0,) is not a list of numbers of pixels, separated by"),
        ("videoframes", "scales = 50*27", "'50*27' is not a list of WIDTHxHEIGHT in pixels"),
    ],
)
def test_values_that_do_not_parse(ini, section, line, reason):
    """A value that cannot be used names file, section, key, itself, and what is expected."""
    path = ini(with_line(section, line))
    with pytest.raises(SettingsError) as caught:
        Settings.from_file(path)
    key = line.split(" ")[0]
    assert str(caught.value).startswith(f"{path}: [{section}] {key}: {reason}")


def test_unknown_key_in_our_section(ini):
    """A key of `[tasks]` that nobody knows is an error, not a setting without effect."""
    path = ini(with_line("tasks", "chunk_size = 1"))
    with pytest.raises(SettingsError) as caught:
        Settings.from_file(path)
    error = caught.value
    assert (error.file, error.section, error.key) == (str(path), "tasks", "chunk_size")
    assert "chunksize" in error.reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[directories]\nmusic=/m\n", "[directories] data: is missing"),
        ("[directories]\nmusic=/m\ndata=\n", "[directories] data: '' is not a directory's path"),
        ("[directories]\nmusic=~no.such.user\ndata=/d\n", "'~no.such.user' is not a directory"),
        ("music=/m\n", "cannot be read: File contains no section headers"),
    ],
)
def test_files_that_say_too_little(ini, text, message):
    """A file without its directories, or that is no settings file, says what is wrong."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_file(ini(text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_file_that_is_not_there(tmp_path):
    """A file that cannot be opened is named with the reason."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_file(tmp_path / "none.ini")
    assert (
        str(caught.value) == f"{tmp_path / 'none.ini'}: cannot be read: No such file or directory"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chunk_size", "1"),
        ("chunk_size", True),
        ("max_age_s", None),
        ("workers", 0),
        ("durability", "yes"),
        ("allow", {"albums"}),
        ("allow", "video"),
        ("ignore_songs", "README"),
        ("artwork_scales", (1.5,)),
        ("video_scales", (150, 83)),
        ("music", "a\0b"),
    ],
)
def test_settings_made_in_python_are_checked_too(name, value):
    """A wrong value is refused where it is given, with the words of the file."""
    with pytest.raises(SettingsError) as caught:
        Settings.in_directory("/srv", **{name: value})
    assert caught.value.file is None
    assert caught.value.section in str(caught.value)


def test_settings_are_values():
    """Settings pickle, compare, hash, make others, and cannot be changed."""
    settings = Settings.in_directory("/srv", workers=3)
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert hash(settings) == hash(evolve(settings))
    assert evolve(settings, workers=4).workers == 4
    with pytest.raises(AttributeError):
        settings.workers = 4  # pyright: ignore[reportAttributeAccessIssue]
