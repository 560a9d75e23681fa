"""`musictasks add`: plan, refuse, carry out, sum up."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Iterable

from rich.console import Console

from ..intake import (
    LeftOut,
    Overrides,
    Plan,
    PlannedUpload,
    Report,
    Result,
    Watch,
    Why,
    Wording,
    bring,
    plan,
)
from ..library import is_video
from ..music import Settings
from .display import Display, spelling_text
from .opening import open_engine
from .output import bytes_text, count, make_console, near, say, text
from .tokens import token

_OPTIONS = Wording("--{}", " ", '--{} "{}"')


def run_add(arguments: argparse.Namespace, settings: Settings, console: Console) -> int:
    if arguments.name is not None and not _is_one_video(arguments):
        reason = "--name is the name of one music video, and goes with no --album"
        say(make_console(stderr=True), f"musictasks add: {reason}")
        return 2
    if arguments.server is not None:
        from .sending import for_elsewhere

        settings = for_elsewhere(settings)
    planned = plan(
        arguments.paths,
        settings,
        artist=arguments.artist,
        album=arguments.album,
        year=arguments.year,
        name=arguments.name,
        look_inside=arguments.dry_run,
        wording=_OPTIONS,
    )
    if arguments.server is not None and not arguments.dry_run:
        return _send(arguments, planned, settings, console)
    if arguments.dry_run:
        _show_plan(console, planned)
        return 1 if planned.refusals or not planned.uploads else 0
    _show_spellings(console, planned)
    report = carry_out(planned, settings, Display(console))
    _show_refusals(console, planned)
    # Hidden files are often there; of a link somebody may think that it is music.
    _show_left_out(console, (one for one in planned.left_out if one.why is Why.LINK))
    say(console, _summary(planned, report))
    return 0 if report.succeeded and planned.uploads and not planned.refusals else 1


def _send(
    arguments: argparse.Namespace, planned: Plan, settings: Settings, console: Console
) -> int:
    from .sending import send, summary  # It speaks HTTP, which nothing else here does.

    said = Overrides(arguments.artist, arguments.album, arguments.year, arguments.name, _OPTIONS)
    known = token(arguments.token_file)
    added, there, failed = send(planned, arguments.server, known, console, said, settings.formats)
    _show_refusals(console, planned)
    _show_left_out(console, (one for one in planned.left_out if one.why is Why.LINK))
    say(console, summary(added, there, failed, _refused(planned)))
    return 0 if added + there and not failed and not planned.refusals else 1


def _is_one_video(arguments: argparse.Namespace) -> bool:
    videos = [path for path in arguments.paths if is_video(path.name) and not path.is_dir()]
    return len(videos) == 1 and arguments.album is None


def carry_out(
    plan: Plan, settings: Settings, display: Display, watch: Watch | None = None
) -> Report:
    """Does what is planned, and shows it; `watch` sees all that happens.

    Raises:
        DirectoryInUse: Another process owns the tasks.
    """
    if not plan.uploads:
        return Report()
    # What was imported stays: else each full collection of garbage would look at all of it.
    gc.freeze()
    try:
        with display:
            return _bring(plan, settings, display, watch)
    finally:
        gc.unfreeze()  # of the caller, who may go on


def _bring(plan: Plan, settings: Settings, display: Display, watch: Watch | None) -> Report:
    engine = open_engine(settings)
    try:
        if watch is not None:
            watch.follow(engine)  # before it starts: what it recovers is seen, too
        with engine:
            return bring(plan, engine, display, exclusive=True)
    finally:
        engine.close()


def _show_plan(console: Console, plan: Plan) -> None:
    for album in plan.albums:
        say(console, text(album.path.path, "bold"))
        for file in album.files:
            _show_file(console, file, file.target, near(file.source), file.size_bytes)
    for archive in plan.archives:
        say(console, text(archive.album.path if archive.album else near(archive.source), "bold"))
        for inside in archive.files:
            origin = f"{inside.inside} in {near(archive.source)}"
            _show_file(console, archive, inside.target, origin, inside.size_bytes)
    for video in plan.videos:
        say(console, text(video.target.partition("/")[0], "bold"))
        _show_file(console, video, video.target, near(video.source), video.size_bytes)
    _show_spellings(console, plan)
    _show_refusals(console, plan)
    _show_left_out(console, plan.left_out)
    new = sum(file.is_new for file in plan.uploads)
    say(
        console,
        f"Dry run, nothing was changed: {count(new, 'file')} would be added, ",
        f"{len(plan.uploads) - new} are there already, {_refused(plan)} would be refused.",
    )


def _show_file(
    console: Console, upload: PlannedUpload, target: str, origin: str, size_bytes: int
) -> None:
    """A file that is given or lies in an archive that is given."""
    mark = text("+ ", "green") if upload.is_new else text("= ", "dim")
    say(console, "  ", mark, target)
    known = f"from {origin}, {bytes_text(size_bytes)}{_why_not_new(upload)}"
    say(console, "      ", text(known, "dim"))


def _why_not_new(file: PlannedUpload) -> str:
    if file.there:
        return ", is there already"
    return "" if file.copy_of is None else f", the same as {near(file.copy_of)}"


def _show_refusals(console: Console, plan: Plan) -> None:
    if plan.refusals:
        say(console, text("Refused", "bold red"))
    for refusal in plan.refusals:
        say(console, text("  ! ", "red"), near(refusal.source))
        say(console, "      ", text(refusal.reason, "red"))
        for file in refusal.files:
            say(console, "      ", text(near(file), "dim"))


def _show_spellings(console: Console, plan: Plan) -> None:
    for spelling in plan.spellings:
        say(console, text(spelling_text(spelling), "dim"))


def _refused(plan: Plan) -> int:
    return sum(refusal.number for refusal in plan.refusals)


def _show_left_out(console: Console, left_out: Iterable[LeftOut]) -> None:
    for one in left_out:
        say(console, text(f"  - {near(one.path)}: {one.why}; left out", "dim"))


def _summary(plan: Plan, report: Report) -> str:
    added, there = report.count(Result.ADDED), report.count(Result.THERE)
    failed = report.count(Result.FAILED)
    parts = [f"{count(added, 'file')} added", f"{there} there already"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{_refused(plan)} refused"] if plan.refusals else []
    parts += [] if plan.uploads or plan.refusals else ["nothing was found"]
    return f"{', '.join(parts)}."
