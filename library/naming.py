"""The naming scheme of the Music Directory, both ways: paths to parts and parts to paths.

The scheme is MusicDB's: what is placed by it, its server finds and reads back. All paths are
relative to the Music Directory. A value of this module always has a valid path: making one that
has none raises `InvalidPath`.

A name in a value is the real one: "AC/DC". In a path its slash is U+2215 DIVISION SLASH, so a
U+2215 in a name counts as a slash.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NoReturn

from attrs import field, frozen

from ..errors import InvalidPath
from ..files import check_relative
from .audio_formats import ALL_FORMATS, DEFAULT_FORMATS, AudioFormats, extension_of

VIDEO_EXTENSIONS = frozenset({"m4v", "mp4", "webm"})

ALBUM_SCHEME = "{artist}/{year} - {album}"
#: Followed by the extensions.
SONG_SCHEME = f"{ALBUM_SCHEME}/[{{disc}}-]{{number}} {{song}}."
VIDEO_SCHEME = "{artist}/{year} - {video}.{m4v, mp4 or webm}"

#: The longest name that Linux file systems take, in bytes.
NAME_LIMIT_BYTES = 255

#: Bidirectional controls (Unicode's `Bidi_Control`) and U+2028, U+2029: with them in a name, a
#: person sees another one.
MISLEADING = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"
)

#: What divides the parts of a name, and what looks like it and does not.
_SEPARATOR, _DASH = " - ", " \u2013 "

#: So many paths are remembered with their parts: an album's are asked for again and again.
_REMEMBERED = 1024
_ALBUM = re.compile(r"([0-9]{4}) - (.+)", re.DOTALL)
# Four digits: enough for every song, and always an integer that SQLite can hold.
_SONG = re.compile(r"(?:([0-9]{1,4})-)?([0-9]{1,4}) (.+)\.([^.]+)", re.DOTALL)
_VIDEO = re.compile(r"([0-9]{4}) - (.+)\.([^.]+)", re.DOTALL)


def encode_name(name: str) -> str:
    """A name as it stands in a path: slashes as U+2215."""
    return name.replace("/", "\u2215")


def decode_name(text: str) -> str:
    """A name from a path: U+2215 as slashes."""
    return text.replace("\u2215", "/")


def _refuse(path: str, reason: str, scheme: str) -> NoReturn:
    raise InvalidPath(path, f"{reason}; expected {scheme}")


def _check(path: str, scheme: str, *names: str) -> None:
    try:
        check_relative(path)
    except InvalidPath as error:
        _refuse(path, error.reason, scheme)
    if not all(name.strip() for name in names):
        _refuse(path, "a name in it is empty", scheme)


def _check_range(path: str, what: str, value: int | None, scheme: str) -> None:
    if value is not None and not 0 <= value <= 9999:
        _refuse(path, f"{what} {value} is not between 0 and 9999", scheme)


@lru_cache(maxsize=16)
def _song_scheme(formats: AudioFormats) -> str:
    return f"{SONG_SCHEME}{{{formats}}}"


def _check_song_extension(path: str, extension: str, formats: AudioFormats) -> None:
    if extension.lower() not in formats.extensions:
        reason = formats.why_no_song(path) or f"{extension!r} is no song's extension"
        _refuse(path, reason, _song_scheme(formats))


@frozen
class AlbumPath:
    """`{artist}/{year} - {album}`: an album directory."""

    artist: str = field(converter=decode_name)
    #: Four digits.
    year: int
    album: str = field(converter=decode_name)

    def __attrs_post_init__(self) -> None:
        _check(self.path, ALBUM_SCHEME, self.artist, self.album)
        _check_range(self.path, "the year", self.year, ALBUM_SCHEME)

    @property
    def directory_name(self) -> str:
        return f"{self.year:04d} - {encode_name(self.album)}"

    @property
    def path(self) -> str:
        return f"{encode_name(self.artist)}/{self.directory_name}"


@frozen
class SongPath:
    """`{number} {song}.{ext}`, or `{disc}-{number} {song}.{ext}`, in an album directory.

    The extension is that of any song: which kinds a library has is asked where paths come from.
    """

    artist: str = field(converter=decode_name)
    year: int
    album: str = field(converter=decode_name)
    #: None in the form of one-disc albums, which names no disc. See `cd`.
    disc: int | None
    number: int
    song: str = field(converter=decode_name)
    #: In the case it has in the path.
    extension: str

    def __attrs_post_init__(self) -> None:
        path, scheme = self.path, _song_scheme(DEFAULT_FORMATS)
        _check(path, scheme, self.artist, self.album, self.song)
        _check_range(path, "the year", self.year, scheme)
        _check_range(path, "the disc", self.disc, scheme)
        _check_range(path, "the song number", self.number, scheme)
        _check_song_extension(path, self.extension, ALL_FORMATS)

    @property
    def cd(self) -> int:
        """The number of the disc; the one disc of a one-disc album is 1."""
        return 1 if self.disc is None else self.disc

    @property
    def album_path(self) -> AlbumPath:
        return AlbumPath(self.artist, self.year, self.album)

    @property
    def file_name(self) -> str:
        disc = "" if self.disc is None else f"{self.disc}-"
        return f"{disc}{self.number:02d} {encode_name(self.song)}.{self.extension}"

    @property
    def path(self) -> str:
        album = f"{self.year:04d} - {encode_name(self.album)}"
        return f"{encode_name(self.artist)}/{album}/{self.file_name}"


@frozen
class VideoPath:
    """`{artist}/{year} - {video}.{ext}`: a music video."""

    artist: str = field(converter=decode_name)
    year: int
    video: str = field(converter=decode_name)
    #: One of `VIDEO_EXTENSIONS`, in the case it has in the path.
    extension: str

    def __attrs_post_init__(self) -> None:
        _check(self.path, VIDEO_SCHEME, self.artist, self.video)
        _check_range(self.path, "the year", self.year, VIDEO_SCHEME)
        if self.extension.lower() not in VIDEO_EXTENSIONS:
            _refuse(self.path, f"{self.extension!r} is no video's extension", VIDEO_SCHEME)

    @property
    def path(self) -> str:
        name = f"{self.year:04d} - {encode_name(self.video)}.{self.extension}"
        return f"{encode_name(self.artist)}/{name}"


def _split(path: str, parts: int, scheme: str) -> list[str]:
    _check(path, scheme)
    names = path.split("/")
    if len(names) != parts:
        _refuse(path, f"it has {len(names)} parts instead of {parts}", scheme)
    return names


def parse_album(path: str) -> AlbumPath:
    """The parts of an album directory's path.

    Raises:
        InvalidPath: It is no such path.
    """
    _check(path, ALBUM_SCHEME)  # also what is no text, and cannot be remembered
    return _parse_album(path)


@lru_cache(maxsize=_REMEMBERED)
def _parse_album(path: str) -> AlbumPath:
    artist, name = _split(path, 2, ALBUM_SCHEME)
    match = _ALBUM.fullmatch(name)
    if match is None:
        _refuse(path, f"{name!r} is not a year, ' - ' and a name", ALBUM_SCHEME)
    year, album = match.groups()
    return AlbumPath(artist, int(year), album)


def parse_song(path: str, formats: AudioFormats = DEFAULT_FORMATS) -> SongPath:
    """The parts of the path of a song of one of these formats.

    Numbers need no leading zero; `.path` of the result always has two digits at least.

    Raises:
        InvalidPath: It is no such path.
    """
    _check(path, _song_scheme(formats))
    return _parse_song(path, formats)


@lru_cache(maxsize=_REMEMBERED)
def _parse_song(path: str, formats: AudioFormats) -> SongPath:
    scheme = _song_scheme(formats)
    artist, directory, name = _split(path, 3, scheme)
    album = parse_album(f"{artist}/{directory}")
    match = _SONG.fullmatch(name)
    if match is None:
        _refuse(path, f"{name!r} is not a number, a space, a name and an extension", scheme)
    disc, number, song, extension = match.groups()
    _check_song_extension(path, extension, formats)
    return SongPath(
        artist=album.artist,
        year=album.year,
        album=album.album,
        disc=None if disc is None else int(disc),
        number=int(number),
        song=song,
        extension=extension,
    )


def parse_video(path: str) -> VideoPath:
    """The parts of a music video's path.

    Raises:
        InvalidPath: It is no such path.
    """
    artist, name = _split(path, 2, VIDEO_SCHEME)
    match = _VIDEO.fullmatch(name)
    if match is None:
        _refuse(path, f"{name!r} is not a year, ' - ', a name and an extension", VIDEO_SCHEME)
    year, video, extension = match.groups()
    return VideoPath(artist, int(year), video, extension)


def is_video(name: str) -> bool:
    """Whether the extension of a file name (or path) is a video's."""
    return extension_of(name) in VIDEO_EXTENSIONS


