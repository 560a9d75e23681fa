"""Text that no name in it can steer a terminal with."""

from __future__ import annotations

import unicodedata

#: Joiners are part of words and emoji; every other invisible character is shown as an escape.
_JOINERS = "\u200c\u200d"
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: object) -> str:
    r"""The text with escapes (`\x1b`, `\u202e`) for what would steer a terminal or hide in it."""
    return "".join(map(_shown, str(text)))


def _shown(char: str) -> str:
    if char in _JOINERS or unicodedata.category(char) not in _INVISIBLE:
        return char
    return char.encode("unicode_escape").decode("ascii")
