"""The libraries that killed processes work on: what they are made of, and what is in them then."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
import stat
import tempfile
from pathlib import Path
from typing import Any

from crashkit import ledger_rows
from musictasks.library import MusicDatabase

#: The three databases, by the names of their files.
DATABASE = "music.db"
CACHE = "scancache.db"
LEDGER = "ledger.db"


def make_config(directory: Path) -> Path:
    """A `musicdb.ini` for a library in `directory`: small artwork, several chunks a file."""
    directory.mkdir()
    config = directory / "musicdb.ini"
    config.write_text(
        "[directories]\nmusic = music\ndata = data\n"
        "[albumcover]\nscales = 16, 32\n"
        "[tasks]\nchunksize = 16384\n"
    )
    return config


def snapshot(library: Path) -> dict[str, Any]:
    """All that a library is, but for times: files by hash, directories, modes, database rows."""
    found: dict[str, Any] = {}
    for path in sorted(library.rglob("*")):
        status = path.lstat()
        mode, name = stat.filemode(status.st_mode), str(path.relative_to(library))
        if path.name in {DATABASE, CACHE, LEDGER, "tasks.owner.json"}:
            found[name] = mode
        elif stat.S_ISREG(status.st_mode):
            found[name] = (mode, hashlib.sha256(path.read_bytes()).hexdigest())
        else:
            found[name] = mode
    found["rows"] = rows = MusicDatabase(library / "data" / DATABASE).rows()
    with contextlib.closing(sqlite3.connect(library / "data" / DATABASE)) as connection:
        for table in ("albums", "videos"):
            # The modification time of the album's directory, or the time of the import.
            columns = connection.execute(f"PRAGMA table_info({table})")
            added = [column[1] for column in columns].index("added")
            rows[table] = [(*row[:added], None, *row[added + 1 :]) for row in rows[table]]
    found["ledger"] = ledger_rows(library / "data" / LEDGER)
    found["cached"] = {row[0]: row[-1] for row in cached(library)}
    return found


def cached(library: Path) -> list[tuple[str, int, int, int, str]]:
    """The rows of the scan's cache: path, size, mtime_ns, inode, SHA-256.

    As the next program will find them: what a killed one left undone is undone in a copy.
    """
    files = list((library / "data").glob(f"{CACHE}*"))
    with tempfile.TemporaryDirectory() as directory:
        for file in files:
            shutil.copyfile(file, Path(directory, file.name))
        with contextlib.closing(sqlite3.connect(Path(directory, CACHE))) as connection:
            if not connection.execute("SELECT * FROM sqlite_master").fetchall():
                return []
            return connection.execute("SELECT * FROM checksums").fetchall()


def lies(library: Path) -> list[str]:
    """What the scan's cache says of files that are as it has seen them, and is not so."""
    wrong = []
    for path, *seen, sha256 in cached(library):
        file = library / "music" / path
        status = file.stat()
        if [status.st_size, status.st_mtime_ns, status.st_ino] == seen:
            found = hashlib.sha256(file.read_bytes()).hexdigest()
            wrong += [f"{path} has {found}, and not {sha256}"] if found != sha256 else []
    return wrong
