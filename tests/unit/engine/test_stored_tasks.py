"""Stored tasks and a changed lifecycle: told before it runs, taken over when it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from musictasks.engine import EngineSettings, TaskCheck, check_tasks, open_engine, read_tasks
from musictasks.errors import LifecycleError
from musictasks.statemachine import Edge, Role, StateSpec, Task, bare_lifecycle
from musictasks.testing import FaultInjector, Killed, SteppedEngine

OLD = (
    bare_lifecycle()
    .with_state(StateSpec("noted", "task", Role.WAITING))
    .with_state(StateSpec("kept", "task", Role.WAITING))
    .with_edge(Edge(event="note", source="unmade", target="noted"))
    .with_edge(Edge(event="keep", source="noted", target="kept"))
)
NOW = (
    bare_lifecycle()
    .with_state(StateSpec("written", "task", Role.WAITING))
    .with_state(StateSpec("kept", "task", Role.WAITING))
    .with_edge(Edge(event="note", source="unmade", target="written"))
    .with_edge(Edge(event="keep", source="written", target="kept"))
)
RENAMED = NOW.with_renamed({"noted": "written"})


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    return EngineSettings(tasks=tmp_path / "tasks", uploads=tmp_path / "uploads")


@pytest.fixture
def stored(settings: EngineSettings) -> EngineSettings:
    """Three tasks of the old version: one `noted`, two `kept`."""
    with open_engine(settings, OLD) as engine:
        for number in range(3):
            engine.create("note", task_id=f"t{number}", annotations={"number": number})
        engine.send("t1", "keep")
        engine.send("t2", "keep")
    return settings


def contents(settings: EngineSettings) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in settings.tasks.iterdir()}


def check(settings: EngineSettings, lifecycle: Any, **options: Any) -> dict[str, TaskCheck]:
    return {one.task_id: one for one in check_tasks(settings.tasks, lifecycle, **options)}


def change(settings: EngineSettings, task_id: str, edit: Callable[[dict[str, Any]], Any]) -> None:
    path = settings.tasks / f"{task_id}.json"
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


# -- told before it runs --------------------------------------------------------------------


def test_all_is_well(stored: EngineSettings):
    """Each loads, its state is there, its history is a walk; nothing is to be done."""
    found = check(stored, OLD)
    assert list(found) == ["t0", "t1", "t2"]
    assert all(one.is_good and one.reason is one.advice is None for one in found.values())
    assert {one.does for one in found.values()} == {"waits for a client"}


def test_a_state_that_is_not_there(stored: EngineSettings):
    """Its task does not load; that of the others names it in the history."""
    found = check(stored, NOW)
    one, other = found["t0"], found["t1"]
    assert (one.loads, one.has_state, one.is_walk, one.does) == (False, False, False, None)
    assert "'noted' is no state" in str(one.reason)
    assert "renamed={'noted': ...}" in str(one.advice)
    assert (other.loads, other.has_state, other.is_walk) == (True, True, False)
    assert str(other.reason).endswith("there is no state 'noted'")
    assert "declare `renamed={'noted': ...}`" in str(other.advice)
    assert (one.is_good, other.is_good) == (False, True)


def test_a_declared_name(stored: EngineSettings):
    """Then all is well again, and it says which files get other names."""
    found = check(stored, RENAMED)
    assert all(one.is_good and one.is_renamed for one in found.values())
    assert found["t0"].state == "written"


def test_an_edge_that_is_not_there(stored: EngineSettings):
    """The past stays as it is: that is no reason to do something, but it is told."""
    edges = [edge for edge in OLD.free_edges if edge.event != "keep"]
    other = Edge(event="store", source="noted", target="kept")
    lifecycle = type(OLD)(OLD.states, OLD.stages, [*edges, other])
    one = check(stored, lifecycle)["t1"]
    assert (one.loads, one.is_walk) == (True, False)
    assert one.reason == "step 2, noted --keep--> kept: there is no such edge"
    assert str(one.advice).startswith("nothing has to be done")


def test_files_that_no_version_would_load(stored: EngineSettings):
    """With the reason, and no word of states."""
    (stored.tasks / "t0.json").write_bytes(b"{")
    (stored.tasks / "no id.json").write_bytes(b"{}")
    change(stored, "t1", lambda values: values.update(attempts="3"))
    change(stored, "t2", lambda values: values["history"].pop())
    found = check(stored, OLD)
    assert [one.loads for one in found.values()] == [False] * 4
    assert "not JSON" in str(found["t0"].reason)
    assert "expected int @ $.attempts" in str(found["t1"].reason)
    assert "not to the state @ $.history" in str(found["t2"].reason)
    assert (found["t2"].has_state, found["t2"].is_walk) == (True, False)
    assert all("upgrade" in str(one.advice) for one in found.values())


def test_what_an_upgrade_would_make_of_them(stored: EngineSettings):
    """The files are looked at as the engine would."""
    change(stored, "t0", lambda values: values.update(attempts="3"))
    assert not check(stored, OLD)["t0"].is_good
    assert check(stored, OLD, upgrade=lambda values: values | {"attempts": 3})["t0"].is_good


def test_it_only_reads(stored: EngineSettings, musictasks_faults: FaultInjector):
    """Beside an engine at work: no lock, no file operation, the same bytes."""
    with open_engine(stored, OLD):
        before = contents(stored)
        musictasks_faults.clear()
        check(stored, RENAMED)
        check(stored, NOW)
        assert musictasks_faults.count == 0
        assert contents(stored) == before


def test_no_directory_has_no_tasks(settings: EngineSettings):
    assert check(settings, OLD) == {}
    assert not settings.tasks.exists()


def test_a_lifecycle_that_is_not_whole(stored: EngineSettings):
    with pytest.raises(LifecycleError, match="lonely"):
        check(stored, OLD.with_state(StateSpec("lonely", "task", Role.WAITING)))


def test_as_data(stored: EngineSettings):
    """JSON holds it."""
    data = [one.as_dictionary() for one in check(stored, NOW).values()]
    assert json.loads(json.dumps(data)) == data
    assert [(one["good"], one["iswalk"]) for one in data] == [(False, False), *[(True, False)] * 2]


# -- taken over when it runs ----------------------------------------------------------------


def test_old_names_go_from_memory_and_disk(stored: EngineSettings):
    """At the opening, before anything else is done with the tasks; and then never again."""
    assert {task.state for task in read_tasks(stored, RENAMED).tasks} == {"written", "kept"}
    with open_engine(stored, RENAMED) as engine:
        assert not engine.invalid()
        assert engine.get("t0").state == "written"
        assert engine.get("t1").came_from == "written"
        assert engine.get("t2").annotations == {"number": 2}
        written = [path.read_bytes() for path in stored.tasks.glob("[!.]*.json")]
        assert len(written) == 3
        assert not any(b"noted" in content for content in written)
        engine.send("t0", "keep")
    assert all(one.is_good and not one.is_renamed for one in check(stored, NOW).values())


def test_a_file_that_appears_later_is_taken_over(stored: EngineSettings, tmp_path: Path):
    """Put there by a person, while the engine works."""
    old = (stored.tasks / "t0.json").read_bytes()
    (stored.tasks / "t0.json").unlink()
    with open_engine(stored, RENAMED) as engine:
        (stored.tasks / "t0.json").write_bytes(old)
        engine.look()
        assert engine.get("t0").state == "written"
        assert b"noted" not in (stored.tasks / "t0.json").read_bytes()


def test_an_edit_that_names_the_old_state_is_none(stored: EngineSettings):
    """What a person saves from an editor that was open since before is merged."""
    old = (stored.tasks / "t0.json").read_text()
    with open_engine(stored, RENAMED) as engine:
        edited = json.loads(old) | {"annotations": {"by": "hand"}}
        (stored.tasks / "t0.json").write_text(json.dumps(edited))
        engine.look()
        assert engine.send("t0", "keep").annotations == {"by": "hand"}
        assert b"noted" not in (stored.tasks / "t0.json").read_bytes()


def test_a_disk_that_refuses(stored: EngineSettings, musictasks_faults: FaultInjector):
    """The tasks are there with their new names; their files get them with the next save."""
    musictasks_faults.refuse("write")
    engine = open_engine(stored, RENAMED)
    assert engine.get("t0").state == "written"
    assert b"noted" in (stored.tasks / "t0.json").read_bytes()
    musictasks_faults.clear()
    engine.send("t0", "keep")
    assert b"noted" not in (stored.tasks / "t0.json").read_bytes()
    assert b"noted" in (stored.tasks / "t1.json").read_bytes()
    engine.close()
    open_engine(stored, RENAMED).close()
    assert not any(b"noted" in content for content in contents(stored).values())


def test_killed_at_every_file_operation(stored: EngineSettings, musictasks_faults: FaultInjector):
    """Each file is the old one or the new one, whole; the next start ends the same, always."""
    before = contents(stored)
    with open_engine(stored, RENAMED) as engine:
        wanted = {task.id: task for task in engine.tasks()}
    after = contents(stored)
    at, killed = 0, True
    while killed:
        at += 1
        for name, content in before.items():
            (stored.tasks / name).write_bytes(content)
        stepped = SteppedEngine(stored, RENAMED)
        musictasks_faults.kill(at)
        try:
            stepped.start()
            killed = False
            stepped.kill()
        except Killed:
            pass
        musictasks_faults.clear()
        for name, content in before.items():
            assert (stored.tasks / name).read_bytes() in {content, after[name]}
        with open_engine(stored, RENAMED) as engine:
            assert {task.id: task for task in engine.tasks()} == wanted
        assert contents(stored) == after
    assert at > 3 * len(before)


PROGRAM = """
import sys
from test_stored_tasks import RENAMED
from musictasks.engine import EngineSettings, open_engine
print("ready", flush=True)
open_engine(EngineSettings(tasks=sys.argv[1], uploads=sys.argv[2]), RENAMED)
"""


def test_a_process_that_is_really_killed(stored: EngineSettings):
    """With many tasks, in the middle: some files have new names then, some old ones."""
    content = json.loads((stored.tasks / "t0.json").read_text())
    for number in range(200):
        name = f"many-{number}"
        (stored.tasks / f"{name}.json").write_text(json.dumps({**content, "id": name}))
    command = [sys.executable, "-c", PROGRAM, str(stored.tasks), str(stored.uploads)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        while b'"written"' not in (stored.tasks / "many-130.json").read_bytes():
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    old = [name for name, content in contents(stored).items() if b"noted" in content]
    assert 0 < len(old) < 203
    assert all(one.is_good for one in check(stored, RENAMED).values())
    with open_engine(stored, RENAMED) as engine:
        assert len(engine.tasks()) == 203
        assert all(isinstance(task, Task) and task.state != "noted" for task in engine.tasks())
    assert not any(b"noted" in content for content in contents(stored).values())