def album_of(path: str) -> AlbumPath:
    """The album that a song's or another album file's path lies in.

    Raises:
        InvalidPath: It is no path of a file in an album directory.
    """
    artist, directory, _ = _split(path, 3, f"{ALBUM_SCHEME}/{{file}}")
    return parse_album(f"{artist}/{directory}")


def check_album_file(path: str, formats: AudioFormats = DEFAULT_FORMATS) -> AlbumPath:
    """The album of the path of a song, a booklet or any other file of an album.

    `formats` say which extensions are a song's.

    Raises:
        InvalidPath: The path is not `{artist}/{year} - {album}/{file}`, the file's name begins
            with a dot (those are hidden files and our temporaries), or it has a song's extension
            and does not follow the naming scheme of songs.
    """
    album = album_of(path)
    name = path.rpartition("/")[2]
    if name.startswith("."):
        _refuse(path, "the file name begins with a dot", f"{ALBUM_SCHEME}/{{file}}")
    if formats.is_song(name):
        parse_song(path, formats)
    return album


def check_new_file(path: str, formats: AudioFormats = DEFAULT_FORMATS) -> AlbumPath:
    """`check_album_file` for a path that a client names: of what is new, more is asked.

    What is on disk already is taken as it is, so nothing here is asked of that.

    Raises:
        InvalidPath: As `check_album_file`; or a part of the path begins with a dot, a name in it
            begins or ends with white space, one of `MISLEADING` is in it, or the extension of a
            song is not in lower case, which MusicDB would not read.
    """
    album = check_album_file(path, formats)
    if formats.is_song(path):
        song = parse_song(path, formats)
        _check_new(path, album.album, song.song)
        _check_new_extension(path, song.extension)
    else:
        _check_new(path, album.album)
    return album


