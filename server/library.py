"""What a music library can do besides, for programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyio import to_thread
from attrs import asdict, frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..errors import IllegalTransition, InvalidPath
from ..files import check_relative
from ..intake import Overrides, placed, propose, propose_album
from ..music import Answer, MusicEngine, Preflight
from ..statemachine import MusicTask
from .bodies import Member, Members, json_object, query
from .door import Door
from .problems import Problem
from .views import JSON, allowed, task_view

_TARGET = "Relative to the Music Directory: the path of the file, the album or the video."

INTEGRATION: Members = {
    "target": Member(str, f"{_TARGET} Without it, annotations of an album or a video say it."),
    "then_import": Member(bool, "Import it into the database, too."),
    "then_artwork": Member(bool, "After that import, make artwork."),
}
IMPORT: Members = {
    "contenttype": Member(str, "`album` or `video`.", required=True),
    "path": Member(str, "Relative to the Music Directory.", required=True),
    "with_artwork": Member(bool, "Make artwork, too."),
}
ARTWORK: Members = {
    "source": Member(
        str, "A song with a picture, an image or a video in the Music Directory.", required=True
    ),
    "target": Member(str, "The album's directory, or the video.", required=True),
}
#: The parameters of `library/targets`.
TARGET_QUERY = {
    "task": "The id of an upload in `readyforintegration`; without it, an album is asked for.",
    "artist": "Instead of what tags or annotations say, as the next ones.",
    "album": "Of songs and albums.",
    "year": "Four digits.",
    "name": "The title of a song or a video; of any other file its name, without the extension.",
    "track": "Of a song: its number, 1 to 9999.",
    "target": "Not a proposal: only whether this one can be used.",
}

PREFLIGHT: Members = {
    "contenttype": Member(str, "As of an upload; `albumfile` where it is missing."),
    "filesize": Member(int, "Bytes of the file.", required=True),
    "checksum": Member(str, "Its SHA-1 in hex digits; without it nothing can be known of it."),
    "album": Member(str, "Where it is wanted: of several places, one in this album is named."),
}

_NAMES = ("artist", "album", "name")


@frozen(eq=False)
class LibraryRoutes:
    """The endpoints of one library."""

    door: Door
    engine: MusicEngine

    async def preflight(self, request: Request) -> Response:
        given = await self._given(request, PREFLIGHT)
        found = await to_thread.run_sync(lambda: self._preflight(**given))
        return JSON(asdict(found))

    def _preflight(
        self,
        filesize: int,
        contenttype: str = "albumfile",
        checksum: str | None = None,
        album: str | None = None,
    ) -> Preflight:
        found = self.engine.preflight(
            content_type=contenttype, checksum=checksum, file_size=filesize, album=album
        )
        most = self.door.settings.upload_bytes
        if found.answer is Answer.SEND and filesize > most:
            reason = f"{filesize} bytes are more than the {most} that are allowed"
            return Preflight(answer=Answer.REFUSED, reason=reason)
        return found

    async def integration(self, request: Request) -> Response:
        given = await self._given(request, INTEGRATION)
        task_id = request.path_params["id"]
        return await self._called(lambda: self.engine.integrate(task_id, **given), 200)

    async def imports(self, request: Request) -> Response:
        given = await self._given(request, IMPORT)
        kind, path, artwork = given["contenttype"], given["path"], given.get("with_artwork", False)
        if kind not in {"album", "video"}:
            detail = f"{kind[:100]!r} cannot be imported, but album and video"
            raise Problem(422, "BadBody", detail, member="contenttype")
        return await self._called(
            lambda: self.engine.import_music(kind, path, with_artwork=artwork)
        )

    async def artwork(self, request: Request) -> Response:
        given = await self._given(request, ARTWORK)
        return await self._called(lambda: self.engine.import_artwork(**given))

    async def scans(self, request: Request) -> Response:
        await self._given(request, {})
        return await self._called(self.engine.scan)

    async def targets(self, request: Request) -> Response:
        asked = query(request, *TARGET_QUERY)
        if "task" not in asked:
            return JSON(await to_thread.run_sync(self._album, asked))
        return JSON(await to_thread.run_sync(self._proposal, asked))

    def _album(self, asked: dict[str, str]) -> dict[str, Any]:
        """Where an album goes that nobody has sent yet."""
        artist, album = (asked.get(key, "").strip() for key in ("artist", "album"))
        year = _year(asked.get("year"))
        if not (artist and album and year):
            raise Problem(422, "BadQuery", "name a task, or an artist, an album and a year")
        found = asdict(propose_album(self.engine.settings, Overrides(artist, album, year)))
        if found["target"] is not None:
            found["reason"] = placed(self.engine.settings, found["target"])
        return _judged(found)

    def _proposal(self, asked: dict[str, str]) -> dict[str, Any]:
        task = self.engine.get(asked["task"])
        if not {"request_integration", "request_artwork_import"} & set(self._events(task)):
            events = self._events(task)
            raise IllegalTransition(task.id, task.state, "request_integration", events)
        artist, album, name = (asked.get(key, "").strip() or None for key in _NAMES)
        year, number = _year(asked.get("year")), _track(asked.get("track"))
        overrides = Overrides(artist, album, year, name, number=number)
        found = asdict(propose(self.engine.settings, task, overrides))
        if "target" in asked:
            found |= {"target": asked["target"], "reason": None}
        if found["target"] is not None and found["reason"] is None:
            found["reason"] = self._why_not(task, found["target"])
        return _judged(found)

    def _events(self, task: MusicTask) -> tuple[str, ...]:
        return allowed(self.engine.lifecycle, task.state)

    def _why_not(self, task: MusicTask, target: str) -> str | None:
        try:
            check_relative(target)
            self.engine.check_target(task, target)
        except InvalidPath as error:
            return error.reason
        return None if task.content_type == "artwork" else placed(self.engine.settings, target)

    async def _given(self, request: Request, members: Members) -> dict[str, Any]:
        return await json_object(request, members, self.door.settings.json_bytes)

    async def _called(self, call: Callable[[], MusicTask], status: int = 201) -> Response:
        record = await to_thread.run_sync(call)
        return JSON(task_view(self.engine.lifecycle, record), status)


def _judged(found: dict[str, Any]) -> dict[str, Any]:
    return found | {"usable": found["target"] is not None and found["reason"] is None}


def _year(text: str | None) -> int | None:
    if not text:
        return None
    if not (len(text) == 4 and text.isascii() and text.isdecimal()):
        raise Problem(422, "BadQuery", "year is not a number of four digits")
    return int(text)


def _track(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and int(text)):
        raise Problem(422, "BadQuery", "track is not a number from 1 to 9999")
    return int(text)


def routes(door: Door) -> list[BaseRoute]:
    """None where the engine is not that of a music library."""
    if door.music is None:
        return []
    api = LibraryRoutes(door, door.music)
    return [
        Route("/api/preflight", api.preflight, methods=["POST"]),
        Route("/api/tasks/{id}/integration", api.integration, methods=["POST"]),
        Route("/api/imports", api.imports, methods=["POST"]),
        Route("/api/artwork", api.artwork, methods=["POST"]),
        Route("/api/scans", api.scans, methods=["POST"]),
        Route("/api/library/targets", api.targets, methods=["GET"]),
    ]
