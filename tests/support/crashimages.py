"""Every disk that a power cut could leave, out of the recorded effects of one run.

What is durable: a file's data after the fsync of that file, names after the fsync of their
directory. Of what came since, each name operation is there or not, independently of the others
(an exchange or a rename is one; from one directory into another it is one until one of the two is
synced), and each file has the old data, the new, a torn or a zeroed part.
SQLite's own writes are not recorded: the database is taken as it was at that moment.
"""

from __future__ import annotations

import functools
import itertools
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import Factory, define, frozen
from crashkit import Struck

#: Of the name operations since the last fsync so many are combined in every way. One task alone
#: never has more.
_OPEN_MOST = 10

#: What a name operation sets in one directory, at once: the node of each name, None for no name.
Names = Mapping[str, int | None]


@frozen
class Cut:
    """The instant before an effect: what the database was and what had been told."""

    #: So many operations were done.
    operations: int
    database: bytes
    told: int


@frozen
class Operation:
    """One recorded effect on a node, a file or a directory."""

    node: int
    names: Names | None = None
    #: The same for the two halves of a rename from one directory into another.
    rename: int | None = None
    #: The whole content of the file after a write or truncate.
    data: bytes | None = None
    synced: bool = False


@define
class Image:
    """One possible disk: files by path, and the directories."""

    files: dict[str, bytes] = Factory(dict)
    directories: set[str] = Factory(set)
    #: By path: which file it is; several names may be one.
    nodes: dict[str, int] = Factory(dict)

    def lay_out(self, root: Path) -> None:
        """Makes it a real one; an empty directory must be at `root`."""
        for name in sorted(self.directories):
            (root / name).mkdir()
        names: dict[int, Path] = {}
        for name, data in self.files.items():
            first = names.setdefault(self.nodes.get(name, -len(names) - 1), root / name)
            if first == root / name:
                first.write_bytes(data)
            else:
                (root / name).hardlink_to(first)


