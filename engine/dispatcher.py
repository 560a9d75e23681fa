"""The one thread that does what states start: jobs in order, timers, and a regular look."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any
from weakref import WeakKeyDictionary

_log = logging.getLogger(__name__)

Job = Callable[[], object]
#: Called with the owner of a timer, and with the number that it gave.
OwnersJob = Callable[[Any, int], object]

#: So many due times are never cleared of those that are out of date.
_DUE_FEW = 64


class Dispatcher:
    """Runs jobs one after the other in its own thread; `put` cannot fail or block.

    Args:
        clock: Unix seconds, for the timers.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tick: Callable[[float], object] | None = None
        self._tick_s = float("inf")
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._later: list[tuple[float, float, Job]] = []
        #: When each owner's timer is due, the earliest first; some are out of date.
        self._due: list[tuple[float, int, weakref.ref[Any]]] = []
        #: The timer of each owner that counts: its number in `_due`, the job, what the job gets.
        self._timers: WeakKeyDictionary[Any, tuple[int, OwnersJob, int]] = WeakKeyDictionary()
        self._count = itertools.count()
        self._thread = threading.Thread(target=self._run, name="musictasks-engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def every(self, seconds: float, job: Callable[[float], object]) -> None:
        """Runs a job again and again, with the monotonic time; one alone, and before `start`."""
        self._tick, self._tick_s = job, seconds

    def put(self, job: Job) -> None:
        """Appends a job. Before `start` they wait."""
        self._jobs.put(job)

    def call_at(self, owner: object, when: float, job: OwnersJob, serial: int) -> None:
        """Runs `job(owner, serial)` at a unix time or soon after. Only for the dispatcher's thread.

        An owner has one timer: a new one replaces it. The timer goes with its owner, which it does
        not keep alive.
        """
        number = next(self._count)
        self._timers[owner] = (number, job, serial)
        heapq.heappush(self._due, (when, number, weakref.ref(owner)))
        if len(self._due) > _DUE_FEW and len(self._due) > 2 * len(self._timers):
            self._due = [one for one in self._due if self._counts(one)]
            heapq.heapify(self._due)

    def _counts(self, due: tuple[float, int, weakref.ref[Any]]) -> bool:
        """Whether the owner is still there, and has no other timer since."""
        owner = due[2]()
        return owner is not None and self._timers.get(owner, (None,))[0] == due[1]

    def call_later(self, delay_s: float, job: Job) -> None:
        """Runs a job in so many seconds, also if somebody sets the clock back meanwhile."""
        self._later.append((self._clock() + delay_s, time.monotonic() + delay_s, job))

    def next_due(self) -> float | None:
        """When the next timer is due, in unix seconds; for tests that move the clock."""
        due = [when for when, *_ in filter(self._counts, self._due)]
        return min([*due, *(when for when, *_ in self._later)], default=None)

    def stop(self) -> None:
        """Runs the jobs that are in line, then ends; returns when it has."""
        self._jobs.put(None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def run_pending(self) -> None:
        """Runs in the calling thread what is in line or due, until nothing is: for tests.

        Only where the dispatcher's own thread was not started.
        """
        while self._run_due() or not self._jobs.empty():
            if not self._jobs.empty() and (job := self._jobs.get()) is not None:
                self._do(job)

    def _run(self) -> None:
        next_tick = time.monotonic()
        while True:
            try:
                job = self._jobs.get(timeout=self._patience(next_tick))
            except Empty:
                pass
            else:
                if job is None:
                    return
                self._do(job)
            self._run_due()
            now = time.monotonic()
            if self._tick is not None and now >= next_tick:
                next_tick = now + self._tick_s
                self._do(partial(self._tick, now))

    def _run_due(self) -> bool:
        """Runs the timers that are due; True if there were any."""
        due = 0
        self._later, waiting = [], self._later
        for when, when_monotonic, job in waiting:
            if when <= self._clock() or when_monotonic <= time.monotonic():
                self._do(job)
                due += 1
            else:
                self._later.append((when, when_monotonic, job))
        while self._due and self._due[0][0] <= self._clock():
            when = heapq.heappop(self._due)
            if self._counts(when) and (owner := when[2]()) is not None:
                _, job, serial = self._timers.pop(owner)
                self._do(partial(job, owner, serial))
                due += 1
        return due > 0

    def _patience(self, next_tick: float) -> float:
        patience = next_tick - time.monotonic()
        for when, when_monotonic, _ in self._later:
            left = min(when - self._clock(), when_monotonic - time.monotonic())
            patience = min(patience, left)
        if self._due:
            patience = min(patience, self._due[0][0] - self._clock())
        return max(patience, 0.0)

    @staticmethod
    def _do(job: Job) -> None:
        try:
            job()
        except Exception:
            # Invariant: one task that goes wrong stops nobody else.
            _log.exception("a job of the engine raised")
