"""What the library has of an album, read from its files and its database; changes nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import Factory, field, frozen

from ..errors import MediaError
from ..library import (
    DEFAULT_ARTWORK,
    KnownFiles,
    LedgerEntry,
    MusicDatabase,
    MusicDirectory,
    SongTags,
    find_kbit_rows,
    read_picture,
    sha256_of,
)
from ..library.bitrates import is_in_kbit
from ..music import Settings, music_directory
from .known import Known

_COVER = re.compile(r"(cover|folder|front)\.(png|jpe?g)", re.IGNORECASE)


@frozen
class Wanted:
    """What an album still lacks."""

    #: Songs are not in the database, or other than there, or a bitrate is to be written in bit/s;
    #: or a song's picture became no artwork.
    import_music: bool = False
    #: The import shall make the artwork, of a song's picture.
    artwork: bool = False
    #: The image that artwork shall be made of, as no song has one; relative to the Music Directory.
    cover: str | None = None
    #: The songs that the album has; relative to the Music Directory.
    songs: tuple[str, ...] = ()


@frozen
class Shelf:
    """The library as it is on disk; what the ledger knows of its files is not read again."""

    settings: Settings
    known: Known = field(default=Factory(lambda self: Known(self.settings), takes_self=True))

    @property
    def music(self) -> MusicDirectory:
        return music_directory(self.settings)

    @property
    def database(self) -> MusicDatabase:
        return MusicDatabase(self.settings.database)

    def wanted(self, album_path: str) -> Wanted:
        """What is to be done for an album whose files are at their place.

        Raises:
            InvalidPath: It is no album.
            DatabaseUnusable, OSError: It cannot be found out.
        """
        songs = self.music.songs(album_path)
        if not songs:
            return Wanted()
        entries = self._entries(album_path, songs)
        tags = self._tags(entries)
        album, rows = self.database.album_with_songs(album_path)
        lacking = not self._has_artwork(album)
        pictured = lacking and any(self._has_picture(path, tags.get(path)) for path in songs)
        if pictured or not self._is_imported(songs, rows, entries, tags):
            return Wanted(import_music=True, artwork=pictured, songs=tuple(songs))
        return Wanted(cover=self._cover(album_path) if lacking else None, songs=tuple(songs))

    def wanted_of_video(self, path: str) -> Wanted:
        """What is to be done for a video that is at its place.

        Raises:
            InvalidPath, DatabaseUnusable, OSError: It cannot be found out.
        """
        row = self.database.video(path)
        if row is None or row["checksum"] != self._sha256(path, self._entry(path)):
            return Wanted(import_music=True, artwork=True)
        lacking = not self._has_frames(row)
        return Wanted(import_music=lacking, artwork=lacking)

    def _has_frames(self, video: dict[str, Any]) -> bool:
        names = [video[key] for key in ("framesdirectory", "thumbnailfile", "previewfile")]
        if not all(names):
            return False
        directory = self.settings.video_frames_root / names[0]
        return all((directory / name).is_file() for name in names[1:])

    def _is_imported(
        self,
        songs: list[str],
        found: list[dict[str, Any]],
        entries: Mapping[str, LedgerEntry],
        tags: Mapping[str, SongTags],
    ) -> bool:
        rows = {row["path"]: row for row in found}
        for path in songs:
            row = rows.get(path)
            if row is None or row["checksum"] != self._sha256(path, entries.get(path)):
                return False
        stored = {path: rows[path]["bitrate"] for path in songs}
        if any(is_in_kbit(stored[path], one.bitrate) for path, one in tags.items()):
            return False
        unknown = [path for path in songs if path not in tags]
        return not any(find_kbit_rows(self.music, [rows[path] for path in unknown]))

    def _entries(self, album_path: str, songs: list[str]) -> dict[str, LedgerEntry]:
        """What is known of the songs of an album, by path."""
        looks: dict[str, os.stat_result] = {}
        with self.music.directory.descriptor(album_path) as fd:
            for path in songs:
                with suppress(FileNotFoundError):
                    name = path.rpartition("/")[2]
                    looks[path] = os.stat(name, dir_fd=fd, follow_symlinks=False)
        entries = self.known.entries(looks)
        if len(entries) < len(looks):
            self.known.forget(album_path)  # what was placed since
            entries = self.known.entries(looks)
        return entries

    def _entry(self, path: str) -> LedgerEntry | None:
        status = self.music.directory.status(path)
        return None if status is None else self.known.entry(path, status)

    def _tags(self, entries: Mapping[str, LedgerEntry]) -> dict[str, SongTags]:
        """The tags of songs as they were read before, by path, as far as they are known."""
        tags = KnownFiles(self.settings.known_files).tags(one.sha1 for one in entries.values())
        return {path: tags[one.sha1] for path, one in entries.items() if one.sha1 in tags}

    def _sha256(self, path: str, entry: LedgerEntry | None) -> str:
        if entry is not None:
            return entry.sha256
        with self.music.directory.open(path) as file:
            return sha256_of(file)

    def _has_picture(self, song: str, tags: SongTags | None) -> bool:
        if tags is not None:
            return tags.has_picture
        try:
            with self.music.directory.open(song) as file:
                return read_picture(file, song, self.music.formats) is not None
        except MediaError:
            return False  # the import will say so

    def _has_artwork(self, album: dict[str, Any] | None) -> bool:
        if album is None or album["artworkpath"] in (None, "", DEFAULT_ARTWORK):
            return False
        return all(path.is_file() for path in self.artwork_files(album))

    def artwork_files(self, album: dict[str, Any]) -> list[Path]:
        """The image of an album's row, and the scaled ones."""
        root, name = self.settings.artwork, album["artworkpath"]
        scales = self.settings.artwork_scales
        return [root / name, *(root / f"{scale}x{scale}" / name for scale in scales)]

    def _cover(self, album_path: str) -> str | None:
        files = self.music.album_files(album_path)
        covers = [path for path in files if _COVER.fullmatch(path.rpartition("/")[2])]
        order = ("cover", "folder", "front")
        return min(
            covers,
            key=lambda path: order.index(path.rpartition("/")[2].partition(".")[0].lower()),
            default=None,
        )
