"""The bytes of an archive as Python's own modules may see them: never more than the limits allow.

They trust what an archive says of itself: a header of gigabytes is read into memory, a window of
gigabytes is allocated. Here such a read raises instead.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from attrs import define, field

from ..errors import MediaError

#: What is read at once.
BLOCK_BYTES = 64 * 1024

#: The window of the highest preset of xz, and some room.
_XZ_MEMORY_BYTES = 128 * 1024 * 1024


@define(eq=False)
class Source:
    """The archive's file, from which no more than `most_bytes` are read at once."""

    file: BinaryIO
    most_bytes: int
    #: Called before every read; may raise to stop.
    may_go_on: Callable[[], object]
    size_bytes: int = field(init=False)
    #: What the disk or `may_go_on` raised: the modules may turn it into an error of the content.
    outside: Exception | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.size_bytes = self.file.seek(0, io.SEEK_END)
        self.file.seek(0)

    def read(self, size: int = -1) -> bytes:
        rest_bytes = max(0, self.size_bytes - self.file.tell())
        wanted_bytes = rest_bytes if size < 0 else min(size, rest_bytes)
        if wanted_bytes > self.most_bytes:
            raise ValueError("its directory is larger than that of any album")
        self.check()
        try:
            return self.file.read(wanted_bytes)
        except OSError as error:
            self.outside = error
            raise

    def check(self) -> None:
        try:
            self.may_go_on()
        except RecursionError:
            raise  # it is the archive's: tarfile reads a chain of headers by recursion
        except Exception as error:
            self.outside = error
            raise

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def seekable(self) -> bool:
        return True

    @contextmanager
    def judged(self, name: str, what: str) -> Iterator[None]:
        """Whatever is raised in the block says that `what` is bad, unless it is from outside."""
        try:
            yield
        except MediaError:
            raise
        except Exception as error:
            if self.outside is not None:
                raise self.outside from None
            detail = " ".join(str(error).split())[:200] or type(error).__name__
            raise MediaError(name, f"{what} ({detail})") from error


def decompressed(source: Source, kind: str | None, name: str, most_bytes: int) -> Any:
    """The bytes of a tar, as a file that only goes forward; `kind` is gz, bz2, xz or none of them.

    Read to its end, it has compared every checksum there is, and found nothing behind the last
    stream. Raises MediaError where they are more than `most_bytes`.
    """
    raw: Any = source
    if kind == "gz":
        raw = gzip.GzipFile(fileobj=raw, mode="rb")
    elif kind == "bz2":
        raw = _Streams(source, bz2.BZ2Decompressor)
    elif kind == "xz":
        raw = _Streams(source, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY_BYTES))
    return _Forward(source, raw, name, most_bytes)


@define(eq=False)
class _Forward:
    """What tarfile reads: in order, in small pieces, and not beyond a limit."""

    source: Source
    raw: Any
    name: str
    most_bytes: int
    _at: int = field(default=0, init=False)

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= BLOCK_BYTES:
            raise ValueError("a header in it is larger than any that people make")
        self.source.check()
        parts = []
        while size and (part := self.raw.read(size)):
            parts.append(part)
            size -= len(part)
            self._at += len(part)
            if self._at > self.most_bytes:
                raise MediaError(self.name, f"it unpacks to more than {self.most_bytes} bytes")
        return b"".join(parts)

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._at:
            raise io.UnsupportedOperation("it cannot be read backwards")
        while self._at < offset and self.read(min(BLOCK_BYTES, offset - self._at)):
            pass
        return self._at


@define(eq=False)
class _Streams:
    """Streams of bz2 or xz, one after the other.

    `BZ2File` passes over what lies behind the last one, and `LZMAFile` cannot be told how much
    memory it may take.
    """

    source: Source
    #: What unpacks one stream.
    new_decoder: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
    _decoder: bz2.BZ2Decompressor | lzma.LZMADecompressor | None = field(default=None, init=False)
    _packed: bytes = field(default=b"", init=False)

    def read(self, size: int) -> bytes:
        while self._decoder is not None or self._next_stream():
            assert self._decoder is not None
            if self._decoder.needs_input and not self._packed:
                self._packed = self.source.read(BLOCK_BYTES)
                if not self._packed:
                    raise EOFError("it is cut off")
            data = self._decoder.decompress(self._packed, size)
            self._packed = b""
            if self._decoder.eof:
                self._packed, self._decoder = self._decoder.unused_data, None
            if data:
                return data
        return b""

    def _next_stream(self) -> bool:
        """A file may hold several streams, with zeros between them."""
        packed = self._packed.lstrip(b"\0")
        while not packed:
            packed = self.source.read(BLOCK_BYTES)
            if not packed:
                return False
            packed = packed.lstrip(b"\0")
        self._packed = packed
        self._decoder = self.new_decoder()
        return True
