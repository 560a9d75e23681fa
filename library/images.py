"""Images of strangers: decoded within limits, and made into JPEG."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from attrs import frozen

from ..errors import MediaError

# Imported where an image is read: a library is opened without.
if TYPE_CHECKING:
    from PIL import Image

#: What an image may be. Never more than Pillow's own, well-tried decoders.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")

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
    data = read_image(file, name, limits)
    with judged(name):
        return encode_jpeg(decode_image(data, name, limits, FORMATS))


@contextmanager
def judged(name: str) -> Iterator[None]:
    """Whatever a decoder raises says that the image is bad: they raise everything there is."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except MediaError:
        raise
    except UnidentifiedImageError as error:
        # Pillow's own text names an object in memory, which tells a person nothing.
        known = ", ".join(FORMATS)
        raise MediaError(name, f"it is no image of a format that is read ({known})") from error
    except Image.DecompressionBombError as error:
        raise MediaError(name, "it has more pixels than an image may") from error
    except MemoryError as error:
        raise MediaError(name, "the image needs more memory than there is") from error
    except Exception as error:
        raise MediaError(name, f"not an image that can be read: {error}") from error


def read_image(file: BinaryIO, name: str, limits: ImageLimits) -> bytes:
    data = file.read(limits.bytes + 1)
    if len(data) > limits.bytes:
        raise MediaError(name, f"the image is larger than {limits.bytes} bytes")
    return data


def decode_image(
    data: bytes,
    name: str,
    limits: ImageLimits,
    formats: tuple[str, ...],
    at_least_px: int | None = None,
) -> Image.Image:
    """The first frame as RGB; a JPEG may come smaller, but no side below `at_least_px`."""
    from PIL import Image, ImageOps

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
    from PIL import Image

    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    if image.mode.startswith("I"):  # 16 bits a pixel, which convert() would clip
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image.convert("RGB")


def encode_jpeg(image: Image.Image, *, progressive: bool = False) -> bytes:
    image.info.clear()  # a comment would be written again
    with _memory() as out:
        image.save(out, "JPEG", quality=_QUALITY, optimize=True, progressive=progressive)
        out.seek(0)
        return out.read()


def _memory() -> BinaryIO:
    """A file in memory. Into one with a descriptor Pillow encodes beside other threads."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("musictasks-image"), "w+b")
    return io.BytesIO()
