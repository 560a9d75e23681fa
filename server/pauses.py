"""How long nothing may come: one timer for many waits, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from attrs import define, field

_T = TypeVar("_T")


@define(eq=False)
class Pauses:
    """Bounds each of several waits, mostly one at a time; to be closed after the last.

    As `asyncio.timeout` around each does, whose timers take longer than most of these waits.
    For one event loop.
    """

    #: The most seconds of one wait.
    pause_s: float
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    #: Who waits now, and since when by the loop's clock.
    _task: asyncio.Task[object] | None = field(default=None, init=False)
    _since_s: float = field(default=0.0, init=False)
    _is_over: bool = field(default=False, init=False)

    async def bound(self, wait: Awaitable[_T]) -> _T:
        """What `wait` gives.

        Raises:
            TimeoutError: It took too long, and was cancelled.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is None or self._task is not None:  # a second one at a time
            async with asyncio.timeout(self.pause_s):
                return await wait
        cancelling = task.cancelling()
        self._task, self._since_s, self._is_over = task, loop.time(), False
        if self._timer is None:
            self._timer = loop.call_at(self._since_s + self.pause_s, self._look)
        try:
            return await wait
        except asyncio.CancelledError:
            if self._is_over and task.uncancel() <= cancelling:
                raise TimeoutError from None
            raise
        finally:
            self._task = None

    def _look(self) -> None:
        """The timer is due: of the wait that set it, or of one long before the present one."""
        self._timer = None
        if self._task is None:
            return
        loop = asyncio.get_running_loop()
        due_s = self._since_s + self.pause_s
        if loop.time() < due_s:
            self._timer = loop.call_at(due_s, self._look)
        else:
            self._is_over = True
            self._task.cancel()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
