"""The ASGI application: all routes, behind the gate."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from ..engine import Engine
from ..music import MusicEngine
from ..uploads import Uploads
from . import events, health, library, login, musicdb_socket, openapi, pages, tasks, tus
from .access import Gate
from .annotating import Annotating
from .door import Door
from .feed import Feed
from .metrics import Metrics
from .problems import ANSWERED, Problem, answer, answer_http
from .settings import ServerSettings
from .unfinished import Unfinished


def make_app(
    engine: Engine[Any],
    settings: ServerSettings | None = None,
    *,
    uploads: Uploads | None = None,
) -> Starlette:
    """The door to an engine, to be run by any ASGI server, or mounted in another application.

    The engine is opened and closed by the caller.

    Args:
        engine: A music library's, or that of any lifecycle.
        settings: Who gets in, and the limits.
        uploads: What receives the engine's files, where its lifecycle has such a state; a music
            library brings its own.
    """
    settings = settings or ServerSettings()
    if uploads is None and isinstance(engine, MusicEngine):
        uploads = engine.uploads
    write = partial(events.written, engine.lifecycle)
    feed = Feed(settings.kept_events, settings.kept_event_bytes, write)
    metrics = Metrics(engine)
    feed.listen(metrics.noted)
    feed.observe(engine)
    door = Door(
        engine=engine,
        settings=settings,
        feed=feed,
        uploads=uploads,
        metrics=metrics,
        annotating=Annotating(engine, settings.annotation_bytes),
        unfinished=uploads and Unfinished(engine, uploads, settings, feed),
    )
    app = Starlette(
        routes=_routes(door),
        middleware=[Middleware(Gate, door=door)],
        exception_handlers={
            **dict.fromkeys((Problem, *ANSWERED), answer),
            HTTPException: answer_http,
        },
    )
    app.state.door = door
    return app


def _routes(door: Door) -> list[BaseRoute]:
    made = [
        *tus.routes(door),  # most requests are its, and the first route that matches is taken
        *health.routes(door),
        *login.routes(door),
        *tasks.routes(door),
        *library.routes(door),
        *events.routes(door),
        *musicdb_socket.routes(door),
    ]
    return [*made, *openapi.routes(made), *pages.routes(door)]
