"""Assembling a directory of files: it appears at its place whole, or not at all.

It is filled under a hidden name beside its place and made durable there; one rename, which never
overwrites, is what makes it visible. A kill or a power cut leaves the hidden directory at most.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from attrs import frozen

from ..errors import InvalidPath, TargetExists
from . import effects, steps
from .directory import Directory, open_regular
from .paths import check_name, check_relative, find_same_name
from .placing import Placed, digest_of
from .trees import remove_tree

_BLOCK_BYTES = 1024 * 1024

#: Called with the files done, the files in all and the name of the next; may raise to stop.
FileProgress = Callable[[int, int, str], None]


@frozen
class Filling:
    """A new directory of ours that takes files. Names are single ones, and none is overwritten."""

    directory: Directory
    _dir_fd: int

    def write(self, name: str, blocks: Iterable[bytes], mode: int = 0o664) -> str:
        """Make a durable file of `blocks`, and read it again; returns its SHA-256, hex digits.

        Raises:
            FileExistsError: the name is taken.
            OSError: the disk refused, or does not give back what was written.
        """
        fd = steps.new_file(check_name(name), self._dir_fd, 0o600)
        try:
            digest, offset = hashlib.sha256(), 0
            for block in blocks:
                steps.write_all(fd, block, offset)
                digest.update(block)
                offset += len(block)
            written = digest_of(fd, offset)
            if written != digest.hexdigest():
                raise OSError(f"{name!r} is not what was written; the disk may be bad")
            steps.set_mode(fd, mode)
            self._sync(fd)
        finally:
            os.close(fd)
        return written

    def rename(self, old: str, new: str) -> None:
        """Give a file another name.

        Raises:
            FileExistsError: `new` is there; nothing has changed.
        """
        steps.rename_noreplace(check_name(old), check_name(new), self._dir_fd)

    def _finish(self, mode: int) -> None:
        steps.set_mode(self._dir_fd, mode)
        self._sync(self._dir_fd)

    def _sync(self, fd: int) -> None:
        if self.directory.durable:
            effects.current.fsync(fd)


@contextmanager
def new_directory(directory: Directory, rel: str, mode: int = 0o775) -> Iterator[Filling]:
    """Make the directory `rel`, in place of what an earlier run left there; its parent must exist.

    At the end of the block its files and its name are durable. An error in the block removes it
    with all that is in it.
    """
    remove_tree(directory, rel)
    try:
        with directory.parent(rel) as (parent_fd, name):
            effects.current.mkdir(name, 0o700, dir_fd=parent_fd)
            with directory.descriptor(rel) as fd:
                filling = Filling(directory, fd)
                yield filling
                filling._finish(mode)
            if directory.durable:
                effects.current.fsync(parent_fd)
    except BaseException:
        with suppress(OSError, InvalidPath):  # what stays, the next run removes
            remove_tree(directory, rel)
        raise


def assembly_name(owner: str) -> str:
    """The hidden name under which `assemble` fills the directory of an owner."""
    return f".{check_name(owner)}.tmp"


def sweep_assembly(target: Directory, rel_dir: str, owner: str) -> bool:
    """Remove what a killed `assemble` of `owner` left in `rel_dir`; False where nothing was."""
    return remove_tree(target, f"{rel_dir}/{assembly_name(owner)}")


def assemble(
    source: Directory,
    source_rel: str,
    target: Directory,
    rel: str,
    *,
    owner: str,
    mode: int = 0o664,
    dir_mode: int = 0o775,
    ignored: frozenset[str] = frozenset(),
    progress: FileProgress | None = None,
) -> Placed:
    """Copy the files of a directory to the new directory `rel`: all of them, or none.

    Returns when the directory, its name and the directories above it are durable. A directory
    with exactly the same files counts as done (hidden files in it do not count, nor do those of
    the names in `ignored`).

    Raises:
        TargetExists: something else is there, or a name that only differs in case or normal form;
            it is untouched.
        InvalidPath: a path is none, a symbolic link is on the way, or the source holds something
            that is no file.
        FileNotFoundError: the source is not there.
        OSError: the disk refused; what was made is gone again.
    """
    *above, _ = check_relative(rel)
    parent, copies = (
        "/".join(above),
        _Copies(source, source_rel, target, rel, mode, ignored, progress),
    )
    copies.measure()
    hidden = "/".join([*above, assembly_name(owner)])
    made = target.make_directories(parent, dir_mode) if parent else []
    try:
        # Also where it is there by now: a run may have been cut off after another's rename.
        remove_tree(target, hidden)
        if copies.are_there():
            return Placed(existed=True, size_bytes=copies.size_bytes())
        with new_directory(target, hidden, dir_mode) as filling:
            copies.fill(filling)
        try:
            _appear(target, hidden, rel)
        except FileExistsError:
            remove_tree(target, hidden)
            if not copies.are_there():
                raise
            return Placed(existed=True, size_bytes=copies.size_bytes())
        except BaseException:
            remove_tree(target, hidden)
            raise
    except BaseException:
        target.unmake(made)
        raise
    return Placed(existed=False, size_bytes=copies.size_bytes())


def _appear(target: Directory, hidden: str, rel: str) -> None:
    """The one step that others see. If only its fsync fails, the next call ends it."""
    with target.parent(rel) as (dir_fd, name):
        steps.rename_directory_noreplace(hidden.rpartition("/")[2], name, dir_fd)
        if target.durable:
            effects.current.fsync(dir_fd)


@frozen
class _Copies:
    """The files of the source directory, and their place."""

    source: Directory
    source_rel: str
    target: Directory
    rel: str
    mode: int
    ignored: frozenset[str]
    progress: FileProgress | None

    def measure(self) -> dict[str, int]:
        """The sizes of the source's files, by name.

        Raises:
            FileNotFoundError, InvalidPath: as `assemble`.
        """
        sizes = {}
        for name in self.source.names(self.source_rel):
            path = f"{self.source_rel}/{name}"
            found = self.source.status(path)
            if found is None or not stat.S_ISREG(found.st_mode):
                raise InvalidPath(path, "it is not a regular file")
            sizes[name] = found.st_size
        return sizes

    def size_bytes(self) -> int:
        return sum(self.measure().values())

    def fill(self, filling: Filling) -> None:
        names = list(self.measure())
        for number, name in enumerate(names):
            with self.source.open(f"{self.source_rel}/{name}") as file:
                filling.write(name, self._blocks(file, number, len(names), name), self.mode)

    def _blocks(self, file: BinaryIO, number: int, total: int, name: str) -> Iterator[bytes]:
        while True:
            self._report(number, total, name)
            block = file.read(_BLOCK_BYTES)
            if not block:
                return
            yield block

    def _report(self, number: int, total: int, name: str) -> None:
        if self.progress is not None:
            self.progress(number, total, name)

    def are_there(self) -> bool:
        """Whether the target holds the same files already; they are made durable then."""
        above, _, name = self.rel.rpartition("/")
        found = self.target.status(self.rel)
        if found is None:
            self._refuse_same_name(above, name)
            return False
        if not stat.S_ISDIR(found.st_mode):
            raise self._exists(name)
        sizes = self.measure()
        there = [one for one in self.target.names(self.rel) if one in sizes or self._counts(one)]
        if there != list(sizes):
            raise self._exists(name)
        with self.target.descriptor(self.rel) as dir_fd:
            for number, one in enumerate(sizes):
                self._compare(one, dir_fd, number, len(sizes))
            # It may be here because a run was cut off just before its fsync.
            self._sync(dir_fd)
        with self.target.descriptor(above) as parent_fd:
            self._sync(parent_fd)
        return True

    def _counts(self, name: str) -> bool:
        return not (name.startswith(".") or name in self.ignored)

    def _compare(self, name: str, dir_fd: int, number: int, total: int) -> None:
        fd = open_regular(name, dir_fd, f"{self.rel}/{name}")
        with (
            os.fdopen(fd, "rb") as there,
            self.source.open(f"{self.source_rel}/{name}") as file,
        ):
            blocks = self._blocks(file, number, total, name)
            if not all(block == there.read(len(block)) for block in blocks) or there.read(1):
                raise self._exists(self.rel.rpartition("/")[2])
            self._sync(fd)

    def _refuse_same_name(self, above: str, name: str) -> None:
        other = find_same_name(name, self.target.names(above))
        if other is not None:
            raise self._exists(other)

    def _exists(self, name: str) -> TargetExists:
        return TargetExists(str(self.target.path(self.rel).with_name(name)))

    def _sync(self, fd: int) -> None:
        if self.target.durable:
            effects.current.fsync(fd)
