"""Uploads: chunks go into the task's directory; the size of the file there is the offset."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from attrs import define, evolve, field

from ..engine import CHUNK_REQUEST, Engine, EngineSettings, HeldTask
from ..errors import (
    ChunkRefused,
    EngineClosed,
    IllegalTransition,
    InvalidPath,
    InvalidTaskFile,
    TaskExists,
    TaskInvalid,
    TaskNotFound,
    TaskNotSaved,
    UploadRefused,
)
from ..files import Counted, Directory, UploadData, counted, counting
from ..statemachine import Lifecycle, Role, UploadTask
from .admission import check_announcement
from .naming import upload_name
from .way import Way
from .whole import WholeChunk

_log = logging.getLogger(__name__)

#: What looks at the data at a path.
Count = Callable[[str], Counted]


@define(eq=False)
class Uploads:
    """Receives the files of an engine's tasks; made once for each engine.

    The record class of the lifecycle derives from `UploadTask`; one of its states takes chunks.
    From it, edges with the sender `upload` lead back to it (internal, not stored: more is missing),
    on (all is there), and away (`fail`: the checksum is wrong).

    Args:
        engine: The engine of the tasks.
        name: What the file of a task is called in the task's directory. Where no checksum was
            announced, it is asked again when the checksum is known.
        max_size_bytes: A larger upload is refused.

    Raises:
        LifecycleError: The lifecycle of the engine has no such state, or not these edges.
    """

    _engine: Engine[Any]
    _name: Callable[[Any], str] = field(default=upload_name, kw_only=True, alias="name")
    _max_size_bytes: int | None = field(default=None, kw_only=True, alias="max_size_bytes")
    _way: Way = field(init=False)
    _directory: Directory = field(init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    #: The data under way by task, with the number of the entry that it belongs to.
    _under_way: WeakKeyDictionary[Any, tuple[int, UploadData]] = field(
        factory=WeakKeyDictionary, init=False
    )

    #: The chunk of a task that is coming in piece by piece, and counts only as a whole.
    _whole: WeakKeyDictionary[Any, WholeChunk] = field(factory=WeakKeyDictionary, init=False)
    #: The keys of the tasks whose data was looked at when they were loaded, until they go on.
    _looked_at: set[object] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        lifecycle = self._engine.lifecycle
        self._way = Way.of(lifecycle)
        settings = self._engine.settings
        self._directory = Directory(settings.uploads, durable=settings.durability == "fsync")
        self._engine.on_resume(self._way.state, self._resume)
        self._measure_all()

    # -- what clients do ----------------------------------------------------------------------

    def begin(
        self,
        *,
        file_size: int,
        checksum: str | None = None,
        source_filename: str | None = None,
        task_id: str | None = None,
        annotations: Mapping[str, Any] | None = None,
        payload: Mapping[str, Any] | None = None,
        message: str | None = None,
        hold: bool = False,
        **values: Any,
    ) -> Any:
        """Makes a task that waits for the chunks of a file; its `ChunkRequest` asks for the first.

        With the id of a waiting task of the same checksum and size, that one goes on.

        Args:
            file_size: Bytes of the whole file.
            checksum: Its SHA-1, 40 hex digits; None where the client does not know it.
            source_filename: The client's name of the file; only its extension is used.
            task_id: 1 to 64 of `A-Z a-z 0-9 -`; a new UUID4 where it is None.
            annotations: What is noted about it.
            payload: What the guards may ask besides the record.
            message: Kept in the history, and told as an `InternalError`.
            hold: What the first state starts waits for `Engine.release`.
            values: Other fields of the record, by their Python names.

        Raises:
            UploadRefused: It says why; nothing was made.
            TypeError: An argument has the wrong type.
            IllegalTransition: The guards of the lifecycle refuse it.
            TaskNotSaved: The disk refused.
        """
        check_announcement(file_size, checksum, source_filename, task_id, self._max_size_bytes)
        task_id = self._engine.new_id() if task_id is None else task_id
        announced = {
            "file_size": file_size,
            "offset": 0,
            "source_filename": source_filename,
            "source_checksum": checksum,
            **values,
        }
        try:
            draft = self._engine.draft(task_id, **announced)
            announced["upload_path"] = f"{task_id}/{self._name(draft)}"
            return self._engine.create(
                self._way.request,
                task_id,
                annotations=annotations,
                payload=payload,
                message=message,
                hold=hold,
                **announced,
            )
        except TaskExists:
            return self._go_on(task_id, checksum, file_size)
        except TaskInvalid as error:
            raise UploadRefused(error.reason) from error

    def _go_on(self, task_id: str, checksum: str | None, file_size: int) -> Any:
        """The waiting task of this id, if it is the same upload; it is asked for its next chunk."""
        try:
            with self._engine.hold(task_id) as task:
                record = task.record
                same = (record.source_checksum or "").lower() == (checksum or "").lower()
                if record.state == self._way.state and same and record.file_size == file_size:
                    task.tell(CHUNK_REQUEST)
                    return record
        except InvalidTaskFile as error:
            reason = f"the id {task_id} is that of a file that does not load"
            raise UploadRefused(reason, task_id) from error
        except TaskNotFound:
            pass  # removed just now; the client's next try will find it gone
        raise UploadRefused(f"the id {task_id} is known already, as another upload", task_id)

    def receive(
        self, task_id: str, data: bytes | Sequence[bytes], *, offset: int | None = None
    ) -> Any:
        """Writes the next bytes of an upload; with the last one the checksum decides.

        An empty chunk asks again: it is answered by a `ChunkRequest`.

        Args:
            task_id: The id of the task.
            data: The bytes; or several pieces of them, one after the other.
            offset: Where they belong, if the client knows it: a wrong one is refused.

        Raises:
            ChunkRefused: Wrong offset, more bytes than announced, not waiting for a chunk, or
                no room. The upload stands where it stood.
            TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
        """
        pieces = _pieces(data)
        with self._engine.hold(task_id) as task:
            return self._receive(task, pieces, offset)

    def _receive(self, task: HeldTask, pieces: list[bytes], offset: int | None) -> Any:
        count = sum(map(len, pieces))
        at = self._check(task, count, offset)
        if not count:
            task.tell(CHUNK_REQUEST)
            return task.record
        self._end_whole(task)
        size = at + count
        self._write(task, pieces, at, last=size == task.record.file_size)
        return self._advance(task, at, size)

    def _check(self, task: HeldTask, count: int, offset: int | None) -> int:
        """Where the upload stands, if so many bytes may come there now."""
        record = task.record
        if record.state != self._way.state:
            raise ChunkRefused(record.id, f"it is in state {record.state!r}, not waiting for one")
        if not _is_own(record):
            reason = "it was not begun as an upload, or its data is elsewhere: remove it"
            raise ChunkRefused(record.id, reason)
        at, total = record.offset or 0, record.file_size or 0
        if offset is not None and offset != at:
            raise ChunkRefused(record.id, f"it begins at byte {offset}", at)
        if at + count > total:
            reason = f"{at} + {count} bytes are more than the announced {total}"
            raise ChunkRefused(record.id, reason, at)
        return at

    def _advance(self, task: HeldTask, at: int, size: int) -> Any:
        """The bytes from `at` to `size` are in the file: the upload goes on, or is complete."""
        record = task.record
        task.note_activity(self._engine.now())
        try:
            if size == record.file_size:
                return self._complete(task, size)
            record = task.send(self._way.chunk, changes={"offset": size}, payload={"size": size})
        except IllegalTransition as error:
            raise ChunkRefused(record.id, f"it is in state {task.record.state!r}") from error
        except (TaskNotSaved, InvalidTaskFile):
            self._cut(task, at)
            raise
        except OSError as error:
            self._cut(task, at)
            reason = f"what is there could not be read: {error.strerror or error}"
            raise ChunkRefused(record.id, reason, at) from error
        task.tell(CHUNK_REQUEST)
        return record

    # -- chunks that count as a whole, or not at all -------------------------------------------

    def whole_chunk(self, task_id: str, *, offset: int | None = None) -> WholeChunk:
        """Begins a chunk that comes in piece by piece and counts only once it is accepted.

        For clients that send a checksum with it: no half of it ever counts, also after a kill.

        Args:
            task_id: The id of the task.
            offset: Where it belongs, if the client knows it: a wrong one is refused.

        Raises:
            ChunkRefused: Wrong offset, not waiting for a chunk, or no room.
            TaskNotFound, InvalidTaskFile: Nothing has changed.
        """
        with self._engine.hold(task_id) as task:
            at = self._check(task, 0, offset)
            self._end_whole(task)
            try:
                self._data(task).hold_back(at)
            except (OSError, InvalidPath) as error:
                raise self._not_written(task, at, error) from error
            chunk = WholeChunk(self, task_id, at)
            self._whole[task.key] = chunk
            return chunk

    def write_piece(self, chunk: WholeChunk, data: bytes | Sequence[bytes]) -> int:
        """Writes the next bytes of a chunk that counts as a whole, and says how many they are.

        See `WholeChunk.write`.
        """
        pieces = _pieces(data)
        count = sum(map(len, pieces))
        with self._engine.hold(chunk.task_id) as task:
            self._check_whole(task, chunk)
            self._check(task, chunk.size + count, chunk.offset)
            try:
                self._data(task).append(pieces, chunk.offset + chunk.size)
            except (OSError, InvalidPath) as error:
                self._end_whole(task)
                raise self._not_written(task, chunk.offset, error) from error
            task.note_activity(self._engine.now())
        return count

    def accept(self, chunk: WholeChunk) -> Any:
        """Lets a chunk count; see `WholeChunk.accept`."""
        with self._engine.hold(chunk.task_id) as task:
            self._check_whole(task, chunk)
            size = self._check(task, chunk.size, chunk.offset) + chunk.size
            try:
                self._data(task).accept(last=size == task.record.file_size)
            except (OSError, InvalidPath) as error:
                self._end_whole(task)
                raise self._not_written(task, chunk.offset, error) from error
            del self._whole[task.key]
            return self._advance(task, chunk.offset, size) if chunk.size else task.record

    def take_back(self, chunk: WholeChunk) -> None:
        """Drops a chunk; see `WholeChunk.take_back`."""
        try:
            with self._engine.hold(chunk.task_id) as task:
                if self._whole.get(task.key) is chunk:
                    self._end_whole(task)
        except (EngineClosed, InvalidTaskFile, TaskNotFound):
            pass  # its data goes with the task, or the next start drops it

    def _check_whole(self, task: HeldTask, chunk: WholeChunk) -> None:
        if self._whole.get(task.key) is not chunk:
            raise ChunkRefused(chunk.task_id, "another chunk has come", task.record.offset)

    def _end_whole(self, task: HeldTask) -> None:
        """Drops the chunk that is coming in, if one is: what comes now takes its place."""
        if self._whole.pop(task.key, None) is None:
            return
        try:
            self._data(task).take_back()
        except (OSError, InvalidPath) as error:
            _log.warning("task %s: %s; the next chunk cuts its data", task.record.id, error)

    def _not_written(self, task: HeldTask, at: int, error: OSError | InvalidPath) -> ChunkRefused:
        """What is told of a chunk that the disk refused; the upload stands where its data does."""
        self._measure_quietly(task)
        if (task.record.offset or 0) > at:
            task.amend(offset=at)  # what could not be taken back, the next chunk cuts
        offset = task.record.offset
        if offset != at:
            task.tell(CHUNK_REQUEST)
        reason = error.reason if isinstance(error, InvalidPath) else error.strerror or error
        return ChunkRefused(task.record.id, f"it could not be written: {reason}", offset)

    # -- what is asked about an upload ---------------------------------------------------------

    @property
    def max_size_bytes(self) -> int | None:
        """The most bytes of an upload; None: any number."""
        return self._max_size_bytes

    @property
    def state(self) -> str:
        """The state in which an upload waits for its next chunk."""
        return self._way.state

    def has_failed(self, record: UploadTask) -> bool:
        """Whether its bytes are not those that were announced: they are gone, nothing is due."""
        failed = self._engine.lifecycle.role(record.state) is Role.FAILED
        return failed and record.came_from == self._way.state

    def expires_at(self, task_id: str) -> float | None:
        """When an upload goes if no chunk comes, in unix seconds; None: it waits for none.

        Raises:
            TaskNotFound, InvalidTaskFile: There is no such task.
        """
        with self._engine.hold(task_id) as task:
            if task.record.state != self._way.state:
                return None
            return task.last_activity + self._engine.settings.max_age_s

    # -- the file -----------------------------------------------------------------------------

    def _data(self, task: HeldTask) -> UploadData:
        """The data of the upload, with the SHA-1 of what has been written so far."""
        with self._lock:
            entry, data = self._under_way.get(task.key, (None, None))
            if data is None or entry != task.entries or data.path != task.record.upload_path:
                data = UploadData(
                    self._directory,
                    task.record.upload_path,
                    durable=self._directory.durable,
                    unannounced=task.record.source_checksum is None,
                )
                self._under_way[task.key] = (task.entries, data)
            return data

    def _write(self, task: HeldTask, pieces: list[bytes], at: int, *, last: bool) -> None:
        try:
            self._data(task).append(pieces, at, last=last)
        except (OSError, InvalidPath) as error:
            raise self._not_written(task, at, error) from error

    def _cut(self, task: HeldTask, at: int) -> None:
        try:
            self._data(task).cut(at)
        except (OSError, InvalidPath) as error:
            _log.warning("task %s: %s; the next chunk cuts its data", task.record.id, error)

    def _complete(self, task: HeldTask, size: int) -> Any:
        data, record = self._data(task), task.record
        sha1 = data.hexdigest(size)
        announced = record.source_checksum
        changes: dict[str, Any] = {"offset": size}
        if announced is not None and sha1 != announced.lower():
            message = f"the uploaded data has the SHA-1 {sha1}, not {announced}: upload it again"
            return task.send(self._way.fail, changes=changes, message=message)
        if announced is None:
            # Invariant: the file has both names until the record names the new one for good, so
            # that whatever record a crash leaves finds the file.
            path = data.link(self._name(evolve(record, source_checksum=sha1)))
            changes |= {"source_checksum": sha1, "upload_path": path}
        after = task.send(self._way.complete, changes=changes, payload={"size": size, "sha1": sha1})
        if after.upload_path != record.upload_path:
            self._drop_name(record.upload_path)
        return after

    def _drop_name(self, path: str) -> None:
        try:
            self._directory.remove(path)
        except (OSError, InvalidPath) as error:
            _log.warning("%s stays until its task is removed: %s", path, error)

    # -- after a start ------------------------------------------------------------------------

    def _resume(self, task: HeldTask) -> None:
        """An upload that was loaded: asks for its next chunk, or ends it if all is there."""
        looked_at = task.key in self._looked_at
        self._looked_at.discard(task.key)
        if looked_at and not _is_whole(task.record):
            task.tell(CHUNK_REQUEST)
            return
        if self._measure(task).held_back:
            self._data(task).settle()
        if not _is_whole(record := task.record):
            task.tell(CHUNK_REQUEST)
        else:
            self._data(task).make_durable()
            self._complete(task, record.offset or 0)

    def _measure_all(self) -> None:
        """Looks at the data of the uploads that were loaded; `_resume` need not look again."""
        try:
            with counting(self._directory) as count:
                for task in self._engine.held_in(self._way.state):
                    found = self._measure_quietly(task, count)
                    if found is not None and not found.held_back:
                        self._looked_at.add(task.key)
        except OSError as error:
            _log.warning("uploads cannot be looked at yet: %s", error)

    def _measure(self, task: HeldTask, count: Count | None = None) -> Counted:
        record = task.record
        if not _is_own(record):
            return Counted()
        path = record.upload_path
        found = counted(self._directory, path) if count is None else count(path)
        size = min(found.size_bytes, record.file_size or 0)
        if size != record.offset:
            task.amend(offset=size)
        if found.written_at is not None:
            task.note_activity(found.written_at)
        return found

    def _measure_quietly(self, task: HeldTask, count: Count | None = None) -> Counted | None:
        """As `_measure`; None, and a line in the log, where the data cannot be looked at."""
        try:
            return self._measure(task, count)
        except (OSError, InvalidPath) as error:
            _log.warning("task %s: its upload cannot be looked at: %s", task.record.id, error)
            return None


def _pieces(data: Any) -> list[bytes]:
    """The bytes of a chunk, in one piece or several."""
    pieces: list[Any] = list(data) if isinstance(data, list | tuple) else [data]
    for piece in pieces:
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise TypeError(f"a chunk is bytes, not {type(piece).__name__}")
    return list(map(bytes, pieces))


def _is_own(record: UploadTask) -> bool:
    """Whether its data lies in its own directory."""
    return record.upload_path is not None and record.upload_path.startswith(f"{record.id}/")


def _is_whole(record: UploadTask) -> bool:
    """Whether all of its data is there, in its own directory."""
    return _is_own(record) and record.offset == record.file_size


def measured(task: UploadTask, settings: EngineSettings, lifecycle: Lifecycle) -> UploadTask:
    """The record of an upload that goes on, with the offset that its data has.

    For programs that read task files without an engine: chunks are not saved, the size of the
    data is the offset.
    """
    if not lifecycle.state(task.state).takes_chunks or not _is_own(task):
        return task
    try:
        size = counted(Directory(settings.uploads), task.upload_path or "").size_bytes
    except (OSError, InvalidPath):
        size = 0
    return evolve(task, offset=min(size, task.file_size or 0))
