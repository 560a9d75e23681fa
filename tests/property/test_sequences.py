"""No sequence of public calls, crashes and users leads where the declaration does not allow."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from musicmachine import MusicStateMachine
from musictasks.statemachine import (
    MUSIC,
    Lifecycle,
    MusicTask,
    Outcome,
    Stage,
    Work,
    reject,
    succeed,
)
from musictasks.testing import LifecycleStateMachine
from paperkit import PAPERS, Paper

#: A stage of an integrator's, with a handler that makes files.
MINE = MUSIC.with_stage(
    Stage(
        "transcoding",
        group="upload",
        queued="starttranscoding",
        working="transcoding",
        succeeded="readyforintegration",
        failed="transcodingfailed",
        rejected="invalidcontent",
    )
).with_target("preprocessing", "succeed", "starttranscoding")


def seen(machine: type[LifecycleStateMachine], examples: int, **options: object) -> set[str]:
    """Runs a state machine; the edges that all examples together took, as text."""
    edges: set[str] = set()

    class Watched(machine):
        def teardown(self) -> None:
            super().teardown()
            edges.update(f"{source} --{event}--> {to}" for event, source, to in self.edges)

    chosen = settings(max_examples=examples, stateful_step_count=40, **options)  # pyright: ignore[reportArgumentType]
    run_state_machine_as_test(Watched, settings=chosen)
    return edges


def test_no_sequence_of_calls_leads_to_an_undeclared_state():
    """On the music lifecycle, and the examples do reach its depths."""
    edges = seen(MusicStateMachine, 30)
    assert len(edges) >= 48, sorted(edges)


class Transcoded(MusicStateMachine):
    """An integrator's lifecycle, whose handler works on real files."""

    lifecycle: ClassVar[Lifecycle] = MINE
    made: ClassVar[Path]
    #: The records that the handler was given.
    given: ClassVar[list[MusicTask]] = []

    @staticmethod
    def transcode(task: MusicTask, work: Work) -> Outcome:
        Transcoded.given.append(task)
        if task.content_type == "artwork":
            return reject("nothing to transcode")
        (Transcoded.made / task.id).write_text(task.id)
        return succeed(annotations={"transcoded": True})

    handlers: ClassVar = {"transcoding": transcode}


def test_no_sequence_of_calls_breaks_an_integrators_lifecycle():
    """A stage of its own with a real handler: the same rules and invariants."""
    Transcoded.made = Path(tempfile.mkdtemp())
    try:
        edges = seen(Transcoded, 12)
        assert Transcoded.given
        assert list(Transcoded.made.iterdir())
    finally:
        shutil.rmtree(Transcoded.made)
    assert "starttranscoding --begin--> transcoding" in edges
    assert "transcoding --succeed--> readyforintegration" in edges


class Papers(LifecycleStateMachine):
    """Nothing of music: a record of its own, uploads, a client that approves, real files."""

    lifecycle: ClassVar[Lifecycle] = PAPERS
    #: One worker: a second task waits in the queue.
    settings: ClassVar = {"workers": 1}
    filed: ClassVar[Path]

    @staticmethod
    def read(task: Paper, work: Work) -> Outcome:
        """What is left of a run that was cut off is written again."""
        path = work.directory / "text"
        path.write_text(task.kind)
        return succeed(changes={"pages": len(task.kind), "words": [task.kind]})

    @staticmethod
    def file(task: Paper, work: Work) -> Outcome:
        (Papers.filed / task.id).write_text(task.kind)
        return succeed(changes={"filed": f"{task.kind}/{task.id}"})

    handlers: ClassVar = {"reading": read, "filing": file}


def test_no_sequence_of_calls_breaks_a_lifecycle_without_music():
    """The machine needs to know nothing of it but its declaration."""
    Papers.filed = Path(tempfile.mkdtemp())
    try:
        edges = seen(Papers, 60)
        assert list(Papers.filed.iterdir())
    finally:
        shutil.rmtree(Papers.filed)
    assert len(edges) >= 24, sorted(edges)
    for edge in (
        "unmade --type--> proposed",
        "receiving --complete--> toread",
        "reading --succeed--> tofile",
        "proposed --approve--> tofile",
    ):
        assert edge in edges


@pytest.mark.long
def test_no_sequence_of_calls_leads_to_an_undeclared_state_long():
    """Many more examples, other ones each time: nearly every edge is taken."""
    edges = seen(MusicStateMachine, 500, derandomize=False)
    assert len(edges) >= 60, sorted(edges)
