"""Tasks that rest, for how long, and how they are removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..errors import InvalidPath
from ..files import OwnedDirectories
from ..statemachine import Role, Task
from .entry import Entry
from .own_events import OwnEvents
from .settings import EngineSettings

#: Removes what a task has outside its directory; called again until it does not raise.
CleanUp = Callable[[Any], object]


class Resting:
    """Retention, idle tasks and removal. Its jobs run in the dispatcher, perhaps side by side."""

    def __init__(
        self,
        settings: EngineSettings,
        directories: OwnedDirectories,
        events: OwnEvents,
        clock: Callable[[], float],
        clean_up: CleanUp | None,
    ) -> None:
        self._settings = settings
        self._directories = directories
        self._events = events
        self._tasks = events.tasks
        self._dispatcher = events.dispatcher
        self._clock = clock
        self._clean_up = clean_up
        #: When each task that was loaded and has not been looked at since may be idle, with its
        #: id; the earliest last.
        self._loaded: list[tuple[float, str]] = []

    def retain(self, entry: Entry, serial: int) -> None:
        """A finished or failed task: its data goes at once if it is of no use, itself later."""
        self._release(entry, serial)
        role = self._tasks.table.role(entry.record)
        settings = self._settings
        keep_s = settings.keep_finished_s if role is Role.FINISHED else settings.keep_failed_s
        since = entered_at(entry.record)
        when = self._clock() if since is None else since
        self._dispatcher.call_at(entry, when + keep_s, self._expire, serial)

    def _release(self, entry: Entry, serial: int, tries: int = 0) -> None:
        with entry.lock:
            if entry.serial != serial or self._tasks.lifecycle.keeps_data(entry.record):
                return
            if entry.worker is not None:
                return  # it may write there; its end calls again
            try:
                self._directories.remove(entry.record.id)
            except (OSError, InvalidPath) as error:
                again = partial(self._release, entry, serial)
                self._events.retry_later(entry, tries, error, again)

    def _expire(self, entry: Entry, serial: int) -> None:
        if entry.serial == serial:
            self._events.fire(entry, serial, "remove", message="kept as long as the settings say")

    def set_idle_timer(self, entry: Entry) -> bool:
        """All that a task which waits needs, in any thread; False: it takes `wait_for_client`."""
        due = max(entry.file.modified_s or 0.0, entry.active_at) + self._settings.max_age_s
        if due <= self._clock() or not self._tasks.lifecycle.keeps_data(entry.record):
            return False
        self._dispatcher.call_at(entry, due, self._expire_if_idle, entry.serial)
        return True

    def wait_for_client(self, entry: Entry, serial: int) -> None:
        """A task that waits: its data goes at once if it is of no use, itself if nobody comes."""
        self._release(entry, serial)
        self._expire_if_idle(entry, serial)

    def only_waits(self, record: Task) -> bool:
        """Whether a task waits for a client, and nothing else is to be done in its state."""
        waits = self._tasks.table.role(record) is Role.WAITING
        return waits and self._tasks.lifecycle.keeps_data(record)

    def wait_for_clients(self, entries: Iterable[Entry]) -> None:
        """As `wait_for_client` for tasks that were loaded, with one timer for all of them."""
        self._loaded = [(self._idle_at(entry), entry.record.id) for entry in entries]
        self._loaded.sort(reverse=True)
        self._wait_for_first()

    def _wait_for_first(self) -> None:
        if self._loaded:
            self._dispatcher.call_at(self, self._loaded[-1][0], self._expire_loaded, 0)

    def _expire_loaded(self, _owner: object, _serial: int) -> None:
        now = self._clock()
        while self._loaded and self._loaded[-1][0] <= now:
            _, task_id = self._loaded.pop()
            entry = self._tasks.table.entries.get(task_id)
            if entry is not None:
                self._expire_if_idle(entry, 0)
        self._wait_for_first()

    def _idle_at(self, entry: Entry) -> float:
        """When nothing has happened to a task for `max_age_s`, by what is known without a look."""
        return max(entry.file.modified_s or 0.0, entry.active_at) + self._settings.max_age_s

    def _expire_if_idle(self, entry: Entry, serial: int) -> None:
        """A task that waits for a client goes when nothing happens to it for `max_age_s`."""
        if entry.serial != serial:
            return
        max_age_s, now = self._settings.max_age_s, self._clock()
        # The file is looked at only when the time is up by what is known without a look.
        due = self._idle_at(entry)
        if due <= now:
            due = self._tasks.last_activity(entry) + max_age_s
        if due > now:
            self._dispatcher.call_at(entry, due, self._expire_if_idle, serial)
        else:
            self._events.fire(
                entry, serial, "remove", message="no activity for as long as the settings say"
            )

    def pass_on(self, entry: Entry, serial: int) -> None:
        """A task in whose state nothing is to be done any more."""
        self._events.fire(entry, serial, "remove")

    def remove_now(self, entry: Entry) -> None:
        """Removes a task where no dispatcher works yet; the caller holds the entry's lock.

        Raises:
            OSError, InvalidPath, TaskNotSaved, InvalidTaskFile: It stays in `remove`; the
                dispatcher goes on with it.
        """
        self._clear(entry)
        self._tasks.send(entry, "forget")

    def _clear(self, entry: Entry) -> None:
        # Invariant: data first, then the task file: a crash between finds the task again.
        self.clean_up(entry.record)
        self._directories.remove(entry.record.id)

    def clean_up(self, record: Task) -> None:
        """Removes what the task has outside its directory; OSError where the disk refuses."""
        if self._clean_up is not None:
            self._clean_up(record)

    def remove(self, entry: Entry, serial: int, tries: int = 0) -> None:
        """Removes what a task has, then the task; while a worker has it, its end calls again."""
        with entry.lock:
            if entry.serial != serial or entry.worker is not None:
                return  # gone already, or its worker calls `resume` when it ends
            try:
                self._clear(entry)
            except Exception as error:
                self._events.retry_later(entry, tries, error, partial(self.remove, entry, serial))
                return
        self._events.fire(entry, serial, "forget")


def entered_at(record: Task) -> float | None:
    """When the task entered its state, in unix seconds, as far as the record knows."""
    if record.history:
        return record.history[-1].time
    return record.update_time or record.initialization_time
