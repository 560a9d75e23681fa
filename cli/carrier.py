"""One connection to a server elsewhere, by which `musictasks add --server` brings file by file."""

from __future__ import annotations

import hashlib
import mimetypes
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import define, field

from ..intake import Overrides, PlannedArchive, PlannedFile, PlannedUpload, is_meant
from ..library import parse_album
from ..library.audio_formats import AudioFormats
from .answers import ServerRefused
from .following import Following
from .remote import Remote

#: Until the server is asked again for bytes that another task had.
_ASK_AGAIN_S = 0.1
#: So often a file is begun anew because another client was quicker.
_TRIES = 10
#: So begin the ids of tasks that `add --server` makes.
_OWN = "add-"
_FAILED = {"uploadfailed", "invalidcontent", "integrationfailed", "importfailed"}
_IN = {"readyforimport", "importcomplete"}
#: Nothing becomes of it until a client does something.
_RESTING = {"waitforchunk", "readyforintegration"}


class _Overtaken(ServerRefused):
    """Another client that brings the same was quicker: what has become of it is to be seen."""


@define(eq=False)
class Carrier:
    """Brings one file at a time; for one thread."""

    remote: Remote
    overrides: Overrides
    formats: AudioFormats
    _following: Following = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._following = Following(self.remote)

    def close(self) -> None:
        """Ends what is open to the server."""
        self._following.close()
        self.remote.close()

    def bring(
        self, file: PlannedUpload, target: str | None, homes: Collection[str] = ()
    ) -> tuple[str | None, bool]:
        """Uploads a file and has it put at its place.

        Args:
            file: The file.
            target: Where it goes; None where the server finds that out.
            homes: Where the songs of its album are.

        Returns:
            Where it is, None where only the server knows; and whether it was not there before.

        Raises:
            MusicTasksError: The server did not take it, or cannot be reached.
            OSError: It cannot be read.
        """
        for _ in range(_TRIES):
            with suppress(_Overtaken):
                return self._bring(file, target, homes)
            time.sleep(_ASK_AGAIN_S)
        return self._bring(file, target, homes)

    def _bring(
        self, file: PlannedUpload, target: str | None, homes: Collection[str]
    ) -> tuple[str | None, bool]:
        own_id = task_id = _task_id(file)
        known = self._known(task_id)
        if known is None:
            place, task_id = self._place_or_task(file, target, homes, own_id)
            if place is not None:
                return place, False
            if task_id != own_id:
                known = self._known(task_id)
        if known is None or known["state"] == "waitforchunk":
            try:
                self._upload(task_id, file)
            except ServerRefused as error:
                self._check_overtaken(task_id, error)
                raise
        self._integrate(task_id, file, target)
        return target, True

    def _check_overtaken(self, task_id: str, error: ServerRefused) -> None:
        """Raises _Overtaken if an upload was refused because its task has gone on, or is gone."""
        if error.status not in {404, 409, 410}:
            return
        task = self.remote.task(task_id)
        if task is None or task["state"] not in {"waitforchunk", *_FAILED}:
            raise _Overtaken(error.status, error.reason, error.problem) from error

    def _known(self, task_id: str) -> dict[str, Any] | None:
        """The task, unless nothing more is to be done with it; then it goes."""
        for known in self._following.looks(task_id):
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
            found = self._preflight(file, target, homes)
            if found["answer"] == "refused":
                if self._is_cleared_away(found.get("task_id"), str(found["reason"])):
                    continue
                raise ServerRefused(409, str(found["reason"]), {})
            if found["answer"] == "there" and self._counts(file, target, homes, found["path"]):
                return found["path"], task_id
            if found["answer"] != "go on" or found["task_id"] == task_id:
                return None, task_id
            other = self.remote.task(found["task_id"])
            if other is not None and other["state"] in _RESTING:
                return None, found["task_id"]
            # Then it is there, or not; or its client has gone, and it is gone on with here.
            self._ended(found["task_id"], _IN | _RESTING)
            time.sleep(_ASK_AGAIN_S)

    def _is_cleared_away(self, task_id: str | None, reason: str) -> bool:
        """Removes what stands in the way, if it has failed, and an `add` like this one made it.

        It has told of that. The same cover lies in many albums, and one may refuse it.

        Raises:
            _Overtaken: It has not failed: it was just being made, or has just gone.
        """
        if task_id is None:
            return False
        task = self.remote.task(task_id)
        if task is None or task["state"] not in _FAILED:
            raise _Overtaken(409, reason, {})
        return task_id.startswith(_OWN) and self._known(task_id) is None

    def _preflight(
        self, file: PlannedUpload, target: str | None, homes: Collection[str]
    ) -> dict[str, Any]:
        """What the server says of it; of several places of its bytes it names one that counts."""
        albums = [None] if target is None else dict.fromkeys([above(target), *homes])
        found: dict[str, Any] = {}
        for album in albums:
            found = self.remote.preflight(file.content_type, file.size_bytes, file.checksum, album)
            if found["answer"] != "there" or self._counts(file, target, homes, found["path"]):
                break
        return found

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
            return above(path) in {*homes, above(target or "")}
        return True

    def import_album(self, path: str) -> None:
        """Has the songs of an album that are at their place imported into the database.

        Raises:
            MusicTasksError: They were not, or the server cannot be reached.
        """
        wish = {"contenttype": "album", "path": path, "with_artwork": True}
        self._ended(self.remote.call("POST", "imports", wish, wanted=("id",))["id"], _IN)

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
            if task["state"] in _IN:
                return
            if task["state"] == "readyforintegration":
                self._place(task_id, file, target)
        # A task goes when its file is at its place, and when somebody removes it.
        found = self.remote.preflight(file.content_type, file.size_bytes, file.checksum)
        if found["answer"] not in {"there", "unknown"}:
            reason = f"its task {task_id} was removed before it was at its place: add it again"
            raise ServerRefused(410, reason, {})

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

    def _ended(self, task_id: str, states: Collection[str]) -> None:
        for task in self._looks(task_id):
            if task["state"] in states:
                return

    def _looks(self, task_id: str) -> Iterator[dict[str, Any]]:
        """The task again and again, until it goes.

        Raises:
            ServerRefused: It has failed.
        """
        for task in self._following.looks(task_id):
            if task["state"] == "remove":
                return
            if task["state"] in _FAILED:
                raise ServerRefused(409, f"{_message(task)} (task {task_id}, {task['state']})", {})
            yield task


def _task_id(file: PlannedUpload) -> str:
    """The same for the same file at the same place, in whatever run."""
    target = file.target if isinstance(file, PlannedFile) else ""
    known = f"{file.content_type}\0{target}\0{file.checksum}"
    return f"{_OWN}{hashlib.sha256(known.encode()).hexdigest()[:40]}"


def above(path: str) -> str:
    """The directory of a path in the Music Directory."""
    return path.rpartition("/")[0]


def _file_name(file: PlannedUpload) -> str:
    """The name the file gets, or the one it has: only its extension counts."""
    return Path(file.target).name if isinstance(file, PlannedFile) else file.source.name


def _message(task: dict[str, Any]) -> str:
    history = task["task"].get("history") or [{}]
    return history[-1].get("message") or "no reason given"
