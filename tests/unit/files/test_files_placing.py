"""Placing a file where nothing is ever overwritten."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from musictasks.errors import InvalidPath, TargetExists
from musictasks.files import Directory, Placed, place, sweep, using

pytestmark = pytest.mark.usefixtures("no_leaks")

#: More than one block.
DATA = bytes(range(256)) * 4 * 1024 + b"the end"
REL = "Artist/2020 - Album/01 Song.flac"
CODES = [errno.ENOSPC, errno.EIO, errno.EMFILE]


def put(root: Directory, data: bytes = DATA, rel: str = REL, **options: Any) -> Placed:
    return place(io.BytesIO(data), root, rel, owner="task-1", **options)


def everything(root: Directory) -> dict[str, bytes | None]:
    """Every path below the root, with its bytes."""
    return {
        str(path.relative_to(root.root)): path.read_bytes() if path.is_file() else None
        for path in root.root.rglob("*")
    }


PLACED = {"Artist": None, "Artist/2020 - Album": None, REL: DATA}


def test_a_file_comes_to_its_place(root: Directory) -> None:
    """The bytes, the modes and the missing directories are as asked for, the umask has no say."""
    umask = os.umask(0o077)
    try:
        assert put(root) == Placed(existed=False, size_bytes=len(DATA))
    finally:
        os.umask(umask)
    assert everything(root) == PLACED
    assert stat.S_IMODE(root.path(REL).stat().st_mode) == 0o664
    assert stat.S_IMODE(root.path("Artist").stat().st_mode) & 0o777 == 0o775


def test_the_order_of_a_placing(root: Directory, breaks: Any) -> None:
    """Directories, bytes and mode are durable before the name is there; then the name is."""
    assert breaks.count(lambda: put(root, b"short", "a/b")) == [
        *("mkdir", "chmod", "fsync", "fsync"),
        *("open", "write", "chmod", "fsync", "rename_noreplace", "fsync"),
    ]


def test_the_same_bytes_are_done_already(root: Directory, breaks: Any) -> None:
    """Placing again copies nothing, but makes durable what is there."""
    put(root)
    before = root.path(REL).stat()
    calls = breaks.count(lambda: put(root))
    assert put(root) == Placed(existed=True, size_bytes=len(DATA))
    assert root.path(REL).stat().st_mtime_ns == before.st_mtime_ns
    assert set(calls) == {"fsync"}
    assert len(calls) == 4, "two parents, the file, its directory"


@pytest.mark.parametrize("other", [b"", b"x", DATA[:-1] + b"D", DATA + b"more"])
def test_other_bytes_are_never_touched(root: Directory, other: bytes) -> None:
    """A file with other content of any size stays, and is named."""
    put(root, other)
    with pytest.raises(TargetExists) as caught:
        put(root)
    assert caught.value.path == str(root.path(REL))
    assert everything(root) == PLACED | {REL: other}


@pytest.mark.parametrize(
    ("there", "wanted"),
    [("01 song.FLAC", "01 Song.flac"), ("Ünï.mp3", "U\u0308ni\u0308.mp3"), ("straße", "STRASSE")],
)
def test_names_that_differ_in_case_or_form_are_the_same_file(
    root: Directory, there: str, wanted: str
) -> None:
    """What another file system would hold for one file is refused, even with the same bytes."""
    put(root, rel=f"a/{there}")
    with pytest.raises(TargetExists) as caught:
        put(root, rel=f"a/{wanted}")
    assert caught.value.path.endswith(there)
    assert everything(root) == {"a": None, f"a/{there}": DATA}


def test_links_and_directories_in_the_way_are_not_followed(root: Directory, tmp_path: Path) -> None:
    """A link at the name, a link on the way and a directory at the name: all refused."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(DATA)
    (root.root / "link").symlink_to(outside / "file")
    (root.root / "out").symlink_to(outside)
    (root.root / "dir").mkdir()
    for rel, error in (("link", TargetExists), ("dir", TargetExists), ("out/new", InvalidPath)):
        with pytest.raises(error):
            put(root, rel=rel)
    assert Directory(outside).names() == ["file"]
    assert root.names() == ["dir", "link", "out"]


@pytest.mark.parametrize("rel", ["../x", "/x", "a/../x", "x" * 256, "a\nb", "a/", ""])
def test_a_bad_target_is_refused_before_anything_is_made(root: Directory, rel: str) -> None:
    """A path that leads out, or that no system takes, changes nothing."""
    with pytest.raises(InvalidPath):
        put(root, rel=f"new/{rel}" if len(rel) > 200 else rel)
    assert everything(root) == {}


@pytest.mark.parametrize("code", CODES)
def test_an_error_at_any_call_leaves_nothing(root: Directory, breaks: Any, code: int) -> None:
    """Whichever effect fails, temporary and new directories are gone; the next time it works."""
    calls = breaks.count(lambda: put(Directory(root.root)))
    remove_all(root)
    for at, name in enumerate(calls, 1):
        with using(breaks.fail(at, code)), pytest.raises(OSError, match=os.strerror(code)):
            put(root)
        # The last call makes the name durable: the complete file stays for the next time.
        assert everything(root) == (PLACED if at == len(calls) else {}), f"call {at}, {name}"
        put(root)
        assert everything(root) == PLACED
        remove_all(root)


