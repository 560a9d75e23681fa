"""What an import reads from a video file, and the row that it makes of it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any

from attrs import frozen

from .hashing import sha256_of
from .importing import NOTHING_TOLD, ImportResult, artist_key, insert_row, update_row
from .music_directory import MusicDirectory
from .naming import VideoPath, parse_video
from .video import VideoInfo, read_video


@frozen
class FoundVideo:
    """A video on disk: what its path, its header and its bytes say."""

    path: str
    parts: VideoPath
    info: VideoInfo
    #: SHA-256, hex digits.
    checksum: str
    #: When the file was changed last, in unix seconds.
    modified: int


def find_video(
    music: MusicDirectory, path: str, check: Callable[[], object] | None = None
) -> FoundVideo:
    """Reads and hashes a video, which takes long, so no transaction should be open.

    Raises:
        InvalidPath: The path is no video's.
        MediaError: The video cannot be read.
        ExtraMissing: The extra `video` is not installed.
        OSError: It is missing, or the disk does not give it.
    """
    parts = parse_video(path)
    with music.directory.open(path) as file:
        info = read_video(file, path, check)
        modified = int(os.fstat(file.fileno()).st_mtime)
        return FoundVideo(path, parts, info, sha256_of(file, check), modified)


def write_video(
    connection: sqlite3.Connection, found: FoundVideo, origin: str | None
) -> ImportResult:
    """Brings a video into the database; writes nothing where it is in there, with these bytes.

    What users noted of it stays, and so do its origin and the time it was added, the file's own.
    """
    query = "SELECT videoid, checksum FROM videos WHERE path = ?"
    row = connection.execute(query, (found.path,)).fetchone()
    if row is None:
        values = {
            "artistid": artist_key(connection, found.parts.artist),
            "name": found.parts.video,
            "path": found.path,
            "origin": origin or NOTHING_TOLD,
            "release": found.parts.year,
            "added": found.modified,
            **_of_file(found),
        }
        insert_row(connection, "videos", values)
        return ImportResult(added=(found.path,))
    videoid, checksum = row
    if checksum == found.checksum:
        return ImportResult(unchanged=(found.path,))
    update_row(connection, "videos", videoid, _of_file(found))
    return ImportResult(updated=(found.path,))


def _of_file(found: FoundVideo) -> dict[str, Any]:
    """The columns that the file's content decides; a player plays all of it."""
    playtime_s = round(found.info.duration_s)
    return {
        "playtime": playtime_s,
        "codec": found.info.codec,
        "xresolution": found.info.width_px,
        "yresolution": found.info.height_px,
        "checksum": found.checksum,
        "vbegin": 0,
        "vend": playtime_s,
    }
