"""Carries out a plan: several jobs at a time, each in its own order, until all have ended."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Any

from attrs import define, field

from ..music import INTERNAL_ERROR, MusicEngine, Notification
from ..statemachine import MusicTask, Role
from .batches import Batch, make_batches
from .display import Display, Silent
from .job import Job
from .plans import Plan
from .report import Report, make_report
from .session import Session
from .steppers import Stepped, Steppers
from .upload_job import UploadJob

#: So many jobs are under way at once; more would only fill the Upload Directory.
_SIDE_BY_SIDE = 8
#: So many of them are stepped at the same time: each waits for the disk most of the time.
_STEPPERS = 4
#: Uploads begin together as long as they have fewer bytes than this: what is larger keeps a disk
#: busy by itself.
_UPLOADING_BYTES = 16 * 1024 * 1024

#: In the states of other roles the engine is at work, and no job has anything to do.
_TO_BE_SEEN = frozenset({Role.WAITING, Role.FINISHED, Role.FAILED, Role.GONE})


def bring(
    plan: Plan, engine: MusicEngine, display: Display | None = None, *, exclusive: bool = False
) -> Report:
    """Brings what is planned into the library, and returns when all of it has ended.

    What cannot be brought in is in the report, with the reason; the rest goes on. It may be cut
    off anywhere, by the end of the process, too, and called again: it goes on with what it finds.
    Several may run side by side on one engine, in a thread each; what two of them want, one does.
    Songs and albums come in several at a time, in threads of its own; the display is told in the
    caller's, of batches that have ended in the order of the plan.

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
    if plan.looks is not None:
        plan.looks.keep()
    session = Session(engine, exclusive, plan.known)
    with ExitStack() as stack:
        news = _News(session)
        stack.callback(engine.follow(news.notified, news.wants))
        stack.callback(engine.on_enter(engine.lifecycle.gone, news.gone))
        stack.callback(engine.on_close(news.wake))
        stack.callback(session.claims.listen(news.wake))
        batches = make_batches(plan, session)
        for batch in batches:
            stack.callback(_release, batch, session)
        display.begin(batches)
        steppers = Steppers(news.put, _STEPPERS, engine.settings.stop_timeout_s)
        _Loop(batches, news, stack.enter_context(steppers), display, engine).run()
    return make_report(batches)


def _release(batch: Batch, session: Session) -> None:
    for job in batch.jobs:
        session.claims.release(job)


@define(eq=False)
class _News:
    """What the loop waits for: steps that have ended, and what the engine tells of its tasks.

    One thread waits. (A `SimpleQueue`: a Ctrl-C that strikes in the Python code of others can leave
    their locks taken.)
    """

    session: Session
    #: What the engine is in trouble with: a task's id, and a message.
    troubles: deque[tuple[str, str]] = field(factory=deque, init=False)
    #: The end of a step; the id of a task that is not what it was; None: all is to be looked at.
    _news: SimpleQueue[Stepped | str | None] = field(factory=SimpleQueue, init=False)
    #: The state of each task that was told last.
    _states: dict[str, str] = field(factory=dict, init=False)

    def wants(self, told: Notification) -> bool:
        """Whether it is of a task that nobody has seen, of a state to look at, or of trouble."""
        if told.task_id is None:
            return False
        is_trouble = told.name == INTERNAL_ERROR and told.message is not None
        return is_trouble or told.task_id not in self._states or self._is_to_be_seen(told)

    def notified(self, told: Notification) -> None:
        """A follower of the engine."""
        task_id, state = told.task_id, told.state
        assert task_id is not None
        # Invariant: what the jobs look at knows of it before they are woken to look.
        self.session.tasks.read(task_id)
        is_new = self._states.get(task_id) != state
        if not is_new and told.name == INTERNAL_ERROR and told.message:
            # No new state, so the engine could not save one, and tries again.
            self.troubles.append((task_id, told.message))
        self._states[task_id] = str(state)
        if self._is_to_be_seen(told):
            self._news.put(task_id)

    def _is_to_be_seen(self, told: Notification) -> bool:
        return self.session.engine.lifecycle.role(str(told.state)) in _TO_BE_SEEN

    def gone(self, task: MusicTask) -> None:
        """A task is not there any more."""
        self._states.pop(task.id, None)
        self._news.put(task.id)

    def put(self, stepped: Stepped) -> None:
        self._news.put(stepped)

    def wake(self) -> None:
        self._news.put(None)

    def get(self) -> Stepped | str | None:
        return self._news.get()


