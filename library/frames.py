"""MusicDB's directory of video frames: pictures of a video, scaled ones, and an animation."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ..errors import MediaError
from ..files import OWN_STEM, Directory
from .images import ImageLimits, decode_image, encode_jpeg, judged
from .naming import VideoPath, encode_name

if TYPE_CHECKING:
    from PIL import Image

_PREVIEW = "preview"
_THUMBNAIL = "thumbnail"
_QUALITY = 80
_MADE = re.compile(r"(frame-[0-9]{2,}|preview)( \([0-9]+×[0-9]+\))?\.(jpg|webp)")
# As a name of a directory these would lead to another one.
_DOTS = {".": "\u2024", "..": "\u2024\u2024"}


@frozen
class VideoFrames:
    """What the database keeps of a video's frames."""

    #: Relative to the root of all.
    directory: str
    #: The file in it that stands for the video.
    thumbnail: str
    #: The file in it with the animation; None: what there is stays.
    preview: str | None = None

    def columns(self) -> dict[str, Any]:
        """By the names of the database's columns."""
        found = {
            "framesdirectory": self.directory,
            "thumbnailfile": self.thumbnail,
            "previewfile": self.preview,
        }
        return {name: value for name, value in found.items() if value is not None}


@frozen
class FramesDirectory:
    """Where MusicDB looks for the frames of videos: `{artist}/{video}/frame-01.jpg` and so on.

    A value: it can be pickled. Methods raise OSError where the disk does not take the files;
    then some may be new and some old, and the same call again makes all of them.
    """

    root: Path
    #: How many frames a video has.
    count: int = 5
    #: Width and height of the scaled pictures, in pixels.
    scales: tuple[tuple[int, int], ...] = ((150, 83),)
    #: How long the animation runs before it begins again.
    preview_length_s: float = 3.0
    #: False leaves every fsync out.
    durable: bool = True

    def prepare(self) -> None:
        """Removes what an earlier run left half written, so no other may be at work."""
        directory = Directory(self.root, self.durable)
        for artist in directory.names():
            if directory.is_directory(artist):
                for video in directory.names(artist):
                    if directory.is_directory(f"{artist}/{video}"):
                        directory.remove_prefixed(f"{artist}/{video}", f".{OWN_STEM}.")

    def make(self, video: VideoPath, frames: Iterable[Image.Image], name: str) -> VideoFrames:
        """Writes a video's frames, their scaled ones and the animation, in place of what it had.

        A picture that a person chose with `make_thumbnail` stays.

        Raises:
            MediaError: `frames`, those of `name`, are none.
        """
        from PIL import ImageOps

        pictures: list[Image.Image] = []
        made: set[str] = set()
        for number, frame in enumerate(frames, 1):
            # An animation has one size; the video itself may change it on the way.
            frame = ImageOps.fit(frame, pictures[0].size) if pictures else frame
            made |= self._write_picture(video, _frame_stem(number), encode_jpeg(frame), frame)
            pictures.append(frame)
        if not pictures:
            raise MediaError(name, "the video has no frames")
        made.add(self._write(video, f"{_PREVIEW}.webp", self._animation(pictures)))
        for scale in self.scales:
            scaled = [_scaled(picture, scale) for picture in pictures]
            name = f"{_PREVIEW} {_size(scale)}.webp"
            made.add(self._write(video, name, self._animation(scaled)))
        self._remove_others(video, made)
        return VideoFrames(_folder(video), f"{_frame_stem(1)}.jpg", f"{_PREVIEW}.webp")

    def make_thumbnail(
        self, video: VideoPath, jpeg: bytes, name: str, limits: ImageLimits
    ) -> VideoFrames:
        """Writes a picture that stands for the video; its frames, if it has some, stay.

        `jpeg` is kept as it is, so it should come from `to_jpeg`.

        Raises:
            MediaError: `jpeg`, called `name`, is no JPEG or has too many pixels.
        """
        with judged(name):
            image = decode_image(jpeg, name, limits, ("JPEG",))
        self._write_picture(video, _THUMBNAIL, jpeg, image)
        return VideoFrames(_folder(video), f"{_THUMBNAIL}.jpg")

    def _write_picture(
        self, video: VideoPath, stem: str, jpeg: bytes, image: Image.Image
    ) -> set[str]:
        """The names of the files that it made."""
        made = set()
        for scale in self.scales:
            scaled = encode_jpeg(_scaled(image, scale), progressive=True)
            made.add(self._write(video, f"{stem} {_size(scale)}.jpg", scaled))
        # Invariant: the picture is last, so where it is, the scaled ones are.
        return made | {self._write(video, f"{stem}.jpg", jpeg)}

    def _remove_others(self, video: VideoPath, made: set[str]) -> None:
        """What was made of another file, or with other settings."""
        Directory(self.root, self.durable).remove_where(
            _folder(video), lambda name: name not in made and bool(_MADE.fullmatch(name))
        )

    def _write(self, video: VideoPath, name: str, data: bytes) -> str:
        """The name again."""
        directory = Directory(self.root, self.durable)
        directory.make_directories(_folder(video))
        directory.write(f"{_folder(video)}/{name}", data)
        return name

    def _animation(self, pictures: Sequence[Image.Image]) -> bytes:
        each_ms = max(1, round(self.preview_length_s * 1000 / len(pictures)))
        out = io.BytesIO()
        pictures[0].save(
            out,
            "WEBP",
            save_all=True,
            append_images=pictures[1:],
            duration=each_ms,
            loop=0,
            quality=_QUALITY,
        )
        return out.getvalue()


def _frame_stem(number: int) -> str:
    return f"frame-{number:02d}"


def _size(scale: tuple[int, int]) -> str:
    return f"({scale[0]}\u00d7{scale[1]})"


def _scaled(image: Image.Image, scale: tuple[int, int]) -> Image.Image:
    from PIL import Image, ImageOps

    return ImageOps.fit(image, scale, Image.Resampling.LANCZOS)


def _folder(video: VideoPath) -> str:
    name = encode_name(video.video)
    return f"{encode_name(video.artist)}/{_DOTS.get(name, name)}"
