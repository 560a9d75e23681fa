"""Integration of real files into a real Music Directory."""

import errno
import hashlib
import io
import os
import pickle
import shutil
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from attrs import evolve
from clikit import retag
from musictasks.files import Directory, Effects, using
from musictasks.handlers import Integration, recording
from musictasks.library import (
    Archive,
    Digests,
    Ledger,
    MusicDirectory,
    SongTags,
    album_from,
    digests_of,
    note_tags,
    parse_album,
    sample_album,
    verify,
)
from musictasks.library.importing import read_songs
from musictasks.statemachine import HistoryEntry, MusicTask, Outcome, Work, WorkStopped

ALBUM = "Søren Größenwald/2020 - Über den Wäldern"
TARGET = f"{ALBUM}/01 Morgenröte.flac"
UPLOAD = "albumfile-" + "0" * 40 + ".flac"
SONG = sample_album() / "01 Morgenroete.flac"
TASK = MusicTask(
    id="task-1",
    content_type="albumfile",
    source_filename=SONG.name,
    upload_path=UPLOAD,
    album_file_path=TARGET,
)


@pytest.fixture
def handler(tmp_path: Path) -> Integration:
    """A handler with one uploaded song and an empty Music Directory."""
    (tmp_path / "uploads").mkdir()
    (tmp_path / "music").mkdir()
    shutil.copy(SONG, tmp_path / "uploads" / UPLOAD)
    return Integration(Directory(tmp_path / "uploads"), MusicDirectory(tmp_path / "music"))


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_placed(handler: Integration):
    """The file stands at its target with the documented modes; the upload stays."""
    outcome = handler(TASK, Work())
    assert outcome == Outcome("succeed", {"album_path": ALBUM})
    root = handler.music.root
    assert (root / TARGET).read_bytes() == SONG.read_bytes()
    assert (root / TARGET).stat().st_mode & 0o777 == 0o664
    assert (root / ALBUM).stat().st_mode & 0o777 == 0o775
    assert (root / ALBUM).parent.stat().st_mode & 0o777 == 0o775
    assert handler.uploads.names() == [UPLOAD]


def test_twice(handler: Integration):
    """A second run finds the same bytes, copies nothing and says so."""
    handler(TASK, Work())
    before = (handler.music.root / TARGET).stat()
    outcome = handler(TASK, Work())
    assert outcome.event == "succeed"
    assert "already" in (outcome.message or "")
    after = (handler.music.root / TARGET).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_preprocessed_data_counts(handler: Integration):
    """Where there is preprocessed data, it is placed instead of the upload."""
    (handler.uploads.root / "other").write_bytes(b"preprocessed")
    handler(evolve(TASK, preprocessed_path="other"), Work())
    assert (handler.music.root / TARGET).read_bytes() == b"preprocessed"


@pytest.mark.parametrize("there", [TARGET, TARGET.replace("Morgen", "MORGEN")])
def test_another_file_is_there(handler: Integration, there: str):
    """Other bytes at the target are never touched; the failure names the target."""
    root = handler.music.root
    (root / ALBUM).mkdir(parents=True)
    (root / there).write_bytes(b"mine")
    outcome = handler(TASK, Work())
    assert outcome.event == "fail"
    assert (outcome.message or "").startswith(there)
    assert (root / there).read_bytes() == b"mine"
    assert len(everything(root)) == 3
    retried = handler(evolve(TASK, album_file_path=f"{ALBUM}/02 Morgenröte.flac"), Work())
    assert retried.event == "succeed"


@pytest.mark.parametrize(
    "target",
    [
        "../01 Song.flac",
        "../../A/2020 - B/01 Song.flac",
        "/tmp/2020 - B/01 Song.flac",
        "A/../2020 - B/01 Song.flac",
        "A/2020 - B/Song.flac",
        "A/2020 - B/.hidden",
        "A/2020 - B/01 So\0ng.flac",
        "A/2020 - B/01 So\nng.flac",
        "A/2020 - B/" + "x" * 300,
        "A/2020 - B/.",
        "A/2020 - B",
        "",
        None,
    ],
)
def test_invalid_target(handler: Integration, target: str | None):
    """A target that is none is a failure, and nothing appears anywhere."""
    outcome = handler(evolve(TASK, album_file_path=target), Work())
    assert outcome.event == "fail"
    assert outcome.message
    assert everything(handler.music.root.parent) == ["music", "uploads", f"uploads/{UPLOAD}"]


