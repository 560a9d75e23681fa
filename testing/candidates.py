"""Records and payloads that together make every common guard say yes and no."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import LifecycleViolation
from ..statemachine import Edge, HistoryEntry, Lifecycle, Task
from .values import SHA1, variants

#: A record, and the payload of an event that is sent to it.
Candidate = tuple[Task, Mapping[str, Any]]

_PAYLOADS: tuple[Mapping[str, Any], ...] = (
    {},
    {"size": 1},
    {"size": 3, "sha1": SHA1},
    {"size": 3, "sha1": "0" * 40},
    {"size": 4, "sha1": SHA1},
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
    records = [record] if record is not None else _records(lifecycle, state)
    # Where no guard asks for anything, one record is as good as any other.
    asked = records if guarded else itertools.islice(records, 1)
    tried = ((task, payload) for task in asked for payload in _PAYLOADS)
    own = [(task, payload) for task, payload in given if task.state == state]
    in_order: Iterable[Candidate] = itertools.chain(own, tried)
    if record is not None:
        in_order = itertools.chain(tried, own)
    chosen: dict[tuple[bool, ...], Candidate] = {}
    for task, payload in in_order:
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


def declared(
    lifecycle: Lifecycle, task: Task, event: str, payload: Mapping[str, Any]
) -> Edge | None:
    """The edge that the declaration allows; None where it allows none.

    Read from the declaration alone: a proof that asked the machine would believe whatever it does.
    """
    for edge in lifecycle.edges_from(task.state, event):
        if edge.guard is None or edge.guard(task, payload):
            return edge
    return None


def seeds(lifecycle: Lifecycle, given: Sequence[Candidate]) -> list[Task]:
    """Where walks begin: new tasks of all kinds, and the given ones where they stand."""
    new = [_record(lifecycle, lifecycle.initial, values) for values in variants(lifecycle.record)]
    return new + [task for task, _ in given]


def _records(lifecycle: Lifecycle, state: str) -> Iterator[Task]:
    if state == lifecycle.initial:
        yield from seeds(lifecycle, ())
        return
    sources = {edge.source: edge.event for edge in lifecycle.edges if edge.target == state}
    for values, (source, event), attempts in itertools.product(
        variants(lifecycle.record), sources.items(), (0, 1, 2, 3)
    ):
        entry = HistoryEntry(1.0, event, source, state)
        yield _record(
            lifecycle, state, values, history=(entry,), attempts=attempts, initialization_time=1
        )


def _record(lifecycle: Lifecycle, state: str, values: Mapping[str, Any], **more: Any) -> Task:
    return lifecycle.record(id="proof", state=state, **values, **more)
