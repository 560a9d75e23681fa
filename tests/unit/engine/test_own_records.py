"""Tasks of an own lifecycle with an own record class: made, sent, changed, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen
from musictasks.engine import EngineSettings, open_engine
from musictasks.errors import (
    IllegalTransition,
    LifecycleError,
    SettingsError,
    TaskExists,
    TaskFailed,
    TaskInvalid,
    TaskNotFound,
    TransitionRefused,
)
from musictasks.statemachine import Edge, Outcome, Task, Work, succeed
from papers import HANDLERS, PAPERS, Paper, open_papers


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    return EngineSettings(
        tasks=tmp_path / "tasks", uploads=tmp_path / "uploads", durability="none", workers=2
    )


def test_a_task_is_made_by_its_first_event(settings: EngineSettings):
    """With fields of the record, which are in the file under their keys."""
    engine, _ = open_papers(settings)
    task = engine.create("note", "paper", pages=3, annotations={"from": "Ada"})
    assert isinstance(task, Paper)
    assert (task.state, task.pages, task.annotations) == ("toread", 3, {"from": "Ada"})
    saved = json.loads((settings.tasks / "paper.json").read_text())
    assert (saved["pages"], saved["shelfname"], saved["state"]) == (3, None, "toread")
    engine.close()
    engine, _ = open_papers(settings)
    assert engine.get("paper") == task
    engine.close()


def test_a_handler_sets_fields_of_the_record(settings: EngineSettings):
    engine, _ = open_papers(settings)
    with engine:
        task = engine.create("note")
        assert engine.wait(task.id, "review", timeout=30).pages == len(b"noted")
        engine.send(task.id, "approve")
        assert engine.wait(task.id, "filed", timeout=30).shelf == "left"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"pages": "three"}, r"expected int.* @ \$\.pages"),
        ({"shelf": 1}, r"expected str.* @ \$\.shelfname"),
        ({"leaves": 1}, "no field leaves"),
        ({"attempts": 1}, "no field attempts"),
        ({"file_size": -1}, r"\$\.filesize"),
        ({"upload_path": "../x"}, r"\$\.uploadpath"),
        ({"state": "filed"}, "state"),
        ({"task_id": "a b"}, "not 1 to 64"),
    ],
)
def test_what_the_record_cannot_hold_is_refused(
    settings: EngineSettings, values: dict[str, Any], reason: str
):
    """It says where, and there is no task."""
    engine, _ = open_papers(settings)
    with pytest.raises(TaskInvalid, match=reason):
        engine.create("note", **values)
    assert engine.tasks() == []
    assert list(settings.tasks.iterdir()) == []
    engine.close()


def test_changes_of_an_event_are_checked(settings: EngineSettings):
    """A client's changes that the record cannot hold leave the task as it is."""
    engine, _ = open_papers(settings, handlers={"reading": lambda task, work: succeed()})
    with engine:
        task = engine.wait(engine.create("note").id, "review", timeout=30)
        for changes in ({"pages": "x"}, {"leaves": 1}, {"upload_path": "/x"}):
            with pytest.raises(TaskInvalid):
                engine.send(task.id, "approve", changes=changes)
        with pytest.raises(TransitionRefused, match="is_readable"):
            engine.send(task.id, "approve", changes={"pages": 3})  # guards see it as it was
        assert engine.get(task.id) == task


@pytest.mark.parametrize("event", ["begin", "succeed", "page", "last_page", "recover", "forget"])
def test_a_client_sends_only_what_is_declared_for_clients(settings: EngineSettings, event: str):
    """Whatever the state: the events of the engine, of handlers and of uploads are not its own."""
    engine, uploads = open_papers(settings)
    waiting = uploads.begin(file_size=3)
    queued = engine.create("note")
    for task in (waiting, queued):
        with pytest.raises(IllegalTransition) as caught:
            engine.send(task.id, event)
        assert event not in caught.value.allowed
        assert engine.get(task.id) == task
    engine.close()


def test_an_id_is_given_once(settings: EngineSettings):
    """Also that of a file that does not load."""
    engine, _ = open_papers(settings)
    engine.create("note", "paper")
    with pytest.raises(TaskExists, match="paper"):
        engine.create("note", "paper")
    engine.close()
    (settings.tasks / "broken.json").write_text("{")
    engine, _ = open_papers(settings)
    with pytest.raises(TaskExists, match="broken"):
        engine.create("note", "broken")
    with pytest.raises(IllegalTransition):
        engine.create("approve", "other")
    with pytest.raises(TaskNotFound):
        engine.get("other")
    engine.close()


