"""Real processes that run `musictasks` and are really killed, at moments that can be numbered.

A server process imports everything once and forks for each run: the child is a process of its
own, which calls the command line's `main` and kills itself with SIGKILL at its moment. So a moment
costs a run, and not half a second of imports. (The server has no threads when it forks.)
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import asdict, define, field, frozen
from musictasks.cli import main
from musictasks.engine import runner, working
from musictasks.engine.notifications import Notifier
from musictasks.files import Effects
from musictasks.files.effects import using
from musictasks.library import MusicDatabase
from sqlalchemy import Engine, event

#: Longer than any run takes; only broken code meets it.
PATIENCE_S = 60

#: Before a change of the disk.
EFFECT = "effect"
#: After a change of the disk; a write has written half.
TORN = "torn"
#: A state is stored and in memory, and nobody was told.
TOLD = "told"
#: Somewhere in a handler: at a call of a function.
WORKING = "working"
#: Before an SQL statement, the commits too.
STATEMENT = "statement"
#: Within an SQL statement.
STEP = "step"

KINDS = (EFFECT, TORN, TOLD, WORKING, STATEMENT, STEP)
_STEP_INSTRUCTIONS = 5


@frozen
class Moment:
    """The instant in a run at which something of a kind happens for the nth time."""

    kind: str
    #: From 1.
    number: int


@frozen
class Ended:
    """How a run ended."""

    #: As `Popen.returncode` has it: -9 for a killed one.
    returncode: int
    #: What it printed.
    output: str
    #: How many moments of each kind there were; only if it was not killed.
    counts: dict[str, int]

    @property
    def killed(self) -> bool:
        return self.returncode == -signal.SIGKILL


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@define
class _Clockwork:
    """Counts what happens, from all threads, and kills at the moment."""

    moment: Moment
    counts: dict[str, int] = field(factory=lambda: dict.fromkeys(KINDS, 0))
    # No lock: a profiled thread would come back here while it holds it.
    _numbers: dict[str, Iterator[int]] = field(
        factory=lambda: {kind: itertools.count(1) for kind in KINDS}
    )

    def is_due(self, kind: str) -> bool:
        number = self.counts[kind] = next(self._numbers[kind])
        return number == self.moment.number and kind == self.moment.kind

    def tick(self, kind: str) -> None:
        if self.is_due(kind):
            die()


class _Mortal(Effects):
    """The effects, with the two moments of each."""

    clockwork: _Clockwork


def _mortal(name: str) -> Callable[..., Any]:
    effect = getattr(Effects, name)

    @functools.wraps(effect)
    def mortal(self: _Mortal, *args: Any, **options: Any) -> Any:
        self.clockwork.tick(EFFECT)
        if not self.clockwork.is_due(TORN):
            return effect(self, *args, **options)
        if name == "write":
            fd, data, offset = args
            args = (fd, memoryview(data)[: len(data) // 2], offset)
        effect(self, *args, **options)
        return die()

    return mortal


for _name in vars(Effects):
    if not _name.startswith("_"):
        setattr(_Mortal, _name, _mortal(_name))


def _arm(clockwork: _Clockwork) -> None:
    """Puts the other moments in their places; for a process that is to end soon."""
    tell = Notifier.tell

    def telling(*args: Any, **options: Any) -> None:
        clockwork.tick(TOLD)
        tell(*args, **options)

    def running(*args: Any) -> Any:
        sys.setprofile(lambda frame, what, arg: what == "call" and clockwork.tick(WORKING))
        try:
            return working.run(*args)
        finally:
            sys.setprofile(None)

    def connected(connection: sqlite3.Connection, record: object) -> None:
        connection.set_trace_callback(lambda statement: clockwork.tick(STATEMENT))
        connection.set_progress_handler(lambda: clockwork.tick(STEP), _STEP_INSTRUCTIONS)

    Notifier.tell = telling
    runner.run = running  # pyright: ignore[reportPrivateImportUsage]
    event.listen(Engine, "connect", connected)


def _run(arguments: list[str], moment: Moment | None) -> int:
    if moment is None:
        return main(arguments)
    clockwork, effects = _Clockwork(moment), _Mortal()
    effects.clockwork = clockwork
    _arm(clockwork)
    with using(effects):
        code = main(arguments)
    print(json.dumps(clockwork.counts))
    return code


def _serve() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        process_id = os.fork()
        if process_id == 0:
            _be_the_run(job)
        _, status = os.waitpid(process_id, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _be_the_run(job: dict[str, Any]) -> None:
    code = 70
    try:
        log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for fd in (1, 2):
            os.dup2(log, fd)
        signal.alarm(PATIENCE_S)
        code = _run(job["arguments"], Moment(**job["moment"]) if job["moment"] else None)
        sys.stdout.flush()
    finally:
        os._exit(code)


class Server:
    """Runs `musictasks` in processes of their own, one after the other."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, *arguments: str, moment: Moment | None = None) -> Ended:
        """One run to its end, or to its moment."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {
            "arguments": arguments,
            "moment": None if moment is None else asdict(moment),
            "log": str(self._log),
        }
        print(json.dumps(job), file=self._process.stdin, flush=True)
        returncode = int(self._process.stdout.readline())
        output = self._log.read_text()
        counts = {}
        if moment is not None and returncode == 0:
            counts = json.loads(output.splitlines()[-1])
        return Ended(returncode, output, counts)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._process.stdout.close()


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
        if path.name in {"music.db", "tasks.owner.json"}:
            found[name] = mode
        elif stat.S_ISREG(status.st_mode):
            found[name] = (mode, hashlib.sha256(path.read_bytes()).hexdigest())
        else:
            found[name] = mode
    found["rows"] = rows = MusicDatabase(library / "data" / "music.db").rows()
    with contextlib.closing(sqlite3.connect(library / "data" / "music.db")) as connection:
        names = [column[1] for column in connection.execute("PRAGMA table_info(albums)")]
    added = names.index("added")  # the modification time of the album's directory
    rows["albums"] = [(*row[:added], None, *row[added + 1 :]) for row in rows["albums"]]
    return found


if __name__ == "__main__":
    _serve()
