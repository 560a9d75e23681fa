"""Uploads: who holds which data file, chunks in, and what is left over."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from attrs import evolve

from ..errors import (
    ChunkRefused,
    IllegalTransition,
    InvalidPath,
    InvalidTaskFile,
    MusicTasksError,
    TaskNotSaved,
    UploadRefused,
)
from ..files import Directory, UploadData, remove_tree
from ..statemachine import Task
from .entry import Entry
from .notifications import CHUNK_REQUEST
from .tasks import Tasks
from .upload_names import has_use_for_data, is_named_after_checksum, key_of, overlap

_log = logging.getLogger(__name__)

#: What an archive was unpacked into, or an interrupted try of it.
_UNPACKED = re.compile(r"[a-z]+-[0-9a-f]{40}\.preprocessed")
_TEMPORARY = re.compile(r"\..+\.[0-9]+\.[0-9]+\.tmp")


class Uploads:
    """The data of uploads. A task holds its file's name until the data is deleted."""

    def __init__(self, directory: Directory, tasks: Tasks, *, durable: bool) -> None:
        self._directory = directory
        self._tasks = tasks
        self._durable = durable
        self._lock = threading.Lock()
        #: By the key of the name.
        self._holders: dict[str, str] = {}
        #: The keys that more than one task was loaded with: somebody copied a task file.
        self._shared: set[str] = set()

    def holds(self, record: Task) -> bool:
        """Whether a task in this state still has use for its uploaded data."""
        return record.upload_path is not None and has_use_for_data(record)

    def claim(self, name: str, task_id: str) -> bool:
        """Reserves the name of a data file; False where the task has it already.

        Raises:
            UploadRefused: Another task holds it; or a file of a task that does not load may.
        """
        key = key_of(name)
        with self._lock:
            holder = self._holders.get(key)
            if holder not in (None, task_id):
                reason = f"the same bytes are already in upload, as task {holder}"
                raise UploadRefused(reason, holder)
            if key == name and self._is_named_elsewhere(name, task_id):
                raise UploadRefused(f"{name} is the data of another task")
            if holder is None and self._tasks.invalid and self._directory.status(name):
                raise UploadRefused(
                    f"{name} is there already, perhaps that of a task file that does not load: "
                    "see `musictasks check`"
                )
            self._holders[key] = task_id
            return holder is None

    def check_preprocessed(self, record: Task) -> None:
        """Raises ValueError where a program gave a task preprocessed data that it may not have.

        It is deleted with the task, so it must be nobody else's.
        """
        path = record.preprocessed_path
        if path is None:
            return
        if self._is_of_another(path, record.id):
            raise ValueError(f"{path} is the data of another task @ $.preprocessedpath")
        if self._tasks.invalid and self._directory.status(path):
            raise ValueError(
                f"{path} is perhaps the data of a task file that does not load: see "
                "`musictasks check` @ $.preprocessedpath"
            )

    def _is_of_another(self, path: str, task_id: str) -> bool:
        """Whether it, or a part of it, is what another task holds, names, or will make."""
        holder = self._holders.get(key_of(path), task_id)
        return holder != task_id or self._is_named_elsewhere(path, task_id)

    def _is_named_elsewhere(self, path: str, task_id: str) -> bool:
        return any(overlap(path, named) for named in self._named_elsewhere(task_id))

    def _named_elsewhere(self, task_id: str) -> Iterator[str]:
        """What other tasks name that still have use for it."""
        for record in self._records():
            for named in (record.upload_path, record.preprocessed_path):
                if named and record.id != task_id and has_use_for_data(record):
                    yield named

    def unclaim(self, name: str, task_id: str) -> None:
        with self._lock:
            if self._holders.get(key_of(name)) == task_id:
                del self._holders[key_of(name)]

    def adopt(self, entry: Entry) -> None:
        """Takes note of what a loaded task holds; the offset is what the file really has."""
        with entry.lock:
            record = entry.record
            if record.upload_path is None or not self.holds(record):
                return
            key = key_of(record.upload_path)
            # A person may have written another task's name into this one's file.
            if key == record.upload_path or is_named_after_checksum(record):
                with self._lock:
                    if self._holders.setdefault(key, record.id) != record.id:
                        self._shared.add(key)
            if self._tasks.wants_chunks(record):
                try:
                    self._measure(entry)
                except (OSError, InvalidPath) as error:
                    # It stops nobody else; `resume` tries again.
                    _log.warning("task %s: its upload cannot be looked at: %s", record.id, error)

    def _measure(self, entry: Entry) -> None:
        size = min(self.data(entry).size(), entry.record.file_size or 0)
        entry.record = evolve(entry.record, offset=size)

    def data(self, entry: Entry) -> UploadData:
        if entry.upload is None:
            assert entry.record.upload_path is not None
            entry.upload = UploadData(
                self._directory, entry.record.upload_path, durable=self._durable
            )
        return entry.upload

    def resume(self, entry: Entry) -> None:
        """An upload that was loaded: asks for its next chunk, or ends it if all is there.

        Raises:
            OSError, TaskNotSaved: It could not be ended; it goes on waiting.
        """
        record = entry.record
        if record.upload_path is None or record.offset != record.file_size:
            self._tasks.tell(CHUNK_REQUEST, record)
        else:
            self.data(entry).make_durable()
            self._complete(entry, record.offset or 0)

    def receive(self, entry: Entry, data: bytes, offset: int | None) -> Task:
        """See `Engine.receive_chunk`; the caller holds the entry's lock."""
        record = entry.record
        if not self._tasks.wants_chunks(record) or record.upload_path is None:
            raise ChunkRefused(record.id, f"it is in state {record.state!r}, not waiting for one")
        at, total = record.offset or 0, record.file_size or 0
        if offset is not None and offset != at:
            raise ChunkRefused(record.id, f"it begins at byte {offset}", at)
        if not data:
            self._tasks.tell(CHUNK_REQUEST, record)
            return record
        if at + len(data) > total:
            reason = f"{at} + {len(data)} bytes are more than the announced {total}"
            raise ChunkRefused(record.id, reason, at)
        try:
            self.claim(record.upload_path, record.id)
        except UploadRefused as error:
            raise ChunkRefused(record.id, error.reason, at) from error
        size = at + len(data)
        self._write(entry, data, at, last=size == total)
        try:
            if size == total:
                return self._complete(entry, size)
            record = self._tasks.fire(
                entry, "receive_chunk", changes={"offset": size}, payload={"size": size}
            )
        except IllegalTransition as error:
            raise ChunkRefused(record.id, f"it is in state {entry.record.state!r}") from error
        except (TaskNotSaved, InvalidTaskFile):
            self._cut(entry, at)
            raise
        except OSError as error:
            self._cut(entry, at)
            reason = f"what is there could not be read: {error.strerror or error}"
            raise ChunkRefused(record.id, reason, at) from error
        self._tasks.tell(CHUNK_REQUEST, record)
        return record

    def _write(self, entry: Entry, data: bytes, at: int, *, last: bool) -> None:
        try:
            self.data(entry).append(data, at, last=last)
        except OSError as error:
            self._measure(entry)
            offset = entry.record.offset
            if offset != at:
                self._tasks.tell(CHUNK_REQUEST, entry.record)
            raise ChunkRefused(
                entry.record.id, f"it could not be written: {error.strerror or error}", offset
            ) from error

    def _cut(self, entry: Entry, at: int) -> None:
        try:
            self.data(entry).cut(at)
        except OSError as error:
            _log.warning("task %s: %s; the next chunk cuts its data", entry.record.id, error)

    def _complete(self, entry: Entry, size: int) -> Task:
        sha1 = self.data(entry).hexdigest()
        announced = entry.record.source_checksum or ""
        if sha1 == announced.lower():
            return self._tasks.fire(
                entry,
                "complete_upload",
                changes={"offset": size},
                payload={"size": size, "sha1": sha1},
            )
        message = f"the uploaded data has the SHA-1 {sha1}, not {announced}: upload it again"
        return self._tasks.fire(entry, "fail", changes={"offset": size}, message=message)

    @contextmanager
    def starting_over(self, entry: Entry) -> Iterator[None]:
        """Around the event by which an upload begins again at byte 0.

        Before it the name is claimed and old data dropped; if it raises, the name is given back.

        Raises:
            UploadRefused: Another task holds the name.
            TaskNotSaved: The old data cannot be removed.
        """
        record = entry.record
        if record.upload_path is None:
            yield
            return
        claimed = self.claim(record.upload_path, record.id)
        try:
            try:
                self.data(entry).discard()
            except OSError as error:
                raise TaskNotSaved(record.id, str(error)) from error
            yield
        except MusicTasksError:
            if claimed:
                self.unclaim(record.upload_path, record.id)
            raise

    def drop(self, entry: Entry) -> None:
        """Deletes the data of a task and gives its name free; OSError if it cannot be.

        Of its own are the upload that was named after its checksum, if no other task holds that
        name, and the preprocessed data. Nothing goes that another task holds or names.
        """
        record = entry.record
        path = record.preprocessed_path
        if record.upload_path is not None and self._is_its_own_upload(record):
            self._drop_upload(entry, record.upload_path)
        if path is not None and not self._is_of_another(path, record.id):
            remove_tree(self._directory, path)
        if record.upload_path is not None:
            self._hand_on(record.upload_path, record.id)

    def _is_its_own_upload(self, record: Task) -> bool:
        # Nobody's is its own, too: a task that was loaded on its way out holds no name.
        holder = self._holders.get(key_of(record.upload_path or ""), record.id)
        return holder == record.id and is_named_after_checksum(record)

    def _drop_upload(self, entry: Entry, upload_path: str) -> None:
        key = key_of(upload_path)
        others = [name for name in self._named_elsewhere(entry.record.id) if name.startswith(key)]

        def is_free(name: str) -> bool:
            return not any(overlap(name, other) for other in others)

        if is_free(upload_path):
            self.data(entry).discard()
        # Also what a handler made of it whose outcome came too late.
        self._directory.remove_where("", lambda name: key_of(name) == key and is_free(name))
        if is_free(f"{key}.preprocessed"):
            remove_tree(self._directory, f"{key}.preprocessed")

    def _hand_on(self, name: str, task_id: str) -> None:
        """Gives a name free; a task whose file was a copy of this one's has it from now on."""
        self.unclaim(name, task_id)
        key = key_of(name)
        if key not in self._shared:
            return
        for record in self._records():
            path = record.upload_path
            if path is not None and key_of(path) == key and self.holds(record):
                with self._lock:
                    self._holders.setdefault(key, record.id)

    def activity(self, entry: Entry) -> float:
        """When something last happened to a task: its file or its data changed, unix seconds."""
        identity = self._tasks.store.identity(entry.record.id)
        times = [None if identity is None else identity.mtime_ns / 1e9]
        if entry.record.upload_path is not None:
            status = self._directory.status(entry.record.upload_path)
            times.append(None if status is None else status.st_mtime)
        known = [time for time in times if time is not None]
        return max(known, default=0.0)

    def _records(self) -> list[Task]:
        return [entry.record for entry in list(self._tasks.entries.values())]

    def clean(self) -> None:
        """Removes our leftover temporaries, and data that belongs to no task.

        None of the data as long as a task file does not load: it may be that task's.
        """
        self._directory.remove_where("", lambda name: bool(_TEMPORARY.fullmatch(name)))
        if self._tasks.invalid:
            return
        for name in orphaned(self._directory, self._records):
            _log.info("upload data that belongs to no task is removed: %s", name)
            remove_tree(self._directory, name)