def test_a_held_task_waits_until_it_is_released(settings: EngineSettings):
    """It is stored and told, but its work begins later; a second release begins nothing."""
    engine, _ = open_papers(settings)
    with engine:
        task = engine.create("note", hold=True)
        other = engine.create("note")
        engine.wait(other.id, "review", timeout=30)
        assert engine.get(task.id).state == "toread"
        engine.release(task.id)
        engine.release(task.id)
        done = engine.wait(task.id, "review", timeout=30)
        assert [entry.event for entry in done.history] == ["note", "begin", "succeed"]


def test_what_is_held_is_not_gone_on_with_as_what_was_loaded(settings: EngineSettings):
    """Its own process has told of it, before the start or after it; the next one goes on."""
    found: list[tuple[str, str]] = []
    for process in ("first", "second"):
        engine, _ = open_papers(settings)
        engine.on_resume("toread", lambda held, by=process: found.append((by, held.record.id)))
        if process == "first":
            engine.create("note", "before", hold=True)
        with engine:
            if process == "first":
                engine.create("note", "after", hold=True)
                engine.create("note", "left", hold=True)
                for task_id in ("before", "after"):
                    engine.release(task_id)
            for task_id in ("before", "after", *(["left"] if process == "second" else [])):
                engine.wait(task_id, "review", timeout=30)
    assert found == [("second", "left")]


def test_several_things_are_done_with_a_held_task_as_one(settings: EngineSettings):
    """`hold` locks it: the record inside the block is the one that is changed."""
    engine, _ = open_papers(settings)
    with engine:
        task = engine.wait(engine.create("note").id, "review", timeout=30)
        with engine.hold(task.id) as held:
            assert held.record == task
            assert not held.is_worked_on
            assert held.edge_taken("approve") is not None
            changed = held.change(lambda record: record.annotated({"seen": True}))
            moved = held.send("approve", annotations={"by": "Ada"}, message="fine")
        assert changed.annotations == {"seen": True}
        assert (moved.state, moved.message) == ("tofile", "fine")
        assert engine.wait(task.id, "filed", timeout=30).annotations == {"seen": True, "by": "Ada"}


def test_a_persons_edit_counts_where_the_field_is_editable(settings: EngineSettings):
    """`pages` is taken from the file, `shelf` is the engine's."""
    engine, _ = open_papers(settings)
    with engine:
        task = engine.wait(engine.create("note").id, "review", timeout=30)
        path = settings.tasks / f"{task.id}.json"
        edited = json.loads(path.read_text()) | {"pages": 99, "shelfname": "mine", "new": 1}
        path.write_text(json.dumps(edited))
        changed = engine.annotate(task.id, {"seen": True})
        assert (changed.pages, changed.shelf, changed.unknown) == (99, None, {"new": 1})


def test_an_older_file_is_brought_up_to_date(settings: EngineSettings):
    """`upgrade` sees the object before it is checked, `take_over` the record after it."""
    settings.tasks.mkdir(parents=True)
    (settings.tasks / "old.json").write_text('{"id": "old", "state": "review", "leaves": 7}')

    def upgrade(values: dict[str, Any]) -> dict[str, Any]:
        return {"pages": values.pop("leaves", None), **values}

    def take_over(task: Task) -> Task:
        return task.annotated({"taken": "over"})

    engine = open_engine(settings, PAPERS, handlers=HANDLERS, upgrade=upgrade, take_over=take_over)
    assert (engine.get("old").pages, engine.get("old").annotations) == (7, {"taken": "over"})
    engine.close()
    saved = json.loads((settings.tasks / "old.json").read_text())
    assert (saved["pages"], saved["annotations"]) == (7, {"taken": "over"})
    assert "leaves" not in saved


def test_what_cannot_be_taken_over_does_not_load(settings: EngineSettings):
    """It is listed with the reason and left as it is; the others work."""
    settings.tasks.mkdir(parents=True)
    for name in ("bad", "good"):
        (settings.tasks / f"{name}.json").write_text(f'{{"id": "{name}", "state": "review"}}')

    def take_over(task: Task) -> Task:
        if task.id == "bad":
            raise OSError("its data is on another disk")
        return task

    engine = open_engine(settings, PAPERS, handlers=HANDLERS, take_over=take_over)
    assert [task.id for task in engine.tasks()] == ["good"]
    (invalid,) = engine.invalid()
    assert "another disk" in invalid.reason
    engine.close()


