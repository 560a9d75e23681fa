"""Carries out a plan: the jobs side by side, in one thread, until all have ended."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from attrs import define, field, frozen

from ..music import MusicEngine, Settings
from .archive_job import ArchiveJob
from .archives import Taken
from .job import Job, Result
from .jobs import AlbumJob, FileJob, ImportJob, UploadJob, VideoImportJob
from .opening import open_engine
from .planned import Plan, PlannedAlbum, PlannedArchive, PlannedFile, same_name
from .shelf import Shelf
from .watching import Watch

#: So many jobs are under way at once; more would only fill the Upload Directory.
_SIDE_BY_SIDE = 8
#: Whatever happens is notified; this is for what no one tells, such as a disk that has room again.
_LOOK_AGAIN_S = 1.0


@define(eq=False)
class Work:
    """What belongs together: the jobs of some files, and the import after them."""

    _title: str
    files: tuple[UploadJob[Any], ...]
    #: Makes the import when the files have ended; None: there is nothing to import.
    _make_import: Callable[[], ImportJob | None]
    importing: ImportJob | None = field(default=None, init=False)
    ended: bool = field(default=False, init=False)

    @property
    def title(self) -> str:
        """Where it goes, or what it is as long as nobody knows."""
        albums = (job.album for job in self.files if isinstance(job, ArchiveJob))
        return next((album.path for album in albums if album is not None), self._title)

    @property
    def jobs(self) -> tuple[Job, ...]:
        return (*self.files, *([] if self.importing is None else [self.importing]))

    def go_on(self) -> ImportJob | None:
        """Begins the import as soon as it can, once; then it looks for the end of all."""
        if any(job.result is None for job in self.jobs):
            return None
        if self.importing is None:
            self.importing = self._make_import()
            if self.importing is not None:
                return self.importing
        self.ended = True
        return None


@frozen
class Report:
    """What became of a plan."""

    works: tuple[Work, ...]
    #: The states that each task entered while we watched, by its id.
    ways: dict[str, list[str]]

    def count(self, result: Result) -> int:
        return sum(job.result is result for work in self.works for job in work.files)

    @property
    def succeeded(self) -> bool:
        return all(job.result in {Result.ADDED, Result.THERE} for w in self.works for job in w.jobs)


class Display(Protocol):
    """Shows how far the work is."""

    def begin(self, works: Sequence[Work]) -> None: ...

    def ended(self, work: Work) -> None: ...

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


def _works(plan: Plan, engine: MusicEngine, shelf: Shelf) -> tuple[Work, ...]:
    claimed: set[str] = set()
    taken = Taken({same_name(album.path.path): "" for album in plan.albums})

    def of_album(album: PlannedAlbum) -> Work:
        files = tuple(FileJob(engine, shelf, file, claimed) for file in album.files)
        return Work(album.path.path, files, lambda: AlbumJob(engine, shelf, album.path))

    def of_archive(archive: PlannedArchive) -> Work:
        job = ArchiveJob(engine, shelf, archive, claimed, taken)

        def importing() -> ImportJob | None:
            return None if job.album is None else AlbumJob(engine, shelf, job.album)

        return Work(archive.source.name, (job,), importing)

    def of_video(video: PlannedFile) -> Work:
        job = FileJob(engine, shelf, video, claimed)

        def importing() -> ImportJob | None:
            failed = job.result is Result.FAILED
            return None if failed else VideoImportJob(engine, shelf, video.target)

        return Work(video.target.partition("/")[0], (job,), importing)

    return (
        *map(of_album, plan.albums),
        *map(of_archive, plan.archives),
        *map(of_video, plan.videos),
    )


@define
class _Loop:
    works: tuple[Work, ...]
    watch: Watch
    display: Display
    pace_s: float
    _active: list[Job] = field(factory=list, init=False)

    def run(self) -> None:
        files = deque(job for work in self.works for job in work.files)
        open_works = list(self.works)
        while open_works or self._active:
            self.watch.about_to_look()
            self._start(files)
            moved = [job.step() for job in self._active]
            self._active = [job for job in self._active if job.result is None]
            open_works = [work for work in open_works if not self._ended(work)]
            time.sleep(self.pace_s)
            if self._active and not any(moved):
                self.watch.wait(_LOOK_AGAIN_S)

    def _start(self, files: deque[UploadJob[Any]]) -> None:
        """One upload at a time: the files after it are preprocessed and placed meanwhile."""
        uploading = any(isinstance(job, UploadJob) and job.is_uploading for job in self._active)
        if files and not uploading and len(self._active) < _SIDE_BY_SIDE:
            self._active.append(files.popleft())

    def _ended(self, work: Work) -> bool:
        importing = work.go_on()
        if importing is not None:
            self._active.append(importing)
        if work.ended:
            self.display.ended(work)
        return work.ended
