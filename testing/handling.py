"""Handlers run twice: a handler that was cut off and runs again must give the same result."""

from __future__ import annotations

import functools
import hashlib
import inspect
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs
from attrs import evolve, frozen

from ..engine.working import checked
from ..errors import LifecycleViolation
from ..files import Directory
from ..persistence import make_converter
from ..statemachine import Handler, Lifecycle, Outcome, Stage, Task, TaskMachine, Work
from .bench import way_to
from .candidates import candidates


def prove_handlers(
    lifecycle: Lifecycle,
    handlers: Mapping[str, Handler],
    tasks: Sequence[Task],
    directories: Iterable[Path],
    uploads: Path | None = None,
) -> int:
    """Runs each handler twice from the same record; returns how many records that were.

    Both runs get the same real directory as `work.directory`: the task's own in `uploads`, or an
    empty temporary one.

    Raises:
        LifecycleViolation: It names the stage, and what differs.
    """
    stages = {stage.name: stage for stage in lifecycle.stages}
    directories = list(directories)
    runs = itertools.count()
    with tempfile.TemporaryDirectory(prefix="musictasks-prove-") as temporary:
        for name, handler in handlers.items():
            if name not in stages:
                known = ", ".join(stages)
                raise LifecycleViolation(f"handler of stage {name!r}", f"stages are: {known}", ())
            for task in _records(lifecycle, stages[name], tasks):
                number = next(runs)
                own = (uploads or Path(temporary, str(number))) / task.id
                own.mkdir(parents=True, exist_ok=True)
                _Twice(lifecycle, stages[name], handler, task, own, directories).prove()
    return next(runs)


def _records(lifecycle: Lifecycle, stage: Stage, tasks: Sequence[Task]) -> list[Task]:
    given = [task for task in tasks if task.state in {stage.working, stage.queued}]
    if given:
        return [evolve(task, state=stage.working) for task in given]
    return [candidates(lifecycle, stage.working, ())[0][0]]


@frozen
class _Twice:
    """One handler, one record, two runs."""

    lifecycle: Lifecycle
    stage: Stage
    handler: Handler
    task: Task
    #: The task's own.
    directory: Path
    directories: Sequence[Path]

    def prove(self) -> None:
        roots = [self.directory, *self.directories, *_roots(self.handler)]
        first, files = self._run(), _snapshot(roots)
        second, files_again = self._run(), _snapshot(roots)
        for what in ("event", "changes", "annotations"):
            one, other = getattr(first, what), getattr(second, what)
            if one != other:
                raise self._violation(f"the second run gives other {what}: {one}, then {other}")
        if files != files_again:
            changed = sorted({str(path) for path, _ in files.items() ^ files_again.items()})
            raise self._violation(f"the second run leaves other files: {', '.join(changed)}")

    def _run(self) -> Outcome:
        try:
            outcome = self.handler(self.task, Work(self.directory))
        except Exception as error:
            raise self._violation(f"it raised {error!r}") from error
        if not isinstance(outcome, Outcome):
            raise self._violation(f"it returned {outcome!r} and no Outcome")
        converter = make_converter(self.lifecycle)

        def roundtrip(task: Task, _names: object) -> Task:
            return converter.load(converter.dump(task), task.id, edited=True)

        taken = checked(outcome, self.task, self.lifecycle, roundtrip)
        if taken is not outcome:
            raise self._violation(taken.message or "its outcome cannot be taken")
        if TaskMachine(self.lifecycle).edge_taken(self.task, outcome.event) is None:
            raise self._violation(f"no guard lets its outcome {outcome.event!r} through")
        return outcome

    def _violation(self, reason: str) -> LifecycleViolation:
        where = f"handler of stage {self.stage.name!r}, task {self.task.id!r}"
        return LifecycleViolation(where, reason, way_to(self.lifecycle, self.stage.working))


def _roots(value: object) -> Iterator[Path]:
    """The directories that a handler holds, however deep: in attributes, or as its variables."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Directory):
        yield value.root
    elif attrs.has(type(value)):
        for attribute in attrs.fields(type(value)):
            yield from _roots(getattr(value, attribute.name))
    elif isinstance(value, functools.partial):
        for held in (value.func, *value.args, *value.keywords.values()):
            yield from _roots(held)
    elif inspect.ismethod(value):
        yield from _roots(value.__self__)
        yield from _roots(value.__func__)
    elif inspect.isfunction(value):
        variables = inspect.getclosurevars(value)
        for held in (*variables.nonlocals.values(), *variables.globals.values()):
            if isinstance(held, Path | Directory) or attrs.has(type(held)):
                yield from _roots(held)
    elif not isinstance(value, type) and hasattr(value, "__dict__"):
        for held in vars(value).values():
            if isinstance(held, Path | Directory):
                yield from _roots(held)


def _snapshot(roots: Iterable[Path]) -> dict[Path, str]:
    """Every file below the roots, by its bytes."""
    found: dict[Path, str] = {}
    for root in roots:
        paths: Iterable[Path] = root.rglob("*") if root.is_dir() else [root]
        for path in paths:
            if path.is_file():
                found[path] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
