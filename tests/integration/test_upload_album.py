"""Albums uploaded as archives, the whole way on the real engine: into the library, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from archivekit import album_files, encrypted, make_odd_tar, make_tar, make_zip, member
from enginekit import upload, wait_gone
from musictasks.errors import InvalidPath, TaskFailed
from musictasks.library import MusicDatabase
from musictasks.music import MusicEngine, Settings, open_library, orphaned_uploads
from musictasks.statemachine import MusicTask

ALBUM = "Søren Größenwald/2020 - Über den Wäldern"
#: By the names that the tags give them.
FILES = {
    name.rpartition("/")[2].replace("oe", "ö").replace("Ebbe-", "Ebbe∕"): data
    for name, data in album_files().items()
}
SONG = FILES["01 Morgenröte.flac"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.in_directory(tmp_path, durability="none", artwork_scales=(16,))


@pytest.fixture
def engine(settings: Settings) -> Iterator[MusicEngine]:
    with open_library(settings) as engine:
        yield engine


def send(engine: MusicEngine, data: bytes, name: str = "Album.zip") -> MusicTask:
    return upload(engine, data, 400_000, content_type="album", mime_type=None, source_filename=name)


def uploaded(engine: MusicEngine, data: bytes, name: str = "Album.zip") -> MusicTask:
    return engine.wait(send(engine, data, name).id, "readyforintegration", 30)


def music(settings: Settings) -> dict[str, bytes]:
    """Every file in the Music Directory, hidden ones too."""
    paths = (path for path in settings.music.rglob("*") if path.is_file())
    return {str(path.relative_to(settings.music)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("name", ["Album.zip", "Album.tar.gz", "Album.tar.xz"])
def test_into_the_library(engine: MusicEngine, settings: Settings, name: str) -> None:
    """Unpacked, named, placed, imported, with artwork; the data goes with the task."""
    mode = {"gz": "w:gz", "xz": "w:xz"}.get(name[-2:])
    data = make_tar(album_files(), mode) if mode else make_zip(album_files())
    task = uploaded(engine, data, name)
    assert task.annotations["releaseyear"] == 2020
    unpacked = f"{task.id}/album-{task.source_checksum}.preprocessed"
    assert task.preprocessed_path == unpacked
    assert (settings.uploads / unpacked).is_dir()

    engine.integrate(task.id, then_import=True, then_artwork=True)
    done = engine.wait(task.id, "importcomplete", 30)
    assert done.album_path == ALBUM
    assert music(settings) == {f"{ALBUM}/{name}": data for name, data in FILES.items()}
    database = MusicDatabase(settings.database)
    assert [song["number"] for song in database.songs(ALBUM)] == [1, 2, 3]
    album = database.album(ALBUM)
    assert album is not None
    assert album["artworkpath"] == "Søren Größenwald - Über den Wäldern.jpg"
    engine.remove(task.id)
    wait_gone(engine, task.id)
    assert list(settings.uploads.iterdir()) == []


def test_another_target(engine: MusicEngine, settings: Settings) -> None:
    """The client may name it, also by annotations; then the task is gone by itself."""
    task = uploaded(engine, make_zip(album_files()))
    engine.annotate(task.id, {"artist": "AC/DC", "releaseyear": "1980", "album": ".5: Live "})
    engine.integrate(task.id)
    wait_gone(engine, task.id)
    assert set(music(settings)) == {f"AC∕DC/1980 - .5: Live/{name}" for name in FILES}
    task = uploaded(engine, make_zip(album_files()))
    engine.integrate(task.id, "Other/1999 - Album")
    wait_gone(engine, task.id)
    assert (settings.music / "Other/1999 - Album/booklet.pdf").is_file()


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("Artist/Album", "not a year"),
        ("Artist/2020 - Album/01 Song.flac", "3 parts"),
        ("../2020 - Album", "may not be part"),
        (".Artist/2020 - Album", "begins with a dot"),
        ("lost+found/2020 - Album", "ignore lists"),
        (None, "annotate artist, releaseyear"),
    ],
)
def test_a_target_that_is_none(
    engine: MusicEngine, settings: Settings, target: str | None, reason: str
) -> None:
    """The call refuses it; the task rests as it was."""
    task = uploaded(engine, make_zip(album_files()))
    engine.annotate(task.id, {"releaseyear": 20})
    with pytest.raises(InvalidPath, match=reason):
        engine.integrate(task.id, target)
    assert engine.get(task.id).state == "readyforintegration"
    assert music(settings) == {}


def test_an_album_that_is_there(engine: MusicEngine, settings: Settings) -> None:
    """Another one is named and untouched; with another target the upload goes on."""
    there = settings.music / ALBUM / "01 Morgenröte.flac"
    there.parent.mkdir(parents=True)
    there.write_bytes(SONG)
    task = uploaded(engine, make_zip(album_files()))
    engine.integrate(task.id, then_import=True)
    with pytest.raises(TaskFailed, match=f"{ALBUM} exists already"):
        engine.wait(task.id, "importcomplete", 30)
    assert music(settings) == {f"{ALBUM}/01 Morgenröte.flac": SONG}
    assert MusicDatabase(settings.database).albums() == []
    engine.retry(task.id, target=f"{ALBUM} (Deluxe)")
    engine.wait(task.id, "importcomplete", 30)
    assert [one["path"] for one in MusicDatabase(settings.database).albums()] == [
        f"{ALBUM} (Deluxe)"
    ]


def test_the_same_album_twice(engine: MusicEngine, settings: Settings) -> None:
    """The same files count as done, whatever the archive is like."""
    for data in (make_zip(album_files()), make_tar(album_files())):
        task = uploaded(engine, data)
        engine.integrate(task.id, then_import=True)
        engine.wait(task.id, "importcomplete", 30)
    assert len(MusicDatabase(settings.database).songs()) == 3
    assert len(music(settings)) == len(FILES)


BAD = {
    "zip bomb": (lambda: make_zip({"01 A.flac": SONG, "x": bytes(60_000_000)}), "bomb"),
    "zip slip": (make_zip({"01 A.flac": SONG, "../../out.flac": SONG}), "'../../out.flac'"),
    "symlink out": (make_odd_tar(member("a.flac", kind=b"2", link="../../x")), "a.flac in it"),
    "device": (make_odd_tar(member("a.flac", kind=b"3")), "a.flac in it"),
    "encrypted": (encrypted(make_zip(album_files())), "encrypted"),
    "truncated FLAC": (make_zip({"A/01 A.flac": SONG[: len(SONG) // 2]}), "A/01 A.flac in it"),
    "renamed ZIP": (make_tar({"01 A.mp3": make_zip({"a": b"b"})}), "01 A.mp3 in it"),
    "no song": (make_zip({"cover.png": FILES["cover.png"]}), "no song"),
    "no archive": (SONG, "no archive"),
}


@pytest.mark.parametrize("bad", BAD)
def test_refused(engine: MusicEngine, settings: Settings, bad: str) -> None:
    """`invalidcontent` with a reason that names the archive, and nothing of it is left."""
    data, reason = BAD[bad]
    task = send(engine, data if isinstance(data, bytes) else data())
    with pytest.raises(TaskFailed) as caught:
        engine.wait(task.id, "readyforintegration", 30)
    assert caught.value.state == "invalidcontent"
    assert (caught.value.reason or "").startswith("Album.zip: ")
    assert reason in (caught.value.reason or "")
    engine.remove(task.id)
    wait_gone(engine, task.id)
    assert list(settings.uploads.iterdir()) == []
    assert list(settings.music.iterdir()) == []


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"archive_size_bytes": 10_000}, "more than 10000 bytes"),
        ({"archive_files": 4}, "more than 4 files"),
        ({"archive_ratio": 1}, "more than 1 times"),
    ],
)
def test_the_settings_count(settings: Settings, limits: dict[str, int], reason: str) -> None:
    """An album that is larger than they allow is refused."""
    settings = Settings.in_directory(settings.data.parent, durability="none", **limits)
    data = make_zip(album_files() | {"Album/text.txt": b"a" * 3000})
    with open_library(settings) as engine, pytest.raises(TaskFailed, match=reason):
        uploaded(engine, data)


def test_what_a_killed_run_unpacked(settings: Settings) -> None:
    """It goes at the next start, and `check` lists it before; what no task can own stays."""
    with open_library(settings):
        pass
    unpacked = settings.uploads / f"album-{'0' * 40}.preprocessed"
    unpacked.mkdir()
    (unpacked / ".0").write_bytes(b"half a song")
    (settings.uploads / "my own").mkdir()
    (settings.uploads / "removed-by-hand").mkdir()
    assert orphaned_uploads(settings) == [unpacked.name, "removed-by-hand"]
    with open_library(settings):
        pass
    assert [path.name for path in settings.uploads.iterdir()] == ["my own"]
