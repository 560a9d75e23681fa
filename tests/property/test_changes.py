"""What `compare` and `check_tasks` say of each stored task is what happens in the real engine."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from changekit import Slip, changes
from hypothesis import given, settings
from hypothesis import strategies as st
from musictasks.engine import Engine, EngineSettings, TaskCheck, check_tasks, open_engine
from musictasks.errors import IllegalTransition, TransitionRefused
from musictasks.statemachine import (
    Comparison,
    Edge,
    Lifecycle,
    Role,
    Stored,
    Verdict,
    compare,
    succeed,
)
from musictasks.testing import SteppedEngine

PAYLOADS: tuple[Mapping[str, Any], ...] = ({}, {"signed": True})


@frozen
class Place:
    """The directories of an engine."""

    root: Path

    @property
    def settings(self) -> EngineSettings:
        return EngineSettings(
            tasks=self.root / "tasks",
            uploads=self.root / "uploads",
            durability="none",
            workers=10_000,
        )

    def copy(self, name: str) -> Place:
        """Another one with the same files."""
        target = self.root.with_name(name)
        shutil.copytree(self.root, target)
        return Place(target)

    def open(self, lifecycle: Lifecycle) -> Engine[Slip]:
        """An engine that does nothing by itself: it is not started."""
        return open_engine(self.settings, lifecycle, handlers=handlers(lifecycle))

    def clone(self, task_id: str, name: str) -> str:
        content = json.loads((self.settings.tasks / f"{task_id}.json").read_text())
        text = json.dumps({**content, "id": name})
        (self.settings.tasks / f"{name}.json").write_text(text)
        return name


def handlers(lifecycle: Lifecycle) -> dict[str, Any]:
    return {stage.name: lambda task, work: succeed() for stage in lifecycle.stages}


def walk(engine: Engine[Slip], rolls: Iterator[int]) -> list[str]:
    """A task in every state by a real walk, urgent and not; each with a file in its directory."""
    lifecycle = engine.lifecycle
    made = []
    for edge in lifecycle.edges_from("unmade"):
        for urgent in (False, True):
            task = engine.create(edge.event, urgent=urgent)
            for _ in range(next(rolls)):
                events = [e for e in lifecycle.events_from(task.state) if e != "forget"]
                if not events:
                    break
                event = events[next(rolls) % len(events)]
                with engine.hold(task.id) as held:
                    if held.edge_taken(event):
                        task = held.send(event)
            made.append(task.id)
            own = engine.settings.uploads / task.id
            own.mkdir(exist_ok=True)
            (own / "data").write_bytes(b"data")
    return made


def outcome(engine: Engine[Slip], task_id: str, event: str, payload: Mapping[str, Any]) -> str:
    """What comes of an event: the next state, or how it is refused."""
    try:
        with engine.hold(task_id) as held:
            return held.send(event, payload=payload).state
    except TransitionRefused:
        return "(refused)"
    except IllegalTransition:
        return "(unknown)"


def foretold(
    edges: tuple[Edge, ...], task: Slip, state: str, event: str, payload: Mapping[str, Any]
) -> str:
    """What edges say of an event."""
    of_event = [edge for edge in edges if edge.event == event]
    for edge in of_event:
        if edge.guard is None or edge.guard(task, payload):
            return edge.target or state
    return "(refused)" if any(edge.guard for edge in of_event) else "(unknown)"


WALKS = st.lists(st.integers(0, 9), min_size=12, max_size=12)


@given(changes(), WALKS)
@settings(settings.get_profile("unshrunk"), max_examples=30)
def test_what_is_said_of_stored_tasks_happens(
    machines: tuple[Lifecycle, Lifecycle], numbers: list[int]
):
    """Real walks in the old machine; then the new one loads their files, and runs them."""
    all_that_is_said_happens(*machines, numbers)


@pytest.mark.long
@given(changes(), WALKS)
@settings(max_examples=200, derandomize=False)
def test_what_is_said_of_many_more_happens(
    machines: tuple[Lifecycle, Lifecycle], numbers: list[int]
):
    """The same, for changes that nobody has seen."""
    all_that_is_said_happens(*machines, numbers)


def all_that_is_said_happens(old: Lifecycle, new: Lifecycle, numbers: list[int]) -> None:
    said = compare(old, new)
    with tempfile.TemporaryDirectory() as directory:
        place = Place(Path(directory, "old"))
        with closing(place.open(old)) as engine:
            rolls = iter(numbers * 1000)
            walk(engine, (number % 4 for number in rolls))
            stored = {task.id: task for task in engine.tasks()}
        checks = {one.task_id: one for one in check_tasks(place.settings.tasks, new)}
        assert checks.keys() == stored.keys()
        loaded(place.copy("loaded"), said, stored, checks)
        events_do_what_is_said(place, said, stored)
        the_engine_does_by_itself_what_is_said(place.copy("started"), said, stored, checks)


def loaded(
    place: Place, said: Comparison, stored: dict[str, Slip], checks: dict[str, TaskCheck]
) -> None:
    """Who loads, in which state, with which history; what does not is left as it is."""
    files = {path: path.read_bytes() for path in place.settings.tasks.iterdir()}
    edges = {(edge.source, edge.event, edge.target) for edge in said.now.edges}
    with closing(place.open(said.now)) as engine:
        refused = {Path(error.path).stem for error in engine.invalid()}
        assert refused == {name for name, one in checks.items() if not one.loads}
        for name, task in stored.items():
            of = said.of(task.state)
            assert (name in refused) is (of.now is None) is (of.verdict is Verdict.NONE)
            path = place.settings.tasks / f"{name}.json"
            if name in refused:
                assert path.read_bytes() == files[path]
                assert not checks[name].has_state
                continue
            found = engine.get(name)
            assert found.state == of.now == checks[name].state
            steps = [(one.source, one.event, one.target) for one in found.history]
            assert checks[name].is_walk is edges.issuperset(steps)
            names = {found.state, *(name for one in steps for name in (one[0], one[2]))}
            assert names.isdisjoint(said.now.renamed)
            content = json.loads(path.read_text())
            assert [(one["from"], one["event"], one["to"]) for one in content["history"]] == steps
            assert checks[name].is_renamed is (path.read_bytes() != files[path])


def events_do_what_is_said(place: Place, said: Comparison, stored: dict[str, Slip]) -> None:
    """Every event is sent to a task in every state: in both machines it does what was said."""
    both = dict.fromkeys([*said.before.events, *said.now.events])
    kinds = {(task.state, task.urgent, task.came_from): task for task in stored.values()}
    tries = {
        f"try-{number}": (task, event, payload)
        for number, (task, event, payload) in enumerate(
            (task, event, payload)
            for task in kinds.values()
            for event in both
            for payload in PAYLOADS
        )
    }
    place = place.copy("tries")
    for name, (task, _, _) in tries.items():
        place.clone(task.id, name)
    later = place.copy("later")
    with closing(place.open(said.before)) as before, closing(later.open(said.now)) as now:
        for name, (task, event, payload) in tries.items():
            of = said.of(task.state)
            was = outcome(before, name, event, payload)
            assert was == foretold(of.could, task, task.state, event, payload)
            if of.now is None:
                continue
            found = outcome(now, name, event, payload)
            assert found == foretold(of.can, task, of.now, event, payload)
            _verdict(said, of, event, was, found)


def _verdict(said: Comparison, of: Stored, event: str, was: str, found: str) -> None:
    assert (found == "(unknown)" and was != "(unknown)") <= (event in of.lost)
    assert (event in of.lost) <= (found == "(unknown)")
    assert (event in of.gained) <= (was == "(unknown)")
    if of.verdict is Verdict.SAME:
        assert found == said.now.today(was)
    if of.verdict is Verdict.REMOVAL:
        assert found in {"(refused)", "(unknown)", of.now, said.now.removing, said.now.gone}


def the_engine_does_by_itself_what_is_said(
    place: Place, said: Comparison, stored: dict[str, Slip], checks: dict[str, TaskCheck]
) -> None:
    """What a start does with each task, and with its files."""
    stepped = SteppedEngine(place.settings, said.now, handlers(said.now))
    engine = stepped.start()
    present = {task.id: task for task in engine.tasks()}
    try:
        for name, task in stored.items():
            of = said.of(task.state)
            assert checks[name].does == of.does
            if of.now is None or of.does is None:
                continue
            has_data = (place.settings.uploads / name / "data").exists()
            found = present.get(name)
            if of.does.startswith("is removed"):
                assert (found, has_data) == (None, False)
            elif "the stage" in of.does:
                stage = next(one for one in said.now.stages if repr(one.name) in of.does)
                assert found is not None
                ends = {stage.working, stage.failed} if "anew" in of.does else {stage.working}
                assert found.state in ends
                assert found.history[-1].event == (
                    "begin" if found.state in stage.working else "recover"
                )
            else:
                assert found is not None
                assert found.state == of.now
                deleted = "deleted" in of.does and not ("unless" in of.does and task.urgent)
                assert has_data is not deleted
                assert ("rests" in of.does) is (
                    said.now.role(of.now) in {Role.FINISHED, Role.FAILED}
                )
    finally:
        stepped.kill()
