"""`musictasks add --server`: the same plan, carried out by a server elsewhere."""

from __future__ import annotations

import hashlib
import mimetypes
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

from attrs import define, evolve, field
from rich.console import Console

from ..errors import MusicTasksError
from ..intake import (
    Overrides,
    Plan,
    PlannedArchive,
    PlannedFile,
    PlannedUpload,
    Spelling,
    is_meant,
)
from ..library import decode_name, encode_name, parse_album
from ..library.audio_formats import AudioFormats
from ..music import Settings
from .display import spelling_text
from .following import Following
from .output import count, near, say, text
from .remote import Remote, ServerRefused

#: Until the server is asked again for bytes that another task had.
_ASK_AGAIN_S = 0.1
_FAILED = {"uploadfailed", "invalidcontent", "integrationfailed", "importfailed"}
_OUT = {"readyforimport", "importcomplete", "remove"}


def for_elsewhere(settings: Settings) -> Settings:
    """Settings of a library that has nothing: what is there, only the server knows."""
    nowhere = Path(f"/{uuid4().hex}")
    return evolve(settings, music=nowhere / "music", data=nowhere / "data")


def send(
    plan: Plan,
    url: str,
    token: str | None,
    console: Console,
    overrides: Overrides,
    formats: AudioFormats,
) -> tuple[int, int, int]:
    """Sends what is planned, one file after the other.

    What the server has already is not sent, as `add` does it without a server. It may be cut off
    anywhere: the same plan goes on where it was, as the ids of its uploads are made of what they
    are.

    Args:
        plan: Made with settings of `for_elsewhere`.
        url: The server's address.
        token: The server's token.
        console: Is told what becomes of each file.
        overrides: What was said when the plan was made.
        formats: Which files are songs.

    Returns:
        How many files came in, how many were there already, and how many failed.
    """
    with closing(Remote(url, token)) as remote, closing(Following(remote)) as following:
        sender = _Sender(remote, following, console, overrides, formats)
        for album in plan.albums:
            say(console, text(album.path.path, "bold"))
            for path in sender.bring_album(album.files):
                sender.import_album(path)
        for video in plan.videos:
            sender.bring(video, video.target)
        for archive in plan.archives:
            sender.bring(archive, near(archive.source))
    return sender.added, sender.there, sender.failed


