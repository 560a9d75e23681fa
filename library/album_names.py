"""What the files of an archive are called in an album, and what its songs say of the album."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any, BinaryIO

from attrs import evolve, frozen

from ..errors import InvalidPath, MediaError
from ..files import same_name
from .audio_formats import ALL_FORMATS, DEFAULT_FORMATS, AudioFormats
from .naming import AlbumPath, SongPath, parse_song
from .safe_names import safe_name, safe_song_path
from .tags import SongTags, read_song

#: Where no album is known yet: only the names of the files count.
_SOME_ALBUM = AlbumPath("A", 2000, "A")

#: What stands between number and title and is part of neither. Of dots, one with a space behind
#: it: a title may begin with "...".
_SEPARATOR = re.compile(r"^(?:[-–—_]+\s*|\.\s+)+")

#: What gives a folder its picture on a Mac.
_MAC_ICON = "Icon\r"
#: Folders of systems and programs.
_SYSTEM = frozenset(
    {
        "__MACOSX",
        ".AppleDouble",
        ".DocumentRevisions-V100",
        ".Spotlight-V100",
        ".TemporaryItems",
        ".Trashes",
        ".fseventsd",
        ".git",
        ".svn",
        ".thumbnails",
        "@eaDir",
    }
)

_DISC = r"(?:cd|dis[ck])[ ._-]*0?([1-9][0-9]?)(?![^\W_])"
_DISC_FOLDER = re.compile(rf"{_DISC}.*", re.IGNORECASE | re.DOTALL)
#: In the name of an album: "Album (Disc 1)", "Album - CD2: Live".
_DISC_SUFFIX = re.compile(rf"[\s,;:–—-]*[(\[]?\b{_DISC}.*", re.IGNORECASE | re.DOTALL)


@frozen
class ArchivedFile:
    """A file as it lies in an archive."""

    #: Its folders and its name.
    path: tuple[str, ...]
    #: None where it is no song.
    tags: SongTags | None = None

    def __str__(self) -> str:
        return "/".join(self.path)


def read_archived_song(
    file: BinaryIO,
    path: tuple[str, ...],
    archive: str,
    formats: AudioFormats = DEFAULT_FORMATS,
) -> SongTags:
    """The tags of a song that lay at `path` in `archive`.

    Raises:
        MediaError: It names the archive, and the song in it that cannot be read.
        OSError: `file` cannot be read.
    """
    try:
        return read_song(file, path[-1], formats)
    except MediaError as error:
        raise MediaError(archive, f"{'/'.join(path)} in it: {error.reason}") from error


def is_left_out(path: Sequence[str], ignored: frozenset[str]) -> bool:
    """Whether a file has no place in an album: hidden, of the system's own, or in the ignore list.

    The ignore list is one of files. Folders count only where they are surely no music's: names of
    artists, albums and songs may begin with a dot ("...And You Will Know Us").
    """
    *folders, name = path
    hidden = name.startswith(".") and not name.startswith("..")
    return hidden or name in ignored or name == _MAC_ICON or not _SYSTEM.isdisjoint(folders)


@frozen
class _Song:
    """A song of the archive, and what its name is made of."""

    file: ArchivedFile
    #: None where neither tags nor names tell.
    disc: int | None
    #: How many discs the album has, if the tags tell.
    disc_count: int | None
    album: str | None
    number: int
    title: str

    @property
    def place(self) -> tuple[int, int]:
        return self.disc or 1, self.number

    def name(self, archive: str, *, with_disc: bool) -> str:
        extension = self.file.path[-1].rpartition(".")[2].lower()
        disc = self.place[0] if with_disc else None
        try:
            path = safe_song_path(_SOME_ALBUM, disc, self.number, self.title, extension)
        except InvalidPath as error:
            reason = f"{self.file} in it has no usable name: {error.reason}"
            raise MediaError(archive, reason) from error
        return path.file_name


def album_names(
    archive: str, files: Sequence[ArchivedFile], formats: AudioFormats = DEFAULT_FORMATS
) -> list[str]:
    """The names that the files of `archive` get in an album directory, in their order.

    A song is named by its tags, as `musictasks add` does, if they give number and title; else by
    its name, if that is like `01 Song.flac`, `01 - Song.flac` or `1-01 Song.flac`. The disc is
    the tags', else the one in its name (where that has the same number), else the one of a folder
    like `CD 1`, `Disc 1` or `CD1 - Name`; all names tell the disc as soon as there is a second
    one. Where the tags' numbers collide, and folders tell discs, the folders decide. What is no
    song keeps its name; a second file of a name gets its folders' in front.

    Raises:
        MediaError: It names the archive: there is no song, foreign audio, or several albums; a song
            has no such name and no such tags; two songs have one number, or two files would
            become one.
    """
    found = [_song(archive, file, file.tags) if file.tags else None for file in files]
    found = _by_folders(found) if _collide(found) else found
    songs = [song for song in found if song is not None]
    _check_no_foreign(archive, files, formats)
    if not songs:
        raise MediaError(archive, "there is no song in it")
    _check_one_album(archive, songs)
    base = _common({song.file.path[:-1] for song in songs})
    discs = any((song.disc or 1) > 1 or (song.disc_count or 1) > 1 for song in songs)
    taken: set[str] = set()
    names = [
        song.name(archive, with_disc=discs) if song else _other_name(file.path, base, taken)
        for song, file in zip(found, files, strict=True)
    ]
    _check_different(archive, files, names)
    _check_places(archive, songs)
    return names


def _check_no_foreign(archive: str, files: Iterable[ArchivedFile], formats: AudioFormats) -> None:
    for file in files:
        reason = formats.why_no_song(file.path[-1])
        if reason is not None:
            raise MediaError(archive, f"{file} in it: {reason}")


def _song(archive: str, file: ArchivedFile, tags: SongTags) -> _Song:
    named = _named(file)
    if tags.number is not None and tags.title is not None:
        number, title = tags.number, tags.title
    elif named is not None:
        number, title = named.number, named.song
    else:
        reason = f"{file} in it has no name like '01 Song.flac', and no tags with number and title"
        raise MediaError(archive, reason)
    in_name = named.disc if named is not None and named.number == number else None
    disc = tags.disc or in_name or _disc_of(file.path)
    return _Song(file, disc, tags.disc_count, tags.album, number, title)


def _named(file: ArchivedFile) -> SongPath | None:
    """What a name tells that follows the naming scheme, but for a separator: `01 - Song.flac`."""
    stem, _, extension = file.path[-1].rpartition(".")
    try:
        parsed = parse_song(f"{_SOME_ALBUM.path}/{safe_name(stem, extension)}", ALL_FORMATS)
        return evolve(parsed, song=_SEPARATOR.sub("", parsed.song))
    except InvalidPath:
        return None


def _collide(songs: Iterable[_Song | None]) -> bool:
    places = [song.place for song in songs if song is not None]
    return len(set(places)) < len(places)


def _by_folders(songs: Sequence[_Song | None]) -> list[_Song | None]:
    """The discs of the folders, if that tells the songs apart: some taggers write 1 into all."""
    found = [song and evolve(song, disc=_disc_of(song.file.path) or song.disc) for song in songs]
    return list(songs) if _collide(found) else found


def _disc_of(path: Sequence[str]) -> int | None:
    """The disc that a song's folders name; the innermost counts."""
    found = (_DISC_FOLDER.fullmatch(folder) for folder in reversed(path[:-1]))
    return next((int(match[1]) for match in found if match), None)


