"""What is going to be done: the files, the paths they get, and what is not brought in."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path

from attrs import field, frozen

from ..errors import InvalidPath, LedgerUnusable
from ..library import AlbumPath, Archive, SongTags, is_as_seen, same_name
from ..music import Settings, ledger, music_directory, places
from .artists import Spelling
from .known import Known
from .looks import Looks
from .overrides import Overrides
from .sources import LeftOut, Refusal


@frozen(kw_only=True)
class PlannedUpload:
    """A file that was given, and is uploaded as it is."""

    source: Path
    size_bytes: int
    #: SHA-1 as 40 hex digits.
    checksum: str
    content_type: str
    #: What it becomes is there already, with the same bytes.
    there: bool = False
    #: Another file of the plan that becomes the same, and goes before this one.
    copy_of: Path | None = None

    @property
    def is_new(self) -> bool:
        return not self.there and self.copy_of is None


@frozen(kw_only=True)
class PlannedFile(PlannedUpload):
    """A file of an album, or a music video, and the path it gets."""

    #: Relative to the Music Directory.
    target: str
    content_type: str = "albumfile"
    #: Of a song.
    tags: SongTags | None = field(default=None, eq=False, repr=False)


@frozen
class ArchivedTarget:
    """A file in an archive, and the path it gets."""

    #: Its path in the archive.
    inside: str
    #: Relative to the Music Directory.
    target: str
    size_bytes: int
    #: SHA-1 as 40 hex digits.
    checksum: str


@frozen(kw_only=True)
class PlannedArchive(PlannedUpload):
    """An album in an archive. The engine unpacks it, so only a dry run looks inside."""

    overrides: Overrides
    #: None as long as only its songs tell.
    album: AlbumPath | None = None
    #: By target; empty where nobody looked.
    files: tuple[ArchivedTarget, ...] = ()
    content_type: str = "album"


@frozen
class PlannedAlbum:
    path: AlbumPath
    #: By target.
    files: tuple[PlannedFile, ...]


@frozen
class PlannedImport:
    """What is in the Music Directory already, and goes into the database."""

    #: Of an album or a video, relative to the Music Directory.
    path: str
    #: None: it is a video.
    album: AlbumPath | None


@frozen(kw_only=True)
class Plan:
    """A value: it was made of what the disk held then, and holds nothing open."""

    #: By path.
    albums: tuple[PlannedAlbum, ...] = ()
    #: By source.
    archives: tuple[PlannedArchive, ...] = ()
    #: By target.
    videos: tuple[PlannedFile, ...] = ()
    #: In the order in which they were named.
    imports: tuple[PlannedImport, ...] = ()
    #: What is not brought in, and why.
    refusals: tuple[Refusal, ...] = ()
    #: Not brought in, and no reason for concern.
    left_out: tuple[LeftOut, ...] = ()
    #: Artists that are spelled otherwise in tags or file names than in the library.
    spellings: tuple[Spelling, ...] = ()
    #: What was found out on the way, for the next plan.
    looks: Looks | None = field(default=None, eq=False, repr=False)
    #: What the ledger knew of the files that are there.
    known: Known | None = field(default=None, eq=False, repr=False)

    @property
    def files(self) -> tuple[PlannedFile, ...]:
        """The files that get a path of their own."""
        return (*(file for album in self.albums for file in album.files), *self.videos)

    @property
    def uploads(self) -> tuple[PlannedUpload, ...]:
        """All files that are given: albums', videos, archives."""
        return (*self.files, *self.archives)


def places_there(
    settings: Settings, content_type: str, checksum: str, size_bytes: int
) -> Iterator[str]:
    """Where in the Music Directory these bytes are, as far as is known; nothing is read."""
    yield from places(
        ledger(settings), music_directory(settings), content_type, checksum, size_bytes
    )


def is_untouched(settings: Settings, checksum: str, size_bytes: int) -> bool:
    """Whether nothing has touched the files that an archive became; no file is read.

    A tagger may keep the size and the time of a file, and an archive may be thrown away once it is
    there: so more is asked than where the files are. What is not sure, the engine compares.
    """
    status = music_directory(settings).directory.status
    try:
        entries = ledger(settings).of_archive(Archive(checksum, size_bytes))
        found = [(status(entry.path), entry) for entry in entries]
    except (LedgerUnusable, InvalidPath, OSError):
        return False
    return all(now is not None and is_as_seen(now, entry) for now, entry in found)


def present(
    settings: Settings, file: PlannedFile | ArchivedTarget, known: Known | None = None
) -> bool | str:
    """Whether the file is in the Music Directory; a text says what is in its place instead.

    It is read, unless `known` knows what it is.
    """
    target = settings.music / file.target
    try:
        status = target.lstat()
        if not stat.S_ISREG(status.st_mode):
            return f"what is no file has its place: {file.target}"
        if status.st_size == file.size_bytes:
            entry = None if known is None else known.entry(file.target, status)
            if (sha1(target) if entry is None else entry.sha1) == file.checksum:
                return True
    except FileNotFoundError:
        other = next(same_names(target), None)
        return False if other is None else f"a file of almost this name is there: {other}"
    except OSError as error:
        return f"its place cannot be read ({error.strerror}): {file.target}"
    return f"a file with other bytes has its place, and is never overwritten: {file.target}"


def same_names(place: Path) -> Iterator[str]:
    """What lies beside it, and is the same name for some file systems."""
    if place.parent.is_dir():
        for other in place.parent.iterdir():
            if other.name != place.name and same_name(other.name) == same_name(place.name):
                yield other.name


def why_off(settings: Settings, content_type: str) -> str | None:
    """Why the settings let no such upload in, if they do not."""
    if not settings.allow:
        return "uploads are switched off: [uploads] allow is empty"
    return (
        None if content_type in settings.allow else f"[uploads] allow does not name {content_type}"
    )


def sha1(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()
