"""`python benchmarks/scan.py`: scans of 20,000 real songs in 2,000 albums; takes about a minute.

Each song is a real MP3 of some kB with bytes of its own. The floor of a scan is what walking the
same directories and asking `stat` of each file costs, in the same run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from attrs import frozen
from figures import Figure, interleaved, ratio
from musictasks.library import MusicDatabase, MusicDirectory, sample_album
from musictasks.music import MusicEngine, Settings, open_library
from musictasks.statemachine import MusicTask

ARTISTS, ALBUMS, SONGS = 200, 10, 10


@frozen
class Measured:
    what: str
    wall_s: float
    cpu_s: float
    found: str = ""

    def __str__(self) -> str:
        return f"{self.what:<46}{self.wall_s:>8.2f} s{self.cpu_s:>8.2f} s CPU  {self.found}"


def measured(what: str, work: Callable[[], str]) -> Measured:
    before, begun = getrusage(RUSAGE_SELF), perf_counter()
    found = work()
    wall_s, after = perf_counter() - begun, getrusage(RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(what, wall_s, cpu_s, found)


def make_library(music: Path) -> str:
    """Tiny but real songs; what stands after the last frame makes each another one."""
    data = (sample_album() / "02 Ebbe-Flut.mp3").read_bytes()
    for artist in range(ARTISTS):
        for album in range(ALBUMS):
            directory = music / f"Artist {artist:03}" / f"{2000 + album} - Album {album}"
            directory.mkdir(parents=True)
            for song in range(1, SONGS + 1):
                text = f"{artist} {album} {song}"
                (directory / f"{song:02} Song {song}.mp3").write_bytes(data + text.encode())
    return f"{ARTISTS * ALBUMS * SONGS} files"


def walk(music: Path) -> str:
    """The floor: every directory read, every file asked for its state, nothing else."""
    files = 0
    for directory, _, names in os.walk(music):
        for name in names:
            os.stat(f"{directory}/{name}")  # noqa: PTH116 - as little as can be
            files += 1
    return f"{files} files"


def scan(engine: MusicEngine) -> str:
    return _told(engine.wait(engine.scan().id, "fsscancomplete", timeout=3600))


def _told(task: MusicTask) -> str:
    found = task.annotations
    new, lost = found["newpaths"], found["lostpaths"]
    return (
        f"new {len(new['albums'])} albums {len(new['songs'])} songs, lost {len(lost['albums'])} "
        f"albums {len(lost['songs'])} songs, moved {len(found['movedpaths'])}"
    )


def import_all(settings: Settings) -> str:
    music, database = MusicDirectory(settings.music), MusicDatabase(settings.database)
    for album in music.albums():
        database.import_album(music, album)
    return f"{len(database.songs())} songs"


def measure(directory: Path) -> Iterator[Figure]:
    """The part of it that `make bench` has: a scan of what the database knows, and its floor."""
    settings = Settings.in_directory(directory)
    make_library(settings.music)
    with open_library(settings) as engine:
        import_all(settings)
        scan(engine)  # hashes
        scans_us, walks_us = interleaved(
            5, 1, lambda _: scan(engine), lambda _: walk(settings.music), clock=process_time
        )
    files = f"{ARTISTS * ALBUMS * SONGS:,} known files"
    yield Figure(f"a walk with stat, {files}", median(walks_us) / 1e6, "s CPU")
    yield Figure(f"a scan, {files}", median(scans_us) / 1e6, "s CPU")
    yield Figure("  times the walk", ratio(scans_us, walks_us), "x", 2)


def measure_all(directory: Path) -> Iterator[Measured]:
    settings = Settings.in_directory(directory)
    yield measured("make the library", lambda: make_library(settings.music))
    yield measured("read directories, stat files (floor)", lambda: walk(settings.music))
    with open_library(settings) as engine:
        yield measured("first scan: all is new, and hashed", lambda: scan(engine))
        yield measured("second scan: all is new, none hashed", lambda: scan(engine))
        yield measured("import of all albums", lambda: import_all(settings))
        yield measured("scan, the database has all", lambda: scan(engine))
        yield measured("the same again", lambda: scan(engine))
        old = settings.music / "Artist 000" / "2000 - Album 0"
        old.rename(settings.music / "Artist 001" / "1999 - Moved")
        yield measured("one album moved", lambda: scan(engine))
        yield measured("the same again", lambda: scan(engine))


def main() -> None:
    with TemporaryDirectory(prefix=".bench-", dir=Path(__file__).parent) as directory:
        for line in measure_all(Path(directory)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
