"""How far `add` is: live in a terminal, plain lines everywhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from attrs import define, field
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from ..intake import (
    ArchiveJob,
    Batch,
    ImportJob,
    Job,
    Result,
    Spelling,
    UploadJob,
    VideoImportJob,
)
from .output import bytes_text, count, line, say, say_all, text

_MARKS = {Result.ADDED: ("+", "green"), Result.THERE: ("=", "dim"), Result.FAILED: ("!", "red")}
_REFRESHES_PER_SECOND = 12
_BAR_WIDTH = 16
#: Lines of the terminal that the live table leaves free.
_SPARE_LINES = 4


@define(eq=False)
class Display:
    """Shows the jobs while they run, and the result of what belongs together when it has ended."""

    console: Console
    #: A pause after each step, so that a person can follow.
    pace_s: float = 0
    _batches: tuple[Batch, ...] = field(default=(), init=False)
    _shown: set[Batch] = field(factory=set, init=False)
    _live: Live | None = field(default=None, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _troubles: set[tuple[str, str]] = field(factory=set, init=False)

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, batches: Sequence[Batch]) -> None:
        self._batches = tuple(batches)
        if self.console.is_terminal:
            self._live = Live(
                get_renderable=self._table,
                console=self.console,
                refresh_per_second=_REFRESHES_PER_SECOND,
                transient=True,
            )
            self._live.start()

    def moved(self, batch: Batch) -> None:
        if self.pace_s:
            time.sleep(self.pace_s)

    def ended(self, batch: Batch) -> None:
        with self._lock:
            self._shown.add(batch)
        if self._live is not None:
            self._live.refresh()  # what is printed now shall not stand in the table, too
        lines = [line(text(batch.title, "bold"))]
        names = [job.subject for job in batch.files]
        width = max(map(len, names), default=0)
        for job, name in zip(batch.files, names, strict=True):
            size = bytes_text(job.file.size_bytes).rjust(9)
            told = name.ljust(width), " ", text(size, "dim")
            lines.append(line(*_mark(job), *told, *_why(job)))
            if isinstance(job, ArchiveJob) and job.spelling is not None:
                lines.append(line("    ", text(spelling_text(job.spelling), "dim")))
        if batch.importing is not None:
            job = batch.importing
            lines.append(line(*_mark(job), _import_result(job), *_why(job)))
        say_all(self.console, lines)

    def trouble(self, task_id: str, message: str) -> None:
        """Called from the engine's thread, too; each message is shown once."""
        with self._lock:
            if (task_id, message) in self._troubles:
                return
            self._troubles.add((task_id, message))
        say(self.console, text(f"task {task_id}: {message}; trying again", "yellow"))

    def _table(self) -> Table:
        """The albums under way, file by file, and the sum of all."""
        with self._lock:
            open_batches = [batch for batch in self._batches if batch not in self._shown]
        table = Table.grid(padding=(0, 1))
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column(width=_BAR_WIDTH)
        table.add_column(justify="right", width=19, no_wrap=True)
        table.add_column(width=20, no_wrap=True)
        table.expand = True
        for job in self._rows(open_batches):
            _add_row(table, job)
        _add_sum(table, [job for batch in self._batches for job in batch.files])
        return table

    def _rows(self, batches: Sequence[Batch]) -> list[Job]:
        """All jobs of the albums that have begun; only those at work where there is no room."""
        begun = [batch for batch in batches if any(map(_has_begun, batch.jobs))]
        rows = [job for batch in begun for job in batch.jobs]
        if len(rows) > self.console.height - _SPARE_LINES:
            rows = [job for job in rows if job.result is None and _has_begun(job)]
        return rows[: max(1, self.console.height - _SPARE_LINES)]


def spelling_text(spelling: Spelling) -> str:
    """What became of an artist's name."""
    return f"{spelling.found}: goes to {spelling.used}, who is there (--artist says otherwise)"


def _has_begun(job: Job) -> bool:
    return job.task is not None or job.result is not None


def _add_row(table: Table, job: Job) -> None:
    state = text(_state(job), _style(job))
    if isinstance(job, UploadJob):
        name = text(job.subject)
        done, total = job.done_bytes, job.file.size_bytes
        bar = ProgressBar(total=total, completed=done, width=_BAR_WIDTH)
        table.add_row(name, bar, text(f"{bytes_text(done)} / {bytes_text(total)}", "dim"), state)
    else:
        pictures = "frames" if isinstance(job, VideoImportJob) else "artwork"
        table.add_row(text(f"database and {pictures}"), "", "", state)


def _add_sum(table: Table, jobs: Sequence[UploadJob[Any]]) -> None:
    total = sum(job.file.size_bytes for job in jobs)
    done = sum(job.done_bytes for job in jobs)
    ended = sum(job.result is not None for job in jobs)
    bar = ProgressBar(total=total, completed=done, width=_BAR_WIDTH)
    of_bytes = text(f"{bytes_text(done)} / {bytes_text(total)}")
    table.add_row("", "", "", "")
    table.add_row(text("all files"), bar, of_bytes, text(f"{ended} of {count(len(jobs), 'file')}"))


def _state(job: Job) -> str:
    if job.result is not None:
        return {Result.ADDED: "done", Result.THERE: "there", Result.FAILED: "failed"}[job.result]
    return job.state or "-"


def _style(job: Job) -> str:
    if job.result is None:
        return "cyan" if job.task else "dim"
    return _MARKS[job.result][1]


def _mark(job: Job) -> Iterator[object]:
    mark, style = _MARKS[job.result or Result.FAILED]
    yield "  "
    yield text(f"{mark} ", style)


def _why(job: Job) -> Iterator[object]:
    if job.result is Result.THERE and isinstance(job, UploadJob):
        yield text("  is there already", "dim")
    if job.result is Result.FAILED:
        # After "not imported:", one space.
        yield text(f" {job.reason}" if isinstance(job, ImportJob) else f"  {job.reason}", "red")


def _import_result(job: ImportJob) -> str:
    """What there is to say of the import."""
    if job.result is Result.FAILED:
        return "not imported:"
    if job.result is Result.THERE:
        return "nothing to import"
    return " and ".join(job.achieved)