def test_target_behind_a_link(handler: Integration, tmp_path: Path):
    """A link in the Music Directory leads nowhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (handler.music.root / "A").symlink_to(outside)
    outcome = handler(evolve(TASK, album_file_path="A/2020 - B/01 Song.flac"), Work())
    assert outcome.event == "fail"
    assert everything(outside) == []


def test_leftovers(handler: Integration):
    """Temporary files of a killed run of this task go; those of other tasks stay."""
    album = handler.music.root / ALBUM
    album.mkdir(parents=True)
    for name in (".task-1.7.1.tmp", ".task-10.7.1.tmp", ".task-1"):
        (album / name).write_bytes(b"half")
    assert handler(TASK, Work()).event == "succeed"
    names = {path.name for path in album.iterdir()}
    assert names == {".task-10.7.1.tmp", ".task-1", "01 Morgenröte.flac"}


@pytest.mark.parametrize("fields", [{"upload_path": None}, {"upload_path": "gone.flac"}])
def test_missing_data(handler: Integration, fields: dict):
    """Without its data a task fails, and no directory is made."""
    outcome = handler(evolve(TASK, **fields), Work())
    assert outcome.event == "fail"
    assert everything(handler.music.root) == []


@pytest.mark.parametrize("content_type", ["artwork", "any", None])
def test_other_content_types(handler: Integration, content_type: str | None):
    """Data of another type is rejected."""
    outcome = handler(evolve(TASK, content_type=content_type), Work())
    assert outcome.event == "reject"
    assert everything(handler.music.root) == []


def test_full_disk(handler: Integration):
    """A full disk is a failure in the system's words; nothing is left, and a retry succeeds."""

    class Full(Effects):
        def write(self, fd: int, data: bytes | memoryview, offset: int) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with using(Full()):
        outcome = handler(TASK, Work())
    assert outcome == Outcome("fail", message=f"No space left on device: {TARGET}")
    assert everything(handler.music.root) == []
    assert handler(TASK, Work()).event == "succeed"


def test_progress_and_stop(handler: Integration):
    """The bytes done are told, and a task that is asked to stop leaves nothing behind."""

    class StopsAtTwoMiB(Work):
        def __init__(self) -> None:
            self.told: list[tuple[int, int, str | None]] = []

        @property
        def stopped(self) -> bool:
            return len(self.told) >= 2

        def progress(self, done: int, total: int, path: str | None = None) -> None:
            self.told.append((done, total, path))

    (handler.uploads.root / UPLOAD).write_bytes(bytes(3 * 1024 * 1024))
    work = StopsAtTwoMiB()
    with pytest.raises(WorkStopped):
        handler(TASK, work)
    mib = 1024 * 1024
    assert work.told == [(mib, 3 * mib, TARGET), (2 * mib, 3 * mib, TARGET)]
    assert everything(handler.music.root) == []


def test_durable_or_not(handler: Integration):
    """With durability off nothing is synced; with it on, the file and its directories are."""

    class Counting(Effects):
        syncs = 0

        def fsync(self, fd: int) -> None:
            self.syncs += 1

    with using(Counting()) as effects:
        assert isinstance(effects, Counting)
        evolve(handler, durable=False)(TASK, Work())
        assert effects.syncs == 0
        handler(evolve(TASK, album_file_path="A/2020 - B/01 C.flac"), Work())
        assert effects.syncs >= 4


def test_pickled(handler: Integration):
    """The handler works after a journey into another process."""
    assert pickle.loads(pickle.dumps(handler))(TASK, Work()).event == "succeed"


def known(handler: Integration) -> Ledger:
    return Ledger(handler.music.root.parent / "ledger.db")


