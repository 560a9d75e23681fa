"""The directory of task files."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from musictasks.errors import InvalidPath, InvalidTaskFile, TaskFileDeleted, TaskFileEdited
from musictasks.persistence import TaskStore, merge_edit
from musictasks.persistence import store as store_module
from musictasks.statemachine import MusicTask

pytestmark = pytest.mark.usefixtures("no_leaks")

OLD = MusicTask(id="t", state="waitforchunk", offset=0)
NEW = MusicTask(id="t", state="uploadcomplete", offset=5, annotations={"ours": 1})
#: Effects of one save.
EFFECTS = 6


@pytest.fixture
def path(store: TaskStore) -> Path:
    return store.directory.root / "t.json"


def stored(store: TaskStore, task_id: str = "t") -> Any:
    return store.load(task_id)[1]


def test_a_task_is_made_saved_loaded_and_deleted(store: TaskStore) -> None:
    """The plain way of a task through its file."""
    file = store.task_file("t")
    assert not store.exists("t")
    assert file.modified_s is None
    file.create(OLD)
    file.save(NEW)
    assert stored(store) == NEW
    assert store.names() == ["t"]
    assert store.exists("t")
    assert file.modified_s == pytest.approx((store.directory.root / "t.json").stat().st_mtime)
    assert file.delete()
    assert not file.delete()
    assert store.names() == []


def test_a_loaded_file_can_be_saved(store: TaskStore) -> None:
    """What `load` and `load_all` give knows the state of the file, so the next save is taken."""
    store.task_file("t").create(OLD)
    file, task = store.load("t")
    file.save(evolve(task, offset=3))
    (loaded,) = store.load_all()
    assert not isinstance(loaded, InvalidTaskFile)
    loaded[0].save(NEW)
    assert stored(store) == NEW


def test_one_bad_file_stops_nobody_else(store: TaskStore, path: Path) -> None:
    """Every good task loads; every bad file is named with its reason, and left as it is."""
    store.task_file("t").create(OLD)
    store.task_file("u").create(evolve(OLD, id="u"))
    root = store.directory.root
    bad = {
        "broken.json": b'{"id": ',
        "other.json": path.read_bytes(),
        "not an id.json": path.read_bytes(),
        "x" * 65 + ".json": b"{}",
        "\udcff.json": b"{}",
    }
    for name, data in bad.items():
        (root / name).write_bytes(data)
    (root / "dir.json").mkdir()
    (root / "link.json").symlink_to(path)
    os.mkfifo(root / "pipe.json")
    for name in (".t.1.2.tmp", ".hidden.json", "notes.txt", "t.json~"):
        (root / name).write_bytes(b"nobody's")
    found = list(store.load_all())
    good = [each[1].id for each in found if not isinstance(each, InvalidTaskFile)]
    reasons = {Path(e.path).name: e.reason for e in found if isinstance(e, InvalidTaskFile)}
    assert good == ["t", "u"]
    assert set(reasons) == {*bad, "dir.json", "link.json", "pipe.json"}
    assert "not JSON" in reasons["broken.json"]
    assert "'t' is not the name of the file" in reasons["other.json"]
    assert "symbolic link" in reasons["link.json"]
    assert "not a regular file" in reasons["pipe.json"]
    assert "a task id is" in reasons["not an id.json"]
    assert {name: (root / name).read_bytes() for name in bad} == bad
    assert store.names() == ["broken", "dir", "link", "other", "pipe", "t", "u"]


def test_a_file_over_the_cap_is_not_parsed(
    store: TaskStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size alone makes it invalid."""
    monkeypatch.setattr(store_module, "FILE_MAX_BYTES", 1000)
    path.write_bytes(b"[" * 1001)
    with pytest.raises(InvalidTaskFile, match="larger than 1000 bytes"):
        store.load("t")


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.binary(max_size=200))
def test_hostile_bytes_are_left_as_they_are(store: TaskStore, path: Path, data: bytes) -> None:
    """Whatever is in a file: an invalid file, whose bytes and times nobody changes."""
    path.write_bytes(data)
    before = path.stat()
    (found,) = store.load_all()
    assert isinstance(found, InvalidTaskFile)
    assert path.read_bytes() == data
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize("task_id", ["", "..", "a/b", "t\n", "x" * 65, "ä", "a.b"])
def test_only_ids_name_files(store: TaskStore, task_id: str) -> None:
    """What is no id is refused before a file is looked at."""
    for call in (store.task_file, store.exists, store.load, store.identity):
        with pytest.raises(InvalidPath, match="a task id is"):
            call(task_id)


