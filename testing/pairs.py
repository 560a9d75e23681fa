"""Every pair of a state and an event, tried on a bench."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from ..errors import IllegalTransition, LifecycleViolation
from ..statemachine import Edge, Lifecycle, Task
from .bench import Bench, way_to
from .candidates import Candidate, candidates, declared


@frozen
class Try:
    """One event sent to one record."""

    lifecycle: Lifecycle
    task: Task
    event: str
    payload: Mapping[str, Any]

    def violation(self, reason: str) -> LifecycleViolation:
        state = self.task.state
        edges = self.lifecycle.edges_from(state, self.event)
        there = [str(edge) for edge in edges] or [f"{state} --{self.event}--> (not declared)"]
        path = (*way_to(self.lifecycle, state), *there)
        return LifecycleViolation(f"event {self.event!r} in state {state!r}", reason, path)


@frozen
class Counts:
    """How many pairs there were, and what came of the tries."""

    pairs: int
    legal: int
    refused: int


def prove_pairs(bench: Bench, given: Sequence[Candidate]) -> Counts:
    """Tries every pair, each with records for every combination of what the guards say.

    Raises:
        LifecycleViolation: The machine does not do what is declared.
    """
    lifecycle = bench.lifecycle
    taken: list[bool] = []
    pairs = 0
    for state in lifecycle.states:
        tried = candidates(lifecycle, state.name, given)
        for event in lifecycle.events:
            pairs += 1
            taken += [_prove(bench, Try(lifecycle, *one_of(one, event))) for one in tried]
        for event in _undeclared(lifecycle):
            _prove(bench, Try(lifecycle, *one_of(tried[0], event)))
    return Counts(pairs, taken.count(True), taken.count(False))


def one_of(candidate: Candidate, event: str) -> tuple[Task, str, Mapping[str, Any]]:
    return candidate[0], event, candidate[1]


def _undeclared(lifecycle: Lifecycle) -> list[str]:
    """Events that nobody declared; `to_...` are those that `transitions` makes if one lets it."""
    made = ["an_event_that_nobody_declared", *(f"to_{state.name}" for state in lifecycle.states)]
    return [event for event in made if event not in lifecycle.events]


def _prove(bench: Bench, one: Try) -> bool:
    """One try; True if the declaration allows it."""
    edge = _judge(one)
    bench.put(one.task)
    before, copy = bench.content(), evolve(one.task)
    asked = _asked(bench, one, copy, before)
    try:
        after = bench.machine.send(one.task, one.event, now=1.0, payload=dict(one.payload))
    except IllegalTransition as error:
        if edge is not None:
            raise one.violation(f"declared, but refused: {error}") from error
        _untouched(bench, one, copy, before, "refused")
        _agrees(one, asked, edge)
        return False
    except LifecycleViolation as error:
        raise one.violation(error.reason) from error
    except Exception as error:
        raise one.violation(f"the machine raised {error!r}") from error
    if edge is None:
        raise one.violation(f"not declared for this record, but it led to {after.state!r}")
    _moved(bench, one, after, edge, before)
    _agrees(one, asked, edge)
    return True


def _asked(bench: Bench, one: Try, copy: Task, before: Mapping[str, bytes]) -> Edge | None:
    """The edge that the machine says it would take; nothing has happened then."""
    try:
        asked = bench.machine.edge_taken(one.task, one.event, dict(one.payload))
    except Exception as error:
        raise one.violation(f"asked for the edge, the machine raised {error!r}") from error
    _untouched(bench, one, copy, before, "only asked for the edge")
    return asked


def _agrees(one: Try, asked: Edge | None, edge: Edge | None) -> None:
    if asked != edge:
        raise one.violation(f"asked for the edge, the machine says {asked}, and takes {edge}")


def _judge(one: Try) -> Edge | None:
    """The edge that the declaration allows; its guards must be pure."""
    copy, payload = evolve(one.task), dict(one.payload)
    verdicts = [declared(one.lifecycle, one.task, one.event, payload) for _ in range(2)]
    names = [e.guard_name for e in one.lifecycle.edges_from(one.task.state, one.event) if e.guard]
    guards = f"the guard {' or '.join(map(str, names))}"
    if verdicts[0] is not verdicts[1]:
        raise one.violation(f"{guards} says yes and no to the same record")
    if one.task != copy or payload != dict(one.payload):
        raise one.violation(f"{guards} changes the record or the payload")
    return verdicts[0]


def _untouched(bench: Bench, one: Try, copy: Task, before: Mapping[str, bytes], when: str) -> None:
    for wrong, what in (
        (one.task != copy, "the record changed"),
        (bench.content() != before, "the task's file changed"),
        (bench.saves > 0, "it was saved"),
        (bool(bench.told), f"{bench.told} was told"),
    ):
        if wrong:
            raise one.violation(f"{when}, and yet {what}")


def _moved(bench: Bench, one: Try, after: Task, edge: Edge, before: Mapping[str, bytes]) -> None:
    target = edge.target or one.task.state
    told = [] if edge.target is None else [target]
    wrong = None
    if after.state != target:
        wrong = f"it led to {after.state!r}, not to {target!r}"
    elif bench.told != told:
        wrong = f"told were {bench.told}, not {told}"
    elif not edge.stored and (bench.saves or bench.content() != before):
        wrong = "declared as not stored, but it was saved"
    elif edge.stored and bench.saves != 1:
        wrong = f"saved {bench.saves} times, not once"
    elif edge.stored and target in bench.lifecycle.storable and bench.load(one.task.id) != after:
        wrong = "the file does not give the record back"
    elif edge.target is not None and not _entry_is_right(one, after, edge):
        wrong = f"the history ends with {after.history[-1:]}"
    if wrong:
        raise one.violation(wrong)


def _entry_is_right(one: Try, after: Task, edge: Edge) -> bool:
    entries = [(e.source, e.event, e.target) for e in after.history[-1:]]
    return entries == [(one.task.state, edge.event, edge.target)]
