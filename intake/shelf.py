"""What the library has of an album, read from its files and its database; changes nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from attrs import frozen

from ..errors import MediaError
from ..library import (
    DEFAULT_ARTWORK,
    MusicDatabase,
    MusicDirectory,
    find_kbit_rows,
    read_picture,
    sha256_of,
)
from ..music import Settings, music_directory

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


@frozen
class Shelf:
    """The library as it is on disk."""

    settings: Settings

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
        lacking = not self._has_artwork(album_path)
        pictured = lacking and any(map(self._has_picture, songs))
        if pictured or not self._is_imported(album_path, songs):
            return Wanted(import_music=True, artwork=pictured)
        return Wanted(cover=self._cover(album_path) if lacking else None)

    def wanted_of_video(self, path: str) -> Wanted:
        """What is to be done for a video that is at its place.

        Raises:
            InvalidPath, DatabaseUnusable, OSError: It cannot be found out.
        """
        row = self.database.video(path)
        if row is None or row["checksum"] != self._sha256(path):
            return Wanted(import_music=True, artwork=True)
        lacking = not self._has_frames(row)
        return Wanted(import_music=lacking, artwork=lacking)

    def _has_frames(self, video: dict[str, Any]) -> bool:
        names = [video[key] for key in ("framesdirectory", "thumbnailfile", "previewfile")]
        if not all(names):
            return False
        directory = self.settings.video_frames_root / names[0]
        return all((directory / name).is_file() for name in names[1:])

    def _is_imported(self, album_path: str, songs: list[str]) -> bool:
        rows = {row["path"]: row for row in self.database.songs(album_path)}
        if not all(path in rows and rows[path]["checksum"] == self._sha256(path) for path in songs):
            return False
        return not any(find_kbit_rows(self.music, [rows[path] for path in songs]))

    def _sha256(self, path: str) -> str:
        with self.music.directory.open(path) as file:
            return sha256_of(file)

    def _has_picture(self, song: str) -> bool:
        try:
            with self.music.directory.open(song) as file:
                return read_picture(file, song) is not None
        except MediaError:
            return False  # the import will say so

    def _has_artwork(self, album_path: str) -> bool:
        album = self.database.album(album_path)
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