@define(eq=False)
class _Active:
    """A job that is under way."""

    job: Job
    batch: Batch
    is_stepping: bool = False
    #: Its last step found nothing to do.
    waits: bool = False
    #: Something has happened since its step began.
    again: bool = False

    @property
    def is_uploading(self) -> bool:
        if not isinstance(self.job, UploadJob):
            return False
        return self.job.is_uploading if self.job.task is not None else not self.waits


@define
class _Loop:
    """Everything but the steps themselves is done in the caller's thread."""

    batches: tuple[Batch, ...]
    news: _News
    steppers: Steppers
    display: Display
    engine: MusicEngine
    _active: dict[Job, _Active] = field(factory=dict, init=False)
    #: The number of batches that have not ended.
    _open: int = field(default=0, init=False)
    #: What the display has not been told of as ended, in the order of the plan.
    _untold: deque[Batch] = field(factory=deque, init=False)

    def run(self) -> None:
        files = deque((job, batch) for batch in self.batches for job in batch.files)
        imports = deque(batch for batch in self.batches if not batch.files)
        self._open, self._untold = len(self.batches), deque(self.batches)
        while True:
            self.engine.check_open()  # nothing more is told as done of an engine that is closed
            while files and self._has_room(files[0][0]):
                self._begin(*files.popleft())
            while imports and len(self._active) < _SIDE_BY_SIDE:
                self._go_on(imports.popleft())
            self._tell_troubles()
            if not self._open:
                return
            self._see(self.news.get())

    def _has_room(self, job: UploadJob[Any]) -> bool:
        """Whether one more upload may begin, beside those that are coming in."""
        if len(self._active) >= _SIDE_BY_SIDE:
            return False
        coming = [
            active.job.file.size_bytes
            for active in self._active.values()
            if active.is_uploading and isinstance(active.job, UploadJob)
        ]
        few = len(coming) < _STEPPERS and sum(coming) + job.file.size_bytes <= _UPLOADING_BYTES
        return few or not coming

    def _begin(self, job: Job, batch: Batch) -> None:
        active = self._active[job] = _Active(job, batch)
        self._step(active)

    def _step(self, active: _Active) -> None:
        """Has it stepped now, or once more where it is being stepped."""
        active.again = active.is_stepping
        if not active.is_stepping:
            active.is_stepping, active.waits = True, False
            self.steppers.step(active.job)

    def _see(self, news: Stepped | str | None) -> None:
        if isinstance(news, Stepped):
            self._stepped(news)
            return
        for active in list(self._active.values()):
            task = active.job.task
            # Who has no task waits for somebody else's.
            if news is None or task is None or task.id == news:
                self._step(active)

    def _stepped(self, stepped: Stepped) -> None:
        if stepped.error is not None:
            raise stepped.error
        active = self._active[stepped.job]
        active.is_stepping, active.waits = False, not stepped.moved
        if stepped.moved:
            self.display.moved(active.batch)
        if stepped.job.result is not None:
            del self._active[stepped.job]
            self._go_on(active.batch)
        elif stepped.moved or active.again:
            self._step(active)

    def _go_on(self, batch: Batch) -> None:
        if batch.ended:
            return  # the results of several jobs were there before their steps were seen
        importing = batch.go_on()
        if importing is not None:
            self._begin(importing, batch)
        if batch.ended:
            self._open -= 1
        while self._untold and self._untold[0].ended:
            self.display.ended(self._untold.popleft())

    def _tell_troubles(self) -> None:
        """Tells what is about tasks of this plan; the rest may be, when a job has its task.

        Where nobody else works with the engine, all is told.
        """
        if not self.news.troubles:
            return
        ids = {task_id for batch in self.batches for job in batch.jobs for task_id in job.task_ids}
        for _ in range(len(self.news.troubles)):
            trouble = self.news.troubles.popleft()
            if self.news.session.exclusive or trouble[0] in ids:
                self.display.trouble(*trouble)
            else:
                self.news.troubles.append(trouble)
