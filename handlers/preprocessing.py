"""Preprocessing: what an upload tells of itself, artwork made into JPEG, archives unpacked."""

from __future__ import annotations

from mimetypes import MimeTypes
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from attrs import field, frozen

from ..errors import ExtraMissing, InvalidPath, MediaError
from ..files import Directory
from ..library import (
    DEFAULT_FORMATS,
    IGNORE_SONGS,
    ArchiveLimits,
    AudioFormats,
    ImageLimits,
    SongTags,
    note_tags,
    read_song,
    read_video,
    recent_tags,
    to_jpeg,
)
from ..statemachine import MusicTask, Outcome, Work, fail, reject, succeed
from .albums import Unpacking
from .reasons import disk_reason

# Only what Python itself knows: the answer shall not differ from machine to machine.
_MIME_TYPES = MimeTypes()


def preprocessed_name(upload_path: str) -> str:
    """Where the preprocessed data of an upload is, in the uploads directory: beside it."""
    return f"{PurePosixPath(upload_path).with_suffix('')}.preprocessed.jpg"


@frozen
class Preprocessing:
    """The handler of the stage `preprocessing`.

    What a song or a video tells of itself becomes annotations; artwork becomes a JPEG beside the
    upload, an album's archive a directory. It changes nothing but these, which a second run makes
    again.
    """

    uploads: Directory
    limits: ImageLimits
    archive_limits: ArchiveLimits = field(factory=ArchiveLimits)
    #: Names of files that are left out of albums.
    ignored: frozenset[str] = IGNORE_SONGS
    #: Which files are songs.
    formats: AudioFormats = DEFAULT_FORMATS

    def __call__(self, task: MusicTask, work: Work) -> Outcome:
        name = task.source_filename or task.upload_path or task.id
        prepare = {
            "albumfile": self._album_file,
            "album": self._album,
            "artwork": self._artwork,
            "video": self._video,
        }.get(task.content_type or "")
        if prepare is None:
            return reject(f"{name}: an upload of type {task.content_type!r} is not preprocessed")
        if task.upload_path is None:
            return fail(f"{name}: the task has no uploaded data")
        try:
            with self.uploads.open(task.upload_path) as file:
                return prepare(task, work, file, name)
        except MediaError as error:
            return reject(str(error))
        except FileNotFoundError:
            return fail(f"{name}: the uploaded data is missing; upload it again")
        except (InvalidPath, ExtraMissing) as error:
            return fail(str(error))
        except OSError as error:
            return fail(disk_reason(error, name))

    def _album_file(self, task: MusicTask, work: Work, file: BinaryIO, name: str) -> Outcome:
        if not self.formats.is_song(name):
            # Audio, too: a later stage may make a song of it. It gets no target as it is.
            return succeed(changes=_mime_type(task, _guessed(name)))
        # Invariant: the SHA-1 is that of the data, which was compared when it had come in.
        song = recent_tags(task.source_checksum, name)
        if song is None:
            song = read_song(file, name, self.formats)
            if task.source_checksum is not None:
                note_tags(task.source_checksum, name, song)
        return succeed(changes=_mime_type(task, song.mime_type), annotations=_annotations(song))

    def _album(self, task: MusicTask, work: Work, file: BinaryIO, name: str) -> Outcome:
        assert task.upload_path is not None
        unpack = Unpacking(self.uploads, self.archive_limits, self.ignored, self.formats)
        path, annotations = unpack(task.upload_path, work, file, name)
        changes = {"preprocessed_path": path, **_mime_type(task, _guessed(name))}
        return succeed(changes=changes, annotations=annotations)

    def _artwork(self, task: MusicTask, work: Work, file: BinaryIO, name: str) -> Outcome:
        assert task.upload_path is not None
        jpeg = to_jpeg(file, name, self.limits)
        # Invariant: a task that is being removed writes no more.
        work.check()
        path = preprocessed_name(task.upload_path)
        self.uploads.write(path, jpeg)
        return succeed(changes={"preprocessed_path": path, **_mime_type(task, _guessed(name))})

    def _video(self, task: MusicTask, work: Work, file: BinaryIO, name: str) -> Outcome:
        video = read_video(file, name, work.check)
        found = {
            "duration": round(video.duration_s, 3),
            "codec": video.codec,
            "resolution": f"{video.width_px}x{video.height_px}",
        }
        # A browser's may be another: what is in the file decides on the extension.
        return succeed(changes={"mime_type": video.mime_type}, annotations=found)


def _guessed(name: str) -> str | None:
    return _MIME_TYPES.guess_type(name, strict=False)[0]


def _mime_type(task: MusicTask, found: str | None) -> dict[str, Any]:
    """The change of a task to whose upload the client gave no MIME type."""
    return {"mime_type": found} if found and not task.mime_type else {}


def _annotations(song: SongTags) -> dict[str, Any]:
    """The documented annotations of a song, without what is not known; `cdnumber` is 0 then."""
    found = {
        "artist": song.artist,
        "album": song.album,
        "releaseyear": song.year,
        "song": song.title,
        "songnumber": song.number,
        "cdnumber": song.disc or 0,
        "playtime": song.playtime_s,
        "bitrate": song.bitrate,
        "origin": song.origin,
        "lyrics": song.lyrics,
    }
    return {key: value for key, value in found.items() if value is not None}
