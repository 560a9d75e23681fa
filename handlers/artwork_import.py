"""The stage "artwork import": an album gets its picture."""

from __future__ import annotations

import io
from typing import BinaryIO

from attrs import frozen

from ..errors import DatabaseUnusable, InvalidPath, MediaError
from ..files import Directory
from ..library import (
    AlbumPath,
    ArtworkDirectory,
    ImageLimits,
    MusicDatabase,
    MusicDirectory,
    album_of,
    parse_album,
    read_picture,
    to_jpeg,
)
from ..statemachine import Outcome, Task, Work, fail, reject, succeed
from .reasons import disk_reason


@frozen
class ArtworkImport:
    """Makes an album's artwork from an image, from a named song, or from its first with a picture.

    The same source gives the same files, so it may run again at any time.
    """

    music: MusicDirectory
    uploads: Directory
    database: MusicDatabase
    artwork: ArtworkDirectory
    limits: ImageLimits

    def __call__(self, task: Task, work: Work) -> Outcome:
        if task.video_path is not None or task.artwork_source_type == "videofile":
            return reject("artwork of videos is made by a later version only")
        source = _source_path(task)
        try:
            album = _album(task)
            if self.database.album(album.path) is None:
                return fail(f"{album.path} is not in the database: import it first, then retry")
            jpeg = self._jpeg(task, source) if source else self._from_songs(album, work)
            work.check()
            if jpeg is None:
                return succeed(message=f"no song of {album.path} has a picture")
            return self._make(album, jpeg, source or album.path)
        except MediaError as error:
            return reject(str(error))
        except (InvalidPath, DatabaseUnusable) as error:
            return fail(str(error))
        except OSError as error:
            return fail(disk_reason(error, source or "the album's songs"))

    def _make(self, album: AlbumPath, jpeg: bytes, name: str) -> Outcome:
        try:
            artwork = self.artwork.make(album, jpeg, name, self.limits)
        except OSError as error:
            return fail(disk_reason(error, f"the artwork of {album.path}"))
        # Invariant: the files first; the database never names what is not there.
        if not self.database.set_artwork(album.path, artwork):
            return fail(f"{album.path} is no longer in the database: import it, then retry")
        return succeed()

    def _jpeg(self, task: Task, path: str) -> bytes:
        """The image at the path that the task names, as a JPEG."""
        directory = self.music.directory if task.upload_path is None else self.uploads
        with directory.open(path) as file:
            if path == task.preprocessed_path:
                # A JPEG already, made by us: made once more, it would only lose.
                return file.read()
            image = self._picture(file, path) if task.artwork_source_type == "songfile" else file
            if image is None:
                raise MediaError(path, "the song has no picture")
            return to_jpeg(image, path, self.limits)

    def _from_songs(self, album: AlbumPath, work: Work) -> bytes | None:
        """The first picture in the album's songs, None where they have none."""
        songs = self.music.songs(album.path)
        for number, path in enumerate(songs):
            work.check()
            work.progress(number, len(songs), path)
            with self.music.directory.open(path) as file:
                image = self._picture(file, path)
            if image is not None:
                return to_jpeg(image, path, self.limits)
        return None

    def _picture(self, file: BinaryIO, path: str) -> BinaryIO | None:
        picture = read_picture(file, path)
        return None if picture is None else io.BytesIO(picture)


def _album(task: Task) -> AlbumPath:
    if task.album_path is not None:
        return parse_album(task.album_path)
    if task.album_file_path is not None:
        return album_of(task.album_file_path)
    raise InvalidPath("", "the task does not say which album the artwork is for")


def _source_path(task: Task) -> str | None:
    """Where the task's image is; None where the album's songs are to be looked through.

    In the uploads directory where there is an upload, else in the Music Directory.
    """
    if task.content_type == "artwork" and task.upload_path is not None:
        return task.preprocessed_path or task.artwork_source_path or task.upload_path
    return task.artwork_source_path
