"""The data file of an upload."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from musictasks.errors import InvalidPath
from musictasks.files import Directory, UploadData, counted, effects, upload_marks, uploads, using

pytestmark = pytest.mark.usefixtures("no_leaks")

CODES = [errno.ENOSPC, errno.EIO, errno.EMFILE]


def sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@pytest.fixture
def data(root: Directory) -> UploadData:
    return UploadData(root, "upload.flac")


def content(root: Directory) -> bytes:
    return (root.root / "upload.flac").read_bytes()


def test_chunks_add_up(root: Directory, data: UploadData) -> None:
    """Size and SHA-1 are those of all chunks; only the owner may read them."""
    assert data.size() == 0
    data.append(b"one", 0)
    data.append(b"two", 3, last=True)
    assert content(root) == b"onetwo"
    assert data.size() == 6
    assert data.hexdigest() == sha1(b"onetwo")
    assert stat.S_IMODE((root.root / "upload.flac").stat().st_mode) & 0o077 == 0


def test_a_new_object_goes_on_where_the_file_stands(root: Directory, data: UploadData) -> None:
    """After a restart the size is that of the file, and the SHA-1 is made again from its bytes."""
    data.append(b"one", 0)
    again = UploadData(root, "upload.flac")
    assert again.size() == 3
    again.append(b"two", 3)
    assert again.hexdigest() == sha1(b"onetwo")
    assert UploadData(root, "upload.flac").hexdigest() == sha1(b"onetwo")


def test_it_is_made_durable_every_64_mib_and_at_the_end(
    data: UploadData, breaks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks are not synced one by one; the directory is, once."""
    monkeypatch.setattr(uploads, "SYNC_EVERY_BYTES", 10)
    calls = breaks.count(
        lambda: [data.append(b"1234", offset, last=offset == 16) for offset in range(0, 20, 4)]
    )
    assert calls == [
        *("open", "write"),
        *("open", "write"),
        *("open", "write", "fsync", "fsync"),
        *("open", "write"),
        *("open", "write", "fsync"),
    ]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("offset", [0, 3])
def test_an_error_at_any_call_takes_the_chunk_back(
    root: Directory, breaks: Any, code: int, offset: int
) -> None:
    """A chunk that fails anywhere has added nothing, and can be sent again."""
    total = len(breaks.count(lambda: UploadData(root, "x").append(b"two", 0, last=True)))
    assert total == 4
    for at in range(1, total + 1):
        data = UploadData(root, "upload.flac")
        if offset:
            data.append(b"one", 0)
        with using(breaks.fail(at, code)), pytest.raises(OSError, match=os.strerror(code)):
            data.append(b"two", offset, last=True)
        assert data.size() == offset, f"call {at}"
        assert data.hexdigest() == sha1(b"one"[:offset]) if offset else True
        data.append(b"two", offset, last=True)
        assert content(root) == b"one"[:offset] + b"two"
        assert data.hexdigest() == sha1(b"one"[:offset] + b"two")
        assert root.names() == ["upload.flac", "x"]
        data.discard()


def test_bytes_that_could_not_be_taken_back_are_dropped_later(
    root: Directory, data: UploadData, breaks: Any
) -> None:
    """Where also the cut fails, the next chunk begins where the upload stands."""
    data.append(b"one", 0)

    class Bad(breaks.short_writes):
        writes = 0

        def write(self, fd: int, data: bytes | memoryview, offset: int) -> int:
            self.writes += 1
            if self.writes > 1:
                raise OSError(errno.ENOSPC, "full")
            return super().write(fd, data, offset)

        def truncate(self, fd: int, length: int) -> None:
            raise OSError(errno.EIO, "broken")

    with using(Bad()), pytest.raises(OSError, match="full"):
        data.append(b"two", 3)
    assert data.size() == 4
    data.append(b"two", 3)
    assert content(root) == b"onetwo"
    assert data.hexdigest() == sha1(b"onetwo")


