"""Names and paths made of any text: from tags, or from a person."""

from __future__ import annotations

import unicodedata

from .audio_formats import ALL_FORMATS
from .naming import (
    MISLEADING,
    NAME_LIMIT_BYTES,
    AlbumPath,
    SongPath,
    VideoPath,
    check_new_video,
    parse_album,
    parse_song,
)

#: A longer "extension" is no extension but a part of the name.
EXTENSION_LIMIT_BYTES = 16

# In a component: a slash would divide it, files/ refuses a backslash, and names with a leading dot
# are hidden files and our own temporaries. Each becomes the character that looks like it.
_LOOKALIKES = str.maketrans({"/": "\u2215", "\\": "\u2216"})
_LEADING_DOT = "\u2024"


def safe_name(text: str, extension: str = "") -> str:
    """One component of a path, made of any text: from a tag, say.

    NFC; line ends and tabs become spaces, other control characters (bidirectional ones too) and
    lone surrogates go, spaces at both ends too. A slash becomes U+2215, a backslash U+2216, a
    leading dot U+2024 (hidden files and our temporaries begin with one). Cut to 255 bytes with the
    extension (no dot in it) kept; an extension over 16 bytes counts as text. Text of which nothing
    is left becomes `_`.
    """
    text, extension = _clean(text), _clean(extension.lstrip("."))
    if len(extension.encode()) > EXTENSION_LIMIT_BYTES:
        text, extension = _clean(f"{text}.{extension}"), ""
    suffix = f".{extension}" if extension else ""
    room_bytes = NAME_LIMIT_BYTES - len(suffix.encode())
    stem = text.encode()[:room_bytes].decode(errors="ignore").rstrip()
    return f"{stem or '_'}{suffix}"


def _clean(text: str) -> str:
    # Invariant: NFC comes after the removal, which brings letters and their accents together.
    name = unicodedata.normalize("NFC", _plain(text)).translate(_LOOKALIKES).strip()
    return _LEADING_DOT + name[1:] if name.startswith(".") else name


def _plain(text: str) -> str:
    if text.isascii() and text.isprintable():  # what most are, at a tenth of the price
        return text.strip()
    return "".join(map(_kept, text)).strip()


def _kept(char: str) -> str:
    if char in MISLEADING or unicodedata.category(char) in {"Cc", "Cs"}:
        return " " if char.isspace() else ""
    return char


def safe_album_path(artist: str, year: int, album: str) -> AlbumPath:
    """The path of an album whose names come from tags: `safe_name` of each part.

    Raises:
        InvalidPath: The album's name is empty, or the year has not four digits.
    """
    directory = f"{year:04d} - {_plain(album)}"
    return parse_album(f"{safe_name(artist)}/{safe_name(directory)}")


def safe_song_path(
    album: AlbumPath, disc: int | None, number: int, song: str, extension: str
) -> SongPath:
    """The path of a song whose name comes from tags; `disc` None in a one-disc album.

    The extension, of a song of any kind, becomes lower case.

    Raises:
        InvalidPath: The name is empty, or a number or the extension is no song's.
    """
    prefix = "" if disc is None else f"{disc}-"
    return parse_song(
        f"{album.path}/{safe_name(f'{prefix}{number:02d} {_plain(song)}', extension.lower())}",
        ALL_FORMATS,
    )


def safe_video_path(artist: str, year: int, video: str, extension: str) -> VideoPath:
    """The path of a video whose names a person gave; the extension becomes lower case.

    Raises:
        InvalidPath: The name is empty or has ` - ` in it, the year has not four digits, or the
            extension is no video's.
    """
    name = safe_name(f"{year:04d} - {_plain(video)}", extension.lower())
    return check_new_video(f"{safe_name(artist)}/{name}")
