"""The names of directories that change seldom are not made durable again and again."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from musictasks.files import Directory, Effects, syncing, using
from musictasks.files.syncing import DurableNames


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change of a directory is old at once."""
    monkeypatch.setattr(syncing, "_SETTLE_S", -1e9)


@pytest.fixture
def names() -> DurableNames:
    return DurableNames()


def sync(names: DurableNames, directory: Directory) -> Callable[[], None]:
    def synced() -> None:
        with directory.descriptor() as fd:
            names.sync(fd)

    return synced


@pytest.mark.usefixtures("settled")
def test_names_that_nobody_changed_are_not_synced_again(
    breaks: Any, root: Directory, names: DurableNames
) -> None:
    """A directory above many albums is synced once, and again when a name in it has changed."""
    assert breaks.count(sync(names, root)) == ["fsync"]
    assert breaks.count(sync(names, root)) == []

    before = root.root.stat().st_ctime_ns
    while root.root.stat().st_ctime_ns == before:  # a tick of the file system's clock
        (root.root / "new").mkdir(exist_ok=True)
        os.rmdir(root.root / "new")  # noqa: PTH106
        time.sleep(0.001)

    assert breaks.count(sync(names, root)) == ["fsync"]


def test_names_that_changed_just_now_are_synced_again(
    breaks: Any, root: Directory, names: DurableNames
) -> None:
    """Another change in the same tick of the clock would not be seen."""
    (root.root / "new").mkdir()
    assert breaks.count(sync(names, root)) == ["fsync"]
    assert breaks.count(sync(names, root)) == ["fsync"]


@pytest.mark.usefixtures("settled")
def test_names_whose_sync_failed_are_synced_again(
    breaks: Any, root: Directory, names: DurableNames
) -> None:
    """An fsync that failed has proven nothing."""
    with using(breaks.refuse(errno.EIO, "fsync")), pytest.raises(OSError, match="Input"):
        sync(names, root)()
    assert breaks.count(sync(names, root)) == ["fsync"]


@pytest.mark.usefixtures("settled")
def test_few_directories_are_remembered(
    root: Directory, names: DurableNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is remembered does not grow with the library."""
    monkeypatch.setattr(syncing, "_REMEMBERED", 2)
    for name in "abcde":
        (root.root / name).mkdir()
        sync(names, Directory(root.root / name))()
    assert len(names._known) <= 2


def test_what_changes_during_a_long_fsync_is_synced_again(
    breaks: Any, root: Directory, names: DurableNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change in the same tick as the one before it: that it is old by then proves nothing."""
    now = time.time()
    (root.root / "new").mkdir()
    monkeypatch.setattr(time, "time", lambda: now)

    class Slow(Effects):
        def fsync(self, fd: int) -> None:
            super().fsync(fd)
            monkeypatch.setattr(time, "time", lambda: now + 60)

    with using(Slow()):
        sync(names, root)()
    assert breaks.count(sync(names, root)) == ["fsync"]
