"""Confined operations on a directory."""

from __future__ import annotations

import errno
import os
import pickle
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from musictasks.errors import InvalidPath
from musictasks.files import Directory, using

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the root, with a secret."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("secret")
    return tmp_path / "outside"


OPERATIONS: list[Callable[[Directory], Any]] = [
    lambda d: d.open("link/file"),
    lambda d: d.status("link/file"),
    lambda d: d.names("link"),
    lambda d: d.make_directories("link/new"),
    lambda d: d.remove("link/file"),
    lambda d: d.remove_empty("link/empty"),
    lambda d: d.remove_prefixed("link", "f"),
    lambda d: d.write("link/file", b"overwritten"),
    lambda d: d.is_file("link/file"),
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_operation_follows_a_link_out(
    root: Directory, outside: Path, operation: Callable[[Directory], Any]
) -> None:
    """A directory that is a symbolic link is refused by every operation; outside all stays."""
    (outside / "empty").mkdir()
    (root.root / "link").symlink_to(outside)
    with pytest.raises(InvalidPath, match="symbolic link"):
        operation(root)
    assert (outside / "file").read_text() == "secret"
    assert Directory(outside).names() == ["empty", "file"]


@pytest.mark.parametrize("operation", [Directory.open, Directory.remove, Directory.status])
@pytest.mark.parametrize("path", ["../outside/file", "/etc/passwd", "a/../../x", "a\0b", ""])
def test_paths_are_checked_before_the_disk_is_asked(
    root: Directory, outside: Path, path: str, operation: Callable[..., Any]
) -> None:
    """A path that leads out is refused by its text alone ("" is the root, where one may be)."""
    if path == "" and operation is Directory.status:
        assert operation(root, path) is not None
        return
    with pytest.raises(InvalidPath):
        operation(root, path)


def test_a_directory_swapped_for_a_link_never_lets_an_open_out(
    root: Directory, outside: Path
) -> None:
    """While another thread swaps a directory for a link all the time, no open gets outside."""
    root.make_directories("d")
    root.write("d/file", b"inside")
    (root.root / "link").symlink_to(outside)
    ends = threading.Event()

    def swap() -> None:
        names = [root.root / name for name in ("d", "link", "spare")]
        d, link, spare = names
        while not ends.is_set():
            d.rename(spare)
            link.rename(d)
            d.rename(link)
            spare.rename(d)

    swapper = threading.Thread(target=swap)
    swapper.start()
    read: set[bytes] = set()
    try:
        for _ in range(2000):
            try:
                with root.open("d/file") as file:
                    read.add(file.read())
            except (InvalidPath, FileNotFoundError):
                pass
    finally:
        ends.set()
        swapper.join()
    assert read <= {b"inside"}


def test_only_regular_files_are_opened(root: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link, a directory, a pipe and a socket are refused at once, none is waited for."""
    root.write("file", b"x")
    (root.root / "link").symlink_to("file")
    (root.root / "dir").mkdir()
    os.mkfifo(root.root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(root.root)  # the system takes short addresses only
        listening.bind("socket")
        for name in ("link", "dir", "pipe", "socket"):
            with pytest.raises(InvalidPath, match="it is"):
                root.open(name)
    with pytest.raises(FileNotFoundError):
        root.open("missing")
    with pytest.raises(NotADirectoryError):
        root.open("file/below")


def test_what_is_there_is_told_and_what_is_not_is_none(root: Directory) -> None:
    """`status` is None for what is missing, also below a file; links are what they are."""
    root.make_directories("dir")
    root.write("dir/b", b"xy")
    root.write("dir/a", b"")
    (root.root / "link").symlink_to("dir")
    found = root.status("dir/b")
    assert found is not None
    assert found.st_size == 2
    assert root.status("missing") is root.status("missing/below") is root.status("dir/a/b") is None
    assert root.names("dir") == ["a", "b"]
    assert root.is_directory("dir")
    assert root.is_directory()
    assert not root.is_directory("link")
    assert not root.is_file("link")
    assert root.is_file("dir/a")
    assert root.path("dir/a") == root.root / "dir" / "a"


def test_the_root_itself_may_be_a_link(tmp_path: Path, root: Directory) -> None:
    """Where the root leads is the administrator's choice."""
    (tmp_path / "link").symlink_to(root.root)
    linked = Directory(tmp_path / "link")
    linked.write("file", b"x")
    assert linked.names() == root.names() == ["file"]


def test_it_travels_to_other_processes(root: Directory) -> None:
    """A Directory pickles, and means the same place in a process that works elsewhere."""
    assert pickle.loads(pickle.dumps(root)) == root
    assert Directory(Path("relative")).root.is_absolute()


def test_new_directories_get_their_mode_whatever_the_umask(root: Directory) -> None:
    """The mode is exact, a set-group-ID bit from above stays, and what was there is left alone."""
    root.root.chmod(0o2755)
    (root.root / "old").mkdir(mode=0o700)
    umask = os.umask(0o077)
    try:
        assert root.make_directories("old/a/b", 0o775) == ["old/a", "old/a/b"]
        assert root.make_directories("new") == ["new"]
        assert root.make_directories("old/a") == []
    finally:
        os.umask(umask)
    modes = {n: stat.S_IMODE(root.path(n).stat().st_mode) for n in ("old", "old/a/b", "new")}
    assert modes["old/a/b"] & 0o777 == 0o775
    assert modes["new"] == 0o2775
    assert modes["old"] & 0o777 == 0o700


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failed_making_leaves_no_directory(root: Directory, breaks: Any, code: int) -> None:
    """Whichever effect fails, the directories that the call made are gone again."""
    calls = breaks.count(lambda: root.make_directories("a/b/c"))
    assert calls.count("fsync") == 6, "each new directory and each parent"
    assert [root.remove_empty(path) for path in ("a/b/c", "a/b", "a")] == [True] * 3
    for at in range(1, len(calls) + 1):
        with using(breaks.fail(at, code)), pytest.raises(OSError, match=os.strerror(code)):
            root.make_directories("a/b/c")
        assert root.names() == [], f"call {at}, {calls[at - 1]}"


def test_a_file_system_without_modes_is_said_once(
    root: Directory, breaks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """chmod that is refused stops nothing; the log has one line for all."""
    with using(breaks.refuse(errno.EPERM, "chmod")):
        root.make_directories("a/b")
        root.write("a/file", b"x")
    assert root.names("a") == ["b", "file"]
    assert [r.message for r in caplog.records if "chmod" in r.message][1:] == []


def test_removing_says_whether_there_was_something(root: Directory) -> None:
    """`remove` takes files and links, `remove_empty` empty directories, nothing else."""
    root.make_directories("dir/sub")
    root.write("dir/file", b"x")
    (root.root / "link").symlink_to("dir")
    assert root.remove("link")
    assert root.remove("dir/file")
    assert not root.remove("dir/file")
    assert not root.remove("missing/file")
    with pytest.raises(InvalidPath, match="directory"):
        root.remove("dir")
    assert not root.remove_empty("dir")
    assert root.remove_empty("dir/sub")
    assert not root.remove_empty("dir/sub")
    assert not root.remove_empty("missing/sub")


def test_only_regular_files_with_the_prefix_go(root: Directory) -> None:
    """Directories, links and other names stay; a missing directory has nothing to remove."""
    for name in (".a.1", ".a.2", ".b.1", "a"):
        root.write(name, b"")
    root.make_directories(".a.dir")
    (root.root / ".a.link").symlink_to("a")
    assert root.remove_prefixed("", ".a.") == [".a.1", ".a.2"]
    assert root.names() == [".a.dir", ".a.link", ".b.1", "a"]
    assert root.remove_prefixed("missing", ".a.") == []
    with pytest.raises(ValueError, match="prefix"):
        root.remove_prefixed("", "")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EMFILE])
def test_a_write_that_fails_keeps_the_old_file(root: Directory, breaks: Any, code: int) -> None:
    """At every effect: the old bytes or the new ones, no temporary."""
    root.write("file", b"old")
    calls = breaks.count(lambda: root.write("other", b"new"))
    for at in range(1, len(calls) + 1):
        root.write("file", b"old")
        with using(breaks.fail(at, code)), pytest.raises(OSError, match=os.strerror(code)):
            root.write("file", b"new")
        assert (root.root / "file").read_bytes() == (b"new" if at == len(calls) else b"old")
        assert root.names() == ["file", "other"]


def test_a_write_takes_as_many_steps_as_the_system_wants(root: Directory, breaks: Any) -> None:
    """Short writes are gone on with, and the file has its mode."""
    with using(breaks.short_writes()):
        root.write("file", bytes(range(256)), 0o640)
    assert (root.root / "file").read_bytes() == bytes(range(256))
    assert stat.S_IMODE((root.root / "file").stat().st_mode) == 0o640


def test_without_durability_nothing_is_synced(root: Directory, breaks: Any) -> None:
    """A directory made with durable=False does all the rest and no fsync."""
    fast = Directory(root.root, durable=False)

    def work() -> None:
        fast.make_directories("a")
        fast.write("a/b", b"x")
        fast.remove("a/b")

    assert "fsync" not in breaks.count(work)
