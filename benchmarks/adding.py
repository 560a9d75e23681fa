"""`musictasks add` of an album collection, beside `beet import -A -q`, which copies the same files.

beets has an environment of its own in the cache directory of the user, made at the first run. Where
it cannot be installed, its ratio is left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from figures import Figure
from musictasks.library import sample_album

ALBUMS, SONGS = 100, 10


def measure(directory: Path) -> Iterator[Figure]:
    music = directory / "incoming"
    make_songs(music, ALBUMS, SONGS)
    what = f"{ALBUMS * SONGS:,} songs"
    library = directory / "library"
    add = [str(Path(sys.executable).parent / "musictasks"), "add", str(music)]
    add += ["--library", str(library)]
    added_s = seconds(add)
    _expect(library / "music")
    yield Figure(f"musictasks add, {what}, fsync", added_s, "s")
    beet = _beet()
    if beet is None:
        yield Figure("beet import -A -q", 0, "s", note="beets cannot be installed: left out")
    else:
        beet_s = _import_by_beets(beet, directory / "beets", music)
        yield Figure(f"beet import -A -q, {what}", beet_s, "s")
        yield Figure("  musictasks add, times beet", added_s / beet_s, "x", 1)
    yield Figure("musictasks add again, nothing to do", seconds(add), "s", 1)


def make_songs(music: Path, albums: int, songs: int) -> None:
    """Real FLACs with tags, each another one by a byte in its padding."""
    import mutagen.flac

    source = sample_album() / "01 Morgenroete.flac"
    for album in range(albums):
        directory = music / f"Artist {album % 20:02}" / f"{2000 + album // 20} - Album {album}"
        directory.mkdir(parents=True)
        for number in range(1, songs + 1):
            path = directory / f"{number:02} Song {album} {number}.flac"
            shutil.copyfile(source, path)
            song = mutagen.flac.FLAC(path)
            song.update(
                {
                    "artist": f"Artist {album % 20:02}",
                    "album": f"Album {album}",
                    "date": str(2000 + album // 20),
                    "title": f"Song {album} {number}",
                    "tracknumber": str(number),
                }
            )
            song.save()


def _expect(music: Path) -> None:
    found = sum(1 for _ in music.rglob("*.flac"))
    if found != ALBUMS * SONGS:
        raise RuntimeError(f"{found} songs were added, not {ALBUMS * SONGS}")


def _import_by_beets(beet: Path, directory: Path, music: Path) -> float:
    directory.mkdir()
    (directory / "config.yaml").write_text(
        f"directory: {directory / 'music'}\nlibrary: {directory / 'library.db'}\nplugins: []\n"
        "import: {copy: yes, write: no}\n"
    )
    environment = {**os.environ, "BEETSDIR": str(directory)}
    took_s = seconds([str(beet), "import", "-A", "-q", str(music)], environment)
    _expect(directory / "music")
    return took_s


def seconds(command: list[str], environment: dict[str, str] | None = None) -> float:
    begun = perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return perf_counter() - begun


def _beet() -> Path | None:
    """The program of an environment of its own; None where it cannot be made."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    environment = cache / "musictasks-benchmarks" / "beets"
    beet = environment / "bin" / "beet"
    if not beet.exists():
        venv.create(environment, with_pip=True)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "beets"]
        if subprocess.run(pip, stderr=subprocess.DEVNULL, check=False).returncode:
            return None
    return beet if beet.exists() else None
