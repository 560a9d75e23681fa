"""Group commit: threads that wait at the same time share an fsync, and nobody is told too early."""

from __future__ import annotations

import errno
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from crashturns import SHARED_FSYNC, Turns
from musictasks.files import Directory, DurableFile, Effects, SharedSync, syncing, using

#: Longer than any step takes; only broken code meets it.
PATIENCE_S = 10


class Gate(Effects):
    """An fsync of a directory that goes on when the test says so; counts, and fails on demand."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.count = 0
        self.fails: list[BaseException | None] = []

    def fsync(self, fd: int) -> None:
        self.count += 1
        error = self.fails.pop(0) if self.fails else None
        self.begun.release()
        assert self.go_on.acquire(timeout=PATIENCE_S)
        if error is not None:
            raise error


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    # Who waits has to be woken: it does not look by itself in time.
    monkeypatch.setattr(syncing, "_LOOK_AGAIN_S", 10 * PATIENCE_S)
    with using(Gate()) as gate:
        assert isinstance(gate, Gate)
        yield gate


@pytest.fixture
def dir_fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def waiting(sync: SharedSync) -> int:
    return len(sync._next.waiting)


def wait_for_waiters(sync: SharedSync, count: int) -> None:
    pause, until_s = threading.Event(), time.monotonic() + PATIENCE_S
    while waiting(sync) < count:
        assert time.monotonic() < until_s
        pause.wait(0.001)


def start(sync: SharedSync, dir_fd: int) -> Future[None]:
    """A call in a thread that nobody joins: one that is never woken fails a test, and ends."""
    future: Future[None] = Future()

    def call() -> None:
        try:
            future.set_result(sync(dir_fd))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future


def test_one_alone_syncs_once_per_call(gate: Gate, dir_fd: int):
    gate.go_on.release(3)
    sync = SharedSync()
    for _ in range(3):
        sync(dir_fd)
    assert gate.count == 3


def test_those_who_come_meanwhile_share_the_next(gate: Gate, dir_fd: int):
    """Not the one that runs: it may have begun before their names were changed."""
    sync = SharedSync()
    first = start(sync, dir_fd)
    assert gate.begun.acquire(timeout=PATIENCE_S)
    others = [start(sync, dir_fd) for _ in range(8)]
    wait_for_waiters(sync, 8)
    gate.go_on.release()
    first.result(PATIENCE_S)
    assert not any(other.done() for other in others)  # told before synced would be too early
    assert gate.begun.acquire(timeout=PATIENCE_S)
    assert not any(other.done() for other in others)
    gate.go_on.release()
    for other in others:
        other.result(PATIENCE_S)
    assert gate.count == 2


def test_a_failure_is_that_of_those_who_waited_for_it(gate: Gate, dir_fd: int):
    """The first is well, those that shared the failed one get an error each, the next is well."""
    gate.fails = [None, OSError(errno.EIO, "Input/output error"), None]
    sync = SharedSync()
    first = start(sync, dir_fd)
    assert gate.begun.acquire(timeout=PATIENCE_S)
    others = [start(sync, dir_fd) for _ in range(3)]
    wait_for_waiters(sync, 3)
    gate.go_on.release(2)
    first.result(PATIENCE_S)
    errors = [other.exception(PATIENCE_S) for other in others]
    assert [type(error) for error in errors] == [OSError] * 3
    assert {error.errno for error in errors if isinstance(error, OSError)} == {errno.EIO}
    assert len({id(error) for error in errors}) == 3
    gate.go_on.release()
    sync(dir_fd)
    assert gate.count == 3


def test_one_that_is_interrupted_is_taken_over(gate: Gate, dir_fd: int):
    """Ctrl-C in the thread that syncs says nothing of the disk: the others try again."""
    gate.fails = [None, KeyboardInterrupt()]
    sync = SharedSync()
    first = start(sync, dir_fd)
    assert gate.begun.acquire(timeout=PATIENCE_S)
    others = [start(sync, dir_fd) for _ in range(3)]
    wait_for_waiters(sync, 3)
    gate.go_on.release(4)
    first.result(PATIENCE_S)
    ends = [other.exception(PATIENCE_S) for other in others]
    assert sorted(str(type(end).__name__) for end in ends) == [
        "KeyboardInterrupt",
        "NoneType",
        "NoneType",
    ]
    assert gate.count in {3, 4}  # the two that are left share one, or do one each


#: So long an fsync of a directory lasts, in seconds.
_FSYNC_S = 0.001


class Counting(Effects):
    """Counts the fsyncs of a directory; each lasts as on a disk, wherever the tests' files are."""

    def __init__(self, directory: Path) -> None:
        self.inode = directory.stat().st_ino
        self.count = 0
        self._lock = threading.Lock()

    def fsync(self, fd: int) -> None:
        if os.fstat(fd).st_ino == self.inode:
            with self._lock:
                self.count += 1
            time.sleep(_FSYNC_S)
        super().fsync(fd)


