"""The functions that clients of MusicDB's WebSocket call."""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from ..music import MusicEngine
from ..musicdb import (
    ArtworkManager,
    FilesystemManager,
    ImportManager,
    IntegrationManager,
    UploadManager,
)
from .musicdb_packets import PacketIgnored, shown
from .musicdb_tasklist import TaskLists

Arguments = dict[str, Any]


@define(eq=False)
class Functions:
    """What can be called, by name; what is called may wait for the disk.

    A function raises what its manager raises, `KeyError` for an argument that is missing, and
    `TypeError` where there are none.
    """

    _engine: MusicEngine
    _lists: TaskLists
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

    def call(self, name: str, arguments: Arguments | None) -> object:
        """What the function of this name returns.

        Raises:
            PacketIgnored: There is none.
        """
        function = _TABLE.get(name)
        if function is None:
            raise PacketIgnored(f"there is no function {shown(name)}")
        return function(self, arguments)

    def _initiate_upload(self, arguments: Arguments | None) -> str:
        given = _given(arguments)
        self._uploads.InitiateUpload(
            given["taskid"],
            given["mimetype"],
            given["contenttype"],
            given["filesize"],
            given["checksum"],
            given["filename"],
        )
        return given["taskid"]

    def _upload_chunk(self, arguments: Arguments | None) -> None:
        given = _given(arguments)
        self._uploads.NewChunk(given["taskid"], unhexlify(given["chunkdata"]))

    def _annotate_upload(self, arguments: Arguments | None) -> None:
        given = _given(arguments)
        self._uploads.AnnotateUpload(given["taskid"], given)

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
        self._uploads.RequestRemoveUpload(_given(arguments)["taskid"])

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
    "UploadChunk": Functions._upload_chunk,
    "AnnotateUpload": Functions._annotate_upload,
    "InitiateContentIntegration": Functions._initiate_integration,
    "InitiateMusicImport": Functions._initiate_import,
    "InitiateArtworkImport": Functions._initiate_artwork,
    "InitiateFilesystemScan": Functions._initiate_scan,
    "RemoveUpload": Functions._remove_upload,
    "GetCurrentTasks": Functions._get_current_tasks,
    "Bounce": Functions._bounce,
}
