"""What was found out about songs a moment ago, in this process: the next stage does not read again.

Two things are kept, of a bounded number of songs: what bytes with a SHA-1 say of themselves, and
which bytes a file has that looks just as it did. Whoever finds nothing here reads the file.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from attrs import define, field, frozen

from .known_files import FileIdentity
from .tags import SongTags

_MOST = 1024
#: Longer lyrics are not kept.
_LYRICS_MOST = 4000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@frozen
class RecentBytes:
    """The hashes of a file's bytes, hex digits."""

    sha1: str
    sha256: str
    #: As of `Digests`.
    audio: str | None


@define(eq=False)
class _Bounded(Generic[K, V]):
    """A dictionary that forgets what was noted first."""

    _values: OrderedDict[K, V] = field(factory=OrderedDict, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._values[key] = value
            if len(self._values) > _MOST:
                self._values.popitem(last=False)

    def get(self, key: K) -> V | None:
        return self._values.get(key)


_tags: _Bounded[tuple[str, str], SongTags] = _Bounded()
_bytes: _Bounded[FileIdentity, RecentBytes] = _Bounded()


def note_tags(sha1: str, name: str, tags: SongTags) -> None:
    """Bytes with this SHA-1 say this, as what the extension of the name says."""
    if len(tags.lyrics or "") <= _LYRICS_MOST:
        _tags.put((sha1.lower(), _kind(name)), tags)


def recent_tags(sha1: str | None, name: str) -> SongTags | None:
    return None if sha1 is None else _tags.get((sha1.lower(), _kind(name)))


def note_bytes(identity: FileIdentity, found: RecentBytes) -> None:
    """A file that looks like this has these bytes.

    Only for files that were just placed by us, under a name that nobody knew before: others may be
    written to within the granularity of their times.
    """
    _bytes.put(identity, found)


def recent_bytes(identity: FileIdentity) -> RecentBytes | None:
    return _bytes.get(identity)


def _kind(name: str) -> str:
    return name.rpartition(".")[2].lower()
