"""What clients name: targets and sources, checked before anything is done with them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from ..errors import InvalidPath
from ..files import check_name, check_relative
from ..library import MusicDirectory, is_song, parse_album, safe_album_path
from ..statemachine import ArtworkSource, Task

IMAGE_EXTENSIONS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"})


def check_source_name(name: str) -> None:
    """Raises InvalidPath unless it is a plain name of a file."""
    check_name(name)


def of_album_file(target: str, music: MusicDirectory) -> dict[str, Any]:
    """The changes for the integration of an album file to `target`."""
    check_relative(target)
    return {"album_file_path": target, "album_path": music.check_target(target).path}


def of_upload(task: Task, target: str | None, music: MusicDirectory) -> dict[str, Any]:
    """The changes for the integration of an upload to `target`.

    Where that is None, the annotations of an album or a video say where it goes.

    Raises:
        InvalidPath: The target is none for such an upload, or the annotations are not enough.
    """
    if task.content_type == "album":
        target = _of_album_annotations(task) if target is None else target
        check_relative(target)
        return {"album_path": music.check_target_album(target).path}
    if target is None:
        raise InvalidPath("", "an album file needs a target path")
    return of_album_file(target, music)


def _of_album_annotations(task: Task) -> str:
    """The path of an album whose songs agree on artist, year and name, or that a person named."""
    artist, year, name = _annotated(task, "artist", "releaseyear", "album")
    return safe_album_path(artist, year, name).path


def _annotated(task: Task, artist: str, year: str, name: str) -> tuple[str, int, str]:
    found = task.annotations
    texts = (found.get(artist), found.get(name))
    release = str(found.get(year))
    if not all(isinstance(text, str) and text.strip() for text in texts) or not re.fullmatch(
        "[0-9]{4}", release
    ):
        needed = f"{artist}, {year} (4 digits) and {name}"
        raise InvalidPath("", f"name a target path, or annotate {needed} first")
    return str(texts[0]), int(release), str(texts[1])


def of_album(path: str, music: MusicDirectory) -> dict[str, Any]:
    """The changes for the import of the album at `path`, which must be there."""
    check_relative(path)
    parse_album(path)
    music.check_album(path)
    return {"album_path": path}


def of_uploaded_artwork(task: Task, target: str | None, music: MusicDirectory) -> dict[str, Any]:
    """The changes for artwork from an upload, for the album at `target`."""
    if target is None:
        raise InvalidPath("", "artwork needs a target path: the album's")
    return {
        "album_path": _album_there(target, music),
        "artwork_source_type": ArtworkSource.IMAGEFILE.value,
        "artwork_source_path": task.preprocessed_path or task.upload_path,
    }


def of_artwork(source: str, target: str, music: MusicDirectory) -> dict[str, Any]:
    """The changes for artwork from `source` in the Music Directory, for the album at `target`."""
    check_relative(source)
    if is_song(source):
        kind = ArtworkSource.SONGFILE
    elif PurePosixPath(source).suffix.lower() in IMAGE_EXTENSIONS:
        kind = ArtworkSource.IMAGEFILE
    else:
        raise InvalidPath(source, "artwork comes from a song or an image, and this is neither")
    if not music.directory.is_file(source):
        raise InvalidPath(source, "there is no such file in the Music Directory")
    return {
        "album_path": _album_there(target, music),
        "artwork_source_type": kind.value,
        "artwork_source_path": source,
    }


def _album_there(target: str, music: MusicDirectory) -> str:
    check_relative(target)
    parse_album(target)
    if not music.directory.is_directory(target):
        raise InvalidPath(target, "there is no such album in the Music Directory")
    return target
