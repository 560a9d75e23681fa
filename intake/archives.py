"""Albums in archives: which one it is, and, for a dry run, what is inside."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from ..errors import InvalidPath, MediaError
from ..library import (
    AlbumPath,
    ArchivedFile,
    ArchiveMember,
    AudioFormats,
    album_annotations,
    album_names,
    is_left_out,
    parse_album,
    read_archive,
    read_archived_song,
    safe_album_path,
    same_name,
)
from ..music import Settings, archive_limits, music_directory
from .artists import Artists
from .looks import Looks
from .overrides import Overrides
from .plans import (
    ArchivedTarget,
    PlannedArchive,
    is_untouched,
    places_there,
    present,
    same_names,
    why_off,
)
from .sources import Source

_NAME = re.compile(r".+\.(zip|tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz))", re.IGNORECASE | re.DOTALL)
#: Archives that nobody here unpacks.
FOREIGN_ARCHIVES = frozenset({"7z", "rar"})


def is_archive(name: str) -> bool:
    """Whether the extension of a file name is that of an archive which the engine unpacks."""
    return _NAME.fullmatch(name) is not None


def album_told(overrides: Overrides, told: Mapping[str, Any], artists: Artists) -> AlbumPath:
    """The album of an archive: as given, else as the annotations of its songs (`told`) say.

    Raises:
        InvalidPath: Neither says it, and the reason what to give; or there is no such path.
    """
    artist = overrides.artist or told.get("artist")
    album = overrides.album or told.get("album")
    year = str(overrides.year or told.get("releaseyear"))
    known = {
        "artist": isinstance(artist, str) and artist.strip(),
        "album": isinstance(album, str) and album.strip(),
        "year": re.fullmatch("[0-9]{1,4}", year),
    }
    missing = [name for name, value in known.items() if not value]
    if missing:
        remedy = overrides.wording.give(missing)
        reason = f"its songs have no {', no '.join(missing)} in common: {remedy}"
        raise InvalidPath("", reason)
    return artists.of_album(safe_album_path(str(artist), int(year), str(album)))


def is_meant(overrides: Overrides, album: AlbumPath) -> bool:
    """Whether an archive that is this album is to be this one, by what was given."""
    artist, name = overrides.artist or album.artist, overrides.album or album.album
    try:
        return safe_album_path(artist, overrides.year or album.year, name) == album
    except InvalidPath:
        return False


def plan_archives(
    sources: Iterable[Source],
    albums: Iterable[AlbumPath],
    settings: Settings,
    overrides: Overrides,
    artists: Artists,
    looks: Looks,
    refuse: Callable[[Path, str], object],
    *,
    look_inside: bool,
) -> tuple[PlannedArchive, ...]:
    """The archives that can be added, by source; `albums` are those that other files go to."""
    planned = []
    taken = Taken({same_name(album.path): "" for album in albums})
    first: dict[str, Path] = {}
    for source in sorted(sources, key=lambda source: source.path):
        try:
            archive = _planned(source, settings, overrides, artists, looks, look_inside=look_inside)
            if archive.album is not None:
                taken.take(archive.album, archive.checksum)
        except (InvalidPath, MediaError) as error:
            refuse(source.path, error.reason)
        except OSError as error:
            refuse(source.path, f"cannot be read: {error.strerror}")
        else:
            copy_of = first.setdefault(archive.checksum, source.path)
            planned.append(evolve(archive, copy_of=None if copy_of == source.path else copy_of))
    return tuple(planned)


@frozen
class Taken:
    """The albums that something goes to, in this run."""

    #: By the path, as file systems compare it: the SHA-1 of the archive; or nothing, for files.
    albums: dict[str, str]
    #: Those of `Artists`, for all of its archives.
    artists: dict[str, str] = field(factory=dict)

    def take(self, album: AlbumPath, checksum: str) -> None:
        """An archive goes to this album; InvalidPath if anything else does."""
        owner = self.albums.setdefault(same_name(album.path), checksum)
        if owner != checksum:
            what = "another archive goes" if owner else "other files go"
            reason = f"{what} to the same album, {album.path}: an archive has to be all of it"
            raise InvalidPath("", reason)


def _planned(
    source: Source,
    settings: Settings,
    overrides: Overrides,
    artists: Artists,
    looks: Looks,
    *,
    look_inside: bool,
) -> PlannedArchive:
    """Raises InvalidPath or MediaError with the reason where it cannot be added."""
    archive = PlannedArchive(
        source=source.path,
        size_bytes=source.size_bytes,
        checksum=looks.sha1(source),
        overrides=overrides,
        album=overrides.album_path(),
    )
    there = _place(settings, archive)
    if there is not None:
        return evolve(
            archive, album=there, there=True, files=_shown(archive, there, settings, look_inside)
        )
    off = why_off(settings, "album")
    if off is not None:
        raise InvalidPath("", off)
    if look_inside:
        inside = look_into(source.path, settings)
        album = album_told(overrides, inside.told, artists)
        archive = evolve(archive, album=album, files=inside.targets(album))
    if archive.album is None:
        return archive
    _check_target(settings, archive.album.path)
    there = album_present(settings, archive.album, archive.files) if look_inside else False
    if isinstance(there, str):
        raise InvalidPath("", there)
    return evolve(archive, there=there)


def _place(settings: Settings, archive: PlannedArchive) -> AlbumPath | None:
    """The album that the archive became, if it is known to be there, and is meant."""
    found = places_there(settings, "album", archive.checksum, archive.size_bytes)
    albums = (parse_album(path) for path in found)
    there = next((album for album in albums if is_meant(archive.overrides, album)), None)
    sure = there is not None and is_untouched(settings, archive.checksum, archive.size_bytes)
    return there if sure else None


def _shown(
    archive: PlannedArchive, album: AlbumPath, settings: Settings, look_inside: bool
) -> tuple[ArchivedTarget, ...]:
    return look_into(archive.source, settings).targets(album) if look_inside else ()


def _check_target(settings: Settings, path: str) -> None:
    try:
        music_directory(settings).check_target_album(path)  # as the engine will
    except InvalidPath as error:
        raise InvalidPath(path, f"{path}: {error.reason}") from error


@frozen
class Inside:
    """What is in an archive."""

    files: tuple[_Found, ...]
    #: The names they get in an album directory, in their order.
    names: tuple[str, ...]
    #: What the songs tell, as the engine annotates it.
    told: dict[str, Any]

    def targets(self, album: AlbumPath) -> tuple[ArchivedTarget, ...]:
        """The files with their paths in that album, by path."""
        targets = (
            ArchivedTarget(str(found.file), f"{album.path}/{name}", found.size_bytes, found.sha1)
            for found, name in zip(self.files, self.names, strict=True)
        )
        return tuple(sorted(targets, key=lambda one: one.target))


@frozen
class _Found:
    file: ArchivedFile
    size_bytes: int
    #: Hex digits.
    sha1: str


def look_into(path: Path, settings: Settings) -> Inside:
    """Reads an archive as the engine does, within the same limits; songs pass a temporary file.

    Raises:
        MediaError: The engine would refuse it, for this reason.
        OSError: It cannot be read, or there is no room for a song.
    """
    with path.open("rb") as file:
        found = [
            _read(member, path.name, settings.formats)
            for member in read_archive(file, path.name, archive_limits(settings))
            if not is_left_out(member.path, settings.ignore_songs)
        ]
    names = album_names(path.name, [one.file for one in found], settings.formats)
    tags = [one.file.tags for one in found if one.file.tags is not None]
    return Inside(tuple(found), tuple(names), album_annotations(names, tags, settings.formats))


def _read(member: ArchiveMember, archive: str, formats: AudioFormats) -> _Found:
    digest, size_bytes = hashlib.sha1(usedforsecurity=False), 0
    with tempfile.TemporaryFile() as copy:
        for block in member.blocks:
            digest.update(block)
            size_bytes += len(block)
            if formats.is_song(member.path[-1]):
                copy.write(block)
        tags = None
        if formats.is_song(member.path[-1]):
            copy.seek(0)
            tags = read_archived_song(copy, member.path, archive, formats)
    return _Found(ArchivedFile(member.path, tags), size_bytes, digest.hexdigest())


def album_present(
    settings: Settings, album: AlbumPath, files: Iterable[ArchivedTarget]
) -> bool | str:
    """Whether the album is there with just these files; a text says what is there instead."""
    place = settings.music / album.path
    try:
        other = next(same_names(place), None)
        if other is not None:
            return f"an album of almost this name is there: {place.parent.name}/{other}"
        if not os.path.lexists(place):
            return False
        if place.is_symlink() or not place.is_dir():
            return f"what is no album has its place: {album.path}"
        ignored = settings.ignore_songs
        names = {one.name for one in place.iterdir() if not is_left_out([one.name], ignored)}
    except OSError as error:
        return f"its place cannot be read ({error.strerror}): {album.path}"
    files = list(files)
    wanted = {file.target.rpartition("/")[2] for file in files}
    if names == wanted and all(present(settings, file) is True for file in files):
        return True
    return f"the album is there with other files, and is never overwritten: {album.path}"