def test_a_file_that_became_shorter_is_not_written_to(root: Directory, data: UploadData) -> None:
    """Somebody cut the file: no hole is written, and the size says where to go on."""
    data.append(b"one", 0)
    os.truncate(root.root / "upload.flac", 1)
    with pytest.raises(OSError, match="1 bytes, not 3"):
        data.append(b"two", 3)
    assert data.size() == 1
    data.append(b"ther", 1)
    assert data.hexdigest() == sha1(b"other")


def test_a_missing_file_is_made_by_the_first_chunk_only(root: Directory, data: UploadData) -> None:
    """A chunk in the middle makes no file."""
    with pytest.raises(FileNotFoundError):
        data.append(b"two", 3)
    assert root.names() == []
    data.make_durable()
    assert not data.discard()


@pytest.mark.parametrize("other", ["link", "pipe", "dir"])
def test_what_is_no_file_is_not_written_to(root: Directory, data: UploadData, other: str) -> None:
    """A link, a pipe or a directory in its place is refused, and a link is not followed."""
    path = root.root / "upload.flac"
    (root.root / "target").write_text("precious")
    if other == "link":
        path.symlink_to("target")
    elif other == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    for offset in (0, 3):
        with pytest.raises(InvalidPath):
            data.append(b"one", offset)
    assert (root.root / "target").read_text() == "precious"


@pytest.mark.parametrize("name", ["a/../b", "/a", "..", "", "a\0"])
def test_its_path_is_a_plain_one(root: Directory, name: str) -> None:
    """A path that leads elsewhere is refused when the object is made."""
    with pytest.raises(InvalidPath):
        UploadData(root, name)


def test_a_cut_takes_bytes_and_hash_back(root: Directory, data: UploadData) -> None:
    """After a cut, the SHA-1 is that of what is left, and chunks go on from there."""
    data.append(b"one", 0)
    data.append(b"two", 3)
    data.cut(3)
    assert content(root) == b"one"
    assert data.hexdigest() == sha1(b"one")
    data.append(b"three", 3)
    data.cut(2)
    assert data.hexdigest() == sha1(b"on")
    data.cut(0)
    data.append(b"again", 0)
    assert data.hexdigest() == sha1(b"again")


def test_a_discarded_upload_begins_anew(root: Directory, data: UploadData) -> None:
    """The file is gone, and the next one is another."""
    data.append(b"one", 0, last=True)
    assert data.discard()
    assert not data.discard()
    assert root.names() == []
    data.append(b"two", 0, last=True)
    assert data.hexdigest() == sha1(b"two")


def test_after_a_failed_sync_a_new_file_is_written(
    root: Directory, data: UploadData, breaks: Any
) -> None:
    """A second fsync of a file proves nothing after the first one failed: the bytes are copied."""
    data.append(b"one", 0)
    inode = (root.root / "upload.flac").stat().st_ino
    with using(breaks.refuse(errno.EIO, "fsync")), pytest.raises(OSError, match="error"):
        data.append(b"two", 3, last=True)
    assert (data.size(), (root.root / "upload.flac").stat().st_ino) == (3, inode)
    for at in range(1, 7):
        with using(breaks.fail(at, errno.ENOSPC)), pytest.raises(OSError, match="space"):
            data.append(b"two", 3, last=True)
        assert content(root)[: data.size()] in (b"one", b"onetwo")
        assert root.names() == ["upload.flac"]
    data.append(b"two", 3, last=True)
    assert content(root) == b"onetwo"
    assert (root.root / "upload.flac").stat().st_ino != inode
    assert data.hexdigest() == sha1(b"onetwo")


def test_a_new_file_is_written_once(root: Directory, data: UploadData, breaks: Any) -> None:
    """The new file and its name are made durable, and from then on it is synced as any other."""
    data.append(b"one", 0, last=True)
    with using(breaks.refuse(errno.EIO, "fsync")), pytest.raises(OSError, match="error"):
        data.make_durable()
    calls = breaks.count(lambda: data.append(b"two", 3, last=True))
    assert calls == ["open", "write", "open", "write", "fsync", "replace", "fsync"]
    assert breaks.count(data.make_durable) == ["open", "fsync"]


