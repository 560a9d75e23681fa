"""Carries out a plan: the jobs side by side, in one thread, until all have ended."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from attrs import define, field, frozen

from ..engine import Engine, Settings
from ..library import AlbumPath
from .jobs import AlbumJob, FileJob, Job, Result
from .opening import open_engine
from .planning import Plan
from .shelf import Shelf
from .watching import Watch

#: So many jobs are under way at once; more would only fill the Upload Directory.
_SIDE_BY_SIDE = 8
#: Whatever happens is notified; this is for what no one tells, such as a disk that has room again.
_LOOK_AGAIN_S = 1.0


@frozen(eq=False)
class AlbumWork:
    """The jobs of one album: its files, and the import after them."""

    path: AlbumPath
    files: tuple[FileJob, ...]
    importing: AlbumJob

    @property
    def jobs(self) -> tuple[Job, ...]:
        return (*self.files, self.importing)

    @property
    def ended(self) -> bool:
        return all(job.result is not None for job in self.jobs)


@frozen
class Report:
    """What became of a plan."""

    works: tuple[AlbumWork, ...]
    #: The states that each task entered while we watched, by its id.
    ways: dict[str, list[str]]

    def count(self, result: Result) -> int:
        return sum(job.result is result for work in self.works for job in work.files)

    @property
    def succeeded(self) -> bool:
        return all(job.result in {Result.ADDED, Result.THERE} for w in self.works for job in w.jobs)


class Display(Protocol):
    """Shows how far the work is."""

    def begin(self, works: Sequence[AlbumWork]) -> None: ...

    def album_ended(self, work: AlbumWork) -> None: ...

    def trouble(self, task_id: str, message: str) -> None: ...


def add(plan: Plan, settings: Settings, display: Display, *, pace_s: float = 0) -> Report:
    """Brings the planned files into the library.

    It may be cut off anywhere, and called again: it goes on with what it finds. `pace_s` is a
    pause after each round of steps.

    Raises:
        DirectoryInUse: Another process owns the tasks.
    """
    engine = open_engine(settings)
    watch = Watch(display.trouble)
    try:
        watch.follow(engine)
        with engine:
            works = _works(plan, engine, Shelf(settings))
            display.begin(works)
            _Loop(works, watch, display, pace_s).run()
    finally:
        engine.close()
    return Report(works, watch.ways)


def _works(plan: Plan, engine: Engine, shelf: Shelf) -> tuple[AlbumWork, ...]:
    claimed: set[str] = set()
    return tuple(
        AlbumWork(
            album.path,
            tuple(FileJob(engine, shelf, file, claimed) for file in album.files),
            AlbumJob(engine, shelf, album.path),
        )
        for album in plan.albums
    )


@define
class _Loop:
    works: tuple[AlbumWork, ...]
    watch: Watch
    display: Display
    pace_s: float
    _active: list[Job] = field(factory=list, init=False)

    def run(self) -> None:
        files = deque(job for work in self.works for job in work.files)
        albums = deque(self.works)
        while albums or self._active:
            self.watch.about_to_look()
            self._start(files)
            moved = [job.step() for job in self._active]
            self._active = [job for job in self._active if job.result is None]
            self._end(albums)
            time.sleep(self.pace_s)
            if self._active and not any(moved):
                self.watch.wait(_LOOK_AGAIN_S)

    def _start(self, files: deque[FileJob]) -> None:
        """One upload at a time: the files after it are preprocessed and placed meanwhile."""
        uploading = any(isinstance(job, FileJob) and job.is_uploading for job in self._active)
        if files and not uploading and len(self._active) < _SIDE_BY_SIDE:
            self._active.append(files.popleft())

    def _end(self, albums: deque[AlbumWork]) -> None:
        for work in list(albums):
            if work.ended:
                albums.remove(work)
                self.display.album_ended(work)
            elif work.importing not in self._active and all(job.result for job in work.files):
                self._active.append(work.importing)
