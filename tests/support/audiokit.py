"""Songs of every kind with audio of their own, and ten ways in which taggers write into each."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
from mutagen import FileType
from mutagen.aiff import AIFF
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3, TIT2, TXXX, USLT, ID3NoHeaderError
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

_RATE = 44100
_SECONDS = 4 * 1152 / _RATE
_CODECS = {
    "flac": ("flac", "flac"),
    "mp3": ("mp3", "mp3"),
    "m4a": ("aac", "ipod"),
    "aac": ("aac", "adts"),
    "ogg": ("vorbis", "ogg"),
    "opus": ("libopus", "ogg"),
    "wav": ("pcm_s16le", "wav"),
    "aiff": ("pcm_s16be", "aiff"),
}
KINDS = tuple(_CODECS)

_IMAGE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 800


def make_song(
    path: Path, seed: object, *, seconds: float = _SECONDS, as_kind: str | None = None
) -> Path:
    """A short song whose noise no other seed gives; `as_kind` in an Ogg, if it has another name."""
    kind = as_kind or path.suffix[1:]
    codec, container = _CODECS[kind]
    container = "ogg" if as_kind else container
    noise = random.Random(f"{kind} {seed}")
    samples = round(seconds * _RATE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=container) as output:
        # Opus knows no other rate, this Vorbis encoder no other number of channels.
        rate = 48_000 if codec == "libopus" else _RATE
        layout = "stereo" if codec == "vorbis" else "mono"
        stream: Any = output.add_stream(codec, rate=rate, layout=layout)
        stream.codec_context.options = {"strict": "experimental"} if codec == "vorbis" else {}
        stream.codec_context.open()
        frame = av.AudioFrame(format="s16", layout="mono", samples=samples)
        frame.rate, frame.pts = _RATE, 0
        quiet = bytearray(noise.randbytes(2 * samples))
        quiet[1::2] = bytes((byte & 7) if byte & 8 else 0xFF - (byte & 7) for byte in quiet[1::2])
        frame.planes[0].update(bytes(quiet))
        resampler = av.AudioResampler(
            format=stream.codec_context.format,
            layout=layout,
            rate=rate,
            frame_size=stream.codec_context.frame_size or 1152,
        )
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return path


def without_md5(flac: Path) -> None:
    """As an encoder leaves it that wrote into a pipe."""
    data = bytearray(flac.read_bytes())
    assert data[:4] == b"fLaC"
    data[26:42] = bytes(16)
    flac.write_bytes(data)


def _id3(path: Path) -> ID3:
    try:
        return ID3(path)
    except ID3NoHeaderError:
        return ID3()


def _id3_way(change: Callable[[ID3], object], **options: object) -> Callable[[Path], object]:
    def way(path: Path) -> None:
        tags = _id3(path)
        change(tags)
        tags.save(path, **options)  # pyright: ignore[reportArgumentType]

    return way


def _title(tags: ID3) -> None:
    tags.add(TIT2(encoding=3, text="Another title"))


def _lyrics(tags: ID3) -> None:
    tags.add(USLT(encoding=1, lang="eng", text="La la\n" * 500))
    tags.add(TXXX(encoding=1, desc="Replaygain", text="-7 dB"))


def _picture(tags: ID3) -> None:
    tags.add(APIC(encoding=0, mime="image/jpeg", type=3, desc="", data=_IMAGE))


def _ape(path: Path) -> None:
    tags = APEv2()
    tags["Title"] = "Another title"
    tags["Comment"] = "x" * 3000
    tags.save(path)


def _ape_and_id3v1(path: Path) -> None:
    _id3_way(_title, v1=2)(path)
    _ape(path)


def _without_id3(path: Path) -> None:
    _id3_way(_title, v1=2)(path)
    ID3(path).delete(path)


_ID3_WAYS = (
    _id3_way(_title),
    _id3_way(_picture),
    _id3_way(_lyrics, v2_version=3),
    _id3_way(_title, v1=2),
    _id3_way(_title, padding=lambda info: 70_000),
    _id3_way(_picture, padding=lambda info: 0),
    _id3_way(lambda tags: tags.clear() or _title(tags), v1=0),
    _without_id3,
    _ape,
    _ape_and_id3v1,
)


def _mp4_way(change: Callable[[MP4], object], **options: object) -> Callable[[Path], object]:
    def way(path: Path) -> None:
        song = MP4(path)
        if song.tags is None:
            song.add_tags()
        change(song)
        song.save(path, **options)  # pyright: ignore[reportArgumentType]

    return way


def _set(**tags: object) -> Callable[[MP4], object]:
    return lambda song: song.update({name.replace("_", "\xa9"): v for name, v in tags.items()})


def _mp4_twice(path: Path) -> None:
    _mp4_way(_set(covr=[MP4Cover(_IMAGE)]))(path)
    MP4(path).delete(path)


_MP4_WAYS = (
    _mp4_way(_set(_nam="Another title")),
    _mp4_way(_set(covr=[MP4Cover(_IMAGE)])),
    _mp4_way(_set(_lyr="La la\n" * 500)),
    _mp4_way(_set(trkn=[(3, 12)], disk=[(1, 2)])),
    _mp4_way(_set(_nam="x"), padding=lambda info: 70_000),
    _mp4_way(_set(covr=[MP4Cover(_IMAGE)] * 3), padding=lambda info: 0),
    _mp4_way(lambda song: song.update({"----:com.apple.iTunes:MEDIA": MP4FreeForm(b"CD")})),
    _mp4_way(lambda song: song.tags.clear()),  # pyright: ignore[reportOptionalMemberAccess]
    lambda path: MP4(path).delete(path),
    _mp4_twice,
)


def _flac_way(change: Callable[[FLAC], object], **options: object) -> Callable[[Path], object]:
    def way(path: Path) -> None:
        song = FLAC(path)
        change(song)
        song.save(path, **options)  # pyright: ignore[reportArgumentType]

    return way


def _flac_picture(song: FLAC) -> None:
    picture = Picture()
    picture.data, picture.mime, picture.type = _IMAGE, "image/jpeg", 3
    song.add_picture(picture)


def _without_pictures(path: Path) -> None:
    _flac_way(_flac_picture)(path)
    _flac_way(lambda song: song.clear_pictures(), padding=lambda info: 0)(path)


def _with_and_without_id3(path: Path) -> None:
    _id3_way(_picture)(path)
    _flac_way(lambda song: song.update({"title": "x"}), deleteid3=True)(path)


_FLAC_WAYS = (
    _flac_way(lambda song: song.update({"title": "Another title"})),
    _flac_way(_flac_picture),
    _flac_way(lambda song: song.update({"lyrics": "La la\n" * 500})),
    _flac_way(lambda song: song.update({"title": "x"}), padding=lambda info: 70_000),
    _flac_way(_flac_picture, padding=lambda info: 0),
    lambda path: FLAC(path).delete(path),
    _without_pictures,
    _id3_way(_title),
    _with_and_without_id3,
    _ape,
)


def picture_comment(data: bytes) -> str:
    """A picture as Vorbis comments hold it."""
    picture = Picture()
    picture.data, picture.mime, picture.type = data, "image/jpeg", 3
    return base64.b64encode(picture.write()).decode()


def _tag_way(
    kind: type[FileType], change: Callable[[Any], object], **options: object
) -> Callable[[Path], object]:
    def way(path: Path) -> None:
        song: Any = kind(path)
        if song.tags is None:
            song.add_tags()
        change(song.tags)
        song.save(path, **options)

    return way


def _each(*ways: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda path: [way(path) for way in ways]


def _comment_ways(kind: type[FileType]) -> tuple[Callable[[Path], object], ...]:
    """Of Ogg: tags that fill several pages, and fewer again, so that all pages move."""

    def setting(padding: int | None = None, **comments: str) -> Callable[[Path], object]:
        options = {} if padding is None else {"padding": lambda info: padding}
        return _tag_way(kind, lambda tags: tags.update(comments), **options)

    picture, cover = picture_comment(_IMAGE), base64.b64encode(_IMAGE).decode()
    delete: Callable[[Path], object] = lambda path: kind(path).delete(path)  # noqa: E731
    return (
        setting(title="Another title"),
        setting(metadata_block_picture=picture),
        setting(lyrics="La la\n" * 500),
        setting(title="x", padding=70_000),
        setting(metadata_block_picture=picture, padding=0),
        delete,
        _tag_way(kind, lambda tags: (tags.clear(), tags.update(title="y"))),
        _each(setting(metadata_block_picture=picture), delete),
        setting(coverart=cover),
        _tag_way(kind, lambda tags: tags.extend(("genre", f"{n}") for n in range(300))),
    )


def _chunk_ways(kind: type[FileType]) -> tuple[Callable[[Path], object], ...]:
    """Of WAV and AIFF, which have ID3 tags in a chunk."""
    delete: Callable[[Path], object] = lambda path: kind(path).delete(path)  # noqa: E731
    return (
        _tag_way(kind, _title),
        _tag_way(kind, _picture),
        _tag_way(kind, _lyrics, v2_version=3),
        _tag_way(kind, _title, padding=lambda info: 70_000),
        _tag_way(kind, _picture, padding=lambda info: 0),
        delete,
        _tag_way(kind, lambda tags: tags.clear() or _title(tags)),
        _each(_tag_way(kind, _picture), delete),
        _tag_way(kind, _title, padding=lambda info: 1),
        _each(_tag_way(kind, _lyrics), _tag_way(kind, _title, padding=lambda info: 0)),
    )


WAYS: dict[str, tuple[Callable[[Path], object], ...]] = {
    "flac": _FLAC_WAYS,
    "mp3": _ID3_WAYS,
    "m4a": _MP4_WAYS,
    "aac": _ID3_WAYS,
    "ogg": _comment_ways(OggVorbis),
    "opus": _comment_ways(OggOpus),
    "wav": _chunk_ways(WAVE),
    "aiff": _chunk_ways(AIFF),
}


def songs(directory: Path, kind: str, seeds: Iterable[object]) -> list[Path]:
    return [make_song(directory / f"{seed}.{kind}", seed) for seed in seeds]