def _check_one_album(archive: str, songs: Iterable[_Song]) -> None:
    """Folders of songs are discs or parts of one album, unless their tags have none in common."""
    by_folder: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for song in songs:
        folder = takewhile(lambda part: not _DISC_FOLDER.fullmatch(part), song.file.path[:-1])
        if album := _without_disc(song.album):
            by_folder[tuple(folder)].setdefault(same_name(album), album)
    folders = list(by_folder.values())
    if folders and not set(folders[0]).intersection(*folders):
        albums = list(dict.fromkeys(album for one in folders for album in one.values()))
        shown = ", ".join(albums[:4]) + (" and more" if albums[4:] else "")
        reason = f"it holds several albums: {shown}; send one archive for each"
        raise MediaError(archive, reason)


def _without_disc(album: str | None) -> str | None:
    return _DISC_SUFFIX.sub("", album) if album else None


def _check_different(archive: str, files: Sequence[ArchivedFile], names: Sequence[str]) -> None:
    taken: dict[str, ArchivedFile] = {}
    for name, file in zip(names, files, strict=True):
        other = taken.setdefault(same_name(name), file)
        if other is not file:
            raise MediaError(archive, f"{other} and {file} in it would become the same file")


def _check_places(archive: str, songs: Iterable[_Song]) -> None:
    taken: dict[tuple[int, int], _Song] = {}
    for song in songs:
        other = taken.setdefault(song.place, song)
        if other is not song:
            disc, number = song.place
            reason = f"{other.file} and {song.file} in it are both number {number} of disc {disc}"
            remedy = "give each its number in the tags, or each disc a folder like 'CD 1'"
            raise MediaError(archive, f"{reason}: {remedy}")


def _common(folders: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The folder that all of them lie in."""
    levels = zip(*folders, strict=False)
    return tuple(one[0] for one in takewhile(lambda level: len(set(level)) == 1, levels))


def _other_name(path: tuple[str, ...], base: tuple[str, ...], taken: set[str]) -> str:
    """`taken`: the names that files got before it, as file systems compare them."""
    below = path[len(base) :] if path[: len(base)] == base else path
    names = [_with_folders(one) for one in (path[-1:], below, path)]
    # What has no name of its own left is refused afterwards.
    name = next((name for name in names if same_name(name) not in taken), names[-1])
    taken.add(same_name(name))
    return name


def _with_folders(path: tuple[str, ...]) -> str:
    stem, dot, extension = path[-1].rpartition(".")
    if not (dot and stem):
        stem, extension = path[-1], ""
    return safe_name(" - ".join([*path[:-1], stem]), extension)


def album_annotations(
    names: Sequence[str], songs: Sequence[SongTags], formats: AudioFormats = DEFAULT_FORMATS
) -> dict[str, Any]:
    """What is told of an album: its files, and its artist, name and year if its songs agree."""
    found = {
        "artist": _agreed([song.artist_of_album or song.artist for song in songs]),
        "album": _agreed([song.album for song in songs])
        or _agreed([_without_disc(song.album) for song in songs]),
        "releaseyear": _agreed([song.year for song in songs]),
        "songs": sorted(name for name in names if formats.is_song(name)),
        "otherfiles": sorted(name for name in names if not formats.is_song(name)),
    }
    return {key: value for key, value in found.items() if value is not None}


def _agreed(values: Sequence[Any]) -> Any:
    return values[0] if len(set(values)) == 1 else None
