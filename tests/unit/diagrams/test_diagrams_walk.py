"""A task's own walk: where it went, when, and where it is."""

from __future__ import annotations

import json

import pytest
from attrs import evolve
from musictasks.diagrams import draw
from musictasks.diagrams.walk import offset_text, walk
from musictasks.statemachine import MUSIC, HistoryEntry, Kind, MusicTask


def test_a_walk_has_the_states_it_went_through(task: MusicTask) -> None:
    """Only the states of the history are drawn, and the one where the task is is marked."""
    graph = walk(task, MUSIC)
    names = {task.state, *(entry.source for entry in task.history)}
    assert {node.name for node in graph.nodes} == names
    assert [node.name for node in graph.nodes if node.now] == ["integrating"]


def test_the_steps_are_numbered_and_timed(task: MusicTask) -> None:
    """An edge taken twice is one arrow with both steps; a failed step shows its message."""
    notes = {(a.source, a.event): a.notes for a in walk(task, MUSIC).arrows}
    assert notes["waitforchunk", "complete_upload"] == ("2.  +1.2 s",)
    assert notes["startintegration", "begin"] == ("6.  +1 min 4 s", "9.  +1 h 1 min 40 s")
    number, message = notes["integrating", "fail"]
    assert number == "7.  +1 min 5 s"
    assert message.startswith('“a "quoted"')
    assert len(message) <= 46


def test_the_kinds_of_its_edges_are_told_apart(task: MusicTask) -> None:
    """A retry in a walk looks like a retry."""
    kinds = {arrow.event: arrow.kind for arrow in walk(task, MUSIC).arrows}
    assert kinds["retry"] is Kind.RETRY
    assert kinds["begin"] is Kind.DOCUMENTED


def test_the_caption_says_when_it_began(task: MusicTask) -> None:
    """The times count from an instant that is given in UTC."""
    assert "Made 2025-11-23 20:50:11 UTC; times count from there." in walk(task, MUSIC).caption


def test_a_lost_beginning_is_said(task: MusicTask) -> None:
    """A history that is cut off at its limit says so, and counts from the making all the same."""
    graph = walk(evolve(task, history=task.history[4:]), MUSIC)
    assert any("no longer recorded" in line for line in graph.caption)
    assert graph.steps is not None
    assert graph.steps[0].after_s == pytest.approx(64.25)


def test_a_task_without_history_is_drawn() -> None:
    """A task that nothing happened to is the one state it is in."""
    graph = walk(MusicTask(id="a"), MUSIC)
    assert [(node.name, node.notes) for node in graph.nodes] == [("new", ("now",))]
    drawn = draw(MUSIC, "svg", task=MusicTask(id="a"))
    assert isinstance(drawn, bytes)
    assert b">new<" in drawn


def test_a_state_of_another_lifecycle_is_drawn(task: MusicTask) -> None:
    """A history may name states that the lifecycle no longer has; they are marked."""
    step = HistoryEntry(task.history[-1].time + 1, "polish", "integrating", "polished")
    graph = walk(evolve(task, history=(*task.history, step), state="polished"), MUSIC)
    assert [node.role for node in graph.nodes if node.name == "polished"] == [None]
    drawn = draw(MUSIC, "dot", task=evolve(task, history=(*task.history, step), state="polished"))
    assert '"? polished' in str(drawn)


def test_many_steps_along_one_edge_are_counted(task: MusicTask) -> None:
    """An edge shows its last four steps, and how many there were before."""
    again = [
        HistoryEntry(task.history[-1].time + n, event, source, target)
        for n in range(10)
        for event, source, target in (
            ("recover", "integrating", "startintegration"),
            ("begin", "startintegration", "integrating"),
        )
    ]
    graph = walk(evolve(task, history=(*task.history, *again)), MUSIC)
    (notes,) = [arrow.notes for arrow in graph.arrows if arrow.event == "recover"]
    assert notes[0] == "6 times before"
    assert len(notes) == 5


def test_json_has_the_steps(task: MusicTask) -> None:
    """Tools get the steps whole, in order, beside the graph."""
    found = json.loads(draw(MUSIC, "json", task=task))["walk"]
    assert found["state"] == "integrating"
    assert [(s["event"], s["target"], s["message"]) for s in found["steps"]] == [
        (entry.event, entry.target, entry.message) for entry in task.history
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "+0.0 s"),
        (59.94, "+59.9 s"),
        (59.96, "+1 min 0 s"),
        (192.4, "+3 min 12 s"),
        (7501, "+2 h 5 min 1 s"),
        (97_200, "+1 d 3 h 0 min"),
        (-0.4, "-0.4 s"),
        (-61, "-1 min 1 s"),
    ],
)
def test_times_are_readable(seconds: float, text: str) -> None:
    """A time is its three largest units; a clock that was set back gives a minus."""
    assert offset_text(seconds) == text
