"""`musictasks compare`, and `musictasks check --lifecycle`: before another lifecycle runs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from rich.console import Console

from ..diagrams import write
from ..music import RelativePaths, Settings, TaskCheck, check_tasks
from ..statemachine import compare
from .output import count, say, text


def run_compare(arguments: argparse.Namespace, console: Console) -> int:
    """Exit status 1 if stored tasks of the old lifecycle have no way on in the new one."""
    comparison = compare(arguments.old, arguments.new)
    if arguments.json:
        _print_json(comparison.as_dictionary())
    else:
        for line in str(comparison).splitlines():
            say(console, line)
    if arguments.diagram is not None:
        write(arguments.new, arguments.diagram, compare=arguments.old)
        if not arguments.json:
            say(console, arguments.diagram)
    return 1 if comparison.no_way_on else 0


def run_check_lifecycle(
    arguments: argparse.Namespace, settings: Settings | None, console: Console
) -> int:
    """Exit status 1 if a stored task does not load."""
    tasks, upgrade = arguments.task_files, arguments.upgrade
    if settings is not None:
        tasks, upgrade = settings.tasks, upgrade or RelativePaths(settings.uploads)
    elif not tasks.is_dir():
        raise NotADirectoryError(f"{tasks} is no directory: it has no task files")
    found = check_tasks(tasks, arguments.lifecycle, upgrade=upgrade)
    is_good = all(one.is_good for one in found)
    if arguments.json:
        _print_json({"good": is_good, "tasks": [one.as_dictionary() for one in found]})
        return 0 if is_good else 1
    for one in found:
        _show(console, one)
    say(console, _summary(found) if found else "There are no tasks.")
    return 0 if is_good else 1


def _summary(found: Sequence[TaskCheck]) -> str:
    bad = sum(not one.is_good for one in found)
    other = sum(one.is_good and not one.is_walk for one in found)
    said = f"{count(bad, 'does', 'do')} not load" if bad else "all load"
    walks = f"; {count(other, 'has', 'have')} a history that is no walk" if other else ""
    return f"{count(len(found), 'task')}: {said}{walks}"


def _show(console: Console, one: TaskCheck) -> None:
    parts = [one.task_id, one.state or "-", one.does or "does not load"]
    if one.is_renamed:
        parts.append("takes new names")
    mark = text("!  ", "red")
    if one.is_good:
        mark = text("=  ", "green") if one.is_walk else text("~  ", "yellow")
    say(console, mark, "  ".join(parts))
    if one.reason is not None:
        say(console, f"   {one.reason}")
        say(console, f"   {one.advice}")


def _print_json(content: object) -> None:
    # The one control character that JSON lets through.
    print(json.dumps(content, indent=2).replace("\x7f", "\\u007f"))
