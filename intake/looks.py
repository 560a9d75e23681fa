"""One look at each file that is given: its tags and its SHA-1 are of the same bytes."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import BinaryIO

from attrs import define, field

from ..library import AudioFormats, FileIdentity, KnownFile, KnownFiles, SongTags, read_song
from .sources import Source


@define(eq=False)
class Looks:
    """What is found out about files, each read once at most, and not at all where it is known.

    What it finds is kept for the next time when `keep` is called.
    """

    _known: KnownFiles
    #: Which files are songs.
    _formats: AudioFormats
    #: What was read of a song before it is hashed: how it looked, when, and its tags.
    _read: dict[Path, tuple[FileIdentity, int, SongTags]] = field(factory=dict, init=False)
    _hashed: dict[Path, KnownFile] = field(factory=dict, init=False)

    def begin(self, sources: list[Source]) -> None:
        """These will be looked at."""
        self._known.load({source.path: source.identity for source in sources})

    def tags(self, source: Source) -> SongTags:
        """The tags of a song.

        Raises:
            MediaError: It is no song.
            OSError: It cannot be read.
        """
        known = self._known.find(source.path, source.identity)
        if known is not None and known.tags is not None:
            return known.tags
        begun_ns = time.time_ns()
        with source.path.open("rb") as file:
            tags = read_song(file, source.name, self._formats)
            self._read[source.path] = _identity(file), begun_ns, tags
        return tags

    def sha1(self, source: Source) -> str:
        """The SHA-1 of a file, hex digits; OSError where it cannot be read."""
        known = self._known.find(source.path, source.identity)
        if known is not None:
            self._hashed[source.path] = known
            return known.sha1
        looked, begun_ns, tags = self._read.pop(source.path, (None, time.time_ns(), None))
        with source.path.open("rb") as file:
            before = _identity(file)
            sha1 = hashlib.file_digest(file, "sha1").hexdigest()
            after = _identity(file)
        # Invariant: settled, else other bytes could have been hashed than the tags were read from.
        if before == after and looked in (None, before) and after.is_settled(begun_ns):
            known = self._hashed[source.path] = KnownFile(after, sha1, tags)
            self._known.note(source.path, known, begun_ns)
        return sha1

    def tags_of(self, source: Source) -> SongTags | None:
        """The tags of the bytes that were hashed; None where that is not sure, or it is no song."""
        known = self._hashed.get(source.path)
        return None if known is None else known.tags

    def keep(self) -> None:
        """Keeps what was found; the library's directories have to be there."""
        self._known.save()


def _identity(file: BinaryIO) -> FileIdentity:
    return FileIdentity.of(os.fstat(file.fileno()))
