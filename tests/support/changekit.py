"""Random lifecycles, and random changes of them, as plain plans from which they are built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, evolve, field, frozen
from hypothesis import strategies as st
from musictasks.statemachine import (
    Edge,
    Guard,
    Lifecycle,
    Role,
    Stage,
    StateSpec,
    Target,
    Task,
    bare_lifecycle,
)


@frozen(kw_only=True)
class Slip(Task):
    """A record that guards can tell apart."""

    urgent: bool = False


def is_urgent(task: Slip, payload: Mapping[str, Any]) -> bool:
    return task.urgent


def is_signed(task: Slip, payload: Mapping[str, Any]) -> bool:
    return bool(payload.get("signed"))


def _other_code() -> Guard:
    """A guard of the same name that says the contrary, as a later version may have it."""

    def is_urgent(task: Slip, payload: Mapping[str, Any]) -> bool:
        return not task.urgent

    return is_urgent


def _same_code() -> Guard:
    """What another version of a module has: another function of the same code."""

    def is_urgent(task: Slip, payload: Mapping[str, Any]) -> bool:
        return task.urgent

    return is_urgent


GUARDS: tuple[Guard | None, ...] = (None, is_urgent, is_signed, _other_code(), _same_code())
ROLES = (Role.WAITING, Role.WAITING, Role.FINISHED, Role.FAILED, Role.PASSING)
EVENTS = ("go", "turn")


@define
class Plan:
    """What a lifecycle is built from; what does not fit together is left out of it."""

    #: By name: the role, and whether it keeps data.
    states: dict[str, tuple[Role, bool | Guard]]
    #: By the name of the work: that of the state it succeeds to, and the stage's own name.
    stages: dict[str, tuple[str, str]]
    #: Event, source, target (None: internal), guard.
    edges: list[tuple[str, str, str | None, Guard | None]]
    renamed: dict[str, str] = field(factory=dict)

    @property
    def names(self) -> list[str]:
        """All states that a task can rest in."""
        own = (name for work in self.stages for name in (f"to{work}", work, f"{work}failed"))
        return [*self.states, *own]

    def build(self) -> Lifecycle:
        built = bare_lifecycle(Slip)
        for name, (role, keeps) in self.states.items():
            built = built.with_state(StateSpec(name, "states", role, keeps_data=keeps))
        first = next(iter(self.states))
        for work, (target, name) in self.stages.items():
            built = built.with_stage(
                Stage(
                    name,
                    group="stages",
                    queued=f"to{work}",
                    working=work,
                    succeeded=Target(target if target in self.states else first),
                    failed=f"{work}failed",
                )
            )
        for event, source, target, guard in self.edges:
            fits = source in self.names and (target is None or target in self.names)
            before = built.edges_from(source, event) if fits else ()
            guards = [edge.guard for edge in before]
            if fits and None not in guards and guard not in guards:
                edge = Edge(event=event, source=source, target=target, guard=guard)
                built = built.with_edge(edge)
        for name in self.names:
            built = built.with_edge(Edge(event=f"make_{name}", source="unmade", target=name))
        fitting = {
            old: now
            for old, now in self.renamed.items()
            if now in self.names and old not in self.names
        }
        return evolve(built.with_renamed(fitting), draft=False)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A random lifecycle."""
    states = [f"rest{number}" for number in range(draw(st.integers(2, 3)))]
    works = [f"work{number}" for number in range(draw(st.integers(0, 1)))]
    plan = Plan(
        states={name: draw(_states()) for name in states},
        stages={work: (draw(st.sampled_from(states)), f"stage {work}") for work in works},
        edges=[],
    )
    plan.edges = draw(st.lists(_edges(plan.names), min_size=3, max_size=8))
    return plan


def _states() -> st.SearchStrategy[tuple[Role, bool | Guard]]:
    return st.tuples(st.sampled_from(ROLES), st.sampled_from((True, True, False, is_urgent)))


