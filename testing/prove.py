"""The proof of a lifecycle: every pair, edge and cut, on the real machine and a real store."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

from ..errors import IllegalTransition, LifecycleViolation, MusicTasksError
from ..files import Directory
from ..persistence import TaskFile, TaskStore, make_converter
from ..statemachine import Edge, Handler, Lifecycle, Role, Task, TaskMachine
from .candidates import Candidate, candidates, seeds
from .handling import prove_handlers

#: An event that no lifecycle declares.
_UNDECLARED = "an_event_that_nobody_declared"


@frozen
class Report:
    """What `prove` tried, and what came of it."""

    #: Pairs of state and event that were tried.
    pairs: int
    #: Tries in which an edge was taken, as declared.
    legal: int
    #: Tries that were refused, with nothing changed.
    refused: int
    edges_covered: int
    edges_total: int
    #: Paths that were walked from the beginning, or from a given task, and their steps.
    paths: int
    #: Restarts in the middle of those paths, one before and one after each save.
    cuts: int
    #: Runs of handlers, each twice from the same record.
    handlers: int = 0

    def __str__(self) -> str:
        percent = 100 * self.edges_covered / self.edges_total
        lines = [
            f"{self.pairs} pairs of state and event: {self.legal} tries legal, "
            f"{self.refused} refused",
            f"{self.edges_covered} of {self.edges_total} edges taken ({percent:.0f} %), "
            f"on {self.paths} paths",
            f"{self.cuts} cuts: the task went on after each",
        ]
        if self.handlers:
            lines.append(f"{self.handlers} runs of handlers: the second as the first")
        return "\n".join(lines)


def prove(
    lifecycle: Lifecycle,
    *,
    tasks: Iterable[Task | tuple[Task, Mapping[str, Any]]] = (),
    handlers: Mapping[str, Handler] | None = None,
    directories: Iterable[Path] = (),
) -> Report:
    """Proves that nothing illegal can happen in a lifecycle, and that no task gets stuck.

    Every pair of state and event is tried on the real machine with a real store: a declared edge
    is taken when its guard allows it; every other pair raises, and then the task, the bytes of
    its file and the notifications are untouched. Then paths that together take every edge are
    walked, cut at each save and restarted from what is on disk: the task must be able to go on.

    Args:
        lifecycle: What to prove.
        tasks: Records, or pairs of a record and an event's payload, for guards that ask for
            something special; each in the state where it is to be tried.
        handlers: By the name of their stage. Each runs twice from the same record (a given one
            in the stage's working state, else a generated one) and must give the same outcome
            and the same files.
        directories: Where handlers make files, besides the paths that they hold as attributes.

    Raises:
        LifecycleViolation: What is wrong, at which pair, and the path to it.
        LifecycleError: The lifecycle is not whole.
    """
    lifecycle.check()
    given = [task if isinstance(task, tuple) else (task, {}) for task in tasks]
    with tempfile.TemporaryDirectory(prefix="musictasks-prove-") as directory:
        bench = Bench(lifecycle, Path(directory))
        pairs, legal, refused = _prove_pairs(bench, given)
        paths = _covering_paths(lifecycle, given)
        cuts = sum(_prove_path(bench, path) for path in paths)
    runs = prove_handlers(lifecycle, handlers or {}, [task for task, _ in given], directories)
    total = len(lifecycle.edges)
    return Report(pairs, legal, refused, total, total, len(paths), cuts, runs)


@define(eq=False)
class Bench:
    """A real store and a real machine, and what they saw of one task."""

    lifecycle: Lifecycle
    directory: Path
    #: The states that were told, and what the file said at that moment.
    told: list[str] = field(factory=list, init=False)
    saves: int = field(default=0, init=False)
    _store: TaskStore = field(init=False)
    _file: TaskFile | None = field(default=None, init=False)
    machine: TaskMachine = field(init=False)

    def __attrs_post_init__(self) -> None:
        converter = make_converter(self.lifecycle)
        self._store = TaskStore(Directory(self.directory, durable=False), converter)
        self.machine = TaskMachine(self.lifecycle, save=self.save, entered=self.entered)

    def put(self, task: Task) -> None:
        """Begins with this record, on disk unless it is one that never is."""
        for path in self.directory.iterdir():
            path.unlink()
        self.told.clear()
        self.saves = 0
        self._file = self._store.task_file(task.id)
        if task.state in self.lifecycle.storable:
            self._file.create(task)

    def content(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.directory.iterdir()}

    def load(self, task_id: str) -> Task:
        """What a restart finds."""
        self._file, task = self._store.load(task_id)
        return task

    def save(self, task: Task) -> None:
        assert self._file is not None
        self.saves += 1
        if task.state == self.lifecycle.gone:
            self._file.delete()
        elif self._store.exists(task.id):
            self._file.save(task)
        else:
            self._file.create(task)

    def entered(self, task: Task, edge: Edge) -> None:
        if task.state == self.lifecycle.gone:
            on_disk = task.state if not self._store.exists(task.id) else "still there"
        else:
            on_disk = self._store.load(task.id)[1].state
        if on_disk != task.state:
            raise LifecycleViolation(
                f"{edge}", "the state was told before it was on disk", (str(edge),)
            )
        self.told.append(task.state)


# -- pairs ----------------------------------------------------------------------------------


def _prove_pairs(bench: Bench, given: Sequence[Candidate]) -> tuple[int, int, int]:
    lifecycle = bench.lifecycle
    pairs = legal = refused = 0
    for state in lifecycle.states:
        tried = candidates(lifecycle, state.name, given)
        for event in (*lifecycle.events, _UNDECLARED):
            pairs += 1
            for task, payload in tried:
                if _prove_pair(bench, task, event, payload):
                    legal += 1
                else:
                    refused += 1
    return pairs, legal, refused


def _prove_pair(bench: Bench, task: Task, event: str, payload: Mapping[str, Any]) -> bool:
    """One try; True if the declaration allows it."""
    where = f"event {event!r} in state {task.state!r}"
    edge = _judge(bench.lifecycle, task, event, payload, where)
    bench.put(task)
    before, copy = bench.content(), evolve(task)
    try:
        after = bench.machine.send(task, event, now=1.0, payload=payload)
    except IllegalTransition as error:
        if edge is not None:
            reason = f"declared, but refused: {error}"
            raise LifecycleViolation(where, reason, (str(edge),)) from error
        _untouched(bench, task, copy, before, where)
        return False
    if edge is None:
        raise LifecycleViolation(
            where, f"not declared, but it led to {after.state!r}", (f"{task.state} --{event}-->",)
        )
    _moved(bench, task, after, edge, before, where)
    return True


def _judge(
    lifecycle: Lifecycle, task: Task, event: str, payload: Mapping[str, Any], where: str
) -> Edge | None:
    """The edge that the declaration allows; its guards must be pure."""
    copy, given = evolve(task), dict(payload)
    verdicts = [lifecycle.edge_taken(task, event, payload) for _ in range(2)]
    if verdicts[0] is not verdicts[1]:
        raise LifecycleViolation(where, "a guard says yes and no to the same record", ())
    if task != copy or dict(payload) != given:
        raise LifecycleViolation(where, "a guard changes the record or the payload", ())
    return verdicts[0]


def _untouched(
    bench: Bench, task: Task, copy: Task, before: Mapping[str, bytes], where: str
) -> None:
    for wrong, what in (
        (task != copy, "the record changed"),
        (bench.content() != before, "the task's file changed"),
        (bool(bench.told), f"{bench.told} was told"),
    ):
        if wrong:
            raise LifecycleViolation(where, f"refused, and yet {what}", (where,))


def _moved(
    bench: Bench, task: Task, after: Task, edge: Edge, before: Mapping[str, bytes], where: str
) -> None:
    target = edge.target or task.state
    told = [] if edge.target is None else [target]
    wrong = None
    if after.state != target:
        wrong = f"it led to {after.state!r}, not to {target!r}"
    elif bench.told != told:
        wrong = f"told were {bench.told}, not {told}"
    elif not edge.stored and bench.content() != before:
        wrong = "declared as not stored, but its file changed"
    elif edge.stored and bench.saves != 1:
        wrong = f"saved {bench.saves} times"
    elif edge.stored and target in bench.lifecycle.storable and bench.load(task.id) != after:
        wrong = "the file does not give the record back"
    elif edge.target is not None and after.history[-1].target != after.state:
        wrong = "the history does not lead to the state"
    if wrong:
        raise LifecycleViolation(where, wrong, (str(edge),))


# -- paths ----------------------------------------------------------------------------------

Step = tuple[str, Mapping[str, Any]]


@frozen
class Walk:
    """A walk: where it begins, and the events with their payloads."""

    start: Task
    steps: tuple[Step, ...] = ()
    taken: tuple[Edge, ...] = ()


def _covering_paths(lifecycle: Lifecycle, given: Sequence[Candidate]) -> list[Walk]:
    """The fewest of the shortest paths that together take every edge."""
    found = _explore(lifecycle, given)
    missing = [edge for edge in lifecycle.edges if edge not in found]
    if missing:
        edge = missing[0]
        asked = edge.guard_name or "no earlier guard"
        raise LifecycleViolation(
            f"edge {edge}",
            f"not reached: give a task for which {asked} is true",
            (f"{edge.source} --{edge.event}-->",),
        )
    chosen: list[Walk] = []
    covered: set[int] = set()
    for path in sorted(found.values(), key=lambda path: -len(path.steps)):
        if not {id(edge) for edge in path.taken} <= covered:
            covered.update(id(edge) for edge in path.taken)
            chosen.append(path)
    return chosen


def _explore(lifecycle: Lifecycle, given: Sequence[Candidate]) -> dict[Edge, Walk]:
    """For each edge the shortest path that takes it, breadth first."""
    machine = TaskMachine(lifecycle)
    found: dict[Edge, Walk] = {}
    ahead = [(Walk(task), task) for task in seeds(lifecycle, given)]
    seen = {_kind(task) for _, task in ahead}
    while ahead and len(found) < len(lifecycle.edges):
        following: list[tuple[Walk, Task]] = []
        for path, task in ahead:
            own = [(task, payload) for _, payload in given]
            for _, payload in candidates(lifecycle, task.state, own, task):
                for event in lifecycle.events_from(task.state):
                    edge = lifecycle.edge_taken(task, event, payload)
                    if edge is None:
                        continue
                    steps = (*path.steps, (event, payload))
                    longer = Walk(path.start, steps, (*path.taken, edge))
                    found.setdefault(edge, longer)
                    after = machine.send(task, event, now=1.0, payload=payload)
                    if _kind(after) not in seen:
                        seen.add(_kind(after))
                        following.append((longer, after))
        ahead = following
    return found


def _kind(task: Task) -> tuple[object, ...]:
    """What guards commonly ask for: two tasks alike in it count as one when exploring."""
    return (
        task.state,
        task.content_type,
        task.trigger_import,
        task.include_artwork,
        task.attempts,
        task.came_from,
        repr(sorted(task.annotations)),
    )


def _prove_path(bench: Bench, path: Walk) -> int:
    """Walks a path once for each of its saves, cut before and after it; returns the cuts."""
    total = sum(edge.stored for edge in path.taken)
    for cut in range(total):
        for when in ("before", "after"):
            _cut(bench, path, cut, when)
    return 2 * total


class _Cut(Exception):
    """Stands for a killed process."""


def _cut(bench: Bench, path: Walk, cut: int, when: str) -> None:
    """Kills the run at one save, restarts from the disk, and goes on to the end."""
    bench.put(path.start)
    shown = tuple(str(edge) for edge in path.taken)
    where = f"cut {when} save {cut + 1} of a path of {len(path.steps)} events"
    machine = TaskMachine(bench.lifecycle, save=_cutting(bench, cut, when), entered=bench.entered)
    task, target = path.start, path.start.state
    for (event, payload), edge in zip(path.steps, path.taken, strict=True):
        try:
            task = machine.send(task, event, now=1.0, payload=payload)
        except _Cut:
            target = edge.target or task.state
            break
    expected = target if when == "after" else task.state
    if expected not in bench.lifecycle.storable:
        if bench.content():
            raise LifecycleViolation(where, f"a file in state {expected!r}", shown)
        return  # never made, or removed: there is nothing to go on with
    try:
        found = bench.load(path.start.id)
        if found.state != expected:
            raise LifecycleViolation(where, f"{found.state!r}, not {expected!r}, is stored", shown)
        _go_on(bench, found)
    except (MusicTasksError, OSError) as error:
        raise LifecycleViolation(where, f"it cannot go on: {error}", shown) from error


def _cutting(bench: Bench, cut: int, when: str) -> Callable[[Task], None]:
    count = 0

    def save(task: Task) -> None:
        nonlocal count
        count += 1
        if count == cut + 1 and when == "before":
            raise _Cut
        bench.save(task)
        if count == cut + 1:
            raise _Cut

    return save


def _go_on(bench: Bench, task: Task) -> None:
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
