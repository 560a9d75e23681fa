"""What a song tells of itself: the sample album, made-up tags, and hostile files."""

import errno
import io
import pickle
import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from musictasks.errors import MediaError
from musictasks.library import SongTags, read_picture, read_song, sample_album
from mutagen import id3
from mutagen.flac import FLAC
from mutagen.mp3 import MP3
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm
from PIL import Image

FLAC_NAME = "01 Morgenroete.flac"
MP3_NAME = "02 Ebbe-Flut.mp3"
M4A_NAME = "03 Nacht - Reprise.m4a"
SONGS = [FLAC_NAME, MP3_NAME, M4A_NAME]


def content(name: str) -> bytes:
    return (sample_album() / name).read_bytes()


def read(data: bytes, name: str) -> SongTags:
    return read_song(io.BytesIO(data), name)


def tagged(make, name: str, change) -> bytes:
    """The sample song `name` with its tags changed."""
    file = io.BytesIO(content(name))
    song = make(file)
    change(song)
    file.seek(0)
    song.save(file)
    return file.getvalue()


def mp3_with(*frames: id3.Frame) -> bytes:
    def change(song: MP3) -> None:
        song.tags = id3.ID3()
        for frame in frames:
            song.tags.add(frame)

    return tagged(MP3, MP3_NAME, change)


def flac_with(**tags: str) -> bytes:
    def change(song: FLAC) -> None:
        song.clear()
        song.update(tags)

    return tagged(FLAC, FLAC_NAME, change)


def m4a_with(tags: dict) -> bytes:
    def change(song: MP4) -> None:
        song.clear()
        song.update(tags)

    return tagged(MP4, M4A_NAME, change)


def bare_mp3() -> bytes:
    data = content(MP3_NAME)
    size = sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    return data[10 + size :]


def raw_id3(body: bytes, version: int = 4, flags: int = 0) -> bytes:
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3" + bytes([version, 0, flags]) + size + body


def adts_aac(seconds: int = 1) -> bytes:
    """A raw AAC stream: the packets of the sample M4A, each with an ADTS header."""
    frame = b"\x21\x10\x04\x60\x8c\x1c"
    length = len(frame) + 7
    header = bytes([0xFF, 0xF1, 0x50, 0x80 | length >> 11, length >> 3 & 0xFF])
    return (header + bytes([(length & 7) << 5 | 0x1F, 0xFC]) + frame) * (43 * seconds)


def test_flac():
    """All tags of the sample FLAC are read."""
    assert read(content(FLAC_NAME), FLAC_NAME) == SongTags(
        artist="Søren Größenwald",
        album_artist="Søren Größenwald",
        album="Über den Wäldern",
        year=2020,
        disc=1,
        disc_count=1,
        number=1,
        title="Morgenröte",
        playtime_s=4,
        bitrate=110205,
        origin="CD",
        mime_type="audio/flac",
    )


def test_mp3():
    """All tags of the sample MP3 are read, its lyrics too."""
    song = read(content(MP3_NAME), MP3_NAME)
    assert (song.artist, song.album) == ("Søren Größenwald", "Über den Wäldern")
    assert (song.year, song.disc, song.number, song.title) == (2020, 1, 2, "Ebbe/Flut")
    assert (song.playtime_s, song.bitrate, song.mime_type) == (3, 95999, "audio/mpeg")
    assert song.lyrics == "Das Wasser kommt,\ndas Wasser geht,\nder Wald bleibt stehen."


def test_m4a():
    """All tags of the sample M4A are read."""
    song = read(content(M4A_NAME), M4A_NAME)
    assert (song.artist, song.album_artist) == ("Søren Größenwald", "Søren Größenwald")
    assert (song.album, song.year) == ("Über den Wäldern", 2020)
    assert (song.disc, song.disc_count, song.number) == (1, 1, 3)
    assert song.title == "Nacht - Reprise"
    assert (song.playtime_s, song.bitrate, song.mime_type) == (3, 95455, "audio/mp4")


def test_aac():
    """A raw AAC stream is read, with the ID3 tag that may stand before it."""
    song = read(adts_aac(2), "01 A.aac")
    assert (song.title, song.playtime_s, song.mime_type) == (None, 2, "audio/aac")
    body = b"TIT2" + struct.pack(">IH", 6, 0) + b"\x03Titel"
    assert read(raw_id3(body) + adts_aac(2), "01 A.AAC").title == "Titel"