def _edges(
    names: list[str],
) -> st.SearchStrategy[tuple[str, str, str | None, Guard | None]]:
    some = st.sampled_from(names)
    return st.tuples(st.sampled_from(EVENTS), some, st.none() | some, st.sampled_from(GUARDS))


def changed(draw: st.DrawFn, plan: Plan) -> Plan:
    """The plan after one to three random changes, of what a new version may change."""
    later = Plan(dict(plan.states), dict(plan.stages), list(plan.edges))
    for _ in range(draw(st.integers(1, 3))):
        draw(st.sampled_from(_CHANGES))(draw, later)
    return later


def _add_state(draw: st.DrawFn, plan: Plan) -> None:
    plan.states[f"late{len(plan.names)}"] = draw(_states())


def _drop_state(draw: st.DrawFn, plan: Plan) -> None:
    if len(plan.states) > 1:
        del plan.states[draw(st.sampled_from(list(plan.states)))]


def _rename_state(draw: st.DrawFn, plan: Plan) -> None:
    old = draw(st.sampled_from(list(plan.states)))
    now = f"{old}x"
    plan.states = {now if name == old else name: spec for name, spec in plan.states.items()}
    plan.stages = {w: (now if t == old else t, name) for w, (t, name) in plan.stages.items()}
    plan.edges = [
        (event, now if source == old else source, now if target == old else target, guard)
        for event, source, target, guard in plan.edges
    ]
    if draw(st.booleans()):
        plan.renamed = {o: now if n == old else n for o, n in plan.renamed.items()} | {old: now}


def _declare_state(draw: st.DrawFn, plan: Plan) -> None:
    plan.states[draw(st.sampled_from(list(plan.states)))] = draw(_states())


def _merge_state(draw: st.DrawFn, plan: Plan) -> None:
    """One state fewer, whose tasks go on in another."""
    if len(plan.states) > 1:
        old = draw(st.sampled_from(list(plan.states)))
        del plan.states[old]
        plan.renamed[old] = draw(st.sampled_from(plan.names))


def _drop_stage(draw: st.DrawFn, plan: Plan) -> None:
    if plan.stages:
        del plan.stages[draw(st.sampled_from(list(plan.stages)))]


def _name_stage(draw: st.DrawFn, plan: Plan) -> None:
    if plan.stages:
        work = draw(st.sampled_from(list(plan.stages)))
        plan.stages[work] = (plan.stages[work][0], f"other {work}")


def _add_edge(draw: st.DrawFn, plan: Plan) -> None:
    at = draw(st.integers(0, len(plan.edges)))
    plan.edges.insert(at, draw(_edges(plan.names)))


def _drop_edge(draw: st.DrawFn, plan: Plan) -> None:
    if plan.edges:
        del plan.edges[draw(st.integers(0, len(plan.edges) - 1))]


def _change_edge(draw: st.DrawFn, plan: Plan) -> None:
    """Its guard or its target."""
    if plan.edges:
        at = draw(st.integers(0, len(plan.edges) - 1))
        event, source, target, guard = plan.edges[at]
        if draw(st.booleans()):
            guard = draw(st.sampled_from(GUARDS))
        else:
            target = draw(st.none() | st.sampled_from(plan.names))
        plan.edges[at] = (event, source, target, guard)


def _turn_edges(draw: st.DrawFn, plan: Plan) -> None:
    plan.edges.reverse()


_CHANGES: tuple[Callable[[st.DrawFn, Plan], None], ...] = (
    _add_state,
    _drop_state,
    _rename_state,
    _rename_state,
    _declare_state,
    _merge_state,
    _drop_stage,
    _name_stage,
    _add_edge,
    *(_drop_edge, _change_edge, _turn_edges) * 3,
)


@st.composite
def changes(draw: st.DrawFn) -> tuple[Lifecycle, Lifecycle]:
    """A random lifecycle, and a random later version of it."""
    plan = draw(plans())
    return plan.build(), changed(draw, plan).build()
