"""What `compare` finds between two lifecycles, and how it says it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve, field, frozen
from musictasks.errors import LifecycleError
from musictasks.statemachine import (
    MUSIC,
    Change,
    Comparison,
    Edge,
    Lifecycle,
    Part,
    Role,
    Sender,
    Stage,
    StateSpec,
    Task,
    Verdict,
    bare_lifecycle,
    compare,
    in_file,
)
from musictasks.statemachine.guard_code import same_guard

LIMIT = 3


def is_large(task: Task, payload: Mapping[str, Any]) -> bool:
    """More attempts than allowed."""
    return task.attempts > LIMIT


def is_named(task: Task, payload: Mapping[str, Any]) -> bool:
    return "name" in payload


STAGE = Stage("pack", group="g", queued="toack", working="packing", succeeded="done", failed="bad")
OLD = (
    bare_lifecycle()
    .with_state(StateSpec("done", "g", Role.FINISHED))
    .with_state(StateSpec("look", "g", Role.WAITING))
    .with_stage(STAGE)
    .with_edge(Edge(event="make", source="unmade", target="toack"))
    .with_edge(Edge(event="show", source="unmade", target="look"))
    .with_edge(Edge(event="choose", source="look", target="done", guard=is_large))
    .with_edge(Edge(event="choose", source="look", target="toack", guard=is_named))
    .with_edge(Edge(event="choose", source="look", target="bad"))
)


def built(states: Any = None, edges: Any = None, stages: Any = None, **more: Any) -> Lifecycle:
    """The old lifecycle with other parts."""
    return Lifecycle(
        OLD.states if states is None else states,
        OLD.stages if stages is None else stages,
        OLD.free_edges if edges is None else edges,
        **more,
    )


def edge(event: str, source: str, at: int = 0) -> Edge:
    return OLD.edges_from(source, event)[at]


def replaced(old: Edge, **changes: Any) -> Lifecycle:
    return built(edges=[evolve(e, **changes) if e is old else e for e in OLD.free_edges])


def changed(parts: tuple[Part[Any], ...]) -> list[str]:
    return [str(part) for part in parts if part.change is not Change.SAME]


@pytest.mark.parametrize("lifecycle", [OLD, MUSIC])
def test_a_lifecycle_is_the_same_as_itself(lifecycle: Lifecycle):
    """Nothing is said, and every stored task goes on as before."""
    found = compare(lifecycle, lifecycle)
    assert found.is_same
    assert str(found) == "Nothing came, went or changed."
    assert {one.verdict for one in found.stored} == {Verdict.SAME}
    assert {one.state for one in found.stored} == lifecycle.storable
    assert found.no_way_on == ()


def test_a_state_that_came_and_one_that_went():
    """One is the other the other way round; only what is stored in one that went does not load."""
    more = OLD.with_state(StateSpec("extra", "g", Role.WAITING)).with_edge(
        Edge(event="wait", source="look", target="extra")
    )
    came, went = compare(OLD, more), compare(more, OLD)
    assert changed(came.states) == ["+ extra (waiting)"]
    assert changed(came.edges) == ["+ extra --remove--> removing", "+ look --wait--> extra"]
    assert came.of("look").gained == ("wait",)
    assert came.of("look").verdict is Verdict.CHANGED
    assert came.no_way_on == ()
    assert changed(went.states) == ["- extra (waiting)"]
    assert went.of("look").lost == ("wait",)
    assert [one.state for one in went.no_way_on] == ["extra"]
    assert went.of("extra").verdict is Verdict.NONE
    assert went.of("extra").now is went.of("extra").does is None
    assert "No way on from: extra." in str(went)
    assert "could: remove to removing" in str(went)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": "bad"}, "target: done is now bad"),
        ({"guard": is_named}, None),
        ({"sender": Sender.HANDLER}, None),
        ({"begins_anew": True}, "begins_anew: False is now True"),
        ({"sets": {"attempts": 0}}, "sets: nothing is now attempts = 0"),
    ],
)
def test_what_an_edge_declares_is_compared(changes: dict[str, Any], said: str | None):
    """Each thing, with what it was and what it is."""
    if said is None:
        with pytest.raises(LifecycleError):
            replaced(edge("choose", "look"), **changes)
        return
    found = compare(OLD, replaced(edge("choose", "look"), **changes))
    (line,) = changed(found.edges)
    assert line.startswith("~ look --choose [is_large]--> ")
    assert line.endswith(said)
    assert found.of("look").verdict is Verdict.CHANGED
    assert said in str(found)


def test_a_guard_that_is_another_one():
    """Found by its name; both are said."""

    def is_small(task: Task, payload: Mapping[str, Any]) -> bool:
        return task.attempts < LIMIT

    found = compare(OLD, replaced(edge("choose", "look"), guard=is_small))
    assert changed(found.edges) == [
        "~ look --choose [is_small]--> done; guard: is_large is now is_small"
    ]


def test_a_sender_that_is_another_one():
    """Who may send an event is declared."""
    found = compare(OLD, replaced(edge("show", "unmade"), sender=Sender.ENGINE))
    assert changed(found.edges) == ["~ unmade --show--> look; sender: client is now engine"]


def test_edges_that_are_tried_in_another_order():
    """The first guard that says yes counts, so the order is declared, too."""
    one, other = edge("choose", "look", 0), edge("choose", "look", 1)
    turned = {id(one): other, id(other): one}
    found = compare(OLD, built(edges=[turned.get(id(e), e) for e in OLD.free_edges]))
    assert changed(found.edges) == [
        "~ look --choose [is_large]--> done; place: 1 is now 2",
        "~ look --choose [is_named]--> toack; place: 2 is now 1",
    ]
    assert found.of("look").verdict is Verdict.CHANGED


@pytest.mark.parametrize(
    ("changes", "said", "does"),
    [
        ({"role": Role.FINISHED}, "role: waiting is now finished", "rests as finished"),
        ({"role": Role.PASSING}, "role: waiting is now passing", "is removed at once"),
        ({"refreshes": True}, "refreshes: False is now True", "waits for a client"),
    ],
)
def test_what_a_state_declares_is_compared(changes: dict[str, Any], said: str, does: str):
    """With what the engine will do with the tasks that it finds there."""
    states = [evolve(s, **changes) if s.name == "look" else s for s in OLD.states]
    found = compare(OLD, built(states=states))
    (line,) = changed(found.states)
    assert line.endswith(f"; {said}")
    of = found.of("look")
    assert (of.verdict, of.did, of.does) == (Verdict.CHANGED, "waits for a client", does)
    assert (f"at the start: waits for a client before, {does} now" in str(found)) is (
        does != of.did
    )


def test_files_that_are_of_no_use_any_more():
    """They go at the next start: that is said."""
    states = [evolve(s, keeps_data=False) if s.name == "done" else s for s in OLD.states]
    found = compare(OLD, built(states=states))
    assert found.of("done").does == "rests as finished, its files are deleted"
    assert "keeps_data: True is now False" in str(found)


def test_nothing_but_the_removal_is_left():
    """A state that led on, and does not any more; also if an event leads back to itself."""
    edges = [e for e in OLD.free_edges if e.event != "choose"]
    stay = Edge(event="choose", source="look", target="look")
    for some in (edges, [*edges, stay]):
        found = compare(OLD, built(edges=some))
        assert found.of("look").verdict is Verdict.REMOVAL
        assert [one.state for one in found.no_way_on] == ["look"]
        assert "look: nothing but its removal is left" in str(found)


def test_what_is_declared_for_the_pictures_changes_no_task():
    """It is said of the state, and its tasks go on as before."""
    states = [evolve(s, group="h") if s.name == "look" else s for s in OLD.states]
    found = compare(OLD, built(states=states))
    assert len(changed(found.states)) == 1
    assert found.of("look").verdict is Verdict.SAME


def test_another_name_of_a_stage_is_another_handler():
    """The handlers are given by it."""
    found = compare(OLD, built(stages=[evolve(STAGE, name="wrap")]))
    assert changed(found.stages) == ["~ wrap (toack, packing); name: pack is now wrap"]
    assert found.of("toack").does == "the stage 'wrap' begins"


def test_a_renamed_state_is_the_same_one():
    """Its edges are compared with those of its old name, and its targets, too."""
    states = [evolve(s, name="seen") if s.name == "look" else s for s in OLD.states]
    edges = [
        evolve(
            e,
            source="seen" if e.source == "look" else e.source,
            target="seen" if e.target == "look" else e.target,
        )
        for e in OLD.free_edges
    ]
    found = compare(OLD, built(states, edges, renamed={"look": "seen"}))
    assert changed(found.states) == ["~ seen (waiting); name: look is now seen"]
    assert changed(found.edges) == []
    of = found.of("look")
    assert (of.now, of.verdict, len(of.can)) == ("seen", Verdict.SAME, 4)
    undeclared = compare(OLD, built(states, edges))
    assert undeclared.of("look").verdict is Verdict.NONE


def test_a_state_that_became_another_one_gains_its_edges():
    """They are no new ones, but new to the tasks that were stored in it."""
    old = OLD.with_state(StateSpec("rest", "g", Role.WAITING))
    old = old.with_edge(Edge(event="park", source="unmade", target="rest"))
    found = compare(old, built(renamed={"rest": "look"}))
    assert found.of("look").verdict is Verdict.SAME
    of = found.of("rest")
    assert (of.now, of.verdict, of.gained) == ("look", Verdict.CHANGED, ("choose",))
    assert [line[0] for line in of.differences] == ["+", "+", "+"]


@frozen(kw_only=True)
class Before(Task):
    size: int | None = field(default=None, metadata=in_file(count=True))
    title: str = ""
    note: str = ""


@frozen(kw_only=True)
class After(Task):
    bytes_of_it: int | None = field(default=None, metadata=in_file(key="size"))
    title: str | None = ""
    tags: tuple[str, ...] = ()


def test_fields_are_compared_by_their_keys():
    """A field of another name in Python is the same in the files."""
    found = compare(OLD.with_record(Before), OLD.with_record(After))
    assert changed(found.record) == [
        "~ bytes_of_it; count: True is now False",
        "~ title; type: str is now str | None",
        "- note",
        "+ tags",
    ]
    assert "says which task files load" in str(found)


def test_the_comparison_as_data():
    """All that the text says, and JSON can hold it."""
    later = replaced(edge("choose", "look"), target="bad").with_state(
        StateSpec("extra", "g", Role.WAITING, keeps_data=is_large)
    )
    later = later.with_edge(Edge(event="wait", source="look", target="extra"))
    data = json.loads(json.dumps(compare(OLD, later).as_dictionary()))
    assert data["states"][0]["change"] == "came"
    assert data["states"][0]["now"]["keepsdata"] == "is_large"
    (moved,) = [one for one in data["edges"] if one["change"] == "changed"]
    assert moved["differences"] == [{"what": "target", "before": "done", "now": "bad"}]
    look = next(one for one in data["stored"] if one["state"] == "look")
    assert (look["verdict"], look["gained"], look["haswayon"]) == ("changed", ["wait"], True)
    assert data["nowayon"] == []


def test_a_lifecycle_that_is_not_whole_is_refused():
    """On either side."""
    half = OLD.with_state(StateSpec("lonely", "g", Role.WAITING))
    for pair in ((half, OLD), (OLD, half)):
        with pytest.raises(LifecycleError, match="lonely"):
            compare(*pair)


# -- guards of two versions of a module -----------------------------------------------------

MODULE = '''
LIMIT = 3
def helper(task): return task.attempts
def is_large(task, payload):
    """More."""
    return helper(task) > LIMIT and any(key for key in payload)
'''


def version(source: str) -> Any:
    names: dict[str, Any] = {}
    exec(source, names)  # two versions of a module that was not installed
    return names["is_large"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("> LIMIT", ">= LIMIT"),
        ("LIMIT = 3", "LIMIT = 4"),
        ("return task.attempts", "return task.id"),
        ("key for", "not key for"),
        ("def is_large(task, payload)", "def is_large(task, payload, more=1)"),
    ],
)
def test_other_code_of_a_guard_is_found(old: str, new: str):
    """In the guard, in what it calls, and in the constants of its module."""
    assert old in MODULE
    assert not same_guard(version(MODULE), version(MODULE.replace(old, new)))


def test_the_same_code_of_another_version_is_the_same():
    """The function is another object, on other lines, with other words about it."""
    moved = "\n\n" + MODULE.replace("More.", "More than are allowed.")
    assert version(MODULE) is not version(MODULE)
    assert same_guard(version(MODULE), version(MODULE))
    assert same_guard(version(MODULE), version(moved))
    assert not same_guard(version(MODULE), None)


def test_a_guard_with_other_code_changes_the_edge():
    """Its name says nothing then, and the text does."""
    one, other = version(MODULE), version(MODULE.replace("LIMIT = 3", "LIMIT = 4"))
    old = replaced(edge("choose", "look"), guard=one)
    assert compare(old, replaced(edge("choose", "look"), guard=version(MODULE))).is_same
    found = compare(old, replaced(edge("choose", "look"), guard=other))
    assert changed(found.edges) == [
        "~ look --choose [is_large]--> done; guard: is_large is now other code"
    ]


def test_repr_is_short():
    assert repr(compare(OLD, OLD)) == "<Comparison: 0 of 6 states have no way on>"
    assert isinstance(compare(OLD, OLD), Comparison)
