"""`musictasks import`: what is in the Music Directory already goes into the database."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from attrs import define, field
from rich.console import Console

from ..intake import (
    Batch,
    ImportJob,
    Report,
    Result,
    Silent,
    Watch,
    bring,
    moved_from,
    plan_imports,
    unfinished_scan,
)
from ..music import Settings
from .opening import open_engine
from .output import make_console, say, text
from .scanning import shown_scan

_MARKS = {Result.ADDED: ("+", "green"), Result.THERE: ("=", "dim"), Result.FAILED: ("!", "red")}


def run_import(arguments: argparse.Namespace, settings: Settings, console: Console) -> int:
    if not arguments.paths and not arguments.new:
        say(
            make_console(stderr=True),
            "musictasks import: name artists, albums or videos, or give --new",
        )
        return 2
    watch = Watch(lambda _, message: say(console, f"{message}; trying again"))
    engine = open_engine(settings)
    try:
        watch.follow(engine)
        cut_off = unfinished_scan(engine)
        with engine:
            found = shown_scan(engine, console, cut_off) if arguments.new else None
            plan = plan_imports(arguments.paths, engine, found=found)
            display = _Lines(console, moved_from(found) if found else {})
            report = bring(plan, engine, display, exclusive=True)
    finally:
        engine.close()
    for refusal in plan.refusals:
        say(console, text("! ", "red"), refusal.source, "  ", text(refusal.reason, "red"))
    say(console, _summary(report, len(plan.refusals)))
    return 0 if report.succeeded and not plan.refusals else 1


@define
class _Lines(Silent):
    """A line for each import that has ended."""

    console: Console
    #: By the path of an album: where its songs were before.
    moved_from: Mapping[str, str] = field(factory=dict)

    def ended(self, batch: Batch) -> None:
        if batch.importing is not None:
            _show(batch.importing, self.moved_from, self.console)


def _show(job: ImportJob, moved_from: Mapping[str, str], console: Console) -> None:
    assert job.result is not None
    mark, style = _MARKS[job.result]
    parts = [text(f"{mark} ", style), job.subject, "  ", text(_what(job), style)]
    if job.subject in moved_from:
        parts.append(f"  moved from {moved_from[job.subject]}, which stays in the database")
    say(console, *parts)


def _what(job: ImportJob) -> str:
    if job.result is Result.FAILED:
        return job.reason or "no reason given"
    if job.result is Result.THERE:
        return "is there already"
    return " and ".join(job.achieved)


def _summary(report: Report, refused: int) -> str:
    results = [one.result for one in report.imports]
    parts = [
        f"{results.count(Result.ADDED)} imported",
        f"{results.count(Result.THERE)} there already",
    ]
    failed = results.count(Result.FAILED)
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{refused} refused"] if refused else []
    return f"{', '.join(parts)}."