def test_a_bitrate_that_the_file_does_not_tell():
    """An M4A of an encoder that leaves it out has the mean of the whole file, in whole bit/s."""
    data = bytearray(content(M4A_NAME))
    config = data.index(b"\x40\x15", data.index(b"esds"))
    data[config + 9 : config + 13] = bytes(4)
    length_s = MP4(io.BytesIO(bytes(data))).info.length  # pyright: ignore
    song = read(bytes(data), M4A_NAME)
    assert song.bitrate == len(data) * 8 // length_s
    assert type(song.bitrate) is int


def test_tags_are_values():
    """Tags can be compared and pickled."""
    song = read(content(MP3_NAME), MP3_NAME)
    assert pickle.loads(pickle.dumps(song)) == song


@pytest.mark.parametrize(
    ("data", "name", "origin"),
    [
        (flac_with(), FLAC_NAME, "CD"),
        (bare_mp3(), MP3_NAME, "internet"),
        (m4a_with({}), M4A_NAME, "internet"),
        (adts_aac(4), "01 A.aac", "internet"),
    ],
)
def test_missing_tags(data, name, origin):
    """A song without tags is a song: what is missing is None, its origin the usual one."""
    song = read(data, name)
    assert (song.artist, song.album_artist, song.album, song.title) == (None,) * 4
    assert (song.year, song.disc, song.disc_count, song.number, song.lyrics) == (None,) * 5
    assert song.origin == origin
    assert song.playtime_s > 2


def test_odd_values():
    """Values that say nothing are missing, and what surrounds a number or a date is ignored."""
    song = read(
        flac_with(
            tracknumber="A1", discnumber="2/3", date="17.5.2020", year="1999-01", title=" \0 ",
            artist="  X ", album="a" * 5000, lyrics="x" * 100_001, unsyncedlyrics="La",
        ),
        FLAC_NAME,
    )  # fmt: skip
    assert (song.number, song.disc, song.disc_count, song.year) == (None, 2, 3, 1999)
    assert (song.title, song.artist, song.lyrics) == (None, "X", "La")
    assert song.album == "a" * 1000


@pytest.mark.parametrize("value", ["0", "99999", "-1", "", "٣", "9" * 5000])
def test_impossible_numbers(value):
    """A number that no song has counts as missing."""
    assert read(flac_with(tracknumber=value), FLAC_NAME).number is None


def test_many_artists():
    """Several artists are named together, each once."""
    data = mp3_with(id3.TPE1(encoding=3, text=["A", "B", "A"]))
    assert read(data, MP3_NAME).artist == "A, B"


def test_old_id3():
    """The frames of an ID3 2.2 tag are understood."""
    body = b"TT2\0\0\x04\0Abc" + b"TYE\0\0\x05\x001999"
    song = read(raw_id3(body, version=2) + bare_mp3(), MP3_NAME)
    assert (song.title, song.year) == ("Abc", 1999)


@pytest.mark.parametrize(
    ("data", "name", "origin"),
    [
        (mp3_with(id3.COMM(3, "eng", "", "163 key(Don't modify):abc")), MP3_NAME, "music163"),
        (mp3_with(id3.COMM(3, "XXX", "", "Visit https://x.bandcamp.com")), MP3_NAME, "bandcamp"),
        (mp3_with(id3.COMM(3, "eng", "", "Amazon.com Song ID: 1")), MP3_NAME, "Amazon"),
        (mp3_with(id3.PRIV("www.amazon.com", b"x")), MP3_NAME, "Amazon"),
        (mp3_with(id3.MCDI(b"toc")), MP3_NAME, "CD"),
        (mp3_with(id3.TXXX(3, "ASIN", ["B000"])), MP3_NAME, "internet"),
        (flac_with(comment="Visit https://x.bandcamp.com"), FLAC_NAME, "bandcamp"),
        (flac_with(media="CD"), FLAC_NAME, "CD"),
        (flac_with(cdtoc="1+2"), FLAC_NAME, "CD"),
        (flac_with(media="Digital Media"), FLAC_NAME, "CD"),
        (mp3_with(id3.PRIV("Google/StoreId", b"x")), MP3_NAME, "Google"),
        (mp3_with(id3.PRIV("Google/UITS", b"<x/>"), id3.TMED(3, ["DIG"])), MP3_NAME, "Google"),
        (mp3_with(id3.COMM(3, "eng", "", "found by google/storeid")), MP3_NAME, "internet"),
        (mp3_with(id3.PRIV("WM/Provider", b"Google/StoreId")), MP3_NAME, "internet"),
        (m4a_with({"apID": ["me@example.org"]}), M4A_NAME, "iTunes"),
        (m4a_with({"purd": ["2020-01-01"]}), M4A_NAME, "iTunes"),
        (m4a_with({"\xa9cmt": ["Visit https://x.bandcamp.com"]}), M4A_NAME, "bandcamp"),
        (m4a_with({"----:com.apple.iTunes:iTunSMPB": [MP4FreeForm(b"0")]}), M4A_NAME, "internet"),
        (m4a_with({"----:com.apple.iTunes:iTunes_CDDB_1": [MP4FreeForm(b"0")]}), M4A_NAME, "CD"),
    ],
)
def test_origin(data, name, origin):
    """Shops and ripping programs leave their marks; without one it is CD or the internet."""
    assert read(data, name).origin == origin


