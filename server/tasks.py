"""The tasks of any lifecycle, for programs."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from anyio import to_thread
from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..diagrams import draw
from ..errors import DiagramError
from ..statemachine import Role, Task
from .bodies import Member, Members, json_object, query
from .door import Door
from .problems import Problem
from .views import JSON, task_view

#: Tasks in one answer, where the client names no number, and at the most.
_PAGE, _PAGE_MOST = 500, 1000

EVENT: Members = {
    "message": Member(str, "Kept in the task's history.", most_characters=1000),
    "annotations": Member(dict, "Merged into those of the task."),
}
ANNOTATIONS: Members = {
    "annotations": Member(dict, "Merged into those of the task.", required=True)
}
RETRY: Members = {"target": Member(str, "Of music: another place, for an integration that failed.")}
_STYLED = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@frozen(eq=False)
class TaskRoutes:
    """The endpoints of one door."""

    door: Door

    async def lifecycle(self, _request: Request) -> Response:
        drawn = await to_thread.run_sync(draw, self.door.engine.lifecycle, "json")
        return Response(drawn, media_type="application/json")

    async def list(self, request: Request) -> Response:
        asked = query(request, "state", "contenttype", "after", "limit")
        return JSON(await to_thread.run_sync(self._list, asked))

    def _list(self, asked: dict[str, str]) -> dict[str, Any]:
        # Invariant: the number before the tasks, so that no notification is missed between them.
        last, limit = self.door.feed.last, _limit(asked.get("limit"))
        lifecycle = self.door.engine.lifecycle
        if "state" in asked and asked["state"] not in {state.name for state in lifecycle.states}:
            raise Problem(422, "BadQuery", f"there is no state {asked['state'][:100]!r}")
        after = _cursor(asked["after"]) if "after" in asked else (-1.0, "")
        found = sorted(
            (task for task in self.door.engine.tasks() if _wanted(task, asked)), key=_place
        )
        rest = [task for task in found if _place(task) > after]
        page = rest[:limit]
        return {
            "tasks": [task_view(lifecycle, task) for task in page],
            "next": "{!r}~{}".format(*_place(page[-1])) if len(rest) > limit else None,
            "last": last,
            "run": self.door.feed.run,
        }

    async def one(self, request: Request) -> Response:
        return JSON(await self._call(request, self.door.engine.get))

    async def remove(self, request: Request) -> Response:
        query(request)
        return JSON(await self._call(request, self._remove), 202)

    def _remove(self, task_id: str) -> Task:
        record = self.door.engine.remove(task_id)
        self.door.removals.add(task_id)
        return record

    async def diagram(self, request: Request) -> Response:
        task_id = request.path_params["id"]

        def drawn() -> str | bytes:
            engine = self.door.engine
            return draw(engine.lifecycle, "svg", task=engine.get(task_id))

        try:
            picture = await to_thread.run_sync(drawn)
        except DiagramError as error:
            raise Problem(501, "DiagramError", str(error)) from error
        headers = {"Content-Security-Policy": _STYLED}
        return Response(picture, media_type="image/svg+xml", headers=headers)

    async def event(self, request: Request) -> Response:
        given = await json_object(request, EVENT, self.door.settings.json_bytes)
        event = request.path_params["event"]
        merge = partial(self.door.annotating.merge, annotations=given.get("annotations", {}))
        return JSON(
            await self._call(
                request,
                lambda task_id: merge(task_id, call=lambda: self._send(task_id, event, given)),
            )
        )

    def _send(self, task_id: str, event: str, given: dict[str, Any]) -> Task:
        engine = self.door.engine
        if event == "retry" and not given:
            return engine.retry(task_id)
        if event == "remove" and not given:
            return self._remove(task_id)
        record = engine.send(task_id, event, **given)
        if engine.lifecycle.role(record.state) is Role.REMOVING:
            self.door.removals.add(task_id)
        return record

    async def annotate(self, request: Request) -> Response:
        given = await json_object(request, ANNOTATIONS, self.door.settings.json_bytes)
        return JSON(await self._call(request, lambda task_id: self._annotate(task_id, **given)))

    def _annotate(self, task_id: str, annotations: dict[str, Any]) -> Task:
        engine = self.door.engine
        return self.door.annotating.merge(
            task_id, annotations, lambda: engine.annotate(task_id, annotations)
        )

    async def retry(self, request: Request) -> Response:
        members = RETRY if self.door.music else {}
        given = await json_object(request, members, self.door.settings.json_bytes)
        return JSON(await self._call(request, lambda task_id: self._retry(task_id, **given)))

    def _retry(self, task_id: str, **given: str) -> Task:
        engine = self.door.engine
        if given:
            task = engine.get(task_id)
            if task.state != "integrationfailed" and engine.edge_taken(task, "retry"):
                detail = f"a target is for an integration that failed, not for {task.state!r}"
                raise Problem(422, "BadBody", detail, member="target")
        return engine.retry(task_id, **given)

    async def _call(self, request: Request, call: Callable[[str], Task]) -> dict[str, Any]:
        task_id = request.path_params["id"]
        record = await to_thread.run_sync(call, task_id)
        return task_view(self.door.engine.lifecycle, record)


def _limit(text: str | None) -> int:
    if text is None:
        return _PAGE
    is_number = text.isascii() and text.isdecimal() and len(text) < 10
    if not (is_number and 1 <= int(text) <= _PAGE_MOST):
        raise Problem(422, "BadQuery", f"limit is not a number from 1 to {_PAGE_MOST}")
    return int(text)


def _cursor(text: str) -> tuple[float, str]:
    time, _, task_id = text.partition("~")
    try:
        after = float(time), task_id
    except ValueError:
        after = math.nan, ""
    if not math.isfinite(after[0]):
        raise Problem(422, "BadQuery", "after is not what an answer had as next")
    return after


def _place(task: Task) -> tuple[float, str]:
    return float(task.initialization_time or 0), task.id


def _wanted(task: Task, asked: dict[str, str]) -> bool:
    kind = getattr(task, "content_type", None)
    return asked.get("state") in (None, task.state) and asked.get("contenttype") in (None, kind)


def routes(door: Door) -> list[BaseRoute]:
    """What goes for any lifecycle."""
    api, task = TaskRoutes(door), "/api/tasks/{id}"
    return [
        Route("/api/lifecycle", api.lifecycle, methods=["GET"]),
        Route("/api/tasks", api.list, methods=["GET"]),
        Route(task, api.one, methods=["GET"]),
        Route(task, api.remove, methods=["DELETE"]),
        Route(f"{task}/diagram.svg", api.diagram, methods=["GET"]),
        Route(f"{task}/events/{{event}}", api.event, methods=["POST"]),
        Route(f"{task}/annotations", api.annotate, methods=["POST"]),
        Route(f"{task}/retry", api.retry, methods=["POST"]),
    ]
