"""The stage "file system scan": what is new, lost or moved becomes the task's annotations."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
from attrs import asdict, frozen

from ..errors import DatabaseUnusable, InvalidPath, MusicDirectoryUnusable
from ..library import Ledger, Moved, MusicDatabase, MusicDirectory, ScanResult, scan
from ..statemachine import MusicTask, Outcome, Work, fail, succeed
from .reasons import disk_reason

#: A larger task file than 64 MiB does not load again; some of it is for all else in it.
RESULT_MAX_BYTES = 60 * 1024 * 1024
#: The column with a row's own key, by table.
_KEYS = {"artists": "artistid", "albums": "albumid", "songs": "songid", "videos": "videoid"}
#: How much deeper the result stands in the task file, in spaces.
_INDENT = 2


@frozen
class FilesystemScan:
    """Compares the Music Directory with the database. It changes nothing but its cache."""

    music: MusicDirectory
    database: MusicDatabase
    #: An SQLite file with the checksums of new files; it may be deleted at any time.
    cache: Path
    #: Knows the audio of files; without it only bytes tell that a file was moved.
    ledger: Ledger | None = None

    def __call__(self, task: MusicTask, work: Work) -> Outcome:
        def check(done: int, total: int, path: str) -> None:
            work.check()
            work.progress(done, total, path)

        try:
            found = as_annotations(scan(self.music, self.database, self.cache, check, self.ledger))
        except (MusicDirectoryUnusable, DatabaseUnusable, InvalidPath) as error:
            return fail(str(error))
        except OSError as error:
            return fail(disk_reason(error, "the Music Directory"))
        work.check()
        size_bytes = _size_bytes(found)
        if size_bytes > RESULT_MAX_BYTES:
            return fail(
                f"the result has {size_bytes} bytes, and a task holds {RESULT_MAX_BYTES}: import "
                "albums by their paths, which needs no scan, then scan again"
            )
        return succeed(annotations=found)


def as_annotations(found: ScanResult) -> dict[str, Any]:
    """The annotations of a finished scan that MusicDB documents, and ours."""
    return {
        "newpaths": {
            "artists": [{"path": path} for path in found.new_artists],
            "albums": [{"path": path} for path in found.new_albums],
            "songs": _objects(found.new_songs),
            "filteredsongs": _objects(found.filtered_songs),
            "videos": _objects(found.new_videos),
        },
        "lostpaths": {
            table: [_with_id(row, _KEYS[table]) for row in rows]
            for table, rows in found.lost.items()
        },
        "movedpaths": [_moved(pair) for pair in found.moved],
        "skippedpaths": _objects(found.skipped),
    }


def _moved(pair: Moved) -> dict[str, Any]:
    """`changed` only where it is true: the others are pairs of the same bytes."""
    return asdict(pair, filter=lambda attribute, value: value is not False)


def _with_id(row: dict[str, Any], key: str) -> dict[str, Any]:
    """The row as MusicDB's objects are: its own key is `id`; `albumid`, `artistid` name others."""
    return {"id" if name == key else name: value for name, value in row.items()}


def _objects(values: Iterable[Any]) -> list[dict[str, Any]]:
    return [asdict(value) for value in values]


def _size_bytes(found: dict[str, Any]) -> int:
    """What it takes in the task file."""
    data = orjson.dumps(found, option=orjson.OPT_INDENT_2)
    return len(data) + _INDENT * data.count(b"\n")
