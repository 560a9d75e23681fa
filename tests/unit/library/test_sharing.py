"""Threads that write into a database at the same time share a transaction, and nothing else."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from pathlib import Path
from threading import Semaphore
from typing import Any

import pytest
from musictasks.errors import LedgerUnusable
from musictasks.library import Ledger, LedgerEntry
from musictasks.library.sharing import SharedWrites

#: Longer than any step takes; only broken code meets it.
PATIENCE_S = 10


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


class Gate:
    """A write that goes on when the test says so, and refuses some values."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.begun, self.go_on = Semaphore(0), Semaphore(0)
        self.written: list[list[str]] = []

    def __call__(self, values: Sequence[str]) -> None:
        self.begun.release()
        assert self.go_on.acquire(timeout=PATIENCE_S)
        for value in values:
            if value in self.refused:
                raise ValueError(value)
        self.written.append(sorted(values))


def several(
    shared: SharedWrites[str], gate: Gate, pool: ThreadPoolExecutor, first: str, *others: str
) -> dict[str, Future[None]]:
    """Lets `first` begin to write, and the others wait for it."""
    calls = {first: pool.submit(shared, first, gate)}
    assert gate.begun.acquire(timeout=PATIENCE_S)
    calls |= {other: pool.submit(shared, other, gate) for other in others}
    until(lambda: len(shared._waiting) == len(others))
    return calls


def test_those_who_come_meanwhile_are_written_together() -> None:
    """And none of them returns before that."""
    shared, gate = SharedWrites[str](), Gate()
    with ThreadPoolExecutor(4) as pool:
        calls = several(shared, gate, pool, "a", "b", "c", "d")
        gate.go_on.release()
        assert gate.begun.acquire(timeout=PATIENCE_S)
        calls["a"].result(PATIENCE_S)
        assert not any(calls[one].done() for one in "bcd")
        gate.go_on.release()
        for call in calls.values():
            call.result(PATIENCE_S)
    assert gate.written == [["a"], ["b", "c", "d"]]


def test_an_error_is_that_of_its_own_value() -> None:
    """The others are written, each by itself or with others again."""
    shared, gate = SharedWrites[str](), Gate("bad")
    with ThreadPoolExecutor(4) as pool:
        calls = several(shared, gate, pool, "a", "bad", "c", "d")
        gate.go_on.release(100)
        for value, call in calls.items():
            error = call.exception(PATIENCE_S)
            assert (type(error) is ValueError) == (value == "bad")
    assert sorted(chain.from_iterable(gate.written)) == ["a", "c", "d"]


def test_what_an_interrupted_thread_had_taken_is_written() -> None:
    """An interrupt says nothing of what the others brought."""
    shared, gate = SharedWrites[str](), Gate()
    interrupted = []

    def write(values: Sequence[str]) -> None:
        if len(values) > 1 and not interrupted:
            interrupted.append(values[0])
            raise KeyboardInterrupt
        gate(values)

    with ThreadPoolExecutor(4) as pool:
        calls = {"a": pool.submit(shared, "a", write)}
        assert gate.begun.acquire(timeout=PATIENCE_S)
        calls |= {other: pool.submit(shared, other, write) for other in "bcd"}
        until(lambda: len(shared._waiting) == 3)
        gate.go_on.release(100)
        for value, call in calls.items():
            error = call.exception(PATIENCE_S)
            assert (type(error) is KeyboardInterrupt) == (value in interrupted)
    assert sorted(chain.from_iterable(gate.written)) == sorted({*"abcd"} - {*interrupted})


def entry(path: str, size_bytes: int = 1) -> LedgerEntry:
    return LedgerEntry(
        path=path, size_bytes=size_bytes, mtime_ns=1, ctime_ns=1, sha1=path, sha256=path, time=1.0
    )


def transactions(ledger: Ledger) -> int:
    """How many have changed the file: SQLite counts them in its header."""
    return int.from_bytes(ledger.path.read_bytes()[24:28], "big")


@pytest.mark.parametrize("too_large", [False, True], ids=["all well", "one too large"])
def test_a_ledger_takes_down_what_comes_at_once_in_one_transaction(
    tmp_path: Path, too_large: bool
) -> None:
    """What one call cannot take down is told to that call alone."""
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.prepare()
    with (
        closing(sqlite3.connect(ledger.path, isolation_level=None)) as other,
        ThreadPoolExecutor(6) as pool,
    ):
        before = transactions(ledger)
        other.execute("begin immediate")
        calls = [pool.submit(ledger.record, [entry("first")])]
        until(lambda: bool(shares()))
        (shared,) = shares()
        until(lambda: not shared._waiting and shared._turn.locked())
        calls += [pool.submit(ledger.record, [entry(f"{number}")]) for number in range(4)]
        if too_large:
            calls.append(pool.submit(ledger.record, [entry("large", 2**70)]))
        until(lambda: len(shared._waiting) == len(calls) - 1)
        other.execute("commit")
        errors = [call.exception(PATIENCE_S) for call in calls]
    assert set(ledger.entries()) == {"first", "0", "1", "2", "3"}
    assert [type(error) for error in errors if error] == [LedgerUnusable] * too_large
    if not too_large:
        assert transactions(ledger) - before == 2


def shares() -> list[SharedWrites[Any]]:
    from musictasks.library import ledger

    return list(ledger._writes.values())
