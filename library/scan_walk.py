"""What names the Music Directory holds. Only directories are read, no file is opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from operator import itemgetter

from attrs import define, field, frozen

from ..errors import InvalidPath
from ..files import check_relative, step_down
from .audio_formats import AudioFormats
from .importing import Check
from .music_directory import MusicDirectory
from .naming import is_video, parse_album, parse_song, parse_video


class Kind(Enum):
    """What a name in a directory stands for."""

    FILE = "a file"
    DIRECTORY = "a directory"
    #: Never followed.
    LINK = "a symbolic link"
    OTHER = "neither a file nor a directory"


@frozen
class Skipped:
    r"""Something that may be meant as music and that the scan cannot take, and why.

    The path is for people: bytes that are no UTF-8 stand in it as escapes (`caf\xe9`).
    """

    path: str
    reason: str


@define
class Listing:
    """The names in the Music Directory: hidden and ignored ones are not there."""

    #: Artist directories, also those without an album.
    artists: list[str] = field(factory=list)
    #: By the path of each directory that is named as an album: what is in it, by its name.
    albums: dict[str, dict[str, Kind]] = field(factory=dict)
    #: The files in artist directories that have a video's extension.
    videos: list[str] = field(factory=list)
    skipped: list[Skipped] = field(factory=list)

    def skip(self, path: str, reason: str) -> None:
        self.skipped.append(Skipped(path_text(path), reason))


def path_text(path: str) -> str:
    """A path as text that every file can hold."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def list_music(music: MusicDirectory, check: Check, artist: str | None = None) -> Listing:
    """Reads the Music Directory, its artist directories and their album directories.

    `artist`: only the one of this name.

    `check(done, total, path)` is called before each directory, and may raise to stop. A directory
    that we may not read is skipped, one that goes meanwhile is not there.

    Raises:
        OSError: The disk does not give a directory.
    """
    listing = Listing()
    with music.directory.descriptor() as fd:
        found = _entries(fd)
    for name, kind in found:
        if artist not in (None, name):
            continue
        if kind is Kind.FILE:
            _check_file(listing, name, music.formats)
        elif name not in music.ignore_artists and _is_directory(listing, name, kind):
            listing.artists.append(name)
    directory = music.directory
    for number, name in enumerate(listing.artists):

        def step(path: str, number: int = number) -> None:
            check(number, len(listing.artists), path)

        with _reading(listing, name), directory.descriptor(name) as fd:
            step(name)
            _list_artist(listing, music, name, fd, step)
    return listing


def _list_artist(
    listing: Listing,
    music: MusicDirectory,
    artist: str,
    artist_fd: int,
    step: Callable[[str], object],
) -> None:
    for name, kind in _entries(artist_fd):
        path = f"{artist}/{name}"
        if kind is Kind.FILE and is_video(name):
            listing.videos.append(path)
        elif kind is Kind.FILE:
            _check_file(listing, path, music.formats)
        elif name not in music.ignore_albums and _is_directory(listing, path, kind):
            try:
                parse_album(path)
            except InvalidPath as error:
                listing.skip(path, error.reason)
                continue
            step(path)
            with _reading(listing, path), step_down(artist_fd, name, path) as fd:
                entries = _entries(fd)
                listing.albums[path] = {
                    name: kind for name, kind in entries if name not in music.ignore_songs
                }


@contextmanager
def _reading(listing: Listing, path: str) -> Iterator[None]:
    """A directory that cannot be read is noted, and passed over."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        pass  # it went just now; what the database knows of it is looked for by itself
    except InvalidPath as error:
        listing.skip(path, error.reason)
    except PermissionError as error:
        listing.skip(path, str(error.strerror))


def _entries(fd: int) -> list[tuple[str, Kind]]:
    with os.scandir(fd) as entries:
        return sorted(
            [(entry.name, _kind(entry)) for entry in entries if not entry.name.startswith(".")],
            key=itemgetter(0),
        )


def _kind(entry: os.DirEntry[str]) -> Kind:
    # From the directory itself; only file systems that don't tell cost a stat.
    if entry.is_file(follow_symlinks=False):
        return Kind.FILE
    if entry.is_dir(follow_symlinks=False):
        return Kind.DIRECTORY
    return Kind.LINK if entry.is_symlink() else Kind.OTHER


def _is_directory(listing: Listing, path: str, kind: Kind) -> bool:
    """Whether it is one that can be reached; a link to one could be meant as music."""
    if kind is Kind.LINK:
        listing.skip(path, "it is a symbolic link, which is not followed")
    elif kind is Kind.DIRECTORY:
        try:
            return bool(check_relative(path))
        except InvalidPath as error:
            listing.skip(path, error.reason)
    return False


def _check_file(listing: Listing, path: str, formats: AudioFormats) -> None:
    """Songs and videos that do not lie where they should are told of, other files are nobody's."""
    try:
        check_music_file(path, formats)
    except InvalidPath as error:
        listing.skip(path, error.reason)


def check_music_file(path: str, formats: AudioFormats) -> None:
    """Raises InvalidPath for a song or a video whose path does not follow the scheme."""
    if formats.is_song(path):
        parse_song(path, formats)
    elif is_video(path):
        parse_video(path)
