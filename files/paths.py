"""What a path from outside may be: relative, plain, and nothing that means something else.

Nothing is normalised: what is on disk is what counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from ..errors import InvalidPath

#: What the file systems take as one name, in bytes of UTF-8.
NAME_MAX_BYTES = 255
#: What Linux takes as one path, in bytes of UTF-8.
PATH_MAX_BYTES = 4096
#: A task's work checks few paths, each many times; those of so many checks are known.
_REMEMBERED = 512
#: What most paths are: nothing but names.
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9 ._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9 ._-]*)*")


def is_plain(path: str) -> bool:
    """Whether a look is enough to see that `check_relative` takes it."""
    return len(path) <= NAME_MAX_BYTES and _PLAIN.fullmatch(path) is not None


def check_relative(path: str) -> tuple[str, ...]:
    """The parts of a relative path.

    Raises:
        InvalidPath: it is no text, empty, absolute or too long, or one of its parts is no name.
    """
    if not isinstance(path, str):
        raise InvalidPath(repr(path), "it is not text")
    return _parts(path)


@lru_cache(maxsize=_REMEMBERED)
def _parts(path: str) -> tuple[str, ...]:
    if is_plain(path):
        return tuple(path.split("/"))
    if not path:
        raise InvalidPath(path, "it is empty")
    if path.startswith("/"):
        raise InvalidPath(path, "it is absolute, but has to be relative")
    parts = tuple(path.split("/"))
    if len(path) * 4 >= PATH_MAX_BYTES and len(_encode(path, path)) >= PATH_MAX_BYTES:
        raise InvalidPath(path, f"it is longer than {PATH_MAX_BYTES - 1} bytes")
    for part in parts:
        _check_part(part, path)
    return parts


def check_name(name: str) -> str:
    """The same for one single name; returns it.

    Raises:
        InvalidPath: as `check_relative`, or it holds a slash.
    """
    if len(check_relative(name)) != 1:
        raise InvalidPath(name, "it holds a slash, but has to be one name")
    return name


def _check_part(part: str, path: str) -> None:
    if not part:
        raise InvalidPath(path, "it has an empty part (two slashes, or one at the end)")
    if part in (".", ".."):
        raise InvalidPath(path, f"{part!r} may not be part of it")
    if "\\" in part:
        raise InvalidPath(path, "it holds a backslash")
    if not part.isprintable():
        _check_characters(part, path)
    if len(part) * 4 > NAME_MAX_BYTES and len(_encode(part, path)) > NAME_MAX_BYTES:
        raise InvalidPath(path, f"a part of it is longer than {NAME_MAX_BYTES} bytes")


def _check_characters(part: str, path: str) -> None:
    # Surrogates are not printable either, so short parts need no encoding to find them.
    _encode(part, path)
    for character in part:
        if unicodedata.category(character) == "Cc":
            raise InvalidPath(path, f"it holds the control character U+{ord(character):04X}")


def _encode(text: str, path: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidPath(path, "it holds half of a surrogate pair, which is no text") from None


def same_name(name: str) -> str:
    """The form in which two names are compared that some file systems hold for the same one."""
    if name.isascii():  # what most are, at a tenth of the price
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def find_same_name(name: str, names: Sequence[str]) -> str | None:
    """The first of some names that some file systems hold for the same one as `name`."""
    wanted, together = same_name(name), "/".join(names)
    # Large directories mostly have plain names, and none is the same: all are asked at once.
    if together.isascii() and f"/{wanted}/" not in f"/{together.lower()}/":
        return None
    return next((other for other in names if same_name(other) == wanted), None)
