"""One owner for each tasks directory: an flock on the directory itself.

A lock file could be deleted from under its owner; a directory that is in use stays the one that
is locked. The lock ends with the process, however it ends, or with its release. A forked child
keeps it where the process ends without one: start process pools with `spawn`.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from types import TracebackType

from attrs import define, field

from ..errors import DirectoryInUse, InvalidPath
from ..files import Directory
from ..files.directory import OWN_STEM

_log = logging.getLogger(__name__)
_INFO_MAX_BYTES = 4096


@define(eq=False, repr=False)
class DirectoryOwner:
    """Takes a tasks directory for this process; a context manager.

    Beside the directory it writes `{directory's name}.owner.json` (pid, since in unix seconds):
    for people, and for the message of DirectoryInUse; it is never the lock.
    """

    directory: Directory
    _descriptor: int | None = field(default=None, init=False)
    #: The process that took it.
    _taken_by: int = field(default=0, init=False)

    @property
    def descriptor(self) -> int:
        """The open descriptor of the directory, as long as it is owned."""
        if self._descriptor is None:
            raise ValueError(f"{self.directory.root} is not owned: take it first")
        return self._descriptor

    @property
    def is_owned(self) -> bool:
        """Whether the directory that is locked is the one that its path leads to."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.directory.root.stat())
        except OSError:
            return False

    def take(self) -> None:
        """Lock the directory.

        Raises:
            DirectoryInUse: somebody else has it, this process included.
        """
        if self._descriptor is not None:
            raise DirectoryInUse(str(self.directory.root), os.getpid())
        fd = os.open(self.directory.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise DirectoryInUse(str(self.directory.root), *self._holder()) from None
        except BaseException:
            os.close(fd)
            raise
        self._descriptor, self._taken_by = fd, os.getpid()
        self._write_info()

    def release(self) -> None:
        """Unlock the directory; nothing to do where it is not owned."""
        if self._descriptor is None:
            return
        fd, self._descriptor = self._descriptor, None
        try:
            # Invariant: before the unlock, or it could be the next owner's that goes.
            self._info_directory().remove(self._info_name)
        except (OSError, InvalidPath) as error:
            _log.warning("%s stays behind: %s", self._info_name, error)
        finally:
            if os.getpid() == self._taken_by:  # else the lock is that of the process we come from
                # A process that is being started has a copy of the descriptor until its exec.
                fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    def __enter__(self) -> DirectoryOwner:
        self.take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    @property
    def _info_name(self) -> str:
        return f"{self.directory.root.name}.owner.json"

    def _info_directory(self) -> Directory:
        return Directory(self.directory.root.parent, durable=False)

    def _write_info(self) -> None:
        info = {"pid": os.getpid(), "since": int(time.time())}
        try:
            # What an owner left behind that was killed while it wrote this.
            from ..files import sweep  # It needs OpenSSL's hashes, 3 ms of a start.

            sweep(self._info_directory(), "", OWN_STEM)
            self._info_directory().write(self._info_name, json.dumps(info).encode() + b"\n")
        except (OSError, InvalidPath) as error:
            _log.warning("who owns %s cannot be written down: %s", self.directory.root, error)

    def _holder(self) -> tuple[int | None, float | None]:
        """Pid and since, as far as they can be read."""
        try:
            with self._info_directory().open(self._info_name) as file:
                info = json.loads(file.read(_INFO_MAX_BYTES))
            return int(info["pid"]), float(info["since"])
        except (OSError, InvalidPath, ValueError, TypeError, KeyError, RecursionError):
            return None, None