def test_bytes_lost_under_a_failed_chunk_are_noticed(
    root: Directory, data: UploadData, breaks: Any
) -> None:
    """The SHA-1 in memory outlives the failure, and the file is compared with it."""
    data.append(b"one", 0)
    with using(breaks.refuse(errno.EIO, "fsync")), pytest.raises(OSError, match="error"):
        data.append(b"two", 3, last=True)
    (root.root / "upload.flac").write_bytes(b"ONE")
    with pytest.raises(OSError, match="lost"):
        data.append(b"two", 3, last=True)


def test_bytes_beyond_the_offset_do_not_stay(root: Directory, data: UploadData) -> None:
    """Also where the chunk is shorter than what a killed write left behind."""
    data.append(b"one", 0)
    with (root.root / "upload.flac").open("ab") as file:
        file.write(b"leftover")
    data.append(b"X", 3)
    assert content(root) == b"oneX"


def test_bytes_that_the_disk_lost_are_not_called_durable(
    root: Directory, data: UploadData, breaks: Any
) -> None:
    """If the file reads back other bytes after a failed fsync, it is no success."""
    data.append(b"one", 0)
    with using(breaks.refuse(errno.EIO, "fsync")), pytest.raises(OSError, match="error"):
        data.make_durable()
    (root.root / "upload.flac").write_bytes(b"ONE")
    with pytest.raises(OSError, match="lost"):
        data.make_durable()


def test_without_durability_nothing_is_synced(root: Directory, breaks: Any) -> None:
    """With durable=False the bytes are written, and that is all."""
    data = UploadData(root, "upload.flac", durable=False)
    assert breaks.count(lambda: data.append(b"one", 0, last=True)) == ["open", "write"]


# -- bytes that count only once they are accepted -------------------------------------------------


def test_what_is_held_back_counts_when_it_is_accepted(root: Directory, data: UploadData) -> None:
    """Until then the size that counts is the one before; the SHA-1 is that of all bytes."""
    data.append(b"one", 0)
    data.hold_back(3)
    data.append(b"t", 3)
    data.append(b"wo", 4)
    assert counted(root, "upload.flac").size_bytes == 3
    data.accept()
    assert counted(root, "upload.flac").size_bytes == 6
    assert data.hexdigest() == sha1(b"onetwo")
    data.append(b"!", 6)
    assert content(root) == b"onetwo!"
    assert root.names() == ["upload.flac"]


def test_what_is_held_back_can_be_taken_back(root: Directory, data: UploadData) -> None:
    """Bytes and SHA-1 are as before, also where nothing had come yet; once more does no harm."""
    data.hold_back(0)
    data.append(b"one", 0)
    data.take_back()
    assert (counted(root, "upload.flac").size_bytes, data.size()) == (0, 0)
    data.append(b"one", 0)
    data.hold_back(3)
    data.append(b"two", 3)
    data.take_back()
    data.take_back()
    assert content(root) == b"one"
    assert data.hexdigest() == sha1(b"one")
    assert root.names() == ["upload.flac"]


@pytest.mark.parametrize("durable", [True, False])
def test_after_a_kill_all_of_it_counts_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, breaks: Any, durable: bool
) -> None:
    """Killed at each effect, also while the next run tidies up: the size tells which."""

    def write(root: Directory) -> None:
        data = UploadData(root, "a/upload", durable=durable)
        data.append(b"one", 0)
        data.hold_back(3)
        data.append(b"t", 3)
        data.append(b"wo", 4)
        data.accept()
        data.make_durable()
        data.append(b"!", 6)

    total = len(
        breaks.count(lambda: write(Directory(tmp_path_factory.mktemp("r"), durable=durable)))
    )
    sizes = set()
    for at in range(2, total + 1):
        for again in range(1, 5):
            root = Directory(tmp_path_factory.mktemp("uploads"), durable=durable)
            with using(breaks.crash(at)), pytest.raises(SystemExit):
                write(root)
            before = counted(root, "a/upload").size_bytes
            sizes.add(before)
            data = UploadData(root, "a/upload", durable=durable)
            if root.is_directory("a"):
                try:
                    with using(breaks.crash(again)):
                        data.settle()
                except SystemExit:
                    assert counted(root, "a/upload").size_bytes == before
            data = UploadData(root, "a/upload", durable=durable)
            data.append(b"xyz", before)
            assert (root.root / "a/upload").read_bytes() == b"onetwo!"[:before] + b"xyz"
            assert data.hexdigest() == sha1(b"onetwo!"[:before] + b"xyz")
            assert root.names("a") == ["upload"]
    assert sizes == {0, 3, 6}  # at the last effect, the write, it has not happened