def check_new_album(path: str) -> AlbumPath:
    """`parse_album` for a path that a client names; raises InvalidPath as `check_new_file`."""
    album = parse_album(path)
    _check_new(path, album.album)
    return album


def check_new_video(path: str) -> VideoPath:
    """`parse_video` for a path that a client names.

    Raises:
        InvalidPath: As `check_new_file`; or ` - ` is in the video's name, where MusicDB would end
            it.
    """
    video = parse_video(path)
    _check_new(path, video.video)
    _check_new_extension(path, video.extension)
    if _SEPARATOR in video.video:
        other = video.video.replace(_SEPARATOR, _DASH)
        raise InvalidPath(
            path,
            f"MusicDB would not read the name of the video back, as there is {_SEPARATOR!r} in it; "
            f"it can have another dash ({other!r}), or none",
        )
    return video


def _check_new_extension(path: str, extension: str) -> None:
    lower = extension.lower()
    if extension != lower:
        raise InvalidPath(
            path, f"MusicDB reads extensions in lower case only: end it in '.{lower}'"
        )


def _check_new(path: str, *names: str) -> None:
    parts = path.split("/")
    if any(part.startswith(".") for part in parts):
        raise InvalidPath(path, "a part of it begins with a dot")
    if any(name != name.strip() for name in (*parts, *names)):
        raise InvalidPath(path, "a name in it begins or ends with white space")
    for character in path:
        if character in MISLEADING:
            code = f"U+{ord(character):04X}"
            raise InvalidPath(path, f"it holds {code}, with which it looks like another name")
