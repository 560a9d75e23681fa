"""What a song file tells of itself: length, bitrate, tags, the embedded picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from attrs import field, frozen

from .audio_formats import DEFAULT_FORMATS, AudioFormats

# mutagen is imported by whoever reads a song: songs that are known are not read.
if TYPE_CHECKING:
    import mutagen.id3

    from .formats import OpenedSong

#: No name of an artist, an album or a song is longer, in characters; the rest is cut off.
NAME_LIMIT = 1000
#: A longer text is not the lyrics of one song and is left out.
LYRICS_LIMIT = 100_000


#: The artist of an album whose songs have several.
VARIOUS_ARTISTS = "Various Artists"


@frozen(kw_only=True)
class SongTags:
    """What a song file tells of itself; None where it does not."""

    #: Several artists are separated by a comma.
    artist: str | None = None
    album_artist: str | None = None
    album: str | None = None
    #: Four digits.
    year: int | None = None
    disc: int | None = None
    #: How many discs the album has.
    disc_count: int | None = None
    number: int | None = None
    title: str | None = None
    playtime_s: int
    #: In bit/s.
    bitrate: int
    #: 'iTunes', 'bandcamp', 'Amazon', 'Google', 'music163', 'CD' or 'internet'; see `find_origin`.
    origin: str = "internet"
    lyrics: str | None = None
    #: It says that it is one of a compilation of several artists.
    compilation: bool = False
    mime_type: str
    #: A picture is embedded.
    has_picture: bool = field(default=False, eq=False)

    @property
    def artist_of_album(self) -> str | None:
        """The artist whom the tags name as the whole album's; None where they name none."""
        return self.album_artist or (VARIOUS_ARTISTS if self.compilation else None)


def read_song(file: BinaryIO, name: str, formats: AudioFormats = DEFAULT_FORMATS) -> SongTags:
    """Read a song of any of these formats; the extension of `name` says which.

    Raises:
        MediaError: It names `name`: not what its extension says, broken, or without audio.
        OSError: The disk could not be read.
    """
    from .formats import open_song

    song = open_song(file, name, formats)
    found = _fields(song.tags)
    return SongTags(
        artist=_text(found.artist, join=True),
        album_artist=_text(found.album_artist, join=True),
        album=_text(found.album),
        year=_year(found.date),
        disc=_number(found.disc),
        disc_count=_number(found.disc_count),
        number=_number(found.number),
        title=_text(found.title),
        playtime_s=max(1, round(song.length_s)),
        bitrate=max(1, int(song.bitrate_bits)),
        origin=find_origin(found) or ("CD" if song.mime_type == "audio/flac" else "internet"),
        lyrics=_lyrics(found.lyrics),
        compilation=_number(found.compilation) is not None,
        mime_type=song.mime_type,
        has_picture=_picture(song) is not None,
    )


def read_picture(
    file: BinaryIO, name: str, formats: AudioFormats = DEFAULT_FORMATS
) -> bytes | None:
    """The bytes of a song's first embedded picture, as they are; None where it has none.

    Raises:
        MediaError, OSError: As `read_song`.
    """
    from .formats import open_song

    return _picture(open_song(file, name, formats))


def _picture(song: OpenedSong) -> bytes | None:
    import mutagen.id3

    tags = song.tags
    pictures: Iterable[bytes] = song.pictures
    if song.mime_type == "audio/mp4" and tags is not None:
        pictures = (bytes(cover) for cover in tags.get("covr", ()))
    elif isinstance(tags, mutagen.id3.ID3):
        # The type "-->" is a link instead of a picture.
        pictures = (p.data for p in tags.getall("APIC") if p.mime != "-->")
    return next(filter(None, pictures), None)


@frozen(kw_only=True)
class TagFields:
    """The values of a file's tags, in the file's order, whatever format they have."""

    artist: list[str] = field(factory=list)
    album_artist: list[str] = field(factory=list)
    album: list[str] = field(factory=list)
    #: The best evidence first.
    date: list[str] = field(factory=list)
    disc: list[str] = field(factory=list)
    disc_count: list[str] = field(factory=list)
    number: list[str] = field(factory=list)
    title: list[str] = field(factory=list)
    lyrics: list[str] = field(factory=list)
    #: "1" in the songs of a compilation.
    compilation: list[str] = field(factory=list)
    #: Comments, links and the owners of private frames: where shops leave their names.
    notes: list[str] = field(factory=list)
    #: The kind of medium the song comes from.
    media: list[str] = field(factory=list)
    #: The names of the tags, in lower case.
    keys: frozenset[str] = frozenset()


def find_origin(found: TagFields) -> str | None:
    """Where a song comes from, as far as its tags tell; None where they don't.

    music163: a comment that begins with `163 key` (NetEase's client writes it).
    bandcamp: a comment or link with `bandcamp.com` ("Visit https://….bandcamp.com").
    Amazon: a comment `Amazon.com Song ID …`, or a private frame of `amazon.com`. An ASIN says
    nothing: taggers write it for music from anywhere.
    Google: a private frame of `Google/…` (`Google/StoreId`, `Google/UITS`), which Google Play Music
    writes into the MP3 files that it sells.
    iTunes: the buyer's account, owner or date (MP4 `apID`, `ownr`, `purd`). What iTunes writes
    into every file it encodes says nothing.
    CD: the disc's table of contents or database id (ID3 `MCDI`, tags named `CDTOC`, `DISCID`,
    `CDDB…`, `iTunes_CDDB…`, `AccurateRip…`), or the medium `CD`.
    """
    notes = [note.strip().lower() for note in found.notes]
    if any(note.startswith("163 key") for note in notes):
        return "music163"
    if any("bandcamp.com" in note for note in notes):
        return "bandcamp"
    if any(re.search(r"^amazon\.com song id|\bamazon\.(com|de|co\.|fr)", n) for n in notes):
        return "Amazon"
    if any(key.startswith("priv:google/") for key in found.keys):
        return "Google"
    if found.keys & {"apid", "ownr", "purd"}:
        return "iTunes"
    names = {key.rpartition(":")[2] for key in found.keys}
    on_disc = ("cdtoc", "cddb", "itunes_cddb", "discid", "accuraterip")
    if "mcdi" in names or any(name.startswith(on_disc) for name in names):
        return "CD"
    return "CD" if any(medium.strip().upper() == "CD" for medium in found.media) else None


