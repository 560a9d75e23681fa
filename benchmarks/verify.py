"""`python benchmarks/verify.py`: the ledger of 20,000 songs; takes about two minutes, and 10 GB.

What verifying costs beside `sha256sum` that reads the same files, in the same run, and what a
question before an upload costs. Songs have 0.5 MB: a tenth of real ones, so that what is paid for
each file counts ten times as much.
"""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha1
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from musictasks.library import Verified, verify
from musictasks.music import MusicEngine, Settings, ledger, music_directory, open_library

ARTISTS, ALBUMS, SONGS = 200, 10, 10
SONG_BYTES = 512 * 1024
ROUNDS, QUESTIONS = 3, 2000


def make_library(music: Path) -> list[Path]:
    """Files of random bytes: what is in them costs a hash the same."""
    files = []
    for artist in range(ARTISTS):
        for album in range(ALBUMS):
            directory = music / f"Artist {artist:03}" / f"{2000 + album} - Album {album}"
            directory.mkdir(parents=True)
            for song in range(1, SONGS + 1):
                files.append(directory / f"{song:02} Song {song}.mp3")
                files[-1].write_bytes(os.urandom(SONG_BYTES))
    return files


def sha256sum(files: list[Path]) -> float:
    begun = perf_counter()
    names = "\0".join(map(str, files)).encode()
    subprocess.run(["xargs", "-0", "sha256sum"], input=names, stdout=subprocess.DEVNULL, check=True)
    return perf_counter() - begun


def verified(settings: Settings) -> tuple[float, Verified]:
    begun = perf_counter()
    found = verify(music_directory(settings), ledger(settings))
    return perf_counter() - begun, found


def ask(engine: MusicEngine, checksum: str) -> float:
    begun = perf_counter()
    engine.preflight(content_type="albumfile", checksum=checksum, file_size=SONG_BYTES)
    return perf_counter() - begun


def measure(directory: Path) -> None:
    settings = Settings.in_directory(directory)
    files = make_library(settings.music)
    settings.data.mkdir()
    size_gb = len(files) * SONG_BYTES / 1e9
    print(f"{len(files)} files, {size_gb:.1f} GB")
    sha256sum(files)  # warm, as far as memory goes
    seconds, found = verified(settings)
    print(f"made anew: {seconds:.1f} s, {found.counts}")
    theirs, ours = [], []
    for _ in range(ROUNDS):
        theirs.append(sha256sum(files))
        seconds, found = verified(settings)
        assert found.complete
        assert found.findings == ()
        ours.append(seconds)
    their_s, our_s = median(theirs), median(ours)
    print(f"sha256sum: {their_s:.1f} s; verify: {our_s:.1f} s; {their_s / our_s:.2f} of its speed")
    with open_library(settings) as engine:
        known = [sha1(file.read_bytes()).hexdigest() for file in files[: len(files) // 100]]
        there = sorted(ask(engine, known[number % len(known)]) for number in range(QUESTIONS))
        new = sorted(ask(engine, f"{number:040x}") for number in range(QUESTIONS))
    for what, times in (("that is there", there), ("that is not", new)):
        middle, late = times[len(times) // 2] * 1e6, times[len(times) * 99 // 100] * 1e6
        print(f"preflight of a song {what}: {middle:.0f} µs, 99 %: {late:.0f} µs")


def main() -> None:
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    with TemporaryDirectory(prefix=".bench-", dir=where) as directory:
        measure(Path(directory))


if __name__ == "__main__":
    main()