def orphaned(uploads: Directory, records: Callable[[], Iterable[Task]]) -> list[str]:
    """The data in the uploads directory that no record names: files, and unpacked archives.

    Hidden files are left out, and directories of others.
    """
    # Invariant: names before records, so that data of a task made meanwhile is not among them.
    names = [name for name in uploads.names() if not name.startswith(".")]
    owned = {
        path.partition("/")[0]
        for task in records()
        for path in (task.upload_path, task.preprocessed_path)
        if path is not None
    }
    return [name for name in names if name not in owned and _is_data(uploads, name)]


def _is_data(uploads: Directory, name: str) -> bool:
    try:
        unpacked = bool(_UNPACKED.fullmatch(name)) and uploads.is_directory(name)
        return unpacked or uploads.is_file(name)
    except InvalidPath:  # a name that we never give
        return False


def measured(record: Task, uploads: Directory) -> Task:
    """The record of an upload that goes on, with the offset that its data has.

    Chunks are not noted in the task file: the size of the data file is the offset.
    """
    if record.state != "waitforchunk" or record.upload_path is None:
        return record
    try:
        status = uploads.status(record.upload_path)
    except (OSError, InvalidPath):
        status = None
    size = 0 if status is None else status.st_size
    return evolve(record, offset=min(size, record.file_size or 0))
