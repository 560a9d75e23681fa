"""What clients name: targets and sources, checked before anything is done with them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from ..errors import InvalidPath
from ..files import check_name, check_relative
from ..library import MusicDirectory, is_song, parse_album
from ..statemachine import ArtworkSource, Task

IMAGE_EXTENSIONS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"})


def check_source_name(name: str) -> None:
    """Raises InvalidPath unless it is a plain name of a file."""
    check_name(name)


def of_album_file(target: str, music: MusicDirectory) -> dict[str, Any]:
    """The changes for the integration of an album file to `target`."""
    check_relative(target)
    return {"album_file_path": target, "album_path": music.check_target(target).path}


def of_album(path: str, music: MusicDirectory) -> dict[str, Any]:
    """The changes for the import of the album at `path`, which must be there."""
    check_relative(path)
    parse_album(path)
    music.check_album(path)
    return {"album_path": path}


def of_uploaded_artwork(task: Task, target: str, music: MusicDirectory) -> dict[str, Any]:
    """The changes for artwork from an upload, for the album at `target`."""
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
