"""Ctrl-C strikes the main thread anywhere: nobody else waits for ever for what it had taken."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from attrs import evolve, frozen
from musictasks.engine.dispatcher import Dispatcher
from musictasks.engine.entry import Waiter
from musictasks.engine.own_events import OwnEvents
from musictasks.engine.workers import Workers
from musictasks.files import Directory, DurableFile, OwnedDirectories, SharedSync, UploadData
from musictasks.intake.watch import Watch
from musictasks.music import MusicEngine, Settings
from musictasks.statemachine import MusicTask
from musictasks.testing import InlineExecutor

#: Longer than any step takes; only broken code meets it.
PATIENCE_S = 5


def interrupted(call: Callable[[], object], at: int) -> bool:
    """Runs it, with a KeyboardInterrupt as the nth function begins or ends, or one in C ends.

    False if it was over before.
    """
    ticks = itertools.count(1)

    def strike(_frame: FrameType, event: str, _arg: Any) -> None:
        if event != "c_call" and next(ticks) == at:
            sys.setprofile(None)
            raise KeyboardInterrupt

    before = sys.getprofile()
    sys.setprofile(strike)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(before)
    return False


@frozen
class Part:
    """What the main thread does with it, and another thread then."""

    ours: Callable[[], object]
    others: Callable[[], object]


@pytest.fixture
def parts(
    tmp_path: Path,
    musictasks_settings: Settings,
    musictasks_open: Callable[..., MusicEngine],
) -> Iterator[dict[str, Callable[[], Part]]]:
    # Not started: what the workers need of it does nothing.
    engine = musictasks_open()
    fd = os.open(tmp_path, os.O_RDONLY)

    def watch() -> Part:
        watch = Watch(lambda _task, _message: None)

        def ours() -> None:
            watch.wake()
            watch.about_to_look()
            watch.wait(0)

        return Part(ours, watch.wake)

    def waiter() -> Part:
        waiter = Waiter({"remove"})
        task = MusicTask(id="t", state="remove")

        def ours() -> None:
            with pytest.raises(TimeoutError):
                waiter.wait(0)

        return Part(ours, lambda: waiter.resolve(task))

    def sync() -> Part:
        sync = SharedSync()
        return Part(lambda: sync(fd), lambda: sync(fd))

    def workers() -> Part:
        dispatcher = Dispatcher(time.time)
        dispatcher.start()
        events = OwnEvents(engine._runner.tasks, dispatcher)
        settings = evolve(musictasks_settings.engine, stop_timeout_s=0.01)
        directories = OwnedDirectories(Directory(tmp_path))
        workers = Workers(settings, directories, events, InlineExecutor, bool)
        workers._running.add("t")

        def ours() -> None:
            workers.stop()
            workers.when_idle(bool)

        def others() -> None:
            workers._ended(MusicTask(id="t"))
            workers._done(Future())
            dispatcher.stop()

        return Part(ours, others)

    yield {"watch": watch, "waiter": waiter, "sync": sync, "workers": workers}
    os.close(fd)


@pytest.mark.parametrize("name", ["watch", "waiter", "sync", "workers"])
def test_an_interrupt_leaves_nothing_locked(parts: dict[str, Callable[[], Part]], name: str):
    """At the begin and the end of each function, those of the standard library included."""
    at, struck = 0, True
    while struck:
        at += 1
        part = parts[name]()
        struck = interrupted(part.ours, at)
        other = threading.Thread(target=part.others, daemon=True)
        other.start()
        other.join(PATIENCE_S)
        assert not other.is_alive(), f"interrupted at {at}, it is waited for"
    assert at > 2


def make_directories(directory: Directory) -> None:
    directory.make_directories("a/b/c")


def save(directory: Directory) -> None:
    file = DurableFile(directory, "task.json")
    file.create(b"one")
    file.save(b"two")


def receive(directory: Directory) -> None:
    data = UploadData(directory, "task/upload", durable=True)
    data.append(b"one", 0)
    data.append(b"two", 3, last=True)


@pytest.mark.parametrize("change", [make_directories, save, receive])
def test_an_interrupt_is_never_taken_for_an_error_of_the_disk(
    change: Callable[[Directory], None], tmp_path: Path
):
    """As which it would be the reason why a file is not added, and the rest would go on."""
    at, struck = 0, True
    while struck:
        at += 1
        place = tmp_path / str(at)
        place.mkdir()
        struck = interrupted(partial(change, Directory(place, durable=True)), at)
    assert at > 10
