"""What songs say of themselves, and the paths that follow from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from attrs import evolve, frozen

from ..errors import InvalidPath, MediaError
from ..library import AlbumPath, safe_album_path, safe_song_path
from ..library.tags import VARIOUS_ARTISTS, SongTags
from .artists import Artists
from .overrides import Overrides, Wording
from .sources import Refusal, Source


@frozen
class Song:
    """A song of which everything is known that its path needs."""

    source: Source
    artist: str
    #: The artist was given, or the tags name him as the whole album's.
    artist_is_certain: bool
    album: str
    year: int
    album_path: AlbumPath
    disc: int
    #: 1 where the tags tell nothing.
    disc_count: int
    number: int
    title: str


def read(source: Source, tags: SongTags, overrides: Overrides) -> Song:
    """The song by its tags, or by what is given instead of them.

    Raises:
        MediaError: Its tags tell too little; the reason says what to do.
        InvalidPath: Its album has no valid path.
    """
    artist = overrides.artist or tags.artist_of_album or tags.artist
    album = overrides.album or tags.album
    year = overrides.year or tags.year
    missing = _missing(tags, overrides.wording, artist=artist, album=album, year=year)
    if missing or not (artist and album and year and tags.number and tags.title):
        raise MediaError(str(source.path), missing)
    return Song(
        source=source,
        artist=artist,
        artist_is_certain=bool(overrides.artist or tags.artist_of_album),
        album=album,
        year=year,
        album_path=safe_album_path(artist, year, album),
        disc=tags.disc or 1,
        disc_count=tags.disc_count or 1,
        number=tags.number,
        title=tags.title,
    )


def _missing(tags: SongTags, wording: Wording, **needed: str | int | None) -> str:
    given = [name for name, value in needed.items() if not value]
    names = given + [
        name for name, value in (("track number", tags.number), ("title", tags.title)) if not value
    ]
    if not names:
        return ""
    remedies = [wording.give(given)] if given else []
    remedies += ["write the tags"] if len(names) > len(given) else []
    return f"its tags have no {', no '.join(names)}: {' and '.join(remedies)}"


def spelled(song: Song, artists: Artists) -> Song:
    """The song under the one spelling of its artist's name."""
    album = artists.of_album(song.album_path)
    if album == song.album_path:
        return song
    return evolve(song, artist=album.artist, album_path=album)


def check_folders(songs: Iterable[Song], wording: Wording) -> Iterator[Refusal]:
    """Refusals of albums that would fall apart, one for all songs of each.

    Songs of one folder and album that name several years, or several artists where no tag names
    the album's, are one album badly tagged; only a person can say which.
    """
    albums: dict[tuple[object, str], list[Song]] = defaultdict(list)
    for song in songs:
        albums[song.source.folder, song.album].append(song)
    for (_, album), together in albums.items():
        artists = {song.artist for song in together}
        if len(artists) > 1 and not all(song.artist_is_certain for song in together):
            remedy = f"if it is one album, {wording.give_value('artist', VARIOUS_ARTISTS)}"
            yield _several(album, "artists", together, artists, remedy)
            continue
        by_artist = _grouped(together, lambda song: song.artist)
        for one in by_artist.values():
            years = {song.year for song in one}
            if len(years) > 1:
                yield _several(album, "years", one, years, wording.give(["year"]))


def _several(
    album: str, what: str, songs: list[Song], values: Iterable[object], remedy: str
) -> Refusal:
    shown = listed(sorted(map(str, values))[:4])
    reason = f"the songs of {album!r} in this folder have several {what} ({shown}): {remedy}"
    return Refusal(songs[0].source.folder, reason, tuple(song.source.path for song in songs))


def listed(values: Iterable[str]) -> str:
    """'A', 'B' and 'C'."""
    *rest, last = map(repr, values)
    return f"{', '.join(rest)} and {last}" if rest else last


def _grouped(songs: Iterable[Song], key: Callable[[Song], object]) -> dict[object, list[Song]]:
    groups: dict[object, list[Song]] = defaultdict(list)
    for song in songs:
        groups[key(song)].append(song)
    return groups


def song_targets(songs: Iterable[Song]) -> Iterator[tuple[Source, str | InvalidPath]]:
    """The path of each song in the Music Directory, or why it has none.

    The names of an album's songs hold the disc if any of them tells of a second one.
    """
    for together in _grouped(songs, lambda song: song.album_path).values():
        many_discs = any(song.disc > 1 or song.disc_count > 1 for song in together)
        for song in together:
            disc = song.disc if many_discs else None
            extension = song.source.path.suffix.removeprefix(".").lower()
            try:
                path = safe_song_path(song.album_path, disc, song.number, song.title, extension)
                yield song.source, path.path
            except InvalidPath as error:
                yield song.source, error
