"""Reading archives of strangers."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import os
import random
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from archivekit import (
    TAR_MODES,
    encrypted,
    make_odd_tar,
    make_tar,
    make_zip,
    member,
    zip_link,
)
from musictasks.errors import MediaError
from musictasks.library import ArchiveLimits, read_archive

NOISE = random.Random(1).randbytes(300_000)
FILES = {
    "Album/01 Über den Wäldern.flac": NOISE,
    "Album/empty": b"",
    "Album/blocks": NOISE[:1024],
    f"Album/{'long ' * 40}.pdf": b"%PDF",
}
LIMITS = ArchiveLimits()
SMALL = {"Album/01 One.flac": NOISE[:700], "Album/02 Two.flac": NOISE[700:1400]}
SMALL_TAR = make_tar(SMALL)
SECOND = SMALL_TAR.index(b"Album/02")
END = SECOND + 512 + 1024


def read(data: bytes | io.BytesIO, limits: ArchiveLimits = LIMITS) -> dict[str, bytes]:
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    members = read_archive(file, "x.zip", limits)
    return {"/".join(one.path): b"".join(one.blocks) for one in members}


def refused(data: bytes, limits: ArchiveLimits = LIMITS) -> str:
    with pytest.raises(MediaError) as caught:
        read(data, limits)
    assert caught.value.path == "x.zip"
    return caught.value.reason


def both(files: dict[str, bytes]) -> list[bytes]:
    return [make_zip(files), make_tar(files)]


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("mode", TAR_MODES)
def test_tars(mode: str, kind: int) -> None:
    """Every compression and both ways to write long names give all files back."""
    assert read(make_tar(FILES, mode, kind)) == FILES


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zips(compression: int) -> None:
    """Stored or deflated, with names in UTF-8."""
    assert read(make_zip(FILES, compression)) == FILES


def test_a_tar_of_a_directory() -> None:
    """`tar -c .` writes `./` before each name, and the directories too."""
    folder = member("./Album", kind=tarfile.DIRTYPE)
    data = make_odd_tar(member(".", kind=tarfile.DIRTYPE), folder, member("./Album/empty"))
    assert read(data) == {"Album/empty": b""}


def test_a_zip_whose_names_are_not_marked() -> None:
    """UTF-8 without its mark is read as UTF-8, and what is none as the old code page."""
    data = make_zip({"Wälder": b"1"})
    unmarked = bytearray(data)
    unmarked[7] &= ~8
    unmarked[data.index(b"PK\x01\x02") + 9] &= ~8
    assert read(bytes(unmarked)) == {"Wälder": b"1"}
    assert read(bytes(unmarked).replace("ä".encode(), b"\x84\x84")) == {"Wääldern"[:-1]: b"1"}


def test_several_streams_of_xz() -> None:
    """A file may hold more than one, with padding between them."""
    data = make_tar(FILES)
    half = len(data) // 2
    packed = lzma.compress(data[:half]) + bytes(8) + lzma.compress(data[half:])
    assert read(packed) == FILES


@pytest.mark.parametrize("name", ["../out", "Album/../../out", "..", "Album/.."])
def test_a_path_that_leads_out(name: str) -> None:
    """Zip slip: refused, and named."""
    for data in both({"Album/empty": b"", name: b"x"}):
        assert refused(data) == f"{name!r} in it leads out of the archive"


@pytest.mark.parametrize("name", ["/etc/passwd", "//x", "C:/x"])
def test_an_absolute_path(name: str) -> None:
    """Refused, and named."""
    for data in both({name: b"x"}):
        assert refused(data) == f"{name!r} in it is an absolute path"


@pytest.mark.parametrize("name", ["Album\\01 Song.flac", "a\nb", "Icon\r", "a/" * 2100 + "b"])
def test_a_name_that_is_none(name: str) -> None:
    """Backslashes, control characters, and more bytes than a path has."""
    for data in both({name: b"x"}):
        assert "is not allowed" in refused(data)


@pytest.mark.parametrize("name", ["a" * 256, "ä" * 300 + ".flac", "a" * 300 + "/b"])
def test_a_name_that_is_only_too_long(name: str) -> None:
    """It is read: what an album calls the file is another matter."""
    for data in both({name: b"x"}):
        assert read(data) == {name: b"x"}


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_name_in_a_tar_that_is_no_text(kind: int) -> None:
    """It is said what is wrong with it."""
    data = make_tar({"Caf\udce9": b"x"}, kind=kind)
    assert refused(data) == "'Caf?' in it: its name is not UTF-8"


def test_a_name_in_a_zip_that_is_no_text() -> None:
    """Where the archive says that it is UTF-8."""
    data = make_zip({"é": b"x"}).replace("é".encode(), b"e\xe9")
    assert refused(data) == "a name in it is not UTF-8, although the archive says so"


@pytest.mark.parametrize("name", ["Icon\r", "Café\udce9", "__MACOSX/._more.zip", "more.zip"])
def test_files_that_nobody_asks_for(name: str) -> None:
    """Their names are nobody's concern, unless they lead out; neither is what is in them."""
    archives = [make_tar({name: make_zip({}), "b": b"1"}, kind=tarfile.GNU_FORMAT)]
    if name.isprintable() or name.isascii():
        archives.append(make_zip({name: make_zip({}), "b": b"1"}))
    for data in archives:
        members = read_archive(io.BytesIO(data), "x.zip", LIMITS)
        assert next(members).path == tuple(name.split("/"))
        assert b"".join(next(members).blocks) == b"1"
    for data in both({f"../{name.encode(errors='replace').decode()}": b""}):
        with pytest.raises(MediaError, match="leads out"):
            next(read_archive(io.BytesIO(data), "x.zip", LIMITS))


