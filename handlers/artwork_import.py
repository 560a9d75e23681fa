"""The stage "artwork import": an album gets its picture, a video its frames."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from attrs import frozen

from ..errors import DatabaseUnusable, ExtraMissing, InvalidPath, MediaError
from ..files import Directory
from ..library import (
    AlbumPath,
    ArtworkDirectory,
    FileIdentity,
    FramesDirectory,
    ImageLimits,
    MusicDatabase,
    MusicDirectory,
    VideoFrames,
    VideoPath,
    album_of,
    is_video,
    parse_album,
    parse_video,
    read_frames,
    read_picture,
    recent_bytes,
    recent_tags,
    to_jpeg,
)
from ..statemachine import MusicTask, Outcome, Work, fail, reject, succeed
from .reasons import disk_reason

if TYPE_CHECKING:
    from PIL.Image import Image

#: What every JPEG begins with.
_JPEG = b"\xff\xd8\xff"


@frozen
class ArtworkImport:
    """Makes the artwork of an album or a video, which is in the database already.

    An album's is an image, the picture of a named song, or that of its first song with one. A
    video's are its frames, or an image that stands for it. The same source gives the same files,
    so it may run again at any time.
    """

    music: MusicDirectory
    uploads: Directory
    database: MusicDatabase
    artwork: ArtworkDirectory
    frames: FramesDirectory
    limits: ImageLimits

    def __call__(self, task: MusicTask, work: Work) -> Outcome:
        source = _source_path(task)
        try:
            if task.video_path is not None:
                return self._video(task, parse_video(task.video_path), source, work)
            return self._album(task, _album(task), source, work)
        except MediaError as error:
            return reject(str(error))
        except (InvalidPath, DatabaseUnusable, ExtraMissing) as error:
            return fail(str(error))
        except OSError as error:
            return fail(disk_reason(error, source or task.video_path or "the album's songs"))

    def _album(self, task: MusicTask, album: AlbumPath, source: str | None, work: Work) -> Outcome:
        if self.database.album(album.path) is None:
            return fail(_not_imported(album.path))
        jpeg = self._jpeg(task, source) if source else self._from_songs(album, work)
        work.check()
        if jpeg is None:
            return succeed(message=f"no song of {album.path} has a picture")
        return self._make(album, jpeg, source or album.path)

    def _video(self, task: MusicTask, video: VideoPath, source: str | None, work: Work) -> Outcome:
        path = task.video_path or video.path
        if self.database.video(path) is None:
            return fail(_not_imported(path))
        frames = self._frames(task, video, source or path, work)
        # Invariant: the files first; the database never names what is not there.
        if not self.database.set_frames(path, frames):
            return fail(_not_imported(path))
        return succeed()

    def _frames(self, task: MusicTask, video: VideoPath, source: str, work: Work) -> VideoFrames:
        if _is_uploaded_image(task) or not is_video(source):
            jpeg = self._jpeg(task, source)
            work.check()
            return self.frames.make_thumbnail(video, jpeg, source, self.limits)
        with self.music.directory.open(source) as file:
            pictures = read_frames(file, source, self.frames.count, work.check)
            return self.frames.make(video, self._told(pictures, source, work), source)

    def _told(self, pictures: Iterator[Image], source: str, work: Work) -> Iterator[Image]:
        for number, picture in enumerate(pictures):
            work.check()
            work.progress(number, self.frames.count, source)
            yield picture

    def _make(self, album: AlbumPath, jpeg: bytes, name: str) -> Outcome:
        try:
            artwork = self.artwork.make(album, jpeg, name, self.limits)
        except OSError as error:
            return fail(disk_reason(error, f"the artwork of {album.path}"))
        # Invariant: the files first; the database never names what is not there.
        if not self.database.set_artwork(album.path, artwork):
            return fail(_not_imported(album.path))
        return succeed()

    def _jpeg(self, task: MusicTask, path: str) -> bytes:
        """The image at the path that the task names, as a JPEG."""
        directory = self.music.directory if task.upload_path is None else self.uploads
        with directory.open(path) as file:
            if path == task.preprocessed_path:
                # A JPEG was made by the preprocessing: made once more, it would only lose.
                if file.read(len(_JPEG)) == _JPEG:
                    return _JPEG + file.read()
                file.seek(0)
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
                known = recent_bytes(FileIdentity.of(os.fstat(file.fileno())))
                tags = None if known is None else recent_tags(known.sha1, path)
                if tags is not None and not tags.has_picture:
                    continue
                image = self._picture(file, path)
            if image is not None:
                return to_jpeg(image, path, self.limits)
        return None

    def _picture(self, file: BinaryIO, path: str) -> BinaryIO | None:
        picture = read_picture(file, path, self.music.formats)
        return None if picture is None else io.BytesIO(picture)


def _not_imported(path: str) -> str:
    return f"{path} is not in the database: import it first, then retry"


def _album(task: MusicTask) -> AlbumPath:
    if task.album_path is not None:
        return parse_album(task.album_path)
    if task.album_file_path is not None:
        return album_of(task.album_file_path)
    raise InvalidPath("", "the task does not say which album the artwork is for")


def _is_uploaded_image(task: MusicTask) -> bool:
    return task.content_type == "artwork" and task.upload_path is not None


def _source_path(task: MusicTask) -> str | None:
    """Where the task's image is; None where the album's songs, or the video, are to be looked at.

    In the uploads directory where there is an upload, else in the Music Directory.
    """
    if _is_uploaded_image(task):
        return task.preprocessed_path or task.artwork_source_path or task.upload_path
    return task.artwork_source_path
