"""Rows of songs with a bitrate in kbit/s, which version 0.1.0 wrote; the database has bit/s."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import frozen

from ..errors import InvalidPath, MediaError
from .hashing import sha256_of
from .music_directory import MusicDirectory
from .tags import read_song

#: No song plays more kbit/s: a row with more needs no look into its file.
KBIT_LIMIT = 300_000


@frozen
class KbitRow:
    """A song's row that version 0.1.0 wrote."""

    path: str
    #: What the row says, in kbit/s.
    stored: int
    #: What it should say, in bit/s.
    bitrate: int


def is_in_kbit(stored: object, bitrate: int) -> bool:
    """Whether a row's `stored` bitrate is what version 0.1.0 made of a file with `bitrate` bit/s.

    The row's checksum has to be the file's; then this tells our rows from all others. Version 0.1.0
    rounded to whole kbit/s, at least 1. MusicDB wrote the bit/s, which are another number (but for
    a bitrate of 1, where nothing is wrong). A number that a person chose is another one, too.
    """
    # The bitrate of an M4A that does not tell it is computed, and cut to whole bit/s only now.
    former = {max(1, round(bits / 1000)) for bits in (bitrate, bitrate + 1)}
    return stored in former and stored != bitrate


def find_kbit_rows(music: MusicDirectory, rows: Iterable[dict[str, Any]]) -> Iterator[KbitRow]:
    """Those of the songs' rows that an import of their albums would write in bit/s.

    The file at the row's path can be read, its SHA-256 is the row's `checksum`, and `is_in_kbit`
    holds of its bitrate. All other rows are somebody else's, or of another file.
    """
    for row in rows:
        path, stored = row["path"], row["bitrate"]
        if not (isinstance(path, str) and isinstance(stored, int) and 0 < stored < KBIT_LIMIT):
            continue
        try:
            with music.directory.open(path) as file:
                bitrate = read_song(file, path, music.formats).bitrate
                if is_in_kbit(stored, bitrate) and sha256_of(file) == row["checksum"]:
                    yield KbitRow(path, stored, bitrate)
        except (InvalidPath, MediaError, OSError):
            continue  # whoever imports or scans it is told what is wrong
