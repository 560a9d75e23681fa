"""Real processes that run our programs and are really killed, at moments that can be numbered.

A server process imports everything once, is warm, and forks for each run: the child is a process of
its own, which calls a program (`killprograms`) and kills itself with SIGKILL at its moment. So a
moment costs a run, and not half a second of imports. (The server has no threads when it forks.)
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from attrs import asdict, define, field, frozen
from killlibraries import CACHE, DATABASE, LEDGER
from killprograms import PROGRAMS
from musictasks.engine import workers, working
from musictasks.engine.notifications import Notifier
from musictasks.engine.resting import Resting
from musictasks.engine.table import Table
from musictasks.files import Effects, SharedSync
from musictasks.files.effects import using
from musictasks.library.inbox_directory import InboxDirectory
from musictasks.statemachine import Handler, MusicTask, Work
from musictasks.uploads import Uploads
from warming import keep, warm

#: Longer than any run takes; only broken code meets it.
PATIENCE_S = 60

#: Before a change of the disk.
EFFECT = "effect"
#: After a change of the disk, or its refusal; a write has written half.
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
    #: Only what happens here counts: in the handler of a working state, `integrating`, or in a part
    #: of the engine (`_PARTS`); an effect of a name there, `integrating link`, or a function of a
    #: name; a statement on one database, `scanningfs scancache.db`; what is told of a state, by its
    #: name.
    place: str = ""


@frozen
class Ended:
    """How a run ended."""

    #: As `Popen.returncode` has it: -9 for a killed one.
    returncode: int
    #: What it printed.
    output: str
    #: How many moments of each kind and place there were (`counted`); only if it was not killed.
    counts: dict[str, int]

    @property
    def killed(self) -> bool:
        return self.returncode == -signal.SIGKILL


def counted(kind: str, place: str = "") -> str:
    """What the moments of a kind at a place are counted under."""
    return f"{kind} {place}".rstrip()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@define
class _Clockwork:
    """Counts what happens, from all threads, and kills at the moment."""

    moment: Moment
    counts: dict[str, int] = field(factory=dict)
    #: Where a thread is: the state whose handler it runs, or the part of the engine.
    _working: threading.local = field(factory=threading.local)
    # No lock: a profiled thread would come back here while it holds it.
    _numbers: defaultdict[str, Iterator[int]] = field(
        factory=lambda: defaultdict(lambda: itertools.count(1))
    )

    @contextlib.contextmanager
    def working(self, state: str) -> Iterator[None]:
        with self.at(state):
            if not self.looks_at(WORKING):
                yield
                return
            sys.setprofile(self._called)
            try:
                yield
            finally:
                sys.setprofile(None)

    def _called(self, frame: FrameType, what: str, _: object) -> None:
        # Not what counts other moments here: a run that is killed counts those of one kind alone.
        if what == "call" and frame.f_code.co_filename != __file__:
            self.tick(WORKING, frame.f_code.co_name)

    @contextlib.contextmanager
    def at(self, place: str) -> Iterator[None]:
        self._working.place = place
        try:
            yield
        finally:
            self._working.place = None

    def looks_at(self, kind: str) -> bool:
        """Whether moments of a kind count: of all, in a run that is not to be killed."""
        return self.moment.kind == kind or self.moment.kind not in KINDS

    def is_due(self, kind: str, what: str = "") -> bool:
        """Counts one; `what`: what it is, or where, within the handler or the part."""
        if not self.looks_at(kind):
            return False
        place = getattr(self._working, "place", None)
        due = self._is_due(kind, "")
        if place is not None:
            due |= self._is_due(kind, place)
        if what:
            due |= self._is_due(kind, what if place is None else f"{place} {what}")
        return due

    def _is_due(self, kind: str, place: str) -> bool:
        key = counted(kind, place)
        number = self.counts[key] = next(self._numbers[key])
        moment = self.moment
        return number == moment.number and kind == moment.kind and place == moment.place

    def tick(self, kind: str, what: str = "") -> None:
        if self.is_due(kind, what):
            die()


class _Mortal(Effects):
    """The effects, with the two moments of each."""

    clockwork: _Clockwork


def _mortal(name: str) -> Callable[..., Any]:
    effect = getattr(Effects, name)

    @functools.wraps(effect)
    def mortal(self: _Mortal, *args: Any, **options: Any) -> Any:
        self.clockwork.tick(EFFECT, name)
        if not self.clockwork.is_due(TORN, name):
            return effect(self, *args, **options)
        if name == "write":
            fd, data, offset = args
            args = (fd, memoryview(data)[: len(data) // 2], offset)
        try:
            return effect(self, *args, **options)
        finally:
            die()

    return mortal


for _name in vars(Effects):
    if not _name.startswith("_"):
        setattr(_Mortal, _name, _mortal(_name))


#: An fsync of a directory that several saves share: before it, and after it, when nobody was told.
SHARED = "shared fsync"
#: So long the first to save waits until another does, where saves shall share an fsync.
_GATHER_S = 0.02
#: Parts of the engine whose moments are counted for themselves: the end of an upload, what removes
#: a task, the loading of all tasks at the start; and of an inbox what leaves it.
COMPLETING, REMOVING, LOADING, LEAVING = "completing", "removing", "loading", "leaving"
_PARTS = (
    (Uploads, "_complete", COMPLETING),
    (Resting, "remove", REMOVING),
    (Table, "load_all", LOADING),
    (InboxDirectory, "conclude", LEAVING),
)


def _at(clockwork: _Clockwork, place: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def placed(*args: Any, **options: Any) -> Any:
        with clockwork.at(place):
            return method(*args, **options)

    return placed


def _gather(clockwork: _Clockwork) -> None:
    """Whoever would save alone waits a little for others to share its fsync with, or the next."""
    sync = SharedSync._sync

    def gathering(self: SharedSync, mine: Any, dir_fd: int) -> None:
        until_s = time.monotonic() + _GATHER_S
        while not self._next.waiting and time.monotonic() < until_s:
            time.sleep(0.001)
        if len(mine.waiting) < 2:
            sync(mine, dir_fd)
            return
        clockwork.tick(EFFECT, SHARED)
        sync(mine, dir_fd)
        clockwork.tick(TORN, SHARED)

    SharedSync._sync = gathering  # pyright: ignore[reportAttributeAccessIssue]


def _arm(clockwork: _Clockwork) -> None:
    """Puts the other moments in their places; for a process that is to end soon."""
    tell, connect = Notifier.tell, sqlite3.connect

    def telling(self: Notifier, name: str, record: Any, *args: Any, **options: Any) -> None:
        clockwork.tick(TOLD, record.state if isinstance(record, MusicTask) else "")
        tell(self, name, record, *args, **options)

    def running(handler: Handler, task: MusicTask, work: Work) -> Any:
        with clockwork.working(task.state):
            return working.run(handler, task, work)

    def connecting(database: str, *args: Any, **options: Any) -> sqlite3.Connection:
        name = next((one for one in (CACHE, LEDGER) if one in database), DATABASE)
        connection = connect(database, *args, **options)
        if clockwork.looks_at(STATEMENT):
            connection.set_trace_callback(lambda statement: clockwork.tick(STATEMENT, name))
        if clockwork.looks_at(STEP):
            connection.set_progress_handler(lambda: clockwork.tick(STEP, name), _STEP_INSTRUCTIONS)
        return connection

    for owner, name, place in _PARTS:
        setattr(owner, name, _at(clockwork, place, getattr(owner, name)))
    Notifier.tell = telling
    workers.run = running  # pyright: ignore[reportPrivateImportUsage]
    sqlite3.connect = connecting


def _run(program: str, config: str, arguments: list[str], moment: Moment | None) -> int:
    call = functools.partial(PROGRAMS[program], Path(config), *arguments)
    if moment is None:
        return call()
    clockwork, effects = _Clockwork(moment), _Mortal()
    effects.clockwork = clockwork
    _arm(clockwork)
    if program == "many":
        _gather(clockwork)
    with using(effects):
        code = call()
    print(json.dumps(clockwork.counts))
    return code


def _serve() -> None:
    warm()
    for line in sys.stdin:
        job = json.loads(line)
        process_id = os.fork()
        if process_id == 0:
            _be_the_run(job)
        if job["after_s"] is not None:
            time.sleep(job["after_s"])
            os.kill(process_id, signal.SIGKILL)
        _, status = os.waitpid(process_id, 0)
        _import_what_it_imported(job["imported"])
        print(os.waitstatus_to_exitcode(status), flush=True)


def _import_what_it_imported(names: str) -> None:
    """So that the next runs need not import it anew; of one that was killed nothing is known."""
    file = Path(names)
    if file.exists():
        for name in json.loads(file.read_text()):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        file.unlink()
        keep()


def _be_the_run(job: dict[str, Any]) -> None:
    code, known = 70, set(sys.modules)
    try:
        log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for fd in (1, 2):
            os.dup2(log, fd)
        signal.alarm(PATIENCE_S)
        moment = Moment(**job["moment"]) if job["moment"] else None
        if job["strace"]:
            _be_traced(job["strace"])
        code = _run(job["program"], job["config"], job["arguments"], moment)
        sys.stdout.flush()
        Path(job["imported"]).write_text(json.dumps(sorted(set(sys.modules) - known)))
    finally:
        os._exit(code)


#: `prctl`: any process may trace the calling one, also where it is no ancestor.
_SET_PTRACER, _ANY = 0x59616D61, ctypes.c_ulong(-1)


def _be_traced(options: list[str]) -> None:
    """Returns when `strace` looks at this process, and at all threads that it will start."""
    ctypes.CDLL(None).prctl(_SET_PTRACER, _ANY)
    strace = ["strace", "-f", "-qq", "-o", os.devnull, "-p", str(os.getpid()), *options]
    nothing = subprocess.DEVNULL
    tracer = subprocess.Popen(strace, stdin=nothing, stdout=nothing, stderr=nothing)
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        assert tracer.poll() is None, f"strace ended with {tracer.returncode}"
        time.sleep(0.001)


class Server:
    """Runs programs in processes of their own, one after the other."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self,
        program: str,
        config: Path,
        *arguments: str,
        moment: Moment | None = None,
        after_s: float | None = None,
        strace: Sequence[str] = (),
    ) -> Ended:
        """One run to its end, to its moment, or until it is killed from outside after a while.

        With options for `strace` this one looks on.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {
            "program": program,
            "config": str(config),
            "arguments": arguments,
            "moment": None if moment is None else asdict(moment),
            "after_s": after_s,
            "strace": strace,
            "log": str(self._log),
            "imported": str(self._log.with_suffix(".imported")),
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


if __name__ == "__main__":
    _serve()