@pytest.mark.parametrize("existed", [False, True])
def test_what_is_placed_is_in_the_ledger(handler: Integration, existed: bool):
    """Also what a run before it had placed, and was cut off in: with the task, as it is on disk."""
    sha1 = hashlib.sha1(SONG.read_bytes()).hexdigest()
    task = evolve(TASK, source_checksum=sha1)
    if existed:
        handler(task, Work())
    assert evolve(handler, ledger=known(handler))(task, Work()).event == "succeed"
    (entry,) = known(handler).entries().values()
    status = (handler.music.root / TARGET).stat()
    assert (entry.path, entry.task, entry.sha1) == (TARGET, TASK.id, sha1)
    assert (entry.size_bytes, entry.mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert (entry.ctime_ns, entry.sha256) == (
        status.st_ctime_ns,
        hashlib.sha256(SONG.read_bytes()).hexdigest(),
    )
    assert known(handler).audio([entry.sha256])[entry.sha256].startswith("flac:")


def test_what_was_placed_is_imported_without_a_look_unless_it_was_changed(handler: Integration):
    """By how it looks; who changes it keeps neither its size nor its times from telling."""
    upload, target = handler.uploads.root / UPLOAD, handler.music.root / TARGET
    retag(upload, title="Of this test alone")
    sha1 = hashlib.sha1(upload.read_bytes()).hexdigest()
    tags = SongTags(title="Read before", playtime_s=1, bitrate=1, mime_type="audio/flac")
    note_tags(sha1, TARGET, tags)
    task = evolve(TASK, source_checksum=sha1)
    assert evolve(handler, ledger=known(handler))(task, Work()).event == "succeed"
    (song,) = read_songs(handler.music, [TARGET])
    assert song.tags.title == "Read before"
    assert song.checksum == hashlib.sha256(target.read_bytes()).hexdigest()
    assert song.audio == digests_of(io.BytesIO(target.read_bytes()), TARGET).audio

    status = target.stat()
    retag(target, title="Retagged")
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    (song,) = read_songs(handler.music, [TARGET])
    assert song.tags.title == "Retagged"
    assert song.checksum == hashlib.sha256(target.read_bytes()).hexdigest()


class _Tagger(Effects):
    """Changes a file at once when it has got its name in the Music Directory."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def rename_noreplace(self, src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        super().rename_noreplace(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        if dst == self.target.name:
            retag(self.target, title="Retagged")


def test_a_file_that_is_changed_as_soon_as_it_is_placed_is_known_as_it_is(handler: Integration):
    """Not with the checksums of the upload: a verification would call it rotten."""
    sha1 = hashlib.sha1(SONG.read_bytes()).hexdigest()
    target, ledger = handler.music.root / TARGET, known(handler)
    with using(_Tagger(target)):
        evolve(handler, ledger=ledger)(evolve(TASK, source_checksum=sha1), Work())
    (entry,) = ledger.entries().values()
    assert entry.sha1 == hashlib.sha1(target.read_bytes()).hexdigest() != sha1
    assert entry.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert verify(handler.music, ledger).findings == ()
    (song,) = read_songs(handler.music, [TARGET])
    assert (song.tags.title, song.checksum) == ("Retagged", entry.sha256)


def test_a_file_that_is_changed_while_it_is_taken_down_is_not_in_the_ledger(
    handler: Integration, caplog: pytest.LogCaptureFixture
):
    """The next verification finds it."""
    target, ledger = handler.music.root / TARGET, known(handler)

    def digests(file: BinaryIO, *args: Any, **options: Any) -> Digests:
        found = digests_of(file, *args, **options)
        retag(target, title="Retagged")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "digests_of", digests)
        assert evolve(handler, ledger=ledger)(TASK, Work()).event == "succeed"
    assert ledger.entries() == {}
    assert "changes just now" in caplog.text
    (song,) = read_songs(handler.music, [TARGET])
    assert song.tags.title == "Retagged"


def test_the_files_of_an_archive_are_in_the_ledger(handler: Integration):
    """Each with its own checksum, and all with the archive's: it is there as long as they are."""
    unpacked = handler.uploads.root / "unpacked"
    unpacked.mkdir()
    shutil.copy(SONG, unpacked / "01 Song.flac")
    (unpacked / "booklet.pdf").write_bytes(b"booklet")
    task = MusicTask(
        id="task-2",
        content_type="album",
        source_checksum="A" * 40,
        file_size=12345,
        upload_path=UPLOAD,
        preprocessed_path="unpacked",
        album_path=ALBUM,
    )
    archive, ledger = Archive("a" * 40, 12345), known(handler)
    evolve(handler, ledger=ledger)(task, Work())
    paths = [f"{ALBUM}/01 Song.flac", f"{ALBUM}/booklet.pdf"]
    assert [entry.path for entry in ledger.of_archive(archive)] == paths
    assert album_from(ledger, handler.music, archive) == parse_album(ALBUM)
    assert ledger.entries()[paths[1]].sha1 == hashlib.sha1(b"booklet").hexdigest()
    assert verify(handler.music, ledger).findings == ()
    (handler.music.root / paths[1]).write_bytes(b"another")
    verify(handler.music, ledger, accept=True, scope=ALBUM)
    assert ledger.of_archive(archive) == []


def test_a_ledger_that_cannot_be_written_is_behind(
    handler: Integration, caplog: pytest.LogCaptureFixture
):
    """The file is at its place, the log says what is missing, and a verification finds it."""
    ledger = known(handler)
    ledger.path.write_bytes(b"no ledger, and long enough to be none" * 100)
    assert evolve(handler, ledger=ledger)(TASK, Work()).event == "succeed"
    assert "ledger" in caplog.text
    ledger.make_anew()
    (finding,) = verify(handler.music, ledger).findings
    assert (finding.path, str(finding.verdict)) == (TARGET, "unknown")


@pytest.mark.parametrize(
    ("events", "stays"),
    [(("request_upload", "begin"), True), (("request_upload", "begin", "recover", "begin"), False)],
    ids=["first try", "after a kill"],
)
def test_only_after_a_cut_the_directory_is_searched(
    handler: Integration, events: tuple[str, ...], stays: bool
):
    """The first try has left nothing yet, and lists nothing to find that out."""
    album = handler.music.root / ALBUM
    album.mkdir(parents=True)
    (album / ".task-1.7.1.tmp").write_bytes(b"half")
    states = ["new", *events]
    history = tuple(map(HistoryEntry, [0.0] * len(events), events, states, states[1:]))
    assert handler(evolve(TASK, history=history), Work()).event == "succeed"
    assert (album / ".task-1.7.1.tmp").exists() == stays
