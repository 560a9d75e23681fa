"""The managers of the five kinds of work, one thin class for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from ..errors import (
    ChunkRefused,
    ExtraMissing,
    IllegalTransition,
    InvalidPath,
    InvalidTaskFile,
    MediaError,
    TaskNotFound,
)
from ..files import Directory
from ..music import relative_to_uploads
from .manager import TaskManager, check_text


class UploadManager(TaskManager):
    """Uploads: a file comes in chunks, each asked for by a `ChunkRequest`."""

    def InitiateUpload(
        self,
        taskid: str,
        mimetype: str,
        contenttype: str,
        filesize: int,
        checksum: str,
        sourcefilename: str,
    ) -> None:
        """Begins an upload; the first `ChunkRequest` follows, or an `InternalError` if refused.

        Raises:
            TypeError: An argument has not the expected type.
            ValueError: The content type is unknown, or the size is under 1.
        """
        self.InitiateProcess(
            taskid, mimetype, contenttype, filesize, checksum, sourcefilename, "waitforchunk"
        )

    def NewChunk(self, taskid: str, rawdata: bytes) -> bool:
        """Takes the next bytes; with the last ones the checksum decides over the upload.

        Returns:
            True if they were taken; False after an `InternalError` that says why not.

        Raises:
            TypeError: An argument has not the expected type.
        """
        return self.new_chunk_at(taskid, rawdata, None)

    def new_chunk_at(self, taskid: str, rawdata: bytes, offset: int | None) -> bool:
        """As `NewChunk`; bytes that are there already are left out without an error.

        Args:
            taskid: The id of the task.
            rawdata: The bytes; none asks for the next `ChunkRequest`.
            offset: Where they belong, if that is known.
        """
        if not isinstance(rawdata, bytes | bytearray | memoryview):
            raise TypeError(f"rawdata is bytes, not {type(rawdata).__name__}")

        def receive() -> None:
            try:
                self._engine.receive_chunk(taskid, rawdata, offset=offset)
            except ChunkRefused:
                if offset is None or (self._engine.get(taskid).offset or 0) <= offset:
                    raise

        return self._do(taskid, receive)

    def AnnotateUpload(self, taskid: str, annotations: Mapping[str, Any]) -> bool:
        """Merges annotations into those of a task, saves and notifies them.

        Returns:
            True; False after an `InternalError` if there is no such task.

        Raises:
            TypeError: An argument has not the expected type.
            ValueError: JSON cannot hold the annotations, or they are more than 1 MiB.
            IllegalTransition: The task is being removed.
        """
        if not isinstance(annotations, Mapping):
            raise TypeError(f"annotations are a dictionary, not {annotations!r}")
        return self._do(taskid, lambda: self._engine.annotate(taskid, annotations))

    def RequestRemoveUpload(self, taskid: str) -> bool:
        """Lets a task and its data be removed, and does not wait for it.

        Returns:
            True; False after an `InternalError` if there is no such task.

        Raises:
            TypeError: The id is not text.
        """
        return self._do(taskid, lambda: self._engine.remove(taskid))

    def _do(self, taskid: str, call: Callable[[], object]) -> bool:
        check_text(taskid=taskid)
        try:
            call()
        except (TaskNotFound, InvalidTaskFile) as error:
            self._report(error)
            return False
        except ChunkRefused as error:
            self._report(error, self._known(taskid))
            return False
        return True


class IntegrationManager(TaskManager):
    """Integration: an uploaded file comes to its place in the Music Directory."""

    def InitiateIntegration(self, taskid: str, targetpath: str) -> str | bool:
        """Begins the integration of an upload; for artwork `targetpath` is the album or video.

        The task's `triggerimport` and `includeartwork` say what follows.

        Returns:
            The id; False if the task is in no state for it.

        Raises:
            TypeError: An argument has not the expected type.
            ValueError: There is no such task (an `InternalError` said so), or the path is not a
                valid target.
        """
        check_text(taskid=taskid, targetpath=targetpath)
        task = self.GetTaskByID(taskid)
        if task["state"] != "readyforintegration":
            return False
        try:
            self._engine.integrate(
                taskid,
                targetpath,
                then_import=task["triggerimport"],
                then_artwork=task["includeartwork"],
            )
        except (InvalidPath, MediaError) as error:
            raise ValueError(str(error)) from error
        except IllegalTransition:
            return False  # it went on meanwhile
        return taskid


class ImportManager(TaskManager):
    """Import: what is in the Music Directory comes into the database."""

    def InitiateImport(self, contenttype: str, contentpath: str) -> str | None:
        """Begins the import of an album's directory or of a video.

        Returns:
            The id of the new task; None for another content type.

        Raises:
            TypeError: An argument has not the expected type.
            ValueError: There is no such content at the path, or what reads videos is not installed.
        """
        check_text(contenttype=contenttype, contentpath=contentpath)
        if contenttype not in {"album", "video"}:
            return None
        try:
            return self._engine.import_music(contenttype, contentpath).id
        except (ExtraMissing, InvalidPath, MediaError) as error:
            raise ValueError(str(error)) from error


class ArtworkManager(TaskManager):
    """Artwork: of an album or a video, made from a file in the Music Directory."""

    def InitiateImport(self, sourcepath: str, targetpath: str) -> str:
        """Begins the making of artwork from a song, an image or a video for an album or video.

        The source is a path in the Music Directory, or that of an image in the Upload Directory:
        absolute, or relative where there is no such file in the Music Directory.

        Returns:
            The id of the new task.

        Raises:
            TypeError: An argument has not the expected type.
            ValueError: The source or the target is not there, or not what it should be, or what
                reads videos is not installed.
        """
        check_text(sourcepath=sourcepath, targetpath=targetpath)
        try:
            uploaded = self._in_uploads(sourcepath)
            if uploaded is not None:
                return self._engine.import_uploaded_artwork(uploaded, target=targetpath).id
            return self._engine.import_artwork(source=sourcepath, target=targetpath).id
        except (ExtraMissing, InvalidPath, MediaError) as error:
            raise ValueError(str(error)) from error

    def _in_uploads(self, sourcepath: str) -> str | None:
        """The path in the Upload Directory; None for one that is, or belongs, elsewhere."""
        settings = self._engine.settings
        if PurePath(sourcepath).is_absolute():
            return relative_to_uploads(settings.uploads, sourcepath)
        try:
            if Directory(settings.music).is_file(sourcepath):
                return None
            return sourcepath if Directory(settings.uploads).is_file(sourcepath) else None
        except OSError:
            return None  # the reading of it as a file of the Music Directory says what is wrong


class FilesystemManager(TaskManager):
    """File system: the Music Directory is compared with the database."""

    def InitiateFilesystemScan(self) -> str:
        """Begins a scan, and returns the id of the new task."""
        return self._engine.scan().id
