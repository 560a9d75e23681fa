"""A Music Directory and its ledger, and what can befall the files in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from attrs import frozen
from musictasks.library import Ledger, MusicDirectory, Verified, verify
from scankit import song_bytes


@frozen
class Archive:
    """A Music Directory of songs, and the ledger that knows them."""

    root: Path

    @property
    def music(self) -> MusicDirectory:
        return MusicDirectory(self.root / "music")

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.root / "data" / "ledger.db", durable=False, busy_timeout_s=0.1)

    def path(self, path: str) -> Path:
        return self.music.root / path

    def put(self, *paths: str) -> None:
        (self.root / "data").mkdir(parents=True, exist_ok=True)
        for path in paths:
            self.path(path).parent.mkdir(parents=True, exist_ok=True)
            self.path(path).write_bytes(song_bytes(path))

    def verify(self, scope: str = "", **options: object) -> Verified:
        return verify(self.music, self.ledger, scope, **options)  # pyright: ignore[reportArgumentType]

    def told(self, scope: str = "", **options: object) -> dict[str, str]:
        """The verdicts on all files that are not the same."""
        found = self.verify(scope, **options)
        return {finding.path: str(finding.verdict) for finding in found.findings}


def rot(path: Path, at: int = 5000) -> None:
    """A bit flips, and no time tells."""
    keeping_time(path, lambda: _flip(path, at))


def keeping_time(path: Path, change: Callable[[], object]) -> None:
    status = path.stat()
    change()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def edit(path: Path) -> None:
    """A person writes, and the time tells."""
    status = path.stat()
    _flip(path, 6000)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
