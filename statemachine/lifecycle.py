"""A lifecycle as a value: states, stages and edges, checked when it is built."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from typing import Any, TypeVar

from attrs import NOTHING, evolve, field, fields, frozen

from ..errors import LifecycleError
from .declaration import Edge, Guard, Kind, Role, Sender, Stage, StateSpec, Target
from .record import Task
from .renaming import check_renamed, with_new_names
from .upload_record import UploadTask, is_complete, is_incomplete

T = TypeVar("T", bound=Task)
Item = TypeVar("Item")


def _tuple(values: Iterable[Item]) -> tuple[Item, ...]:
    # attrs reads the signature of a converter, and that of a builtin costs 3 ms at the import.
    return tuple(values)


def _copied(renamed: Any) -> Any:
    return dict(renamed) if isinstance(renamed, Mapping) else renamed


@frozen(repr=False)
class Lifecycle:
    """Every state, stage and edge of a kind of task.

    Frozen: the `with_...` methods give a new one. Each step of a derivation is checked by itself;
    whether all states can be reached and left is checked for the whole, by `check`, which whoever
    uses a lifecycle calls (the machine, the engine, the diagrams).

    Raises:
        LifecycleError: Something is badly declared; it says what, and where.
    """

    states: tuple[StateSpec, ...] = field(converter=_tuple)
    stages: tuple[Stage, ...] = field(converter=_tuple)
    #: The edges that belong to no stage; `edges` has all.
    free_edges: tuple[Edge, ...] = field(converter=_tuple)
    #: The class of its tasks' records.
    record: type[Task] = field(default=Task, kw_only=True)
    #: The states that had another name before: each old name with the name of today. Task files
    #: with old names are taken over when they are loaded.
    renamed: Mapping[str, str] = field(factory=dict, converter=_copied, kw_only=True, hash=False)
    #: A step of a derivation, which need not be whole yet.
    _draft: bool = field(default=False, kw_only=True, eq=False, repr=False, alias="draft")

    def __attrs_post_init__(self) -> None:
        _check_record(self)
        _check_states(self)
        _check_stages(self)
        _check_edges(self)
        check_renamed(self.renamed, self._by_name)
        if not self._draft:
            self.check()

    def __repr__(self) -> str:
        """Short: a signature or an error that shows one shall be readable."""
        counts = f"{len(self.states)} states, {len(self.stages)} stages"
        return f"<Lifecycle of {self.record.__name__}: {counts}>"

    def check(self) -> None:
        """Checks the whole: every state can be reached, and from every state one gets out.

        It is looked at once; a lifecycle never changes.

        Raises:
            LifecycleError: It names the state.
        """
        _ = self._is_whole

    @cached_property
    def _is_whole(self) -> bool:
        _check_ways(self)
        return True

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, in the order in which they are tried."""
        return (*self.free_edges, *(edge for stage in self.stages for edge in stage.edges()))

    @cached_property
    def events(self) -> tuple[str, ...]:
        """The names of all events, in the order of their declaration."""
        return tuple(dict.fromkeys(edge.event for edge in self.edges))

    @cached_property
    def _by_source(self) -> dict[str, dict[str, tuple[Edge, ...]]]:
        found: dict[str, dict[str, tuple[Edge, ...]]] = {state.name: {} for state in self.states}
        for edge in self.edges:
            events = found[edge.source]
            events[edge.event] = (*events.get(edge.event, ()), edge)
        return found

    @cached_property
    def _by_name(self) -> dict[str, StateSpec]:
        return {state.name: state for state in self.states}

    @cached_property
    def _by_working(self) -> dict[str, Stage]:
        return {stage.working: stage for stage in self.stages}

    @cached_property
    def storable(self) -> frozenset[str]:
        """The states that a task file may hold: all but the first and the last."""
        outside = {Role.INITIAL, Role.GONE}
        return frozenset(state.name for state in self.states if state.role not in outside)

    @cached_property
    def initial(self) -> str:
        return self._only(Role.INITIAL)

    @cached_property
    def removing(self) -> str:
        return self._only(Role.REMOVING)

    @cached_property
    def gone(self) -> str:
        return self._only(Role.GONE)

    def _only(self, role: Role) -> str:
        return next(state.name for state in self.states if state.role is role)

    def __contains__(self, state: str) -> bool:
        return state in self._by_name

    def state(self, name: str) -> StateSpec:
        """The declaration of a state; `KeyError` for an unknown name."""
        return self._by_name[name]

    def require(self, name: str) -> None:
        """Raises `LifecycleError` unless there is a state of this name."""
        if name not in self:
            raise LifecycleError(f"state {name!r}", "the lifecycle has no such state")

    def role(self, name: str) -> Role:
        return self._by_name[name].role

    def stage_of(self, working: str) -> Stage | None:
        """The stage whose working state this is."""
        return self._by_working.get(working)

    def events_from(self, state: str) -> tuple[str, ...]:
        """The events that a state knows, in the order of their declaration."""
        return tuple(self._by_source.get(state, ()))

    def edges_from(self, state: str, event: str | None = None) -> tuple[Edge, ...]:
        """The edges from a state, all or those of one event, in the order they are tried."""
        events = self._by_source.get(state, {})
        if event is not None:
            return events.get(event, ())
        return tuple(edge for edges in events.values() for edge in edges)

    def keeps_data(self, task: Task) -> bool:
        """Whether a task in its state still has use for the files in its directory."""
        state = self._by_name[task.state]
        if state.role in {Role.INITIAL, Role.REMOVING, Role.GONE}:
            return False
        keeps = state.keeps_data
        return keeps if isinstance(keeps, bool) else bool(keeps(task, {}))

    def with_state(self, state: StateSpec) -> Lifecycle:
        """This lifecycle with one more state; whatever is no end gets its `remove` edge."""
        return self._derive(
            states=(*self.states, state), free_edges=(*self.free_edges, *self._removals(state))
        )

    def with_edge(self, edge: Edge) -> Lifecycle:
        """This lifecycle with one more edge, tried after those that are there."""
        return self._derive(free_edges=(*self.free_edges, edge))

    def with_stage(self, stage: Stage) -> Lifecycle:
        """This lifecycle with one more stage.

        Its queued and working states are new. Its failed state may be one that is there; a new
        one comes with its `retry` edge. So may its rejected state; a new one keeps no data. The
        states get their `remove` edges. What leads to the stage is said by `with_target` or
        `with_edge`.
        """
        states = [
            StateSpec(stage.queued, stage.group, Role.QUEUED),
            StateSpec(stage.working, stage.group, Role.WORKING),
        ]
        edges: list[Edge] = []
        if stage.failed not in self:
            states.append(StateSpec(stage.failed, stage.group, Role.FAILED))
            edges.append(
                Edge(
                    event="retry",
                    source=stage.failed,
                    target=stage.queued,
                    kind=Kind.RETRY,
                    begins_anew=True,
                )
            )
        if stage.rejected is not None and stage.rejected not in self:
            states.append(StateSpec(stage.rejected, stage.group, Role.FAILED, keeps_data=False))
        for state in states:
            edges += self._removals(state)
        return self._derive(
            states=(*self.states, *states),
            stages=(*self.stages, stage),
            free_edges=(*self.free_edges, *edges),
        )

    def with_upload(self, state: str, *, group: str, complete: str, failed: str) -> Lifecycle:
        """This lifecycle with a state that receives a task's file, as `musictasks.uploads` does.

        `announce` leads to it from the beginning. `receive` stays in it as long as bytes are
        missing, `complete` leads on when all are there, and `fail` when their checksum is not the
        announced one. From a new failed state `retry` begins the upload anew.

        Args:
            state: The name of the new state. Its tasks' records are `UploadTask`s.
            group: The group of the new states.
            complete: The state after it, which is there: the queue of a stage, say.
            failed: One that is there, or the name of a new one.
        """
        states = [StateSpec(state, group, Role.WAITING, takes_chunks=True)]
        if failed not in self:
            states.append(StateSpec(failed, group, Role.FAILED, keeps_data=False))
        upload = partial(Edge, source=state, sender=Sender.UPLOAD)
        edges = [
            Edge(event="announce", source=self.initial, target=state),
            upload(event="receive", target=None, guard=is_incomplete, stored=False),
            upload(event="complete", target=complete, guard=is_complete),
            upload(event="fail", target=failed),
        ]
        if failed not in self:
            retry = partial(Edge, kind=Kind.RETRY, begins_anew=True, sets={"offset": 0})
            edges.append(retry(event="retry", source=failed, target=state))
        for one in states:
            edges += self._removals(one)
        return self._derive(states=(*self.states, *states), free_edges=(*self.free_edges, *edges))

    def with_record(self, record: type[Task]) -> Lifecycle:
        """This lifecycle with another class of records, derived from the present one."""
        return evolve(self, record=record)

    def with_renamed(self, renamed: Mapping[str, str]) -> Lifecycle:
        """This lifecycle with old names of its states, besides those it has: `{"old": "new"}`.

        What was stored under the old name is taken over when it is loaded: in its state and in its
        history, in memory and in the file. Several old names may have become one.

        Raises:
            LifecycleError: The lifecycle has no state of the new name, or still has one of the old
                name, or a new name is an old one, too.
        """
        if not isinstance(renamed, Mapping):
            check_renamed(renamed, ())
        return evolve(self, renamed={**self.renamed, **renamed}, draft=self._draft)

    def today(self, name: str) -> str:
        """The present name of a state by its old one; any other name as it is."""
        return self.renamed.get(name, name)

    def taken_over(self, task: T) -> T:
        """The record with the names of today; the same one where it has no old name."""
        return with_new_names(task, self.renamed)

    def with_target(
        self, source: str, event: str, target: str, *, guard: Guard | None = None
    ) -> Lifecycle:
        """This lifecycle with an edge that leads elsewhere.

        Where several edges leave `source` on `event`, `guard` says which is meant; None is the
        one without a guard.
        """
        if source not in self:
            working = [stage.working for stage in self.stages if stage.name == source]
            hint = f"; the stage's working state is {working[0]!r}" if working else ""
            raise LifecycleError(f"state {source!r}", f"the lifecycle has no such state{hint}")
        found = [edge for edge in self.edges_from(source, event) if edge.guard is guard]
        if not found:
            guards = [edge.guard_name for edge in self.edges_from(source, event)]
            there = f"; there are edges guarded by {guards}" if guards else ""
            raise LifecycleError(f"event {event!r} from {source!r}", f"no such edge{there}")
        (edge,) = found
        if edge in self.free_edges:
            moved = tuple(evolve(e, target=target) if e is edge else e for e in self.free_edges)
            return self._derive(free_edges=moved)
        stages = tuple(_retarget(stage, edge, target) for stage in self.stages)
        return self._derive(stages=stages)

    def _removals(self, state: StateSpec) -> list[Edge]:
        if state.role in {Role.INITIAL, Role.GONE, Role.REMOVING}:
            return []
        return [Edge(event="remove", source=state.name, target=self.removing)]

    def _derive(
        self,
        *,
        states: tuple[StateSpec, ...] | None = None,
        stages: tuple[Stage, ...] | None = None,
        free_edges: tuple[Edge, ...] | None = None,
    ) -> Lifecycle:
        return Lifecycle(
            self.states if states is None else states,
            self.stages if stages is None else stages,
            self.free_edges if free_edges is None else free_edges,
            record=self.record,
            renamed=self.renamed,
            draft=True,
        )


