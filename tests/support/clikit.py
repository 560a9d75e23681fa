"""Albums to add, and what a library holds afterwards."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import mutagen
from attrs import frozen
from forking import ForkedCommand
from musictasks.library import sample_album
from musictasks.music import Settings

ARTIST = "Søren Größenwald"
ALBUM = f"{ARTIST}/2020 - Über den Wäldern"
#: The sample album's files and what becomes of them.
TARGETS = {
    "01 Morgenroete.flac": f"{ALBUM}/01 Morgenröte.flac",
    "02 Ebbe-Flut.mp3": f"{ALBUM}/02 Ebbe∕Flut.mp3",
    "03 Nacht - Reprise.m4a": f"{ALBUM}/03 Nacht - Reprise.m4a",
    "booklet.pdf": f"{ALBUM}/booklet.pdf",
    "cover.png": f"{ALBUM}/cover.png",
}
FLAC, MP3, M4A, BOOKLET, COVER = TARGETS


def copy_album(folder: Path, *names: str) -> Path:
    """A copy of the sample album, or of some of its files, that may be changed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or TARGETS:
        shutil.copyfile(sample_album() / name, folder / name)
    return folder


def retag(song: Path, **tags: str | None) -> Path:
    """Sets tags by mutagen's easy names (`albumartist`, `tracknumber`); None deletes one."""
    file = mutagen.File(song, easy=True)
    assert file is not None
    for name, value in tags.items():
        if value is not None:
            file[name] = value
        elif name in file:
            del file[name]
    file.save()
    return song


def files_in(directory: Path) -> dict[str, str]:
    """The SHA-256 of every file below a directory, hidden ones too, by relative path."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@frozen
class Library:
    """A library in a directory, looked at without any code of ours."""

    root: Path

    @property
    def settings(self) -> Settings:
        return Settings.in_directory(self.root)

    @property
    def music(self) -> dict[str, str]:
        return files_in(self.root / "music")

    @property
    def leftovers(self) -> list[str]:
        """Task files, upload data, and temporary files anywhere."""
        data = self.root / "data"
        found = [*(data / "tasks").iterdir(), *(data / "uploads").iterdir()]
        hidden = [path for path in self.root.rglob(".*") if path.is_file()]
        return sorted(str(path.relative_to(self.root)) for path in {*found, *hidden})

    @property
    def artwork(self) -> dict[str, str]:
        return files_in(self.root / "data" / "webdata" / "artwork")

    @property
    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        """All rows but the time at which an album was added."""
        with closing(sqlite3.connect(self.root / "data" / "music.db")) as connection:
            connection.row_factory = sqlite3.Row
            names = connection.execute("select name from sqlite_master where type = 'table'")
            tables = sorted(name for (name,) in names)
            return {table: list(_rows(connection, table)) for table in tables}

    @property
    def content(self) -> tuple[object, ...]:
        """All of it, to compare with another one."""
        return self.music, self.rows, self.artwork, self.leftovers


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[tuple[object, ...]]:
    for row in connection.execute(f'select * from "{table}"'):
        yield tuple(row[column] for column in row.keys() if column != "added")  # noqa: SIM118


def start(*arguments: object, anew: bool = False) -> subprocess.Popen[str]:
    """A real `musictasks`, as a process: forked from one that is warm, or begun anew."""
    command = list(map(str, arguments))
    kind: type[subprocess.Popen[str]] = ForkedCommand
    if anew:
        kind, command = subprocess.Popen, [sys.executable, "-m", "musictasks.cli", *command]
    return kind(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def run(*arguments: object, anew: bool = False) -> tuple[int, str, str]:
    """Runs a real `musictasks` to its end: exit status, output, complaints."""
    with start(*arguments, anew=anew) as process:
        output, complaints = process.communicate(timeout=60)
        return process.returncode, output, complaints


def settings_file(library: Library, *lines: str) -> Path:
    """A musicdb.ini for the library, with these lines in [tasks].

    Its artwork is scaled to few pixels: to scale all is half of the work to add an album.
    """
    path = library.root.parent / "musicdb.ini"
    directories = f"[directories]\nmusic={library.root}/music\ndata={library.root}/data\n"
    path.write_text(
        "\n".join([directories, "[albumcover]", "scales=16", "[tasks]", *lines, ""]),
        encoding="utf-8",
    )
    return path


def slow_run(
    library: Library,
    added: Path,
    until: Callable[[Path], bool],
    *options: object,
    chunk_bytes: int = 100,
) -> tuple[subprocess.Popen[str], Path]:
    """A real `add`, in small chunks, and its settings file; the condition holds, or held.

    The condition is asked with the library's data directory.
    """
    config = settings_file(library, f"chunksize={chunk_bytes}")
    process, data = start("add", "--config", config, added, *options), library.root / "data"
    # A second of imports, before there is anything to be missed.
    while process.poll() is None and not (data / "tasks").exists():
        time.sleep(0.005)
    while process.poll() is None:
        with suppress(FileNotFoundError):  # gone between two looks
            if until(data):
                break
    return process, config
