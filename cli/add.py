"""`musictasks add`: plan, refuse, carry out, sum up."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from rich.console import Console

from ..engine import Settings
from .adding import Report, add
from .collecting import LeftOut, Why
from .display import Display
from .jobs import Result
from .output import bytes_text, count, near, say, text
from .planning import Plan, PlannedFile, make_plan
from .songs import Overrides


def run_add(arguments: argparse.Namespace, settings: Settings, console: Console) -> int:
    overrides = Overrides(arguments.artist, arguments.album, arguments.year)
    plan = make_plan(arguments.paths, settings, overrides)
    if arguments.dry_run:
        _show_plan(console, plan)
        return 1 if plan.refusals or not plan.files else 0
    report = carry_out(plan, settings, console)
    _show_refusals(console, plan)
    # Hidden files are often there; of a link somebody may think that it is music.
    _show_left_out(console, (one for one in plan.left_out if one.why is Why.LINK))
    say(console, _summary(plan, report))
    return 0 if report.succeeded and plan.files and not plan.refusals else 1


def carry_out(plan: Plan, settings: Settings, console: Console, *, pace_s: float = 0) -> Report:
    """Does what is planned, and shows it."""
    if not plan.files:
        return Report((), {})
    with Display(console) as display:
        return add(plan, settings, display, pace_s=pace_s)


def _show_plan(console: Console, plan: Plan) -> None:
    for album in plan.albums:
        say(console, text(album.path.path, "bold"))
        for file in album.files:
            mark = text("+ ", "green") if file.is_new else text("= ", "dim")
            say(console, "  ", mark, file.target)
            origin = f"from {near(file.source)}, {bytes_text(file.size_bytes)}{_why_not_new(file)}"
            say(console, "      ", text(origin, "dim"))
    _show_refusals(console, plan)
    _show_left_out(console, plan.left_out)
    new = sum(file.is_new for file in plan.files)
    say(
        console,
        f"Dry run, nothing was changed: {count(new, 'file')} would be added, ",
        f"{len(plan.files) - new} are there already, {len(plan.refusals)} would be refused.",
    )


def _why_not_new(file: PlannedFile) -> str:
    if file.there:
        return ", is there already"
    return "" if file.copy_of is None else f", the same as {near(file.copy_of)}"


def _show_refusals(console: Console, plan: Plan) -> None:
    if plan.refusals:
        say(console, text("Refused", "bold red"))
    for refusal in plan.refusals:
        say(console, text("  ! ", "red"), near(refusal.source))
        say(console, "      ", text(refusal.reason, "red"))


def _show_left_out(console: Console, left_out: Iterable[LeftOut]) -> None:
    for one in left_out:
        say(console, text(f"  - {near(one.path)}: {one.why}; left out", "dim"))


def _summary(plan: Plan, report: Report) -> str:
    added, there = report.count(Result.ADDED), report.count(Result.THERE)
    failed = report.count(Result.FAILED)
    parts = [f"{count(added, 'file')} added", f"{there} there already"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{len(plan.refusals)} refused"] if plan.refusals else []
    parts += [] if plan.files or plan.refusals else ["nothing was found"]
    return f"{', '.join(parts)}."
