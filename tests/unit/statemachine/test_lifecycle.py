"""A lifecycle is checked when it is built, and derived without changing its origin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from musictasks.errors import LifecycleError
from musictasks.statemachine import (
    MUSIC,
    Edge,
    Lifecycle,
    MusicTask,
    Role,
    Stage,
    StateSpec,
    Target,
    TaskMachine,
    UploadTask,
    bare_lifecycle,
)

TRANSCODING = Stage(
    "transcoding",
    group="upload",
    queued="starttranscoding",
    working="transcoding",
    succeeded="readyforintegration",
    failed="transcodingfailed",
    rejected="invalidcontent",
)


def says_yes(task: MusicTask, payload: object) -> bool:
    return True


def add(*edges: Edge, states: tuple[StateSpec, ...] = ()) -> Lifecycle:
    return Lifecycle(
        (*MUSIC.states, *states),
        MUSIC.stages,
        (*MUSIC.free_edges, *edges),
        record=MusicTask,
    )


def edge(source: str, target: str | None, event: str = "go", **rest: object) -> Edge:
    return Edge(event=event, source=source, target=target, **rest)  # pyright: ignore[reportArgumentType]


def without(event: str, source: str) -> Lifecycle:
    kept = [e for e in MUSIC.free_edges if (e.event, e.source) != (event, source)]
    return Lifecycle(MUSIC.states, MUSIC.stages, tuple(kept), record=MusicTask)


def rest(name: str) -> StateSpec:
    return StateSpec(name, "own", Role.WAITING)


def of_no_use(role: Role, **more: Any) -> Lifecycle:
    """With a state that says of its tasks that they have no use for their data."""
    return add(states=(StateSpec("x", "own", role, **{"keeps_data": False, **more}),))


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "an unknown target": (lambda: add(edge("remove", "nowhere")), "'nowhere'"),
    "an unknown source": (lambda: add(edge("nowhere", "remove")), "'nowhere'"),
    "a state twice": (lambda: add(states=(rest("remove"),)), "'remove': declared twice"),
    "a name with a space": (lambda: add(states=(rest("a b"),)), "'a b'"),
    "an event that is no name": (lambda: add(edge("integrating", "remove", "a b")), "a b"),
    "a role that is none": (
        lambda: add(states=(StateSpec("x", "own", "sleepy"),)),  # pyright: ignore[reportArgumentType]
        "'sleepy' is no Role",
    ),
    "two beginnings": (
        lambda: add(states=(StateSpec("x", "own", Role.INITIAL),)),
        "exactly one",
    ),
    "two edges without a guard": (
        lambda: add(edge("fsscanfailed", "remove", "retry")),
        "'retry' from 'fsscanfailed': ambiguous",
    ),
    "the same guard twice": (
        lambda: add(
            edge("uploadfailed", "remove", guard=says_yes),
            edge("uploadfailed", "waitforchunk", guard=says_yes),
        ),
        "same guard",
    ),
    "a guard that is no function": (
        lambda: add(edge("uploadfailed", "remove", guard="is_upload")),
        "'is_upload' is no function",
    ),
    "an unreachable state": (
        lambda: add(edge("island", "remove", "remove"), states=(rest("island"),)),
        "'island': no way leads to it",
    ),
    "a state without removal": (
        lambda: add(edge("uploadfailed", "pit"), states=(rest("pit"),)),
        "'pit': needs an edge 'remove'",
    ),
    "removal from a music state taken away": (
        lambda: without("remove", "integrating"),
        "'integrating': needs an edge 'remove'",
    ),
    "a last state that is never reached": (
        lambda: without("forget", "remove"),
        "'remove': a dead end",
    ),
    "a way out of the end": (lambda: add(edge("notexisting", "remove")), "is the end"),
    "a way back to the beginning": (lambda: add(edge("remove", "new")), "is the beginning"),
    "a working state without a stage": (
        lambda: add(states=(StateSpec("busy", "own", Role.WORKING),)),
        "'busy': working, but no stage",
    ),
    "a queue that keeps no data": (
        lambda: of_no_use(Role.QUEUED),
        "'x': queued, and the files in the task's directory are its handler's: say keeps_data",
    ),
    "a handler that has no data, by a guard": (
        lambda: of_no_use(Role.WORKING, keeps_data=says_yes),
        "'x': working, and the files in the task's directory are its handler's: say keeps_data",
    ),
    "a state that takes chunks and keeps none": (
        lambda: of_no_use(Role.WAITING, takes_chunks=True),
        "'x': it takes chunks, which go into the task's directory: leave keeps_data out",
    ),
    "a stage whose state is not there": (
        lambda: Lifecycle(
            MUSIC.states, (*MUSIC.stages, TRANSCODING), MUSIC.free_edges, record=MusicTask
        ),
        "stage 'transcoding': there is no state 'starttranscoding'",
    ),
    "a stage whose states have the wrong roles": (
        lambda: Lifecycle(
            (*MUSIC.states, rest("a"), rest("b")),
            (*MUSIC.stages, evolve(TRANSCODING, queued="a", working="b")),
            MUSIC.free_edges,
            record=MusicTask,
        ),
        "state 'a' needs the role 'queued'",
    ),
    "a stage that leads nowhere": (
        lambda: MUSIC.with_stage(evolve(TRANSCODING, succeeded=())),
        "succeeded is empty",
    ),
    "a stage twice": (
        lambda: MUSIC.with_stage(TRANSCODING).with_stage(TRANSCODING),
        "declared twice",
    ),
    "an edge with a target that goes unsaved": (
        lambda: add(edge("uploadfailed", "remove", stored=False)),
        "only an internal edge",
    ),
    "a stage that nothing leads to": (
        lambda: TaskMachine(MUSIC.with_stage(TRANSCODING)),
        "'starttranscoding': no way leads to it",
    ),
    "another target for an edge that is not there": (
        lambda: MUSIC.with_target("preprocessing", "suceed", "remove"),
        "'suceed' from 'preprocessing': no such edge",
    ),
    "a removal that a guard may refuse": (
        lambda: Lifecycle(
            MUSIC.states,
            MUSIC.stages,
            tuple(
                evolve(e, guard=says_yes)
                if (e.event, e.source) == ("remove", "fsscanfailed")
                else e
                for e in MUSIC.free_edges
            ),
            record=MusicTask,
        ),
        "'fsscanfailed': 'remove' needs a last edge without a guard",
    ),
    "another target without saying which": (
        lambda: MUSIC.with_target("uploadfailed", "retry", "remove", guard=says_yes),
        "failed_in_preprocessing",
    ),
    "another target for what makes a stage": (
        lambda: MUSIC.with_target("uploadcomplete", "begin", "integrating"),
        "what makes it a stage",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_badly_declared_lifecycle_is_refused_with_the_place(name: str):
    """LifecycleError says what is wrong, and where."""
    build, message = BAD[name]
    with pytest.raises(LifecycleError) as caught:
        build()
    assert message in str(caught.value)


def test_a_stage_of_an_integrator_works_like_ours():
    """A stage of their own between preprocessing and integration."""
    before = (MUSIC.states, MUSIC.stages, MUSIC.free_edges, MUSIC.edges)
    mine = MUSIC.with_stage(TRANSCODING).with_target("preprocessing", "succeed", "starttranscoding")
    machine = TaskMachine(mine)
    task = MusicTask(id="t", state="preprocessing", content_type="albumfile")
    walked = []
    for event in ("succeed", "begin", "fail", "retry", "begin", "recover", "begin", "succeed"):
        task = machine.send(task, event, now=1.0)
        walked.append(task.state)
    assert walked == [
        "starttranscoding",
        "transcoding",
        "transcodingfailed",
        "starttranscoding",
        "transcoding",
        "starttranscoding",
        "transcoding",
        "readyforintegration",
    ]
    assert (MUSIC.states, MUSIC.stages, MUSIC.free_edges, MUSIC.edges) == before
    assert "starttranscoding" not in MUSIC


def test_a_guarded_target_of_a_stage_can_be_redirected():
    """With `guard`, the edge that is meant is moved; the others stay."""
    guarded = MUSIC.edges_from("importingmusic", "succeed")[0]
    mine = MUSIC.with_stage(
        evolve(TRANSCODING, succeeded=(Target("startartworkimport", says_yes), "importcomplete"))
    ).with_target("importingmusic", "succeed", "starttranscoding", guard=guarded.guard)
    mine.check()
    targets = [e.target for e in mine.edges_from("importingmusic", "succeed")]
    assert targets == ["starttranscoding", "importcomplete"]


def test_a_state_and_an_edge_can_be_added():
    """A resting state of an integrator's own gets its removal by itself."""
    mine = (
        MUSIC.with_state(rest("approval"))
        .with_edge(edge("readyforintegration", "approval", "ask"))
        .with_edge(edge("approval", "readyforintegration", "approve"))
    )
    machine = TaskMachine(mine)
    task = machine.send(MusicTask(id="t", state="readyforintegration"), "ask", now=1.0)
    assert machine.send(task, "remove", now=1.0).state == "remove"
    assert machine.send(task, "approve", now=1.0).state == "readyforintegration"