def test_a_crash_at_any_call_leaves_nothing_half(root: Directory, breaks: Any) -> None:
    """A run that ends anywhere: no file or the whole one; then it goes on, and can be swept."""
    calls = breaks.count(lambda: put(root))
    remove_all(root)
    for at, name in enumerate(calls, 1):
        with using(breaks.crash(at)), pytest.raises(SystemExit):
            put(root)
        assert everything(root).get(REL, DATA) == DATA, f"call {at}, {name}"
        left = [path for path in everything(root) if path.endswith(".tmp")]
        assert all(Path(path).name.startswith(".task-1.") for path in left)
        swept = sweep(root, "Artist/2020 - Album", "task-1")
        assert swept == [Path(path).name for path in left]
        put(root)
        assert everything(root) == PLACED
        remove_all(root)


def remove_all(root: Directory) -> None:
    for path in sorted(everything(root), reverse=True):
        whole = root.root / path
        whole.rmdir() if whole.is_dir() else whole.unlink()


@pytest.mark.parametrize("other", [DATA, b"other"])
def test_somebody_else_places_the_same_name_meanwhile(
    root: Directory, breaks: Any, other: bytes
) -> None:
    """At any call before the last rename: theirs stays; the same bytes are fine, others refused."""
    put(root)

    def theirs() -> None:
        root.path(REL).write_bytes(other)

    root.remove(REL)
    calls = breaks.count(lambda: put(root))
    for at in range(1, calls.index("rename_noreplace") + 2):
        root.remove(REL)
        with using(breaks.act({at: theirs})):
            if other == DATA:
                assert put(root).existed
            else:
                with pytest.raises(TargetExists):
                    put(root)
        assert everything(root) == PLACED | {REL: other}


def test_short_writes_and_missing_renames_are_lived_with(root: Directory, breaks: Any) -> None:
    """A slow system and one without renameat2 place the same bytes, and overwrite nothing."""
    with using(breaks.short_writes()):
        put(root)
    assert everything(root) == PLACED
    with using(breaks.refuse(errno.EINVAL, "rename_noreplace")):
        put(root, rel="a/b")
        with pytest.raises(TargetExists):
            put(root, b"other", rel="a/b")
    assert everything(root) == PLACED | {"a": None, "a/b": DATA}


def test_a_copy_that_is_not_what_was_read_does_not_get_the_name(
    root: Directory, breaks: Any
) -> None:
    """Bytes that the disk changes under the copy are found before the file has its name."""

    def spoil() -> None:
        (temporary,) = (root.root / "Artist/2020 - Album").iterdir()
        with temporary.open("r+b") as file:
            file.write(b"!")

    calls = breaks.count(lambda: put(root))
    remove_all(root)
    last_write = len(calls) - calls[::-1].index("write")
    with using(breaks.act({last_write: spoil})), pytest.raises(OSError, match="not what was read"):
        put(root)
    assert everything(root) == {}


def test_progress_is_told_and_may_end_it(root: Directory) -> None:
    """Progress counts up to the size; what it raises ends the placing, and nothing is left."""
    told: list[tuple[int, int]] = []
    put(root, progress=lambda done, total: told.append((done, total)))
    assert told == [(1024 * 1024, len(DATA)), (len(DATA), len(DATA))]

    def stop(done: int, total: int) -> None:
        raise InterruptedError("stopped")

    remove_all(root)
    with pytest.raises(InterruptedError):
        put(root, progress=stop)
    assert everything(root) == {}


def test_directories_of_others_survive_a_failure(root: Directory, breaks: Any) -> None:
    """Only directories that the failing call made go, and only while they are empty."""
    root.make_directories("Artist")

    def neighbour() -> None:
        (root.root / "Artist/2020 - Album/neighbour").touch()

    effects = breaks.act({})

    def hook(number: int, name: str) -> None:
        if name == "write":
            neighbour()
            raise OSError(errno.ENOSPC, "full")

    effects.strike = hook
    with using(effects), pytest.raises(OSError, match="full"):
        put(root)
    assert set(everything(root)) == {
        "Artist",
        "Artist/2020 - Album",
        "Artist/2020 - Album/neighbour",
    }


def test_a_sweep_takes_the_owners_files_only(root: Directory) -> None:
    """Names of other owners, and names that only look alike, stay."""
    names = [".task-1.12.3.tmp", ".task-1.x.tmp", ".task-10.12.3.tmp", ".task-1.12.3.tmp.flac"]
    for name in names:
        root.write(name, b"")
    assert sweep(root, "", "task-1") == [".task-1.12.3.tmp"]
    assert sweep(root, "missing", "task-1") == []
    with pytest.raises(InvalidPath):
        sweep(root, "", "")


def test_without_durability_nothing_is_synced(root: Directory, breaks: Any) -> None:
    """With durable=False all is done but the fsyncs."""
    assert "fsync" not in breaks.count(lambda: put(root, durable=False))
    assert everything(root) == PLACED
