"""What all routes share."""

from __future__ import annotations

import asyncio
from typing import Any

from attrs import field, frozen

from ..engine import Engine
from ..music import MusicEngine
from ..uploads import Uploads
from .annotating import Annotating
from .feed import Feed
from .metrics import Metrics
from .removals import Removals
from .settings import ServerSettings
from .unfinished import Unfinished


@frozen(eq=False, kw_only=True)
class Door:
    """The engine behind the routes, and what they need besides it. Made by `make_app`."""

    engine: Engine[Any]
    settings: ServerSettings
    feed: Feed
    #: None: the lifecycle has no state that takes chunks, or nobody serves it.
    uploads: Uploads | None
    metrics: Metrics
    #: The limit of what clients note about a task.
    annotating: Annotating
    #: What clients removed.
    removals: Removals = field(factory=Removals)
    #: The limits of what is being uploaded; None as `uploads`.
    unfinished: Unfinished | None = None
    #: Set when the server stops, and requests that are still under way end.
    cut_off: asyncio.Event = field(factory=asyncio.Event)

    @property
    def music(self) -> MusicEngine | None:
        """The engine, if it is that of a music library."""
        return self.engine if isinstance(self.engine, MusicEngine) else None
