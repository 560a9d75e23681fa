"""Seeing that task files came or went, with times that the test chooses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from musictasks.files import Directory
from musictasks.persistence import DirectoryWatch, TaskStore


@pytest.fixture
def path(store: TaskStore) -> Path:
    path = store.directory.root / "t.json"
    path.touch()
    return path


@pytest.fixture
def watch(store: TaskStore, path: Path) -> DirectoryWatch:
    """A watch that has looked at time 100 and found `t`, and has nothing to settle at 103."""
    watch = DirectoryWatch(store)
    assert watch.look(100.0) == {"t"}
    assert watch.look(102.5) is None
    return watch


def set_mtime(store: TaskStore, mtime_ns: int) -> None:
    os.utime(store.directory.root, ns=(mtime_ns, mtime_ns))


def test_a_directory_at_rest_is_not_listed(watch: DirectoryWatch) -> None:
    """Between the full looks there is nothing but a stat."""
    assert [watch.look(103.0 + n) for n in range(26)] == [None] * 26


def test_a_change_is_seen_at_the_next_look(
    watch: DirectoryWatch, store: TaskStore, path: Path
) -> None:
    """A deleted file is missing from the names, a new one among them."""
    path.unlink()
    (store.directory.root / "u.json").touch()
    set_mtime(store, 1)
    assert watch.look(103.0) == {"u"}


def test_a_second_change_in_the_same_tick_is_seen(
    watch: DirectoryWatch, store: TaskStore, path: Path
) -> None:
    """For 2 s after a change every look lists: the modification time may stay the same."""
    set_mtime(store, 1)
    assert watch.look(103.0) == {"t"}
    path.unlink()
    set_mtime(store, 1)
    assert watch.look(104.9) == set()
    assert watch.look(105.0) is None


def test_every_30_s_it_is_listed_anyway(
    watch: DirectoryWatch, store: TaskStore, path: Path
) -> None:
    """A file system that tells nothing in the modification time is caught up with."""
    set_mtime(store, 1)
    assert watch.look(103.0) == {"t"}
    path.unlink()
    set_mtime(store, 1)
    assert watch.look(132.9) is None
    assert watch.look(133.0) == set()
    assert watch.look(133.5) is None


def test_a_clock_that_goes_back_is_a_change(watch: DirectoryWatch, store: TaskStore) -> None:
    """An older modification time is another one."""
    set_mtime(store, 0)
    assert watch.look(103.0) == {"t"}


def test_a_directory_that_is_not_there_tells_nothing(store: TaskStore, tmp_path: Path) -> None:
    """An unmounted disk is not ten thousand deleted tasks."""
    watch = DirectoryWatch(TaskStore(Directory(tmp_path / "missing"), store.converter))
    assert watch.look(100.0) is None
    (tmp_path / "missing").mkdir()
    assert watch.look(101.0) == set()


def test_what_was_listed_by_somebody_else_is_not_listed_again(store: TaskStore, path: Path) -> None:
    """As long as nothing has changed since, and the last change had settled by then."""
    set_mtime(store, 1)
    watch = DirectoryWatch(store)
    watch.begin(100.0)
    assert [watch.look(100.0 + n) for n in range(30)] == [None] * 30
    assert watch.look(130.0) == {"t"}
    path.unlink()
    set_mtime(store, 2)
    assert watch.look(130.5) == set()


def test_a_change_just_before_somebody_else_listed_has_not_settled(
    store: TaskStore, path: Path
) -> None:
    """Another one in the same tick of the clock may have come after it."""
    watch = DirectoryWatch(store)
    watch.begin(100.0)
    assert watch.look(100.0) == {path.stem}