def test_that_it_is_held_back_is_durable_before_its_bytes_are(
    root: Directory, data: UploadData, breaks: Any
) -> None:
    """And it counts only when the whole file is durable."""
    assert breaks.count(lambda: data.hold_back(0)) == ["open", "fsync"]
    data.append(b"one", 0)
    assert breaks.count(lambda: data.accept(last=True)) == ["open", "fsync", "fsync", "unlink"]
    data.hold_back(3)
    data.append(b"two", 3)
    assert breaks.count(data.take_back) == ["open", "truncate", "fsync", "unlink"]


@pytest.mark.parametrize("code", CODES)
def test_an_error_leaves_nothing_that_is_held_back(root: Directory, breaks: Any, code: int) -> None:
    """Whatever fails, then and in the taking back: the next append begins where it stood."""
    for at in range(1, 12):
        data = UploadData(root, "upload.flac")
        data.append(b"one", 0)
        try:
            with using(breaks.fail(at, code)):
                data.hold_back(3)
                data.append(b"two", 3)
                data.take_back()
        except OSError:
            for again in range(1, 4):
                with using(breaks.fail(again, code)), contextlib.suppress(OSError):
                    data.take_back()
        data.append(b"xy", 3)
        assert content(root) == b"onexy"
        assert data.hexdigest() == sha1(b"onexy")
        assert root.names() == ["upload.flac"]
        data.discard()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture
    ],  # `breaks` and `no_leaks` keep nothing
)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["append", "fail", "cut", "restart", "short", "durable"]),
            st.binary(max_size=20),
            st.integers(0, 3),
        ),
        max_size=20,
    )
)
def test_any_sequence_keeps_size_and_hash_true(
    tmp_path_factory: pytest.TempPathFactory, breaks: Any, steps: list[tuple[str, bytes, int]]
) -> None:
    """Appends, failures, cuts and restarts in any order: bytes, size and SHA-1 are the model's."""
    root = Directory(tmp_path_factory.mktemp("uploads"))
    data, model = UploadData(root, "u"), b""
    for step, chunk, number in steps:
        if step == "append":
            data.append(chunk, len(model), last=number == 0)
            model += chunk
        elif step == "short":
            with using(breaks.short_writes()):
                data.append(chunk, len(model))
            model += chunk
        elif step == "fail":
            effects = breaks.fail(number + 1, errno.ENOSPC)
            try:
                with using(effects):
                    data.append(chunk, len(model), last=True)
                model += chunk
            except OSError:
                pass
        elif step == "cut":
            model = model[: max(0, len(model) - number)]
            data.cut(len(model))
        elif step == "restart":
            data = UploadData(root, "u")
        else:
            data.make_durable()
        assert data.size() == len(model)
        if root.is_file("u"):
            assert data.hexdigest() == sha1(model)
    assert set(root.names()) <= {"u"}


# -- bytes whose checksum nobody announced ---------------------------------------------------------


@pytest.fixture
def unknown(root: Directory) -> UploadData:
    return UploadData(root, "own/upload", unannounced=True)


