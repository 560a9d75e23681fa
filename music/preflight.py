"""The question before an upload: is it worth sending?"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from enum import StrEnum

from attrs import frozen

from ..errors import LedgerUnusable
from ..library import Archive, Ledger, MusicDirectory, album_from, places_of, places_of_all
from ..statemachine import ContentType

_log = logging.getLogger(__name__)


class Answer(StrEnum):
    """What a client should do with a file."""

    SEND = "send"
    #: A task has it, or a part of it.
    GO_ON = "go on"
    #: It is in the library.
    THERE = "there"
    REFUSED = "refused"


@frozen(kw_only=True)
class Preflight:
    """What would become of an upload."""

    answer: Answer
    #: The task that has these bytes, with GO_ON; or that stands in the way, with REFUSED.
    task_id: str | None = None
    #: With GO_ON: the first byte that is missing; the file's size where none is.
    offset: int | None = None
    #: With THERE: of the file, or of the album that an archive became; relative to the Music
    #: Directory.
    path: str | None = None
    #: With REFUSED.
    reason: str | None = None


def places(
    ledger: Ledger, music: MusicDirectory, content_type: str, checksum: str, file_size: int
) -> Iterator[str]:
    """Where in the Music Directory an upload is already; nowhere where the ledger is no help."""
    try:
        if content_type == ContentType.ALBUM:
            album = album_from(ledger, music, Archive(checksum, file_size))
            yield from () if album is None else (album.path,)
        elif content_type in _DEPTHS:
            depth = _DEPTHS[content_type]
            found = places_of(ledger, music, checksum, file_size)
            yield from (path for path in found if path.count("/") == depth)
    except LedgerUnusable as error:
        _log.warning("%s", error)


def places_of_files(
    ledger: Ledger, music: MusicDirectory, wanted: Sequence[tuple[str, str, int]]
) -> list[list[str]]:
    """`places` of files, each by its content type, SHA-1 and size; the ledger is opened once."""
    try:
        found = places_of_all(ledger, music, [(sha1, size) for _, sha1, size in wanted])
    except LedgerUnusable as error:
        _log.warning("%s", error)
        return [[] for _ in wanted]
    return [
        [path for path in paths if path.count("/") == _DEPTHS[content_type]]
        for (content_type, _, _), paths in zip(wanted, found, strict=True)
    ]


#: How many slashes are in the path of an upload that is a file.
_DEPTHS: dict[str, int] = {ContentType.ALBUMFILE: 2, ContentType.VIDEO: 1}
