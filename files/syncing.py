"""Fewer fsyncs of a directory: one for all who wait for it, none where no name has changed."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue

from attrs import define, field

from . import effects

#: Whoever waits is woken; this is for what an interrupt at the wrong moment leaves unsaid.
_LOOK_AGAIN_S = 1.0

#: So old has the last change of a directory to be: another in the same tick of the file system's
#: clock would not be seen.
_SETTLE_S = 2.0
#: So many directories are remembered.
_REMEMBERED = 256


@define(eq=False, repr=False)
class _Round:
    """One fsync, and how it ended."""

    ended: bool = False
    synced: bool = False
    error: OSError | None = None
    #: Those whom it is for: they wait for its end, or for the one before it.
    waiting: list[SimpleQueue[None]] = field(factory=list)


@define(eq=False, repr=False)
class SharedSync:
    """Fsyncs one directory for any number of threads that wait for it at the same time.

    Whoever comes first does it. Whoever comes while it runs has changed names that it may have
    missed, so these share the next one. A thread that is alone does what it would do without this.

    Ctrl-C may strike anywhere in the main thread. So there is no `Condition` here, whose lock is
    taken in Python code: an interrupt between the taking and the block would leave it taken.
    """

    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _running: _Round | None = field(default=None, init=False)
    _next: _Round = field(factory=_Round, init=False)

    def __call__(self, dir_fd: int) -> None:
        """Make the names in the directory durable; `dir_fd` is a descriptor of it.

        Raises:
            OSError: They are not: the fsync that was waited for failed. Each of those who shared
                it gets an error of its own.
        """
        while True:
            mine = self._take_part(dir_fd)
            if mine.synced:
                return
            if mine.error is not None and mine.error.errno is not None:
                raise OSError(mine.error.errno, os.strerror(mine.error.errno)) from mine.error
            # Whoever did it was interrupted: that says nothing of the disk, so try again.

    def _take_part(self, dir_fd: int) -> _Round:
        """Does one fsync, or waits for whoever does; what it raises is raised here, too."""
        woken: SimpleQueue[None] = SimpleQueue()
        mine = fresh = _Round()
        leads = False
        try:
            with self._lock:
                # Invariant: an fsync that has begun already proves nothing for this call.
                mine = self._next
                mine.waiting.append(woken)
                leads = self._running is None
                if leads:
                    self._running, self._next = mine, fresh
            while not leads and not mine.ended:
                with suppress(Empty):
                    woken.get(timeout=_LOOK_AGAIN_S)
                with self._lock:
                    leads = self._running is None and self._next is mine
                    if leads:
                        self._running, self._next = mine, fresh
            if leads:
                self._sync(mine, dir_fd)
            return mine
        finally:
            if leads and self._running is mine:
                # Invariant: no call before this, in which an interrupt could strike.
                mine.ended, self._running = True, None
                self._wake(mine)

    @staticmethod
    def _sync(mine: _Round, dir_fd: int) -> None:
        try:
            effects.current.fsync(dir_fd)
            mine.synced = True
        except OSError as error:
            mine.error = error
            raise

    def _wake(self, ended: _Round) -> None:
        """Those who shared it, and those who share the next: one of them does it."""
        with self._lock:
            waiting = [*ended.waiting, *self._next.waiting]
        for woken in waiting:
            woken.put(None)


@define(eq=False)
class DurableNames:
    """Makes the names in directories durable that change seldom, as those above an album.

    One that was synced, and whose names nobody has changed since, is not synced again: its change
    time says so, which no program can set.
    """

    #: By device and inode: the change time up to which all names are durable.
    _known: dict[tuple[int, int], int] = field(factory=dict, init=False)

    def sync(self, dir_fd: int) -> None:
        """The names that are in the directory now are durable afterwards; OSError: they are not."""
        # Invariant: both looked at before the fsync, which may take long, so that a change
        # meanwhile is not taken for synced: also one in the same tick as the last.
        now_s = time.time()
        found = os.fstat(dir_fd)
        key = found.st_dev, found.st_ino
        if self._known.get(key) == found.st_ctime_ns:
            return
        effects.current.fsync(dir_fd)
        if now_s - found.st_ctime > _SETTLE_S:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = found.st_ctime_ns


#: Of this process; what it knows is worth nothing to another.
durable_names = DurableNames()
