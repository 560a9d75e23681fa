"""The one thread that does what states start: jobs in order, timers, and a regular look."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from .savers import Savers

_log = logging.getLogger(__name__)

T = TypeVar("T")

Job = Callable[[], object]
#: Called with the owner of a timer, and with the number that it gave.
OwnersJob = Callable[[Any, int], object]

#: So many due times are never cleared of those that are out of date.
_DUE_FEW = 64
#: So many items of one job are done before the others in line have their turn.
_AT_ONCE = 256


class Dispatcher:
    """Runs jobs one after the other in its own thread; `put` cannot fail or block.

    Jobs that save wait for the disk. Where several are in line, they go to threads of their own,
    so that the tasks share the wait; one that is alone is done at once.

    Args:
        clock: Unix seconds, for the timers.
        savers: The number of these threads; 0: every job is done in the one thread.
    """

    def __init__(self, clock: Callable[[], float], savers: int = 0) -> None:
        self._clock = clock
        self._savers = savers
        self._pool: Savers | None = None
        self._tick: Callable[[float], object] | None = None
        self._tick_s = float("inf")
        #: Each with whether it saves; None: the end.
        self._jobs: SimpleQueue[tuple[Job, bool] | None] = SimpleQueue()
        #: Held while the timers are changed.
        self._timing = threading.Lock()
        self._later: list[tuple[float, float, Job]] = []
        #: When each owner's timer is due, the earliest first; some are out of date.
        self._due: list[tuple[float, int, weakref.ref[Any]]] = []
        #: The timer of each owner that counts: its number in `_due`, the job, what the job gets.
        self._timers: WeakKeyDictionary[Any, tuple[int, OwnersJob, int]] = WeakKeyDictionary()
        self._count = itertools.count()
        self._thread = threading.Thread(target=self._run, name="musictasks-engine", daemon=True)

    def start(self) -> None:
        if self._savers:
            self._pool = Savers(self._savers)
        self._thread.start()

    def every(self, seconds: float, job: Callable[[float], object]) -> None:
        """Runs a job again and again, with the monotonic time; one alone, and before `start`."""
        self._tick, self._tick_s = job, seconds

    def put(self, job: Job, *, saves: bool = False) -> None:
        """Appends a job. Before `start` they wait.

        One that saves may run beside others: it locks what it changes.
        """
        self._jobs.put((job, saves))

    def put_each(self, job: Callable[[T], object], items: Iterable[T], then: Job) -> None:
        """Appends `job(item)` for each item, at the price of few jobs, and `then` after them.

        One that raises stops no other.
        """
        self.put(partial(self._do_some, job, iter(items), then))

    def _do_some(self, job: Callable[[T], object], items: Iterator[T], then: Job) -> None:
        some = list(itertools.islice(items, _AT_ONCE))
        for item in some:
            self._do(partial(job, item))
        self.put(partial(self._do_some, job, items, then) if some else then)

    def call_at(self, owner: object, when: float, job: OwnersJob, serial: int) -> None:
        """Runs `job(owner, serial)` at a unix time or soon after.

        An owner has one timer: one of the same or a later serial replaces it. The timer goes with
        its owner, which it does not keep alive.
        """
        with self._timing:
            if owner in self._timers and self._timers[owner][2] > serial:
                return  # the owner has gone on meanwhile, and has its next timer
            number = next(self._count)
            self._timers[owner] = (number, job, serial)
            heapq.heappush(self._due, (when, number, weakref.ref(owner)))
            if len(self._due) > _DUE_FEW and len(self._due) > 2 * len(self._timers):
                self._due = [one for one in self._due if self._counts(one)]
                heapq.heapify(self._due)
        if when < self._clock() + self._tick_s:  # else the next tick is early enough
            self._wake()

    def _wake(self) -> None:
        """The thread may sleep longer than to a timer that somebody else has set."""
        if threading.current_thread() is not self._thread:
            self.put(_nothing)

    def _counts(self, due: tuple[float, int, weakref.ref[Any]]) -> bool:
        """Whether the owner is still there, and has no other timer since."""
        owner = due[2]()
        return owner is not None and self._timers.get(owner, (None,))[0] == due[1]

    def call_later(self, delay_s: float, job: Job) -> None:
        """Runs a job in so many seconds, also if somebody sets the clock back meanwhile."""
        with self._timing:
            self._later.append((self._clock() + delay_s, time.monotonic() + delay_s, job))
        self._wake()

    def next_due(self) -> float | None:
        """When the next timer is due, in unix seconds; for tests that move the clock."""
        due = [when for when, *_ in filter(self._counts, self._due)]
        return min([*due, *(when for when, *_ in self._later)], default=None)

    def stop(self) -> None:
        """Runs the jobs that are in line, and what they put in line, then ends; returns then."""
        self._jobs.put(None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def run_pending(self) -> None:
        """Runs in the calling thread what is in line or due, until nothing is: for tests.

        Only where the dispatcher's own thread was not started.
        """
        while self._run_due() or not self._jobs.empty():
            if not self._jobs.empty() and (one := self._jobs.get()) is not None:
                self._do(one[0])

    def _run(self) -> None:
        next_tick = time.monotonic()
        while True:
            try:
                one = self._next_job(next_tick)
            except Empty:
                pass
            else:
                if one is None:
                    break
                job, saves = one
                if saves and self._pool is not None and not self._jobs.empty():
                    self._pool.submit(partial(self._do, job))
                else:
                    self._do(job)
            if self._may_be_due():
                self._run_due()
            now = time.monotonic()
            if self._tick is not None and now >= next_tick:
                next_tick = now + self._tick_s
                self._do(partial(self._tick, now))
        self._drain()

    def _next_job(self, next_tick: float) -> tuple[Job, bool] | None:
        """The next in line; Empty where none comes until a timer is due, or the tick."""
        try:
            return self._jobs.get_nowait()
        except Empty:
            return self._jobs.get(timeout=self._patience(next_tick))

    def _may_be_due(self) -> bool:
        """Whether a look at the timers, with their lock, pays. Only this thread takes them."""
        due = self._due
        return bool(self._later) or (bool(due) and due[0][0] <= self._clock())

    def _drain(self) -> None:
        """Runs what is still in line at the end, and what that puts in line; no timer any more."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        while not self._jobs.empty():
            if (one := self._jobs.get()) is not None:
                self._do(one[0])

    def _run_due(self) -> bool:
        """Runs the timers that are due; True if there were any."""
        with self._timing:
            due = self._pop_due()
        for job in due:
            self._do(job)
        return bool(due)

    def _pop_due(self) -> list[Job]:
        now, due = self._clock(), list[Job]()
        if self._later:  # seldom, and this is done after every job
            monotonic = time.monotonic()
            is_due = [when <= now or other <= monotonic for when, other, _ in self._later]
            due = [job for (_, _, job), yes in zip(self._later, is_due, strict=True) if yes]
            self._later = [one for one, yes in zip(self._later, is_due, strict=True) if not yes]
        while self._due and self._due[0][0] <= now:
            when = heapq.heappop(self._due)
            if self._counts(when) and (owner := when[2]()) is not None:
                _, job, serial = self._timers.pop(owner)
                due.append(partial(job, owner, serial))
        return due

    def _patience(self, next_tick: float) -> float:
        patience = next_tick - time.monotonic()
        with self._timing:
            return max(min(patience, *self._patiences()), 0.0)

    def _patiences(self) -> Iterator[float]:
        """How long it is to each timer, in seconds."""
        yield float("inf")
        for when, when_monotonic, _ in self._later:
            yield min(when - self._clock(), when_monotonic - time.monotonic())
        if self._due:
            yield self._due[0][0] - self._clock()

    @staticmethod
    def _do(job: Job) -> None:
        try:
            job()
        except Exception:
            # Invariant: one task that goes wrong stops nobody else.
            _log.exception("a job of the engine raised")


def _nothing() -> None:
    """A job that only wakes the thread."""
