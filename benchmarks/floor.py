"""The floor: the bare file operations of the ways that are measured, in one thread."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from musictasks.files.effects import Effects

#: A task file is made once and exchanged so often, from `waitforchunk` to `remove`.
SAVES_OF_A_TASK = 8
_RECORD_BYTES = 1800


class BareWay:
    """An uploaded file's way into the library: the same files, names and fsyncs, nothing else.

    Its directory is made; data and SHA-1 come in; the task file is made, exchanged at each
    change and removed; the file gets its place in the library, and its directory goes.
    """

    def __init__(self, root: Path, data: bytes, *, durable: bool) -> None:
        for name in ("tasks", "uploads", "music/Artist/Album"):
            (root / name).mkdir(parents=True)
        self._data, self._durable, self._numbers = data, durable, count()
        self._tasks = _open_directory(root / "tasks")
        self._uploads = _open_directory(root / "uploads")
        self._album = _open_directory(root / "music/Artist/Album")
        self._exchange = Effects().exchange

    def __call__(self, tasks: int) -> None:
        for _ in range(tasks):
            self._task(f"{next(self._numbers):08}")

    def _task(self, name: str) -> None:
        file, record = f"{name}.json", b"x" * _RECORD_BYTES
        self._write(f".{file}.tmp", record, self._tasks)
        os.rename(f".{file}.tmp", file, src_dir_fd=self._tasks, dst_dir_fd=self._tasks)
        self._sync(self._tasks)
        os.mkdir(name, dir_fd=self._uploads)
        own = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._uploads)
        self._write("data", self._data, own)
        self._sync(own)
        for _ in range(SAVES_OF_A_TASK):
            self._write(f".{file}.tmp", record, self._tasks)
            self._exchange(f".{file}.tmp", file, dir_fd=self._tasks)
            self._sync(self._tasks)
            os.unlink(f".{file}.tmp", dir_fd=self._tasks)
        os.rename("data", f"{name}.pdf", src_dir_fd=own, dst_dir_fd=self._album)
        self._sync(self._album)
        os.close(own)
        os.rmdir(name, dir_fd=self._uploads)
        os.unlink(file, dir_fd=self._tasks)
        self._sync(self._tasks)

    def _write(self, name: str, data: bytes, dir_fd: int) -> None:
        fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o664, dir_fd=dir_fd)
        os.pwrite(fd, data, 0)
        self._sync(fd)
        os.close(fd)

    def _sync(self, fd: int) -> None:
        if self._durable:
            os.fsync(fd)


def _open_directory(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)
