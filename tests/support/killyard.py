"""Runs that are killed, and what has to hold after each: the next run ends as if nothing was."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from attrs import field, frozen
from crashkit import half, tree
from killkit import Ended, Moment, Server, counted
from killlibraries import lies, make_config, snapshot
from musictasks.music import Settings, read_tasks

T = TypeVar("T")

#: As many as CI has cores.
PROCESSES = 2


def _as_it_is(library: Path) -> None:
    """Nothing is there before the first run."""


@frozen
class Errand:
    """What a process is to do, and the next one if it was killed."""

    #: Of `killprograms`, with its arguments.
    program: str
    arguments: tuple[str, ...] = ()
    #: Makes what is there before, in the directory of the library.
    prepare: Callable[[Path], object] = _as_it_is
    #: What of the Music Directory is at every moment either not there or as it is in the end.
    whole: str | None = None


@frozen
class Undisturbed:
    """A run that nobody killed."""

    errand: Errand
    #: The config of a library as it was before.
    template: Path
    #: The library as it was after, by `snapshot`.
    library: dict[str, Any]
    #: Of the Music Directory, as `crashkit.tree`.
    music: dict[str, tuple[str, str]]
    #: As `Ended.counts`.
    counts: dict[str, int]

    def spread(self, place: str = "", /, **how_many: int) -> list[Moment]:
        """Moments of each kind at a place, evenly, or all if there are no more.

        The last may come too late in another run.
        """
        return [
            Moment(kind, number, place)
            for kind, many in how_many.items()
            for number in self._evenly(self.counts.get(counted(kind, place), 0), many)
        ]

    @staticmethod
    def _evenly(there: int, many: int) -> list[int]:
        if many >= there:
            return list(range(1, there + 1))
        return [1 + there * 95 * number // (100 * many) for number in range(many)]


@frozen
class Death:
    """A run that was killed, and what it left."""

    moment: Moment
    #: False: it was over before its moment came.
    killed: bool
    #: The states of the tasks on disk.
    states: frozenset[str]
    #: Whether what appears as a whole was there.
    appeared: bool


@frozen
class Yard:
    """Directories for libraries, and the servers that run programs on them."""

    directory: Path
    servers: SimpleQueue[Server]
    _numbers: Iterator[int] = field(factory=count)
    _undisturbed: dict[Errand, Undisturbed] = field(factory=dict)

    def run(self, errand: Errand, config: Path, **how: Any) -> Ended:
        """As `Server.run`."""
        server = self.servers.get()
        try:
            return server.run(errand.program, config, *errand.arguments, **how)
        finally:
            self.servers.put(server)

    def undisturbed(self, errand: Errand) -> Undisturbed:
        """The first run of an errand, from which its moments are known; it is made once."""
        if errand not in self._undisturbed:
            template = make_config(self._new_directory())
            errand.prepare(template.parent)
            config = self._copy(template)
            ended = self.run(errand, config, moment=Moment("none", 0))
            assert ended.returncode == 0, ended.output
            found, music = snapshot(config.parent), tree(config.with_name("music"))
            self._undisturbed[errand] = Undisturbed(errand, template, found, music, ended.counts)
        return self._undisturbed[errand]

    def new_library(self, undisturbed: Undisturbed) -> Path:
        """A library as it was before the run; its config."""
        return self._copy(undisturbed.template)

    def _copy(self, config: Path) -> Path:
        return shutil.copytree(config.parent, self._new_directory()) / config.name

    def _new_directory(self) -> Path:
        return self.directory / str(next(self._numbers))

    def kill(self, undisturbed: Undisturbed, config: Path, moment: Moment) -> Death:
        """One run that is killed; what it leaves is not half of anything."""
        ended = self.run(undisturbed.errand, config, moment=moment)
        assert ended.killed or ended.returncode == 0, ended
        music, whole = config.with_name("music"), undisturbed.errand.whole
        assert half(music, whole, undisturbed.music) == []
        assert lies(config.parent) == []
        appeared = whole is not None and (music / whole).exists()
        return Death(moment, ended.killed, states_in(config), appeared)

    def ends_like(self, undisturbed: Undisturbed, config: Path) -> None:
        """Runs it again, to the end."""
        ended = self.run(undisturbed.errand, config)
        assert ended.returncode == 0, ended.output
        found, wanted = snapshot(config.parent), undisturbed.library
        names = (
            name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)
        )
        wrong = [f"{name} is {found.get(name)}, and not {wanted.get(name)}" for name in names]
        assert not wrong, "; ".join(wrong)
        assert lies(config.parent) == []
        shutil.rmtree(config.parent)

    def killed_at(self, undisturbed: Undisturbed, *moments: Moment) -> list[Death]:
        """Killed at one moment after the other, then run to the end."""
        config = self.new_library(undisturbed)
        try:
            deaths = [self.kill(undisturbed, config, moment) for moment in moments]
            self.ends_like(undisturbed, config)
        except AssertionError as error:
            raise AssertionError(f"killed at {moments}") from error
        return deaths

    def killed_after(self, undisturbed: Undisturbed, after_s: float) -> None:
        """Killed by somebody else after a while, then run to the end."""
        config = self.new_library(undisturbed)
        ended = self.run(undisturbed.errand, config, after_s=after_s)
        assert ended.killed or ended.returncode == 0, ended
        self.ends_like(undisturbed, config)

    def killed_in_commit(
        self,
        undisturbed: Undisturbed,
        config: Path,
        database: str,
        call: str,
        when: int,
        states: set[str],
    ) -> bool:
        """Killed at the nth such system call on a database of a library, then run to the end.

        That is in one of the states. Returns whether it left a journal.
        """
        file = config.parent / "data" / database
        journal = file.with_name(f"{database}-journal")
        inject = f"inject={call}:signal=SIGKILL:when={when}"
        strace = ["-P", str(file), "-P", str(journal), "-e", inject]
        ended = self.run(undisturbed.errand, config, strace=strace)
        assert ended.killed, (call, when, ended)
        assert states_in(config) & states
        left = journal.exists()
        assert lies(config.parent) == []
        self.ends_like(undisturbed, config)
        return left


def may_trace() -> bool:
    trial = ["strace", "-qq", "-o", "/dev/null", "true"]
    if shutil.which("strace") is None:
        return False
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


def states_in(config: Path) -> frozenset[str]:
    reading = read_tasks(Settings.from_file(config))
    assert not reading.invalid
    return frozenset(task.state for task in reading.tasks)


def side_by_side(call: Callable[..., T], plans: Iterable[tuple[Any, ...]]) -> list[T]:
    """Calls it with each plan, and tells of every failure, not of the first alone."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        runs = [pool.submit(call, *plan) for plan in plans]
    failures = [error for run in runs if isinstance(error := run.exception(), Exception)]
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(runs)}", failures)
    return [run.result() for run in runs]
