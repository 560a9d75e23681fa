"""The proof that what an older lifecycle has stored goes on in a new one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import evolve

from ..errors import InvalidTaskFile, LifecycleViolation, MusicTasksError
from ..persistence import make_converter
from ..statemachine import Edge, HistoryEntry, Lifecycle, Task, Verdict, compare
from ..statemachine.walks import broken_step
from .bench import Bench, walk_to, way_to
from .candidates import Candidate, candidates, declared
from .paths import Walk, go_on, never_stuck
from .values import single_variants


def prove_upgrade(bench: Bench, old: Lifecycle, given: Sequence[Candidate]) -> int:
    """Lets records in every state of the old machine go on in the new one; returns how many.

    Each is written by the old one, to a real file.

    Raises:
        LifecycleViolation: One does not load, is stuck, or can do nothing but leave, where it could
            do more before.
    """
    count, given = 0, list(given)
    said = compare(old, bench.lifecycle)
    for state in (one.name for one in old.states if one.name in old.storable):
        where = f"state {state!r} of the older lifecycle"
        if said.of(state).verdict is Verdict.REMOVAL:
            could = tuple(map(str, said.of(state).could))
            raise LifecycleViolation(where, str(Verdict.REMOVAL), could)
        own = [one for one in given if type(one[0]) is old.record]
        for record, payload in (*candidates(old, state, own), *_of_all_values(old, state)):
            _goes_on(bench, old, where, (_with_walk(old, record), payload), given)
            count += 1
    return count


def _of_all_values(old: Lifecycle, state: str) -> Iterator[Candidate]:
    """Records that together have every value of each field that is known: all have to load."""
    last = walk_to(old, state)[-1]
    history = (_entry(last.event, last.source, state),)
    for values in single_variants(old.record):
        yield old.record(id="proof", state=state, history=history, **values), {}


def _with_walk(old: Lifecycle, record: Task) -> Task:
    """The record with a whole history, unless a whole one was given."""
    if record.history and broken_step(old, record) is None:
        return record
    last = record.history[-1:]
    entries = []
    for edge in walk_to(old, last[0].source if last else record.state):
        entries.append(_entry(edge.event, edge.source, str(edge.target)))
    return evolve(record, history=(*entries, *last))


def _entry(event: str, source: str, target: str) -> HistoryEntry:
    return HistoryEntry(0.5, event, source, target)


def _goes_on(
    bench: Bench, old: Lifecycle, where: str, one: Candidate, given: list[Candidate]
) -> None:
    """Lets one record go on: load, take new names, recover, begin, end; all on disk."""
    record, lifecycle = one[0], bench.lifecycle
    path = way_to(old, record.state)
    bench.write(record.id, make_converter(old).dump(record))
    try:
        found = bench.load(record.id)
    except InvalidTaskFile as error:
        reason = f"its task does not load: {error.reason}; see `Lifecycle.renamed`"
        raise LifecycleViolation(where, reason, path) from error
    bench.save(found)
    if bench.load(record.id) != found:
        raise LifecycleViolation(where, "its task is another after its first save", path)
    never_stuck(lifecycle, Walk(found), found)
    before, now = _leads_on(old, one, given), _leads_on(lifecycle, (found, one[1]), given)
    if before is not None and now is None:
        reason = (
            f"{before.event!r} led on, and in {found.state!r} nothing but the removal does: "
            "give a task and a payload for which a guard is true"
        )
        ways = tuple(map(str, lifecycle.edges_from(found.state)))
        raise LifecycleViolation(where, reason, (*path, *ways))
    try:
        go_on(bench, found)
    except (MusicTasksError, OSError) as error:
        raise LifecycleViolation(where, f"its task cannot go on: {error}", path) from error


def _leads_on(lifecycle: Lifecycle, one: Candidate, given: list[Candidate]) -> Edge | None:
    """An edge that this record takes to another state than the removal."""
    record = one[0]
    ends = {None, record.state, lifecycle.removing, lifecycle.gone}
    own = [(record, payload) for payload in (one[1], *(payload for _, payload in given))]
    for _, payload in candidates(lifecycle, record.state, own, record):
        for event in lifecycle.events_from(record.state):
            edge = declared(lifecycle, record, event, payload)
            if edge is not None and edge.target not in ends:
                return edge
    return None