# attrs makes it of no module, which `help` of Python 3.13.0 does not take.
vars(Lifecycle)["__getattr__"].__module__ = __name__


def bare_lifecycle(
    record: type[Task] = Task,
    *,
    initial: str = "unmade",
    removing: str = "removing",
    gone: str = "gone",
) -> Lifecycle:
    """A lifecycle with a beginning, a removal and an end, to derive one's own from.

    The states, stages and edges between them come by `with_state`, `with_stage` and `with_edge`.
    """
    group = "task"
    states = (
        StateSpec(initial, group, Role.INITIAL),
        StateSpec(removing, group, Role.REMOVING),
        StateSpec(gone, group, Role.GONE),
    )
    forget = Edge(event="forget", source=removing, target=gone, sender=Sender.ENGINE)
    return Lifecycle(states, (), (forget,), record=record, draft=True)


def _retarget(stage: Stage, edge: Edge, target: str) -> Stage:
    if edge not in stage.edges():
        return stage
    if edge.event == "succeed":
        targets = (Target(target, t.guard) if t.guard is edge.guard else t for t in stage.succeeded)
        return evolve(stage, succeeded=tuple(targets))
    if edge.event == "fail":
        return evolve(stage, failed=target)
    if edge.event == "reject":
        return evolve(stage, rejected=target)
    raise LifecycleError(
        f"stage {stage.name!r}", f"the target of {edge.event!r} is what makes it a stage"
    )


