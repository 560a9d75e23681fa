"""`prove(upgrade_from=...)`: what goes on is accepted, and each thing that does not is found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, frozen
from musictasks.errors import LifecycleViolation
from musictasks.statemachine import (
    MUSIC,
    Edge,
    Lifecycle,
    Role,
    Stage,
    StateSpec,
    Task,
    TaskMachine,
    bare_lifecycle,
    in_file,
)
from musictasks.testing import prove
from musictasks.testing.bench import Bench
from musictasks.testing.upgrading import prove_upgrade


@frozen(kw_only=True)
class Note(Task):
    pages: int | None = field(default=None, metadata=in_file(examples=(1, 5)))


def is_long(task: Note, payload: Mapping[str, Any]) -> bool:
    return (task.pages or 0) > 3


def is_signed(task: Note, payload: Mapping[str, Any]) -> bool:
    return payload.get("by") == "Ada"


WORK = Stage("work", group="g", queued="queued", working="working", succeeded="end", failed="bad")


def notes(name: str = "noted", record: type[Task] = Note, **edge: Any) -> Lifecycle:
    """A state, an edge out of it, and a stage."""
    return (
        bare_lifecycle(record)
        .with_state(StateSpec(name, "g", Role.WAITING))
        .with_state(StateSpec("end", "g", Role.FINISHED))
        .with_stage(WORK)
        .with_edge(Edge(event="note", source="unmade", target=name))
        .with_edge(Edge(event="ask", source=name, target="queued", **edge))
    )


OLD = notes()


def test_a_version_goes_on_from_itself():
    """Every stored state of the old one, and the report says how many tasks that were."""
    report = prove(OLD, upgrade_from=OLD)
    assert report.upgraded >= len(OLD.storable)
    assert f"{report.upgraded} stored tasks of the older lifecycle: each goes on" in str(report)
    assert prove(OLD).upgraded == 0
    assert "older" not in str(prove(OLD))


def test_a_stage_more_in_the_music_library_goes_on(tmp_path: Path):
    """What an integrator adds takes nothing from stored tasks."""
    more = MUSIC.with_stage(
        Stage(
            "own",
            group="own",
            queued="toown",
            working="owning",
            succeeded="readyforimport",
            failed="ownfailed",
        )
    ).with_target("integrating", "succeed", "toown")
    assert prove_upgrade(Bench(more, tmp_path, TaskMachine), MUSIC, ()) > len(MUSIC.storable)


def test_a_state_that_is_not_there_is_found():
    """With the way to it in the old machine, and what to do; declared, it goes on."""
    later = notes("written")
    with pytest.raises(
        LifecycleViolation, match=r"does not load: 'noted' .*`Lifecycle.renamed`"
    ) as e:
        prove(later, upgrade_from=OLD)
    assert e.value.where == "state 'noted' of the older lifecycle"
    assert e.value.path == ("unmade --note--> noted",)
    assert prove(later.with_renamed({"noted": "written"}), upgrade_from=OLD).upgraded


def test_nothing_but_the_removal_is_found():
    """It could go on before; what could not before is no loss."""
    edges = [edge for edge in OLD.free_edges if edge.event != "ask"]
    other = Edge(event="begin_work", source="unmade", target="queued")
    less = Lifecycle(OLD.states, OLD.stages, [*edges, other], record=Note)
    with pytest.raises(LifecycleViolation, match="nothing but its removal is left") as caught:
        prove(less, upgrade_from=OLD)
    assert "noted --ask--> queued" in caught.value.path
    assert prove(OLD, upgrade_from=less).upgraded


def test_a_guard_that_lets_some_records_no_further_is_found():
    """Short notes went on before, and do not any more; a way for them is enough."""
    with pytest.raises(LifecycleViolation, match="'ask' led on, and in 'noted' nothing but"):
        prove(notes(guard=is_long), upgrade_from=OLD)
    stored = notes(guard=is_long).with_edge(Edge(event="store", source="noted", target="end"))
    assert prove(stored, upgrade_from=OLD).upgraded


def test_a_payload_that_a_guard_asks_for_is_given():
    """As for the proof itself."""
    given = (Note(id="mine", state="noted"), {"by": "Ada"})
    assert prove(notes(guard=is_signed), tasks=[given], upgrade_from=OLD).upgraded


@frozen(kw_only=True)
class Before(Task):
    """The record of an older version, in which pages were text."""

    pages: str = field(default="1", metadata=in_file(examples=("1", "many")))


def test_fields_that_do_not_load_are_found():
    """Until an upgrade makes of them what they are today; records of both versions are given."""
    old = notes(record=Before)
    with pytest.raises(LifecycleViolation, match=r"does not load: expected int @ \$.pages"):
        prove(OLD, upgrade_from=old)

    def upgrade(values: dict[str, Any]) -> dict[str, Any]:
        pages = values["pages"]
        return values if not isinstance(pages, str) else values | {"pages": int(pages)}

    with pytest.raises(LifecycleViolation, match="'many'"):
        prove(OLD, upgrade_from=old, upgrade=upgrade)

    def careful(values: dict[str, Any]) -> dict[str, Any]:
        return upgrade(values | {"pages": None}) if values["pages"] == "many" else upgrade(values)

    assert prove(OLD, upgrade_from=old, upgrade=careful).upgraded


def test_records_of_the_older_version_are_given():
    """They are tried as they are; without the older lifecycle they are none."""
    old = notes(record=Before)
    given = [Before(id="a", state="noted", pages="a few"), Note(id="b", state="noted")]

    def upgrade(values: dict[str, Any]) -> dict[str, Any]:
        assert values["pages"] != "a few"
        return values | {"pages": None} if isinstance(values["pages"], str) else values

    with pytest.raises(AssertionError):
        prove(OLD, tasks=given, upgrade_from=old, upgrade=upgrade)
    assert prove(OLD, tasks=given[1:], upgrade_from=old, upgrade=upgrade).upgraded
    with pytest.raises(TypeError, match="records are Note, not Before"):
        prove(OLD, tasks=given)


def test_another_role_is_no_loss():
    """What has become of a state is for `compare` to tell; its tasks go on."""
    queue = [evolve(s, role=Role.WAITING) if s.name == "end" else s for s in OLD.states]
    later = Lifecycle(queue, OLD.stages, OLD.free_edges, record=Note)
    assert prove(later, upgrade_from=OLD).upgraded
