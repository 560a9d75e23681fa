"""Faults in the file system: fail, kill or let somebody act at the n-th change of the disk."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..files import Effects, using

#: The names of the effects: `open`, `write`, `fsync`, `link`, …
EFFECTS = tuple(name for name in vars(Effects) if not name.startswith("_"))
#: Called before the effect with a number, counted from 1; may raise, or return how many bytes a
#: write shall take.
Strike = Callable[[int, str], int | None]


class Killed(BaseException):
    """Stands for a process that was killed: from now on it changes nothing on the disk.

    No `Exception`, so that nothing catches it and goes on as if it lived.
    """


class Struck(Effects):
    """Counts the effects, and calls `strike` before each. Put it in place with `using`."""

    def __init__(self, strike: Strike = lambda number, name: None) -> None:
        self.strike = strike
        #: The names of the effects so far, in order.
        self.calls: list[str] = []
        #: Threads whose effects are somebody else's: neither counted nor struck.
        self.others: set[int] = set()
        self._lock = threading.Lock()

    def perform(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Does the effect itself; for subclasses."""
        return getattr(Effects, name)(self, *args, **kwargs)

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() not in self.others:
            with self._lock:
                self.calls.append(name)
                number = len(self.calls)
            most_bytes = self.strike(number, name)
            if most_bytes is not None and name == "write":
                args = (args[0], memoryview(args[1])[:most_bytes], args[2])
        return self.perform(name, *args, **kwargs)


def _through_call(name: str) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: self.call(name, *args, **kwargs)


for _name in EFFECTS:
    setattr(Struck, _name, _through_call(_name))


class FaultInjector(Struck):
    """Fails or kills at a file operation that a test chooses, counted from the choice on.

    Every change of the disk that musictasks makes is one operation (the database's own
    excepted). With `active()` it is in place; the fixture `musictasks_faults` is.
    """

    def __init__(self) -> None:
        super().__init__(self._strike)
        self._since = 0
        self._faults: dict[int, int] = {}
        self._refused: dict[str, int] = {}
        self._kill_at: int | None = None

    @property
    def count(self) -> int:
        """How many operations there were since the last choice, or `clear`."""
        return len(self.calls) - self._since

    def fail(self, at: int = 1, code: int = errno.EIO) -> None:
        """The `at`-th operation from now on raises OSError with this errno; the others work."""
        self.clear()
        self._faults = {at: code}

    def refuse(self, *names: str, code: int = errno.ENOSPC) -> None:
        """All operations of these names (`write`, `fsync`, …; without any: all) raise OSError."""
        self.clear()
        unknown = set(names) - set(EFFECTS)
        if unknown:
            raise ValueError(f"no file operations: {sorted(unknown)}; there are {EFFECTS}")
        self._refused = dict.fromkeys(names or EFFECTS, code)

    def kill(self, at: int = 1) -> None:
        """The `at`-th operation from now on, and all after it, raise `Killed` and do nothing.

        Use it with a `SteppedEngine`, where it reaches the test; then `clear`, and start again.
        """
        self.clear()
        self._kill_at = at

    def clear(self) -> None:
        """From now on everything works, and the count begins at 0."""
        self._since = len(self.calls)
        self._faults, self._refused, self._kill_at = {}, {}, None

    @contextmanager
    def active(self) -> Iterator[FaultInjector]:
        """In place for the whole process, until the block ends."""
        with using(self):
            yield self

    def _strike(self, number: int, name: str) -> None:
        at = number - self._since
        if self._kill_at is not None and at >= self._kill_at:
            raise Killed(f"killed at file operation {self._kill_at}")
        code = self._faults.get(at, self._refused.get(name))
        if code is not None:
            raise OSError(code, os.strerror(code))