@define
class _Sender:
    remote: Remote
    following: Following
    console: Console
    overrides: Overrides
    formats: AudioFormats
    added: int = field(default=0, init=False)
    there: int = field(default=0, init=False)
    failed: int = field(default=0, init=False)
    #: Artists as the library spells them.
    _artists: dict[str, str] = field(factory=dict, init=False)

    def bring_album(self, files: tuple[PlannedFile, ...]) -> list[str]:
        """Brings the files of one album; the albums where they are then.

        Songs first: what is no song often lies in many albums with the same bytes, and counts as
        there only where songs of its album are.
        """
        homes: dict[str, None] = {}
        for file in sorted(files, key=lambda file: not self.formats.is_song(file.target)):
            path = self.bring(file, file.target, homes)
            if path is not None:
                homes[_above(path)] = None
        return list(homes)

    def bring(self, file: PlannedUpload, title: str, homes: Collection[str] = ()) -> str | None:
        """Uploads a file and has it put at its place; says how that ended.

        Returns:
            Where it is; None where that failed, or only the server knows.
        """
        try:
            path, is_new = self._bring(file, homes)
        except (MusicTasksError, OSError) as error:
            self.failed += 1
            self._say("!", "red", title, str(error))
            return None
        if is_new:
            self.added += 1
            self._say("+", "green", title, "added")
        else:
            self.there += 1
            self._say("=", "dim", title, f"is there already, at {path}")
        return path

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

    def _bring(self, file: PlannedUpload, homes: Collection[str]) -> tuple[str | None, bool]:
        """Where the file is then, and whether it was not there before."""
        target = self._spelled(file) if isinstance(file, PlannedFile) else None
        task_id = _task_id(file)
        known = self._known(task_id)
        if known is None:
            place, task_id = self._place_or_task(file, target, homes, task_id)
            if place is not None:
                return place, False
            known = self._known(task_id)
        if known is None or known["state"] == "waitforchunk":
            self._upload(task_id, file)
        self._integrate(task_id, file, target)
        return target, True

    def _known(self, task_id: str) -> dict[str, Any] | None:
        """The task, unless nothing more is to be done with it; then it goes."""
        for known in self.following.looks(task_id):
            if known["state"] not in {*_FAILED, "importcomplete", "remove"}:
                return known
            if known["state"] != "remove":
                # Of an earlier run: what was wrong then may be mended; what came in may be gone.
                try:
                    self.remote.call("DELETE", f"tasks/{task_id}")
                except ServerRefused as error:
                    if error.status not in {404, 409}:
                        raise
                    # An answer was lost, or somebody else was quicker.
        return None

    def _place_or_task(
        self, file: PlannedUpload, target: str | None, homes: Collection[str], task_id: str
    ) -> tuple[str | None, str]:
        """Where the file is already, or the id of the task that is to bring it.

        That is one of another client, if it waits for the rest of the same bytes.

        Raises:
            ServerRefused: The upload would be refused.
        """
        while True:
            found = self.remote.preflight(file.content_type, file.size_bytes, file.checksum)
            if found["answer"] == "refused":
                raise ServerRefused(409, str(found["reason"]), {})
            if found["answer"] == "there" and self._counts(file, target, homes, found["path"]):
                return found["path"], task_id
            if found["answer"] != "go on" or found["task_id"] == task_id:
                return None, task_id
            other = self.remote.task(found["task_id"])
            if other is not None and other["state"] in {"waitforchunk", "readyforintegration"}:
                return None, found["task_id"]
            self._ended(found["task_id"])  # then it is there, or not
            time.sleep(_ASK_AGAIN_S)

    def _counts(
        self, file: PlannedUpload, target: str | None, homes: Collection[str], path: str
    ) -> bool:
        """Whether bytes that are at `path` need not come to `target`."""
        if path == target:
            return True
        if isinstance(file, PlannedArchive):
            return is_meant(file.overrides, parse_album(path))
        if self.overrides != Overrides(wording=self.overrides.wording):
            return False  # who says where a file goes gets it there, too
        if file.content_type == "albumfile" and not self.formats.is_song(path):
            return _above(path) in {*homes, _above(target or "")}
        return True

    def _spelled(self, file: PlannedFile) -> str:
        """Its target, under the library's spelling of the artist, unless a person gave it."""
        artist, slash, rest = file.target.partition("/")
        if self.overrides.artist is not None:
            return file.target
        if artist not in self._artists:
            found = decode_name(artist)
            used = self.remote.spelling(found)
            self._artists[artist] = encode_name(used)
            if used != found:
                say(self.console, text(spelling_text(Spelling(found, used)), "dim"))
        return self._artists[artist] + slash + rest

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

    def _integrate(self, task_id: str, file: PlannedUpload, target: str | None) -> None:
        for task in self._looks(task_id):
            if task["state"] == "readyforintegration":
                self._place(task_id, file, target)

    def _place(self, task_id: str, file: PlannedUpload, target: str | None) -> None:
        # The songs of an album come in one by one: they are imported together at its end.
        whole = file.content_type != "albumfile"
        wish = {
            "target": target or self._target(task_id, file),
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
        for task in self.following.looks(task_id):
            if task["state"] in _OUT:
                return
            if task["state"] in _FAILED:
                raise ServerRefused(409, f"{_message(task)} (task {task_id}, {task['state']})", {})
            yield task


def _task_id(file: PlannedUpload) -> str:
    """The same for the same file at the same place, in whatever run."""
    target = file.target if isinstance(file, PlannedFile) else ""
    known = f"{file.content_type}\0{target}\0{file.checksum}"
    return f"add-{hashlib.sha256(known.encode()).hexdigest()[:40]}"


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _file_name(file: PlannedUpload) -> str:
    """The name the file gets, or the one it has: only its extension counts."""
    return Path(file.target).name if isinstance(file, PlannedFile) else file.source.name


def _message(task: dict[str, Any]) -> str:
    history = task["task"].get("history") or [{}]
    return history[-1].get("message") or "no reason given"


def summary(added: int, there: int, failed: int, refused: int) -> str:
    parts = [f"{count(added, 'file')} sent"]
    parts += [f"{there} there already"] if there else []
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{refused} refused"] if refused else []
    return f"{', '.join(parts)}."
