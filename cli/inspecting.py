"""`musictasks tasks`, `show` and `check`: they only read, so they work beside a server."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from ..errors import DatabaseUnusable, InvalidTaskFile, TaskNotFound
from ..intake import Found, Shelf
from ..library import find_kbit_rows
from ..music import Settings, as_dictionary, orphaned_uploads, read_tasks
from ..statemachine import MUSIC, MusicTask, Role
from .comparing import run_check_lifecycle
from .diagram import draw_task
from .output import bytes_text, count, make_console, say, text
from .scanning import show

_STYLES = {Role.FAILED: "red", Role.FINISHED: "green", Role.WAITING: "yellow"}


def _read(settings: Settings) -> tuple[list[MusicTask], tuple[InvalidTaskFile, ...]]:
    """All tasks, the oldest first, and the files that do not load."""
    tasks, invalid = read_tasks(settings)
    found = sorted(tasks, key=lambda task: (task.initialization_time or 0, task.id))
    return found, invalid


def run_tasks(arguments: argparse.Namespace, settings: Settings, console: Console) -> int:
    tasks, invalid = _read(settings)
    if arguments.json:
        listing = json.dumps([as_dictionary(task) for task in tasks], indent=2)
        print(listing.replace("\x7f", "\\u007f"))  # the one control character JSON lets through
    elif console.is_terminal:
        _print_table(console, tasks)
    else:
        for task in tasks:
            say(console, "  ".join((task.id, task.state, task.content_type or "-", _about(task))))
    if invalid:
        files = count(len(invalid), "task file does", "task files do")
        say(make_console(stderr=True), f"{files} not load: see `musictasks check`")
    return 0


def _print_table(console: Console, tasks: list[MusicTask]) -> None:
    if not tasks:
        say(console, "there are no tasks")
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("ID", no_wrap=True)
    table.add_column("State", no_wrap=True)
    table.add_column("Since", no_wrap=True, justify="right")
    table.add_column("About", overflow="fold", ratio=1)
    for task in tasks:
        state = text(task.state, _STYLES.get(MUSIC.role(task.state), "cyan"))
        table.add_row(text(task.id), state, _since(task), text(_about(task)))
    console.print(table)


def _about(task: MusicTask) -> str:
    """What a person knows the task by."""
    name = task.source_filename or task.album_file_path or task.album_path or task.video_path
    if task.state == "waitforchunk" and task.file_size:
        return f"{name or '-'} ({100 * (task.offset or 0) // task.file_size} %)"
    return name or task.content_type or "-"


def _since(task: MusicTask) -> str:
    """How long the task has been in its state, in its largest unit."""
    age_s = max(0, int(time.time() - (task.update_time or task.initialization_time or 0)))
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if age_s >= length_s:
            return f"{age_s // length_s} {unit}"
    return f"{age_s} s"


def run_show(arguments: argparse.Namespace, settings: Settings, console: Console) -> int:
    task = _find(arguments.id, settings)
    shown, found = as_dictionary(task), _scanned(task)
    if found is not None:
        shown["annotations"] = {k: v for k, v in task.annotations.items() if k not in found}
    width = max(map(len, shown))
    for key, value in shown.items():
        if key != "history" and value not in (None, {}, [], False):
            say(console, text(key.ljust(width + 2), "dim"), _value(key, value))
    say(console, text("history", "dim"))
    _show_history(console, task)
    if found is not None:
        say(console, text("found", "dim"))
        show(found, console)
    if arguments.diagram is not None:
        draw_task(task, arguments.diagram, console)
    return 0


#: What the lists of a scan's annotations hold, by key; in the two dictionaries, by kind.
_PATHS = {
    "newpaths": ("artists", "albums", "songs", "filteredsongs", "videos"),
    "lostpaths": ("artists", "albums", "songs", "videos"),
}
_ENTRIES = {"movedpaths": ("lost", "new"), "skippedpaths": ("path", "reason")}


def _scanned(task: MusicTask) -> Found | None:
    """What a finished scan found; None where that is not there, or no more what a scan writes."""
    found = {key: task.annotations.get(key) for key in (*_PATHS, *_ENTRIES)}
    lists = [(found[key], names) for key, names in _ENTRIES.items()]
    for key, kinds in _PATHS.items():
        paths = task.annotations.get(key)
        paths = paths if isinstance(paths, dict) else {}
        lists += [(paths.get(kind), ("path",)) for kind in kinds]
    return found if all(_holds(entries, names) for entries, names in lists) else None


def _holds(entries: object, names: Iterable[str]) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in names)
        for entry in entries
    )


def _show_history(console: Console, task: MusicTask) -> None:
    """A line for each change of state; in a terminal, messages are folded in their column."""
    table = Table.grid(padding=(0, 2))
    for column in range(4):
        table.add_column(no_wrap=column < 3, overflow="fold")
    for entry in task.history:
        fields = (_local(entry.time), entry.event, entry.target, entry.message or "")
        if console.is_terminal:
            table.add_row(*map(text, fields))
        else:
            say(console, "  ".join(fields).rstrip())
    if console.is_terminal:
        console.print(table)


def _find(task_id: str, settings: Settings) -> MusicTask:
    tasks, invalid = _read(settings)
    for task in tasks:
        if task.id == task_id:
            return task
    for file in invalid:
        if Path(file.path).stem == task_id:
            raise InvalidTaskFile(file.path, file.reason)
    raise TaskNotFound(task_id)


def _value(key: str, value: object) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if key in {"filesize", "offset"} and isinstance(value, int):
        return f"{value} ({bytes_text(value)})" if value >= 1000 else str(value)
    if key in {"initializationtime", "updatetime"} and isinstance(value, int):
        return f"{value} ({_local(value)})"
    return str(value)


def _local(unix_s: float) -> str:
    """Date and time here; out of the calendar, the number."""
    try:
        return datetime.fromtimestamp(unix_s).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return f"{unix_s} s"


def run_check(arguments: argparse.Namespace, settings: Settings | None, console: Console) -> int:
    """Exit status 1 if there is something to repair."""
    if settings is None or arguments.lifecycle is not None:
        return run_check_lifecycle(arguments, settings, console)
    invalid = read_tasks(settings).invalid
    orphans = orphaned_uploads(settings)
    for file in invalid:
        say(console, text("does not load  ", "red"), file.path)
        say(console, f"               {file.reason}; repair the file or delete it")
    for name in orphans:
        say(console, text("belongs to no task  ", "yellow"), settings.uploads / name)
    if orphans and invalid:
        say(console, "This data is kept as long as a task file does not load: it may be its data.")
    elif orphans:
        say(console, "The next program that works on the tasks deletes this data.")
    if not invalid and not orphans:
        say(console, "All task files load, and all upload data belongs to a task.")
    is_mended = _check_bitrates(settings, console)
    return 0 if is_mended and not invalid and not orphans else 1


def _check_bitrates(settings: Settings, console: Console) -> bool:
    """Whether no row of a song has the bitrate that version 0.1.0 wrote; shows those that have."""
    if not settings.database.exists():
        return True
    shelf = Shelf(settings)
    try:
        rows = list(find_kbit_rows(shelf.music, shelf.database.songs()))
    except DatabaseUnusable as error:
        say(console, text("not readable  ", "red"), str(error))
        return False
    for row in rows:
        say(console, text("bitrate in kbit/s  ", "yellow"), row.path)
        say(console, f"                   {row.stored}, and the file has {row.bitrate} bit/s")
    if rows:
        say(console, "An earlier version of this program wrote these. The import writes bit/s:")
    for album in dict.fromkeys(row.path.rpartition("/")[0] for row in rows):
        say(console, f"  musictasks import {shlex.quote(album)}")
    return not rows