def test_a_task_goes_into_its_own_file_only(store: TaskStore) -> None:
    """A record of another id is a mistake of the caller, and is not written."""
    with pytest.raises(ValueError, match="does not belong"):
        store.task_file("u").create(OLD)
    assert store.names() == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EMFILE])
@pytest.mark.parametrize("number", range(1, EFFECTS))
def test_an_error_leaves_the_last_record(store: TaskStore, at: Any, code: int, number: int) -> None:
    """Memory never runs ahead: a save that fails at any effect has saved nothing."""
    file = store.task_file("t")
    file.create(OLD)
    with at(number, lambda: raises(code)), pytest.raises(OSError, match=os.strerror(code)):
        file.save(NEW)
    assert stored(store) == OLD
    assert store.directory.names() == ["t.json"]
    file.save(NEW)
    assert stored(store) == NEW


def raises(code: int) -> None:
    raise OSError(code, os.strerror(code))


def test_a_deletion_is_seen_by_the_save(store: TaskStore, path: Path, at: Any) -> None:
    """At whatever effect the person deletes: the file stays away, and a save says so."""
    for number in range(1, EFFECTS + 1):
        file = store.task_file("t")
        file.create(OLD)
        with at(number, path.unlink) as effects, suppress(TaskFileDeleted):
            file.save(NEW)
        assert effects.calls >= number
        assert store.directory.names() == []
        with pytest.raises(TaskFileDeleted):
            file.save(NEW)
        with pytest.raises(TaskFileDeleted):
            file.reload()


def test_an_edit_is_merged_not_lost(store: TaskStore, path: Path, at: Callable[..., Any]) -> None:
    """At whatever effect the person edits: the engine gets the edit, and saves both."""
    edited = evolve(OLD, annotations={"theirs": 2}, album_path="A/2020 - B")
    text = store.converter.dump(edited)
    for number in range(1, EFFECTS + 1):
        file = store.task_file("t")
        file.create(OLD)
        ours = OLD
        with at(number, lambda: path.write_bytes(text)):
            try:
                file.save(NEW)
                ours = NEW
            except TaskFileEdited:
                pass
        assert path.read_bytes() == text
        if ours == NEW:
            with pytest.raises(TaskFileEdited):
                file.save(NEW)
        merged = merge_edit(NEW, file.reload())
        file.save(merged)
        assert stored(store).annotations == {"theirs": 2}
        assert (stored(store).state, stored(store).album_path) == (NEW.state, "A/2020 - B")
        assert store.directory.names() == ["t.json"]
        file.delete()


def test_an_edit_that_is_no_task_is_not_written_over(store: TaskStore, path: Path) -> None:
    """A broken edit stays for the person to repair; once it loads, the task goes on."""
    file = store.task_file("t")
    file.create(OLD)
    path.write_text("{ oops")
    before = store.identity("t")
    with pytest.raises(TaskFileEdited):
        file.save(NEW)
    with pytest.raises(InvalidTaskFile, match="not JSON"):
        file.reload()
    with pytest.raises(TaskFileEdited):
        file.save(NEW)
    assert path.read_text() == "{ oops"
    assert store.identity("t") == before
    path.write_bytes(store.converter.dump(OLD))
    assert store.identity("t") != before
    assert file.reload() == OLD
    file.save(NEW)


def test_only_what_is_ours_is_swept(store: TaskStore) -> None:
    """Temporaries of killed saves go; tasks, and names that only look alike, stay."""
    store.task_file("t").create(OLD)
    stay = [".hidden", ".t.json.swp", ".t.1.tmp", ".t.1.x.tmp", ".a b.1.2.tmp", "t.1.2.tmp"]
    for name in [*stay, ".t.17.3.tmp", ".other-1.17.4.tmp"]:
        (store.directory.root / name).touch()
    assert store.sweep() == [".other-1.17.4.tmp", ".t.17.3.tmp"]
    assert store.directory.names() == sorted([*stay, "t.json"])
    assert stored(store) == OLD


def test_a_process_without_descriptors_calls_no_file_invalid(
    store: TaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many open files say nothing of a task: the error comes through."""
    import resource

    store.task_file("t").create(OLD)
    file = store.task_file("t")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with store.directory.descriptor() as free:
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                file.reload()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert file.reload() == OLD
