"""How the engine is: `/healthz` for whoever restarts it, `/metrics` for whoever watches it."""

from __future__ import annotations

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .door import Door
from .metrics import CONTENT_TYPE


def routes(door: Door) -> list[BaseRoute]:
    """`/healthz`, which needs no token and tells nothing of the tasks, and `/metrics`."""

    async def healthz(_request: Request) -> Response:
        healthy = await to_thread.run_sync(lambda: door.engine.is_working)
        body = {"status": "ok" if healthy else "unavailable"}
        return JSONResponse(body, 200 if healthy else 503, {"Cache-Control": "no-store"})

    async def metrics(_request: Request) -> Response:
        text = await to_thread.run_sync(door.metrics.text)
        return Response(text, media_type=CONTENT_TYPE)

    return [Route("/healthz", healthz), Route("/metrics", metrics)]
