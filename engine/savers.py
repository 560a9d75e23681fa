"""Threads that do jobs side by side, where nobody asks what became of a job."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

_log = logging.getLogger(__name__)

Job = Callable[[], object]


class Savers:
    """A pool of threads that costs a job no more than its place in a queue.

    That of the standard library makes a future for each, with a lock and a condition: half of what
    handing over a job costs. The threads start with the first job.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._threads: list[threading.Thread] = []
        #: None: the end, for one thread.
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()

    def submit(self, job: Job) -> None:
        """Appends a job; only for one thread."""
        if not self._threads:
            self._start()
        self._jobs.put(job)

    def shutdown(self) -> None:
        """Returns when all jobs are done and the threads have ended."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        for number in range(self._number):
            name = f"musictasks-saver_{number}"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except BaseException:
                # Invariant: whatever a job raises, the thread is there for the next one.
                _log.exception("a job of the engine raised")