def test_picture_of_the_sample():
    """The sample FLAC has a picture that opens, its other songs have none."""
    picture = read_picture(io.BytesIO(content(FLAC_NAME)), FLAC_NAME)
    assert picture is not None
    with Image.open(io.BytesIO(picture)) as image:
        assert image.size == (600, 600)
    assert read_picture(io.BytesIO(content(MP3_NAME)), MP3_NAME) is None
    assert read_picture(io.BytesIO(content(M4A_NAME)), M4A_NAME) is None
    assert read_picture(io.BytesIO(adts_aac()), "1 A.aac") is None


def test_first_picture():
    """Of several pictures the first that is one is taken, in every format."""
    pictures = [
        id3.APIC(3, "-->", 3, "link", b"http://example.org/a.jpg"),
        id3.APIC(3, "image/png", 4, "back", b"first"),
        id3.APIC(3, "image/png", 3, "front", b"second"),
    ]
    assert read_picture(io.BytesIO(mp3_with(*pictures)), MP3_NAME) == b"first"
    covers = m4a_with({"covr": [MP4Cover(b""), MP4Cover(b"first"), MP4Cover(b"second")]})
    assert read_picture(io.BytesIO(covers), M4A_NAME) == b"first"


ZIPPED_MP3 = b"PK\x03\x04" + bytes(26) + b"02.mp3" + content(MP3_NAME)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "empty.mp3"),
        (b"", "empty.flac"),
        (b"", "empty.m4a"),
        (b"", "empty.aac"),
        (bytes(100_000), "zeros.mp3"),
        (b"\xff" * 100_000, "ones.mp3"),
        (b"\xff\xfb" * 100_000, "syncs.mp3"),
        (ZIPPED_MP3, "zip.mp3"),
        (raw_id3(b"") + ZIPPED_MP3, "tagged zip.mp3"),
        (bytes(257) + b"ustar" + bytes(250) + bare_mp3(), "tar.mp3"),
        (b"x" * 100_000 + bare_mp3(), "late.mp3"),
        (content(FLAC_NAME), "flac.mp3"),
        (content(M4A_NAME), "m4a.mp3"),
        (content(MP3_NAME), "mp3.flac"),
        (content(MP3_NAME), "mp3.m4a"),
        (content(MP3_NAME), "mp3.aac"),
        (content(M4A_NAME), "m4a.aac"),
        (content("cover.png"), "png.mp3"),
        (content("booklet.pdf"), "pdf.flac"),
        (content(FLAC_NAME), "cover.png"),
        (content(FLAC_NAME), "flac"),
        (content(MP3_NAME)[:1200], "header only.mp3"),
        (content(MP3_NAME)[:20_000], "half.mp3"),
        (content(M4A_NAME)[:3000], "half.m4a"),
        (content(M4A_NAME)[:-1], "cut.m4a"),
        (content(FLAC_NAME)[:42], "half header.flac"),
        (content(FLAC_NAME)[:2000], "half.flac"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rejected(data, name):
    """What is not what its extension says, or is cut off in its header, is a MediaError."""
    for reader in (read_song, read_picture):
        with pytest.raises(MediaError) as caught:
            reader(io.BytesIO(data), name)
        assert caught.value.path == name
        assert len(str(caught.value)) < 400


def test_flac_without_audio():
    """A FLAC that ends after its header is cut off."""
    data, end, last = content(FLAC_NAME), 4, False
    while not last:
        last, end = data[end] >= 0x80, end + 4 + int.from_bytes(data[end + 1 : end + 4])
    with pytest.raises(MediaError, match="cut off"):
        read(data[:end], FLAC_NAME)


def test_flac_without_length():
    """A FLAC whose header does not say how long it is, is rejected."""
    data = bytearray(content(FLAC_NAME))
    data[8 + 13] &= 0xF0
    data[8 + 14 : 8 + 18] = bytes(4)
    with pytest.raises(MediaError, match="no audio"):
        read(bytes(data), FLAC_NAME)


def test_video_as_m4a():
    """An MP4 without an audio track is no song."""
    data = content(M4A_NAME).replace(b"soun", b"vide")
    with pytest.raises(MediaError, match="no audio"):
        read(data, M4A_NAME)


@pytest.mark.parametrize(("version", "flags"), [(3, 0x0080), (4, 0x0009)])
def test_compressed_frame(version, flags):
    """A frame that would unpack to gigabytes is refused before it is unpacked."""
    packed = bytes(4) + zlib.compress(b"\x03" + b"a" * 50_000_000)
    size = struct.pack(">I", len(packed))
    if version == 4:
        size = bytes(len(packed) >> shift & 0x7F for shift in (21, 14, 7, 0))
    body = b"TIT2" + size + struct.pack(">H", flags) + packed
    with pytest.raises(MediaError, match="compressed"):
        read(raw_id3(body, version) + bare_mp3(), MP3_NAME)


def test_compressed_frame_in_a_chapter():
    """A chapter's own frames, where such a frame could hide, are not read."""
    inner = b"TIT2" + struct.pack(">IH", 60, 0x0080) + bytes(4) + zlib.compress(b"\x03" + b"a" * 99)
    body = b"CHAP" + struct.pack(">IH", len(inner) + 18, 0) + b"c\0" + bytes(16) + inner
    song = io.BytesIO(raw_id3(body, 3) + bare_mp3())
    assert read_song(song, MP3_NAME).title is None


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("name", [b"TXXX", b"\xff\xff\xff\xff"])
def test_too_many_frames(version, name):
    """A tag of very many frames, which mutagen reads in quadratic time, is refused."""
    frame = name + b"\0\0\0\1" + b"\0\0" + b"x"
    if version == 2:
        frame = name[:3] + b"\0\0\1" + b"x"
    with pytest.raises(MediaError, match="frames"):
        read(raw_id3(frame * 100_000, version) + bare_mp3(), MP3_NAME)


def test_huge_tag_size():
    """A tag that claims more bytes than the file has is refused."""
    data = b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bare_mp3()
    with pytest.raises(MediaError):
        read(data, MP3_NAME)


def test_huge_flac_blocks():
    """FLAC blocks of more than 64 MiB, which would all be kept in memory, are refused."""
    block = b"\x02\xff\xff\xff" + bytes(0xFFFFFF)
    data = b"fLaC" + block * 5 + content(FLAC_NAME)[4:]
    with pytest.raises(MediaError, match="too large"):
        read(data, FLAC_NAME)


def test_many_atoms():
    """An MP4 of very many parts is refused."""
    data = struct.pack(">I4s", 8, b"free") * 200_000 + content(M4A_NAME)
    with pytest.raises(MediaError, match="too large"):
        read(data, M4A_NAME)


def test_deep_atoms():
    """An MP4 of parts nested too deeply is refused."""
    data = content(M4A_NAME)
    for _ in range(3000):
        data = struct.pack(">I4s", len(data) + 8, b"moov") + data
    with pytest.raises(MediaError):
        read(data, M4A_NAME)


def test_endless_cover():
    """A cover with a part of length 0, which mutagen reads for ever, is refused."""
    data = m4a_with({"covr": [MP4Cover(b"x" * 50)]})
    place = data.index(b"data", data.index(b"covr")) - 4
    data = data[:place] + struct.pack(">I4s", 0, b"name") + data[place + 8 :]
    with pytest.raises(MediaError, match="length"):
        read(data, M4A_NAME)


@pytest.mark.parametrize("name", SONGS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_broken_songs(name, data):
    """A song with broken bytes or a cut end is either read or a MediaError, nothing else."""
    broken = bytearray(content(name))
    for _ in range(data.draw(st.integers(0, 8))):
        place = data.draw(st.integers(0, 3000))
        broken[place] = data.draw(st.integers(0, 255))
    length = data.draw(st.just(len(broken)) | st.integers(0, len(broken)))
    for reader in (read_song, read_picture):
        with suppress(MediaError):
            reader(io.BytesIO(bytes(broken[:length])), name)


@given(st.binary(max_size=2000), st.sampled_from(["a.mp3", "a.flac", "a.m4a", "a.aac"]))
def test_garbage(data, name):
    """Garbage is a MediaError."""
    with pytest.raises(MediaError):
        read(data, name)


def test_an_error_of_the_disk_is_none_of_the_content():
    """When the disk cannot be read, that is said, and not that the song is broken."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        read_song(Failing(content(FLAC_NAME)), FLAC_NAME)


@pytest.mark.parametrize("junk", [b"z\n", b"\0" * 300, bytes(range(128))])
def test_a_flac_with_something_behind_its_end(junk: bytes):
    """Nothing of the song is missing; one that ends earlier is refused all the same."""
    data = content(FLAC_NAME)
    assert read(data + junk, FLAC_NAME).playtime_s == 4
    with pytest.raises(MediaError, match="cut off"):
        read(data[:-300] + junk[:100], FLAC_NAME)
