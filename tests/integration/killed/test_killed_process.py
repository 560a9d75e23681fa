"""A real process that adds a real album is killed with SIGKILL; run again, it ends as if not."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import pytest
from attrs import field, frozen
from killkit import (
    EFFECT,
    KINDS,
    PATIENCE_S,
    STATEMENT,
    STEP,
    TOLD,
    TORN,
    WORKING,
    Ended,
    Moment,
    Server,
    make_config,
    snapshot,
)
from musictasks.engine import Settings, read_tasks
from musictasks.library.sample_album import sample_album

T = TypeVar("T")

#: Where the album's files are themselves: an editable install may link them.
SAMPLE = (sample_album() / "cover.png").resolve().parent
#: As many as CI has cores.
PROCESSES = 2
#: What an album passes through, and rests of it that a kill can leave on disk.
WORKED_IN = {"waitforchunk", "preprocessing", "integrating", "importingmusic", "importingartwork"}


@frozen
class Undisturbed:
    """A run that nobody killed."""

    library: dict[str, Any]
    #: How many moments of each kind it had.
    counts: dict[str, int]


@frozen
class Death:
    """A run that was killed, and what it left."""

    moment: Moment
    #: False: it was over before its moment came.
    killed: bool
    #: The states of the tasks on disk.
    states: frozenset[str]


@frozen
class Yard:
    """Directories for libraries, and the servers that run `musictasks` on them."""

    directory: Path
    servers: SimpleQueue[Server]
    _numbers: Iterator[int] = field(factory=count)

    def add(self, config: Path, moment: Moment | None = None) -> Ended:
        server = self.servers.get()
        try:
            return server.run("add", str(SAMPLE), "--config", str(config), moment=moment)
        finally:
            self.servers.put(server)

    def new_library(self) -> Path:
        return make_config(self.directory / str(next(self._numbers)))

    def ends_like(self, undisturbed: Undisturbed, config: Path) -> None:
        """Runs it again, to the end."""
        ended = self.add(config)
        assert ended.returncode == 0, ended.output
        assert snapshot(config.parent) == undisturbed.library
        shutil.rmtree(config.parent)

    def killed_at(self, undisturbed: Undisturbed, *moments: Moment) -> list[Death]:
        """Killed at one moment after the other, then run to the end."""
        config, deaths = self.new_library(), []
        for moment in moments:
            ended = self.add(config, moment)
            assert ended.killed or ended.returncode == 0, ended
            deaths.append(Death(moment, ended.killed, states_in(config)))
        try:
            self.ends_like(undisturbed, config)
        except AssertionError as error:
            raise AssertionError(f"killed at {moments}") from error
        return deaths


def states_in(config: Path) -> frozenset[str]:
    reading = read_tasks(Settings.from_file(config))
    assert not reading.invalid
    return frozenset(task.state for task in reading.tasks)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    directory, servers = tmp_path_factory.mktemp("killed"), SimpleQueue()
    with ExitStack() as stack:
        for number in range(PROCESSES):
            servers.put(stack.enter_context(Server(directory / f"{number}.log")))
        yield Yard(directory, servers)


@pytest.fixture(scope="module")
def undisturbed(yard: Yard) -> Undisturbed:
    config = yard.new_library()
    ended = yard.add(config, Moment("none", 0))
    assert ended.returncode == 0, ended.output
    assert all(ended.counts[kind] for kind in KINDS)
    found = snapshot(config.parent)
    assert len(found["rows"]["songs"]) == 3
    return Undisturbed(found, ended.counts)


def spread(undisturbed: Undisturbed, **how_many: int) -> list[Moment]:
    """Moments of each kind, evenly over the run; the last ones may come too late in another."""
    return [
        Moment(kind, 1 + undisturbed.counts[kind] * 95 * number // (100 * many))
        for kind, many in how_many.items()
        for number in range(many)
    ]


def side_by_side(call: Callable[..., T], plans: Iterable[tuple[Any, ...]]) -> list[T]:
    """Calls it with each plan, and tells of every failure, not of the first alone."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        runs = [pool.submit(call, *plan) for plan in plans]
    failures = [error for run in runs if isinstance(error := run.exception(), Exception)]
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(runs)}", failures)
    return [run.result() for run in runs]


