"""Putting an engine together, and reading tasks without one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ..errors import InvalidTaskFile, LifecycleError
from ..files import Directory, OwnedDirectories, effects, make_root
from ..persistence import TASK_ID, DirectoryOwner, TaskStore, Upgrade, make_converter
from ..statemachine import Handler, Lifecycle
from .engine import Engine, Parts
from .notifications import Notifier
from .resting import CleanUp
from .runner import Runner
from .settings import EngineSettings
from .table import Observer, Table, TakeOver

E = TypeVar("E", bound=Engine[Any])


class Reading(NamedTuple):
    """What `read_tasks` found."""

    tasks: tuple[Any, ...]
    #: The task files that do not load, with the reasons.
    invalid: tuple[InvalidTaskFile, ...]


def open_engine(
    settings: EngineSettings,
    lifecycle: Lifecycle,
    *,
    handlers: Mapping[str, Handler] | None = None,
    executor: Callable[[], Executor] | None = None,
    clock: Callable[[], float] = time.time,
    clean_up: CleanUp | None = None,
    upgrade: Upgrade | None = None,
    take_over: TakeOver | None = None,
    observers: Iterable[Observer] = (),
    prepare: Callable[[], object] | None = None,
    make: Callable[[Parts], E] = Engine[Any],
) -> E:
    """Takes the tasks directory, makes what is missing, and loads the tasks.

    Args:
        settings: Where everything is, and all limits.
        lifecycle: What the tasks may do, and the class of their records.
        handlers: By the name of each stage: what does its work.
        executor: Makes the workers; a thread pool of `settings.workers` by default. Processes
            must be started with `spawn`: a forked one would keep the lock of the directory.
        clock: Unix seconds.
        clean_up: Called with the record when a task is removed, before its directory goes:
            removes what it has elsewhere. If it raises OSError, it is called again later.
        upgrade: Gets the JSON object of each task file before it is checked, and returns the one
            that counts: for files of an older version.
        take_over: Gets each record that was loaded, and returns the one that counts, which is
            saved if it is another: for data of an older version. Where it raises InvalidPath or
            OSError, the task does not load. It may be cut off anywhere, and is called again.
        observers: Each is called with the record at every entry into a state, and for every task
            that is loaded: in the thread that changes the task, with the task locked. It must not
            block, raise, or call the engine.
        prepare: Called once the directory is taken, before the tasks are loaded.
        make: Makes the engine of its parts: a class derived from `Engine`, or what calls it.

    Raises:
        DirectoryInUse: Another process owns the tasks directory.
        LifecycleError: The lifecycle is not whole, a stage has no handler, or a field of its
            record cannot be written into a file.
        OSError: A directory cannot be made.
    """
    lifecycle.check()
    complete = _complete(lifecycle, handlers or {})
    converter = make_converter(lifecycle, upgrade)
    effects.load()
    make_root(settings.tasks)
    make_root(settings.uploads)
    directories = OwnedDirectories(Directory(settings.uploads, settings.durable))
    tasks_directory = Directory(settings.tasks, settings.durable)
    owner = DirectoryOwner(tasks_directory)
    try:
        owner.take()
        if prepare is not None:
            prepare()
        store = TaskStore(tasks_directory, converter, owner.descriptor)
        notifier = Notifier(settings.chunk_size, lifecycle.gone)
        table = Table(lifecycle, store, take_over, observers)
        runner = Runner(
            settings,
            table,
            directories,
            notifier,
            handlers=complete,
            executor=executor or partial(_threads, settings.workers),
            clock=clock,
            clean_up=clean_up,
        )
        table.load_all()
        return make(Parts(settings, runner, directories, notifier, owner, clock))
    except BaseException:
        owner.release()
        raise


def _complete(lifecycle: Lifecycle, handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    names = {stage.name for stage in lifecycle.stages}
    for name in handlers:
        if name not in names:
            raise LifecycleError(f"handler for {name!r}", "the lifecycle has no such stage")
    for name in sorted(names - set(handlers)):
        raise LifecycleError(f"stage {name!r}", f"no handler: handlers={{{name!r}: ...}}")
    return dict(handlers)


def _threads(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="musictasks-worker")


def read_tasks(
    settings: EngineSettings, lifecycle: Lifecycle, *, upgrade: Upgrade | None = None
) -> Reading:
    """The tasks as their files say, without taking the directory: for programs that only look."""
    if not settings.tasks.is_dir():
        return Reading((), ())
    store = TaskStore(Directory(settings.tasks), make_converter(lifecycle, upgrade))
    loaded = list(store.load_all())
    invalid = tuple(one for one in loaded if isinstance(one, InvalidTaskFile))
    return Reading(tuple(one[1] for one in loaded if isinstance(one, tuple)), invalid)


def orphaned_directories(settings: EngineSettings) -> list[str]:
    """The names of directories in the uploads directory that belong to no task."""
    # Invariant: directories before task files, so that one made meanwhile is not among them.
    owners = OwnedDirectories(Directory(settings.uploads)).owners()
    return [
        name
        for name in owners
        if TASK_ID.fullmatch(name) and not (settings.tasks / f"{name}.json").exists()
    ]
