"""Compares two lifecycles: what came, went and changed, and what becomes of stored tasks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import attrs
from attrs import Attribute

from .comparison import Comparison, Difference, Part, Stored, Verdict
from .declaration import Edge, Role, Stage, StateSpec
from .guard_code import same_guard
from .lifecycle import Lifecycle
from .record import Task, file_key

#: What is declared for pictures alone.
_DECORATION = frozenset({"kind", "group"})
#: What an engine does with a task that it finds in a state of this role.
_AT_START = {
    Role.WAITING: "waits for a client",
    Role.PASSING: "is removed at once",
    Role.FINISHED: "rests as finished",
    Role.FAILED: "rests as failed",
    Role.REMOVING: "is removed",
}


def compare(old: Lifecycle, new: Lifecycle) -> Comparison:
    """What is different, and what stored tasks of the old machine can do in the new one.

    States are the same by their names, those that `new.renamed` names by it. Guards are the same
    by their names and their code, so that the two may come from two versions of a module.

    Raises:
        LifecycleError: One of the two is not whole.
    """
    old.check()
    new.check()
    states = _states(old, new)
    edges = _edges(old, new)
    stages = _stages(old, new)
    return Comparison(
        before=old,
        now=new,
        states=states,
        edges=edges,
        stages=stages,
        record=_fields(old.record, new.record),
        stored=tuple(
            _stored(old, new, part, edges)
            for part in states
            if part.before is not None and part.before.name in old.storable
        ),
    )


# -- states, stages, fields -----------------------------------------------------------------


def _states(old: Lifecycle, new: Lifecycle) -> tuple[Part[StateSpec], ...]:
    parts = []
    for state in old.states:
        name = new.today(state.name)
        now = new.state(name) if name in new else None
        differences = () if now is None else _declared(state, now)
        parts.append(Part(before=state, now=now, differences=differences))
    known = {new.today(state.name) for state in old.states}
    came = [Part(before=None, now=state) for state in new.states if state.name not in known]
    return (*parts, *came)


def _stages(old: Lifecycle, new: Lifecycle) -> tuple[Part[Stage], ...]:
    """By their working states. What else is declared of a stage, its edges show."""
    parts = []
    for stage in old.stages:
        now = new.stage_of(new.today(stage.working))
        differences = [] if now is None else _different("name", stage.name, now.name)
        if now is not None:
            differences += _different("queued", new.today(stage.queued), now.queued)
        parts.append(Part(before=stage, now=now, differences=tuple(differences)))
    known = {new.today(stage.working) for stage in old.stages}
    came = [Part(before=None, now=stage) for stage in new.stages if stage.working not in known]
    return (*parts, *came)


def _fields(old: type[Task], new: type[Task]) -> tuple[Part[Attribute[Any]], ...]:
    """By their keys: a field that has another name in Python is the same in the files."""
    before, now = ({file_key(item): item for item in _of(record)} for record in (old, new))
    parts = []
    for key, item in before.items():
        other = now.get(key)
        differences = [] if other is None else _field_differences(item, other)
        parts.append(Part(before=item, now=other, differences=tuple(differences)))
    came = [Part(before=None, now=item) for key, item in now.items() if key not in before]
    return (*parts, *came)


def _of(record: type[Task]) -> tuple[Attribute[Any], ...]:
    # A class of a function has names that nobody else can resolve: then its types are texts.
    with suppress(NameError):
        attrs.resolve_types(record)
    return attrs.fields(record)


def _field_differences(old: Attribute[Any], new: Attribute[Any]) -> list[Difference]:
    found = _different("type", _type(old.type), _type(new.type))
    for what in ("path", "count", "editable"):
        found += _different(what, _said(old, what), _said(new, what))
    if not isinstance(old.default, attrs.Factory):  # pyright: ignore[reportArgumentType]
        found += _different("default", old.default, new.default)
    return found


def _said(item: Attribute[Any], what: str) -> bool:
    return bool(item.metadata.get(what, what == "editable"))


def _type(kind: Any) -> str:
    text = kind.__qualname__ if isinstance(kind, type) else str(kind)
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", text)


def _declared(old: Any, new: Any, but: Iterable[str] = ()) -> tuple[Difference, ...]:
    """What two states or two edges declare otherwise."""
    found: list[Difference] = []
    for item in attrs.fields(type(old)):
        if item.name not in but:
            found += _different(item.name, getattr(old, item.name), getattr(new, item.name))
    return tuple(found)


def _different(what: str, old: Any, new: Any) -> list[Difference]:
    same = type(old) is type(new) and bool(old == new)
    return [] if same or same_guard(old, new) else [Difference(what, old, new)]


# -- edges ----------------------------------------------------------------------------------


def _edges(old: Lifecycle, new: Lifecycle) -> tuple[Part[Edge], ...]:
    parts: list[Part[Edge]] = []
    for state in old.states:
        for event in old.events_from(state.name):
            there = new.edges_from(new.today(state.name), event)
            parts += _choice(new.today, old.edges_from(state.name, event), there)
    known = {id(part.now) for part in parts}
    came = [Part(before=None, now=edge) for edge in new.edges if id(edge) not in known]
    return (*parts, *came)


def _choice(
    today: Callable[[str], str], old: tuple[Edge, ...], new: tuple[Edge, ...]
) -> list[Part[Edge]]:
    """The edges of one event from one state, each with the one that has come in its place."""
    found: dict[int, int] = {}

    def leads_alike(one: Edge, other: Edge) -> bool:
        return (one.target and today(one.target)) == other.target

    def asks_alike(one: Edge, other: Edge) -> bool:
        return same_guard(one.guard, other.guard)

    def named_alike(one: Edge, other: Edge) -> bool:
        return one.guard_name == other.guard_name

    for alike in (
        lambda one, other: leads_alike(one, other) and asks_alike(one, other),
        lambda one, other: leads_alike(one, other) and named_alike(one, other),
        leads_alike,
        asks_alike,
        named_alike,
    ):
        for at, edge in enumerate(old):
            for to, other in enumerate(new):
                if at not in found and to not in found.values() and alike(edge, other):
                    found[at] = to
    moved = _moved([found[at] for at in sorted(found)])
    parts = []
    for at, edge in enumerate(old):
        now = new[found[at]] if at in found else None
        differences = () if now is None else _edge_differences(today, edge, now)
        if at in found and found[at] in moved:
            differences = (*differences, Difference("place", at + 1, found[at] + 1))
        parts.append(Part(before=edge, now=now, differences=differences))
    return parts


def _edge_differences(today: Callable[[str], str], old: Edge, new: Edge) -> tuple[Difference, ...]:
    as_today = attrs.evolve(old, target=old.target and today(old.target))
    return _declared(as_today, new, but={"event", "source"})


def _moved(places: list[int]) -> set[int]:
    """Those that are tried in another order than before."""
    return {
        place
        for at, place in enumerate(places)
        if any(before > place for before in places[:at])
        or any(after < place for after in places[at + 1 :])
    }


# -- stored tasks ---------------------------------------------------------------------------


def _stored(
    old: Lifecycle, new: Lifecycle, part: Part[StateSpec], edges: tuple[Part[Edge], ...]
) -> Stored:
    assert part.before is not None
    name = part.before.name
    now = new.today(name) if new.today(name) in new.storable else None
    stored = partial(
        Stored,
        state=name,
        now=now,
        could=old.edges_from(name),
        did=at_start(old, name),
    )
    if now is None:
        return stored(can=(), does=None, verdict=Verdict.NONE)
    can, does = new.edges_from(now), at_start(new, now)
    said = [*_state_lines(part), *_edge_lines(name, can, edges)]
    is_same = not said and at_start(old, name) == does
    if _leads_on(old, name) and not _leads_on(new, now):
        verdict = Verdict.REMOVAL
    else:
        verdict = Verdict.SAME if is_same else Verdict.CHANGED
    return stored(can=can, does=does, verdict=verdict, differences=tuple(said))


def _state_lines(part: Part[StateSpec]) -> list[str]:
    return [str(one) for one in part.differences if one.what not in {*_DECORATION, "name"}]


def _edge_lines(name: str, can: Iterable[Edge], edges: Iterable[Part[Edge]]) -> list[str]:
    """What of the edges of a state came, went and changed, otherwise than for the eye."""
    own = [part for part in edges if part.before is not None and part.before.source == name]
    lines = []
    for part in own:
        counts = [one for one in part.differences if one.what not in _DECORATION]
        if part.now is None or counts:
            lines.append(str(attrs.evolve(part, differences=tuple(counts))))
    # Also those that are another state's of before, where both have one name now.
    known = {id(part.now) for part in own}
    came = [Part(before=None, now=edge) for edge in can if id(edge) not in known]
    return [*lines, *map(str, came)]


def _leads_on(lifecycle: Lifecycle, state: str) -> bool:
    """Whether an edge leads to another state than the removal."""
    ends = {None, state, lifecycle.removing, lifecycle.gone}
    return any(edge.target not in ends for edge in lifecycle.edges_from(state))


def at_start(lifecycle: Lifecycle, state: str) -> str:
    """What an engine does by itself with a task that it finds in a state, in a few words."""
    role = lifecycle.role(state)
    for stage in lifecycle.stages:
        if stage.queued == state:
            return f"the stage {stage.name!r} begins"
        if stage.working == state:
            return f"the stage {stage.name!r} begins anew"
    said = _AT_START.get(role, role.value)
    keeps = lifecycle.state(state).keeps_data
    if role in {Role.WAITING, Role.FINISHED, Role.FAILED} and keeps is not True:
        unless = "" if keeps is False else f" unless {getattr(keeps, '__name__', keeps)}"
        return f"{said}, its files are deleted{unless}"
    return said
