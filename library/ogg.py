"""Ogg files: their pages, which hold the packets of a stream one after the other (RFC 3533)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Any

from attrs import frozen

_HEADER_BYTES = 27
#: The largest page there can be.
_PAGE_BYTES = _HEADER_BYTES + 255 + 255 * 255
#: What may stand behind the last page: tags of other formats.
_JUNK_BYTES = 64 * 1024

#: By what the first packet of a stream begins with.
CODECS = {b"\x01vorbis": "vorbis", b"OpusHead": "opus", b"\x7fFLAC": "flac"}


@frozen
class Page:
    """The header of a page."""

    offset: int
    serial: int
    #: Of the last sample of the last packet that ends in it; -1 where none does.
    position: int
    #: How many bytes each segment has; one with less than 255 ends a packet.
    lacing: bytes

    @property
    def body(self) -> int:
        """Where what it holds begins."""
        return self.offset + _HEADER_BYTES + len(self.lacing)

    @property
    def end(self) -> int:
        return self.body + sum(self.lacing)


@frozen
class Stream:
    """The stream that a file begins with."""

    codec: str
    serial: int
    #: Its first packet, as far as it is in the first page.
    head: bytes


def read_page(file: Any, offset: int) -> Page | None:
    """The header of the page that begins there; None where none does, or it is cut off."""
    file.seek(offset)
    return _page(file.read(_HEADER_BYTES + 255), offset)


def _page(data: bytes, offset: int) -> Page | None:
    if len(data) < _HEADER_BYTES:
        return None
    magic, version, position, serial, number = struct.unpack("<4sBxqI8xB", data[:_HEADER_BYTES])
    lacing = data[_HEADER_BYTES : _HEADER_BYTES + number]
    if magic != b"OggS" or version or len(lacing) < number:
        return None
    return Page(offset, serial, position, lacing)


def read_pages(file: Any) -> Iterator[Page]:
    """The pages from the beginning on, up to what is none; the last one may be cut off."""
    offset = 0
    while (page := read_page(file, offset)) is not None:
        yield page
        offset = page.end


def read_stream(file: Any) -> Stream | None:
    """The first stream of audio; None where the file does not begin with streams, one of them that.

    All streams that are heard at once begin before anything else of them follows.
    """
    for page in read_pages(file):
        file.seek(page.body)
        head = file.read(page.end - page.body)
        for magic, codec in CODECS.items():
            if head.startswith(magic):
                return Stream(codec, page.serial, head)
        if page.position:
            return None
    return None


def is_cut_off(file: Any) -> bool:
    """Whether the end of the last page is missing."""
    size_bytes, tail, first = _tail(file)
    at = tail.rfind(b"OggS")
    page = _page(tail[at : at + _HEADER_BYTES + 255], first + at) if at >= 0 else None
    return page is None or page.end > size_bytes


def last_position(file: Any, serial: int) -> int | None:
    """How many samples a stream has; None where the last pages are not of that stream."""
    _, tail, first = _tail(file)
    at = len(tail)
    while (at := tail.rfind(b"OggS", 0, at)) >= 0:
        page = _page(tail[at : at + _HEADER_BYTES + 255], first + at)
        if page is not None and page.serial == serial and page.position >= 0:
            return page.position
    return None


def _tail(file: Any) -> tuple[int, bytes, int]:
    """The size of the file, its last bytes, and where they begin."""
    size_bytes = file.seek(0, os.SEEK_END)
    first = max(0, size_bytes - _PAGE_BYTES - _JUNK_BYTES)
    file.seek(first)
    return size_bytes, file.read(size_bytes - first), first


def comment_end(pages: Iterator[Page], serial: int) -> tuple[Page, int] | None:
    """Where the second packet of a stream ends, which is its tags: the page, and the byte.

    `pages` is at the page behind that one afterwards.
    """
    packets = 0
    for page in pages:
        at = page.body
        for segment in page.lacing if page.serial == serial else b"":
            at += segment
            packets += segment < 255
            if packets == 2:
                return page, at
    return None
