"""The file-system scan: what the Music Directory has and the database has not, and the reverse."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from attrs import define, field, frozen

from ..errors import InvalidPath, LedgerUnusable, MusicDirectoryUnusable
from .database import MusicDatabase
from .hashing import digests_of
from .importing import Check
from .ledger import Ledger
from .music_directory import MusicDirectory
from .scan_cache import ScanCache
from .scan_walk import Kind, Listing, Skipped, check_music_file, list_music

_log = logging.getLogger(__name__)

#: The reasons of one file alone; whatever else the disk answers stops the scan.
_OF_ONE_FILE = {errno.EACCES, errno.EPERM, errno.EIO, errno.ELOOP}

Row = dict[str, Any]


@frozen
class NewFile:
    """A song or video that the database does not know."""

    path: str
    #: SHA-256, hex digits.
    checksum: str


@frozen
class Moved:
    """A lost and a new file with the same bytes, or with the same audio."""

    lost: str
    new: str
    #: SHA-256 of the new file, hex digits.
    checksum: str
    #: The audio is the same, but the tags were changed since.
    changed: bool = False


@frozen(kw_only=True)
class ScanResult:
    """What a scan found, everything by path.

    New directories are listed with all that is in them. What is moved is also lost and new.
    """

    new_artists: list[str] = field(factory=list)
    new_albums: list[str] = field(factory=list)
    new_songs: list[NewFile] = field(factory=list)
    #: Those new songs whose album is in the database.
    filtered_songs: list[NewFile] = field(factory=list)
    new_videos: list[NewFile] = field(factory=list)
    #: By table (`artists`, `albums`, `songs`, `videos`): the rows of what is gone.
    lost: dict[str, list[Row]] = field(factory=dict)
    moved: list[Moved] = field(factory=list)
    skipped: list[Skipped] = field(factory=list)


def scan(
    music: MusicDirectory,
    database: MusicDatabase,
    cache: Path,
    check: Check | None = None,
    ledger: Ledger | None = None,
) -> ScanResult:
    """Compares the Music Directory with the database, and changes neither.

    Names decide: a file whose path the database has is known, whatever is in it by now. Only new
    songs and videos are hashed, and those that `cache` knows are not. What was moved is recognised
    by its bytes; by its audio, whatever became of its tags, where `ledger` knows that.

    `check(done, total, path)` is called often, and may raise to stop: for each artist, for what
    the database has and the directory seems not to have, at last for each new file, and while it is
    hashed. What was hashed till then is in the cache.

    Raises:
        MusicDirectoryUnusable: It has no music, but the database has; or it was exchanged
            meanwhile.
        DatabaseUnusable: The database cannot be read.
        OSError: The disk does not give a directory.
    """
    return _Scan(music, database, cache, check or (lambda done, total, path: None), ledger).run()


@define(eq=False)
class _Scan:
    music: MusicDirectory
    database: MusicDatabase
    cache: Path
    check: Check
    ledger: Ledger | None
    listing: Listing = field(factory=Listing, init=False)
    known: dict[str, set[str]] = field(factory=dict, init=False)
    out_of_reach: set[tuple[str, str]] = field(factory=set, init=False)

    def run(self) -> ScanResult:
        mounted = self._identity()
        # Invariant: the directory before the database. What is imported meanwhile is known then,
        # and a row that is newer than the listing is looked for before it counts as lost.
        self.listing = list_music(self.music, self.check)
        artists = len(self.listing.artists)
        seen = {table: self._seen(table) for table in ("artists", "albums", "songs", "videos")}
        others = self.database.others(seen, lambda: self.check(artists, artists, ""))
        self.known = others.paths
        if not self.listing.artists and any(self.known.values()):
            self._refuse("no artist is in it, but the database is not empty: is it mounted?")
        albums = [path for path in self.listing.albums if self._is_valid_new(path)]
        songs = [path for path in self._new_songs(albums) if self._follows_scheme(path)]
        videos = [
            path
            for path in self.listing.videos
            if path not in self.known["videos"] and self._follows_scheme(path)
        ]
        lost = {table: list(self._lost(table, rows)) for table, rows in others.rows.items()}
        found = self._hashed([*songs, *videos])
        # What was unmounted on the way would be lost, song by song.
        if self._identity() != mounted:
            self._refuse("another directory took its place during the scan: scan again")
        if (lost["songs"] or lost["videos"]) and not self._has_music():
            self._refuse(
                "no song and no video is in it, but the database has some: is it mounted? If all "
                "were deleted on purpose, delete them in MusicDB too, or add an album, then scan "
                "again"
            )
        moved = self._moved([*lost["songs"], *lost["videos"]], found)
        new_songs = [found[path] for path in songs if path in found]
        return ScanResult(
            new_artists=self._new_artists(albums, videos),
            new_albums=albums,
            new_songs=new_songs,
            filtered_songs=[
                song for song in new_songs if song.path.rpartition("/")[0] in self.known["albums"]
            ],
            new_videos=[found[path] for path in videos if path in found],
            lost=lost,
            moved=moved,
            skipped=sorted(self.listing.skipped, key=lambda skipped: skipped.path),
        )

    def _refuse(self, reason: str) -> NoReturn:
        raise MusicDirectoryUnusable(str(self.music.root), reason)

    def _has_music(self) -> bool:
        """Whether any song or video was seen: a stray directory does not make a mounted disk."""
        albums = self.listing.albums.values()
        return bool(self.listing.videos) or any(
            self.music.formats.is_song(name) for names in albums for name in names
        )

    def _identity(self) -> tuple[int, int]:
        found = self.music.directory.status()
        if found is None:
            self._refuse("it is not there: is it mounted?")
        return found.st_dev, found.st_ino

    # -- new --------------------------------------------------------------------------------

    def _is_valid_new(self, path: str) -> bool:
        """Whether it is a new album, one that an import would take."""
        if path in self.known["albums"]:
            return False
        entries = self.listing.albums[path]
        no_file = next((name for name, kind in entries.items() if kind is not Kind.FILE), None)
        if no_file is not None:
            reason = f"an album holds files only, and {no_file!r} in it is {entries[no_file].value}"
            self.listing.skip(path, reason)
            return False
        if not any(map(self.music.formats.is_song, entries)):
            foreign = filter(None, map(self.music.formats.why_no_song, entries))
            self.listing.skip(path, "; ".join(["there is no song in it", *islice(foreign, 1)]))
            return False
        return self._is_accessible(path, entries)

    def _is_accessible(self, path: str, names: Iterable[str]) -> bool:
        try:
            with self.music.directory.descriptor(path) as fd:
                for name in names:
                    if not os.access(name, os.R_OK | os.W_OK, dir_fd=fd):
                        self.listing.skip(path, f"{name!r} in it cannot be read and written")
                        return False
        except (InvalidPath, OSError):
            return False  # it went, or was exchanged, since the names were read
        return True

    def _new_songs(self, new_albums: Iterable[str]) -> Iterator[str]:
        valid = self.known["albums"].union(new_albums)
        for album, entries in self.listing.albums.items():
            for name, kind in entries.items() if album in valid else ():
                path = f"{album}/{name}"
                if kind is not Kind.FILE:
                    self.listing.skip(path, f"an album holds files only, and it is {kind.value}")
                elif self.music.formats.is_song(name) and path not in self.known["songs"]:
                    yield path

    def _follows_scheme(self, path: str) -> bool:
        try:
            check_music_file(path, self.music.formats)
        except InvalidPath as error:
            self.listing.skip(path, error.reason)
            return False
        return True

    def _new_artists(self, new_albums: Iterable[str], new_videos: Iterable[str]) -> list[str]:
        known_albums = self.known["albums"] & self.listing.albums.keys()
        known_videos = self.known["videos"] & set(self.listing.videos)
        holding = {
            path.partition("/")[0]
            for path in (*new_albums, *known_albums, *new_videos, *known_videos)
        }
        return [
            artist
            for artist in self.listing.artists
            if artist in holding and artist not in self.known["artists"]
        ]

    def _hashed(self, paths: Sequence[str]) -> dict[str, NewFile]:
        """The new files with their checksums; without those that went or cannot be read."""
        if not paths:
            return {}
        cache = ScanCache(self.cache)
        cache.load()
        found = {}
        try:
            for number, path in enumerate(paths):

                def step(number: int = number, path: str = path) -> None:
                    self.check(number, len(paths), path)

                step()
                checksum = self._checksum(cache, path, step)
                if checksum is not None:
                    found[path] = NewFile(path, checksum)
        finally:
            cache.flush()
        cache.keep(paths)
        return found

    def _checksum(self, cache: ScanCache, path: str, step: Callable[[], object]) -> str | None:
        try:
            return cache.checksum(self.music.directory, path, step)
        except (FileNotFoundError, NotADirectoryError):
            return None  # it went since the names were read
        except InvalidPath as error:
            self.listing.skip(path, error.reason)
        except OSError as error:
            if error.errno not in _OF_ONE_FILE:
                raise
            self.listing.skip(path, str(error.strerror))
        return None

    # -- moved ------------------------------------------------------------------------------

    def _moved(self, lost: Iterable[Row], new: Mapping[str, NewFile]) -> list[Moved]:
        """Those with the same bytes; then, of the rest, those with the same audio."""
        checksums = {
            row["path"]: str(row["checksum"]).lower()
            for row in lost
            if row["checksum"] and row["path"]
        }
        found = {path: file.checksum for path, file in new.items()}
        pairs = list(_pairs(checksums, found))
        moved = [Moved(one, other, found[other]) for one, other in pairs]
        for one, other in pairs:
            del checksums[one], found[other]
        try:
            retagged = list(self._retagged(checksums, found))
        except LedgerUnusable as error:
            _log.warning("the scan recognises no moved file whose tags changed: %s", error)
            retagged = []
        moved += [Moved(one, other, found[other], changed=True) for one, other in retagged]
        return sorted(moved, key=lambda pair: (pair.lost, pair.new))

    def _retagged(
        self, lost: Mapping[str, str], new: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        """Pairs with the same audio; both arguments: the SHA-256, by path."""
        if self.ledger is None or not lost or not new:
            return
        known = self.ledger.audio(lost.values())
        if not known:
            return
        audio = self.ledger.audio(new.values())
        fresh: dict[str, str] = {}
        try:
            for number, (path, checksum) in enumerate(new.items()):
                if checksum not in audio and checksum not in fresh:

                    def step(number: int = number, path: str = path) -> None:
                        self.check(number, len(new), path)

                    step()
                    found = self._audio(path, step)
                    fresh.update({} if found is None else {checksum: found})
        finally:
            if fresh:
                self.ledger.note_audio(fresh.items())
        audio |= fresh
        yield from _pairs(
            {path: known[checksum] for path, checksum in lost.items() if checksum in known},
            {path: audio[checksum] for path, checksum in new.items() if checksum in audio},
        )

    def _audio(self, path: str, step: Callable[[], object]) -> str | None:
        try:
            with self.music.directory.open(path) as file:
                return digests_of(file, path, sha1=False, sha256=False, check=step).audio
        except (InvalidPath, OSError):
            return None  # it went just now, or the next scan tells of it

    # -- lost -------------------------------------------------------------------------------

    def _lost(self, table: str, rows: Sequence[Row]) -> Iterator[Row]:
        is_wanted = stat.S_ISDIR if table in {"artists", "albums"} else stat.S_ISREG
        for number, row in enumerate(sorted(rows, key=lambda row: str(row["path"]))):
            self.check(number, len(rows), str(row["path"]))
            if self._is_gone(row["path"], is_wanted):
                yield row

    def _seen(self, table: str) -> set[str]:
        if table == "artists":
            return set(self.listing.artists)
        if table == "albums":
            return set(self.listing.albums)
        if table == "videos":
            return set(self.listing.videos)
        return {
            f"{album}/{name}"
            for album, entries in self.listing.albums.items()
            for name, kind in entries.items()
            if kind is Kind.FILE
        }

    def _is_gone(self, path: str, is_wanted: Callable[[int], bool]) -> bool:
        """Only where the disk says so; what is hidden, ignored or behind a link is not lost."""
        try:
            found = self.music.directory.status(path)
        except InvalidPath as error:
            return self._is_out_of_reach(path, error.reason)
        except PermissionError as error:
            return self._is_out_of_reach(path, str(error.strerror))
        if found is not None and stat.S_ISLNK(found.st_mode):
            return self._is_out_of_reach(path, "it is a symbolic link")
        return found is None or not is_wanted(found.st_mode)

    def _is_out_of_reach(self, path: object, reason: str) -> bool:
        """Notes it, once for an artist and reason: a link may hide thousands of songs."""
        key = str(path).partition("/")[0], reason
        if key not in self.out_of_reach:
            self.out_of_reach.add(key)
            self.listing.skip(str(path), f"the database has it, but {reason}")
        return False


def _pairs(lost: Mapping[str, str], new: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Lost and new paths of one hash, each path at most once; an equal name is looked for first.

    Both arguments: the hashes, by path.
    """
    places: dict[object, dict[str, None]] = defaultdict(dict)
    for path, found in sorted(new.items(), reverse=True):
        places[found][path] = None
        places[found, _name(path)][path] = None
    paired = set()
    for by_name in (True, False):
        for path, wanted in lost.items():
            candidates = places[(wanted, _name(path)) if by_name else wanted]
            if path not in paired and candidates:
                place, _ = candidates.popitem()
                places[wanted].pop(place, None)
                places[wanted, _name(place)].pop(place, None)
                paired.add(path)
                yield path, place


def _name(path: str) -> str:
    return path.rpartition("/")[2]
