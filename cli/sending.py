"""`musictasks add --server`: the same plan, carried out by a server elsewhere."""

from __future__ import annotations

import hashlib
import mimetypes
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

from attrs import define, evolve, field
from rich.console import Console

from ..errors import MusicTasksError
from ..intake import Plan, PlannedArchive, PlannedFile, PlannedUpload
from ..music import Settings
from .output import count, near, say, text
from .remote import Remote, ServerRefused

_LOOK_AGAIN_S = 0.1
_FAILED = {"uploadfailed", "invalidcontent", "integrationfailed", "importfailed"}
_OUT = {"readyforimport", "importcomplete", "remove"}


def for_elsewhere(settings: Settings) -> Settings:
    """Settings of a library that has nothing: what is there, only the server knows."""
    nowhere = Path(f"/{uuid4().hex}")
    return evolve(settings, music=nowhere / "music", data=nowhere / "data")


def send(plan: Plan, url: str, token: str | None, console: Console) -> tuple[int, int]:
    """Sends what is planned, one file after the other; how many came in, and how many failed.

    It may be cut off anywhere: the same plan goes on where it was, as the ids of its uploads are
    made of what they are.
    """
    with closing(Remote(url, token)) as remote:
        sender = _Sender(remote, console)
        for album in plan.albums:
            say(console, text(album.path.path, "bold"))
            before = sender.added
            for file in album.files:
                sender.bring(file, file.target)
            if sender.added > before:
                sender.import_album(album.path.path)
        for video in plan.videos:
            sender.bring(video, video.target)
        for archive in plan.archives:
            sender.bring(archive, near(archive.source))
    return sender.added, sender.failed


@define
class _Sender:
    remote: Remote
    console: Console
    added: int = field(default=0, init=False)
    failed: int = field(default=0, init=False)

    def bring(self, file: PlannedUpload, title: str) -> None:
        """Uploads a file and has it put at its place; says how that ended."""
        try:
            self._bring(file)
        except (MusicTasksError, OSError) as error:
            self.failed += 1
            self._say("!", "red", title, str(error))
        else:
            self.added += 1
            self._say("+", "green", title, "added")

    def import_album(self, path: str) -> None:
        """Brings the songs of an album that are at their place into the database."""
        try:
            wish = {"contenttype": "album", "path": path, "with_artwork": True}
            self._ended(self.remote.call("POST", "imports", wish)["id"])
        except (MusicTasksError, OSError) as error:
            self.failed += 1
            self._say("!", "red", path, str(error))
        else:
            self._say("+", "green", path, "imported")

    def _say(self, mark: str, style: str, title: str, what: str) -> None:
        say(self.console, text(f"  {mark} ", style), title, "  ", text(what, style))

    def _bring(self, file: PlannedUpload) -> None:
        task_id = _task_id(file)
        known = self.remote.task(task_id)
        if known is not None and known["state"] in _FAILED:
            # Of an earlier run: what was wrong then may be mended.
            self.remote.call("DELETE", f"tasks/{task_id}")
            self._wait_until_gone(task_id)
            known = None
        if known is None or known["state"] == "waitforchunk":
            self._upload(task_id, file)
        self._integrate(task_id, file)

    def _upload(self, task_id: str, file: PlannedUpload) -> None:
        known = {
            "contenttype": file.content_type,
            "checksum": f"sha1 {file.checksum}",
            "filename": _file_name(file),
            "filetype": mimetypes.guess_type(file.source.name)[0] or "",
        }
        self.remote.begin(task_id, file.size_bytes, known)
        with file.source.open("rb") as data:
            self.remote.send(task_id, data, lambda _: None)

    def _integrate(self, task_id: str, file: PlannedUpload) -> None:
        for task in self._looks(task_id):
            if task["state"] == "readyforintegration":
                self._place(task_id, file)

    def _place(self, task_id: str, file: PlannedUpload) -> None:
        # The songs of an album come in one by one: they are imported together at its end.
        whole = file.content_type != "albumfile"
        wish = {
            "target": self._target(task_id, file),
            "then_import": whole,
            "then_artwork": whole,
        }
        try:
            self.remote.call("POST", f"tasks/{task_id}/integration", wish)
        except ServerRefused:
            now = self.remote.task(task_id)
            if now is not None and now["state"] == "readyforintegration":
                raise
            # An answer was lost, and the second request came too late.

    def _target(self, task_id: str, file: PlannedUpload) -> str:
        if isinstance(file, PlannedFile):
            return file.target
        assert isinstance(file, PlannedArchive)
        said = file.overrides
        asked = {"artist": said.artist, "album": said.album, "year": said.year}
        return self.remote.target(task_id, asked)

    def _ended(self, task_id: str) -> None:
        for _ in self._looks(task_id):
            pass

    def _looks(self, task_id: str) -> Iterator[dict[str, Any]]:
        """The task again and again, until nothing is left to be done with it.

        Raises:
            ServerRefused: It has failed.
        """
        while (task := self.remote.task(task_id)) is not None and task["state"] not in _OUT:
            if task["state"] in _FAILED:
                raise ServerRefused(409, f"{_message(task)} (task {task_id}, {task['state']})", {})
            yield task
            time.sleep(_LOOK_AGAIN_S)

    def _wait_until_gone(self, task_id: str) -> None:
        while self.remote.task(task_id) is not None:
            time.sleep(_LOOK_AGAIN_S)


def _task_id(file: PlannedUpload) -> str:
    """The same for the same file at the same place, in whatever run."""
    target = file.target if isinstance(file, PlannedFile) else ""
    known = f"{file.content_type}\0{target}\0{file.checksum}"
    return f"add-{hashlib.sha256(known.encode()).hexdigest()[:40]}"


def _file_name(file: PlannedUpload) -> str:
    """The name the file gets, or the one it has: only its extension counts."""
    return Path(file.target).name if isinstance(file, PlannedFile) else file.source.name


def _message(task: dict[str, Any]) -> str:
    history = task["task"].get("history") or [{}]
    return history[-1].get("message") or "no reason given"


def summary(added: int, failed: int, refused: int) -> str:
    parts = [f"{count(added, 'file')} sent"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{refused} refused"] if refused else []
    return f"{', '.join(parts)}."