def test_what_a_task_has_elsewhere_is_cleaned_up_at_its_removal(settings: EngineSettings):
    """Before its directory goes, and again until it works."""
    calls: list[tuple[str, bool]] = []

    def clean_up(task: Task) -> None:
        calls.append((task.id, (settings.uploads / task.id).exists()))
        if len(calls) == 1:
            raise OSError("not now")

    engine, _ = open_papers(settings, clean_up=clean_up)
    with engine:
        task = engine.wait(engine.create("note").id, "review", timeout=30)
        engine.discard(task.id)
    assert calls == [(task.id, True), (task.id, True)]


def test_observers_hear_of_every_entry_and_every_loaded_task(settings: EngineSettings):
    heard: list[tuple[str, str]] = []
    options = {"observers": [lambda task: heard.append((task.id, task.state))]}
    engine, _ = open_papers(settings, **options)
    with engine:
        engine.wait(engine.create("note", "paper").id, "review", timeout=30)
    assert heard == [("paper", state) for state in ("toread", "reading", "review")]
    heard.clear()
    engine, _ = open_papers(settings, **options)
    with engine:
        engine.discard("paper")
    assert heard == [("paper", state) for state in ("review", "removing", "gone")]


def test_a_handler_cannot_set_what_the_record_has_not(settings: EngineSettings):
    def reading(task: Paper, work: Work) -> Outcome:
        return succeed(changes={"leaves": 1})

    engine, _ = open_papers(settings, handlers={"reading": reading})
    with engine, pytest.raises(TaskFailed, match="cannot set leaves"):
        engine.wait(engine.create("note").id, "review", timeout=30)


def test_a_record_that_no_file_can_hold_is_refused(settings: EngineSettings):
    """When the engine is opened, with the field."""

    @frozen(kw_only=True)
    class Two(Paper):
        shelfname: str | None = None

    with pytest.raises(LifecycleError, match="shelfname"):
        open_engine(settings, PAPERS.with_record(Two), handlers=HANDLERS)


def test_a_stage_without_a_handler_is_refused(settings: EngineSettings):
    with pytest.raises(LifecycleError, match=r"'filing'.*no handler"):
        open_engine(settings, PAPERS, handlers={"reading": HANDLERS["reading"]})
    with pytest.raises(LifecycleError, match="no such stage"):
        open_engine(settings, PAPERS, handlers={**HANDLERS, "ironing": HANDLERS["reading"]})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("durability", "maybe"),
        ("workers", 0),
        ("attempts", 1.5),
        ("chunk_size", True),
        ("max_age_s", -1),
        ("keep_failed_s", "long"),
        ("stop_timeout_s", float("inf")),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(name: str, value: object):
    with pytest.raises(SettingsError, match=name):
        EngineSettings(tasks="t", uploads="u", **{name: value})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("tasks", "uploads"), [("a", "a"), ("a/b", "a"), ("a", "a/b"), ("a", "./a")]
)
def test_the_two_directories_are_apart(tmp_path: Path, tasks: str, uploads: str):
    """Else one would be cleaned as the other's."""
    with pytest.raises(SettingsError, match="name two directories"):
        EngineSettings(tasks=tmp_path / tasks, uploads=tmp_path / uploads)


def test_a_number_that_json_has_not_is_refused(settings: EngineSettings):
    """By a client and by a handler: it would not load again."""

    @frozen(kw_only=True)
    class Scored(Paper):
        scores: list[float] = field(factory=list)

    def reading(task: Scored, work: Work) -> Outcome:
        return succeed(changes={"scores": [float("inf")]})

    handlers = {**HANDLERS, "reading": reading}
    engine = open_engine(settings, PAPERS.with_record(Scored), handlers=handlers)
    with engine:
        with pytest.raises(TaskInvalid, match=r"scores"):
            engine.create("note", scores=[float("nan")])
        with pytest.raises(TaskFailed, match="scores"):
            engine.wait(engine.create("note").id, "review", timeout=30)


def test_an_edge_sets_nothing_that_is_the_machines():
    edge = Edge(event="skip", source="review", target="tofile", sets={"state": "filed"})
    with pytest.raises(LifecycleError, match="the machine does"):
        PAPERS.with_edge(edge)


def test_a_clean_up_that_goes_wrong_is_tried_again(settings: EngineSettings):
    """Whatever it raises: a task is never stuck in its removal."""
    calls: list[str] = []

    def clean_up(task: Task) -> None:
        calls.append(task.id)
        if len(calls) == 1:
            raise RuntimeError("a bug of an integrator's")

    engine, _ = open_papers(settings, clean_up=clean_up)
    with engine:
        engine.discard(engine.create("note").id)
    assert len(calls) == 2
