"""Records: nobody assigns a state, and a file gives back what was saved."""

from __future__ import annotations

import copy
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from musictasks.files import Directory
from musictasks.persistence import TaskStore, make_converter
from musictasks.statemachine import (
    HISTORY_LIMIT,
    MUSIC,
    Edge,
    HistoryEntry,
    MusicTask,
    Role,
    StateSpec,
    Task,
    TaskMachine,
    bare_lifecycle,
)
from musictasks.testing import histories, tasks
from paperkit import PAPERS, Paper

#: Every way that Python offers to change an attribute, short of object.__setattr__.
ASSIGNMENTS: dict[str, Callable[[Any, str], Any]] = {
    "task.state = x": lambda task, to: exec("task.state = to", {"task": task, "to": to}),
    "del task.state": lambda task, to: exec("del task.state", {"task": task}),
    "task.state += x": lambda task, to: exec("task.state += to", {"task": task, "to": to}),
    "setattr": lambda task, to: setattr(task, "state", to),
    "delattr": lambda task, to: delattr(task, "state"),
    "__setattr__": lambda task, to: task.__setattr__("state", to),
    "__delattr__": lambda task, to: task.__delattr__("state"),
    "vars": lambda task, to: vars(task).update(state=to),
    "__dict__": lambda task, to: task.__dict__.update(state=to),
    "a new attribute": lambda task, to: setattr(task, "status", to),
    "a loop": lambda task, to: exec("for task.state in [to]: pass", {"task": task, "to": to}),
    "with ... as": lambda task, to: exec(
        "import contextlib\nwith contextlib.nullcontext(to) as task.state: pass",
        {"task": task, "to": to},
    ),
    "the last entry of its history": lambda task, to: setattr(task.history[-1], "target", to),
    "its history": lambda task, to: task.history.append(to),  # pyright: ignore[reportAttributeAccessIssue]
    "changes of an event": lambda task, to: TaskMachine(MUSIC).send(
        task, "remove", now=1.0, changes={"state": to}
    ),
}


#: Its records are of the class that all others derive from.
BARE = (
    bare_lifecycle()
    .with_state(StateSpec("waiting", "own", Role.WAITING))
    .with_edge(Edge(event="wait", source="unmade", target="waiting"))
)


@pytest.fixture(scope="module")
def examples() -> list[tuple[Task, str]]:
    """Tasks and states as generated for one test, made once for all: to make them is the most."""
    made: list[tuple[Task, str]] = []

    @given(
        task=tasks(MUSIC) | tasks(BARE),
        state=st.sampled_from([state.name for state in MUSIC.states]),
    )
    def make(task: Task, state: str) -> None:
        made.append((task, state))

    make()
    return made


@pytest.mark.parametrize("way", ASSIGNMENTS)
def test_a_state_cannot_be_assigned(way: str, examples: list[tuple[Task, str]]):
    """Whatever the way, it raises, and the task is as it was."""
    assert len(examples) >= settings().max_examples
    for task, state in examples:
        before = pickle.dumps(task)
        refusals = (attrs.exceptions.FrozenInstanceError, AttributeError, TypeError, ValueError)
        with pytest.raises(refusals):
            ASSIGNMENTS[way](task, state)
        assert pickle.dumps(task) == before, (task, state)


@given(task=tasks(MUSIC))
def test_what_is_saved_is_loaded_again(task: MusicTask):
    """Any task, with unknown keys and every text in its annotations: byte for byte, twice."""
    with tempfile.TemporaryDirectory() as directory:
        store = TaskStore(Directory(Path(directory), durable=False), make_converter(MUSIC))
        store.task_file(task.id).create(task)
        content = (Path(directory) / f"{task.id}.json").read_bytes()
        file, loaded = store.load(task.id)
        assert loaded == task
        assert loaded.unknown == task.unknown
        file.save(loaded)
        assert (Path(directory) / f"{task.id}.json").read_bytes() == content


@given(task=tasks(PAPERS))
def test_a_record_of_ones_own_is_loaded_again(task: Paper):
    """Whatever types its fields have, and whatever they hold: nothing is lost or guessed."""
    converter = make_converter(PAPERS)
    loaded = converter.load(converter.dump(task), task.id)
    assert loaded == task
    assert converter.dump(loaded) == converter.dump(task)


@given(data=st.data())
def test_what_a_caller_does_to_annotations_changes_no_record(data: st.DataObject):
    """Copied in, copied out, however deep."""
    inner = {"list": [1, {"deep": data.draw(st.integers(0, 9))}]}
    given = {"mine": inner}
    task = data.draw(tasks(MUSIC)).annotated(given)
    before = copy.deepcopy(task.annotations)
    inner["list"].append("in")
    task.annotations["mine"]["list"].append("out")
    task.annotations["mine"]["list"][1]["deep"] = None
    task.unknown["new"] = 1
    assert task.annotations == before
    assert "new" not in task.unknown


@given(walk=histories(MUSIC, max_size=30), times=st.integers(1, 3))
def test_a_record_stays_bounded(walk: tuple[HistoryEntry, ...], times: int):
    """However long a task lives, its history keeps the last entries, a walk that ends here."""
    machine = TaskMachine(MUSIC)
    task = MusicTask(id="t", state="startintegration", history=walk * times)
    for number in range(HISTORY_LIMIT):
        event = "begin" if number % 2 == 0 else "recover"
        task = machine.send(task, event, now=number, payload={"attempts_limit": 1000})
        assert len(task.history) <= HISTORY_LIMIT
        assert task.history[-1].target == task.state
        assert task.attempts == number // 2 + 1
