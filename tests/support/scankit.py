"""Small libraries of real songs, each with bytes of its own, for the tests of the scan."""

from __future__ import annotations

import hashlib
from pathlib import Path

from attrs import frozen
from musictasks.library import (
    DEFAULT_FORMATS,
    AudioFormats,
    MusicDatabase,
    MusicDirectory,
    ScanResult,
    sample_album,
    scan,
)

_SONG = (sample_album() / "02 Ebbe-Flut.mp3").read_bytes()


def song_bytes(text: str) -> bytes:
    """A real song that no other text gives: players skip what stands after the last frame."""
    return _SONG + text.encode()


@frozen
class Shelf:
    """A Music Directory, its database and the cache of the scan, in one directory."""

    root: Path
    formats: AudioFormats = DEFAULT_FORMATS

    @property
    def music(self) -> MusicDirectory:
        return MusicDirectory(self.root / "music", formats=self.formats)

    @property
    def database(self) -> MusicDatabase:
        return MusicDatabase(self.root / "data" / "music.db", busy_timeout_s=0.01)

    @property
    def cache(self) -> Path:
        return self.root / "data" / "scancache.db"

    def path(self, path: str) -> Path:
        return self.music.root / path

    def prepare(self) -> Shelf:
        self.music.root.mkdir(parents=True)
        self.cache.parent.mkdir()
        self.database.prepare()
        return self

    def put(self, *paths: str, text: str | None = None) -> None:
        """Makes songs; those of one text have the same bytes."""
        for path in paths:
            file = self.path(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(song_bytes(path if text is None else text))

    def import_album(self, album: str, *names: str) -> list[str]:
        """An album that the database has; the paths of its songs."""
        paths = [f"{album}/{name}" for name in names]
        self.put(*paths)
        self.database.import_album(self.music, album)
        return paths

    def scan(self) -> ScanResult:
        return scan(self.music, self.database, self.cache)

    def checksum(self, path: str) -> str:
        return hashlib.sha256(self.path(path).read_bytes()).hexdigest()
