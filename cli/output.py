"""What the command line prints, and how nothing dangerous of a name gets through."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from .printable import printable


def text(value: object, style: str = "") -> Text:
    """A value for tables, trees and lines: printable, and no markup."""
    return Text(printable(value), style=style)


def make_console(*, stderr: bool = False) -> Console:
    """A console that prints what it is given: no markup, no emoji codes, no guessed colours."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def say(console: Console, *parts: object, style: str = "") -> None:
    """One line, however long: a pipe's reader gets it whole, a terminal folds it."""
    console.print(line(*parts), style=style, soft_wrap=True)


def line(*parts: object) -> Text:
    """A line of printable parts, for `say` or `say_all`."""
    return Text.assemble(*(part if isinstance(part, Text) else text(part) for part in parts))


def say_all(console: Console, lines: Iterable[Text]) -> None:
    """Several lines together, as `say` says each."""
    console.print(Text("\n").join(lines), soft_wrap=True)


def bytes_text(size: int) -> str:
    """A number of bytes for people: 63.9 kB."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def count(number: int, one: str, many: str | None = None) -> str:
    """1 song, 2 songs."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def near(path: Path) -> str:
    """The path as a person would write it from here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
