"""What was placed in the Music Directory is taken down in the ledger."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence

from attrs import frozen

from ..errors import InvalidPath, LedgerUnusable
from ..library import (
    Archive,
    Identity,
    Ledger,
    LedgerEntry,
    MusicDirectory,
    RecentBytes,
    digests_of,
    note_bytes,
)
from ..statemachine import MusicTask, Work

_log = logging.getLogger(__name__)


@frozen
class Recording:
    """Takes down files that a task has just placed, or found there with the same bytes.

    A ledger that cannot be written is no reason to fail: the files are at their place, and the next
    verification finds those that the ledger lacks.
    """

    ledger: Ledger
    music: MusicDirectory

    def file(self, task: MusicTask, path: str, work: Work, sha256: str | None) -> None:
        """One file; `sha256`: its SHA-256, as far as it is known already."""
        is_upload = task.preprocessed_path is None
        sha1 = task.source_checksum if is_upload else None
        self._record(task, [path], work, sha1=sha1, sha256=sha256)

    def album(self, task: MusicTask, paths: Sequence[str], work: Work) -> None:
        """The files that an archive became."""
        archive = None
        if task.source_checksum is not None and task.file_size is not None:
            archive = Archive(task.source_checksum, task.file_size)
        self._record(task, paths, work, archive)

    def _record(
        self,
        task: MusicTask,
        paths: Sequence[str],
        work: Work,
        archive: Archive | None = None,
        sha1: str | None = None,
        sha256: str | None = None,
    ) -> None:
        try:
            found = [self._measured(task, path, work, sha1, sha256) for path in paths]
            entries = [entry for entry, _ in found]
            audio = [(entry.sha256, audio) for entry, audio in found if audio is not None]
            self.ledger.record(entries, audio, archive)
        except (LedgerUnusable, InvalidPath, OSError) as error:
            _log.warning("task %s: what it placed is not in the ledger: %s", task.id, error)

    def _measured(
        self, task: MusicTask, path: str, work: Work, sha1: str | None, sha256: str | None
    ) -> tuple[LedgerEntry, str | None]:
        with self.music.directory.open(path) as file:
            found = digests_of(
                file, path, sha1=sha1 is None, sha256=sha256 is None, check=work.check
            )
            status = os.fstat(file.fileno())
        entry = LedgerEntry(
            path=path,
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
            sha1=str(sha1 or found.sha1),
            sha256=str(sha256 or found.sha256),
            time=time.time(),
            task=task.id,
        )
        # The import looks at it next.
        note_bytes(Identity.of(status), RecentBytes(entry.sha1, entry.sha256, found.audio))
        return entry, found.audio
