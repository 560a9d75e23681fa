"""Where bytes are in the Music Directory, by the ledger: no file is read for the answer.

The ledger is not believed where a file looks other than it did when the ledger saw it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence

from ..errors import InvalidPath
from .ledger import Archive, Ledger, LedgerEntry, Verdict
from .music_directory import MusicDirectory
from .naming import AlbumPath, parse_album


def places_of(ledger: Ledger, music: MusicDirectory, sha1: str, size_bytes: int) -> Iterator[str]:
    """The paths of the files with these bytes.

    Raises:
        LedgerUnusable: SQLite cannot read it.
    """
    return _there(music, ledger.with_bytes(sha1, size_bytes))


def places_of_all(
    ledger: Ledger, music: MusicDirectory, wanted: Sequence[tuple[str, int]]
) -> list[list[str]]:
    """`places_of` of each SHA-1 and size; the ledger is opened once for many.

    Raises:
        LedgerUnusable: SQLite cannot read it.
    """
    found = ledger.with_all_bytes(wanted)
    return [list(_there(music, found.get((sha1.lower(), size), ()))) for sha1, size in wanted]


def _there(music: MusicDirectory, entries: Iterable[LedgerEntry]) -> Iterator[str]:
    for entry in entries:
        try:
            found = music.directory.status(entry.path)
        except (InvalidPath, OSError):
            continue
        if found is not None and _looks_the_same(found, entry):
            yield entry.path


def is_as_seen(status: os.stat_result, entry: LedgerEntry) -> bool:
    """Whether nothing has touched a file since the ledger saw it: its bytes are the entry's."""
    return _looks_the_same(status, entry) and status.st_ctime_ns == entry.ctime_ns


def album_from(ledger: Ledger, music: MusicDirectory, archive: Archive) -> AlbumPath | None:
    """The album that an archive became, if all is there that it became.

    Raises:
        LedgerUnusable: SQLite cannot read it.
    """
    entries = ledger.of_archive(archive)
    above = {entry.path.rpartition("/")[0] for entry in entries}
    if len(above) != 1:
        return None
    (album,) = above
    try:
        with music.directory.descriptor(album) as fd:
            for entry in entries:
                name = entry.path.rpartition("/")[2]
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if not _looks_the_same(found, entry):
                    return None
        return parse_album(album)
    except (InvalidPath, OSError):
        return None


def _looks_the_same(status: os.stat_result, entry: LedgerEntry) -> bool:
    seen = entry.size_bytes, entry.mtime_ns
    is_file = stat.S_ISREG(status.st_mode)
    is_same = entry.verdict in (None, Verdict.SAME)
    return is_file and is_same and (status.st_size, status.st_mtime_ns) == seen
