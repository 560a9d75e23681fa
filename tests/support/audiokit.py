"""Songs of every kind with audio of their own, and ten ways in which taggers write into each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3, TIT2, TXXX, USLT, ID3NoHeaderError
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm

_RATE = 44100
_SAMPLES = 4 * 1152
_CODECS = {
    "flac": ("flac", "flac"),
    "mp3": ("mp3", "mp3"),
    "m4a": ("aac", "ipod"),
    "aac": ("aac", "adts"),
}
KINDS = tuple(_CODECS)

_IMAGE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 800


def make_song(path: Path, seed: object) -> Path:
    """A short song whose noise no other seed gives."""
    kind = path.suffix[1:]
    codec, container = _CODECS[kind]
    noise = random.Random(f"{kind} {seed}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=_RATE, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=_SAMPLES)
        frame.rate, frame.pts = _RATE, 0
        quiet = bytearray(noise.randbytes(2 * _SAMPLES))
        quiet[1::2] = bytes((byte & 7) if byte & 8 else 0xFF - (byte & 7) for byte in quiet[1::2])
        frame.planes[0].update(bytes(quiet))
        resampler = av.AudioResampler(
            format=stream.codec_context.format,
            layout="mono",
            rate=_RATE,
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

WAYS: dict[str, tuple[Callable[[Path], object], ...]] = {
    "flac": _FLAC_WAYS,
    "mp3": _ID3_WAYS,
    "m4a": _MP4_WAYS,
    "aac": _ID3_WAYS,
}


def songs(directory: Path, kind: str, seeds: Iterable[object]) -> list[Path]:
    return [make_song(directory / f"{seed}.{kind}", seed) for seed in seeds]
