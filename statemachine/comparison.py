"""What of a lifecycle came, went and changed, as values: for a person to read and for a program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, StrEnum
from typing import Any, Generic, TypeVar

from attrs import Attribute, fields, frozen

from .declaration import Edge, Stage, StateSpec
from .lifecycle import Lifecycle

P = TypeVar("P")


class Change(StrEnum):
    """What became of a part of a lifecycle."""

    SAME = "same"
    CAME = "came"
    WENT = "went"
    CHANGED = "changed"


#: In front of a part in texts and pictures.
SIGNS = {Change.SAME: " ", Change.CAME: "+", Change.WENT: "-", Change.CHANGED: "~"}


@frozen
class Difference:
    """One thing that is declared otherwise."""

    #: The name of what is declared: `role`, `guard`, `target`, `name`, …
    what: str
    before: Any
    now: Any

    def __str__(self) -> str:
        old, new = shown(self.before), shown(self.now)
        return f"{self.what}: {old} is now {new if new != old else 'other code'}"

    def as_dictionary(self) -> dict[str, Any]:
        return {"what": self.what, "before": _plain(self.before), "now": _plain(self.now)}


@frozen(kw_only=True)
class Part(Generic[P]):
    """A state, an edge, a stage or a field of the record, as it was and as it is."""

    #: None: it came.
    before: P | None
    #: None: it went.
    now: P | None
    differences: tuple[Difference, ...] = ()

    @property
    def change(self) -> Change:
        if self.before is None:
            return Change.CAME
        if self.now is None:
            return Change.WENT
        return Change.CHANGED if self.differences else Change.SAME

    @property
    def it(self) -> P:
        """As it is, or as it was where it went."""
        found = self.before if self.now is None else self.now
        assert found is not None
        return found

    def __str__(self) -> str:
        line = f"{SIGNS[self.change]} {shown(self.it)}"
        return "; ".join([line, *map(str, self.differences)])

    def as_dictionary(self) -> dict[str, Any]:
        return {
            "change": self.change.value,
            "before": None if self.before is None else _plain(self.before),
            "now": None if self.now is None else _plain(self.now),
            "differences": [one.as_dictionary() for one in self.differences],
        }


class Verdict(StrEnum):
    """What becomes of the tasks that are stored in a state."""

    SAME = "as before"
    CHANGED = "goes on otherwise"
    REMOVAL = "nothing but its removal is left"
    NONE = "does not load"


@frozen(kw_only=True)
class Stored:
    """What tasks that are stored in a state of the old machine could do, and can do now."""

    #: The state's name in the old machine.
    state: str
    #: Its name in the new one; None: there it is no state that a task can be stored in.
    now: str | None
    #: The edges that led out of it, in the order in which they were tried.
    could: tuple[Edge, ...]
    #: Those that lead out of it now.
    can: tuple[Edge, ...]
    #: What the old engine did with such a task at its start.
    did: str
    #: What the new one does; None where the task does not load.
    does: str | None
    verdict: Verdict
    #: What else is no longer as it was: of the state, and of its edges.
    differences: tuple[str, ...] = ()

    @property
    def has_way_on(self) -> bool:
        """Whether it goes on, otherwise than by its removal where it could before."""
        return self.verdict in {Verdict.SAME, Verdict.CHANGED}

    @property
    def lost(self) -> tuple[str, ...]:
        """The events that it knew, and does not know any more."""
        return _without(self.could, self.can)

    @property
    def gained(self) -> tuple[str, ...]:
        """The events that it did not know."""
        return _without(self.can, self.could)

    def lines(self) -> Iterator[str]:
        """For a person: the verdict, and what is behind it; nothing where all is as before."""
        if self.verdict is Verdict.SAME:
            return
        name = self.state if self.now in {self.state, None} else f"{self.state} (now {self.now})"
        yield f"{name}: {self.verdict}"
        if self.does is None:
            yield f"  could: {', '.join(map(_way, self.could))}"
            return
        if self.does != self.did:
            yield f"  at the start: {self.did} before, {self.does} now"
        if self.lost:
            yield f"  does not know any more: {', '.join(self.lost)}"
        if self.gained:
            yield f"  knows now: {', '.join(self.gained)}"
        yield from (f"  {line}" for line in self.differences)

    def as_dictionary(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "now": self.now,
            "verdict": self.verdict.name.lower(),
            "haswayon": self.has_way_on,
            "could": [_plain(edge) for edge in self.could],
            "can": [_plain(edge) for edge in self.can],
            "lost": list(self.lost),
            "gained": list(self.gained),
            "did": self.did,
            "does": self.does,
            "differences": list(self.differences),
        }


@frozen(kw_only=True, repr=False)
class Comparison:
    """What is different between two lifecycles; made by `compare`.

    Its text is for people, `as_dictionary` for programs. The parts are all there, also those that
    are the same.
    """

    before: Lifecycle
    now: Lifecycle
    states: tuple[Part[StateSpec], ...]
    edges: tuple[Part[Edge], ...]
    stages: tuple[Part[Stage], ...]
    #: The fields of the record, by their keys in the file.
    record: tuple[Part[Attribute[Any]], ...]
    #: For each state of the old machine that tasks are stored in.
    stored: tuple[Stored, ...]

    @property
    def no_way_on(self) -> tuple[Stored, ...]:
        """The states whose tasks do not load, or can only be removed now."""
        return tuple(one for one in self.stored if not one.has_way_on)

    @property
    def is_same(self) -> bool:
        """Whether nothing came, went or changed."""
        parts = (*self.states, *self.edges, *self.stages, *self.record)
        return all(part.change is Change.SAME for part in parts)

    def of(self, state: str) -> Stored:
        """What became of the tasks in a state of the old machine; `KeyError` for another name."""
        for one in self.stored:
            if one.state == state:
                return one
        raise KeyError(state)

    def __str__(self) -> str:
        lines = []
        for title, parts in self._parts().items():
            changed = [f"  {part}" for part in parts if part.change is not Change.SAME]
            lines += [title, *changed] if changed else []
        if not lines:
            return "Nothing came, went or changed."
        lines.append("stored tasks")
        same = [one.state for one in self.stored if one.verdict is Verdict.SAME]
        lines += [f"  as before: {', '.join(same)}"] if same else []
        lines += (f"  {line}" for one in self.stored for line in one.lines())
        return "\n".join([*lines, *self._end()])

    def _end(self) -> Iterator[str]:
        names = ", ".join(one.state for one in self.no_way_on)
        yield f"No way on from: {names}." if names else "Every state has a way on."
        if any(one.change is Change.CHANGED for one in self.record):
            yield "A field changed: `musictasks check --lifecycle` says which task files load."

    def __repr__(self) -> str:
        return f"<Comparison: {len(self.no_way_on)} of {len(self.stored)} states have no way on>"

    def as_dictionary(self) -> dict[str, Any]:
        """What JSON can hold."""
        changed = {
            title: [part.as_dictionary() for part in parts if part.change is not Change.SAME]
            for title, parts in self._parts().items()
        }
        return {
            "version": 1,
            **changed,
            "stored": [one.as_dictionary() for one in self.stored],
            "nowayon": [one.state for one in self.no_way_on],
        }

    def _parts(self) -> Mapping[str, tuple[Part[Any], ...]]:
        return {
            "states": self.states,
            "edges": self.edges,
            "stages": self.stages,
            "record": self.record,
        }


def shown(value: Any) -> str:
    """A part, or what is declared of it, in a few words."""
    if isinstance(value, StateSpec):
        return f"{value.name} ({value.role.value})"
    if isinstance(value, Stage):
        return f"{value.name} ({value.queued}, {value.working})"
    plain = _plain(value) if not isinstance(value, Edge) else str(value)
    if isinstance(plain, dict):
        return ", ".join(f"{key} = {item}" for key, item in plain.items()) or "nothing"
    return "none" if plain is None else str(plain)


def _way(edge: Edge) -> str:
    return f"{edge.event} to {edge.target}" if edge.target else f"{edge.event}, staying"


def _without(some: Iterable[Edge], others: Iterable[Edge]) -> tuple[str, ...]:
    known = {edge.event for edge in others}
    return tuple(dict.fromkeys(edge.event for edge in some if edge.event not in known))


def _plain(value: Any) -> Any:
    """As JSON can hold it."""
    if isinstance(value, StateSpec | Edge):
        names = [item.name for item in fields(type(value))]
        return {name.replace("_", ""): _plain(getattr(value, name)) for name in names}
    if isinstance(value, Stage):
        return {"name": value.name, "queued": value.queued, "working": value.working}
    if isinstance(value, Attribute):
        return value.name
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return repr(value)
