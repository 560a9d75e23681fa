"""Whether the engine works: `/healthz`, for whoever restarts it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ..errors import EngineClosed
from .door import Door


def routes(door: Door) -> list[BaseRoute]:
    """`/healthz`, which needs no token and tells nothing of the tasks."""

    async def healthz(_request: Request) -> Response:
        healthy = _works(door)
        body = {"status": "ok" if healthy else "unavailable"}
        return JSONResponse(body, 200 if healthy else 503, {"Cache-Control": "no-store"})

    return [Route("/healthz", healthz)]


def _works(door: Door) -> bool:
    try:
        door.engine.check_open()
    except EngineClosed:
        return False
    return door.engine.is_started
