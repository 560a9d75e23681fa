"""Ctrl-C strikes the main thread anywhere: nobody else waits for ever for what it had taken."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from attrs import frozen
from musictasks.engine.entry import Waiter
from musictasks.files import SharedSync
from musictasks.intake.watch import Watch
from musictasks.statemachine import MusicTask

#: Longer than any step takes; only broken code meets it.
PATIENCE_S = 5


def interrupted(call: Callable[[], object], at: int) -> bool:
    """Runs it, with a KeyboardInterrupt as the nth function of Python code begins or ends.

    False if it was over before.
    """
    ticks = itertools.count(1)

    def strike(_frame: FrameType, event: str, _arg: Any) -> Any:
        if event in {"call", "return"} and next(ticks) == at:
            raise KeyboardInterrupt
        return strike

    before = sys.gettrace()
    sys.settrace(strike)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@frozen
class Part:
    """What the main thread does with it, and another thread then."""

    ours: Callable[[], object]
    others: Callable[[], object]


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[dict[str, Callable[[], Part]]]:
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

    yield {"watch": watch, "waiter": waiter, "sync": sync}
    os.close(fd)


@pytest.mark.parametrize("name", ["watch", "waiter", "sync"])
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
