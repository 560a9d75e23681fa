"""Group commit: one fsync of a directory for all who changed names in it and wait for it."""

from __future__ import annotations

import os
import threading

from attrs import define, field

from . import effects


@define(eq=False)
class _Round:
    """One fsync, and how it ended."""

    ended: bool = False
    error: BaseException | None = None


@define(eq=False)
class SharedSync:
    """Fsyncs one directory for any number of threads that wait for it at the same time.

    Whoever comes first does it. Whoever comes while it runs has changed names that it may have
    missed, so these share the next one. A thread that is alone does what it would do without this.
    """

    _condition: threading.Condition = field(factory=threading.Condition, init=False)
    _running: _Round | None = field(default=None, init=False)
    _next: _Round = field(factory=_Round, init=False)

    def __call__(self, dir_fd: int) -> None:
        """Make the names in the directory durable; `dir_fd` is a descriptor of it.

        Raises:
            OSError: They are not: the fsync that was waited for failed. Each of those who shared
                it gets an error of its own.
        """
        while True:
            with self._condition:
                # Invariant: an fsync that has begun already proves nothing for this call.
                mine = self._next
                self._condition.wait_for(
                    lambda mine=mine: mine.ended or (self._running is None and self._next is mine)
                )
                if not mine.ended:
                    self._running, self._next = mine, _Round()
                    break
            if mine.error is None:
                return
            if isinstance(mine.error, OSError) and mine.error.errno is not None:
                raise OSError(mine.error.errno, os.strerror(mine.error.errno)) from mine.error
            # Whoever did it was interrupted: that says nothing of the disk, so try again.
        try:
            effects.current.fsync(dir_fd)
        except BaseException as error:
            mine.error = error
            raise
        finally:
            with self._condition:
                mine.ended, self._running = True, None
                self._condition.notify_all()