@pytest.mark.parametrize(
    "info",
    [
        member("link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        member("link", kind=tarfile.SYMTYPE, link="../../../out"),
        member("link", kind=tarfile.LNKTYPE, link="Album/empty"),
        member("link", kind=tarfile.CHRTYPE),
        member("link", kind=tarfile.BLKTYPE),
        member("link", kind=tarfile.FIFOTYPE),
    ],
)
def test_a_tar_with_a_link_or_a_device(info: tarfile.TarInfo) -> None:
    """Symbolic and hard links, devices and pipes."""
    assert refused(make_odd_tar(info)) == "link in it is a link or a device, and no file"


def test_a_sparse_file() -> None:
    """It is called that, in both ways to write one."""
    old = make_odd_tar(member("song", kind=tarfile.GNUTYPE_SPARSE))
    with io.BytesIO() as out:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            info = member("song", 515)
            sparse = {"major": "1", "minor": "0", "name": "song", "realsize": "9000"}
            info.pax_headers = {f"GNU.sparse.{key}": value for key, value in sparse.items()}
            archive.addfile(info, io.BytesIO(b"1\n8997\n3\n".ljust(512, b"\0") + b"end"))
        new = out.getvalue()
    for data in (old, new):
        assert refused(data) == "song in it is a sparse file: pack it without"


def test_a_zip_with_a_link() -> None:
    """A symbolic link is one in a zip, too."""
    assert "is a link or a device" in refused(zip_link("link", "/etc/passwd"))


def test_an_encrypted_zip() -> None:
    """Refused at once; nothing is unpacked."""
    assert refused(encrypted(make_zip(FILES))).endswith("is encrypted")


def test_another_compression() -> None:
    """bzip2 in a zip may unpack to any size at once."""
    assert "not supported" in refused(make_zip(FILES, zipfile.ZIP_BZIP2))


@pytest.mark.parametrize("name", ["more.zip", "more.tar.gz", "more.TGZ", "more.7z", "01 Song.flac"])
def test_a_nested_archive(name: str) -> None:
    """Whatever it is called."""
    inner = make_zip({"a": b"b"}) if name.endswith("flac") else b"x"
    for data in both({name: inner}):
        assert refused(data) == f"{name} in it is an archive itself: unpack that one first"
    if name.endswith("flac"):
        for mode in TAR_MODES:
            assert "is an archive itself" in refused(make_zip({name: make_tar({"a": b""}, mode)}))


@pytest.mark.parametrize("name", ["a.docx", "a.ODT", "a.epub", "a.cbz", "a.xlsx", "a.b.pptx"])
def test_documents_that_are_archives_inside(name: str) -> None:
    """Nobody unpacks them, so they are files like others."""
    inner = make_zip({"a": b"b"})
    for data in both({name: inner}):
        assert read(data) == {name: inner}


@pytest.mark.parametrize("mode", TAR_MODES[1:])
def test_a_bomb_that_nobody_asks_for(mode: str) -> None:
    """It has to be unpacked to get behind it, and counts."""
    data = make_tar({"._a": bytes(60_000_000), "b": b""}, mode)
    with pytest.raises(MediaError, match="it is a bomb"):
        list(read_archive(io.BytesIO(data), "x.zip", LIMITS))


def test_a_bomb_of_padding() -> None:
    """What is behind the last file counts, too."""
    data = bz2.compress(SMALL_TAR + bytes(20_000_000))
    assert "it unpacks to more than" in refused(data, ArchiveLimits(files=2))


@pytest.mark.parametrize("kind", ["zip", *TAR_MODES])
def test_a_stop(kind: str) -> None:
    """It passes through as it is, wherever it comes, and comes soon."""

    class Stop(Exception):
        pass

    files = {"a": bytes(1_000_000), "b": bytes(1_000_000)}
    data = make_zip(files) if kind == "zip" else make_tar(files, kind)
    for blocks_are_read in (True, False):
        checks = _checks(data, blocks_are_read, lambda count: None)
        assert checks >= (2 if kind == "zip" else 30)
        for at in range(checks):

            def stop(count: int, at: int = at) -> None:
                if count == at:
                    raise Stop

            with pytest.raises(Stop):
                _checks(data, blocks_are_read, stop)


def _checks(data: bytes, blocks_are_read: bool, check: Callable[[int], None]) -> int:
    """Reads an archive; returns how often it asked whether it may go on."""
    count = itertools.count()
    limits = ArchiveLimits(ratio=10**6)
    for one in read_archive(io.BytesIO(data), "x.zip", limits, lambda: check(next(count))):
        if blocks_are_read:
            assert len(b"".join(one.blocks)) == 1_000_000
    return next(count)


@pytest.mark.parametrize("make", [make_zip, partial(make_tar, mode="w:xz")], ids=["zip", "tar"])
def test_a_bomb(make: Callable[[dict[str, bytes]], bytes]) -> None:
    """It is refused after a part of it, with little memory."""
    data = make({"a": bytes(30_000_000)})
    tracemalloc.start()
    try:
        reason = refused(data)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reason == "it is a bomb: it unpacks to more than 100 times its size"
    assert peak_bytes < 20_000_000


def test_the_limits_are_exact() -> None:
    """As many files and bytes as allowed are; one more is not."""
    files = {"a": NOISE[:1000], "b": NOISE[:1000]}
    for data in both(files):
        assert read(data, ArchiveLimits(2000, 2, 100)) == files
        assert "more than 1999 bytes" in refused(data, ArchiveLimits(1999, 2, 100))
        assert "more than 1 files" in refused(data, ArchiveLimits(2000, 1, 100))


def test_a_zip_that_says_less_than_it_holds() -> None:
    """What counts is what comes out."""
    data = make_zip({"a": bytes(100_000)})
    size = (100_000).to_bytes(4, "little")
    lying = data.replace(size, (10).to_bytes(4, "little"))
    assert lying != data
    assert "broken" in refused(lying, ArchiveLimits(ratio=10**6))


def test_a_header_of_a_tar_that_is_a_bomb() -> None:
    """tarfile would read it into memory, whatever its size."""
    header = member("x", 100_000_000, tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    data = lzma.compress(header + bytes(10_000_000), preset=0)
    assert "larger than any that people make" in refused(data)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_chain_of_headers(kind: bytes) -> None:
    """tarfile reads them by recursion; wherever that ends, it is the archive's fault."""
    comment = b"20 comment=01234567\n".ljust(512, b"\0")
    header = member("x", 20, kind).tobuf(tarfile.USTAR_FORMAT) + comment
    data = _packed(header * 2000 + SMALL_TAR, "w:gz")

    def deeper(frames: int) -> str:
        return deeper(frames - 1) if frames else refused(data)

    for frames in range(8):
        assert "recursion" in deeper(frames)


def test_a_directory_of_a_zip_that_is_a_bomb() -> None:
    """zipfile would read it into memory, whatever its size."""
    end = make_zip({})[:12] + (5_000_000).to_bytes(4, "little") + bytes(4) + bytes(2)
    assert "larger than that of any album" in refused(b"PK\x03\x04" + bytes(5_000_000) + end)


def test_a_window_of_xz_that_is_a_bomb() -> None:
    """4 GiB of memory for a few bytes."""
    data = bytearray(lzma.compress(make_tar({"a": b""})))
    header = slice(12, 12 + data[12] * 4)  # the block's, without its checksum
    data[data.index(b"\x21\x01", 12) + 2] = 40
    data[header.stop : header.stop + 4] = zlib.crc32(data[header]).to_bytes(4, "little")
    assert "Memory usage limit" in refused(bytes(data))


@pytest.mark.parametrize(
    "data", [b"", b"x" * 5000, b"ID3" + bytes(5000), b"Rar!\x1a\x07\x01", b"7z\xbc\xaf\x27\x1c"]
)
def test_no_archive(data: bytes) -> None:
    """Whatever it is called."""
    assert "archive" in refused(data)


@pytest.mark.parametrize("mode", ["zip", *TAR_MODES])
def test_a_cut_archive(mode: str) -> None:
    """Wherever it is cut off."""
    data = make_zip(FILES) if mode == "zip" else make_tar(FILES, mode)
    for size in (1, 100, 512, 1000, len(data) // 2, len(data) - 2000):
        assert refused(data[:size])


def test_every_bit_of_a_later_header() -> None:
    """A damaged header is no end: all files are there, or the archive is refused."""
    refusals = 0
    for bit in range(512 * 8):
        data = bytearray(SMALL_TAR)
        data[SECOND + bit // 8] ^= 1 << bit % 8
        try:
            assert read(bytes(data)) == SMALL
        except MediaError:
            refusals += 1
    assert refusals > 500 * 8


@pytest.mark.parametrize("mode", TAR_MODES)
@pytest.mark.parametrize("size", [SECOND, SECOND + 100, SECOND + 512, END - 512, END, END + 511])
def test_a_tar_without_its_end(mode: str, size: int) -> None:
    """Cut off, also between two files: that cannot be told from a tar that never had an end."""
    reason = refused(_packed(SMALL_TAR[:size], mode))
    assert "cut off" in reason or "unexpected end of data" in reason


@pytest.mark.parametrize("mode", TAR_MODES)
def test_a_tar_with_more_behind_its_end(mode: str) -> None:
    """Another archive, or files behind a block of zeros: they must not get lost."""
    for data in (SMALL_TAR[:SECOND] + bytes(512) + SMALL_TAR[SECOND:], SMALL_TAR * 2):
        assert "there is more behind its end" in refused(_packed(data, mode))


@pytest.mark.parametrize("mode", TAR_MODES)
@pytest.mark.parametrize("zeros", [512, 1000, 1024, 100_000])
def test_the_ends_that_tars_have(mode: str, zeros: int) -> None:
    """Two blocks of zeros, filled up to a record of any size; one block tells the end, too."""
    assert read(_packed(SMALL_TAR[:END] + bytes(zeros), mode)) == SMALL


def _packed(data: bytes, mode: str) -> bytes:
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(mode[2:])
    return pack(data) if pack else data


@pytest.mark.parametrize("mode", TAR_MODES[1:])
def test_damage_in_compressed_data(mode: str) -> None:
    """Any bit, up to the last checksum: refused, or without an effect on what is read."""
    data = make_tar(SMALL, mode)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with suppress(MediaError):
            assert read(bytes(damaged)) == SMALL


@pytest.mark.parametrize("mode", TAR_MODES[1:])
def test_a_missing_checksum(mode: str) -> None:
    """It comes behind the last byte of the tar."""
    data = make_tar(SMALL, mode)
    for cut in range(1, 12):
        reason = refused(data[:-cut])
        assert "cut off" in reason or "ended before" in reason


def test_a_wrong_checksum() -> None:
    """A song that is read to its end may be damaged all the same."""
    stored = bytearray(gzip.compress(SMALL_TAR, 0))
    stored[stored.index(NOISE[700:1400]) + 350] ^= 1
    assert "CRC" in refused(bytes(stored))


@pytest.mark.parametrize("mode", TAR_MODES[1:])
def test_garbage_behind_compressed_data(mode: str) -> None:
    """Refused; zeros are padding, and further streams belong to it."""
    data = make_tar(SMALL, mode)
    assert "broken" in refused(data + b"garbage")
    assert read(data + bytes(512)) == SMALL
    for at in (512, SECOND, END):
        parts = _packed(SMALL_TAR[:at], mode), _packed(b"", mode), _packed(SMALL_TAR[at:], mode)
        assert read(b"".join(parts)) == SMALL


def test_a_broken_archive_never_raises_anything_else() -> None:
    """Bytes that fell over: read, or refused."""
    chance = random.Random(7)
    for original in (make_zip(FILES), *(make_tar(FILES, mode) for mode in TAR_MODES)):
        for _ in range(60):
            data = bytearray(original)
            for _ in range(5):
                data[chance.choice((chance.randrange(2000), chance.randrange(len(data))))] = (
                    chance.randrange(256)
                )
            with suppress(MediaError):
                read(bytes(data))


def test_a_disk_that_gives_nothing_is_no_broken_archive() -> None:
    """Its error passes through: it may be better next time."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 1024:
                raise OSError(5, os.strerror(5))
            return super().read(size)

    for data in (
        make_tar(FILES),
        make_tar(FILES, "w:gz"),
        make_tar(FILES, "w:xz"),
        make_zip(FILES),
    ):
        with pytest.raises(OSError, match=os.strerror(5)):
            read(Broken(data))
