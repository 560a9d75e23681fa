"""One owner for each tasks directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from musictasks.errors import DirectoryInUse
from musictasks.files import Directory
from musictasks.persistence import DirectoryOwner, TaskStore

pytestmark = pytest.mark.usefixtures("no_leaks")

HOLD = """
import sys
from musictasks.files import Directory
from musictasks.persistence import DirectoryOwner
with DirectoryOwner(Directory(sys.argv[1])):
    print("taken", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def tasks(store: TaskStore) -> Directory:
    return store.directory


@pytest.fixture
def info(tasks: Directory) -> Path:
    return tasks.root.with_name("tasks.owner.json")


def test_the_owner_is_written_down_while_it_owns(tasks: Directory, info: Path) -> None:
    """Beside the directory, not in it: pid and since; gone after the release."""
    with DirectoryOwner(tasks) as owner:
        written = json.loads(info.read_text())
        assert written["pid"] == os.getpid()
        assert 0 <= time.time() - written["since"] < 3600
        assert os.path.samestat(os.fstat(owner.descriptor), tasks.root.stat())
        assert tasks.names() == []
    assert not info.exists()
    with pytest.raises(ValueError, match="not owned"):
        _ = owner.descriptor


def test_a_second_owner_in_this_process_is_refused(tasks: Directory) -> None:
    """Also two engines of one process do not share a directory; a release frees it."""
    first, second = DirectoryOwner(tasks), DirectoryOwner(tasks)
    first.take()
    for owner in (first, second):
        with pytest.raises(DirectoryInUse) as caught:
            owner.take()
        assert caught.value.pid == os.getpid()
    second.release()
    with pytest.raises(DirectoryInUse):
        second.take()
    first.release()
    first.release()
    second.take()
    second.release()


def test_another_process_is_named_and_its_death_frees_the_directory(
    tasks: Directory, info: Path
) -> None:
    """The message names the holder; after SIGKILL its lock is gone, whatever its file says."""
    command = [sys.executable, "-c", HOLD, str(tasks.root)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "taken\n"
            with pytest.raises(DirectoryInUse, match=f"process {holder.pid}") as caught:
                DirectoryOwner(tasks).take()
            assert caught.value.since is not None
            assert str(tasks.root) in str(caught.value)
        finally:
            holder.kill()
    assert info.exists()
    with DirectoryOwner(tasks):
        assert json.loads(info.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"pid": "x"}', "[" * 4096, '{"pid": null, "since": 1}', "\xff"]
)
def test_a_broken_note_is_no_matter(tasks: Directory, info: Path, text: str) -> None:
    """The file is only for people: whatever it holds, the lock decides."""
    with DirectoryOwner(tasks):
        info.write_text(text, encoding="latin-1")
        with pytest.raises(DirectoryInUse, match="another process") as caught:
            DirectoryOwner(tasks).take()
        assert caught.value.pid is None
        info.unlink()
        info.mkdir()
        with pytest.raises(DirectoryInUse):
            DirectoryOwner(tasks).take()


def test_a_note_that_cannot_be_written_stops_nobody(
    tasks: Directory, info: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A directory in the place of the file: logged, and owned all the same."""
    info.mkdir()
    with DirectoryOwner(tasks):
        assert "cannot be written down" in caplog.text
        with pytest.raises(DirectoryInUse):
            DirectoryOwner(tasks).take()
    assert info.is_dir()


def test_the_lock_outlives_a_deleted_note(tasks: Directory, info: Path) -> None:
    """Deleting the file does not free the directory."""
    with DirectoryOwner(tasks):
        info.unlink()
        with pytest.raises(DirectoryInUse):
            DirectoryOwner(tasks).take()


def test_a_missing_directory_cannot_be_owned(tmp_path: Path) -> None:
    """Nothing is locked where nothing is."""
    with pytest.raises(FileNotFoundError):
        DirectoryOwner(Directory(tmp_path / "missing")).take()


def forked_child_with_the_lock(release: DirectoryOwner | None = None) -> tuple[int, int]:
    """Its pid, and a pipe on whose closing it ends; it may release the lock before."""
    ready, is_ready = os.pipe()
    until, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if release is not None:
                release.release()
            os.close(end)
            os.write(is_ready, b"1")
            os.read(until, 1)
        finally:
            os._exit(0)
    assert os.read(ready, 1) == b"1"
    for fd in (ready, is_ready, until):
        os.close(fd)
    return pid, end


def test_a_child_that_has_not_started_yet_keeps_no_lock_that_was_released(tasks: Directory):
    """As that of a process that is being started, between its fork and its exec."""
    owner = DirectoryOwner(tasks)
    owner.take()
    pid, end = forked_child_with_the_lock()
    try:
        owner.release()
        with DirectoryOwner(tasks):
            pass
    finally:
        os.close(end)
        os.waitpid(pid, 0)


def test_a_child_does_not_release_the_lock_of_its_parent(tasks: Directory):
    with DirectoryOwner(tasks) as owner:
        pid, end = forked_child_with_the_lock(release=owner)
        os.close(end)
        os.waitpid(pid, 0)
        with pytest.raises(DirectoryInUse):
            DirectoryOwner(tasks).take()
