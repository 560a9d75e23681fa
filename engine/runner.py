"""Runs the tasks: what the entry into each state starts, and how all of it begins and ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial

from ..errors import InvalidPath, InvalidTaskFile, MusicTasksError, TaskNotSaved
from ..files import OwnedDirectories
from ..persistence import TASK_ID
from ..statemachine import Handler, Lifecycle, Role
from .dispatcher import Dispatcher
from .entry import Entry
from .looking import LOOK_EVERY_S, Looking
from .notifications import Notifier
from .own_events import OwnEvents
from .resting import CleanUp, Resting
from .settings import EngineSettings
from .table import Table
from .tasks import OnEnter, Tasks, describe
from .workers import Workers, stop_worker

_log = logging.getLogger(__name__)

#: So many tasks are saved at the same time, where that has to wait for the disk.
_SAVERS = 8

#: Goes on with a task that was loaded; called with the task locked.
Resume = Callable[[Entry], object]


class Runner:
    """Puts the parts together that work for the tasks, each made of those before it."""

    def __init__(
        self,
        settings: EngineSettings,
        table: Table,
        directories: OwnedDirectories,
        notifier: Notifier,
        *,
        handlers: Mapping[str, Handler],
        executor: Callable[[], Executor],
        clock: Callable[[], float],
        clean_up: CleanUp | None,
    ) -> None:
        self.table = table
        self._settings = settings
        self._directories = directories
        self.dispatcher = Dispatcher(clock, _SAVERS if settings.durable else 0)
        self._on_enter = self._callbacks(table.lifecycle, handlers)
        self.tasks = Tasks(
            table,
            directories,
            notifier,
            clock,
            on_enter=self._on_enter,
            deleted=self._later(lambda entry, serial: self._remove_deleted(entry, serial)),
        )
        self.events = OwnEvents(self.tasks, self.dispatcher)
        self.workers = Workers(settings, directories, self.events, executor, self._start_anew)
        self.resting = Resting(settings, directories, self.events, clock, clean_up)
        self.looking = Looking(self.tasks, self.start_held)
        #: By the name of a state: what goes on with the tasks that are found in it.
        self._resumes: dict[str, Resume] = {}

    def _callbacks(
        self, lifecycle: Lifecycle, handlers: Mapping[str, Handler]
    ) -> dict[str, list[OnEnter]]:
        """The on_enter callbacks by the name of the state: each appends to the dispatcher's queue.

        A handler is attached to the working state of its stage.
        """
        by_role: dict[Role, OnEnter] = {
            Role.QUEUED: self._later(lambda *entry: self.workers.enqueue(*entry)),
            Role.WAITING: self._wait_for_client(),
            Role.FINISHED: self._later(lambda *entry: self.resting.retain(*entry), saves=True),
            Role.FAILED: self._later(lambda *entry: self.resting.retain(*entry), saves=True),
            Role.PASSING: self._later(lambda *entry: self.resting.pass_on(*entry), saves=True),
            Role.REMOVING: self._later(lambda *entry: self.resting.remove(*entry), saves=True),
        }
        on_enter = {
            # A worker whose task has moved on has nothing to do any more.
            state.name: [stop_worker, by_role[state.role]]
            for state in lifecycle.states
            if state.role in by_role
        }
        for stage in lifecycle.stages:
            on_enter[stage.working] = [self._start(handlers[stage.name])]
        return on_enter

    def _wait_for_client(self) -> OnEnter:
        """The callback of a state that waits: mostly a timer is all that it takes."""
        later = self._later(lambda *entry: self.resting.wait_for_client(*entry), saves=True)

        def wait(entry: Entry) -> None:
            if not self.resting.set_idle_timer(entry):
                later(entry)

        return wait

    def _start(self, handler: Handler) -> OnEnter:
        """The callback of a working state: its stage's handler goes to a worker."""
        return self._later(lambda *entry: self.workers.start_work(handler, *entry))

    def _later(self, job: Callable[[Entry, int], object], *, saves: bool = False) -> OnEnter:
        """A callback that cannot fail or block: `job` is done by the dispatcher."""
        return lambda entry: self.dispatcher.put(partial(job, entry, entry.serial), saves=saves)

    def start(self, *, threaded: bool = True) -> None:
        """Recovers all tasks and goes to work; unthreaded, whoever tests runs the dispatcher."""
        # Invariant: cleaned before any handler works, whose files no record names yet.
        try:
            self._clean()
        except (OSError, InvalidPath) as error:
            _log.warning("what is left over could not be removed: %s", error)
        with self.looking.comparing:
            self.workers.start()
            self._start_what_rests()
            self._start_what_waits()
        self.dispatcher.every(LOOK_EVERY_S, self.looking.look)
        if threaded:
            self.dispatcher.start()

    def _clean(self) -> None:
        """Removes the directories of no task, and what removals left that were cut off.

        None of the former as long as a task file does not load: it may be that task's.
        """
        self._directories.sweep()
        for owner in () if self.table.invalid else self._directories.owners(self.table.entries):
            if TASK_ID.fullmatch(owner):
                _log.info("the directory %s belongs to no task and is removed", owner)
                self._directories.remove(owner)

    def _start_what_rests(self) -> None:
        """Goes on with the tasks that were loaded, and wait for a client: nearly all there are."""
        loaded = [entry for entry in list(self.table.entries.values()) if not entry.serial]
        resting = [entry for entry in loaded if self.resting.only_waits(entry.record)]
        for entry in resting:
            with entry.lock:
                if not entry.serial:
                    entry.started = 0
        self.dispatcher.put_each(
            self._resume_resting,
            [entry for entry in resting if entry.record.state in self._resumes],
            # Invariant: after what goes on with them, which may find that they are not idle.
            then=partial(self.resting.wait_for_clients, resting),
        )

    def _resume_resting(self, entry: Entry) -> None:
        resume = self._resumes.get(entry.record.state)
        if resume is not None:  # else it has moved on since
            self._resume_by(resume, entry, 0)

    def _start_what_waits(self) -> None:
        for entry in list(self.table.entries.values()):
            # What has entered a state since it was loaded is in the dispatcher's queue.
            if entry.started < entry.serial:
                self.dispatcher.put(partial(self.resume, entry))

    def on_resume(self, state: str, resume: Resume) -> None:
        """Lets `resume` go on with the tasks that are found in this state, before they rest.

        If it raises what a disk or a save raises, it is called again later. After the start, it
        goes on with those that have not moved since.
        """
        if self.workers.are_started:
            # Invariant: in the dispatcher's thread, as `resume` is: none is gone on with twice.
            self.dispatcher.put(partial(self._resume_late, state, resume))
        else:
            self._resumes[state] = resume

    def _resume_late(self, state: str, resume: Resume) -> None:
        self._resumes[state] = resume
        for entry in list(self.table.entries.values()):
            if entry.record.state == state and entry.started == entry.serial == 0:
                self._resume_by(resume, entry, 0)

    def resume(self, entry: Entry) -> None:
        """Goes on with a task that was loaded or held: as if it had just entered its state."""
        with entry.lock:
            if entry.started >= entry.serial:
                return
            entry.started = entry.serial
            record, serial = entry.record, entry.serial
        if self.table.role(record) is Role.WORKING:
            limit = {"attempts_limit": self._settings.attempts}
            self.events.fire(
                entry, serial, "recover", payload=limit, message="the server had stopped"
            )
            return
        # One that was held has been told of its entry already, by this process.
        if serial == 0 and record.state in self._resumes:
            self._resume_by(self._resumes[record.state], entry, serial)
        for start in self._on_enter.get(record.state, ()):
            with entry.lock:
                if entry.serial == serial:
                    start(entry)

    def _resume_by(self, resume: Resume, entry: Entry, serial: int, tries: int = 0) -> None:
        with entry.lock:
            if entry.serial != serial:
                return
            try:
                resume(entry)
            except (OSError, InvalidPath, TaskNotSaved, InvalidTaskFile) as error:
                again = partial(self._resume_by, resume, entry, serial)
                self.events.retry_later(entry, tries, error, again)

    def start_held(self, entry: Entry) -> None:
        """Starts what the state of a task starts, if it waits; nothing happens if it does not."""
        if self.workers.are_started:  # else `start` finds it
            self.dispatcher.put(partial(self.resume, entry))

    def _start_anew(self, entry: Entry) -> None:
        """What waited for an earlier worker of the task starts now: its removal, its next stage."""
        with entry.lock:
            for start in self._on_enter.get(entry.record.state, ()):
                start(entry)

    def look_now(self) -> None:
        """Looks at the directory at once, and starts the tasks that were held."""
        self.looking.look_now()
        if self.workers.are_started:
            self._start_what_waits()

    def _remove_deleted(self, entry: Entry, serial: int) -> None:
        self.events.fire(entry, serial, "remove", message="its task file was deleted")

    def save_amended(self) -> None:
        """Saves the records that are ahead of their files, as the offsets of uploads are."""
        for entry in list(self.table.entries.values()):
            with entry.lock:
                try:
                    self.tasks.save_amended(entry)
                except (MusicTasksError, OSError) as error:
                    _log.warning("task %s: %s", entry.record.id, describe(error))
