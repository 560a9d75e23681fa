"""Which albums and videos of the Music Directory go into the database."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import InvalidPath, MusicTasksError
from ..library import is_video, parse_album, parse_video
from ..music import MusicEngine, Settings
from ..statemachine import Role
from .plans import Plan, PlannedImport
from .scan import Found
from .shelf import Shelf
from .sources import Refusal

_NOT_FAILED = frozenset({Role.QUEUED, Role.WORKING, Role.PASSING, Role.FINISHED})


def plan_imports(paths: Iterable[Path], engine: MusicEngine, *, found: Found | None = None) -> Plan:
    """What is in the Music Directory already and shall go into the database; changes nothing.

    Args:
        paths: Albums, videos, or artists, which mean all that they hold; of the file system, or
            relative to the Music Directory.
        engine: Says where that is.
        found: What a scan found: all that is new is planned, too, and what an earlier run began
            to import.
    """
    shelf = Shelf(engine.settings)
    planned: dict[str, PlannedImport] = {}
    refusals: list[Refusal] = []
    for given in [*paths, *_new(found), *(_begun(engine) if found else ())]:
        try:
            named = _named(given, shelf) if isinstance(given, Path) else [given]
        except (MusicTasksError, OSError) as error:
            refusals.append(refusal(str(given), error))
            continue
        for path in named:
            try:
                if path not in planned:
                    planned[path] = _planned(shelf, path)
            except (MusicTasksError, OSError) as error:
                refusals.append(refusal(path if len(named) > 1 else str(given), error))
    return Plan(imports=tuple(planned.values()), refusals=tuple(refusals))


def refusal(subject: str, error: MusicTasksError | OSError) -> Refusal:
    """Why not, with the path of what is wrong where it is another: a file in an album, say."""
    if isinstance(error, InvalidPath):
        path, reason = error.path, error.reason
    elif isinstance(error, OSError):
        path, reason = str(error.filename or ""), error.strerror or str(error)
    else:
        path, reason = "", str(error)
    inside = path.rpartition("/")[0] and not subject.rstrip("/").endswith(path)
    return Refusal(Path(subject), f"{path}: {reason}" if inside else reason)


def moved_from(found: Found) -> dict[str, str]:
    """By the path of a new album: the other one that its songs were moved from."""
    pairs = ((pair["new"], pair["lost"]) for pair in found["movedpaths"])
    above = ((new.rpartition("/")[0], lost.rpartition("/")[0]) for new, lost in pairs)
    albums = {album["path"] for album in found["newpaths"]["albums"]}
    return {new: lost for new, lost in above if new in albums and new != lost}


def _named(given: Path, shelf: Shelf) -> list[str]:
    """The path of an album or a video, or of all that an artist's directory holds.

    Raises:
        InvalidPath, OSError: There is nothing to be imported.
    """
    path = path_in_music(given, shelf.settings)
    if path == ".":
        reason = "it is the whole Music Directory: name an artist, an album or a video, or --new"
        raise InvalidPath(path, reason)
    music = shelf.music
    if path.count("/") == 2 and shelf.settings.formats.is_song(path):
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
        if task.upload_path is None and path and engine.lifecycle.role(task.state) in _NOT_FAILED:
            yield path


def _planned(shelf: Shelf, path: str) -> PlannedImport:
    """Raises InvalidPath, MediaError or OSError where it is no album and no video."""
    if is_video(path) and not shelf.music.directory.is_directory(path):
        parse_video(path)
        if not shelf.music.directory.is_file(path):
            raise InvalidPath(path, "there is no such video in the Music Directory")
        return PlannedImport(path, None)
    album = parse_album(path)
    shelf.music.check_album(path)
    return PlannedImport(path, album)


def path_in_music(path: Path, settings: Settings) -> str:
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
