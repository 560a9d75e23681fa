"""Handlers run twice: a handler that was cut off and runs again must give the same result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import evolve

from ..errors import LifecycleViolation
from ..files import Directory
from ..persistence import make_converter
from ..statemachine import Handler, Lifecycle, Outcome, Stage, Task, Work
from .candidates import candidates


def prove_handlers(
    lifecycle: Lifecycle,
    handlers: Mapping[str, Handler],
    tasks: Sequence[Task],
    directories: Iterable[Path],
) -> int:
    """Runs each handler twice from the same record; returns how many records that were."""
    stages = {stage.name: stage for stage in lifecycle.stages}
    directories = list(directories)
    runs = 0
    for name, handler in handlers.items():
        if name not in stages:
            raise LifecycleViolation(f"handler for {name!r}", "there is no such stage", ())
        for task in _records(lifecycle, stages[name], tasks):
            _prove(lifecycle, stages[name], handler, task, directories)
            runs += 1
    return runs


def _records(lifecycle: Lifecycle, stage: Stage, tasks: Sequence[Task]) -> list[Task]:
    given = [task for task in tasks if task.state in {stage.working, stage.queued}]
    if given:
        return [evolve(task, state=stage.working) for task in given]
    return [candidates(lifecycle, stage.working, ())[0][0]]


def _prove(
    lifecycle: Lifecycle,
    stage: Stage,
    handler: Handler,
    task: Task,
    directories: Sequence[Path],
) -> None:
    where = f"handler of stage {stage.name!r}"
    roots = [*directories, *_roots(handler)]
    first, files = _run(lifecycle, stage, handler, task, where), _snapshot(roots)
    second, files_again = _run(lifecycle, stage, handler, task, where), _snapshot(roots)
    if first != second:
        raise LifecycleViolation(where, f"first {first}, then {second}", (f"task {task.id}",))
    if files != files_again:
        changed = sorted(set(files.items()) ^ set(files_again.items()))
        names = ", ".join(dict.fromkeys(str(path) for path, _ in changed))
        raise LifecycleViolation(
            where, f"the second run leaves other files: {names}", (f"task {task.id}",)
        )


def _run(
    lifecycle: Lifecycle, stage: Stage, handler: Handler, task: Task, where: str
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What of an outcome has to be the same the second time: all but the message."""
    try:
        outcome = handler(task, Work())
    except Exception as error:
        raise LifecycleViolation(where, f"it raised {error!r}", (f"task {task.id}",)) from error
    allowed = {"succeed", "fail", "reject"} & set(lifecycle.events_from(stage.working))
    if not isinstance(outcome, Outcome) or outcome.event not in allowed:
        raise LifecycleViolation(where, f"it returned {outcome!r}", (f"task {task.id}",))
    try:
        after = evolve(task.annotated(outcome.annotations, by_handler=True), **outcome.changes)
        converter = make_converter(lifecycle)
        converter.load(converter.dump(after), task.id, edited=True)
    except Exception as error:
        raise LifecycleViolation(
            where, f"its outcome cannot be stored: {error}", (f"task {task.id}",)
        ) from error
    return outcome.event, dict(outcome.changes), dict(outcome.annotations)


def _roots(value: object) -> Iterator[Path]:
    """The directories that a handler holds, however deep in its attributes."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Directory):
        yield value.root
    elif attrs.has(type(value)):
        for attribute in attrs.fields(type(value)):
            yield from _roots(getattr(value, attribute.name))


def _snapshot(roots: Iterable[Path]) -> dict[Path, str]:
    """Every file below the roots, by its bytes."""
    found: dict[Path, str] = {}
    for root in roots:
        paths = root.rglob("*") if root.is_dir() else [root]
        for path in paths:
            if path.is_file():
                found[path] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
