"""Processes that are forked from one that has imported everything, and is warm.

There is one such for all tests of a process; it has no other threads. A process that is forked from
it is one of its own like any other: it can be talked to, and killed.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any
from unittest.mock import patch

from attrs import frozen

SUPPORT = Path(__file__).parent
#: What the one process imports, `forkwarm` last.
_PROGRAMS = ["crashpower", "crashsweeps", "forkwarm"]


@cache
def fork_server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PROGRAMS)
    path = [*filter(None, [os.environ.get("PYTHONPATH")]), str(SUPPORT)]
    with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(path)):
        # It starts with the first process.
        process = context.Process(target=int)
        process.start()
        process.join()
    return context


class ForkedCommand(subprocess.Popen[Any]):
    """`python -m musictasks.cli` with arguments, as `subprocess.Popen` starts it; not its stdin."""

    def _execute_child(
        self,
        args: list[str],
        executable: object,
        preexec_fn: object,
        close_fds: bool,
        pass_fds: object,
        cwd: str | None,
        env: Mapping[str, str] | None,
        startupinfo: object,
        creationflags: int,
        shell: bool,
        p2cread: int,
        p2cwrite: int,
        c2pread: int,
        c2pwrite: int,
        errread: int,
        errwrite: int,
        *others: object,
    ) -> None:
        fds = [1 if c2pwrite == -1 else c2pwrite, 2 if errwrite == -1 else errwrite]
        order = _Order(args, dict(os.environ if env is None else env), str(cwd or Path.cwd()))
        try:
            self._process = fork_server().Process(target=_be, args=(order, *map(_Passed, fds)))
            self._process.start()
        finally:
            for fd in {c2pwrite, errwrite} - {-1}:
                os.close(fd)
        assert self._process.pid is not None
        self.pid = self._process.pid
        self._child_created = True

    _process: ForkServerProcess

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode


@frozen
class _Order:
    arguments: list[str]
    environment: dict[str, str]
    directory: str


@frozen
class _Passed:
    """A file descriptor on its way to another process."""

    fd: int

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (DupFd(self.fd),)


def _arrived(passed: Any) -> int:
    return passed.detach()


def _be(order: _Order, output: int, complaints: int) -> int:
    """Does what `python -m musictasks.cli` does; its streams are as new ones are."""
    from musictasks.cli import main

    os.environ.clear()
    os.environ.update(order.environment)
    os.chdir(order.directory)
    for number, fd in ((1, output), (2, complaints)):
        os.dup2(fd, number)
    for fd in {output, complaints}:
        os.close(fd)
    sys.stdout = _stream(1, sys.__stdout__)
    sys.stderr = _stream(2, sys.__stderr__, line_buffering=True)
    # As from a terminal: a shell that runs the tests in the background has them ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["musictasks", *order.arguments]
    sys.exit(main())


def _stream(fd: int, like: Any, *, line_buffering: bool = False) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        open(fd, "wb", closefd=False), like.encoding, like.errors, line_buffering=line_buffering
    )
