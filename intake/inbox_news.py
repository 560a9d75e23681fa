"""What an inbox tells people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from attrs import define, field, frozen


class What(StrEnum):
    """What has happened."""

    #: Brought in; it has left the inbox, or stays where that was asked for.
    DONE = "done"
    REFUSED = "refused"
    #: It could not be brought in now, and is tried again.
    LATER = "later"
    #: Not brought in, and not refused: it stays.
    LEFT = "left"
    #: It waits until it is whole.
    COMING = "coming"
    #: The inbox is not there, or the library cannot be used; that is waited for.
    WAITING = "waiting"
    #: What was waited for is there.
    BACK = "back"


@frozen
class News:
    """Something that a person may want to know."""

    what: What
    #: Of an entry, or of entries that belong together; empty where it is about all.
    name: str
    text: str
    #: What was refused, where it is now.
    path: Path | None = None


@define
class Teller:
    """Tells each thing once, and counts."""

    tell: Callable[[News], object]
    counts: Counter[What] = field(factory=Counter, init=False)
    _told: set[tuple[str, str]] = field(factory=set, init=False)

    def __call__(self, what: What, name: str, text: str, path: Path | None = None) -> None:
        """Tells of what has happened."""
        self.counts[what] += 1
        self.tell(News(what, name, text, path))

    def once(self, what: What, name: str, text: str, key: str | None = None) -> None:
        """Tells how something is, unless that was told already; `key`: what `forget` calls it."""
        known = (name if key is None else key, text)
        if known not in self._told:
            self._told.add(known)
            self(what, name, text)

    def forget(self, key: str) -> bool:
        """It is not so any more; whether anything was told of it."""
        told = {known for known in self._told if known[0] == key}
        self._told -= told
        return bool(told)
