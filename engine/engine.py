"""The engine: events in, work done, notifications out."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Any

from attrs import define, evolve, field

from ..errors import (
    EngineClosed,
    IllegalTransition,
    InvalidTaskFile,
    StateIllegal,
    TaskNotFound,
    UploadRefused,
)
from ..library import MusicDirectory
from ..persistence import TASK_ID, DirectoryOwner
from ..statemachine import JSONObject, Lifecycle, Task
from . import admission, dictionaries, targets
from .notifications import NOTIFICATIONS, Callback, EntryCallback, Notifier, Unsubscribe
from .runner import Runner
from .settings import Settings
from .tasks import Tasks
from .uploads import Uploads

#: What the engine fires itself; `send` refuses it.
_OWN_EVENTS = frozenset({"begin", "succeed", "fail", "reject", "recover", "forget"})


def _random_id() -> str:
    return str(uuid.uuid4())


@define(eq=False)
class Engine:
    """Runs tasks. Made by `open_engine`; works inside `with engine:`.

    Before that its calls work, too, but whatever they start waits in the queue. Every method may
    be called from any thread, also from a callback.
    """

    settings: Settings
    lifecycle: Lifecycle
    _music: MusicDirectory
    _tasks: Tasks
    _uploads: Uploads
    _runner: Runner
    _notifier: Notifier
    _owner: DirectoryOwner
    _new_id: Callable[[], str] = field(default=_random_id)
    _started: bool = field(default=False, init=False)
    _closed: bool = field(default=False, init=False)

    # -- life -------------------------------------------------------------------------------

    def start(self) -> None:
        """Recovers the tasks that were loaded and starts the work; `with engine:` calls it.

        Raises:
            EngineClosed: The engine was closed.
        """
        self._open()
        if not self._started:
            try:
                self._runner.start()
            except BaseException:
                self.close()
                raise
            self._started = True

    def close(self) -> None:
        """Stops cleanly and gives the directory free; `with engine:` calls it at its end.

        Handlers are asked to stop and get `stop_timeout_s` seconds; what did not end is queued
        again at the next start, and the directory stays taken until it has ended. Notifications
        in line are delivered.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._started:
                self._runner.stop()
            self._tasks.close()
            self._notifier.close(self.settings.stop_timeout_s)
        finally:
            # Invariant: as long as a handler works, nobody else begins its task.
            self._runner.when_idle(self._owner.release)

    def __enter__(self) -> Engine:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> None:
        if self._closed:
            raise EngineClosed

    # -- listening --------------------------------------------------------------------------

    def subscribe(self, callback: Callback) -> Unsubscribe:
        """Calls `callback(notification, status)` for each notification, in order.

        Each callback has a thread of its own: a slow one delays nobody else, and one that raises
        is logged. Returns a function that ends it.
        """
        self._open()
        return self._notifier.subscribe(callback)

    def on_enter(self, state: str, callback: EntryCallback) -> Unsubscribe:
        """Calls `callback(task)` after a task has entered `state` and the notification is out.

        At most once: after a crash it is not called again. What must not be lost is a stage.
        `notexisting` is not notified, but can be waited for like this, too: the task is gone.

        Raises:
            LifecycleError: There is no such state.
        """
        self._open()
        self.lifecycle.require(state)
        return self._notifier.on_enter(state, callback)

    def on_refresh(self, callback: Callable[[], object]) -> Unsubscribe:
        """Calls `callback()` after each `importcomplete`: clients shall update their caches."""
        self._open()
        return self._notifier.on_refresh(callback)

    # -- reading ----------------------------------------------------------------------------

    def get(self, task_id: str) -> Task:
        """The record of a task as it is now.

        Raises:
            TaskNotFound: There is no such task.
            InvalidTaskFile: Its file does not load.
        """
        return self._tasks.find(task_id).record

    def tasks(self) -> list[Task]:
        """The records of all tasks, the oldest first."""
        return self._tasks.records()

    def invalid(self) -> list[InvalidTaskFile]:
        """The task files that do not load, with the reasons; they are left as they are."""
        return list(self._tasks.invalid.values())

    def wait(
        self, task_id: str, states: Collection[str] | str, timeout: float | None = None
    ) -> Task:
        """Waits until a task enters one of `states`, and returns its record of that moment.

        Also if that has happened already, since the task was made, loaded or last retried; the
        last 1,000 removed tasks can still be asked for.

        Args:
            task_id: The id of the task.
            states: Names of states.
            timeout: Seconds; None waits for ever.

        Raises:
            TaskFailed: It entered a failed state, `invalidcontent`, or `remove` instead.
            TimeoutError: None of it happened in time.
            TaskNotFound: There is no such task.
            EngineClosed: The engine was closed meanwhile.
        """
        self._open()
        states = {states} if isinstance(states, str) else states
        return self._tasks.wait(task_id, frozenset(map(str, states)), timeout)

    # -- uploads ----------------------------------------------------------------------------

    def begin_upload(
        self,
        *,
        content_type: str,
        file_size: int,
        checksum: str,
        mime_type: str | None = None,
        source_filename: str | None = None,
        task_id: str | None = None,
    ) -> Task:
        """Makes a task that waits for the chunks of a file; its `ChunkRequest` asks for the first.

        With the id of a waiting task of the same checksum and size, that one goes on.

        Args:
            content_type: `albumfile`, `album`, `artwork` or `video`.
            file_size: Bytes of the whole file.
            checksum: Its SHA-1, 40 hex digits.
            mime_type: Found out by the preprocessing where it is None, or empty, as a browser
                has it for what it does not know.
            source_filename: The client's name of the file; only its extension is used.
            task_id: 1 to 64 of `A-Z a-z 0-9 -`; a new UUID4 where it is None.

        Raises:
            UploadRefused: It says why; nothing was made.
            TypeError: An argument has the wrong type.
            TaskNotSaved: The disk refused.
        """
        self._open()
        mime_type = None if mime_type == "" else mime_type
        admission.check(content_type, file_size, checksum, mime_type, source_filename, task_id)
        content_type = str(content_type)
        if task_id is not None and self._tasks.known(task_id):
            return self._go_on(task_id, checksum, file_size)
        record = Task(
            id=task_id or self._new_id(),
            content_type=content_type,
            mime_type=mime_type,
            file_size=file_size,
            source_filename=source_filename,
            source_checksum=checksum,
        )
        record = admission.announced(record, self.settings)
        try:
            return self._create(record, "request_upload")
        except UploadRefused:
            # Another thread may have begun it with the same id just now.
            if task_id is None or task_id not in self._tasks.entries:
                raise
        return self._go_on(task_id, checksum, file_size)

    def _create(self, record: Task, event: str, **how: Any) -> Task:
        """Makes a task that holds its data, if it has any."""
        if record.upload_path is None:
            return self._tasks.create(record, event, **how)
        claimed = self._uploads.claim(record.upload_path, record.id)
        try:
            return self._tasks.create(record, event, **how)
        except BaseException:
            if claimed:
                self._uploads.unclaim(record.upload_path, record.id)
            raise

    def _go_on(self, task_id: str, checksum: str, file_size: int) -> Task:
        known = self._tasks.entries.get(task_id)
        if known is None:
            raise UploadRefused(f"the id {task_id} is that of a file that does not load", task_id)
        with known.lock:
            record = known.record
            same = (record.source_checksum or "").lower() == checksum.lower()
            if self._tasks.wants_chunks(record) and same and record.file_size == file_size:
                return self._uploads.receive(known, b"", None)
        raise UploadRefused(f"the id {task_id} is known already, as another upload", task_id)

    def receive_chunk(self, task_id: str, data: bytes, *, offset: int | None = None) -> Task:
        """Takes the next bytes of an upload; with the last one the checksum decides.

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
        self._open()
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"a chunk is bytes, not {type(data).__name__}")
        entry = self._tasks.find(task_id)
        with entry.lock:
            return self._uploads.receive(entry, bytes(data), offset)

    def annotate(self, task_id: str, annotations: Mapping[str, Any]) -> Task:
        """Merges annotations into those of a task, saves and notifies them.

        Raises:
            TypeError, ValueError: Nothing that JSON can hold, or more than 1 MiB; it says where.
            TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
            IllegalTransition: The task is being removed.
        """
        self._open()
        if not isinstance(annotations, Mapping):
            raise TypeError(f"annotations are a mapping, not {type(annotations).__name__}")
        entry = self._tasks.find(task_id)
        dictionaries.check_annotations(annotations)
        with entry.lock:
            return self._tasks.annotate(entry, annotations)

    # -- integration and imports ------------------------------------------------------------

    def integrate(
        self,
        task_id: str,
        target: str | None = None,
        *,
        then_import: bool = False,
        then_artwork: bool = False,
    ) -> Task:
        """Puts an upload at its place; an uploaded image becomes artwork of what is at `target`.

        Args:
            task_id: A task in `readyforintegration`.
            target: Relative to the Music Directory: the path of the file, album or video. None
                where annotations say it: `artist`, `releaseyear` and `album` of an album,
                `artistname`, `release` and `name` of a video.
            then_import: It is imported into the database, too.
            then_artwork: After that import, artwork is made.

        Raises:
            InvalidPath: The target is none; nothing has changed.
            IllegalTransition, TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
        """
        self._open()
        entry = self._tasks.find(task_id)
        with entry.lock:
            record = entry.record
            if record.content_type == "artwork":
                changes = targets.of_uploaded_artwork(record, target, self._music)
                return self._tasks.fire(entry, "request_artwork_import", changes=changes)
            changes = targets.of_upload(record, target, self._music)
            flags = {"trigger_import": bool(then_import), "include_artwork": bool(then_artwork)}
            return self._tasks.fire(entry, "request_integration", changes={**changes, **flags})

    def import_music(self, content_type: str, path: str, *, with_artwork: bool = False) -> Task:
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
        self._open()
        if content_type not in ("album", "video"):
            raise ValueError(f"content type {content_type!r} cannot be imported: album, video can")
        record = Task(
            id=self._new_id(),
            content_type=content_type,
            include_artwork=bool(with_artwork),
            **targets.of_import(content_type, path, self._music),
        )
        return self._tasks.create(record, "request_music_import")

    def import_artwork(self, *, source: str, target: str) -> Task:
        """Makes the artwork of an album or a video from a file in the Music Directory.

        Args:
            source: A song with a picture in it, or an image; for a video's frames, a video.
            target: The album's directory, or the video.

        Raises:
            InvalidPath: One of them is not there, cannot be read, or is not what it should be.
            ExtraMissing: What reads videos is not installed.
            TaskNotSaved: Nothing was made.
        """
        self._open()
        changes = targets.of_artwork(source, target, self._music)
        record = Task(id=self._new_id(), content_type="artwork", **changes)
        return self._tasks.create(record, "request_artwork_import")

    def scan(self) -> Task:
        """Compares the Music Directory with the database, and changes neither.

        When the task is finished, its annotations are what was found: `newpaths`, `lostpaths`,
        `movedpaths` and `skippedpaths`.

        Raises:
            TaskNotSaved: Nothing was made.
        """
        self._open()
        return self._tasks.create(Task(id=self._new_id(), content_type="any"), "request_scan")

    # -- any task ---------------------------------------------------------------------------

    def retry(self, task_id: str, *, target: str | None = None) -> Task:
        """Does again what failed; an upload with a wrong checksum starts over at byte 0.

        Args:
            task_id: A task in a failed state.
            target: Another place, for an integration that needs one.

        Raises:
            IllegalTransition: The task is in no state from which something can be retried.
            InvalidPath: The target is none.
            ValueError: A target, but it was no integration that failed.
            UploadRefused: Another task uploads the same bytes by now.
            TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
        """
        self._open()
        entry = self._tasks.find(task_id)
        with entry.lock:
            record = entry.record
            edge = self.lifecycle.edge_taken(record, "retry")
            changes: dict[str, Any] = {}
            if target is not None and edge is not None:
                if record.state != "integrationfailed":
                    raise ValueError(f"a target is for a failed integration, not {record.state!r}")
                changes = targets.of_upload(record, target, self._music)
                self._runner.sweep(entry)
            if edge is None or edge.target != "waitforchunk":
                return self._tasks.fire(entry, "retry", changes=changes)
            with self._uploads.starting_over(entry):
                return self._tasks.fire(entry, "retry", changes={"offset": 0})

    def remove(self, task_id: str) -> Task:
        """Removes a task and its data; what is in the library stays. Again: nothing happens.

        Raises:
            TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
        """
        self._open()
        entry = self._tasks.find(task_id)
        with entry.lock:
            return self._tasks.remove(entry)

    def send(
        self,
        task_id: str,
        event: str,
        *,
        changes: Mapping[str, Any] | None = None,
        annotations: Mapping[str, Any] | None = None,
        message: str | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> Task:
        """Sends an event of an integrator's lifecycle to a task.

        Raises:
            IllegalTransition: Not from its state; or it is one that the engine fires itself.
            ValueError: The changes or annotations are nothing that a record can hold.
            TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
        """
        self._open()
        entry = self._tasks.find(task_id)
        with entry.lock:
            record = entry.record
            if event in _OWN_EVENTS or event in {"receive_chunk", "complete_upload"}:
                allowed = [e for e in self.lifecycle.events_from(record.state) if e != event]
                raise IllegalTransition(record.id, record.state, event, allowed)
            if changes:
                entry.file.check(evolve(record, **changes))
            return self._tasks.fire(
                entry,
                event,
                changes=changes or {},
                annotations=annotations or {},
                message=message,
                payload=payload or {},
            )

    # -- task dictionaries, as `musictasks.musicdb` has them --------------------------------

    def make(
        self,
        task: Mapping[str, Any],
        state: str,
        *,
        message: str | None = None,
        held: bool = False,
    ) -> Task:
        """Makes a task of a dictionary with the documented keys.

        Args:
            task: What is known of it; the id is the task's.
            state: Its first state: one that an edge from `new` leads to.
            message: Told as an `InternalError`.
            held: What the state starts waits for `schedule`, `look`, or the next start.

        Raises:
            UploadRefused: It says why; nothing was made.
            IllegalTransition: No edge leads there, or the task was removed.
            TypeError, ValueError: The dictionary is no task; it says where.
            TaskNotSaved: The disk refused.
        """
        self._open()
        values = _dictionary(task)
        task_id = values.copy()["id"]
        if not TASK_ID.fullmatch(task_id):
            raise ValueError(admission.bad_id(task_id))
        if self._tasks.removed(task_id):
            gone = self.lifecycle.gone
            raise StateIllegal(task_id, gone, f"to {state}", (), state, ())
        record = dictionaries.made(values, task_id, self._tasks)
        self._uploads.check_preprocessed(record)
        event = dictionaries.event_to(record, state, self.lifecycle)
        if self._tasks.wants_chunks(evolve(record, state=state)):
            content_type, checksum = record.content_type or "", record.source_checksum or ""
            if record.file_size is None or not admission.is_checksum(checksum):
                raise ValueError(f"an upload ({content_type}) needs a filesize and a SHA-1")
            record = admission.announced(record, self.settings)
        return self._create(record, event, held=held, message=message)

    def save(self, task: Mapping[str, Any]) -> Task:
        """Takes over what a program wrote into the dictionary of a task.

        In the task's present state the other keys are saved, silently; another state is entered.
        What the engine alone writes (times, history, what is known of the upload) stays. A task
        that is not there is made, held.

        Raises:
            IllegalTransition: No edge leads to the dictionary's state, or one that only the
                engine takes. Nothing has changed.
            TypeError, ValueError: The dictionary is no task; nothing has changed.
            TaskNotSaved, InvalidTaskFile, UploadRefused: Nothing has changed.
        """
        self._open()
        values = _dictionary(task)
        given = values.copy()
        try:
            entry = self._tasks.find(given["id"])
        except TaskNotFound:
            return self.make(task, str(given.get("state")), held=True)
        with entry.lock:
            return dictionaries.save(entry, values, self._tasks, self._uploads)

    def move(self, task: Mapping[str, Any], state: str, *, message: str | None = None) -> Task:
        """Saves the dictionary of a task with another state; in that state nothing happens.

        With a message the entry is notified as an `InternalError`. Raises as `save`.
        """
        self._open()
        values = _dictionary(task)
        try:
            entry = self._tasks.find(values.copy()["id"])
        except TaskNotFound:
            return self.make(task, state, message=message, held=True)
        with entry.lock:
            return dictionaries.move(entry, values, state, message, self._tasks, self._uploads)

    def schedule(self, task_id: str) -> Task:
        """Starts what the state of a task starts, if it was saved only; else nothing happens.

        Raises:
            TaskNotFound, InvalidTaskFile: There is no such task.
        """
        self._open()
        entry = self._tasks.find(task_id)
        with entry.lock:
            self._runner.schedule(entry)
            return entry.record

    def look(self) -> None:
        """Looks at the tasks directory now: what was deleted, what is new; starts what was held."""
        self._open()
        self._runner.look_now()

    def discard(self, task_id: str) -> None:
        """Removes a task and its data, and returns when it is gone; also before `start`.

        Raises:
            TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
            OSError, InvalidPath: Before `start` only: its data cannot be removed yet.
            EngineClosed: The engine was closed meanwhile.
        """
        self._open()
        entry = self._tasks.find(task_id)
        with entry.lock:
            self._tasks.remove(entry)
            if not self._started and entry.record.state != self.lifecycle.gone:
                self._runner.remove_now(entry)
        self._tasks.wait_for(entry, {self.lifecycle.gone}, None)

    def has_file(self, task_id: str) -> bool:
        """Whether there is a task file of this id, one that loads or not."""
        return (
            bool(TASK_ID.fullmatch(task_id)) and (self.settings.tasks / f"{task_id}.json").is_file()
        )

    def notify(
        self, notification: str, task: Mapping[str, Any] | None, message: str | None = None
    ) -> None:
        """Sends a notification with what a program says of a task; None: there is none.

        Raises:
            ValueError: There is no such notification, or JSON cannot hold the dictionary.
        """
        self._open()
        if notification not in NOTIFICATIONS:
            names = ", ".join(NOTIFICATIONS)
            raise ValueError(f"there is no notification {notification!r}, but {names}")
        record = None if task is None else JSONObject(task)
        self._notifier.tell(notification, record, message)


def _dictionary(task: Mapping[str, Any]) -> JSONObject:
    """A copy of what a caller gave as a task; TypeError if it is none."""
    if not isinstance(task, Mapping):
        raise TypeError(f"a task is a dictionary, not {type(task).__name__}")
    if not isinstance(task.get("id"), str):
        raise TypeError(f"the id of a task is text, not {task.get('id')!r}")
    return JSONObject(task)
