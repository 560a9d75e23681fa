"""Albums that are uploaded as an archive: unpacked beside the upload, their files named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from attrs import frozen

from ..files import Directory, new_directory
from ..library import (
    ArchivedFile,
    ArchiveLimits,
    ArchiveMember,
    AudioFormats,
    SongTags,
    album_annotations,
    album_names,
    is_left_out,
    read_archive,
    read_archived_song,
)
from ..statemachine import Work


def unpacked_name(upload_path: str) -> str:
    """Where an upload is unpacked, in the uploads directory: beside it."""
    return f"{PurePosixPath(upload_path).with_suffix('')}.preprocessed"


@frozen
class Unpacking:
    """Unpacks an archive into a directory beside it: files only, with the names of the album.

    A directory that an earlier run left is replaced; on any failure none is left.
    """

    uploads: Directory
    limits: ArchiveLimits
    #: Names of files that are left out.
    ignored: frozenset[str]
    #: Which files are songs.
    formats: AudioFormats

    def __call__(
        self, upload_path: str, work: Work, archive: BinaryIO, name: str
    ) -> tuple[str, dict[str, Any]]:
        """The directory, and the annotations of what is in it.

        Raises:
            MediaError: The archive, called `name`, is refused; the error says why.
            OSError: The disk refused.
        """
        directory = unpacked_name(upload_path)
        with new_directory(self.uploads, directory) as filling:
            paths: list[tuple[str, ...]] = []
            for number, member in enumerate(self._members(archive, name, work)):
                filling.write(f".{number}", member.blocks)
                paths.append(member.path)
            found = [
                ArchivedFile(path, self._tags(f"{directory}/.{number}", path, name, work))
                for number, path in enumerate(paths)
            ]
            names = album_names(name, found, self.formats)
            for number, new in enumerate(names):
                filling.rename(f".{number}", new)
        tags = [file.tags for file in found if file.tags is not None]
        return directory, album_annotations(names, tags, self.formats)

    def _members(self, archive: BinaryIO, name: str, work: Work) -> Iterator[ArchiveMember]:
        size_bytes = archive.seek(0, os.SEEK_END)
        for member in read_archive(archive, name, self.limits, work.check):
            work.progress(min(archive.tell(), size_bytes), size_bytes, "/".join(member.path))
            if not is_left_out(member.path, self.ignored):
                yield member

    def _tags(
        self, unpacked: str, path: tuple[str, ...], archive: str, work: Work
    ) -> SongTags | None:
        work.check()
        if not self.formats.is_song(path[-1]):
            return None
        with self.uploads.open(unpacked) as file:
            return read_archived_song(file, path, archive, self.formats)
