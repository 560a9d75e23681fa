"""Artwork: images of strangers made into JPEG, and MusicDB's artwork directory."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from attrs import frozen
from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from ..errors import MediaError
from ..files import Directory
from ..files.directory import OWN_STEM
from .naming import NAME_LIMIT_BYTES, AlbumPath, encode_name

#: What an image may be. Never more than Pillow's own, well-tried decoders.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
#: The artwork of an album that has none.
DEFAULT_ARTWORK = "default.jpg"

_DEFAULT_SIZE_PX = 1000
_QUALITY = 90


@frozen
class ImageLimits:
    """How large an image may be before it is refused without being decoded."""

    #: Bytes of the file.
    bytes: int = 20_000_000
    #: Width times height.
    pixels: int = 25_000_000


def to_jpeg(file: BinaryIO, name: str, limits: ImageLimits) -> bytes:
    """The image as a JPEG in its full size: upright, opaque (on white), without metadata.

    Of an animation it is the first frame. The same image gives the same bytes.

    Raises:
        MediaError: `name` is no image, is broken, is of another format than `FORMATS`, or is
            larger than the limits. Nothing of it was decoded where it is too large.
        OSError: `file` cannot be read.
    """
    data = _read(file, name, limits)
    with _judged(name):
        return _encode(_decode(data, name, limits, FORMATS))


@frozen
class ArtworkDirectory:
    """Where MusicDB looks for artwork: the sources, and square ones in `{n}x{n}/`.

    A value: it can be pickled. Methods raise OSError where the disk does not take the files;
    then some may be new and some old, and the same call again makes all of them.
    """

    root: Path
    #: The sides of the scaled images, in pixels.
    scales: tuple[int, ...] = (150, 200, 500, 1000)
    #: False leaves every fsync out.
    durable: bool = True

    def prepare(self) -> None:
        """Makes what is missing of `default.jpg` and its scaled ones.

        A `default.jpg` that is there is kept, and what is missing of the scales is made from it;
        if it is no image that can be read, from ours. What an earlier run left half written
        goes, so no other may be at work. The root must exist.
        """
        directory = Directory(self.root, self.durable)
        for folder in ("", *map(_folder, self.scales)):
            directory.remove_prefixed(folder, f".{OWN_STEM}.")
        if not directory.is_file(DEFAULT_ARTWORK):
            image = _default_image()
            self._write(DEFAULT_ARTWORK, _encode(image), image)
            return
        missing = [
            scale
            for scale in self.scales
            if directory.status(f"{_folder(scale)}/{DEFAULT_ARTWORK}") is None
        ]
        if missing:
            self._write_scaled(DEFAULT_ARTWORK, _default_of(directory), missing)

    def make(self, album: AlbumPath, jpeg: bytes, name: str, limits: ImageLimits) -> str:
        """Writes the album's artwork, in place of what it had; its name for the database.

        `jpeg` is kept as it is, so it should come from `to_jpeg`. A scaled image is exactly
        n x n pixels: of one that is not square, the middle.

        Raises:
            MediaError: `jpeg`, called `name`, is no JPEG or has too many pixels.
        """
        with _judged(name):
            image = _decode(jpeg, name, limits, ("JPEG",), max(self.scales, default=1))
        artwork = artwork_name(album)
        self._write(artwork, jpeg, image)
        return artwork

    def _write(self, name: str, jpeg: bytes, image: Image.Image) -> None:
        self._write_scaled(name, image, self.scales)
        # Invariant: the source is last, so where it is, the scaled ones are.
        Directory(self.root, self.durable).write(name, jpeg)

    def _write_scaled(self, name: str, image: Image.Image, scales: Iterable[int]) -> None:
        directory = Directory(self.root, self.durable)
        for scale in scales:
            directory.make_directories(_folder(scale))
            square = ImageOps.fit(image, (scale, scale), Image.Resampling.LANCZOS)
            directory.write(f"{_folder(scale)}/{name}", _encode(square, progressive=True))


def _folder(scale: int) -> str:
    return f"{scale}x{scale}"


def artwork_name(album: AlbumPath) -> str:
    """`{artist} - {album}.jpg`; a longer one than a file may have is cut, and tells so.

    What stands for the part that is cut off differs for names that differ.
    """
    stem = f"{encode_name(album.artist)} - {encode_name(album.album)}"
    if len(stem.encode()) + len(".jpg") > NAME_LIMIT_BYTES:
        ending = f"~{hashlib.sha256(stem.encode()).hexdigest()[:8]}"
        room = NAME_LIMIT_BYTES - len(".jpg") - len(ending)
        stem = stem.encode()[:room].decode(errors="ignore") + ending
    return f"{stem}.jpg"


@contextmanager
def _judged(name: str) -> Iterator[None]:
    """Whatever a decoder raises says that the image is bad: they raise everything there is."""
    try:
        yield
    except MediaError:
        raise
    except UnidentifiedImageError as error:
        # Pillow's own text names an object in memory, which tells a person nothing.
        known = ", ".join(FORMATS)
        raise MediaError(name, f"it is no image of a format that is read ({known})") from error
    except MemoryError as error:
        raise MediaError(name, "the image needs more memory than there is") from error
    except Exception as error:
        raise MediaError(name, f"not an image that can be read: {error}") from error


def _read(file: BinaryIO, name: str, limits: ImageLimits) -> bytes:
    data = file.read(limits.bytes + 1)
    if len(data) > limits.bytes:
        raise MediaError(name, f"the image is larger than {limits.bytes} bytes")
    return data


def _decode(
    data: bytes,
    name: str,
    limits: ImageLimits,
    formats: tuple[str, ...],
    at_least_px: int | None = None,
) -> Image.Image:
    """The first frame as RGB; a JPEG may come smaller, but no side below `at_least_px`."""
    with Image.open(io.BytesIO(data), formats=formats) as image:
        width, height = image.size
        # Invariant: before load(); a header of 30 bytes can ask for all the memory there is.
        if width * height > limits.pixels:
            raise MediaError(name, f"{width} x {height} are more than {limits.pixels} pixels")
        side = at_least_px or max(width, height)
        image.draft("RGB", (side, side))
        image.load()
        return _opaque(ImageOps.exif_transpose(image))


def _opaque(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    if image.mode.startswith("I"):  # 16 bits a pixel, which convert() would clip
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image.convert("RGB")


def _encode(image: Image.Image, *, progressive: bool = False) -> bytes:
    image.info.clear()  # a comment would be written again
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY, optimize=True, progressive=progressive)
    return out.getvalue()


def _default_of(directory: Directory) -> Image.Image:
    """The `default.jpg` that is there, or ours where that cannot be read: a start goes on."""
    limits = ImageLimits()
    with directory.open(DEFAULT_ARTWORK) as file:
        try:
            data = _read(file, DEFAULT_ARTWORK, limits)
            with _judged(DEFAULT_ARTWORK):
                return _decode(data, DEFAULT_ARTWORK, limits, FORMATS)
        except MediaError:
            return _default_image()


def _default_image() -> Image.Image:
    """A record in grey, in the colours that the database gives an album without artwork."""
    image = Image.new("RGB", (_DEFAULT_SIZE_PX, _DEFAULT_SIZE_PX), "#101010")
    draw = ImageDraw.Draw(image)
    middle = (_DEFAULT_SIZE_PX / 2, _DEFAULT_SIZE_PX / 2)
    for radius, fill in ((420, "#303030"), (150, "#909090"), (20, "#101010")):
        draw.circle(middle, radius, fill=fill)
    return image
