"""`musictasks verify`: is the Music Directory still what was placed in it?"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..errors import InvalidPath
from ..intake import path_in_music
from ..library import Finding, Verdict, Verified, verify
from ..music import Settings, ledger, music_directory
from .output import count, make_console, say, text

_MARKS = {
    Verdict.CHANGED: ("~", "yellow"),
    Verdict.ROT: ("!", "bold red"),
    Verdict.LOST: ("-", "red"),
    Verdict.UNREADABLE: ("!", "red"),
    Verdict.UNKNOWN: ("+", "green"),
    Verdict.MOVED: (">", "cyan"),
}
_ADVICE = {
    Verdict.CHANGED: "Changed: if you did it, `musictasks verify --accept PATH`.",
    Verdict.ROT: (
        "Rot: other bytes, though nobody seems to have written them. Take the file from a backup, "
        "and look at the disk."
    ),
    Verdict.LOST: "Lost: put it back, or `musictasks verify --accept PATH` forgets it.",
    Verdict.UNKNOWN: "Unknown: it was not known till now, and is from now on.",
}
#: Of a library that is seen for the first time, a name for each file would say nothing.
_SHOWN_UNKNOWN = 20
_SHOWS_PER_S = 8


def run_verify(arguments: argparse.Namespace, settings: Settings, console: Console) -> int:
    """Exit status 1 if something is changed, rotten, lost or unreadable."""
    if arguments.accept and arguments.path is None:
        say(make_console(stderr=True), "musictasks verify: --accept needs a PATH")
        return 2
    if arguments.anew and arguments.path is not None:
        say(make_console(stderr=True), "musictasks verify: --anew is for all, and takes no PATH")
        return 2
    scope = "" if arguments.path is None else path_in_music(arguments.path, settings)
    if scope == ".":
        if arguments.accept:
            raise InvalidPath(scope, "it is the whole Music Directory: --anew accepts all of it")
        scope = ""
    music, known = music_directory(settings), ledger(settings)
    if arguments.anew:
        known.make_anew()
    with _progress(None if arguments.json else console) as progress:
        found = verify(
            music,
            known,
            scope,
            accept=arguments.accept,
            budget_s=arguments.budget,
            progress=progress,
        )
    if arguments.json:
        print(json.dumps(_as_json(found), indent=2).replace("\x7f", "\\u007f"))
    else:
        _show(found, console)
    return 0 if found.is_well else 1


@contextmanager
def _progress(console: Console | None) -> Iterator[Callable[[int, int, str], object] | None]:
    """In a terminal, how far it is."""
    if console is None or not console.is_terminal:
        yield None
        return
    path = TextColumn("{task.description}", markup=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), path)
    with Progress(*columns, console=console, transient=True) as display:
        task = display.add_task("", total=None)
        shown_s = 0.0

        def show(done: int, total: int, path: str) -> None:
            nonlocal shown_s
            now_s = time.monotonic()
            if now_s - shown_s >= 1 / _SHOWS_PER_S:
                shown_s = now_s
                description = text(path).plain
                display.update(task, completed=done, total=total, description=description)

        yield show


def _show(found: Verified, console: Console) -> None:
    kinds = Counter(finding.verdict for finding in found.findings)
    for finding in found.findings:
        many = finding.verdict is Verdict.UNKNOWN and kinds[Verdict.UNKNOWN] > _SHOWN_UNKNOWN
        if not (many and console.is_terminal):
            _show_finding(finding, console)
    for path in found.accepted:
        say(console, text("= ", "dim"), f"{path}  accepted")
    say(console, _summary(found, kinds))
    for verdict, advice in _ADVICE.items():
        if kinds[verdict]:
            say(console, advice)


def _show_finding(finding: Finding, console: Console) -> None:
    mark, style = _MARKS[finding.verdict]
    parts = [str(finding.verdict)]
    if finding.former is not None:
        parts.append(f"from {finding.former}")
    if finding.reason is not None:
        parts.append(finding.reason)
    if finding.verdict in (Verdict.CHANGED, Verdict.ROT, Verdict.LOST) and finding.since:
        by = f" by task {finding.task}" if finding.task else ""
        parts.append(f"known since {_day(finding.since)}{by}")
    say(console, text(f"{mark} ", style), f"{finding.path}  {'; '.join(parts)}")


def _summary(found: Verified, kinds: Counter[Verdict]) -> str:
    same = found.counts.get(Verdict.SAME, 0)
    parts = [f"{same} same"]
    for verdict in _MARKS:
        if kinds[verdict]:
            among = " (of them)" if verdict in (Verdict.UNKNOWN, Verdict.MOVED) else ""
            parts.append(f"{kinds[verdict]} {verdict}{among}")
    left = found.total - found.done
    rest = f" {left} to go: the same command goes on." if left else ""
    files = count(found.done, "file")
    return f"{files} verified: {', '.join(parts)}.{rest} The ledger began on {_day(found.since)}."


def _day(unix_s: float) -> str:
    try:
        return datetime.fromtimestamp(unix_s).astimezone().strftime("%Y-%m-%d")
    except (OverflowError, OSError, ValueError):
        return f"{unix_s} s"


def _as_json(found: Verified) -> dict[str, Any]:
    return {
        "since": found.since,
        "complete": found.complete,
        "total": found.total,
        "done": found.done,
        "read": found.read,
        "counts": {str(verdict): number for verdict, number in found.counts.items()},
        "accepted": list(found.accepted),
        "files": [_finding(finding) for finding in found.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    told = {
        "path": finding.path,
        "verdict": str(finding.verdict),
        "reason": finding.reason,
        "former": finding.former,
        "since": finding.since,
        "task": finding.task,
    }
    return {key: value for key, value in told.items() if value is not None}
