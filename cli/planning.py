"""From files and their tags to the paths they get in the Music Directory; changes nothing."""

from __future__ import annotations

import hashlib
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrs import define, evolve, field, frozen

from ..engine import Settings, music_directory
from ..errors import InvalidPath, MediaError
from ..library import AlbumPath, check_album_file, is_song, safe_name
from .collecting import LeftOut, Refusal, Source, collect
from .songs import Overrides, Song, check_folders, read, song_targets

#: What plays music and is not a song of MusicDB's; it must not pass for a booklet.
FOREIGN_AUDIO = frozenset(
    {"aif", "aiff", "ape", "dsf", "mka", "mpc", "oga", "ogg", "opus", "tta", "wav", "wma", "wv"}
)


@frozen
class PlannedFile:
    """A file, and the path it gets."""

    source: Path
    #: Relative to the Music Directory.
    target: str
    size_bytes: int
    #: SHA-1 as 40 hex digits.
    checksum: str
    #: The target is there already, with the same bytes.
    there: bool = False
    #: Another file of the plan that has the same bytes and target, and goes before this one.
    copy_of: Path | None = None

    @property
    def is_new(self) -> bool:
        return not self.there and self.copy_of is None


@frozen
class PlannedAlbum:
    path: AlbumPath
    #: By target.
    files: tuple[PlannedFile, ...]


@frozen
class Plan:
    #: By path.
    albums: tuple[PlannedAlbum, ...]
    refusals: tuple[Refusal, ...]
    #: Not added, and no reason for concern.
    left_out: tuple[LeftOut, ...]

    @property
    def files(self) -> tuple[PlannedFile, ...]:
        return tuple(file for album in self.albums for file in album.files)


@define
class _Planner:
    """Files that are still in, and why the others are not."""

    settings: Settings
    refusals: list[Refusal] = field(factory=list)

    def refuse(self, source: Path, reason: str) -> None:
        self.refusals.append(Refusal(source, reason))


def make_plan(
    paths: Iterable[Path], settings: Settings, overrides: Overrides | None = None
) -> Plan:
    """What `musictasks add` would do with these files and folders; deterministic.

    Every file below `paths` is in the plan, in its refusals, or left out.
    A song's path comes from its tags and `overrides`; every other file goes with the album of
    the songs in its folder, of the folders below, or of the next folder above that has songs.
    """
    overrides = overrides or Overrides()
    found = collect(paths, settings)
    planner = _Planner(settings, found.refusals)
    songs = _songs([source for source in found.sources if is_song(source.name)], overrides, planner)
    targets = _unrefused(song_targets(songs), planner)
    others = [source for source in found.sources if not is_song(source.name)]
    targets += _other_targets(others, songs, overrides, planner)
    files = _compared(_without_rivals(_measured(targets, planner), planner), planner)
    return Plan(
        albums=_by_album(files),
        refusals=tuple(sorted(planner.refusals, key=lambda refusal: refusal.source)),
        left_out=tuple(sorted(found.left_out, key=lambda one: one.path)),
    )


def _songs(sources: list[Source], overrides: Overrides, planner: _Planner) -> list[Song]:
    songs: list[Song] = []
    for source in sources:
        try:
            songs.append(read(source, overrides))
        except (InvalidPath, MediaError) as error:
            planner.refuse(source.path, error.reason)
        except OSError as error:
            planner.refuse(source.path, f"cannot be read: {error.strerror}")
    refused = {source.path: reason for source, reason in check_folders(songs)}
    for path, reason in refused.items():
        planner.refuse(path, reason)
    return [song for song in songs if song.source.path not in refused]


def _unrefused(
    targets: Iterable[tuple[Source, str | InvalidPath]], planner: _Planner
) -> list[tuple[Source, str]]:
    kept: list[tuple[Source, str]] = []
    for source, target in targets:
        if isinstance(target, InvalidPath):
            planner.refuse(source.path, f"its tags give no valid path: {target.reason}")
        else:
            kept.append((source, target))
    return kept


def _other_targets(
    others: list[Source], songs: list[Song], overrides: Overrides, planner: _Planner
) -> list[tuple[Source, str]]:
    given = overrides.album_path()
    in_folder: dict[Path, set[AlbumPath]] = defaultdict(set)
    for song in songs:
        in_folder[song.source.folder].add(song.album_path)
    targets: list[tuple[Source, str]] = []
    for source in others:
        albums = {given} if given else _albums_near(source, in_folder)
        try:
            targets.append((source, _beside_songs(source, albums)))
        except InvalidPath as error:
            planner.refuse(source.path, error.reason)
    return targets


