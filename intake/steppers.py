"""Threads that step jobs, so that several wait for the disk at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from attrs import define, field, frozen

from .job import Job


@frozen
class Stepped:
    """A step of a job that has ended."""

    job: Job
    #: Whether it did something.
    moved: bool
    #: What it raised.
    error: BaseException | None = None


@define(eq=False)
class Steppers:
    """Steps the jobs that it is given, each in one of a few threads; says how each step ended.

    Who gives a job waits for the end of its step before it gives the same again. As a context
    manager it ends its threads, which get some time for the steps that are under way. (A daemon's
    threads: what a Ctrl-C ends shall not wait for a long one.)
    """

    #: Gets each `Stepped`, in the thread of the step; it must not block or raise.
    ended: Callable[[Stepped], object]
    number: int
    #: How long the end waits for steps that are under way, in seconds.
    patience_s: float
    _jobs: SimpleQueue[Job | None] = field(factory=SimpleQueue, init=False)
    _threads: list[threading.Thread] = field(factory=list, init=False)
    _stopped: bool = field(default=False, init=False)

    def __enter__(self) -> Steppers:
        for _ in range(self.number):
            thread = threading.Thread(target=self._run, name="musictasks-stepper", daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped = True
        for _ in self._threads:
            self._jobs.put(None)
        until_s = time.monotonic() + self.patience_s
        for thread in self._threads:
            thread.join(max(until_s - time.monotonic(), 0))

    def step(self, job: Job) -> None:
        self._jobs.put(job)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._stopped:
                continue
            try:
                stepped = Stepped(job, job.step())
            except BaseException as error:
                stepped = Stepped(job, moved=False, error=error)
            self.ended(stepped)
