"""The base of all managers: tasks as dictionaries, with the methods that MusicDB documents."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, Self

from ..errors import InvalidTaskFile, TaskNotFound, UploadRefused
from ..music import INTERNAL_ERROR, Callback, MusicEngine, as_dictionary
from ..statemachine import ContentType, MusicTask
from . import dictionaries
from .config import Config, Database, settings_of
from .thread import attached, shared

TaskDictionary = dict[str, Any]

#: The documented keys of a task; those that we add are not among them.
_KEYS = (
    "id",
    "state",
    "contenttype",
    "mimetype",
    "annotations",
    "initializationtime",
    "updatetime",
    "filesize",
    "offset",
    "uploadpath",
    "preprocessedpath",
    "sourcefilename",
    "sourcechecksum",
    "videopath",
    "albumpath",
    "albumfilepath",
    "awsourcetype",
    "awsourcepath",
)
_UPLOADS = frozenset(ContentType) - {ContentType.ANY}


class TaskManager:
    """The common interface of all managers; the names, arguments and results are MusicDB's.

    Args:
        config: A `MusicDBConfig`, `Settings`, the path of a `musicdb.ini`, or a configuration
            object of MusicDB's own.
        database: None, a `MusicDatabase`, or a path: the database of the configuration.

    Raises:
        TypeError: The arguments are not of the correct type.
        ValueError: The database is not that of the configuration.
        DirectoryInUse: Another process works on these tasks.

    What needs a task raises `TaskManagementStopped` after `StopTaskManagementThread`, and
    `TaskNotSaved`, with nothing changed, where the disk refuses.
    """

    def __init__(
        self,
        config: Config,
        database: Database = None,
    ) -> None:
        self._shared = shared(settings_of(config, database))

    @classmethod
    def on(cls, engine: MusicEngine) -> Self:
        """A manager of an engine that the caller opened, and closes; ours.

        All managers of the engine share their callbacks. Neither `StartTaskManagementThread` nor
        `StopTaskManagementThread` has to do with them; after `MusicEngine.close` they raise
        `EngineClosed`.

        Raises:
            TypeError: It is not the engine of a music library.
        """
        if not isinstance(engine, MusicEngine):
            raise TypeError(f"an engine is what open_library returns, not {engine!r}")
        manager = cls.__new__(cls)
        manager._shared = attached(engine)
        return manager

    @property
    def _engine(self) -> MusicEngine:
        return self._shared.engine

    # -- tasks ------------------------------------------------------------------------------

    def CreateNewTask(self) -> TaskDictionary:
        """A task in state `new`, neither saved nor scheduled: None but id, state and time."""
        known = {"id": self.CreateTaskID(), "state": "new", "initializationtime": int(time.time())}
        return dict.fromkeys(_KEYS) | known

    def CreateTaskID(self) -> str:
        """A random UUID, version 4."""
        return str(uuid.uuid4())

    def ExistsTaskFile(self, task: TaskDictionary) -> bool:
        """Whether the file of this task is there: a user may have removed it."""
        return self._engine.has_file(_id_of(task))

    def GetTaskByID(self, taskid: str) -> TaskDictionary:
        """The task; what is done to the dictionary changes nothing until it is saved.

        Raises:
            TypeError: The id is not text.
            ValueError: There is no such task; an `InternalError` said so.
        """
        check_text(taskid=taskid)
        try:
            return as_dictionary(self._engine.get(taskid))
        except (TaskNotFound, InvalidTaskFile) as error:
            self._report(error)
            raise ValueError(str(error)) from error

    def GetTasks(self) -> dict[str, TaskDictionary]:
        """All tasks by their ids, the oldest first; ours, not documented by MusicDB."""
        return {task.id: as_dictionary(task) for task in self._engine.tasks()}

    def InitiateProcess(
        self,
        taskid: str,
        mimetype: str,
        contenttype: str,
        filesize: int,
        checksum: str,
        sourcefilename: str,
        initialstate: str,
    ) -> None:
        """Makes a task in any state that an edge from `new` leads to, and starts it.

        `waitforchunk` asks for the first chunk of an upload; a finished or failed task of this id
        gives way to it. What is refused, in whatever state, is told by an `InternalError`, also an
        id, a checksum or a file name that is not valid.

        Raises:
            TypeError: An argument has not the expected type.
            ValueError: The content type is unknown, or the size of an upload is under 1.
            IllegalTransition: No edge from `new` leads there with this content type.
        """
        check_text(
            taskid=taskid,
            mimetype=mimetype,
            contenttype=contenttype,
            checksum=checksum,
            sourcefilename=sourcefilename,
            initialstate=initialstate,
        )
        if isinstance(filesize, bool) or not isinstance(filesize, int):
            raise TypeError(f"filesize is a number of bytes, not {filesize!r}")
        _check_content_type(contenttype, upload=initialstate == "waitforchunk")
        if initialstate == "waitforchunk" and filesize < 1:
            raise ValueError(f"a file of {filesize} bytes cannot be uploaded: it has no content")
        try:
            if initialstate == "waitforchunk":
                self._engine.begin_upload(
                    task_id=taskid,
                    mime_type=mimetype,
                    content_type=contenttype,
                    file_size=filesize,
                    checksum=checksum,
                    source_filename=sourcefilename,
                    replace=True,
                )
                return
            task = {
                "id": taskid,
                "mimetype": mimetype or None,
                "contenttype": contenttype,
                "filesize": filesize,
                "sourcechecksum": checksum or None,
                "sourcefilename": sourcefilename or None,
            }
            dictionaries.make(self._engine, task, initialstate)
        except (UploadRefused, ValueError) as error:
            self._report(error)

    def LoadTasks(self) -> None:
        """Looks at the tasks directory now: new files are tasks, deleted ones are removed."""
        self._engine.look()

    def RemoveTask(self, taskid: str) -> None:
        """Removes a task and its data, and returns when it is gone.

        Raises:
            TypeError: The id is not text.
            ValueError: There is no such task; an `InternalError` said so.
        """
        self.GetTaskByID(taskid)
        try:
            self._engine.discard(taskid)
        except TaskNotFound:
            return  # gone meanwhile, as it was meant to be

    def SaveTask(self, task: TaskDictionary) -> None:
        """Saves a task; in another state than the present one it goes there.

        A task that is not there is made; what its state starts waits for `ScheduleTask`.

        Raises:
            TypeError, ValueError: It is not a task dictionary; the message says where.
            UploadRefused: A new upload, or one that starts over, is not allowed, or another task
                has the same bytes.
            IllegalTransition: No edge leads to its state, or none that a program may take.
        """
        _id_of(task)
        dictionaries.save(self._engine, task)

    def ScheduleTask(self, task: TaskDictionary) -> None:
        """Starts a new task, saved or not; nothing happens if it has been started.

        Raises:
            TypeError, ValueError: It is not a task dictionary; the message says where.
            UploadRefused: The upload is not allowed, or another task has the same bytes.
            IllegalTransition: No edge from `new` leads to its state.
        """
        _id_of(task)
        dictionaries.schedule(self._engine, task)

    def UpdateTaskState(
        self, task: TaskDictionary, state: str, errormessage: str | None = None
    ) -> None:
        """Saves a task with another state; nothing happens if it is in that state already.

        Which states are allowed: `musictasks.musicdb.dictionaries.event_to`.

        Afterwards `task` is what was saved. A message is told by an `InternalError` first.

        Raises:
            TypeError, ValueError: It is not a task dictionary; the message says where.
            UploadRefused: As `SaveTask`.
            IllegalTransition: No edge leads to the state, or none that a program may take.
        """
        taskid = _id_of(task)
        check_text(state=state)
        if errormessage is not None:
            check_text(errormessage=errormessage)
        known = self._known(taskid)
        if known is None or known.state != state:
            moved = dictionaries.move(self._engine, task, state, errormessage)
            task.update(as_dictionary(moved))

    # -- notifications ----------------------------------------------------------------------

    def NotifyClient(
        self, notification: str, task: TaskDictionary | None, message: str | None = None
    ) -> None:
        """Sends a notification with the documented status; None: there is no such task.

        Raises:
            TypeError: An argument has not the expected type.
            ValueError: The notification is unknown, or JSON cannot hold the task.
        """
        check_text(notification=notification)
        if task is not None:
            _id_of(task)
        if message is not None:
            check_text(message=message)
        self._engine.notify(notification, task, message)

    def RegisterCallback(self, function: Callback) -> None:
        """Calls `function(notification, status)` for each notification, in order.

        Once, by however many managers it is registered.

        Raises:
            TypeError: It cannot be called.
        """
        self._shared.add(_function(function))

    def RemoveCallback(self, function: Callback) -> None:
        """Calls it no more, whichever manager registered it; nothing happens if none did."""
        self._shared.drop(_function(function))

    def RegisterRefreshCallback(self, function: Callable[[], object]) -> None:
        """Calls `function()` after each completed import; ours, not documented by MusicDB.

        Raises:
            TypeError: It cannot be called.
        """
        self._shared.add_refresh(_function(function))

    def RemoveRefreshCallback(self, function: Callable[[], object]) -> None:
        """Calls it no more; nothing happens if it was not registered."""
        self._shared.drop_refresh(_function(function))

    def _known(self, taskid: str) -> MusicTask | None:
        try:
            return self._engine.get(taskid)
        except (TaskNotFound, InvalidTaskFile):
            return None

    def _report(self, error: Exception, task: MusicTask | None = None) -> None:
        dictionary = None if task is None else as_dictionary(task)
        self._engine.notify(INTERNAL_ERROR, dictionary, str(error))


def check_text(**arguments: object) -> None:
    """Raises TypeError if one of the arguments is not text."""
    for name, value in arguments.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is text, not {value!r}")


def _id_of(task: TaskDictionary) -> str:
    if not isinstance(task, dict):
        raise TypeError(f"a task is a dictionary, not {task!r}")
    check_text(id=task.get("id"))
    return task["id"]


def _check_content_type(contenttype: str, *, upload: bool) -> None:
    known = _UPLOADS if upload else frozenset(ContentType)
    if contenttype not in known:
        raise ValueError(f"content type {contenttype!r} is not one of {', '.join(sorted(known))}")


def _function(function: Any) -> Any:
    if not callable(function):
        raise TypeError(f"a callback is a function, not {function!r}")
    return function