def test_an_album_that_was_killed_anywhere_is_added_as_if_it_was_not(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """Killed at 58 moments in uploads, saves, handlers and SQL, the library ends the same."""
    how_many = {EFFECT: 16, TORN: 12, TOLD: 8, WORKING: 12, STATEMENT: 6, STEP: 4}
    moments = spread(undisturbed, **how_many)

    deaths = side_by_side(yard.killed_at, [(undisturbed, moment) for moment in moments])

    killed = [death for (death,) in deaths if death.killed]
    assert len(killed) >= 50
    assert set(how_many) == {death.moment.kind for death in killed}
    assert frozenset.union(*(death.states for death in killed)) >= WORKED_IN


@pytest.mark.long
def test_an_album_that_was_killed_twice_is_added_as_if_it_was_not(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """Killed at 500 moments and more, also in the run that shall mend the one before."""
    chance = random.Random(2020)
    first = spread(undisturbed, effect=110, torn=80, told=50, working=100, statement=40, step=20)
    plans = [(undisturbed, moment, chance.choice(first)) for moment in first]

    pairs = side_by_side(yard.killed_at, plans)

    # Where the first kill came late, the second run may be over before its own moment.
    assert all(death.killed for death, _ in pairs)
    assert sum(death.killed for pair in pairs for death in pair) >= 500


def test_a_process_killed_from_outside_at_any_time_is_mended_by_the_next(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """The command itself, killed by somebody else after a while, leaves nothing behind either."""
    side_by_side(kill_after, [(yard, undisturbed, 0.3 + 0.1 * number) for number in range(6)])


def kill_after(yard: Yard, undisturbed: Undisturbed, after_s: float) -> None:
    config = yard.new_library()
    with subprocess.Popen(command(config), stdout=subprocess.DEVNULL) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(after_s)
        process.kill()
    yard.ends_like(undisturbed, config)


def command(config: Path) -> list[str]:
    add = ["add", str(SAMPLE), "--config", str(config)]
    return [sys.executable, "-m", "musictasks.cli", *add]


#: Moments in SQLite's commit: its journal's and its own file's writes and syncs, and the end.
IN_COMMIT = (
    ("pwrite64", 1),
    ("pwrite64", 8),
    ("fdatasync", 1),
    ("fdatasync", 2),
    ("fdatasync", 3),
    ("unlink", 1),
)


def test_a_process_killed_within_a_commit_is_mended_by_the_next(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """Killed at system calls of SQLite's own, it leaves a journal; the next run rolls it back."""
    if not may_trace():
        pytest.skip("there is no strace that may trace here")

    journals = side_by_side(kill_in_commit, [(yard, undisturbed, *plan) for plan in IN_COMMIT])

    assert any(journals)


def may_trace() -> bool:
    trial = ["strace", "-qq", "-o", "/dev/null", "true"]
    if shutil.which("strace") is None:
        return False
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


def kill_in_commit(yard: Yard, undisturbed: Undisturbed, call: str, when: int) -> bool:
    """Kills at the nth such call on the database; whether that left a journal."""
    config = yard.new_library()
    # A database that is made already: the next to write in it is the import.
    assert yard.add(config, Moment(WORKING, 1)).killed
    database = config.parent / "data" / "music.db"
    journal = database.with_name("music.db-journal")
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(database), "-P", str(journal)]
    inject = ["-e", f"inject={call}:signal=SIGKILL:when={when}"]
    with subprocess.Popen([*strace, *inject, *command(config)], stdout=subprocess.DEVNULL) as run:
        assert run.wait(PATIENCE_S) == -signal.SIGKILL
    assert states_in(config) & {"importingmusic", "importingartwork"}
    left = journal.exists()
    yard.ends_like(undisturbed, config)
    return left
