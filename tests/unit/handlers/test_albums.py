"""Albums as archives: unpacked, put at their place, and gone with their task."""

from __future__ import annotations

import errno
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import mutagen.flac
import pytest
from archivekit import TAR_MODES, album_files, encrypted, make_odd_tar, make_tar, make_zip, member
from attrs import evolve
from musictasks.files import Directory, Effects, using
from musictasks.handlers import Integration, Preprocessing, Removal
from musictasks.library import ArchiveLimits, ImageLimits, MusicDirectory
from musictasks.statemachine import MusicTask, Work, WorkStopped

ALBUM = "Søren Größenwald/2020 - Über den Wäldern"
UPLOAD = "album-" + "0" * 40 + ".zip"
UNPACKED = "album-" + "0" * 40 + ".preprocessed"
TASK = MusicTask(
    id="task-1",
    content_type="album",
    source_filename="Album.zip",
    upload_path=UPLOAD,
    preprocessed_path=UNPACKED,
    album_path=ALBUM,
)
SONGS = ["01 Morgenröte.flac", "02 Ebbe∕Flut.mp3", "03 Nacht - Reprise.m4a"]
#: By the names that the tags give them.
FILES = {
    name.rpartition("/")[2].replace("oe", "ö").replace("Ebbe-", "Ebbe∕"): data
    for name, data in album_files().items()
}