def test_files_saved_by_many_threads_are_all_saved(tmp_path: Path):
    """Each in its own order, none lost, with fewer fsyncs of the directory than saves."""
    sync, files = SharedSync(), []
    for number in range(8):
        file = DurableFile(Directory(tmp_path), f"{number}.json", shared=sync)
        file.create(b"0")
        files.append(file)
    barrier = threading.Barrier(8)

    def save(file: DurableFile) -> None:
        barrier.wait(30)
        for count in range(50):
            file.save(f"{count}".encode())
            assert (tmp_path / file.name).read_bytes() == f"{count}".encode()

    with using(Counting(tmp_path)) as effects, ThreadPoolExecutor(8) as pool:
        for job in [pool.submit(save, file) for file in files]:
            job.result(60)
    assert isinstance(effects, Counting)
    assert effects.count < 400
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n}.json" for n in range(8)]


def test_a_save_that_fails_counts_for_no_neighbour(tmp_path: Path):
    """One file's own fsync fails while many save: it alone keeps its old content."""

    class OneBad(Effects):
        def fsync(self, fd: int) -> None:
            if os.fstat(fd).st_size == 3:
                raise OSError(errno.EIO, "Input/output error")
            super().fsync(fd)

    sync = SharedSync()
    files = [DurableFile(Directory(tmp_path), f"{n}.json", shared=sync) for n in range(6)]
    for file in files:
        file.create(b"0")
    with using(OneBad()), ThreadPoolExecutor(6) as pool:
        jobs = [
            pool.submit(file.save, b"bad" if number == 3 else b"good")
            for number, file in enumerate(files)
        ]
        errors = [job.exception(30) for job in jobs]
    assert [type(error).__name__ for error in errors] == [
        "OSError" if number == 3 else "NoneType" for number in range(6)
    ]
    contents = [(tmp_path / file.name).read_bytes() for file in files]
    assert contents == [b"0" if number == 3 else b"good" for number in range(6)]


class Witness(Effects):
    """Fsyncs that are done when nobody else can go on; notes what each proves."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        #: Who has called so far.
        self.called: set[int] = set()
        #: Whose names are durable.
        self.durable: set[int] = set()

    def fsync(self, fd: int) -> None:
        proven = set(self.called)
        self.turns.step("an fsync", SHARED_FSYNC)
        self.durable |= proven


def struck_in_syncing(call: Callable[[], object], at: int) -> bool:
    """Runs it, with a KeyboardInterrupt at the nth begin or end of what the module calls.

    False if it was over before.
    """
    ticks = itertools.count(1)

    def is_inside(frame: FrameType | None) -> bool:
        return frame is not None and frame.f_code.co_filename == syncing.__file__

    def strike(frame: FrameType, event: str, _arg: Any) -> None:
        inside = is_inside(frame) or (event == "return" and is_inside(frame.f_back))
        if inside and event != "c_call" and next(ticks) == at:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(strike)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


def one_dies(victim: int, at: int, dir_fd: int) -> tuple[bool, set[int]]:
    """Of four that sync at once one is struck; whether it was, and who of them was told.

    Nobody is told before an fsync that began after their call has ended.
    """
    turns, sync = Turns(lapses=4), SharedSync()
    witness, told, struck = Witness(turns), set[int](), set[int]()

    def call(number: int) -> None:
        turns.step("its call")
        witness.called.add(number)
        sync(dir_fd)
        assert number in witness.durable
        told.add(number)

    def die(number: int) -> None:
        if struck_in_syncing(partial(call, number), at):
            struck.add(number)

    with turns.in_place(), using(witness):
        turns.at_once([partial(die if n == victim else call, n) for n in range(4)])
    return bool(struck), told


@pytest.mark.parametrize("victim", range(4))
def test_whoever_dies_in_a_group_leaves_nobody_waiting(victim: int, dir_fd: int):
    """The one that syncs first, the one that takes over, those that wait: at any moment of each."""
    at, struck = 0, True
    while struck:
        at += 1
        struck, told = one_dies(victim, at, dir_fd)
        assert told | {victim} == {0, 1, 2, 3}, f"struck at {at}"
    assert at > 15
