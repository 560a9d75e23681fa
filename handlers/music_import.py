"""The stage "music import": what is in the Music Directory goes into the database."""

from __future__ import annotations

import logging

from attrs import frozen

from ..errors import DatabaseUnusable, ExtraMissing, InvalidPath, LedgerUnusable, MediaError
from ..library import ImportResult, Ledger, MusicDatabase, MusicDirectory, check_album_file
from ..statemachine import MusicTask, Outcome, Work, fail, reject, succeed
from .reasons import disk_reason

_log = logging.getLogger(__name__)


@frozen
class MusicImport:
    """Imports an album, one song of an album, or a video; a booklet succeeds and imports nothing.

    What is in the database already is left as it is, so it may run again at any time.
    """

    music: MusicDirectory
    database: MusicDatabase
    #: Knows the audio of what was imported, so that a scan recognises it; None: nothing is noted.
    ledger: Ledger | None = None

    def __call__(self, task: MusicTask, work: Work) -> Outcome:
        imports = {
            "album": (task.album_path, self._album),
            "albumfile": (task.album_file_path, self._album_file),
            "video": (task.video_path, self._video),
        }
        if task.content_type not in imports:
            return reject(f"content of type {task.content_type!r} cannot be imported")
        path, run = imports[task.content_type]
        if path is None:
            return fail("the task does not say what to import")
        try:
            return run(path, task, work)
        except MediaError as error:
            return reject(str(error))
        except (InvalidPath, DatabaseUnusable, ExtraMissing) as error:
            return fail(str(error))
        except OSError as error:
            return fail(disk_reason(error, path))

    def _album(self, path: str, task: MusicTask, work: Work) -> Outcome:
        def check(done: int, total: int, song: str) -> None:
            work.check()
            work.progress(done, total, song)

        self._note(self.database.import_album(self.music, path, check))
        return succeed()

    def _album_file(self, path: str, task: MusicTask, work: Work) -> Outcome:
        check_album_file(path, self.music.formats)
        work.check()
        if self.music.formats.is_song(path):
            self._note(self.database.import_song(self.music, path, work.check))
            return succeed()
        if not self.music.directory.is_file(path):
            return fail(f"there is no file {path} in the Music Directory")
        return succeed(message=f"{path} is no song: there is nothing to import")

    def _note(self, result: ImportResult) -> None:
        """What is not noted, a verification finds out."""
        if self.ledger is not None and result.audio:
            try:
                self.ledger.note_audio(result.audio)
            except LedgerUnusable as error:
                _log.warning("%s", error)

    def _video(self, path: str, task: MusicTask, work: Work) -> Outcome:
        origin = task.annotations.get("origin")
        known = origin.strip() if isinstance(origin, str) else None
        self.database.import_video(self.music, path, origin=known, check=work.check)
        return succeed()
