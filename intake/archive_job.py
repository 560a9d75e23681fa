"""An album's way into the Music Directory, in one archive."""

from __future__ import annotations

from attrs import define, field

from ..errors import InvalidPath, TaskFailed, TaskNotFound
from ..library import AlbumPath, parse_album, safe_name
from ..statemachine import MusicTask
from .archives import Taken, album_told, is_meant
from .artists import Artists, Spelling
from .job import Result
from .plans import PlannedArchive, is_untouched
from .upload_job import UploadJob


@define(eq=False)
class ArchiveJob(UploadJob[PlannedArchive]):
    """Uploads an archive; where the album goes is known when the engine has looked inside."""

    taken: Taken
    #: The artist of its album, if the library spells the name otherwise.
    spelling: Spelling | None = field(default=None, init=False)
    #: Where the album is, if it is known to be there.
    _there: str | None = field(default=None, init=False)

    @property
    def file_name(self) -> str:
        suffix = self.file.source.suffix
        return safe_name(self.file.source.name[: -len(suffix)], suffix)

    @property
    def album(self) -> AlbumPath | None:
        """The album that is there now; None as long as it is not."""
        path = self.task.album_path if self.task is not None else self._there
        return None if path is None or self.result in {None, Result.FAILED} else parse_album(path)

    def target(self, task: MusicTask) -> str:
        try:
            overrides = self.file.overrides
            artists = Artists(self.engine.settings, overrides, self.taken.artists)
            album = album_told(overrides, task.annotations, artists)
            self.spelling = next(iter(artists.spellings), None)
            self.taken.take(album, self.file.checksum)
        except InvalidPath as error:
            # What was sent stays for a while, so that another try begins here.
            raise InvalidPath("", f"{error.reason} (task {task.id}, {task.state})") from error
        return album.path

    def _is_there(self) -> bool:
        # Only the engine looks inside. Else an album that is there with the same files it leaves
        # alone.
        place = self._place()
        if place is None or not is_meant(self.file.overrides, parse_album(place)):
            return False
        file = self.file
        if not is_untouched(self.engine.settings, file.checksum, file.size_bytes):
            return False
        self._there = place
        return True

    def _gone(self) -> bool:
        assert self.task is not None
        try:
            done = self.engine.wait(self.task.id, {"readyforimport", "startmusicimport"}, 0)
        except (TaskFailed, TaskNotFound, TimeoutError):
            reason = "its task was removed before the album was at its place: add it again"
            return self._fail(reason)
        self.task = done
        # Of an album that it put there, the integration has nothing to say.
        return self._end(Result.THERE if done.message else Result.ADDED)