def cut_power(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system starts anew."""
    monkeypatch.setattr(upload_marks, "this_boot", lambda: "the-next")


def test_after_a_power_cut_only_what_was_durable_counts_of_unknown_bytes(
    root: Directory, unknown: UploadData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have left zeros, and no checksum tells; the upload goes on before them."""
    monkeypatch.setattr(uploads, "SYNC_EVERY_BYTES", 6)
    unknown.append(b"one", 0)
    unknown.append(b"two", 3)  # made durable
    unknown.append(b"!", 6)
    assert counted(root, "own/upload").size_bytes == 7
    (root.root / "own/upload").write_bytes(b"onetwo\0")
    cut_power(monkeypatch)
    found = counted(root, "own/upload")
    assert (found.size_bytes, found.held_back) == (6, True)
    again = UploadData(root, "own/upload", unannounced=True)
    again.append(b"?", 6, last=True)
    assert again.hexdigest() == sha1(b"onetwo?")
    assert counted(root, "own/upload").size_bytes == 7


def test_after_a_kill_all_unknown_bytes_count(root: Directory, unknown: UploadData) -> None:
    """The system has them, durable or not; at a power cut later they count no more."""
    unknown.append(b"one", 0)
    assert counted(root, "own/upload").size_bytes == 3
    again = UploadData(root, "own/upload", unannounced=True)
    again.append(b"two", 3)
    assert counted(root, "own/upload").size_bytes == 6
    with pytest.MonkeyPatch.context() as patched:
        cut_power(patched)
        assert counted(root, "own/upload").size_bytes == 0
    again.make_durable()
    assert root.names("own") == ["upload"]


def test_a_power_cut_takes_nothing_that_a_checksum_will_judge(
    root: Directory, data: UploadData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And there is no effect more."""
    data.append(b"one", 0)
    cut_power(monkeypatch)
    assert counted(root, "upload.flac").size_bytes == 3
    assert root.names() == ["upload.flac"]


def test_the_mark_is_durable_before_unknown_bytes_are(
    root: Directory, unknown: UploadData, breaks: Any
) -> None:
    """Also when bytes are cut that were durable, and others come in their place."""
    root.make_directories("own")
    first = breaks.count(lambda: unknown.append(b"one", 0))
    assert first == ["fsync", "open", "open", "fsync", "write"]  # of the directory above, at first
    assert breaks.count(lambda: unknown.append(b"two", 3)) == ["open", "write"]
    last = breaks.count(lambda: unknown.append(b"!", 6, last=True))
    assert last == ["open", "write", "fsync", "unlink", "fsync"]
    assert root.names("own") == ["upload"]
    unknown.cut(3)
    again = breaks.count(lambda: unknown.append(b"xyz", 3))
    assert again == ["open", "open", "fsync", "write"]
    with pytest.MonkeyPatch.context() as patched:
        cut_power(patched)
        assert counted(root, "own/upload").size_bytes == 3


@pytest.mark.parametrize("code", CODES)
def test_an_error_leaves_no_unknown_bytes_that_are_not_durable(
    tmp_path_factory: pytest.TempPathFactory,
    breaks: Any,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever fails: after a power cut no byte counts that was not made durable."""
    monkeypatch.setattr(uploads, "SYNC_EVERY_BYTES", 6)
    for at in range(1, 16):
        root = Directory(tmp_path_factory.mktemp("root"))
        data = UploadData(root, "own/upload", unannounced=True)
        with using(breaks.fail(at, code)):
            for _ in range(6):
                with contextlib.suppress(OSError):
                    data.append(b"abc", data.size())
        with pytest.MonkeyPatch.context() as patched:
            cut_power(patched)
            assert counted(root, "own/upload").size_bytes <= data._durable_bytes


def test_a_large_upload_is_on_its_way_to_the_disk_while_it_comes_in(
    root: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte of whole blocks once; what is durable by then, and what need not be, not at all."""
    asked: list[tuple[int, int]] = []
    real = effects.start_writing_back

    def noted(fd: int, offset: int, size: int) -> None:
        asked.append((offset, size))
        real(fd, offset, size)

    monkeypatch.setattr(effects, "start_writing_back", noted)
    block, piece = uploads.WRITE_BACK_BYTES, 3 * 1024 * 1024
    for durable in (True, False):
        data = UploadData(root, f"upload-{durable}", durable=durable)
        for number in range(4):
            data.append(bytes([number]) * piece, number * piece, last=number == 3)
        assert data.hexdigest() == sha1(b"".join(bytes([n]) * piece for n in range(4)))
    assert asked == [(0, block), (block, block)]


def test_a_hint_to_the_disk_that_is_refused_is_no_error() -> None:
    effects.start_writing_back(-1, 0, 1)