def _fields(tags: Any) -> TagFields:
    import mutagen.id3
    import mutagen.mp4

    if isinstance(tags, mutagen.id3.ID3):
        return _id3_fields(tags)
    if isinstance(tags, mutagen.mp4.MP4Tags):
        return _mp4_fields(tags)
    return TagFields() if tags is None else _vorbis_fields(tags)


def _vorbis_fields(tags: Any) -> TagFields:
    def of(*names: str) -> list[str]:
        return [value for name in names for value in tags.get(name, ())]

    return TagFields(
        artist=of("artist"),
        album_artist=of("albumartist") or of("album artist"),
        album=of("album"),
        date=of("date", "year"),
        disc=of("discnumber", "disc"),
        disc_count=of("disctotal", "totaldiscs") or _after_slash(of("discnumber", "disc")),
        number=of("tracknumber", "track"),
        title=of("title"),
        lyrics=of("lyrics", "unsyncedlyrics"),
        compilation=of("compilation"),
        notes=of("comment", "description", "url", "contact", "website"),
        media=of("media", "sourcemedia"),
        keys=frozenset(key.lower() for key in tags.keys()),  # noqa: SIM118 - a list with keys()
    )


def _id3_fields(tags: mutagen.id3.ID3) -> TagFields:
    def of(*names: str) -> list[str]:
        frames = (frame for name in names for frame in tags.getall(name))
        return [str(text) for frame in frames for text in _texts(frame)]

    return TagFields(
        artist=of("TPE1"),
        album_artist=of("TPE2"),
        album=of("TALB"),
        # mutagen has made TDRC of the TYER of older versions.
        date=of("TDRC", "TDRL", "TDOR"),
        disc=of("TPOS"),
        disc_count=_after_slash(of("TPOS")),
        number=of("TRCK"),
        title=of("TIT2"),
        lyrics=of("USLT"),
        compilation=of("TCMP"),
        notes=of("COMM", "WXXX", "WOAF", "WOAR", "WOAS", "WPUB", "WCOM", "PRIV", "UFID"),
        media=of("TMED"),
        keys=frozenset(key.lower() for key in tags),
    )


def _texts(frame: Any) -> Iterator[Any]:
    """What an ID3 frame says: its texts, its link, or the name of whoever owns it."""
    text = getattr(frame, "text", None)
    if isinstance(text, list):
        yield from text
    elif text is not None:
        yield text
    for name in ("url", "owner"):
        if (value := getattr(frame, name, None)) is not None:
            yield value


def _mp4_fields(tags: Any) -> TagFields:
    def of(*names: str) -> list[str]:
        return [_mp4_text(value) for name in names for value in tags.get(name, ())]

    def pairs(name: str, place: int) -> list[str]:
        return [str(pair[place]) for pair in tags.get(name, ())]

    return TagFields(
        artist=of("\xa9ART"),
        album_artist=of("aART"),
        album=of("\xa9alb"),
        date=of("\xa9day"),
        disc=pairs("disk", 0),
        disc_count=pairs("disk", 1),
        number=pairs("trkn", 0),
        title=of("\xa9nam"),
        lyrics=of("\xa9lyr"),
        compilation=["1"] if tags.get("cpil") else [],
        notes=of("\xa9cmt", "\xa9url", "purl", "desc"),
        media=of("----:com.apple.iTunes:MEDIA"),
        keys=frozenset(key.lower() for key in tags),
    )


def _mp4_text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _after_slash(values: list[str]) -> list[str]:
    """The second number of each "1/2"."""
    return [value.partition("/")[2] for value in values]


def _text(values: list[str], *, join: bool = False) -> str | None:
    texts = [text for value in values if (text := value.replace("\0", "").strip())]
    if not texts:
        return None
    # dict.fromkeys: each once, in their order.
    return (", ".join(dict.fromkeys(texts)) if join else texts[0])[:NAME_LIMIT]


def _number(values: list[str]) -> int | None:
    """The number that a value begins with, 1 to 9999: "3" and "03/12" are 3."""
    for value in values:
        if match := re.match(r"\s*0*([1-9][0-9]{0,3})(?![0-9])", value):
            return int(match[1])
    return None


def _year(values: list[str]) -> int | None:
    """The year that a date begins with: "2020", "2020-05-17"."""
    for value in values:
        match = re.match(r"\s*([0-9]{4})(?![0-9])", value)
        if match and int(match[1]):
            return int(match[1])
    return None


def _lyrics(values: list[str]) -> str | None:
    texts = (value.replace("\0", "").replace("\r\n", "\n").strip() for value in values)
    return next((text for text in texts if 0 < len(text) <= LYRICS_LIMIT), None)
