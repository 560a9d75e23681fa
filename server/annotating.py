"""Annotations that clients bring: what JSON holds, and of each task only so much."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson
from attrs import define, field

from ..engine import Engine
from ..errors import InvalidTaskFile, TaskNotFound
from ..statemachine import JSONObject
from .problems import Problem

_T = TypeVar("_T")


@define(eq=False)
class Annotating:
    """Bounds the annotations of each task, on all ways by which clients bring them.

    Every notification of a task carries all of them.
    """

    _engine: Engine[Any]
    #: The most bytes of all annotations of one task, as JSON.
    _most_bytes: int
    #: One for some tasks each: whoever annotates one does not wait for the disk of all others.
    _locks: tuple[threading.Lock, ...] = field(
        factory=lambda: tuple(threading.Lock() for _ in range(64)), init=False
    )

    def check(self, annotations: Mapping[str, Any]) -> None:
        """Refuses annotations that no task may have.

        Raises:
            Problem: 422, JSON cannot hold them; 413, they are too large.
        """
        self._check_size(_checked(annotations).copy())

    def merge(self, task_id: str, annotations: Mapping[str, Any], call: Callable[[], _T]) -> _T:
        """Calls what merges annotations into those of a task, if all of them may be together.

        Annotations of a scan, or of a stage, may be larger: what makes them no larger is let in.

        Raises:
            Problem: As `check`.
            Exception: What `call` raises; it says also that there is no such task.
        """
        if not annotations:
            return call()
        given = _checked(annotations)
        with self._locks[hash(task_id) % len(self._locks)]:  # no two clients add to the same
            try:
                before = self._engine.get(task_id).annotations
            except (TaskNotFound, InvalidTaskFile):
                return call()
            merged = JSONObject(before).merged(given.copy()).copy()
            if _size(merged) > _size(before):
                self._check_size(merged)
            return call()

    def _check_size(self, annotations: Mapping[str, Any]) -> None:
        size = _size(annotations)
        if size > self._most_bytes:
            detail = (
                f"the annotations of the task would have {size} bytes, more than the "
                f"{self._most_bytes} that are allowed"
            )
            raise Problem(413, "AnnotationsTooLarge", detail, most=self._most_bytes)


def _checked(annotations: Mapping[str, Any]) -> JSONObject:
    try:
        return JSONObject(annotations, "$.annotations")
    except ValueError as error:
        raise Problem(422, "BadBody", str(error), member="annotations") from error


def _size(annotations: Mapping[str, Any]) -> int:
    return len(orjson.dumps(annotations))
