"""Records and payloads that together make every common guard say yes and no."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve

from ..errors import LifecycleViolation
from ..statemachine import ContentType, Edge, HistoryEntry, Lifecycle, Task

#: A record, and the payload of an event that is sent to it.
Candidate = tuple[Task, Mapping[str, Any]]

_SHA1 = "a9993e364706816aba3e25717850c26c9cd0d89d"  # of b"abc"
_PAYLOADS: tuple[Mapping[str, Any], ...] = (
    {},
    {"size": 1},
    {"size": 3, "sha1": _SHA1},
    {"size": 3, "sha1": "0" * 40},
    {"size": 4, "sha1": _SHA1},
    {"attempts_limit": 1},
)


def candidates(
    lifecycle: Lifecycle, state: str, given: Sequence[Candidate], record: Task | None = None
) -> list[Candidate]:
    """For a state: one try for each combination of what its guards say, and the given ones.

    Of `record` alone, with many payloads, if it is given.

    Raises:
        LifecycleViolation: A guard raised.
    """
    guarded = [edge for edge in lifecycle.edges_from(state) if edge.guard is not None]
    records = [record] if record is not None else list(_records(lifecycle, state))
    tried = [(task, payload) for task in records for payload in _PAYLOADS]
    own = [(task, payload) for task, payload in given if task.state == state]
    chosen: dict[tuple[bool, ...], Candidate] = {}
    for task, payload in own + tried if record is None else tried + own:
        verdict = tuple(ask(edge, task, payload) for edge in guarded)
        chosen.setdefault(verdict, (task, payload))
    extra = own if record is None else []
    return [*chosen.values(), *(one for one in extra if one not in chosen.values())]


def ask(edge: Edge, task: Task, payload: Mapping[str, Any]) -> bool:
    """What the edge's guard says; it gets a payload of its own."""
    assert edge.guard is not None
    try:
        return bool(edge.guard(task, dict(payload)))
    except Exception as error:
        raise LifecycleViolation(
            f"event {edge.event!r} in state {edge.source!r}",
            f"the guard {edge.guard_name} must say yes or no, but raised {error!r}",
            (str(edge), f"payload {dict(payload)}"),
        ) from error


def seeds(lifecycle: Lifecycle, given: Sequence[Candidate]) -> list[Task]:
    """Where walks begin: new tasks of all kinds, and the given ones where they stand."""
    new = [
        _record(lifecycle.initial, content_type, *flags)
        for content_type in ContentType
        for flags in itertools.product((False, True), repeat=2)
    ]
    return new + [task for task, _ in given]


def _records(lifecycle: Lifecycle, state: str) -> Iterator[Task]:
    if state == lifecycle.initial:
        yield from seeds(lifecycle, ())
        return
    sources = {edge.source: edge.event for edge in lifecycle.edges if edge.target == state}
    for content_type, (source, event), attempts in itertools.product(
        ContentType, sources.items(), (0, 1, 2, 3)
    ):
        entry = HistoryEntry(1.0, event, source, state)
        for flags in itertools.product((False, True), repeat=2):
            task = _record(state, content_type, *flags)
            yield evolve(task, history=(entry,), attempts=attempts, initialization_time=1)


def _record(state: str, content_type: str, trigger_import: bool, include_artwork: bool) -> Task:
    return Task(
        id="proof",
        state=state,
        content_type=str(content_type),
        trigger_import=trigger_import,
        include_artwork=include_artwork,
        file_size=3,
        offset=0,
        source_checksum=_SHA1,
    )
