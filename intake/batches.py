"""What belongs together: files, and the import that follows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field

from ..library import same_name
from .archive_job import ArchiveJob
from .archives import Taken
from .import_jobs import AlbumJob, ImportJob, VideoImportJob
from .job import Job, Result
from .plans import Plan, PlannedAlbum, PlannedArchive, PlannedFile, PlannedImport
from .session import Session
from .upload_job import FileJob, UploadJob


@define(eq=False)
class Batch:
    """The jobs of an album, of an archive, of a video: of its files, then of its import.

    A display reads it while it is carried out.
    """

    _title: str
    #: Empty where all is in the Music Directory already.
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


def make_batches(plan: Plan, session: Session) -> tuple[Batch, ...]:
    """The jobs of all that is planned; none has begun."""
    taken = Taken(
        {same_name(album.path.path): "" for album in plan.albums},
        {same_name(album.path.artist): album.path.artist for album in plan.albums},
    )
    return (
        *(_of_album(album, session) for album in plan.albums),
        *(_of_archive(archive, session, taken) for archive in plan.archives),
        *(_of_video(video, session) for video in plan.videos),
        *(_of_import(planned, session) for planned in plan.imports),
    )


def _of_album(album: PlannedAlbum, session: Session) -> Batch:
    files = tuple(FileJob(session, file) for file in album.files)
    return Batch(album.path.path, files, lambda: AlbumJob(session, album.path))


def _of_archive(archive: PlannedArchive, session: Session, taken: Taken) -> Batch:
    job = ArchiveJob(session, archive, taken)

    def importing() -> ImportJob | None:
        return None if job.album is None else AlbumJob(session, job.album)

    return Batch(archive.source.name, (job,), importing)


def _of_video(video: PlannedFile, session: Session) -> Batch:
    job = FileJob(session, video)

    def importing() -> ImportJob | None:
        failed = job.result is Result.FAILED
        return None if failed else VideoImportJob(session, video.target)

    return Batch(video.target.partition("/")[0], (job,), importing)


def _of_import(planned: PlannedImport, session: Session) -> Batch:
    def importing() -> ImportJob:
        if planned.album is None:
            return VideoImportJob(session, planned.path)
        return AlbumJob(session, planned.album)

    return Batch(planned.path, (), importing)
