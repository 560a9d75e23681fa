"""Waiting in the main thread such that an interrupt is never slept through."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from select import select
from typing import TypeVar

from attrs import define

_T = TypeVar("_T")


@define(eq=False)
class Waiter:
    """Waits for futures; made by `waiter`."""

    _woken: socket.socket
    _wake: socket.socket

    def result(self, future: Future[_T]) -> _T:
        """What a future gives, or raises."""
        future.add_done_callback(lambda _: self._notify())
        while not future.done():
            select([self._woken], [], [])
            self._woken.recv(4096)
        return future.result()

    def _notify(self) -> None:
        with suppress(OSError):  # full: it wakes anyway; closed: nobody waits any more
            self._wake.send(b"\0")


@contextmanager
def waiter() -> Iterator[Waiter]:
    """A waiter for the thread that enters the block.

    `Future.result` waits for a lock, and a signal that comes just before that wait does not end it:
    Python runs its handlers only between two instructions. A signal's byte in a socket does.
    """
    woken, wake = socket.socketpair()
    with woken, wake:
        woken.setblocking(False)
        wake.setblocking(False)
        if threading.current_thread() is not threading.main_thread():
            yield Waiter(woken, wake)  # it gets no signals
            return
        before = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        try:
            yield Waiter(woken, wake)
        finally:
            signal.set_wakeup_fd(before)
