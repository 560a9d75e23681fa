"""States that have another name: what may be declared, and what becomes of a record."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from attrs import evolve
from musictasks.errors import LifecycleError
from musictasks.persistence import make_converter
from musictasks.statemachine import (
    HISTORY_LIMIT,
    Edge,
    HistoryEntry,
    Lifecycle,
    Role,
    StateSpec,
    Task,
    bare_lifecycle,
)
from musictasks.statemachine.walks import broken_step

NOTES = (
    bare_lifecycle()
    .with_state(StateSpec("noted", "task", Role.WAITING))
    .with_state(StateSpec("kept", "task", Role.FINISHED))
    .with_edge(Edge(event="note", source="unmade", target="noted"))
    .with_edge(Edge(event="keep", source="noted", target="kept"))
)
NOW = NOTES.with_renamed({"written": "noted", "stored": "kept", "nothing": "unmade"})
OLD_TASK = Task(
    id="1",
    state="stored",
    history=(
        HistoryEntry(1.0, "note", "nothing", "written"),
        HistoryEntry(2.0, "keep", "written", "stored", "a message"),
    ),
)


@pytest.mark.parametrize(
    ("renamed", "where", "reason"),
    [
        ({"old": "nowhere"}, "renamed state 'old'", "there is no state 'nowhere'"),
        ({"noted": "kept"}, "renamed state 'noted'", "still has a state of the old name"),
        ({"a": "b", "b": "kept"}, "renamed state 'a'", "a chain: 'b' .* say {'a': 'kept'}"),
        ({"a": "b", "b": "a"}, "renamed state 'a'", "a chain: 'b' .* in a circle"),
        ({"": "kept"}, "renamed state ''", "an old name is text"),
        ({3: "kept"}, "renamed state 3", "an old name is text"),
        ([("old", "kept")], "renamed", "maps no old names"),
    ],
)
def test_what_is_badly_declared_is_refused(renamed: Any, where: str, reason: str):
    """It names the old name, and says why; in one step or in the whole declaration."""
    for declare in (
        lambda: NOTES.with_renamed(renamed),
        lambda: Lifecycle(NOTES.states, NOTES.stages, NOTES.free_edges, renamed=renamed),
    ):
        with pytest.raises(LifecycleError, match=reason) as caught:
            declare()
        assert caught.value.where == where


def test_an_old_name_that_comes_back_is_refused():
    """In a later step of a derivation: a file of that state would be ambiguous."""
    with pytest.raises(LifecycleError, match="still has a state of the old name"):
        NOW.with_state(StateSpec("written", "task", Role.WAITING))


def test_old_names_are_a_part_of_the_value():
    """They stay in every derivation, are added to, and are copied from what was given."""
    given = {"written": "noted"}
    one = NOTES.with_renamed(given)
    given.clear()
    assert one.renamed == {"written": "noted"}
    both = one.with_renamed({"put down": "noted"}).with_state(StateSpec("x", "y", Role.WAITING))
    assert both.renamed == {"written": "noted", "put down": "noted"}
    assert (both.today("written"), both.today("x")) == ("noted", "x")
    assert one != NOTES
    assert pickle.loads(pickle.dumps(one)) == one
    assert hash(one) == hash(NOTES)


def test_a_record_gets_the_names_of_today():
    """In its state and its history; all else stays, and a second time changes nothing."""
    found = NOW.taken_over(OLD_TASK)
    assert found.state == "kept"
    steps = [(entry.source, entry.target, entry.message) for entry in found.history]
    assert steps == [("unmade", "noted", None), ("noted", "kept", "a message")]
    assert NOW.taken_over(found) is found
    assert NOTES.taken_over(OLD_TASK) is OLD_TASK
    assert evolve(found, state="stored", history=OLD_TASK.history) == OLD_TASK


def test_a_history_alone_is_taken_over():
    """A task may have left the renamed state long ago."""
    task = evolve(OLD_TASK, state="kept", history=(HistoryEntry(2.0, "keep", "written", "kept"),))
    assert NOW.taken_over(task).came_from == "noted"


def test_a_file_is_read_with_the_names_of_today():
    """`read` says whether it had old ones; without the declaration it does not load."""
    data = make_converter(NOTES).dump(OLD_TASK)
    converter = make_converter(NOW)
    task, has_old_names = converter.read(data, "1")
    assert (task, has_old_names) == (NOW.taken_over(OLD_TASK), True)
    assert converter.read(converter.dump(task), "1") == (task, False)


# -- walks ----------------------------------------------------------------------------------


def walked(*steps: tuple[str, str, str], state: str | None = None) -> Task:
    history = tuple(HistoryEntry(1.0, event, source, target) for event, source, target in steps)
    return Task(id="1", state=state or history[-1].target, history=history)


NOTE, KEEP = ("note", "unmade", "noted"), ("keep", "noted", "kept")


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (walked(NOTE, KEEP), None),
        (Task(id="1", state="kept"), None),
        (walked(NOTE, ("keep", "noted", "noted")), "step 2, noted --keep--> noted: there is no"),
        (walked(NOTE, ("look", "noted", "kept")), "step 2, noted --look--> kept: there is no such"),
        (walked(KEEP), "step 1, noted --keep--> kept: the walk was in 'unmade'"),
        (walked(NOTE, NOTE, KEEP), "step 2, unmade --note--> noted: the walk was in 'noted'"),
        (walked(NOTE, state="kept"), "step 1, unmade --note--> noted: the task is in 'kept'"),
        (walked(("x", "unmade", "off")), "step 1, unmade --x--> off: there is no state 'off'"),
    ],
)
def test_the_step_that_is_no_step_is_named(task: Task, said: str | None):
    """The first one, with its number and the reason; a task without history has none."""
    step = broken_step(NOTES, task)
    assert (step is None) is (said is None)
    assert str(step).startswith(str(said))


def test_a_history_that_was_cut_may_begin_anywhere():
    """It keeps so many entries, the newest."""
    more = NOTES.with_edge(Edge(event="look", source="noted", target="noted"))
    look = ("look", "noted", "noted")
    assert broken_step(more, walked(*[look] * HISTORY_LIMIT)) is None
    assert broken_step(more, walked(*[look] * (HISTORY_LIMIT - 1))) is not None
