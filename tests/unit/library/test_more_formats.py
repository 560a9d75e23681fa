"""Ogg, Opus, WAV and AIFF: what is read of them, what is refused, and that it is off by default."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import mutagen
import mutagen.id3
import pytest
from audiokit import WAYS, make_song, picture_comment
from musictasks.errors import InvalidPath, MediaError
from musictasks.library import (
    ALL_FORMATS,
    DEFAULT_FORMATS,
    AudioFormats,
    MusicDirectory,
    digests_of,
    parse_song,
    read_picture,
    read_song,
)
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis

MORE = ("ogg", "opus", "wav", "aiff")
KINDS = pytest.mark.parametrize("kind", MORE)
IMAGE = b"\xff\xd8\xff\xe0 an image"


def reason_of(data: bytes, name: str) -> str:
    with pytest.raises(MediaError) as caught:
        read_song(io.BytesIO(data), name, ALL_FORMATS)
    return caught.value.reason


def tagged(path: Path) -> Path:
    """Writes all tags that have a place in the annotations, and a picture."""
    song: Any = mutagen.File(path)
    if path.suffix in {".ogg", ".opus"}:
        song.update(
            title="Song", artist=["One", "Other"], albumartist="Band", album="Album",
            date="2019-05-01", tracknumber="3/12", discnumber="2/2", lyrics="La la",
            comment="Visit https://x.bandcamp.com", compilation="1",
            metadata_block_picture=picture_comment(IMAGE),
        )  # fmt: skip
    else:
        song.add_tags()
        id3, texts = mutagen.id3, {
            "TIT2": "Song", "TPE1": ["One", "Other"], "TPE2": "Band", "TALB": "Album",
            "TDRC": "2019-05-01", "TRCK": "3/12", "TPOS": "2/2", "TCMP": "1",
        }  # fmt: skip
        for name, text in texts.items():
            song.tags.add(id3.Frames[name](encoding=3, text=text))
        song.tags.add(id3.USLT(encoding=3, lang="eng", text="La la"))
        song.tags.add(id3.COMM(encoding=3, lang="eng", text="Visit https://x.bandcamp.com"))
        song.tags.add(id3.APIC(encoding=3, mime="image/jpeg", type=3, data=IMAGE))
    song.save()
    return path


@KINDS
def test_all_tags_are_read(kind: str, tmp_path: Path):
    path = tagged(make_song(tmp_path / f"a.{kind}", 1, seconds=2))
    with path.open("rb") as file:
        song = read_song(file, path.name, ALL_FORMATS)
        assert read_picture(file, path.name, ALL_FORMATS) == IMAGE
    assert (song.artist, song.album_artist, song.album) == ("One, Other", "Band", "Album")
    assert (song.year, song.number, song.title) == (2019, 3, "Song")
    assert (song.disc, song.disc_count, song.compilation) == (2, 2, True)
    assert (song.lyrics, song.origin, song.playtime_s) == ("La la", "bandcamp", 2)
    file = mutagen.File(path)
    assert file is not None
    # This encoder of Vorbis tells none.
    told: int = getattr(file.info, "bitrate")  # noqa: B009
    assert song.bitrate == told if kind != "ogg" else 32_000 < song.bitrate < 800_000
    assert song.mime_type in {f"audio/{kind}", "audio/ogg"}


@KINDS
def test_a_song_without_tags(kind: str, tmp_path: Path):
    path = make_song(tmp_path / f"a.{kind}", 1)
    with path.open("rb") as file:
        song = read_song(file, path.name, ALL_FORMATS)
        assert read_picture(file, path.name, ALL_FORMATS) is None
    assert (song.artist, song.title, song.number, song.origin) == (None, None, None, "internet")


@pytest.mark.parametrize("name", ["a.oga", "a.OGG", "a.Aif", "a.AIFF", "a.WAV"])
def test_other_spellings_of_the_extension(name: str, tmp_path: Path):
    kind = {"g": "ogg", "a": "ogg", "f": "aiff", "v": "wav"}[name[-1].lower()]
    song = make_song(tmp_path / f"a.{kind}", 1)
    assert read_song(io.BytesIO(song.read_bytes()), name, ALL_FORMATS).playtime_s == 1


def test_opus_and_flac_in_ogg(tmp_path: Path):
    """An .ogg may hold them, too; an .opus holds Opus only. FLAC has the audio of a bare FLAC."""
    opus = make_song(tmp_path / "a.opus", 1).read_bytes()
    vorbis = make_song(tmp_path / "a.ogg", 1).read_bytes()
    assert read_song(io.BytesIO(opus), "a.ogg", ALL_FORMATS).playtime_s == 1
    assert reason_of(vorbis, "a.opus") == "it is no Opus file"
    flac = make_song(tmp_path / "a.flac", 1)
    inside = make_song(tmp_path / "a.oga", 1, as_kind="flac")
    # An encoder that may go back writes the MD5 of the audio.
    data = bytearray(inside.read_bytes())
    data[45:79] = flac.read_bytes()[8:42]
    inside.write_bytes(data)
    with flac.open("rb") as bare, inside.open("rb") as ogg:
        assert read_song(ogg, "a.oga", ALL_FORMATS).mime_type == "audio/ogg"
        assert digests_of(ogg, "a.oga").audio == digests_of(bare, "a.flac").audio


@pytest.mark.parametrize("kind", ["ogg", "opus"])
def test_pages_that_move_are_the_same_audio(kind: str, tmp_path: Path):
    """A picture of several pages: all pages behind it get other numbers and checksums."""
    path = make_song(tmp_path / f"a.{kind}", 1, seconds=6)
    before = path.read_bytes()
    assert before.count(b"OggS") > 5
    WAYS[kind][1](path)
    after = path.read_bytes()
    assert before[before.rindex(b"OggS") :] != after[after.rindex(b"OggS") :]
    found = {digests_of(io.BytesIO(data), path.name).audio for data in (before, after)}
    assert len(found) == 1
    assert None not in found
    # A byte in the middle of any page is a byte of the audio.
    other = bytearray(after)
    other[after.rindex(b"OggS") - 40] ^= 1
    assert digests_of(io.BytesIO(other), path.name).audio not in found


@pytest.mark.parametrize(("kind", "at"), [("wav", 24), ("wav", 22), ("aiff", 30)])
def test_the_kind_of_the_samples_counts(kind: str, at: int, tmp_path: Path):
    """The same bytes at another rate are another song."""
    data = bytearray(make_song(tmp_path / f"a.{kind}", 1).read_bytes())
    before = digests_of(io.BytesIO(data), f"a.{kind}").audio
    data[at] ^= 1
    assert digests_of(io.BytesIO(data), f"a.{kind}").audio != before


@KINDS
def test_cut_anywhere(kind: str, tmp_path: Path):
    """None with a part of its audio is a song, and no audio is found outside the file."""
    data = make_song(tmp_path / f"a.{kind}", 1).read_bytes()
    for length in range(0, len(data), max(1, len(data) // 150)):
        assert reason_of(data[:length], f"a.{kind}")
        found = digests_of(io.BytesIO(data[:length]), f"a.{kind}")
        assert found.size_bytes == length


@pytest.mark.parametrize("kind", ["wav", "aiff"])
def test_tags_that_are_cut_off(kind: str, tmp_path: Path):
    path = tagged(make_song(tmp_path / f"a.{kind}", 1))
    assert "cut off" in reason_of(path.read_bytes()[:-100], path.name)


@KINDS
@pytest.mark.parametrize("data", [b"", b"\0" * 5000, b"OggS", b"RIFF\0\0\0\0WAVE", b"ID3" * 99])
def test_what_is_something_else(kind: str, data: bytes, tmp_path: Path):
    assert reason_of(data, f"a.{kind}")
    assert reason_of(make_song(tmp_path / "a.mp3", 1).read_bytes(), f"a.{kind}")


def test_a_million_comments_are_not_kept(tmp_path: Path):
    """4 bytes each: refused before mutagen keeps them."""
    song = OggOpus(make_song(tmp_path / "a.opus", 1))
    assert song.tags is not None
    song.tags.extend(("a", "") for _ in range(5000))
    song.save()
    assert "more than 4096 comments" in reason_of((tmp_path / "a.opus").read_bytes(), "a.opus")


def test_a_damaged_picture_is_none(tmp_path: Path):
    path = make_song(tmp_path / "a.ogg", 1)
    song = OggVorbis(path)
    song["metadata_block_picture"] = ["?", "AAAA", picture_comment(b"second")]
    song.save()
    assert read_picture(io.BytesIO(path.read_bytes()), "a.ogg", ALL_FORMATS) == b"second"


def test_streams_one_after_the_other(tmp_path: Path):
    """How long it plays would be a guess."""
    one, other = (make_song(tmp_path / f"{n}.opus", n, seconds=4).read_bytes() for n in (1, 2))
    other = other.replace(other[14:18], b"\1\2\3\4")
    assert "several streams" in reason_of(one + other * 20, "a.opus")


def test_a_compressed_frame_in_a_chunk(tmp_path: Path):
    """It could unpack to any size."""
    path = tagged(make_song(tmp_path / "a.wav", 1))
    data = path.read_bytes()
    at = data.index(b"TIT2")
    bad = data[: at + 8] + struct.pack(">H", 0x0008) + data[at + 10 :]
    assert "compressed frame" in reason_of(bad, "a.wav")


def test_a_wav_of_packed_audio(tmp_path: Path):
    data = bytearray(make_song(tmp_path / "a.wav", 1).read_bytes())
    struct.pack_into("<H", data, 20, 0x55)
    assert "packed in a way (number 85)" in reason_of(bytes(data), "a.wav")


@pytest.mark.parametrize(("kind", "name", "order"), [("wav", b"data", "<"), ("aiff", b"SSND", ">")])
def test_a_length_that_was_never_told(kind: str, name: bytes, order: str, tmp_path: Path):
    """As it is written into a pipe."""
    data = bytearray(make_song(tmp_path / f"a.{kind}", 1).read_bytes())
    struct.pack_into(f"{order}I", data, data.index(name) + 4, 0xFFFFFFFF)
    assert "does not say how long" in reason_of(bytes(data), f"a.{kind}")


# -- which kinds are songs --------------------------------------------------------------------


@KINDS
def test_off_by_default(kind: str, tmp_path: Path):
    """Nothing takes it for a song, or for a booklet; every refusal names the setting."""
    path = f"Artist/2020 - Album/01 Song.{kind}"
    told = f"[tasks] audioformats can name {kind}, too"
    assert not DEFAULT_FORMATS.is_song(path)
    with pytest.raises(InvalidPath, match=r"audioformats"):
        parse_song(path)
    with pytest.raises(InvalidPath) as refused:
        MusicDirectory(tmp_path).check_target(path)
    assert told in refused.value.reason
    song = make_song(tmp_path / f"a.{kind}", 1)
    with song.open("rb") as file, pytest.raises(MediaError) as caught:
        read_song(file, song.name)
    assert told in caught.value.reason


@KINDS
def test_one_kind_more(kind: str, tmp_path: Path):
    """Each by itself; it says nothing of the others."""
    formats = AudioFormats(["mp3", kind])
    path = f"Artist/2020 - Album/01 Song.{kind}"
    assert parse_song(path, formats).extension == kind
    assert MusicDirectory(tmp_path, formats=formats).check_target(path).album == "Album"
    assert not formats.is_song("a.flac")
    assert "flac, too" in str(formats.why_no_song("a.flac"))
    assert formats.why_no_song("booklet.pdf") is formats.why_no_song("a.mp3") is None


def test_what_nothing_reads():
    """Audio that no setting lets in is refused without a hint at one."""
    reason = ALL_FORMATS.why_no_song("a.wma")
    assert reason is not None
    assert "audioformats" not in reason
    assert reason.endswith("flac, mp3, m4a, aac, ogg, oga, opus, wav, aiff and aif: convert it")


@pytest.mark.parametrize("names", [[], ["mp4"], ["flac", "oga"]])
def test_unknown_kinds(names: list[str]):
    with pytest.raises(ValueError, match=r"the audio formats are flac, .*, aiff$"):
        AudioFormats(names)
