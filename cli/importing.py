"""`musictasks import`: what is in the Music Directory already goes into the database."""

from __future__ import annotations

import argparse
import os
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen
from rich.console import Console

from ..errors import InvalidPath, MusicTasksError
from ..library import is_song, is_video, parse_album, parse_video
from ..music import MusicEngine, Settings
from ..statemachine import MUSIC, Role
from .job import Result
from .jobs import AlbumJob, ImportJob, VideoImportJob
from .opening import open_engine
from .output import make_console, say, text
from .scanning import Found, scanned
from .shelf import Shelf
from .watching import Watch

#: More would only fill the tasks directory.
_SIDE_BY_SIDE = 8
_LOOK_AGAIN_S = 1.0
_NOT_FAILED = frozenset({Role.QUEUED, Role.WORKING, Role.PASSING, Role.FINISHED})

_MARKS = {Result.ADDED: ("+", "green"), Result.THERE: ("=", "dim"), Result.FAILED: ("!", "red")}


@frozen
class Refused:
    path: str
    reason: str


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
        with engine:
            found = scanned(engine, console) if arguments.new else None
            jobs, refused = _jobs(engine, arguments.paths, found)
            notes = _moved_from(found) if found else {}
            results = [_shown(job, notes, console) for job in _carried_out(jobs, watch)]
    finally:
        engine.close()
    for refusal in refused:
        say(console, text("! ", "red"), refusal.path, "  ", text(refusal.reason, "red"))
    say(console, _summary(results, len(refused)))
    return 1 if refused or Result.FAILED in results else 0


def _jobs(
    engine: MusicEngine, named: Iterable[Path], found: Found | None
) -> tuple[list[ImportJob], list[Refused]]:
    """What is to be done, each thing once, and what cannot be."""
    shelf = Shelf(engine.settings)
    jobs: dict[str, ImportJob] = {}
    refused = []
    for given in [*named, *_new(found), *(_begun(engine) if found else ())]:
        try:
            paths = _named(given, shelf) if isinstance(given, Path) else [given]
        except (MusicTasksError, OSError) as error:
            refused.append(refusal(str(given), error))
            continue
        for path in paths:
            try:
                if path not in jobs:
                    jobs[path] = _job(engine, shelf, path)
            except (MusicTasksError, OSError) as error:
                refused.append(refusal(path if len(paths) > 1 else str(given), error))
    return list(jobs.values()), refused


def refusal(subject: str, error: MusicTasksError | OSError) -> Refused:
    """Why not, with the path of what is wrong where it is another: a file in an album, say."""
    if isinstance(error, InvalidPath):
        path, reason = error.path, error.reason
    elif isinstance(error, OSError):
        path, reason = str(error.filename or ""), error.strerror or str(error)
    else:
        path, reason = "", str(error)
    inside = path.rpartition("/")[0] and not subject.rstrip("/").endswith(path)
    return Refused(subject, f"{path}: {reason}" if inside else reason)


def _named(given: Path, shelf: Shelf) -> list[str]:
    """The path of an album or a video, or of all that an artist's directory holds.

    Raises:
        InvalidPath, OSError: There is nothing to be imported.
    """
    path = _in_music(given, shelf.settings)
    if path == ".":
        reason = "it is the whole Music Directory: name an artist, an album or a video, or --new"
        raise InvalidPath(path, reason)
    music = shelf.music
    if path.count("/") == 2 and is_song(path):
        raise InvalidPath(path, "a song is imported with its album: name that")
    if "/" in path:
        return [path]
    if not music.directory.is_directory(path):
        raise InvalidPath(path, "there is no such artist in the Music Directory")
    found = [album for album in music.albums() if album.partition("/")[0] == path]
    if path not in music.ignore_artists:
        files = (f"{path}/{name}" for name in music.directory.names(path))
        found += [file for file in files if is_video(file) and music.directory.is_file(file)]
    if not found:
        raise InvalidPath(path, "there is no album and no video of this artist")
    return found


