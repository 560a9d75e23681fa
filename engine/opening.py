"""Putting the parts together: from settings to an engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from ..errors import InvalidTaskFile, LifecycleError
from ..files import Directory, make_root
from ..handlers import (
    ArtworkImport,
    FilesystemScan,
    Integration,
    MusicImport,
    Preprocessing,
    Removal,
)
from ..library import (
    ArchiveLimits,
    ArtworkDirectory,
    FramesDirectory,
    ImageLimits,
    MusicDatabase,
    MusicDirectory,
)
from ..persistence import DirectoryOwner, DirectoryWatch, TaskStore, make_converter
from ..statemachine import MUSIC, Handler, Lifecycle, Task
from .engine import Engine
from .notifications import Notifier
from .runner import Runner
from .settings import Settings
from .tasks import Tasks
from .uploads import Uploads, measured, orphaned


class Reading(NamedTuple):
    """What `read_tasks` found."""

    tasks: tuple[Task, ...]
    #: The task files that do not load, with the reasons.
    invalid: tuple[InvalidTaskFile, ...]


def open_engine(
    settings: Settings,
    *,
    lifecycle: Lifecycle = MUSIC,
    handlers: Mapping[str, Handler] | None = None,
    executor: Callable[[], Executor] | None = None,
    clock: Callable[[], float] = time.time,
) -> Engine:
    """Takes the tasks directory, makes what is missing, and loads the tasks.

    Args:
        settings: Where everything is, and all limits.
        lifecycle: An integrator's own; the music lifecycle by default.
        handlers: By the name of a stage: what does its work, in place of or besides ours.
        executor: Makes the workers; a thread pool of `settings.workers` by default. Processes
            must be started with `spawn`: a forked one would keep the lock of the directory.
        clock: Unix seconds.

    Raises:
        DirectoryInUse: Another process owns the tasks directory.
        LifecycleError: The lifecycle is not whole, or a stage has no handler.
        OSError: A directory cannot be made.
    """
    lifecycle.check()
    music = music_directory(settings)
    _prepare(settings)
    durable = settings.durability == "fsync"
    uploads_directory = Directory(settings.uploads, durable=durable)
    all_handlers = _all_handlers(lifecycle, default_handlers(settings), handlers or {})
    tasks_directory = Directory(settings.tasks, durable=durable)
    owner = DirectoryOwner(tasks_directory)
    owner.take()
    try:
        MusicDatabase(settings.database).prepare()
        _artwork(settings).prepare()
        _frames(settings).prepare()
        store = TaskStore(tasks_directory, make_converter(lifecycle), owner.descriptor)
        notifier = Notifier(settings.chunk_size)
        removal = Removal(music)
        new_executor = executor or partial(_threads, settings.workers)
        runner = Runner(settings, all_handlers, removal, new_executor, clock)
        tasks = Tasks(lifecycle, store, notifier, clock, runner.starts)
        uploads = Uploads(uploads_directory, tasks, durable=durable)
        runner.attach(tasks, uploads, DirectoryWatch(store))
        _load(store, tasks, uploads)
    except BaseException:
        owner.release()
        raise
    return Engine(settings, lifecycle, music, tasks, uploads, runner, notifier, owner)


def music_directory(settings: Settings) -> MusicDirectory:
    return MusicDirectory(
        settings.music, settings.ignore_artists, settings.ignore_albums, settings.ignore_songs
    )


def archive_limits(settings: Settings) -> ArchiveLimits:
    return ArchiveLimits(
        settings.archive_size_bytes, settings.archive_files, settings.archive_ratio
    )


def default_handlers(settings: Settings) -> dict[str, Handler]:
    """Our handlers, by the name of their stage."""
    durable = settings.durability == "fsync"
    uploads = Directory(settings.uploads, durable=durable)
    music = music_directory(settings)
    database = MusicDatabase(settings.database)
    limits = ImageLimits(settings.image_size_bytes, settings.image_pixels)
    return {
        "preprocessing": Preprocessing(
            uploads, limits, archive_limits(settings), settings.ignore_songs
        ),
        "integration": Integration(uploads, music, durable),
        "music import": MusicImport(music, database),
        "artwork import": ArtworkImport(
            music, uploads, database, _artwork(settings), _frames(settings), limits
        ),
        "file system scan": FilesystemScan(music, database, settings.scan_cache),
    }


def _artwork(settings: Settings) -> ArtworkDirectory:
    durable = settings.durability == "fsync"
    return ArtworkDirectory(settings.artwork, settings.artwork_scales, durable)


def _frames(settings: Settings) -> FramesDirectory:
    return FramesDirectory(
        settings.video_frames_root,
        settings.video_frames,
        settings.video_scales,
        settings.video_preview_length_s,
        settings.durability == "fsync",
    )


def _all_handlers(
    lifecycle: Lifecycle, ours: Mapping[str, Handler], theirs: Mapping[str, Handler]
) -> dict[str, Handler]:
    names = {stage.name for stage in lifecycle.stages}
    for name in theirs:
        if name not in names:
            raise LifecycleError(f"handler for {name!r}", "the lifecycle has no such stage")
    handlers = {**ours, **theirs}
    for name in sorted(names - set(handlers)):
        raise LifecycleError(f"stage {name!r}", f"no handler: handlers={{{name!r}: ...}}")
    return handlers


def _prepare(settings: Settings) -> None:
    for directory in (settings.music, settings.data, settings.uploads, settings.tasks):
        make_root(directory)
    make_root(settings.artwork)
    make_root(settings.video_frames_root)


def _threads(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="musictasks-worker")


def _load(store: TaskStore, tasks: Tasks, uploads: Uploads) -> None:
    store.sweep()
    for loaded in store.load_all():
        if isinstance(loaded, InvalidTaskFile):
            tasks.refuse(loaded)
        else:
            tasks.add(*loaded)
    for entry in tasks.entries.values():
        uploads.adopt(entry)


def read_tasks(settings: Settings, lifecycle: Lifecycle = MUSIC) -> Reading:
    """The tasks as their files say, without taking the directory: for programs that only look."""
    if not settings.tasks.is_dir():
        return Reading((), ())
    store = TaskStore(Directory(settings.tasks), make_converter(lifecycle))
    loaded = list(store.load_all())
    uploads = Directory(settings.uploads)
    invalid = tuple(one for one in loaded if isinstance(one, InvalidTaskFile))
    tasks = tuple(measured(one[1], uploads) for one in loaded if isinstance(one, tuple))
    return Reading(tasks, invalid)


def orphaned_uploads(settings: Settings, lifecycle: Lifecycle = MUSIC) -> list[str]:
    """The names of upload data that belongs to no task."""
    if not settings.uploads.is_dir():
        return []
    reading = partial(read_tasks, settings, lifecycle)
    return orphaned(Directory(settings.uploads), lambda: reading().tasks)