def uploading(failed: str) -> Lifecycle:
    """A file is received, then it rests."""
    stored = StateSpec("stored", "own", Role.FINISHED)
    bare = bare_lifecycle(UploadTask).with_state(stored)
    return bare.with_upload("receiving", group="own", complete="stored", failed=failed)


def test_an_upload_is_a_state_with_its_edges():
    """Chunks while bytes are missing, then on; a wrong checksum leads away and begins anew."""
    lifecycle = uploading("damaged")
    machine = TaskMachine(lifecycle)
    sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d"
    new = UploadTask(id="t", state=lifecycle.initial, file_size=3, source_checksum=sha1)
    task = machine.send(new, "announce", now=1.0)
    task = machine.send(task, "receive", now=1.0, changes={"offset": 2}, payload={"size": 2})
    assert isinstance(task, UploadTask)
    assert (task.state, task.offset) == ("receiving", 2)
    whole = {"size": 3, "sha1": sha1}
    assert machine.edge_taken(task, "receive", whole) is None
    assert machine.send(task, "complete", now=1.0, payload=whole).state == "stored"
    task = machine.send(task, "fail", now=1.0, changes={"offset": 3})
    assert (task.state, lifecycle.keeps_data(task)) == ("damaged", False)
    task = machine.send(task, "retry", now=1.0)
    assert isinstance(task, UploadTask)
    assert (task.state, task.offset) == ("receiving", 0)


def test_an_upload_may_fail_into_a_state_that_is_there():
    """It gets no `retry` then: what that state allows is its own affair."""
    lifecycle = uploading("stored")
    lifecycle.check()
    assert lifecycle.edges_from("receiving", "fail")[0].target == "stored"
    assert lifecycle.events_from("stored") == ("remove",)


def test_an_upload_needs_a_record_of_uploads():
    stored = StateSpec("stored", "own", Role.FINISHED)
    with pytest.raises(LifecycleError, match="derives from UploadTask"):
        bare_lifecycle().with_state(stored).with_upload(
            "receiving", group="own", complete="stored", failed="damaged"
        )
