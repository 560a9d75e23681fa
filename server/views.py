"""A task as clients see it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from starlette.responses import Response

from ..engine import as_dictionary
from ..statemachine import Lifecycle, Sender, Task


def task_view(lifecycle: Lifecycle, record: Task) -> dict[str, Any]:
    """A task's id, its state, what a client may send it now, and all of its record."""
    return view_of(lifecycle, as_dictionary(record))


def view_of(lifecycle: Lifecycle, task: dict[str, Any]) -> dict[str, Any]:
    """As `task_view`, of a record's dictionary."""
    state = task.get("state")
    return {
        "id": task.get("id"),
        "state": state,
        "allowed": allowed(lifecycle, str(state)),
        "task": task,
    }


@lru_cache
def allowed(lifecycle: Lifecycle, state: str) -> tuple[str, ...]:
    """The events that the declaration lets a client send in this state; guards may still refuse."""
    edges = lifecycle.edges_from(state)
    return tuple(dict.fromkeys(edge.event for edge in edges if edge.sender is Sender.CLIENT))


class JSON(Response):
    """A JSON answer; of any records, however many, quickly."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)
