"""Paths that together take every edge, cut at every save and restarted from the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from ..errors import LifecycleViolation, MusicTasksError
from ..statemachine import Edge, Lifecycle, Role, Task
from .bench import Bench, way_to
from .candidates import Candidate, ask, candidates, declared, seeds

#: What the engine fires by itself: refused, the task would be stuck.
_OWN_EVENTS = {
    Role.QUEUED: ("begin",),
    Role.WORKING: ("succeed", "fail", "reject", "recover"),
    Role.PASSING: ("remove",),
    Role.REMOVING: ("forget",),
}

Step = tuple[str, Mapping[str, Any]]


@frozen
class Walk:
    """A walk: where it begins, the events with their payloads, and the edges they take."""

    start: Task
    steps: tuple[Step, ...] = ()
    taken: tuple[Edge, ...] = ()

    def shown(self) -> tuple[str, ...]:
        return tuple(map(str, self.taken))


def covering_paths(bench: Bench, given: Sequence[Candidate]) -> list[Walk]:
    """A few of the shortest paths that together take every edge.

    Raises:
        LifecycleViolation: An edge is taken by no record, or a state that is reached refuses
            what the engine does there.
    """
    lifecycle = bench.lifecycle
    found = _explore(bench, given)
    for edge in lifecycle.edges:
        if edge not in found:
            asked = edge.guard_name or "no earlier guard"
            raise LifecycleViolation(
                f"event {edge.event!r} in state {edge.source!r}",
                f"not reached: give a task for which {asked} is true",
                (*way_to(lifecycle, edge.source), str(edge)),
            )
    chosen: list[Walk] = []
    covered: set[Edge] = set()
    for walk in sorted(found.values(), key=lambda walk: -len(walk.steps)):
        if not covered.issuperset(walk.taken):
            covered.update(walk.taken)
            chosen.append(walk)
    return chosen


def _explore(bench: Bench, given: Sequence[Candidate]) -> dict[Edge, Walk]:
    """For each edge the shortest path that takes it, breadth first."""
    machine = bench.make_machine(bench.lifecycle)
    found: dict[Edge, Walk] = {}
    ahead = [(Walk(task), task) for task in seeds(bench.lifecycle, given)]
    seen = {_kind(task) for _, task in ahead}
    while ahead:
        following: list[tuple[Walk, Task]] = []
        for walk, task in ahead:
            never_stuck(bench.lifecycle, walk, task)
            for longer, payload in _steps(bench.lifecycle, walk, task, given):
                found.setdefault(longer.taken[-1], longer)
                event = longer.steps[-1][0]
                after = machine.send(task, event, now=1.0, payload=payload)
                if (kind := _kind(after)) not in seen:
                    seen.add(kind)
                    following.append((longer, after))
        ahead = following
    return found


def _steps(
    lifecycle: Lifecycle, walk: Walk, task: Task, given: Sequence[Candidate]
) -> list[tuple[Walk, Mapping[str, Any]]]:
    """The walk with one step more, for each edge that this task can take."""
    own = [(task, payload) for _, payload in given]
    longer: dict[Edge, tuple[Walk, Mapping[str, Any]]] = {}
    for _, payload in candidates(lifecycle, task.state, own, task):
        for event in lifecycle.events_from(task.state):
            edge = declared(lifecycle, task, event, payload)
            if edge is not None and edge not in longer:
                steps = (*walk.steps, (event, payload))
                longer[edge] = Walk(walk.start, steps, (*walk.taken, edge)), payload
    return list(longer.values())


def never_stuck(lifecycle: Lifecycle, walk: Walk, task: Task) -> None:
    """Raises LifecycleViolation if guards refuse all that the engine does in the task's state."""
    for event in _OWN_EVENTS.get(lifecycle.role(task.state), ()):
        edges = lifecycle.edges_from(task.state, event)
        if edges and all(edge.guard and not ask(edge, task, {}) for edge in edges):
            names = ", ".join(str(edge.guard_name) for edge in edges)
            raise LifecycleViolation(
                f"event {event!r} in state {task.state!r}",
                f"refused by {names}, so the task is stuck: the last edge needs no guard",
                (*walk.shown(), *map(str, edges)),
            )


def _kind(task: Task) -> str:
    """What guards may ask for: two tasks alike in it count as one when exploring."""
    alike = evolve(task, history=(), initialization_time=None, update_time=None)
    return f"{task.came_from} {alike}"


def prove_path(bench: Bench, walk: Walk) -> int:
    """Walks a path once for each of its saves, cut before and after it; returns the cuts."""
    total = sum(edge.stored for edge in walk.taken)
    for cut in range(total):
        for when in ("before", "after"):
            _cut(bench, walk, cut, when)
    return 2 * total


class _Cut(BaseException):
    """Stands for a killed process."""


def _cut(bench: Bench, walk: Walk, cut: int, when: str) -> None:
    """Kills the run at one save, restarts from the disk, and goes on to the end."""
    bench.put(walk.start)
    where = f"cut {when} save {cut + 1} of a path of {len(walk.steps)} events"
    lifecycle = bench.lifecycle
    machine = bench.make_machine(lifecycle, save=_cutting(bench, cut, when), entered=bench.entered)
    task, target = walk.start, walk.start.state
    for (event, payload), edge in zip(walk.steps, walk.taken, strict=True):
        target = edge.target or task.state
        try:
            task = machine.send(task, event, now=1.0, payload=dict(payload))
        except _Cut:
            break
        except LifecycleViolation as error:
            raise LifecycleViolation(error.where, error.reason, walk.shown()) from error
        if task.state != target:
            raise LifecycleViolation(where, f"{edge} led to {task.state!r}", walk.shown())
    expected = target if when == "after" else task.state
    if expected not in lifecycle.storable:
        if bench.content():
            raise LifecycleViolation(where, f"a file in state {expected!r}", walk.shown())
        return  # never made, or removed: there is nothing to go on with
    try:
        found = bench.load(walk.start.id)
        if found.state != expected:
            reason = f"{found.state!r}, not {expected!r}, is stored"
            raise LifecycleViolation(where, reason, walk.shown())
        go_on(bench, found)
    except (MusicTasksError, OSError) as error:
        raise LifecycleViolation(where, f"it cannot go on: {error}", walk.shown()) from error


def _cutting(bench: Bench, cut: int, when: str) -> Callable[[Task, Any], None]:
    count = 0

    def save(task: Task, _subject: Any) -> None:
        nonlocal count
        count += 1
        if count == cut + 1 and when == "before":
            raise _Cut
        bench.save(task)
        if count == cut + 1:
            raise _Cut

    return save


def go_on(bench: Bench, task: Task) -> None:
    """What the engine does with a loaded task, then the shortest way out, all on disk."""
    lifecycle = bench.lifecycle
    if lifecycle.role(task.state) is Role.WORKING:
        task = bench.machine.send(task, "recover", now=2.0)
    if lifecycle.role(task.state) is Role.QUEUED:
        task = bench.machine.send(task, "begin", now=2.0)
        task = bench.machine.send(task, "succeed", now=2.0)
    if task.state != lifecycle.removing:
        task = bench.machine.send(task, "remove", now=2.0)
    task = bench.machine.send(task, "forget", now=2.0)
    if bench.content():
        raise LifecycleViolation(f"state {task.state!r}", "its file is still there", ())
