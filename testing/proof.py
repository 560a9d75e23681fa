"""The proof of a lifecycle: every pair, edge and cut, on the real machine and a real store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from ..persistence import Upgrade
from ..statemachine import Handler, Lifecycle, Task, TaskMachine
from .bench import Bench, MachineFactory
from .handling import prove_handlers
from .pairs import prove_pairs
from .paths import covering_paths, prove_path
from .upgrading import prove_upgrade


@frozen
class Report:
    """What `prove` tried, and what came of it; as text, it can be shown to a person."""

    #: Pairs of state and event that were tried, each with one record or more.
    pairs: int
    #: Tries in which an edge was taken, as declared.
    legal: int
    #: Tries that were refused, with nothing changed.
    refused: int
    edges_covered: int
    edges_total: int
    #: Paths that were walked from the beginning, or from a given task.
    paths: int
    #: Restarts in the middle of those paths, one before and one after each save.
    cuts: int
    #: Records from which a handler ran twice.
    handlers: int = 0
    #: Records of an older lifecycle that went on.
    upgraded: int = 0

    def __str__(self) -> str:
        percent = 100 * self.edges_covered / self.edges_total
        lines = [
            f"{self.pairs} pairs of state and event: {self.legal} tries legal, "
            f"{self.refused} refused",
            f"{self.edges_covered} of {self.edges_total} edges taken ({percent:.0f} %), "
            f"on {self.paths} paths",
            f"{self.cuts} cuts: the task went on after each",
        ]
        if self.handlers:
            lines.append(f"{self.handlers} handlers run twice: the second run as the first")
        if self.upgraded:
            lines.append(f"{self.upgraded} stored tasks of the older lifecycle: each goes on")
        return "\n".join(lines)


def prove(
    lifecycle: Lifecycle,
    *,
    tasks: Iterable[Task | tuple[Task, Mapping[str, Any]]] = (),
    handlers: Mapping[str, Handler] | None = None,
    directories: Iterable[Path] = (),
    uploads: Path | None = None,
    upgrade_from: Lifecycle | None = None,
    upgrade: Upgrade | None = None,
    machine: MachineFactory = TaskMachine,
) -> Report:
    """Proves that nothing illegal can happen in a lifecycle, and that no task gets stuck.

    Every pair of state and event is tried on the real machine with a real store: a declared edge
    is taken when its guard allows it; every other pair raises, and then the task, the bytes of
    its file and the notifications are untouched. Then paths that together take every edge are
    walked, cut before and after each save and restarted from what is on disk: the task must be
    able to go on. The outcomes of stages are played.

    Args:
        lifecycle: What to prove.
        tasks: Records, or pairs of a record and an event's payload, for guards that ask for
            something special. Each stands in the state where it is to be tried; one in the
            initial state begins a path.
        handlers: By the name of their stage. Each runs twice from the same record (the given
            ones in the stage's queued or working state, else a generated one) and must give the
            same outcome (the message may differ) and the same files.
        directories: Where handlers make files, besides their task's own directory and the paths
            that they hold as attributes or name as variables.
        uploads: Where each given task has its own directory, `{task id}/`, with the files that its
            handler needs; by default the tasks have empty temporary ones.
        upgrade_from: An older lifecycle, whose stored tasks have to go on in this one: whatever
            state one is in, its file loads, the engine can go on with it, and where an event led
            to more than the removal, one still does. `tasks` may hold records of it, too.
        upgrade: That of `open_engine`, for what the older files hold. What today's files hold has
            to come back from it as it is.
        machine: Makes the machine, for tests of `prove` itself.

    Raises:
        LifecycleViolation: What is wrong, at which pair, and the path to it.
        LifecycleError: The lifecycle is not whole.
        TypeError: A given task is no record of the lifecycle.
    """
    lifecycle.check()
    given = [task if isinstance(task, tuple) else (task, {}) for task in tasks]
    for task, _ in given:
        if type(task) not in {lifecycle.record, upgrade_from and upgrade_from.record}:
            expected = lifecycle.record.__name__
            raise TypeError(f"the lifecycle's records are {expected}, not {type(task).__name__}")
    every, given = given, [one for one in given if type(one[0]) is lifecycle.record]
    with tempfile.TemporaryDirectory(prefix="musictasks-prove-") as directory:
        bench = Bench(lifecycle, Path(directory), machine, upgrade)
        counts = prove_pairs(bench, given)
        paths = covering_paths(bench, given)
        cuts = sum(prove_path(bench, path) for path in paths)
        upgraded = 0 if upgrade_from is None else prove_upgrade(bench, upgrade_from, every)
    runs = prove_handlers(
        lifecycle, handlers or {}, [task for task, _ in given], directories, uploads
    )
    return Report(
        pairs=counts.pairs,
        legal=counts.legal,
        refused=counts.refused,
        edges_covered=len({edge for path in paths for edge in path.taken}),
        edges_total=len(lifecycle.edges),
        paths=len(paths),
        cuts=cuts,
        handlers=runs,
        upgraded=upgraded,
    )