class Recording(Struck):
    """Does the effects below `root`, and keeps them with their data."""

    def __init__(self, root: Path, database: Path, told: Callable[[], int]) -> None:
        super().__init__(lambda number, name: None)
        #: So many name operations are combined in every way.
        self.combined_most = _OPEN_MOST
        self.operations: list[Operation] = []
        self.cuts: list[Cut] = []
        self.contents: dict[int, bytes] = {}
        self.base_names: dict[int, dict[str, int]] = {}
        self._database, self._told = database, told
        self._nodes: dict[int, int] = {}
        self._numbers = itertools.count()
        self._disks = set[tuple[object, ...]]()
        self.root = self._scan(root)
        self.base = dict(self.contents)

    def _scan(self, path: Path) -> int:
        node = self._new(path.stat().st_ino)
        if path.is_dir():
            self.base_names[node] = {below.name: self._scan(below) for below in path.iterdir()}
        else:
            self.contents[node] = path.read_bytes()
        return node

    def _new(self, inode: int) -> int:
        self._nodes[inode] = next(self._numbers)
        return self._nodes[inode]

    def _at(self, name: str, dir_fd: int) -> int | None:
        try:
            return self._nodes[os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_ino]
        except FileNotFoundError:
            return None

    def _of(self, fd: int) -> int:
        return self._nodes[os.fstat(fd).st_ino]

    def cut(self) -> None:
        """Here the power may fail."""
        database = self._database.read_bytes() if self._database.exists() else b""
        self.cuts.append(Cut(len(self.operations), database, self._told()))

    def perform(self, name: str, *args: Any, **kwargs: Any) -> Any:
        self.cut()
        return getattr(self, f"_{name}")(*args, **kwargs)

    def _put(self, dir_fd: int, names: Names, rename: int | None = None) -> None:
        self.operations.append(Operation(self._of(dir_fd), names=names, rename=rename))

    def _write_down(self, node: int, data: bytes) -> None:
        self.contents[node] = data
        self.operations.append(Operation(node, data=data))

    def _open(self, path: str, flags: int, mode: int = 0o666, *, dir_fd: int) -> int:
        before = self._at(path, dir_fd)
        fd = super().perform("open", path, flags, mode, dir_fd=dir_fd)
        if before is None:
            node = self._new(os.fstat(fd).st_ino)
            self.contents[node] = b""
            self._put(dir_fd, {path: node})
        return fd

    def _write(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        count = super().perform("write", fd, data, offset)
        node = self._of(fd)
        old, new = self.contents[node], bytes(data[:count])
        padded = old[:offset].ljust(offset, b"\0")
        self._write_down(node, padded + new + old[offset + count :])
        return count

    def _truncate(self, fd: int, length: int) -> None:
        super().perform("truncate", fd, length)
        node = self._of(fd)
        self._write_down(node, self.contents[node][:length].ljust(length, b"\0"))

    def _fsync(self, fd: int) -> None:
        self.operations.append(Operation(self._of(fd), synced=True))

    def _chmod(self, fd: int, mode: int) -> None:
        super().perform("chmod", fd, mode)

    def _link(self, src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        node = self._at(src, src_dir_fd)
        super().perform("link", src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        self._put(dst_dir_fd, {dst: node})

    def _rename_noreplace(self, src: str, dst: str, **fds: int) -> None:
        self._rename("rename_noreplace", src, dst, **fds)

    def _replace(self, src: str, dst: str, **fds: int) -> None:
        self._rename("replace", src, dst, **fds)

    def _rename(self, how: str, src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        node = self._at(src, src_dir_fd)
        super().perform(how, src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        if self._of(src_dir_fd) == self._of(dst_dir_fd):
            self._put(dst_dir_fd, {src: None, dst: node})
        else:
            rename = len(self.operations)
            self._put(src_dir_fd, {src: None}, rename)
            self._put(dst_dir_fd, {dst: node}, rename)

    def _exchange(self, a: str, b: str, *, dir_fd: int) -> None:
        one, other = self._at(a, dir_fd), self._at(b, dir_fd)
        super().perform("exchange", a, b, dir_fd=dir_fd)
        self._put(dir_fd, {a: other, b: one})

    def _unlink(self, name: str, *, dir_fd: int) -> None:
        super().perform("unlink", name, dir_fd=dir_fd)
        self._put(dir_fd, {name: None})

    def _mkdir(self, name: str, mode: int, *, dir_fd: int) -> None:
        super().perform("mkdir", name, mode, dir_fd=dir_fd)
        made = self._new(os.stat(name, dir_fd=dir_fd).st_ino)
        assert stat.S_ISDIR(os.stat(name, dir_fd=dir_fd).st_mode)
        self.base_names[made] = {}
        self._put(dir_fd, {name: made})

    def _rmdir(self, name: str, *, dir_fd: int) -> None:
        super().perform("rmdir", name, dir_fd=dir_fd)
        self._put(dir_fd, {name: None})

    def images(self, cut: Cut) -> Iterator[Image]:
        """The disks that a power cut at this instant could leave.

        Not those that another cut left at which as much was told; still, some may be the same.
        """
        names: dict[int, dict[str, int | None]] = defaultdict(dict)
        names.update({node: dict(found) for node, found in self.base_names.items()})
        open_names: list[Operation] = []
        durable: dict[int, bytes] = dict(self.base)
        latest: dict[int, bytes] = {}
        for operation in self.operations[: cut.operations]:
            node = operation.node
            if operation.names is not None:
                open_names.append(operation)
            elif operation.data is not None:
                latest[node] = operation.data
            else:
                if node in latest:
                    durable[node] = latest.pop(node)
                for synced in [one for one in open_names if one.node == node]:
                    names[node].update(synced.names or {})
                    open_names.remove(synced)
        undecided = _steps(open_names)
        for chosen in _choices(len(undecided), self.combined_most):
            found = {node: dict(entries) for node, entries in names.items()}
            for operation in itertools.chain(*itertools.compress(undecided, chosen)):
                found[operation.node].update(operation.names or {})
            entries = frozenset(
                (node, name, below)
                for node, names_there in found.items()
                for name, below in names_there.items()
                if below is not None
            )
            for data in _variants(durable, latest):
                disk = (cut.told, cut.database, entries, frozenset(data.items()))
                if disk not in self._disks:
                    self._disks.add(disk)
                    image = Image()
                    self._fill(image, found, data, self.root, "")
                    yield image

    def _fill(
        self,
        image: Image,
        names: Mapping[int, Mapping[str, int | None]],
        data: Mapping[int, bytes],
        node: int,
        path: str,
    ) -> None:
        for name, below in names[node].items():
            place = f"{path}{name}"
            if below is None:
                continue
            if below in self.base_names:
                image.directories.add(place)
                self._fill(image, names, data, below, f"{place}/")
            else:
                image.files[place] = data.get(below, b"")
                image.nodes[place] = below


def _steps(operations: list[Operation]) -> list[list[Operation]]:
    """What is there as a whole or not at all: single operations, and both halves of a rename."""
    steps: dict[int, list[Operation]] = {}
    for number, operation in enumerate(operations):
        key = -number - 1 if operation.rename is None else operation.rename
        steps.setdefault(key, []).append(operation)
    return list(steps.values())


def _choices(many: int, combined_most: int) -> Iterator[tuple[bool, ...]]:
    """Which of so many name operations are there.

    Every choice; of more than can be combined all, none, each alone missing, each alone there, and
    those before any instant.
    """
    if many <= combined_most:
        yield from itertools.product((False, True), repeat=many)
        return
    for number in range(many):
        yield tuple(other != number for other in range(many))
        yield tuple(other == number for other in range(many))
    for count in range(many + 1):
        yield tuple(other < count for other in range(many))


def _variants(durable: dict[int, bytes], latest: dict[int, bytes]) -> Iterator[dict[int, bytes]]:
    """All of the data that is not durable, none of it, and of each file alone nothing or a part."""
    whole = {**durable, **latest}
    yield whole
    yield durable
    for node, data in latest.items():
        for torn in _torn(durable.get(node, b""), data):
            yield {**whole, node: torn}


@functools.cache
def _torn(old: bytes, data: bytes) -> tuple[bytes, ...]:
    """What there may be of a file that is being written, but for all of it.

    Remembered: it is asked for at each cut until the file is synced.
    """
    # What was durable and is not written over stays: an upload grows at its end.
    sure = len(os.path.commonprefix([old, data]))  # noqa: RUF071 - of bytes, not of paths
    half = (sure + len(data)) // 2
    zeroed = data[:sure] + bytes(len(data) - sure)
    return old, data[:half], data[:half] + bytes(len(data) - half), zeroed
