"""From files and their tags to the paths they get in the Music Directory; changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrs import define, evolve, field

from ..errors import ExtraMissing, InvalidPath, MediaError
from ..library import (
    AlbumPath,
    KnownFiles,
    album_of,
    check_album_file,
    safe_name,
    same_name,
)
from ..music import Settings, music_directory
from .archives import FOREIGN_ARCHIVES, is_archive, plan_archives
from .artists import Artists
from .known import Known
from .looks import Looks
from .overrides import Overrides
from .plans import Plan, PlannedAlbum, PlannedFile, present, why_off
from .songs import Song, check_folders, read, song_targets, spelled
from .sources import Refusal, Source, collect
from .videos import check_video, is_music_video, no_extra, video_target


@define
class _Planner:
    """Files that are still in, and why the others are not."""

    settings: Settings
    overrides: Overrides
    look_inside: bool
    artists: Artists
    looks: Looks
    known: Known
    refusals: list[Refusal] = field(factory=list)

    def refuse(self, source: Path, reason: str) -> None:
        self.refusals.append(Refusal(source, reason))


def make_plan(
    paths: Iterable[Path],
    settings: Settings,
    overrides: Overrides | None = None,
    *,
    look_inside: bool = False,
    spelled: dict[str, str] | None = None,
) -> Plan:
    """As `musictasks.intake.plan`; deterministic.

    `spelled`: how artists are spelled, for plans that are carried out together.

    Every file below `paths` is in the plan, in its refusals, or left out.
    A song's path comes from its tags and `overrides`; every other file goes with the album of
    the songs in its folder, of the folders below, or of the next folder above that has songs.
    An archive is an album of its own; a video where no such songs say that it is a file of theirs.
    What is in them the engine finds out, or, for a dry run, this with `look_inside`.
    """
    overrides = overrides or Overrides()
    artists = Artists(settings, overrides, {} if spelled is None else spelled)
    found = collect(paths, settings)
    looks, known = Looks(KnownFiles(settings.known_files), settings.formats), Known(settings)
    looks.begin(found.sources)
    planner = _Planner(
        settings, overrides, look_inside, artists, looks, known, refusals=found.refusals
    )
    archives = [source for source in found.sources if is_archive(source.name)]
    songs = _songs(
        [source for source in found.sources if settings.formats.is_song(source.name)], planner
    )
    shelves = _by_folder(songs)
    others = [
        source
        for source in found.sources
        if not settings.formats.is_song(source.name) and not is_archive(source.name)
    ]
    videos = [one for one in others if is_music_video(one, _albums_with(one, shelves), overrides)]
    beside = [source for source in others if source not in set(videos)]
    albums = _by_album(_album_files(songs, beside, shelves, planner))
    return Plan(
        albums=albums,
        archives=plan_archives(
            archives,
            (album.path for album in albums),
            settings,
            overrides,
            artists,
            looks,
            planner.refuse,
            look_inside=look_inside,
        ),
        videos=_videos(videos, planner),
        refusals=tuple(sorted(planner.refusals, key=lambda refusal: refusal.source)),
        left_out=tuple(sorted(found.left_out, key=lambda one: one.path)),
        spellings=artists.spellings,
        looks=looks,
        known=known,
    )


def _album_files(
    songs: list[Song],
    others: list[Source],
    shelves: Mapping[Path, set[AlbumPath]],
    planner: _Planner,
) -> Iterator[PlannedFile]:
    targets = _unrefused(song_targets(songs), planner)
    targets += _other_targets(others, shelves, planner)
    files = _measured(targets, "albumfile", planner)
    found = _where_they_are(list(_without_rivals(files, planner)), planner)
    return _compared(found, planner)


def _videos(sources: list[Source], planner: _Planner) -> tuple[PlannedFile, ...]:
    targets: list[tuple[Source, str]] = []
    for source in sources:
        try:
            target = video_target(source, planner.overrides, planner.artists)
            if planner.look_inside:
                check_video(source.path)
        except (InvalidPath, MediaError) as error:
            planner.refuse(source.path, error.reason)
        except ExtraMissing as error:
            planner.refuse(source.path, no_extra(error))
        except OSError as error:
            planner.refuse(source.path, f"cannot be read: {error.strerror}")
        else:
            targets.append((source, target))
    files = _without_rivals(_measured(targets, "video", planner), planner)
    files = _where_they_are(list(files), planner)
    return tuple(sorted(_compared(files, planner), key=lambda file: file.target))


def _songs(sources: list[Source], planner: _Planner) -> list[Song]:
    songs: list[Song] = []
    for source in sources:
        try:
            tags = planner.looks.tags(source)
            songs.append(spelled(read(source, tags, planner.overrides), planner.artists))
        except (InvalidPath, MediaError) as error:
            planner.refuse(source.path, error.reason)
        except OSError as error:
            planner.refuse(source.path, f"cannot be read: {error.strerror}")
    falling_apart = list(check_folders(songs, planner.overrides.wording))
    planner.refusals += falling_apart
    refused = {path for refusal in falling_apart for path in refusal.files}
    return [song for song in songs if song.source.path not in refused]


def _by_folder(songs: Iterable[Song]) -> dict[Path, set[AlbumPath]]:
    """The albums of the songs in each folder."""
    albums: dict[Path, set[AlbumPath]] = defaultdict(set)
    for song in songs:
        albums[song.source.folder].add(song.album_path)
    return albums


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
    others: list[Source], shelves: Mapping[Path, set[AlbumPath]], planner: _Planner
) -> list[tuple[Source, str]]:
    given = planner.overrides.album_path()
    targets: list[tuple[Source, str]] = []
    for source in others:
        albums = {given} if given else _albums_near(source, shelves)
        try:
            targets.append((source, _beside_songs(source, albums, planner)))
        except InvalidPath as error:
            planner.refuse(source.path, error.reason)
    return targets


def _albums_with(video: Source, shelves: Mapping[Path, set[AlbumPath]]) -> set[AlbumPath]:
    """The albums that a video can be a file of; one that was named itself: `add Album/*`."""
    return shelves.get(video.folder, set()) if video.is_named else _albums_near(video, shelves)


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


def _beside_songs(source: Source, albums: set[AlbumPath], planner: _Planner) -> str:
    """The path of a file that is no song, in the one album that it can belong to."""
    suffix = source.path.suffix
    kind = suffix.lower().removeprefix(".")
    no_song = planner.settings.formats.why_no_song(source.name)
    if no_song is not None:
        raise InvalidPath(source.name, no_song)
    if kind in FOREIGN_ARCHIVES:
        raise InvalidPath(source.name, f"{kind} archives are not supported: make it a zip or a tar")
    if len(albums) != 1:
        near = "are songs of several albums" if albums else "is no song that tells the album"
        *names, last = map(planner.overrides.wording.named, ("artist", "album", "year"))
        remedy = f"give {', '.join(names)} and {last}"
        raise InvalidPath(source.name, f"beside it {near}: {remedy}")
    (album,) = albums
    stem = source.name[: -len(suffix)] if suffix else source.name
    target = f"{album.path}/{safe_name(stem, suffix)}"
    check_album_file(target, planner.settings.formats)
    return target


def _measured(
    targets: list[tuple[Source, str]], content_type: str, planner: _Planner
) -> Iterator[PlannedFile]:
    music = music_directory(planner.settings)
    check = music.check_target_video if content_type == "video" else music.check_target
    for source, target in targets:
        try:
            check(target)  # as the engine will
            checksum = planner.looks.sha1(source)
        except InvalidPath as error:
            planner.refuse(source.path, f"{target}: {error.reason}")
        except OSError as error:
            planner.refuse(source.path, f"cannot be read: {error.strerror}")
        else:
            yield PlannedFile(
                source=source.path,
                target=target,
                size_bytes=source.size_bytes,
                checksum=checksum,
                content_type=content_type,
                tags=planner.looks.tags_of(source),
            )


def _without_rivals(files: Iterable[PlannedFile], planner: _Planner) -> Iterator[PlannedFile]:
    """Refuses files of different bytes for one target; copies of one file stay."""
    by_target: dict[str, list[PlannedFile]] = defaultdict(list)
    for file in files:
        by_target[same_name(file.target)].append(file)
    for first, *others in by_target.values():
        if all((file.checksum, file.target) == (first.checksum, first.target) for file in others):
            yield from (first, *others)
            continue
        for file in (first, *others):
            rival = others[0] if file is first else first
            reason = f"{rival.source} has other bytes and would get the same path"
            planner.refuse(file.source, f"{reason}: {file.target}")


def _where_they_are(files: list[PlannedFile], planner: _Planner) -> list[PlannedFile]:
    """Files whose bytes the library has get the path that they have there, whatever they say.

    Only where nobody has said where they go. What is no song often lies in many albums with the
    same bytes: it counts as there where songs of its album are.
    """
    if planner.overrides != Overrides(wording=planner.overrides.wording):
        return files
    places = planner.known.places(
        (file.content_type, file.checksum, file.size_bytes) for file in files
    )
    # Its own place before all others.
    found = {
        file.source: sorted(there, key=lambda path, own=file.target: path != own)
        for file, there in zip(files, places, strict=True)
    }
    homes: dict[str, set[str]] = defaultdict(set)
    for file in files:
        homes[_above(file.target)].add(_above(file.target))
        if planner.settings.formats.is_song(file.target):
            homes[_above(file.target)].update(map(_above, found[file.source][:1]))
    return [
        _at_home(file, found[file.source], homes[_above(file.target)], planner) for file in files
    ]


def _at_home(
    file: PlannedFile, places: list[str], homes: set[str], planner: _Planner
) -> PlannedFile:
    is_song = planner.settings.formats.is_song(file.target)
    if file.content_type == "albumfile" and not is_song:
        places = [path for path in places if _above(path) in homes]
    return evolve(file, target=places[0]) if places else file


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _compared(files: Iterable[PlannedFile], planner: _Planner) -> Iterator[PlannedFile]:
    """Marks what is there already or comes twice; refuses what cannot get to its place."""
    first: dict[str, Path] = {}
    for file in files:
        off = why_off(planner.settings, file.content_type)
        there = present(planner.settings, file, planner.known)
        if isinstance(there, str):
            planner.refuse(file.source, there)
        elif off and not there:
            planner.refuse(file.source, off)
        else:
            yield evolve(file, there=there, copy_of=first.get(file.target))
            first.setdefault(file.target, file.source)


def _by_album(files: Iterable[PlannedFile]) -> tuple[PlannedAlbum, ...]:
    albums: dict[AlbumPath, list[PlannedFile]] = defaultdict(list)
    for file in files:
        albums[album_of(file.target)].append(file)
    return tuple(
        PlannedAlbum(album, tuple(sorted(albums[album], key=lambda file: file.target)))
        for album in sorted(albums, key=lambda album: album.path)
    )
