"""What was notified, kept for a test to look at."""

from __future__ import annotations

import threading
from collections.abc import Callable
from difflib import ndiff
from typing import Any

from ..engine import Engine


class States(list[str]):
    """The states a task was told in; a list that knows how to explain itself.

    The pytest plugin shows `explain` where a comparison with another list fails.
    """

    def __init__(self, states: list[str], task_id: str, reasons: dict[str, str]) -> None:
        super().__init__(states)
        self._task_id = task_id
        self._reasons = reasons

    def explain(self, expected: list[str]) -> list[str]:
        """The two walks side by side: `-` was expected and not told, `+` was told."""
        lines = [f"task {self._task_id} went another way (- expected, + told):"]
        for line in ndiff(list(expected), list(self)):
            if not line.startswith("?"):
                reason = self._reasons.get(line[2:]) if line[0] != "-" else None
                lines.append(f"  {line}" + (f"  ({reason})" if reason else ""))
        return lines


def explain(left: list[Any], right: list[Any]) -> list[str] | None:
    """Why two lists differ, if one of them is `States`; None otherwise."""
    if isinstance(left, States):
        return left.explain(right)
    return right.explain(left) if isinstance(right, States) else None


class Recorder:
    """Keeps the notifications of an engine, and lets a test wait for one.

    Give it to `engine.subscribe`, or an engine to it.
    """

    def __init__(self, engine: Engine[Any] | None = None) -> None:
        #: Name and status of each notification, oldest first.
        self.all: list[tuple[str, dict[str, Any]]] = []
        self._changed = threading.Condition()
        if engine is not None:
            engine.subscribe(self)

    def __call__(self, notification: str, status: dict[str, Any]) -> None:
        with self._changed:
            self.all.append((notification, status))
            self._changed.notify_all()

    def of(self, task_id: str | None) -> list[tuple[str, dict[str, Any]]]:
        """The notifications of one task; None: those of no task."""
        return [(name, status) for name, status in self.all if status["taskid"] == task_id]

    def states(self, task_id: str) -> States:
        """The states a task was told in, one after the other, repetitions left out."""
        states: list[str] = []
        reasons: dict[str, str] = {}
        for name, status in self.of(task_id):
            if not states or states[-1] != status["state"]:
                states.append(status["state"])
            if status["message"]:
                reasons[status["state"]] = f"{name}: {status['message']}"
        return States(states, task_id, reasons)

    def wait_for(self, wanted: Callable[[Recorder], object], timeout_s: float = 30) -> None:
        """Blocks until `wanted(recorder)` is true; the time limit is for broken code only.

        Raises:
            AssertionError: It was not in time; the message lists what was told instead.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: bool(wanted(self)), timeout_s):
                raise AssertionError(f"not told in {timeout_s} s; told were:\n{self}")

    def wait_for_state(self, task_id: str, state: str, timeout_s: float = 30) -> None:
        """Blocks until the task was told to be in a state; raises as `wait_for`."""
        self.wait_for(lambda recorder: state in recorder.states(task_id), timeout_s)

    def __str__(self) -> str:
        """One line for each notification."""
        lines = [
            f"  {name} {status['taskid']} {status['state']}"
            + (f": {status['message']}" if status["message"] else "")
            for name, status in self.all
        ]
        return "\n".join(lines) or "  nothing"
