"""The functions that clients of MusicDB's WebSocket call."""

from __future__ import annotations

import threading
from binascii import unhexlify
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field, frozen

from ..errors import MusicTasksError
from ..music import INTERNAL_ERROR, MusicEngine
from ..musicdb import (
    ArtworkManager,
    FilesystemManager,
    ImportManager,
    IntegrationManager,
    UploadManager,
)
from .annotating import Annotating
from .musicdb_packets import PacketIgnored, shown
from .musicdb_tasklist import TaskLists
from .problems import Problem
from .removals import Removals
from .unfinished import Unfinished

Arguments = dict[str, Any]

UPLOAD_CHUNK = "UploadChunk"

#: More tasks, and more requests for one, no client has open.
_ASKED_TASKS, _ASKED_ONCE = 1000, 100


@frozen
class SentAlready(Exception):
    """Bytes of a task came that are there already; it stands at `offset`."""

    task_id: str
    offset: int


@define(eq=False)
class Asked:
    """Where the bytes belong that a connection was asked for, and has not sent yet.

    A packet does not say where its bytes belong. A client that has just come back is asked twice
    for the same ones: for those that a packet of its old connection brought, and by its own
    question. Each packet with bytes answers one request, in their order.
    """

    _offsets: OrderedDict[str, deque[int]] = field(factory=OrderedDict, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def put(self, task_id: str, offset: int) -> None:
        """The connection is asked for the bytes of a task from `offset` on."""
        with self._lock:
            self._offsets.setdefault(task_id, deque(maxlen=_ASKED_ONCE)).append(offset)
            self._offsets.move_to_end(task_id)
            if len(self._offsets) > _ASKED_TASKS:
                self._offsets.popitem(last=False)

    def take(self, task_id: object) -> int | None:
        """Where the next bytes of a task belong; None where it was not asked for any."""
        with self._lock:
            requests = self._offsets.get(task_id) if isinstance(task_id, str) else None
            return requests.popleft() if requests else None

    def forget(self, task_id: str) -> None:
        """What the connection was asked for until now, it has sent, or will not send."""
        with self._lock:
            self._offsets.pop(task_id, None)


@define(eq=False)
class Functions:
    """What can be called, by name; what is called may wait for the disk.

    A function raises what its manager raises, `KeyError` for an argument that is missing, and
    `TypeError` where there are none.
    """

    _engine: MusicEngine
    _lists: TaskLists
    _annotating: Annotating
    _removals: Removals
    _unfinished: Unfinished | None = None
    _uploads: UploadManager = field(init=False)
    _integration: IntegrationManager = field(init=False)
    _imports: ImportManager = field(init=False)
    _artwork: ArtworkManager = field(init=False)
    _scans: FilesystemManager = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._uploads = UploadManager.on(self._engine)
        self._integration = IntegrationManager.on(self._engine)
        self._imports = ImportManager.on(self._engine)
        self._artwork = ArtworkManager.on(self._engine)
        self._scans = FilesystemManager.on(self._engine)

    def call(self, name: str, arguments: Arguments | None, asked: Asked) -> object:
        """What the function of this name returns.

        Args:
            name: The function.
            arguments: What the packet has.
            asked: The bytes that the client who calls was asked for.

        Raises:
            PacketIgnored: There is none.
            SentAlready: The bytes of this packet were sent before.
        """
        if name == UPLOAD_CHUNK:
            return self._upload_chunk(arguments, asked)
        function = _TABLE.get(name)
        if function is None:
            raise PacketIgnored(f"there is no function {shown(name)}")
        return function(self, arguments)

    def _initiate_upload(self, arguments: Arguments | None) -> str:
        given = _given(arguments)
        if not self._reserved(given["taskid"], given["filesize"]):
            return given["taskid"]
        try:
            self._uploads.InitiateUpload(
                given["taskid"],
                given["mimetype"],
                given["contenttype"],
                given["filesize"],
                given["checksum"],
                given["filename"],
            )
        finally:
            if self._unfinished is not None and isinstance(given["taskid"], str):
                self._unfinished.forget_unless_waiting(given["taskid"])
        return given["taskid"]

    def _reserved(self, task_id: object, size: object) -> bool:
        """Whether the limits of unfinished uploads let this one in; what is no upload they do."""
        if self._unfinished is None or not isinstance(task_id, str) or not isinstance(size, int):
            return True
        try:
            self._unfinished.reserve(task_id, size)
        except Problem as problem:
            self._engine.notify(INTERNAL_ERROR, None, problem.detail)
            return False
        return True

    def _upload_chunk(self, arguments: Arguments | None, asked: Asked) -> None:
        given = _given(arguments)
        data = unhexlify(given["chunkdata"])
        task_id = given["taskid"]
        offset = asked.take(task_id) if data else None
        if offset is not None:
            there = self._offset(task_id)
            if there is not None and offset < there:
                raise SentAlready(task_id, there)
        self._uploads.new_chunk_at(task_id, data, offset)

    def ask_again(self, task_id: str, offset: int, asked: Asked) -> None:
        """Asks for the next bytes of a task once more, if it still stands at `offset`."""
        if self._offset(task_id) == offset:
            asked.forget(task_id)
            self._uploads.NewChunk(task_id, b"")

    def _offset(self, task_id: str) -> int | None:
        try:
            return self._engine.get(task_id).offset
        except MusicTasksError:
            return None  # whoever does something with it says so

    def _annotate_upload(self, arguments: Arguments | None) -> None:
        given = _given(arguments)
        task_id = given["taskid"]
        try:
            self._annotating.merge(
                task_id, given, lambda: self._uploads.AnnotateUpload(task_id, given)
            )
        except Problem as problem:
            self._engine.notify(INTERNAL_ERROR, None, f"task {task_id}: {problem.detail}")

    def _initiate_integration(self, arguments: Arguments | None) -> str | bool:
        given = _given(arguments)
        return self._integration.InitiateIntegration(given["taskid"], given["musicpath"])

    def _initiate_import(self, arguments: Arguments | None) -> str | None:
        given = _given(arguments)
        return self._imports.InitiateImport(given["contenttype"], given["contentpath"])

    def _initiate_artwork(self, arguments: Arguments | None) -> str:
        given = _given(arguments)
        return self._artwork.InitiateImport(given["sourcepath"], given["targetpath"])

    def _remove_upload(self, arguments: Arguments | None) -> None:
        task_id = _given(arguments)["taskid"]
        if self._uploads.RequestRemoveUpload(task_id):
            self._removals.add(task_id)

    def _initiate_scan(self, _arguments: Arguments | None) -> str:
        return self._scans.InitiateFilesystemScan()

    def _get_current_tasks(self, _arguments: Arguments | None) -> object:
        return self._lists.all()

    def _bounce(self, arguments: Arguments | None) -> Arguments | None:
        return arguments


def _given(arguments: Arguments | None) -> Arguments:
    if arguments is None:
        raise TypeError("it needs arguments")
    return arguments


_TABLE: Mapping[str, Callable[[Functions, Arguments | None], object]] = {
    "InitiateUpload": Functions._initiate_upload,
    "AnnotateUpload": Functions._annotate_upload,
    "InitiateContentIntegration": Functions._initiate_integration,
    "InitiateMusicImport": Functions._initiate_import,
    "InitiateArtworkImport": Functions._initiate_artwork,
    "InitiateFilesystemScan": Functions._initiate_scan,
    "RemoveUpload": Functions._remove_upload,
    "GetCurrentTasks": Functions._get_current_tasks,
    "Bounce": Functions._bounce,
}
