"""The task management thread: one engine for each tasks directory, shared by its managers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from weakref import WeakValueDictionary

from attrs import define, field

from ..errors import TaskManagementStopped
from ..music import (
    INTERNAL_ERROR,
    STATE_UPDATE,
    Callback,
    MusicEngine,
    Settings,
    Status,
    open_library,
)
from .config import Config, Database, settings_of

Refresh = Callable[[], object]


@define(eq=False, weakref_slot=True)
class Shared:
    """What the managers of one tasks directory have in common.

    The callbacks outlive the engine: the next one calls them, too.
    """

    _engine: MusicEngine | None = field(default=None, init=False)
    running: bool = field(default=False, init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False)
    #: Pairs of a function and what ends its subscription.
    _callbacks: list[tuple[Callback, Callable[[], None]]] = field(factory=list, init=False)
    _refreshes: list[tuple[Refresh, Callable[[], None]]] = field(factory=list, init=False)

    @property
    def engine(self) -> MusicEngine:
        """The engine; TaskManagementStopped after `StopTaskManagementThread`."""
        engine = self._engine
        if engine is None:
            raise TaskManagementStopped
        return engine

    def open(self, settings: Settings) -> None:
        """Takes the tasks directory, if it is not taken already; raises as `open_library`."""
        with self._lock:
            if self._engine is None:
                engine = open_library(settings)
                self._callbacks = [(f, _subscribed(engine, f)) for f, _ in self._callbacks]
                self._refreshes = [(f, engine.on_refresh(f)) for f, _ in self._refreshes]
                self._engine = engine

    def attach(self, engine: MusicEngine) -> None:
        """Takes an engine that somebody else opened."""
        self._engine = engine

    def start(self) -> bool:
        """Starts the work on all that is in the directory; False if it has been started."""
        with self._lock:
            if self.running:
                return False
            self.engine.look()
            self.engine.start()
            self.running = True
            return True

    def close(self) -> bool:
        """Stops the work and gives the directory free; False if no work had been started."""
        # Without the lock: callbacks that are still in line may want it.
        engine = self._engine
        if engine is None:
            return False
        try:
            engine.close()
        finally:
            with self._lock:
                was_running, self.running, self._engine = self.running, False, None
        return was_running

    def add(self, function: Callback) -> None:
        with self._lock:
            if all(f != function for f, _ in self._callbacks):
                engine = self._engine
                end = _subscribed(engine, function) if engine else _end
                self._callbacks.append((function, end))

    def drop(self, function: Callback) -> None:
        with self._lock:
            self._callbacks = _without(self._callbacks, function)

    def add_refresh(self, function: Refresh) -> None:
        with self._lock:
            if all(f != function for f, _ in self._refreshes):
                engine = self._engine
                self._refreshes.append((function, engine.on_refresh(function) if engine else _end))

    def drop_refresh(self, function: Refresh) -> None:
        with self._lock:
            self._refreshes = _without(self._refreshes, function)


@define
class _AsMusicDB:
    """Tells a failure as MusicDB does: why, if anything says it, then the new state."""

    function: Callback
    #: False: it has been removed, perhaps by the function itself.
    active: bool = True

    def __call__(self, notification: str, status: dict[str, Any]) -> None:
        *reasons, last = as_told(notification, status)
        if reasons:
            last = (last[0], deepcopy(last[1]))  # the function may change what it gets
        try:
            for reason in reasons:
                self.function(*reason)
        finally:
            if self.active:
                self.function(*last)


def as_told(notification: str, status: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """A notification of the engine as MusicDB tells it, where one can become two.

    A failure is told by an `InternalError` with the message, if there is one, and a `StateUpdate`
    without it. What belongs to the task is shared by both.
    """
    if not (notification == INTERNAL_ERROR and isinstance(status, Status) and status.entered):
        return [(notification, status)]
    update = (STATE_UPDATE, {**status, "message": None})
    return [update] if status["message"] is None else [(INTERNAL_ERROR, status), update]


def _subscribed(engine: MusicEngine, function: Callback) -> Callable[[], None]:
    """Lets a function have the notifications of an engine; returns what ends it."""
    told = _AsMusicDB(function)
    unsubscribe = engine.subscribe(told)

    def end() -> None:
        told.active = False
        unsubscribe()

    return end


def _end() -> None:
    """Ends the subscription of a callback that no engine calls yet."""


def _without(
    pairs: list[tuple[Any, Callable[[], None]]], function: object
) -> list[tuple[Any, Callable[[], None]]]:
    for one, end in pairs:
        if one == function:
            end()
    return [pair for pair in pairs if pair[0] != function]


_lock = threading.Lock()
#: By the real path of the tasks directory; those that nobody uses are forgotten.
_known: WeakValueDictionary[str, Shared] = WeakValueDictionary()
#: Those whose directory we hold.
_open: dict[str, Shared] = {}


def shared(settings: Settings) -> Shared:
    """What the managers of this tasks directory share, opened by the first; see `open_library`."""
    place = os.path.realpath(settings.tasks)
    with _lock:
        found = _known.get(place)
        if found is None:
            found = _known[place] = Shared()
        found.open(settings)
        _open[place] = found
        return found


#: Of the engines that a program opened itself, by their identity; those nobody uses are forgotten.
_attached: WeakValueDictionary[int, Shared] = WeakValueDictionary()


def attached(engine: MusicEngine) -> Shared:
    """What the managers of an engine share that the caller opened, and closes."""
    with _lock:
        found = _attached.get(id(engine))
        if found is None:
            found = _attached[id(engine)] = Shared()
            found.attach(engine)
        return found


def StartTaskManagementThread(
    config: Config,
    musicdb: Database = None,
) -> bool:
    """Starts the work on the tasks of a configuration: those on disk, and all that come.

    `config` and `musicdb` are as for a manager.

    Returns:
        True; False if it has been started already.

    Raises:
        TypeError: The arguments are not of the correct type.
        ValueError: The database is not that of the configuration.
        DirectoryInUse: Another process works on these tasks.
    """
    return shared(settings_of(config, musicdb)).start()


def StopTaskManagementThread() -> bool:
    """Stops all work cleanly and gives every tasks directory free, also those never started.

    What is under way is asked to stop and queued again for the next start. Afterwards managers
    raise `TaskManagementStopped` until `StartTaskManagementThread` or a new manager opens their
    directory.

    Returns:
        True if a thread was running, else False.
    """
    with _lock:
        ours = list(_open.values())
        _open.clear()
    were_running = [one.close() for one in ours]
    return True in were_running
