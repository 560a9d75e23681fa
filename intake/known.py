"""What the ledger knows of the files in the Music Directory, so that they are not read."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Mapping

from attrs import define, field

from ..errors import LedgerUnusable
from ..library import LedgerEntry, is_as_seen
from ..music import Settings, ledger, music_directory, places_of_files

_log = logging.getLogger(__name__)


@define(eq=False)
class Known:
    """Asks the ledger once for each directory. It may lag behind, so it never says that a file is
    other than it was, or not there.
    """

    settings: Settings
    #: By the path of an album, or of a video.
    _entries: dict[str, dict[str, LedgerEntry]] = field(factory=dict, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def entry(self, path: str, status: os.stat_result) -> LedgerEntry | None:
        """What is known of the bytes of a file that looks like this; None where nothing is."""
        above = path.rpartition("/")[0]
        scope = above if "/" in above else path
        with self._lock:
            if scope not in self._entries:
                self._entries[scope] = self._read(scope)
            entry = self._entries[scope].get(path)
        return entry if entry is not None and is_as_seen(status, entry) else None

    def entries(self, looks: Mapping[str, os.stat_result]) -> dict[str, LedgerEntry]:
        """What is known of files that look like this, by path; as far as something is."""
        found = ((path, self.entry(path, status)) for path, status in looks.items())
        return {path: entry for path, entry in found if entry is not None}

    def forget(self, album_path: str) -> None:
        """More is known of an album by now."""
        with self._lock:
            self._entries.pop(album_path, None)

    def places(self, wanted: Iterable[tuple[str, str, int]]) -> list[list[str]]:
        """Where uploads are already, as far as is known: of each content type, SHA-1 and size."""
        return places_of_files(ledger(self.settings), music_directory(self.settings), list(wanted))

    def _read(self, scope: str) -> dict[str, LedgerEntry]:
        try:
            return ledger(self.settings).entries(scope)
        except LedgerUnusable as error:
            _log.info("%s", error)
            return {}
