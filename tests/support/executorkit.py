"""Handlers for workers in other processes, which import this module by its name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from attrs import frozen
from musictasks.errors import ChunkRefused
from musictasks.statemachine import (
    Edge,
    Handler,
    Outcome,
    Role,
    Stage,
    StateSpec,
    Task,
    Work,
    bare_lifecycle,
    succeed,
)

#: One stage between the first event and the end.
COUNTING = (
    bare_lifecycle()
    .with_state(StateSpec("counted", "counting", Role.FINISHED))
    .with_stage(
        Stage(
            "counting",
            group="counting",
            queued="waiting",
            working="counting",
            succeeded="counted",
            failed="countingfailed",
        )
    )
    .with_edge(Edge(event="submit", source="unmade", target="waiting"))
)


def count(task: Task, work: Work) -> Outcome:
    """Leaves a file behind, and notes which process did it."""
    (work.directory / "counted.txt").write_text("1 2 3")
    return succeed(annotations={"pid": os.getpid()})


@frozen
class DiesOnce:
    """Kills its process when the handler's work is done, at the first time for each state.

    So the outcome is lost, and the work is done a second time.
    """

    handler: Handler
    graves: Path

    def __call__(self, task: Task, work: Work) -> Outcome:
        outcome = self.handler(task, work)
        grave = self.graves / f"{task.id}-{task.state}"
        try:
            grave.touch(exist_ok=False)
        except FileExistsError:
            return outcome
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("killed processes do not go on")


def die(task: Task, work: Work) -> Outcome:
    """Kills its process each time."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("killed processes do not go on")


def refuse(offset: int) -> None:
    """Raises an error that has data."""
    raise ChunkRefused("t", "not now", offset)