def _albums_near(source: Source, in_folder: Mapping[Path, set[AlbumPath]]) -> set[AlbumPath]:
    if here := in_folder.get(source.folder):
        return here
    below = [albums for folder, albums in in_folder.items() if source.folder in folder.parents]
    if below:
        return set().union(*below)
    for folder in source.folder.parents:
        if not folder.is_relative_to(source.root):
            break
        if above := in_folder.get(folder):
            return above
    return set()


def _beside_songs(source: Source, albums: set[AlbumPath]) -> str:
    """The path of a file that is no song, in the one album that it can belong to."""
    suffix = source.path.suffix
    if suffix.lower().removeprefix(".") in FOREIGN_AUDIO:
        reason = "this kind of audio is unknown to the library: it has flac, mp3, m4a and aac"
        raise InvalidPath(source.name, reason)
    if len(albums) != 1:
        near = "are songs of several albums" if albums else "is no song that tells the album"
        remedy = "give --artist, --album and --year"
        raise InvalidPath(source.name, f"beside it {near}: {remedy}")
    (album,) = albums
    stem = source.name[: -len(suffix)] if suffix else source.name
    target = f"{album.path}/{safe_name(stem, suffix)}"
    check_album_file(target)
    return target


def _measured(targets: list[tuple[Source, str]], planner: _Planner) -> Iterator[PlannedFile]:
    music = music_directory(planner.settings)
    for source, target in targets:
        try:
            music.check_target(target)  # as the engine will
            checksum = _sha1(source.path)
        except InvalidPath as error:
            planner.refuse(source.path, f"{target}: {error.reason}")
        except OSError as error:
            planner.refuse(source.path, f"cannot be read: {error.strerror}")
        else:
            yield PlannedFile(source.path, target, source.size_bytes, checksum)


def _without_rivals(files: Iterable[PlannedFile], planner: _Planner) -> Iterator[PlannedFile]:
    """Refuses files of different bytes for one target; copies of one file stay."""
    by_target: dict[str, list[PlannedFile]] = defaultdict(list)
    for file in files:
        by_target[_same_name(file.target)].append(file)
    for first, *others in by_target.values():
        if all((file.checksum, file.target) == (first.checksum, first.target) for file in others):
            yield from (first, *others)
            continue
        for file in (first, *others):
            rival = others[0] if file is first else first
            reason = f"{rival.source} has other bytes and would get the same path"
            planner.refuse(file.source, f"{reason}: {file.target}")


def _same_name(target: str) -> str:
    # As file systems compare that hold upper and lower case for the same.
    return unicodedata.normalize("NFC", target).casefold()


def _compared(files: Iterable[PlannedFile], planner: _Planner) -> Iterator[PlannedFile]:
    """Marks what is there already or comes twice; refuses what cannot get to its place."""
    first: dict[str, Path] = {}
    off = _why_off(planner.settings)
    for file in files:
        there = present(planner.settings, file)
        if isinstance(there, str):
            planner.refuse(file.source, there)
        elif off and not there:
            planner.refuse(file.source, off)
        else:
            yield evolve(file, there=there, copy_of=first.get(file.target))
            first.setdefault(file.target, file.source)


def _why_off(settings: Settings) -> str | None:
    """Why the settings let nothing be uploaded, if they do not."""
    if not settings.allow:
        return "uploads are switched off: [uploads] allow is empty"
    return None if "albumfile" in settings.allow else "[uploads] allow does not name albumfile"


def present(settings: Settings, file: PlannedFile) -> bool | str:
    """Whether the file is in the Music Directory; a text says what is in its place instead."""
    target = settings.music / file.target
    try:
        status = target.lstat()
        if not stat.S_ISREG(status.st_mode):
            return f"what is no file has its place: {file.target}"
        if status.st_size == file.size_bytes and _sha1(target) == file.checksum:
            return True
    except FileNotFoundError:
        return False
    except OSError as error:
        return f"its place cannot be read ({error.strerror}): {file.target}"
    return f"a file with other bytes has its place, and is never overwritten: {file.target}"


def _sha1(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


def _by_album(files: Iterable[PlannedFile]) -> tuple[PlannedAlbum, ...]:
    albums: dict[AlbumPath, list[PlannedFile]] = defaultdict(list)
    for file in files:
        albums[check_album_file(file.target)].append(file)
    return tuple(
        PlannedAlbum(album, tuple(sorted(albums[album], key=lambda file: file.target)))
        for album in sorted(albums, key=lambda album: album.path)
    )
