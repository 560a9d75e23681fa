"""Archives of strangers, read member by member: zip, and tar with or without gz, bz2 or xz.

Nothing is unpacked by an archive's own rules: a member is a stream of bytes, and where it goes is
the caller's affair. What an archive says of itself is not believed: all is counted while it is
read.
"""

from __future__ import annotations

import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from tarfile import (
    EOFHeaderError,  # pyright: ignore[reportAttributeAccessIssue] - not in typeshed
    HeaderError,
    ReadError,
)
from typing import IO, Any, BinaryIO, Self

from attrs import define, field, frozen

from ..errors import InvalidPath, MediaError
from ..files import check_relative
from .archive_streams import BLOCK_BYTES, Source, decompressed
from .naming import NAME_LIMIT_BYTES

#: More than the headers of a file in a tar, and than its entry in the directory of a zip, ever are.
_HEADERS_BYTES = 64 * 1024
_ENTRY_BYTES = 2 * 1024
_DIRECTORY_LEAST_BYTES = 1024 * 1024

_ZIP_UTF8 = 0x800
_ZIP_ENCRYPTED = 0x2041  # encrypted, strongly encrypted, an encrypted directory
_MAGIC = {
    "zip": re.compile(rb"PK(\x03\x04|\x05\x06)"),
    "gz": re.compile(rb"\x1f\x8b"),
    "bz2": re.compile(rb"BZh[1-9]"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "7z": re.compile(rb"7z\xbc\xaf\x27\x1c"),
    "rar": re.compile(rb"Rar!\x1a\x07"),
    "tar": re.compile(rb".{257}ustar", re.DOTALL),
}
_NESTED_NAME = re.compile(
    r".*\.(zip|tar|t?gz|tbz2?|bz2|t?xz|7z|rar|zst|lzma|cab|iso)", re.IGNORECASE | re.DOTALL
)
#: Text, books and pictures that are archives inside; nobody unpacks them.
_DOCUMENT_NAME = re.compile(
    r".*\.(docx|xlsx|pptx|od[fgpst]|epub|cb[7rtz]|svgz)", re.IGNORECASE | re.DOTALL
)


@frozen
class ArchiveLimits:
    """How much an archive may hold before it is refused."""

    #: Bytes of all files, unpacked.
    bytes: int = 4 * 1024**3
    #: Files and directories.
    files: int = 2000
    #: The most bytes that one byte of the archive may unpack to.
    ratio: int = 100


@frozen
class ArchiveMember:
    """A file of an archive; its bytes can be read once, before the next member is asked for.

    Whether it may be in an album is asked where its bytes are: who leaves it out need not read it.
    """

    #: Its folders and its name; none of them is `.` or `..`, and the name may be too long for one.
    path: tuple[str, ...]
    #: Raises MediaError as `read_archive`.
    blocks: Iterator[bytes]


@define
class _Archive:
    """An archive that is being read, and what it gave so far."""

    name: str
    source: Source
    limits: ArchiveLimits
    files: int = field(default=0, init=False)
    bytes: int = field(default=0, init=False)

    def refuse(self, reason: str) -> MediaError:
        return MediaError(self.name, reason)

    def count_file(self) -> None:
        self.files += 1
        if self.files > self.limits.files:
            raise self.refuse(f"it holds more than {self.limits.files} files")

    def count_bytes(self, count: int) -> None:
        self.bytes += count
        if self.bytes > self.limits.bytes:
            raise self.refuse(f"it unpacks to more than {self.limits.bytes} bytes")
        ratio = self.limits.ratio
        if self.bytes > ratio * self.source.size_bytes:
            raise self.refuse(f"it is a bomb: it unpacks to more than {ratio} times its size")

    def path(self, name: str, *, is_directory: bool) -> tuple[str, ...]:
        """The parts of a member's name, which must not mean a place outside."""
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if name.startswith("/") or (parts and re.fullmatch("[A-Za-z]:", parts[0])):
            raise self.refuse(f"{_shown(name)} in it is an absolute path")
        if ".." in parts:
            raise self.refuse(f"{_shown(name)} in it leads out of the archive")
        if not parts and not is_directory:
            raise self.refuse("a file in it has no name")
        return parts

    def check_kept(self, path: tuple[str, ...]) -> None:
        """Refuses a file that must not be in an album, by its name.

        A name that is only too long is none: the file gets another one.
        """
        name = "/".join(path)
        try:
            parts = [part.encode()[:NAME_LIMIT_BYTES].decode(errors="ignore") for part in path]
            check_relative("/".join(parts))
        except UnicodeEncodeError:
            raise self.refuse(f"{_shown(name)} in it: its name is not UTF-8") from None
        except InvalidPath as error:
            reason = f"the name {_shown(name)} in it is not allowed: {error.reason}"
            raise self.refuse(reason) from None
        if _NESTED_NAME.fullmatch(path[-1]):
            raise self.nested(name)

    def nested(self, name: str) -> MediaError:
        return self.refuse(f"{name} in it is an archive itself: unpack that one first")

    def member(self, path: tuple[str, ...], file: IO[bytes]) -> ArchiveMember:
        return ArchiveMember(path, self._kept_blocks(path, file))

    def _kept_blocks(self, path: tuple[str, ...], file: IO[bytes]) -> Iterator[bytes]:
        self.check_kept(path)
        blocks = self.blocks(path, file)
        first = next(blocks, b"")
        is_archive = any(magic.match(first) for magic in _MAGIC.values())
        if is_archive and not _DOCUMENT_NAME.fullmatch(path[-1]):
            raise self.nested("/".join(path))
        yield first
        yield from blocks

    def blocks(self, path: tuple[str, ...], file: IO[bytes]) -> Iterator[bytes]:
        """The bytes of a file to its end; all of them count."""
        while True:
            with self.source.judged(self.name, f"{'/'.join(path)} in it is broken"):
                block = file.read(BLOCK_BYTES)
            if not block:
                return
            self.count_bytes(len(block))
            yield block


def _shown(name: str) -> str:
    return repr(name.encode(errors="replace").decode()[:200])


def read_archive(
    file: BinaryIO,
    name: str,
    limits: ArchiveLimits,
    check: Callable[[], object] = lambda: None,
) -> Iterator[ArchiveMember]:
    """The files of an archive, one after the other; its first bytes say of which kind it is.

    What has to be unpacked counts towards the limits, whether it is asked for or not. `check` is
    called again and again, and may raise to stop.

    Raises:
        MediaError: It is none, broken, encrypted or too large; or it holds what has no place in
            an album: a link, a device, a path that leads out, another archive. It names `name`.
        OSError: `file` cannot be read.
    """
    directory_bytes = max(limits.files * _ENTRY_BYTES, _DIRECTORY_LEAST_BYTES)
    archive = _Archive(name, Source(file, directory_bytes, check), limits)
    with archive.source.judged(name, "it is no archive, or a broken one"):
        head = archive.source.read(512)
        archive.source.seek(0)
        kind = next((kind for kind, magic in _MAGIC.items() if magic.match(head)), None)
        if kind in ("7z", "rar"):
            raise archive.refuse(f"{kind} archives are not supported: make it a zip or a tar")
        yield from _zip_members(archive) if kind == "zip" else _tar_members(archive, kind)


def _zip_members(archive: _Archive) -> Iterator[ArchiveMember]:
    source: Any = archive.source
    try:
        with zipfile.ZipFile(source) as opened:
            # All that the directory tells is looked at before anything is unpacked.
            members = [(_zip_path(archive, info), info) for info in opened.infolist()]
            for path, info in members:
                if not info.is_dir():
                    with opened.open(info) as file:
                        yield archive.member(path, file)
    except UnicodeDecodeError:
        raise archive.refuse("a name in it is not UTF-8, although the archive says so") from None


def _zip_path(archive: _Archive, info: zipfile.ZipInfo) -> tuple[str, ...]:
    archive.count_file()
    name = info.orig_filename
    name = name if info.flag_bits & _ZIP_UTF8 else _unmarked(name)
    path = archive.path(name, is_directory=info.is_dir())
    where = f"{'/'.join(path)} in it"
    if info.flag_bits & _ZIP_ENCRYPTED:
        raise archive.refuse(f"{where} is encrypted")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise archive.refuse(f"{where} is a link or a device, and no file")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise archive.refuse(f"{where} is compressed in a way that is not supported")
    return path


def _unmarked(name: str) -> str:
    """A name without the mark of UTF-8; most programs of today mean UTF-8 anyway."""
    try:
        return name.encode("cp437").decode()
    except UnicodeError:
        return name


def _tar_members(archive: _Archive, kind: str | None) -> Iterator[ArchiveMember]:
    limits = archive.limits
    most_bytes = min(limits.bytes, limits.ratio * archive.source.size_bytes)
    most_bytes += (limits.files + 2) * _HEADERS_BYTES
    file = decompressed(archive.source, kind, archive.name, most_bytes)
    with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", tarinfo=_TarHeader) as opened:
        for info in opened:
            archive.count_file()
            path = archive.path(info.name, is_directory=info.isdir())
            if info.isdir():
                continue
            if info.issparse():
                raise archive.refuse(f"{'/'.join(path)} in it is a sparse file: pack it without")
            content = opened.extractfile(info) if info.isreg() else None
            if content is None:
                raise archive.refuse(f"{'/'.join(path)} in it is a link or a device, and no file")
            yield archive.member(path, content)
            # What nobody asked for is unpacked all the same, and tarfile would not count it.
            for _ in archive.blocks(path, content):
                pass
    # Only here the checksums of the compression are compared, and the last song may be wrong.
    while block := file.read(BLOCK_BYTES):
        if block.strip(b"\0"):
            raise archive.refuse("it is broken, or not one archive: there is more behind its end")


class _TarHeader(tarfile.TarInfo):
    """A damaged header is an error; tarfile takes one for the end, and the files behind it go.

    The end is a block of zeros. A tar without one cannot be told from one that is cut off between
    two files.
    """

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:
            raise
        except HeaderError as error:
            raise ReadError(f"cut off or damaged: {error}") from error
