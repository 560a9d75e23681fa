"""What became of a plan."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from .archive_job import ArchiveJob
from .batches import Batch
from .job import Result
from .plans import PlannedFile, PlannedUpload
from .upload_job import UploadJob


@frozen(kw_only=True)
class FileReport:
    """What became of a file that was given."""

    file: PlannedUpload
    #: What the file is called in the library; an archive's own name.
    name: str
    #: Where it is now, or its album: relative to the Music Directory. None: it is not there.
    path: str | None
    result: Result
    #: Why it failed.
    reason: str | None
    #: Of the tasks that worked for it, in their order; most of them are gone.
    task_ids: tuple[str, ...]


@frozen(kw_only=True)
class ImportReport:
    """What became of the import of an album or a video."""

    #: Relative to the Music Directory.
    path: str
    result: Result
    #: Why it failed.
    reason: str | None
    #: What was done, in words.
    achieved: tuple[str, ...]
    #: Of the tasks that worked for it, in their order; most of them are gone.
    task_ids: tuple[str, ...]


@frozen
class Report:
    """A value: nothing of the engine is in it."""

    #: In the order of the plan.
    files: tuple[FileReport, ...] = ()
    #: Of what has files in the Music Directory now.
    imports: tuple[ImportReport, ...] = ()

    def count(self, result: Result) -> int:
        """How many files ended like this."""
        return sum(file.result == result for file in self.files)

    @property
    def succeeded(self) -> bool:
        """Whether all that was planned is in the library."""
        return all(one.result is not Result.FAILED for one in (*self.files, *self.imports))


def make_report(batches: Iterable[Batch]) -> Report:
    """What batches say that have ended."""
    batches = tuple(batches)
    return Report(
        tuple(_of_file(job) for batch in batches for job in batch.files),
        tuple(_of_import(batch) for batch in batches if batch.importing is not None),
    )


def _of_file(job: UploadJob[PlannedUpload]) -> FileReport:
    assert job.result is not None
    return FileReport(
        file=job.file,
        name=job.file_name,
        path=None if job.result is Result.FAILED else _path(job),
        result=job.result,
        reason=job.reason,
        task_ids=tuple(job.task_ids),
    )


def _path(job: UploadJob[PlannedUpload]) -> str | None:
    if isinstance(job, ArchiveJob):
        return None if job.album is None else job.album.path
    return job.file.target if isinstance(job.file, PlannedFile) else None


def _of_import(batch: Batch) -> ImportReport:
    job = batch.importing
    assert job is not None
    assert job.result is not None
    return ImportReport(
        path=job.subject,
        result=job.result,
        reason=job.reason,
        achieved=tuple(job.achieved),
        task_ids=tuple(job.task_ids),
    )
