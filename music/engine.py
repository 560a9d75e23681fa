"""The music engine: the framework's, with the calls of a music library."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from hashlib import sha1
from pathlib import PurePosixPath
from typing import Any, cast

from attrs import define, field

from ..engine import Engine
from ..errors import (
    IllegalTransition,
    InvalidPath,
    InvalidTaskFile,
    TaskNotFound,
    TaskNotSaved,
    UploadRefused,
)
from ..files import Directory
from ..library import AskedLedger, MusicDirectory
from ..statemachine import MUSIC, MusicTask, Role
from ..uploads import Uploads, check_announcement, data_name
from . import admission, takeover, targets
from .duplicates import Duplicates
from .preflight import Answer, Preflight, places
from .settings import Settings

_log = logging.getLogger(__name__)

#: The roles whose task is replaced by a new upload of the same id: nothing is left to be done.
_ENDED = frozenset({Role.PASSING, Role.FINISHED, Role.FAILED, Role.REMOVING})

#: What asks before an upload shall not wait for what writes down.
_LEDGER_PATIENCE_S = 0.05


def _file_name(task: MusicTask) -> str:
    return data_name(task.content_type or "upload", task)


@define(eq=False, kw_only=True)
class MusicEngine(Engine[MusicTask]):
    """The tasks of a music library. Made by `open_library`; works inside `with engine:`."""

    _settings: Settings = field(alias="settings")
    _music: MusicDirectory = field(alias="music")
    _duplicates: Duplicates = field(alias="duplicates")
    _flat_data: takeover.FlatData = field(alias="flat_data")
    #: The one that the handlers write.
    _ledger: AskedLedger = field(alias="ledger")
    _uploads: Uploads = field(init=False)
    _asked: AskedLedger = field(init=False)
    #: No states or stages of somebody's own.
    _is_documented: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._uploads = Uploads(self, name=_file_name)
        self._is_documented = self.lifecycle == MUSIC
        known = self._ledger
        self._asked = AskedLedger(known.path, known.durable, _LEDGER_PATIENCE_S)
        self.on_close(self._asked.close)
        self.on_close(self._ledger.close)

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def uploads(self) -> Uploads:
        """What receives the chunks; whoever begins one by it passes by what a library allows."""
        return self._uploads

    def start(self) -> None:
        """Recovers the tasks that were loaded and starts the work; `with engine:` calls it.

        Raises:
            EngineClosed: The engine was closed.
        """
        self.check_open()
        if not self.is_started and not self.invalid():
            # Else it may be the data of a task file that does not load.
            try:
                takeover.remove_leftovers(Directory(self.settings.uploads), self.tasks())
            except (OSError, InvalidPath) as error:
                _log.warning("what is left over could not be removed: %s", error)
        super().start()

    # -- uploads ----------------------------------------------------------------------------

    def preflight(
        self,
        *,
        content_type: str,
        checksum: str | None,
        file_size: int,
        source_filename: str | None = None,
        album: str | None = None,
    ) -> Preflight:
        """What would become of an upload, before a byte of it is sent; no file is read.

        What is in the library already, or in another task, need not be sent. The answer is of now:
        `begin_upload` may still be refused when another client was first.

        Args:
            content_type: `albumfile`, `album`, `artwork` or `video`.
            checksum: The SHA-1 of the file; where it is None, nothing can be known of it.
            file_size: Bytes of the file.
            source_filename: The client's name of it, if it is known already.
            album: Where it is wanted, relative to the Music Directory: of several places of these
                bytes, one in this album is named, if there is one.

        Raises:
            TypeError: An argument has the wrong type.
            EngineClosed: The engine was closed.
        """
        self.check_open()
        try:
            admission.check(content_type, None)
            check_announcement(file_size, checksum, source_filename, None)
            if checksum is not None:
                known = self._known(content_type, checksum, file_size, album)
                if known is not None:
                    return known
            self._check_allowed(content_type, file_size, source_filename)
        except UploadRefused as error:
            return Preflight(answer=Answer.REFUSED, reason=error.reason, task_id=error.task_id)
        return Preflight(answer=Answer.SEND)

    def _check_allowed(
        self, content_type: str, file_size: int, source_filename: str | None
    ) -> None:
        # A lifecycle of one's own may make a song of what is none yet. What is none gets no target.
        name = source_filename if self._is_documented else None
        admission.check_allowed(self.settings, content_type, file_size, name)

    def _known(
        self, content_type: str, checksum: str, file_size: int, album: str | None
    ) -> Preflight | None:
        """The answer for bytes that the library or a task has."""
        path = None
        for place in places(self._asked, self._music, content_type, checksum, file_size):
            path = path or place
            if album is None or place.rpartition("/")[0] == album:
                path = place
                break
        if path is not None:
            return Preflight(answer=Answer.THERE, path=path)
        task_id = self._duplicates.holder(content_type, checksum)
        if task_id is None:
            return None
        try:
            task = self.get(task_id)
        except (TaskNotFound, InvalidTaskFile):
            raise UploadRefused("the same bytes are about to be uploaded", task_id) from None
        if task.file_size != file_size:
            reason = f"task {task_id} has a file of this checksum, of {task.file_size} bytes"
            raise UploadRefused(reason, task_id)
        if self.lifecycle.role(task.state) is Role.FAILED:
            reason = f"task {task_id} has the same bytes, in {task.state}: retry it or remove it"
            raise UploadRefused(reason, task_id)
        spec = self.lifecycle.state(task.state)
        offset = (task.offset or 0) if spec.takes_chunks else file_size
        return Preflight(answer=Answer.GO_ON, task_id=task_id, offset=offset)

    def begin_upload(
        self,
        *,
        content_type: str,
        file_size: int,
        checksum: str | None = None,
        mime_type: str | None = None,
        source_filename: str | None = None,
        task_id: str | None = None,
        replace: bool = False,
        hold: bool = False,
        **values: Any,
    ) -> MusicTask:
        """Makes a task that waits for the chunks of a file; its `ChunkRequest` asks for the first.

        With the id of a waiting task of the same checksum and size, that one goes on.

        Args:
            content_type: `albumfile`, `album`, `artwork` or `video`.
            file_size: Bytes of the whole file.
            checksum: Its SHA-1, 40 hex digits; None where the client does not know it.
            mime_type: Found out by the preprocessing where it is None, or empty, as a browser
                has it for what it does not know.
            source_filename: The client's name of the file; only its extension is used.
            task_id: 1 to 64 of `A-Z a-z 0-9 -`; a new UUID4 where it is None.
            replace: A finished or failed task of this id, or one that is being removed, gives way:
                it is removed first. That waits for a handler of it that still works.
            hold: What the first state starts waits for `release`.
            values: Other fields of the record, and arguments of `Engine.create`.

        Raises:
            UploadRefused: It says why; nothing was made, and nothing gave way.
            TypeError: An argument has the wrong type.
            TaskNotSaved: The disk refused.
        """
        self.check_open()
        mime_type = None if mime_type == "" else mime_type
        admission.check(content_type, mime_type)
        check_announcement(file_size, checksum, source_filename, task_id)
        content_type = str(content_type)
        is_new = task_id is None
        task_id = self.new_id() if task_id is None else task_id
        gives_way = replace and self._gives_way(task_id)
        if is_new or gives_way or not self.is_known(task_id):
            self._check_allowed(content_type, file_size, source_filename)
        if gives_way:
            with self._duplicates.claim(content_type, checksum, task_id):
                self._remove_ended(task_id)
        with self._duplicates.claim(content_type, checksum, task_id):
            return self._uploads.begin(
                file_size=file_size,
                checksum=checksum,
                source_filename=source_filename,
                task_id=task_id,
                hold=hold,
                content_type=content_type,
                mime_type=mime_type,
                **values,
            )

    def _gives_way(self, task_id: str) -> bool:
        try:
            return self.lifecycle.role(self.get(task_id).state) in _ENDED
        except (TaskNotFound, InvalidTaskFile):
            return False

    def _remove_ended(self, task_id: str) -> None:
        """Removes a task and waits until it is gone, unless it goes on again meanwhile."""
        try:
            with self.hold(task_id) as task:
                role = self.lifecycle.role(task.record.state)
                if role not in _ENDED:
                    return
                if role is not Role.REMOVING:
                    task.send("remove", message="a new upload has its id")
            self.discard(task_id)
        except (TaskNotFound, IllegalTransition):
            return  # gone meanwhile
        except (InvalidPath, OSError) as error:
            raise TaskNotSaved(task_id, targets.disk_reason(error)) from error

    def receive_chunk(self, task_id: str, data: bytes, *, offset: int | None = None) -> MusicTask:
        """Writes the next bytes of an upload; with the last one the checksum decides.

        An empty chunk asks again: it is answered by a `ChunkRequest`.

        Args:
            task_id: The id of the task.
            data: The bytes.
            offset: Where they belong, if the client knows it: a wrong one is refused.

        Raises:
            ChunkRefused: Wrong offset, more bytes than announced, not waiting for a chunk, or
                no room. The upload stands where it stood.
            TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
        """
        return self._uploads.receive(task_id, data, offset=offset)

    # -- integration and imports ------------------------------------------------------------

    def integrate(
        self,
        task_id: str,
        target: str | None = None,
        *,
        then_import: bool = False,
        then_artwork: bool = False,
    ) -> MusicTask:
        """Puts an upload at its place; an uploaded image becomes artwork of what is at `target`.

        Args:
            task_id: A task in `readyforintegration`.
            target: Relative to the Music Directory: the path of the file, album or video. None
                where annotations say it: `artist`, `releaseyear` and `album` of an album,
                `artistname`, `release` and `name` of a video.
            then_import: It is imported into the database, too.
            then_artwork: After that import, artwork is made.

        Raises:
            InvalidPath: The target is not a valid one; nothing has changed.
            IllegalTransition, TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
        """
        self.check_open()
        with self.hold(task_id) as task:
            record = task.record
            if record.content_type == "artwork":
                changes = targets.of_uploaded_artwork(record, target, self._music)
                return task.send("request_artwork_import", changes=changes)
            changes = targets.of_upload(record, target, self._music)
            flags = {"trigger_import": bool(then_import), "include_artwork": bool(then_artwork)}
            return task.send("request_integration", changes={**changes, **flags})

    def check_target(self, task: MusicTask, target: str) -> None:
        """Whether an upload could be put at `target`; not whether something is there already.

        Raises:
            InvalidPath: It could not.
        """
        if task.content_type == "artwork":
            targets.of_uploaded_artwork(task, target, self._music)
        else:
            targets.of_upload(task, target, self._music)

    def import_music(
        self, content_type: str, path: str, *, with_artwork: bool = False
    ) -> MusicTask:
        """Imports what is in the Music Directory into the database.

        Args:
            content_type: `album` or `video`.
            path: The album's directory or the video, relative to the Music Directory.
            with_artwork: Make artwork, too: of the first song that has a picture, of the video's
                frames.

        Raises:
            InvalidPath, MediaError: There is no such album or video, or it cannot be read.
            ExtraMissing: What reads videos is not installed.
            ValueError: Another content type.
            TaskNotSaved: Nothing was made.
        """
        self.check_open()
        if content_type not in ("album", "video"):
            raise ValueError(f"content type {content_type!r} cannot be imported: album, video can")
        return self.create(
            "request_music_import",
            content_type=content_type,
            include_artwork=bool(with_artwork),
            **targets.of_import(content_type, path, self._music),
        )

    def import_artwork(self, *, source: str, target: str) -> MusicTask:
        """Makes the artwork of an album or a video from a file in the Music Directory.

        Args:
            source: A song with a picture in it, or an image; for a video's frames, a video.
            target: The album's directory, or the video.

        Raises:
            InvalidPath: One of them is not there, cannot be read, or is not what it should be.
            ExtraMissing: What reads videos is not installed.
            TaskNotSaved: Nothing was made.
        """
        self.check_open()
        changes = targets.of_artwork(source, target, self._music)
        return self.create("request_artwork_import", content_type="artwork", **changes)

    def import_uploaded_artwork(self, source: str, *, target: str) -> MusicTask:
        """Makes the artwork of an album or a video from an image in the Upload Directory.

        The image is copied into the directory of the new task: whose it is may go meanwhile.

        Args:
            source: The image, relative to the Upload Directory.
            target: The album's directory, or the video.

        Raises:
            InvalidPath: One of them is not there, cannot be read, or is not what it should be.
            TaskNotSaved: The disk refused; nothing is left of it.
        """
        self.check_open()
        uploads = Directory(self.settings.uploads, durable=self.settings.durable)
        changes = targets.of_image(source, target, self._music, uploads)
        data = targets.read_image(source, uploads, self.settings.image_size_bytes)
        task_id = self.new_id()
        name = f"{task_id}/artwork-{sha1(data).hexdigest()}{PurePosixPath(source).suffix.lower()}"
        self.create(
            "request_artwork_import",
            task_id,
            hold=True,
            content_type="artwork",
            upload_path=name,
            **{**changes, "artwork_source_path": name},
        )
        # The task's directory is there only after the task, and its work waits for the data.
        try:
            self.directory(task_id)
            uploads.write(name, data)
        except (InvalidPath, OSError) as error:
            self.discard(task_id)
            raise TaskNotSaved(task_id, targets.disk_reason(error)) from error
        return self.release(task_id)

    def scan(self) -> MusicTask:
        """Compares the Music Directory with the database, and changes neither.

        When the task is finished, its annotations are what was found: `newpaths`, `lostpaths`,
        `movedpaths` and `skippedpaths`.

        Raises:
            TaskNotSaved: Nothing was made.
        """
        self.check_open()
        return self.create("request_scan", content_type="any")

    # -- any task ---------------------------------------------------------------------------

    def retry(self, task_id: str, *, target: str | None = None) -> MusicTask:
        """Does again what failed; an upload with a wrong checksum starts over at byte 0.

        Args:
            task_id: A task in a failed state.
            target: Another place, for an integration that needs one.

        Raises:
            IllegalTransition: The task is in no state from which something can be retried.
            InvalidPath: The target is not a valid one.
            ValueError: A target, but it was no integration that failed.
            UploadRefused: Another task uploads the same bytes by now.
            TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
        """
        self.check_open()
        with self.hold(task_id) as task:
            record = task.record
            edge = task.edge_taken("retry")
            changes: dict[str, Any] = {}
            if target is not None and edge is not None:
                if record.state != "integrationfailed":
                    raise ValueError(f"a target is for a failed integration, not {record.state!r}")
                changes = targets.of_upload(record, target, self._music)
                self._sweep_target(record)
            if edge is None or edge.target != "waitforchunk":
                return task.send("retry", changes=changes)
            with self.claim_bytes(record):
                return task.send("retry")

    def _sweep_target(self, record: MusicTask) -> None:
        """What a failed try left at the former target goes, as it would with the task."""
        try:
            self.clean_up(record.id)
        except OSError as error:
            raise TaskNotSaved(record.id, error.strerror or str(error)) from error

    def claim_bytes(self, task: MusicTask) -> AbstractContextManager[None]:
        """Reserves the bytes of an upload for a task while a block lets it begin again.

        Raises:
            UploadRefused: Another task has use for the same bytes.
        """
        return self._duplicates.claim(task.content_type or "", task.source_checksum, task.id)

    def unowned_data(self, task: MusicTask) -> dict[str, str]:
        """The paths of data that `own_data` would move, by the fields of the record.

        Raises:
            InvalidPath: A path lies in the directory of another task, or cannot be used.
            OSError: The disk refuses.
        """
        return self._flat_data.flat(task)

    def own_data(self, task: MusicTask) -> MusicTask:
        """Moves data that lies in the Upload Directory itself into the task's directory.

        Returns:
            The record with the paths of today; to be saved with the task held.

        Raises:
            InvalidPath: A path lies in the directory of another task, or cannot be used.
            OSError: The disk refuses.
        """
        return cast(MusicTask, self._flat_data(task))
