"""What the engine tells of its tasks, kept for whoever waits for them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

from attrs import define, field

from ..music import INTERNAL_ERROR, MusicEngine


@define(eq=False)
class Watch:
    """A subscriber that remembers the way of each task and wakes whoever waits.

    As a context manager it ends its subscriptions. One thread waits. (No `Event`: a Ctrl-C that
    strikes in its Python code can leave its lock taken.)
    """

    #: Called with a task's id and a message when the engine is in trouble with it, in a thread of
    #: the engine's.
    trouble: Callable[[str, str], object]
    #: The states that each task entered, in their order, by its id.
    ways: dict[str, list[str]] = field(factory=dict, init=False)
    _woken: SimpleQueue[None] = field(factory=SimpleQueue, init=False)
    _subscriptions: ExitStack = field(factory=ExitStack, init=False)

    def follow(self, engine: MusicEngine) -> None:
        """From now on it sees all that happens, the ends of removals and of the engine included."""
        self._subscriptions.callback(engine.subscribe(self))
        gone = engine.on_enter(engine.lifecycle.gone, lambda _task: self.wake())
        self._subscriptions.callback(gone)
        self._subscriptions.callback(engine.on_close(self.wake))

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._subscriptions.close()

    def __call__(self, notification: str, status: dict[str, Any]) -> None:
        if status["taskid"] is not None:
            way = self.ways.setdefault(status["taskid"], [])
            if way[-1:] != [status["state"]]:
                way.append(status["state"])
            elif notification == INTERNAL_ERROR and status["message"]:
                # No new state, so the engine could not save one, and tries again.
                self.trouble(status["taskid"], status["message"])
        self.wake()

    def wake(self) -> None:
        """Something has happened."""
        self._woken.put(None)

    def about_to_look(self) -> None:
        """What happens from here on ends the next `wait` at once."""
        with suppress(Empty):
            while True:
                self._woken.get_nowait()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until something happens; False if nothing has, for so long."""
        with suppress(Empty):
            self._woken.get(timeout=timeout_s)
            return True
        return False