class Stopping(Work):
    """Asks to stop at the check with this number."""

    def __init__(self, at: int) -> None:
        self.left = at

    @property
    def stopped(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture
def preprocessing(tmp_path: Path) -> Preprocessing:
    (tmp_path / "uploads").mkdir()
    return Preprocessing(Directory(tmp_path / "uploads"), ImageLimits(), ArchiveLimits())


@pytest.fixture
def integration(preprocessing: Preprocessing, tmp_path: Path) -> Integration:
    """With an unpacked album."""
    (tmp_path / "music").mkdir()
    unpack(preprocessing, make_zip(album_files()))
    return Integration(preprocessing.uploads, MusicDirectory(tmp_path / "music"))


def unpack(handler: Preprocessing, data: bytes, work: Work | None = None):
    (handler.uploads.root / UPLOAD).write_bytes(data)
    return handler(TASK, work or Work())


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("mode", ["zip", *TAR_MODES])
def test_unpacked(preprocessing: Preprocessing, mode: str) -> None:
    """The files lie beside the upload, by the names they will have; what they are is annotated."""
    files = album_files() | {"Album/.DS_Store": b"x", "__MACOSX/Album/._01 Song.mp3": b"x"}
    outcome = unpack(preprocessing, make_zip(files) if mode == "zip" else make_tar(files, mode))
    assert outcome.event == "succeed"
    assert outcome.changes == {"preprocessed_path": UNPACKED, "mime_type": "application/zip"}
    assert outcome.annotations == {
        "artist": "Søren Größenwald",
        "album": "Über den Wäldern",
        "releaseyear": 2020,
        "songs": SONGS,
        "otherfiles": ["booklet.pdf", "cover.png"],
    }
    assert content(preprocessing.uploads.root / UNPACKED) == FILES


def test_unpacked_again(preprocessing: Preprocessing) -> None:
    """What a killed run left is replaced."""
    (preprocessing.uploads.root / UNPACKED).mkdir()
    (preprocessing.uploads.root / UNPACKED / ".0").write_bytes(b"half")
    for _ in range(2):
        unpack(preprocessing, make_zip(album_files()))
        assert content(preprocessing.uploads.root / UNPACKED) == FILES


def test_unpacked_with_odd_names(preprocessing: Preprocessing) -> None:
    """No song gets lost for a dot, none is refused for a long name or for what is left out."""
    flac, mp3, m4a = (FILES[name] for name in SONGS)
    files = {
        "...And You/.1/01.flac": flac,
        f"...And You/{'long' * 60}/{'ä' * 200}.mp3": mp3,
        "...And You/...3.m4a": m4a,
        "...And You/Icon\r": b"",
        "...And You/.more.zip": make_zip({}),
        "...And You/text.docx": make_zip({"a": b"b"}),
        "__MACOSX/...And You/._more.zip": b"x",
    }
    for data in (make_zip(files), make_tar(files, "w:gz")):
        outcome = unpack(preprocessing, data)
        assert outcome.message is None
        assert (outcome.annotations or {})["songs"] == SONGS
        assert (outcome.annotations or {})["otherfiles"] == ["text.docx"]


FLAC = FILES[SONGS[0]]


def tagged(**tags: str) -> bytes:
    """A song with these tags only."""
    with io.BytesIO(FLAC) as file:
        song = mutagen.flac.FLAC(file)
        for key in list(song):
            del song[key]
        song.update(tags)
        file.seek(0)
        song.save(file)
        return file.getvalue()


def test_unpacked_discs(preprocessing: Preprocessing) -> None:
    """Folders tell the disc where the tags do not; tags name the songs, else their names do."""
    files = {
        "Album/CD1/01 - One.flac": tagged(tracknumber="1", title="One", discnumber="1"),
        "Album/CD1/02 - Uno.flac": tagged(),
        "Album/CD2/01 - Two.flac": tagged(tracknumber="1", title="Two"),
        "Album/CD2/24 Hours.flac": tagged(tracknumber="2", title="24 Hours"),
    }
    outcome = unpack(preprocessing, make_zip(files))
    songs = ["1-01 One.flac", "1-02 Uno.flac", "2-01 Two.flac", "2-02 24 Hours.flac"]
    assert outcome.annotations == {"songs": songs, "otherfiles": []}
    found = content(preprocessing.uploads.root / UNPACKED)
    assert [found[name] for name in songs] == list(files.values())


#: Each is made where it is needed: there are bombs among them.
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "slip": (lambda: make_zip({"01 A.flac": FLAC, "../out.flac": FLAC}), "leads out"),
    "absolute": (lambda: make_zip({"/01 A.flac": FLAC}), "absolute"),
    "link": (
        lambda: make_odd_tar(member("01 A.flac", kind=b"2", link="/etc/passwd")),
        "link or a device",
    ),
    "bomb": (lambda: make_zip({"01 A.flac": FLAC, "x": bytes(40_000_000)}), "is a bomb"),
    "encrypted": (lambda: encrypted(make_zip(album_files())), "encrypted"),
    "hidden bomb": (
        lambda: make_tar({"01 A.flac": FLAC, "._x": bytes(60_000_000)}, "w:bz2"),
        "is a bomb",
    ),
    "damaged": (
        lambda: make_tar({"A": b"", "01 A.flac": FLAC}).replace(b"01 A", b"01 B"),
        "broken",
    ),
    "several": (
        lambda: make_zip({"A/01 A.flac": tagged(album="X"), "B/02 B.flac": tagged(album="Y")}),
        "several albums: X, Y",
    ),
    "twice": (
        lambda: make_zip({"A/01 A.flac": tagged(), "A/Bonus/1 B.flac": tagged()}),
        "A/01 A.flac and A/Bonus/1 B.flac in it are both number 1 of disc 1",
    ),
    "nested": (lambda: make_zip({"01 A.flac": FLAC, "more.zip": b"x"}), "archive itself"),
    "songless": (lambda: make_zip({"cover.png": FILES["cover.png"]}), "no song"),
    "same": (lambda: make_zip({"01 A.flac": FLAC, "01 a.flac": FLAC}), "same file"),
    "truncated": (lambda: make_zip({"A/01 A.flac": FLAC[: len(FLAC) // 2]}), "A/01 A.flac in it"),
    "renamed": (lambda: make_tar({"01 A.mp3": make_zip({"a": b"b"})}), "01 A.mp3 in it"),
    "tagless": (lambda: make_zip({"A.aac": b"\xff\xf1"}), "A.aac in it"),
    "none": (lambda: b"no archive" * 100, "no archive"),
    "cut": (lambda: make_zip(album_files())[:-5000], "broken"),
}


@pytest.mark.parametrize("bad", BAD)
def test_refused(preprocessing: Preprocessing, bad: str) -> None:
    """Rejected with a reason that names the archive; nothing is left but the upload."""
    make, reason = BAD[bad]
    outcome = unpack(preprocessing, make())
    assert outcome.event == "reject"
    assert (outcome.message or "").startswith("Album.zip: ")
    assert reason in (outcome.message or "")
    assert preprocessing.uploads.names() == [UPLOAD]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_is_a_failure(preprocessing: Preprocessing, code: int) -> None:
    """It leaves nothing, and may be tried again."""

    class Full(Effects):
        def write(self, fd: int, data: bytes | memoryview, offset: int) -> int:
            raise OSError(code, os.strerror(code))

    with using(Full()):
        outcome = unpack(preprocessing, make_zip(album_files()))
    assert (outcome.event, outcome.message) == ("fail", f"{os.strerror(code)}: Album.zip")
    assert preprocessing.uploads.names() == [UPLOAD]


def test_a_stop_leaves_nothing(preprocessing: Preprocessing) -> None:
    """It passes through, wherever it comes."""
    for at in (0, 4, 8, 12):
        with pytest.raises(WorkStopped):
            unpack(preprocessing, make_zip(album_files()), Stopping(at))
        assert preprocessing.uploads.names() == [UPLOAD]


def test_a_stop_in_what_is_left_out(preprocessing: Preprocessing) -> None:
    """It may be long."""
    preprocessing = evolve(preprocessing, archive_limits=ArchiveLimits(ratio=10**6))
    data = make_tar(album_files() | {"Album/._x": bytes(20_000_000)}, "w:bz2")
    with pytest.raises(WorkStopped):
        unpack(preprocessing, data, Stopping(200))
    assert preprocessing.uploads.names() == [UPLOAD]


def test_placed_as_a_whole(integration: Integration) -> None:
    """All files with the documented modes, and nothing else; a second run finds them."""
    for message in (None, f"{ALBUM} was there already, with the same bytes"):
        outcome = integration(TASK, Work())
        assert (outcome.event, outcome.message) == ("succeed", message)
    album = integration.music.root / ALBUM
    assert content(album) == FILES
    assert [path.name for path in album.parent.iterdir()] == [album.name]
    assert {path.stat().st_mode & 0o777 for path in album.iterdir()} == {0o664}
    assert {path.stat().st_mode & 0o777 for path in (album, album.parent)} == {0o775}


def test_ignored_files_in_the_album(integration: Integration) -> None:
    """They are none of the album's: it is there with the same files."""
    integration(TASK, Work())
    (integration.music.root / ALBUM / "Thumbs.db").write_bytes(b"x")
    (integration.music.root / ALBUM / ".DS_Store").write_bytes(b"x")
    outcome = integration(TASK, Work())
    assert outcome.message == f"{ALBUM} was there already, with the same bytes"


def test_another_album_is_there(integration: Integration) -> None:
    """It is named and untouched, nothing hidden is left, and another target works."""
    album = integration.music.root / ALBUM
    album.mkdir(parents=True)
    (album / SONGS[0]).write_bytes(FLAC)
    outcome = integration(TASK, Work())
    assert outcome.event == "fail"
    assert (outcome.message or "").startswith(f"{ALBUM} exists already")
    assert content(album) == {SONGS[0]: FLAC}
    assert [path.name for path in album.parent.iterdir()] == [album.name]
    assert integration(evolve(TASK, album_path=f"{ALBUM} 2"), Work()).event == "succeed"


@pytest.mark.parametrize(
    "changes",
    [
        {"album_path": None},
        {"album_path": "Artist/Album"},
        {"album_path": "../2020 - Album"},
        {"preprocessed_path": "album-1.preprocessed"},
        {"preprocessed_path": None},
    ],
)
def test_what_is_missing_is_a_failure(integration: Integration, changes: dict) -> None:
    """No target, none that is an album's, or no data; nothing is made."""
    assert integration(evolve(TASK, **changes), Work()).event == "fail"
    assert list(integration.music.root.iterdir()) == []


def test_a_stopped_integration_leaves_nothing(integration: Integration) -> None:
    """It passes through, wherever it comes."""
    for at in range(5):
        with pytest.raises(WorkStopped):
            integration(TASK, Stopping(at))
        assert list(integration.music.root.iterdir()) == []


def test_removal_takes_the_hidden_directory(integration: Integration) -> None:
    """That of the task only; albums stay, and an import of the same album has none."""
    artist = integration.music.root / ALBUM.partition("/")[0]
    for hidden in (".task-1.tmp", ".task-2.tmp", "2020 - Über den Wäldern"):
        (artist / hidden).mkdir(parents=True)
        (artist / hidden / SONGS[0]).write_bytes(FLAC)
    removal = Removal(integration.music)
    removal(evolve(TASK, upload_path=None))
    assert (artist / ".task-1.tmp").exists()
    removal(TASK)
    assert sorted(os.listdir(artist)) == [".task-2.tmp", "2020 - Über den Wäldern"]  # noqa: PTH208
    removal(evolve(TASK, album_path="elsewhere"))


def test_the_handlers_can_be_pickled(preprocessing: Preprocessing) -> None:
    """They may work in another process."""
    assert pickle.loads(pickle.dumps(preprocessing)) == preprocessing