def _new(found: Found | None) -> list[str]:
    """The albums with something new in them, and the videos."""
    if found is None:
        return []
    new = found["newpaths"]
    paths = {album["path"] for album in new["albums"]}
    paths |= {song["path"].rpartition("/")[0] for song in new["filteredsongs"]}
    return sorted(paths | {video["path"] for video in new["videos"]})


def _begun(engine: MusicEngine) -> Iterator[str]:
    """What an earlier run began to import: the scan may know it already."""
    for task in engine.tasks():
        path = task.album_path or task.video_path
        if task.upload_path is None and path and MUSIC.role(task.state) in _NOT_FAILED:
            yield path


def _job(engine: MusicEngine, shelf: Shelf, path: str) -> ImportJob:
    if is_video(path) and not shelf.music.directory.is_directory(path):
        parse_video(path)
        if not shelf.music.directory.is_file(path):
            raise InvalidPath(path, "there is no such video in the Music Directory")
        return VideoImportJob(engine, shelf, path)
    album = parse_album(path)
    shelf.music.check_album(path)
    return AlbumJob(engine, shelf, album)


def _in_music(path: Path, settings: Settings) -> str:
    """The path relative to the Music Directory, as it is seen from here or as it was given.

    Raises:
        InvalidPath: In neither way it lies in the Music Directory.
    """
    candidates = [
        os.path.relpath(seen(path), seen(settings.music)) for seen in (Path.absolute, Path.resolve)
    ]
    if not path.is_absolute():
        candidates.append(os.path.normpath(path))
    inside = [candidate for candidate in candidates if candidate.partition("/")[0] != ".."]
    if not inside:
        raise InvalidPath(str(path), f"it is not in the Music Directory {settings.music}")
    there = (candidate for candidate in inside if os.path.lexists(settings.music / candidate))
    return next(there, inside[-1])


def _carried_out(jobs: Iterable[ImportJob], watch: Watch) -> Iterator[ImportJob]:
    """The jobs as they end."""
    waiting = deque(jobs)
    active: list[ImportJob] = []
    while waiting or active:
        watch.about_to_look()
        while waiting and len(active) < _SIDE_BY_SIDE:
            active.append(waiting.popleft())
        moved = [job.step() for job in active]
        yield from (job for job in active if job.result is not None)
        active = [job for job in active if job.result is None]
        if active and not any(moved):
            watch.wait(_LOOK_AGAIN_S)


def _moved_from(found: Found) -> dict[str, str]:
    """By the path of an album: the other one that its songs were moved from."""
    pairs = ((pair["new"], pair["lost"]) for pair in found["movedpaths"])
    above = ((new.rpartition("/")[0], lost.rpartition("/")[0]) for new, lost in pairs)
    albums = {album["path"] for album in found["newpaths"]["albums"]}
    return {new: lost for new, lost in above if new in albums and new != lost}


def _shown(job: ImportJob, moved_from: dict[str, str], console: Console) -> Result:
    assert job.result is not None
    mark, style = _MARKS[job.result]
    parts = [text(f"{mark} ", style), job.subject, "  ", text(_what(job), style)]
    if job.subject in moved_from:
        parts.append(f"  moved from {moved_from[job.subject]}, which stays in the database")
    say(console, *parts)
    return job.result


def _what(job: ImportJob) -> str:
    if job.result is Result.FAILED:
        return job.reason or "no reason given"
    if job.result is Result.THERE:
        return "is there already"
    return " and ".join(job.achieved)


def _summary(results: list[Result], refused: int) -> str:
    parts = [
        f"{results.count(Result.ADDED)} imported",
        f"{results.count(Result.THERE)} there already",
    ]
    failed = results.count(Result.FAILED)
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{refused} refused"] if refused else []
    return f"{', '.join(parts)}."
