"""What the files of an archive are called in an album, and what its songs say of the album."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any

from attrs import frozen

from ..errors import InvalidPath, MediaError
from ..files import same_name
from .naming import AlbumPath, SongPath, check_new_file, is_song, parse_song
from .safe_names import safe_name, safe_song_path
from .tags import SongTags

#: Where no album is known yet: only the names of the files count.
_SOME_ALBUM = AlbumPath("A", 2000, "A")


@frozen
class ArchivedFile:
    """A file as it lies in an archive."""

    #: Its folders and its name.
    path: tuple[str, ...]
    #: None where it is no song.
    tags: SongTags | None = None

    def __str__(self) -> str:
        return "/".join(self.path)


def is_left_out(path: Sequence[str], ignored: frozenset[str]) -> bool:
    """Whether a file has no place in an album: hidden, of macOS's own, or in the ignore list."""
    return path[-1] in ignored or any(part.startswith(".") or part == "__MACOSX" for part in path)


def album_names(archive: str, files: Sequence[ArchivedFile]) -> list[str]:
    """The names that the files of `archive` get in an album directory, in their order.

    A song's name that follows the naming scheme stays, unless songs lie in several folders (one for
    each disc) and it tells of no disc; all other songs are named by their tags. What is no song
    keeps its name; from a folder beside the songs it takes the folder's along.

    Raises:
        MediaError: It names the archive: there is no song, a song has no such name and no such
            tags, or two files would become one.
    """
    songs = [file for file in files if file.tags is not None]
    if not songs:
        raise MediaError(archive, "there is no song in it")
    folders = {file.path[:-1] for file in songs}
    base = _common(folders)
    discs = _has_discs(songs)
    names = [
        _other_name(file.path, base)
        if file.tags is None
        else _song_name(archive, file, file.tags, discs=discs, one_folder=len(folders) == 1)
        for file in files
    ]
    taken: dict[str, ArchivedFile] = {}
    for name, file in zip(names, files, strict=True):
        other = taken.setdefault(same_name(name), file)
        if other is not file:
            raise MediaError(archive, f"{other} and {file} in it would become the same file")
    return names


def _common(folders: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The folder that all of them lie in."""
    levels = zip(*folders, strict=False)
    return tuple(one[0] for one in takewhile(lambda level: len(set(level)) == 1, levels))


def _parsed(file: ArchivedFile) -> SongPath | None:
    """The parts of a name that can stay."""
    path = f"{_SOME_ALBUM.path}/{file.path[-1]}"
    try:
        check_new_file(path)
        return parse_song(path)
    except InvalidPath:
        return None


def _has_discs(songs: Sequence[ArchivedFile]) -> bool:
    """Whether a name or a tag tells of a second disc."""
    parsed = filter(None, map(_parsed, songs))
    tags = [song.tags for song in songs if song.tags is not None]
    return any(song.disc is not None for song in parsed) or any(
        (one.disc or 1) > 1 or (one.disc_count or 1) > 1 for one in tags
    )


def _song_name(
    archive: str, file: ArchivedFile, tags: SongTags, *, discs: bool, one_folder: bool
) -> str:
    parsed, name = _parsed(file), file.path[-1]
    if parsed is not None and (one_folder or parsed.disc is not None):
        return name
    if tags.number is None or tags.title is None:
        if parsed is not None:
            return name
        reason = f"{file} in it has no name like '01 Song.flac', and no tags with number and title"
        raise MediaError(archive, reason)
    disc = (tags.disc or 1) if discs else None
    extension = name.rpartition(".")[2]
    try:
        path = safe_song_path(_SOME_ALBUM, disc, tags.number, tags.title, extension)
    except InvalidPath as error:
        raise MediaError(archive, f"{file} in it has no usable name: {error.reason}") from error
    return path.path.rpartition("/")[2]


def _other_name(path: tuple[str, ...], base: tuple[str, ...]) -> str:
    if path[: len(base)] == base:
        path = path[len(base) :]
    stem, dot, extension = path[-1].rpartition(".")
    if not (dot and stem):
        stem, extension = path[-1], ""
    return safe_name(" - ".join([*path[:-1], stem]), extension)


def album_annotations(names: Sequence[str], songs: Sequence[SongTags]) -> dict[str, Any]:
    """What is told of an album: its files, and its artist, name and year if its songs agree."""
    found = {
        "artist": _agreed([song.album_artist or song.artist for song in songs]),
        "album": _agreed([song.album for song in songs]),
        "releaseyear": _agreed([song.year for song in songs]),
        "songs": sorted(name for name in names if is_song(name)),
        "otherfiles": sorted(name for name in names if not is_song(name)),
    }
    return {key: value for key, value in found.items() if value is not None}


def _agreed(values: Sequence[Any]) -> Any:
    return values[0] if len(set(values)) == 1 else None
