"""MusicDB's artwork directory: the pictures of albums, in their full size and scaled."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from ..errors import MediaError
from ..files import OWN_STEM, Directory
from .images import FORMATS, ImageLimits, decode_image, encode_jpeg, judged, read_image
from .naming import NAME_LIMIT_BYTES, AlbumPath, encode_name

# Imported where an image is made: a library is opened without.
if TYPE_CHECKING:
    from PIL import Image

#: The artwork of an album that has none.
DEFAULT_ARTWORK = "default.jpg"

#: Ours, ready-made in its full size and as `{n}x{n}.jpg`: drawn and scaled once for all libraries.
_READY_MADE = Path(__file__).parent / "default_artwork"


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
            for scale in self.scales:
                self._write_square(DEFAULT_ARTWORK, scale, _default_square(scale))
            # Invariant: the source is last, as in `_write`.
            directory.write(DEFAULT_ARTWORK, _default_jpeg())
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
        with judged(name):
            image = decode_image(jpeg, name, limits, ("JPEG",), max(self.scales, default=1))
        artwork = artwork_name(album)
        self._write(artwork, jpeg, image)
        return artwork

    def _write(self, name: str, jpeg: bytes, image: Image.Image) -> None:
        self._write_scaled(name, image, self.scales)
        # Invariant: the source is last, so where it is, the scaled ones are.
        Directory(self.root, self.durable).write(name, jpeg)

    def _write_scaled(self, name: str, image: Image.Image, scales: Iterable[int]) -> None:
        for scale, square in _squares(image, scales):
            self._write_square(name, scale, encode_jpeg(square, progressive=True))

    def _write_square(self, name: str, scale: int, jpeg: bytes) -> None:
        directory = Directory(self.root, self.durable)
        directory.make_directories(_folder(scale))
        directory.write(f"{_folder(scale)}/{name}", jpeg)


def _squares(image: Image.Image, scales: Iterable[int]) -> Iterator[tuple[int, Image.Image]]:
    """The middle of the image in each size, the largest first.

    Each is made of the smallest that is there and larger by a third: that takes a fraction of the
    time, and its pixels are resampled once more, but never from less than they need.
    """
    from PIL import Image, ImageOps

    made: list[tuple[int, Image.Image]] = []
    for scale in sorted(set(scales), reverse=True):
        larger = (one for one in [(min(image.size), image), *made] if one[0] * 3 >= scale * 4)
        _, source = min(larger, key=itemgetter(0), default=(0, image))
        square = ImageOps.fit(source, (scale, scale), Image.Resampling.BICUBIC)
        made.append((scale, square))
        yield scale, square


def _default_jpeg() -> bytes:
    return (_READY_MADE / DEFAULT_ARTWORK).read_bytes()


# Of another size it is scaled and encoded once in a process, however many libraries it makes.
@lru_cache(maxsize=16)
def _default_square(scale: int) -> bytes:
    with suppress(FileNotFoundError):
        return (_READY_MADE / f"{_folder(scale)}.jpg").read_bytes()
    ((_, square),) = _squares(_default_image(), [scale])
    return encode_jpeg(square, progressive=True)


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


def _default_of(directory: Directory) -> Image.Image:
    """The `default.jpg` that is there, or ours where that cannot be read: a start goes on."""
    limits = ImageLimits()
    with directory.open(DEFAULT_ARTWORK) as file:
        try:
            data = read_image(file, DEFAULT_ARTWORK, limits)
            with judged(DEFAULT_ARTWORK):
                return decode_image(data, DEFAULT_ARTWORK, limits, FORMATS)
        except MediaError:
            return _default_image()


def _default_image() -> Image.Image:
    """A record in grey, in the colours that the database gives an album without artwork."""
    return decode_image(_default_jpeg(), DEFAULT_ARTWORK, ImageLimits(), ("JPEG",))
