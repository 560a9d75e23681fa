"""Putting a music library together: from settings to an engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import cast

from ..engine import Reading, open_engine, orphaned_directories
from ..engine import read_tasks as read_task_files
from ..errors import LedgerUnusable
from ..files import Directory, OwnedDirectories, make_root
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
    AskedLedger,
    FramesDirectory,
    ImageLimits,
    Ledger,
    MusicDatabase,
    MusicDirectory,
)
from ..statemachine import MUSIC, Handler, Lifecycle, MusicTask
from ..uploads import measured
from .duplicates import Duplicates
from .engine import MusicEngine
from .settings import Settings
from .takeover import FlatData, RelativePaths, flat_leftovers

_log = logging.getLogger(__name__)


def open_library(
    settings: Settings,
    *,
    lifecycle: Lifecycle = MUSIC,
    handlers: Mapping[str, Handler] | None = None,
    executor: Callable[[], Executor] | None = None,
    clock: Callable[[], float] = time.time,
) -> MusicEngine:
    """Takes a library's tasks directory, makes what is missing, and loads the tasks.

    Args:
        settings: Where everything is, and all limits.
        lifecycle: An integrator's own, derived from `MUSIC`.
        handlers: By the name of a stage: what does its work, in place of or besides ours.
        executor: Makes the workers, see `musictasks.engine.open_engine`.
        clock: Unix seconds.

    Raises:
        DirectoryInUse: Another process owns the tasks directory.
        LifecycleError: The lifecycle is not whole, or a stage has no handler.
        OSError: A directory cannot be made.
    """
    lifecycle.check()
    music = music_directory(settings)
    known = AskedLedger(settings.ledger, settings.durable)
    _prepare(settings)
    duplicates = Duplicates(lifecycle)
    directories = OwnedDirectories(Directory(settings.uploads, settings.durable))
    flat_data = FlatData(lifecycle, directories)
    return open_engine(
        settings.engine,
        lifecycle,
        handlers=_handlers(lifecycle, settings, known, handlers or {}),
        executor=executor,
        clock=clock,
        clean_up=Removal(music),
        upgrade=RelativePaths(settings.uploads),
        take_over=flat_data,
        observers=[duplicates.observe],
        prepare=partial(_prepare_library, settings),
        make=partial(
            MusicEngine,
            settings=settings,
            music=music,
            duplicates=duplicates,
            flat_data=flat_data,
            ledger=known,
        ),
    )


def _handlers(
    lifecycle: Lifecycle, settings: Settings, known: Ledger, theirs: Mapping[str, Handler]
) -> dict[str, Handler]:
    """Ours for the stages that the lifecycle has, then theirs."""
    names = {stage.name for stage in lifecycle.stages}
    ours = {name: one for name, one in default_handlers(settings, known).items() if name in names}
    return {**ours, **theirs}


def _prepare(settings: Settings) -> None:
    for directory in (settings.music, settings.data):
        make_root(directory)


def _prepare_library(settings: Settings) -> None:
    """What only the owner of the tasks may make, or change to what it has to be."""
    make_root(settings.artwork)
    make_root(settings.video_frames_root)
    MusicDatabase(settings.database).prepare()
    _artwork(settings).prepare()
    _frames(settings).prepare()
    try:
        ledger(settings).prepare()
    except LedgerUnusable as error:
        _log.warning("%s", error)


def music_directory(settings: Settings) -> MusicDirectory:
    """The Music Directory of these settings."""
    return MusicDirectory(
        settings.music,
        settings.ignore_artists,
        settings.ignore_albums,
        settings.ignore_songs,
        settings.formats,
    )


def ledger(settings: Settings) -> Ledger:
    """The ledger of the Music Directory of these settings."""
    return Ledger(settings.ledger, settings.durable)


def archive_limits(settings: Settings) -> ArchiveLimits:
    """The limits of these settings for archives."""
    return ArchiveLimits(
        settings.archive_size_bytes, settings.archive_files, settings.archive_ratio
    )


def default_handlers(settings: Settings, known: Ledger | None = None) -> dict[str, Handler]:
    """Our handlers, by the name of their stage.

    `known`: the ledger, if one is kept open.
    """
    uploads = Directory(settings.uploads, durable=settings.durable)
    music = music_directory(settings)
    database = MusicDatabase(settings.database)
    known = ledger(settings) if known is None else known
    limits = ImageLimits(settings.image_size_bytes, settings.image_pixels)
    return {
        "preprocessing": Preprocessing(
            uploads, limits, archive_limits(settings), settings.ignore_songs, settings.formats
        ),
        "integration": Integration(uploads, music, settings.durable, known),
        "music import": MusicImport(music, database, known),
        "artwork import": ArtworkImport(
            music, uploads, database, _artwork(settings), _frames(settings), limits
        ),
        "file system scan": FilesystemScan(music, database, settings.scan_cache, known),
    }


def _artwork(settings: Settings) -> ArtworkDirectory:
    return ArtworkDirectory(settings.artwork, settings.artwork_scales, settings.durable)


def _frames(settings: Settings) -> FramesDirectory:
    return FramesDirectory(
        settings.video_frames_root,
        settings.video_frames,
        settings.video_scales,
        settings.video_preview_length_s,
        settings.durable,
    )


def read_tasks(settings: Settings, lifecycle: Lifecycle = MUSIC) -> Reading:
    """The tasks as their files say, without taking the directory: for programs that only look."""
    reading = read_task_files(settings.engine, lifecycle, upgrade=RelativePaths(settings.uploads))
    tasks = (cast(MusicTask, task) for task in reading.tasks)
    return Reading(
        tuple(measured(task, settings.engine, lifecycle) for task in tasks), reading.invalid
    )


def orphaned_uploads(settings: Settings, lifecycle: Lifecycle = MUSIC) -> list[str]:
    """The names in the Upload Directory of data that belongs to no task."""
    if not settings.uploads.is_dir():
        return []
    uploads = Directory(settings.uploads)
    # Invariant: names before records, so that data of a task made meanwhile is not among them.
    directories = orphaned_directories(settings.engine)
    names = set(uploads.names())
    tasks = [cast(MusicTask, task) for task in read_tasks(settings, lifecycle).tasks]
    flat = [name for name in flat_leftovers(uploads, tasks) if name in names]
    return sorted([*directories, *flat])
