"""What the tests of the MusicDB face share: a library with its ini file, and a world to act in."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from attrs import define, field
from clikit import copy_album
from musictasks.musicdb import (
    ArtworkManager,
    FilesystemManager,
    ImportManager,
    IntegrationManager,
    MusicDBConfig,
    UploadManager,
)
from musictasks.testing import Recorder

ALBUM = "Artist/2020 - Album"
SONG = f"{ALBUM}/01 Song.flac"
COVER = f"{ALBUM}/cover.png"
#: The data of an upload that is never looked into.
DATA = b"%PDF-1.4 0123456789"
SHA1 = hashlib.sha1(DATA).hexdigest()


def write_ini(root: Path, extra: str = "", chunksize: int = 7) -> Path:
    """A `musicdb.ini` for a library in `root`, with an album in the Music Directory."""
    copy_album(root / "music" / ALBUM, "01 Morgenroete.flac", "cover.png")
    (root / "music" / ALBUM / "01 Morgenroete.flac").rename(root / "music" / SONG)
    file = root / "musicdb.ini"
    file.write_text(
        "[directories]\nmusic=music\ndata=data\n[albumcover]\nscales=16\n"
        f"[tasks]\ndurability=none\nchunksize={chunksize}\n{extra}"
    )
    return file


@define
class World:
    """A configuration, its managers, and what their callbacks were told."""

    root: Path
    extra: str = ""
    chunksize: int = 7
    config: MusicDBConfig = field(init=False)
    recorder: Recorder = field(factory=Recorder, init=False)
    uploads: UploadManager = field(init=False)
    integration: IntegrationManager = field(init=False)
    imports: ImportManager = field(init=False)
    artwork: ArtworkManager = field(init=False)
    scans: FilesystemManager = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.config = MusicDBConfig(write_ini(self.root, self.extra, self.chunksize))
        self.uploads = UploadManager(self.config)
        self.integration = IntegrationManager(self.config)
        self.imports = ImportManager(self.config)
        self.artwork = ArtworkManager(self.config)
        self.scans = FilesystemManager(self.config)
        self.uploads.RegisterCallback(self.recorder)

    def begin(self, taskid: str = "task", **changes: Any) -> str:
        """An upload that waits for its first chunk."""
        arguments = {
            "taskid": taskid,
            "mimetype": "application/pdf",
            "contenttype": "albumfile",
            "filesize": len(DATA),
            "checksum": SHA1,
            "sourcefilename": "booklet.pdf",
        }
        self.uploads.InitiateUpload(**(arguments | changes))
        return taskid

    def import_album(self) -> str:
        taskid = self.imports.InitiateImport("album", ALBUM)
        assert taskid is not None
        return taskid

    def file(self, taskid: str) -> Path:
        return self.root / "data" / "tasks" / f"{taskid}.json"

    def stored(self, taskid: str) -> dict[str, Any]:
        return json.loads(self.file(taskid).read_text())

    def put(self, taskid: str, state: str, **keys: Any) -> dict[str, Any]:
        """A task file as MusicDB writes it, without our added keys; it is loaded."""
        task = self.uploads.CreateNewTask() | {"id": taskid, "state": state, **keys}
        self.file(taskid).write_text(json.dumps(task))
        self.uploads.LoadTasks()
        return self.uploads.GetTaskByID(taskid)

    def told(self, *, messages: bool = False) -> list[tuple[Any, ...]]:
        """Name and state (and message) of each notification that was sent before this call."""
        self.uploads.NotifyClient("StateUpdate", None, "the end")
        self.recorder.wait_for(lambda r: any(s["message"] == "the end" for _, s in r.all))
        told = [(name, s["state"], s["message"]) for name, s in self.recorder.all]
        self.recorder.all.clear()
        told = [one for one in told if one[2] != "the end"]
        return told if messages else [one[:2] for one in told]
