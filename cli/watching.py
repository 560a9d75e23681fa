"""What the engine tells of its tasks, kept for whoever waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from attrs import define, field

from ..music import INTERNAL_ERROR, MusicEngine


@define(eq=False)
class Watch:
    """A subscriber that remembers the way of each task and wakes whoever waits."""

    #: Called with a task's id and a message when the engine is in trouble with it.
    trouble: Callable[[str, str], object]
    #: The states that each task entered, in their order.
    ways: dict[str, list[str]] = field(factory=dict, init=False)
    _woken: threading.Event = field(factory=threading.Event, init=False)

    def follow(self, engine: MusicEngine) -> None:
        """From now on it sees all that happens, the end of a removal included."""
        engine.subscribe(self)
        engine.on_enter(engine.lifecycle.gone, lambda _task: self._woken.set())

    def __call__(self, notification: str, status: dict[str, Any]) -> None:
        if status["taskid"] is not None:
            way = self.ways.setdefault(status["taskid"], [])
            if way[-1:] != [status["state"]]:
                way.append(status["state"])
            elif notification == INTERNAL_ERROR and status["message"]:
                # No new state, so the engine could not save one, and tries again.
                self.trouble(status["taskid"], status["message"])
        self._woken.set()

    def about_to_look(self) -> None:
        """What happens from here on ends the next `wait` at once."""
        self._woken.clear()

    def wait(self, timeout_s: float | None = None) -> None:
        self._woken.wait(timeout_s)
