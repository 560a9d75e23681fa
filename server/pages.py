"""The page: its files, the picture of the lifecycle, and the form for the token."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from ..diagrams import draw
from ..errors import DiagramError
from .door import Door
from .problems import Problem

_FILES = Path(__file__).parent / "page"
#: The browser asks each time whether a file has changed: after an update nobody has to know how to
#: empty a cache.
_FRESH = {"Cache-Control": "no-cache"}
#: With `no-referrer`, browsers send a page's own forms with `Origin: null`, as strangers'.
_WITH_FORMS = {**_FRESH, "Referrer-Policy": "same-origin"}


class _Files(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(_FRESH)
        return response


def routes(door: Door) -> list[BaseRoute]:
    """`/`, and what it loads from `/page/`."""
    pictures: list[bytes] = []

    async def index(_request: Request) -> Response:
        return FileResponse(_FILES / "index.html", headers=_WITH_FORMS)

    async def login(_request: Request) -> Response:
        return FileResponse(_FILES / "login.html", headers=_WITH_FORMS)

    async def picture(_request: Request) -> Response:
        if not pictures:
            try:
                drawn = await to_thread.run_sync(draw, door.engine.lifecycle, "svg")
            except DiagramError as error:
                raise Problem(501, "DiagramError", str(error)) from error
            pictures.append(drawn if isinstance(drawn, bytes) else drawn.encode())
        return Response(pictures[0], media_type="image/svg+xml", headers=_FRESH)

    async def config(_request: Request) -> Response:
        known = {
            "version": version("musictasks"),
            "music": door.music is not None,
            "uploads": door.uploads is not None,
            "token": door.settings.token is not None,
        }
        return JSONResponse(known, headers=_FRESH)

    return [
        Route("/", index, methods=["GET"]),
        Route("/login", login, methods=["GET"]),
        Route("/page/lifecycle.svg", picture, methods=["GET"]),
        Route("/page/config.json", config, methods=["GET"]),
        Mount("/page", _Files(directory=_FILES)),
    ]
