"""What was placed in the Music Directory is taken down in the ledger."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence

from attrs import frozen

from ..errors import InvalidPath, LedgerUnusable
from ..files import Placed, looks_of
from ..library import (
    Archive,
    FileIdentity,
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

    def file(self, task: MusicTask, path: str, work: Work, placed: Placed) -> None:
        """One file; what is known of its bytes is not found out again, if they are those still."""
        self._record(task, [path], work, placed=placed)

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
        placed: Placed | None = None,
    ) -> None:
        try:
            measured = [self._measured(task, path, work, placed) for path in paths]
            found = [one for one in measured if one is not None]
            if len(found) < len(measured):
                archive = None  # not all is there that it became
            entries = [entry for entry, _ in found]
            audio = [(entry.sha256, audio) for entry, audio in found if audio is not None]
            self.ledger.record(entries, audio, archive)
        except (LedgerUnusable, InvalidPath, OSError) as error:
            _log.warning("task %s: what it placed is not in the ledger: %s", task.id, error)

    def _measured(
        self, task: MusicTask, path: str, work: Work, placed: Placed | None
    ) -> tuple[LedgerEntry, str | None] | None:
        """What is to be known of a file; None if it changes meanwhile: then nothing is sure."""
        with self.music.directory.open(path) as file:
            status = os.fstat(file.fileno())
            sha1 = sha256 = None
            # Invariant: only of the very bytes that were placed. Somebody may have written to the
            # file since: a tagger that is told of new files needs no time for that.
            if placed is not None and placed.looks == looks_of(status):
                sha1 = task.source_checksum if task.preprocessed_path is None else None
                sha256 = placed.sha256
            found = digests_of(
                file, path, sha1=sha1 is None, sha256=sha256 is None, check=work.check
            )
            after = os.fstat(file.fileno())
        identity = FileIdentity.of(status)
        if FileIdentity.of(after) != identity:
            _log.warning("task %s: %s changes just now, so it is not in the ledger", task.id, path)
            return None
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
        note_bytes(identity, RecentBytes(entry.sha1, entry.sha256, found.audio))
        return entry, found.audio
