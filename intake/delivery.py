"""Carries out a plan: the jobs side by side, in one thread, until all have ended."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from typing import Any

from attrs import define, field

from ..music import MusicEngine
from .batches import Batch, make_batches
from .display import Display, Silent
from .job import Job
from .plans import Plan
from .report import Report, make_report
from .session import Session
from .upload_job import UploadJob
from .watch import Watch

#: So many jobs are under way at once; more would only fill the Upload Directory.
_SIDE_BY_SIDE = 8


def bring(
    plan: Plan, engine: MusicEngine, display: Display | None = None, *, exclusive: bool = False
) -> Report:
    """Brings what is planned into the library, and returns when all of it has ended.

    What cannot be brought in is in the report, with the reason; the rest goes on. It may be cut
    off anywhere, by the end of the process, too, and called again: it goes on with what it finds.
    Several may run side by side on one engine, in a thread each; what two of them want, one does.

    Args:
        plan: What `plan` or `plan_imports` made.
        engine: The caller's own, and running. It is not closed.
        display: Is told how far it is; nobody by default.
        exclusive: Nobody else works with the engine. So it removes tasks that an earlier run left
            behind, too: finished and failed imports of the same albums and videos, uploads of the
            same bytes whose content was refused. Else it removes only what it made itself.

    Raises:
        EngineClosed: The engine was closed meanwhile. Another engine goes on with the same plan.
    """
    display = Silent() if display is None else display
    session = Session(engine, exclusive)
    troubles = _Troubles()
    with ExitStack() as stack:
        watch = stack.enter_context(Watch(troubles.put))
        watch.follow(engine)

        def known(notification: str, status: dict[str, Any]) -> None:
            # Invariant: what the jobs look at knows of it before they are woken to look.
            session.tasks(notification, status)
            watch.wake()

        stack.callback(engine.subscribe(known))
        stack.callback(session.claims.listen(watch.wake))
        batches = make_batches(plan, session)
        for batch in batches:
            stack.callback(_release, batch, session)
        display.begin(batches)
        _Loop(batches, watch, troubles, display, engine).run()
    return make_report(batches)


def _release(batch: Batch, session: Session) -> None:
    for job in batch.jobs:
        session.claims.release(job)


@define
class _Troubles:
    """What the engine is in trouble with, until a display is told of it."""

    _untold: deque[tuple[str, str]] = field(factory=deque, init=False)

    def put(self, task_id: str, message: str) -> None:
        """Called in a thread of the engine's."""
        self._untold.append((task_id, message))

    def tell(self, batches: tuple[Batch, ...], display: Display) -> None:
        """Tells what is about tasks of these batches; the rest may be, when a job has its task."""
        if not self._untold:
            return
        ids = {task_id for batch in batches for job in batch.jobs for task_id in job.task_ids}
        for _ in range(len(self._untold)):
            task_id, message = self._untold.popleft()
            if task_id in ids:
                display.trouble(task_id, message)
            else:
                self._untold.append((task_id, message))


@define
class _Loop:
    batches: tuple[Batch, ...]
    watch: Watch
    troubles: _Troubles
    display: Display
    engine: MusicEngine
    _active: list[tuple[Job, Batch]] = field(factory=list, init=False)
    #: The number of batches that have begun or wait for their first file, and have not ended.
    _open: int = field(default=0, init=False)

    def run(self) -> None:
        files = deque((job, batch) for batch in self.batches for job in batch.files)
        imports = deque(batch for batch in self.batches if not batch.files)
        self._open = sum(bool(batch.files) for batch in self.batches)
        while self._open or imports:
            self.engine.check_open()  # nothing more is told as done of an engine that is closed
            self.watch.about_to_look()
            self._start(files)
            while imports and len(self._active) < _SIDE_BY_SIDE:
                self._begin_import(imports.popleft())
            moved = self._step()
            self.troubles.tell(self.batches, self.display)
            if self._active and not moved:
                self.watch.wait()

    def _start(self, files: deque[tuple[UploadJob[Any], Batch]]) -> None:
        """One upload at a time: the files after it are preprocessed and placed meanwhile."""
        uploading = any(isinstance(job, UploadJob) and job.is_uploading for job, _ in self._active)
        if files and not uploading and len(self._active) < _SIDE_BY_SIDE:
            self._active.append(files.popleft())

    def _begin_import(self, batch: Batch) -> None:
        self._open += 1
        self._go_on(batch)

    def _step(self) -> bool:
        """One step of every job that is under way; whether any did something."""
        moved = [batch for job, batch in self._active if job.step()]
        ended = [batch for job, batch in self._active if job.result is not None]
        self._active = [one for one in self._active if one[0].result is None]
        for batch in dict.fromkeys(moved):
            self.display.moved(batch)
        for batch in dict.fromkeys(ended):
            self._go_on(batch)
        return bool(moved)

    def _go_on(self, batch: Batch) -> None:
        importing = batch.go_on()
        if importing is not None:
            self._active.append((importing, batch))
        if batch.ended:
            self._open -= 1
            self.display.ended(batch)
