"""Group commit for a database: what several threads write at the same time is one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from attrs import define, field

T = TypeVar("T")


@define(eq=False)
class _Pending(Generic[T]):
    value: T
    is_written: bool = False


@define(eq=False)
class SharedWrites(Generic[T]):
    """Writes values for any number of threads, one transaction at a time.

    Whoever comes first writes. Whoever comes meanwhile waits, and the first of these writes for all
    of them. A thread that is alone does what it would do without this.
    """

    #: Held while the list is changed.
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    #: Held by whoever writes.
    _turn: threading.Lock = field(factory=threading.Lock, init=False)
    _waiting: list[_Pending[T]] = field(factory=list, init=False)

    def __call__(self, value: T, write: Callable[[Sequence[T]], object]) -> None:
        """Returns when `value` is written, by this thread or another.

        Args:
            value: What is to be written.
            write: Writes values, all or none. Where it raises for several, each is tried by itself,
                and what it raises then is raised here, in the thread that brought the value.
        """
        mine = _Pending(value)
        with self._lock:
            self._waiting.append(mine)
        with self._turn:
            if mine.is_written or self._write_all(mine, write):
                return
            write([value])

    def _write_all(self, mine: _Pending[T], write: Callable[[Sequence[T]], object]) -> bool:
        """Writes all that waits; False where it has to be done one by one."""
        with self._lock:
            # Invariant: with mine, also where another had taken it and was interrupted.
            others = [one for one in self._waiting if one is not mine]
            self._waiting = []
        if not others:
            return False
        try:
            write([mine.value, *(one.value for one in others)])
        except Exception:
            with self._lock:
                self._waiting = [*others, *self._waiting]
            return False
        for one in others:
            one.is_written = True
        return True
