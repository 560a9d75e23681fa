"""Archives made in memory, good ones and bad ones."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping

from musictasks.library import sample_album

TAR_MODES = ("w", "w:gz", "w:bz2", "w:xz")


def album_files(folder: str = "Album/") -> dict[str, bytes]:
    """The sample album's three songs, its cover and its booklet."""
    names = [path for path in sample_album().iterdir() if path.name != "README"]
    return {f"{folder}{path.name}": path.read_bytes() for path in sorted(names)}


def make_zip(files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def make_tar(files: Mapping[str, bytes], mode: str = "w", kind: int = tarfile.PAX_FORMAT) -> bytes:
    return _tar([(member(name, len(data)), data) for name, data in files.items()], mode, kind)


def make_odd_tar(*members: tarfile.TarInfo, mode: str = "w") -> bytes:
    """A tar of links, devices and the like."""
    return _tar([(one, b"") for one in members], mode, tarfile.PAX_FORMAT)


def member(
    name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def _tar(members: list[tuple[tarfile.TarInfo, bytes]], mode: str, kind: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=kind) as archive:  # pyright: ignore
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_link(name: str, target: str) -> bytes:
    """A zip with a symbolic link in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, target)
    return out.getvalue()


def encrypted(data: bytes) -> bytes:
    """A zip whose first file says that it is encrypted."""
    marked = bytearray(data)
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        marked[data.index(magic) + offset] |= 1
    return bytes(marked)