#: What only the machine writes.
_OWN = frozenset({"id", "state", "history", "annotations", "handler_keys", "unknown"})
#: The fields of a record that every task is made with.
_GIVEN = frozenset({"id", "state"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_EVENT = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def _check_record(lifecycle: Lifecycle) -> None:
    record = lifecycle.record
    if not (isinstance(record, type) and issubclass(record, Task)):
        raise LifecycleError(f"record {record!r}", "it is no class derived from Task")
    needed = [f.alias for f in fields(record) if f.default is NOTHING and f.alias not in _GIVEN]
    if needed:
        reason = f"{', '.join(map(str, needed))} needs a default: a new task has no value for it"
        raise LifecycleError(f"record {record.__name__}", reason)
    if not issubclass(record, UploadTask):
        for state in lifecycle.states:
            if state.takes_chunks:
                reason = f"it takes chunks, so the record {record.__name__} derives from UploadTask"
                raise LifecycleError(f"state {state.name!r}", reason)


def _check_states(lifecycle: Lifecycle) -> None:
    for state in lifecycle.states:
        if not isinstance(state.name, str) or not _NAME.fullmatch(state.name):
            raise LifecycleError(
                f"state {state.name!r}", "a name is letters, digits, _ and -, a letter first"
            )
        if not isinstance(state.role, Role):
            raise LifecycleError(f"state {state.name!r}", f"{state.role!r} is no Role")
        _check_keeping(state)
    _refuse_duplicates("state", (state.name for state in lifecycle.states))
    for role in (Role.INITIAL, Role.REMOVING, Role.GONE):
        names = [state.name for state in lifecycle.states if state.role is role]
        if len(names) != 1:
            raise LifecycleError(
                "states", f"exactly one has the role {role.value!r}, not {names or 'none'}"
            )


def _check_keeping(state: StateSpec) -> None:
    """Data of no use is deleted where a task rests; nowhere else can that be declared."""
    if state.keeps_data is True:
        return
    if state.takes_chunks:
        why = "it takes chunks, which go into the task's directory"
        what = "leave keeps_data out"
    elif state.role in {Role.QUEUED, Role.WORKING}:
        why = f"{state.role.value}, and the files in the task's directory are its handler's"
        what = "say keeps_data=False of the state that the stage leads to, or let the handler"
        what += " delete them"
    else:
        return
    raise LifecycleError(f"state {state.name!r}", f"{why}: {what}")


def _check_stages(lifecycle: Lifecycle) -> None:
    _refuse_duplicates("stage", (stage.name for stage in lifecycle.stages))
    own = (name for stage in lifecycle.stages for name in (stage.queued, stage.working))
    _refuse_duplicates("the state of a stage", own)
    for stage in lifecycle.stages:
        where = f"stage {stage.name!r}"
        for name, role in ((stage.queued, Role.QUEUED), (stage.working, Role.WORKING)):
            if name not in lifecycle:
                raise LifecycleError(where, f"there is no state {name!r}")
            if lifecycle.role(name) is not role:
                raise LifecycleError(where, f"state {name!r} needs the role {role.value!r}")
        if not stage.succeeded:
            raise LifecycleError(where, "it leads nowhere: succeeded is empty")
    staged = {name for stage in lifecycle.stages for name in (stage.queued, stage.working)}
    for state in lifecycle.states:
        if state.role in {Role.QUEUED, Role.WORKING} and state.name not in staged:
            raise LifecycleError(
                f"state {state.name!r}", f"{state.role.value}, but no stage has it: add a Stage"
            )


def _check_edges(lifecycle: Lifecycle) -> None:
    for edge in lifecycle.edges:
        where = f"edge {edge}"
        if not isinstance(edge.event, str) or not _EVENT.fullmatch(edge.event):
            raise LifecycleError(where, "an event's name is letters, digits and _, a letter first")
        for name in (edge.source, edge.target):
            if name is not None and name not in lifecycle:
                raise LifecycleError(where, f"there is no state {name!r}")
        if edge.guard is not None and not (
            callable(edge.guard) and hasattr(edge.guard, "__name__")
        ):
            raise LifecycleError(where, f"the guard {edge.guard!r} is no function")
        if lifecycle.role(edge.source) is Role.GONE:
            raise LifecycleError(where, f"{edge.source!r} is the end: nothing leaves it")
        if edge.target == lifecycle.initial:
            raise LifecycleError(where, f"{edge.target!r} is the beginning: nothing leads to it")
        if not edge.stored and edge.target is not None:
            raise LifecycleError(where, "only an internal edge may go unsaved")
        if not isinstance(edge.sender, Sender):
            raise LifecycleError(where, f"{edge.sender!r} is no Sender")
        if not _OWN.isdisjoint(edge.sets):
            names = ", ".join(sorted(_OWN & set(edge.sets)))
            raise LifecycleError(where, f"no edge sets {names}: the machine does")
        unknown = set(edge.sets) - {field.alias for field in fields(lifecycle.record)}
        if unknown:
            reason = f"the record {lifecycle.record.__name__} has no {', '.join(sorted(unknown))}"
            raise LifecycleError(where, reason)
    for state in lifecycle.states:
        for event in lifecycle.events_from(state.name):
            _check_choice(lifecycle.edges_from(state.name, event))
    _check_working(lifecycle)


def _check_choice(edges: tuple[Edge, ...]) -> None:
    """Edges of one event and state are tried in order: all but the last need a guard."""
    where = f"event {edges[0].event!r} from {edges[0].source!r}"
    if any(edge.guard is None for edge in edges[:-1]):
        raise LifecycleError(where, "ambiguous: every edge but the last needs a guard")
    if len({edge.guard for edge in edges}) < len(edges):
        raise LifecycleError(where, "ambiguous: two edges have the same guard")
    if len({edge.sender for edge in edges}) > 1:
        raise LifecycleError(where, "ambiguous: its edges have different senders")


#: What the engine fires itself and cannot do without. (A `succeed` that is refused is a `fail`.)
_NEVER_REFUSED = frozenset({"begin", "fail", "recover", "remove", "forget"})


def _check_working(lifecycle: Lifecycle) -> None:
    for state in lifecycle.states:
        where = f"state {state.name!r}"
        known = lifecycle.events_from(state.name)
        if state.role is Role.WORKING:
            missing = {"succeed", "fail", "recover"} - set(known)
            if missing:
                raise LifecycleError(where, f"working, but without {', '.join(sorted(missing))}")
        outside = {Role.INITIAL, Role.GONE, Role.REMOVING}
        targets = {edge.target for edge in lifecycle.edges_from(state.name, "remove")}
        if state.role not in outside and targets != {lifecycle.removing}:
            raise LifecycleError(where, f"needs an edge 'remove' to {lifecycle.removing!r}")
        for event in _NEVER_REFUSED & set(known):
            if lifecycle.edges_from(state.name, event)[-1].guard is not None:
                raise LifecycleError(where, f"{event!r} needs a last edge without a guard")


def _check_ways(lifecycle: Lifecycle) -> None:
    ways = {
        state.name: {edge.target for edge in lifecycle.edges_from(state.name) if edge.target}
        for state in lifecycle.states
    }
    for name, targets in ways.items():
        if not targets and name != lifecycle.gone:
            raise LifecycleError(f"state {name!r}", "a dead end: no edge leaves it")
    reached = _closure(lifecycle.initial, ways)
    for state in lifecycle.states:
        if state.name not in reached:
            raise LifecycleError(
                f"state {state.name!r}", f"no way leads to it from {lifecycle.initial!r}"
            )
        if lifecycle.gone not in _closure(state.name, ways):
            raise LifecycleError(
                f"state {state.name!r}", f"no way leads from it to {lifecycle.gone!r}"
            )


def _closure(start: str, ways: dict[str, set[str]]) -> set[str]:
    seen, ahead = {start}, [start]
    while ahead:
        for name in ways[ahead.pop()] - seen:
            seen.add(name)
            ahead.append(name)
    return seen


def _refuse_duplicates(what: str, names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise LifecycleError(f"{what} {twice[0]!r}", "declared twice")
