"""Text of strangers, made fit for each format."""

from __future__ import annotations

import unicodedata
from html import escape

#: They turn the text after them around, or are not seen at all.
_STEERING = set("\u200b\u200e\u200f\u2028\u2029\ufeff") | {
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


def clean(text: str) -> str:
    """Without what a format cannot hold or what steers a display; newlines stay."""
    text = text.replace("\r\n", "\n").replace("\t", " ")
    return "".join("\ufffd" if _refused(char) else char for char in text)


def _refused(char: str) -> bool:
    if char == "\n":
        return False
    # U+FFFE and U+FFFF are no characters of XML.
    return unicodedata.category(char) in {"Cc", "Cs"} or char in _STEERING or char in "\ufffe\uffff"


def line(text: str) -> str:
    """In one line."""
    return " ".join(clean(text).split())


def shortened(text: str, length: int) -> str:
    """In one line of at most so many characters."""
    text = line(text)
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def html(text: str) -> str:
    r"""For Graphviz's labels that look like HTML; in them too, `\N` would be a node's name."""
    # An empty <B></B> is an error to Graphviz.
    return escape(line(text)).replace("\\", "\\\\") or "&#160;"
