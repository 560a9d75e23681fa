"""The Music Directory: what is in it. Nothing here changes it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import field, frozen

from ..errors import InvalidPath
from ..files import Directory, check_relative, open_regular, same_name
from .audio_formats import DEFAULT_FORMATS, AudioFormats
from .naming import (
    AlbumPath,
    VideoPath,
    check_new_album,
    check_new_file,
    check_new_video,
    parse_album,
    parse_song,
)

#: What MusicDB skips where its settings say nothing else.
IGNORE_ARTISTS = frozenset({"lost+found"})
IGNORE_ALBUMS: frozenset[str] = frozenset()
IGNORE_SONGS = frozenset(
    {".directory", "desktop.ini", "Desktop.ini", ".DS_Store", "Thumbs.db", "README"}
)
_IGNORED = "the ignore lists of the settings name it"


@frozen
class MusicDirectory:
    """The Music Directory. A value: it holds nothing open and can be pickled.

    All paths are relative to it. Links in it are not followed. Hidden files, our temporaries among
    them, and what the ignore lists name are not there for it.
    Every method raises InvalidPath for a path that leads out, OSError for what the disk refuses.
    """

    root: Path
    #: Names of artist directories.
    ignore_artists: frozenset[str] = field(default=IGNORE_ARTISTS, converter=frozenset)
    #: Names of album directories, `2020 - Album`.
    ignore_albums: frozenset[str] = field(default=IGNORE_ALBUMS, converter=frozenset)
    #: Names of files in album directories.
    ignore_songs: frozenset[str] = field(default=IGNORE_SONGS, converter=frozenset)
    #: Which files of an album are songs.
    formats: AudioFormats = DEFAULT_FORMATS

    @property
    def directory(self) -> Directory:
        """The same directory, for all that is no matter of music."""
        return Directory(self.root)

    def spelled_as(self, artist: str) -> str:
        """The name of the artist's directory that is there, if case or Unicode form differ only.

        The name as it is where there is none, or just that one.
        """
        names = self.directory.names("")
        if artist in names:
            return artist
        alike = (name for name in sorted(names) if same_name(name) == same_name(artist))
        return next((name for name in alike if self.directory.is_directory(name)), artist)

    def albums(self) -> list[str]:
        """The paths of all directories that are named as albums, sorted."""
        return sorted(
            f"{artist}/{name}"
            for artist in self._directories("", self.ignore_artists)
            for name in self._directories(artist, self.ignore_albums)
            if _is_album(f"{artist}/{name}")
        )

    def _directories(self, path: str, ignored: frozenset[str]) -> Iterator[str]:
        directory = self.directory
        for name in directory.names(path):
            below = f"{path}/{name}" if path else name
            if name.startswith("."):
                continue
            # Names that files/ refuses (with a backslash, say) cannot be reached: not ours.
            if name not in ignored and _is_plain(below) and directory.is_directory(below):
                yield name

    def album_files(self, album_path: str) -> list[str]:
        """The paths of the files of an album: songs, booklets and all others, sorted.

        Raises:
            InvalidPath: It is no album directory, or something in it is no file.
        """
        self._check_directory(album_path)
        with self.directory.descriptor(album_path) as fd:
            return list(self._files(fd, album_path))

    def _files(self, fd: int, album_path: str) -> Iterator[str]:
        for name in sorted(os.listdir(fd)):
            if name.startswith(".") or name in self.ignore_songs:
                continue
            path = f"{album_path}/{name}"
            check_relative(path)
            try:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone since the names were read
            if not stat.S_ISREG(found.st_mode):
                raise InvalidPath(path, "an album directory holds files only, and this is none")
            yield path

    def songs(self, album_path: str) -> list[str]:
        """The paths of the songs of an album, as they are on disk, sorted.

        Raises:
            InvalidPath: As `album_files`, or the name of a song does not follow the scheme.
        """
        return self._songs(self.album_files(album_path))

    def _songs(self, files: Iterable[str]) -> list[str]:
        songs = [path for path in files if self.formats.is_song(path)]
        for path in songs:
            parse_song(path, self.formats)
        return songs

    def check_album(self, album_path: str) -> list[str]:
        """The songs of an album that can be imported: all its files can be read, one is a song.

        Raises:
            InvalidPath: It is none; the error names what is wrong.
            OSError: A file cannot be read.
        """
        files = self.album_files(album_path)
        songs = self._songs(files)
        if not songs:
            raise InvalidPath(album_path, "there is no song in it")
        with self.directory.descriptor(album_path) as fd:
            for path in files:
                try:
                    opened = open_regular(path.rpartition("/")[2], fd, path)
                    try:
                        os.read(opened, 1)
                    finally:
                        os.close(opened)
                except OSError as error:
                    # Not the name alone.
                    raise OSError(error.errno, error.strerror, path) from error
        return songs

    def check_target(self, path: str) -> AlbumPath:
        """The album of a path that a client names for a new song or other file of an album.

        Raises:
            InvalidPath: It could not be found there again (the ignore lists name a part of it),
                it is audio that is no song here, or `naming.check_new_file` refuses it.
        """
        album = check_new_file(path, self.formats)
        no_song = self.formats.why_no_song(path)
        if no_song is not None:
            raise InvalidPath(path, no_song)
        artist, directory, name = path.split("/")
        self._check_ignored(path, artist, directory)
        if name in self.ignore_songs:
            raise InvalidPath(path, _IGNORED)
        return album

    def check_target_album(self, path: str) -> AlbumPath:
        """`check_target` for the path of a new album directory."""
        album = check_new_album(path)
        self._check_ignored(path, *path.split("/"))
        return album

    def check_target_video(self, path: str) -> VideoPath:
        """`check_target` for the path of a new video."""
        video = check_new_video(path)
        self._check_ignored(path, path.partition("/")[0])
        return video

    def modified(self, path: str) -> int:
        """When a file or directory was changed last, in unix seconds.

        Raises:
            FileNotFoundError: It is not there.
        """
        found = self.directory.status(path)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return int(found.st_mtime)

    def _check_directory(self, album_path: str) -> None:
        parse_album(album_path)
        artist, _, name = album_path.partition("/")
        self._check_ignored(album_path, artist, name)
        if not self.directory.is_directory(album_path):
            raise InvalidPath(album_path, "there is no such album in the Music Directory")

    def _check_ignored(self, path: str, artist: str, album: str = "") -> None:
        if artist in self.ignore_artists or album in self.ignore_albums:
            raise InvalidPath(path, _IGNORED)


def _is_plain(path: str) -> bool:
    try:
        return bool(check_relative(path))
    except InvalidPath:
        return False


def _is_album(path: str) -> bool:
    try:
        parse_album(path)
    except InvalidPath:
        return False
    return True
