"""A ledger whose connections are kept: quick answers, and never those of a file that is gone."""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from attrs import evolve
from musictasks.errors import LedgerUnusable
from musictasks.library import Archive, AskedLedger, Ledger, LedgerEntry
from musictasks.library import connections as connections_module


def entry(number: int) -> LedgerEntry:
    return LedgerEntry(
        path=f"Artist/2020 - Album/{number:02} Song.mp3",
        size_bytes=number,
        mtime_ns=1,
        ctime_ns=1,
        sha1=f"{number:040x}",
        sha256=f"{number:064x}",
        time=1.0,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """As another process has it."""
    ledger = Ledger(tmp_path / "ledger.db", durable=False, busy_timeout_s=0.2)
    ledger.record([entry(1)])
    return ledger


@pytest.fixture
def asked(ledger: Ledger) -> Iterator[AskedLedger]:
    asked = AskedLedger(ledger.path, durable=False, busy_timeout_s=0.2)
    yield asked
    asked.close()


def knows(asked: AskedLedger, number: int) -> bool:
    return asked.with_bytes(f"{number:040x}", number) == [entry(number)]


def open_files(path: Path) -> int:
    """How often this process has the file open, or had it before it was removed."""
    links = Path("/proc/self/fd").iterdir()
    names = (str(link.readlink()) for link in links if link.is_symlink())
    return sum(name.removesuffix(" (deleted)") == str(path) for name in names)


def test_one_connection_for_many_questions(asked: AskedLedger, monkeypatch: pytest.MonkeyPatch):
    """Also of several kinds; and what others write is seen at once."""
    assert knows(asked, 1)
    monkeypatch.setattr(sqlite3, "connect", None)
    assert all(knows(asked, 1) for _ in range(100))
    assert not knows(asked, 2)
    assert asked.of_archive(Archive("0" * 40, 1)) == []
    assert asked.entries() == {entry(1).path: entry(1)}


def test_what_another_has_written_is_seen(asked: AskedLedger, ledger: Ledger):
    for number in range(2, 30):
        assert not knows(asked, number)
        ledger.record([entry(number)])
        assert knows(asked, number)


def test_no_lock_is_held_between_questions(asked: AskedLedger, ledger: Ledger):
    """A writer that would wait for nobody finds nobody."""
    assert knows(asked, 1)
    other = Ledger(ledger.path, durable=False, busy_timeout_s=0)
    other.record([entry(2)])
    other.make_anew()


def test_a_ledger_that_is_removed_and_comes_again(asked: AskedLedger, ledger: Ledger):
    assert knows(asked, 1)
    ledger.path.unlink()
    assert not knows(asked, 1)
    assert asked.since() is None
    assert open_files(ledger.path) == 0
    ledger.record([entry(2)])
    assert knows(asked, 2)
    assert not knows(asked, 1)


def test_a_ledger_that_is_made_anew(asked: AskedLedger, ledger: Ledger):
    assert knows(asked, 1)
    ledger.make_anew()
    ledger.record([entry(3)])
    assert not knows(asked, 1)
    assert knows(asked, 3)


@pytest.mark.parametrize("replace", [os.replace, shutil.copyfile])
def test_a_ledger_that_is_replaced(asked: AskedLedger, tmp_path: Path, replace):
    """By a rename, or a copy over it: by a backup, say."""
    assert knows(asked, 1)
    other = Ledger(tmp_path / "other.db", durable=False)
    other.record([entry(2)])
    other.record([entry(4)])
    replace(other.path, asked.path)
    assert not knows(asked, 1)
    assert knows(asked, 2)
    assert knows(asked, 4)


@pytest.mark.parametrize("data", [b"\xa5" * 8192, b"", b"SQLite format 3\0"])
def test_a_ledger_that_is_damaged_and_mended(asked: AskedLedger, ledger: Ledger, data: bytes):
    """What is no ledger raises, or has nothing; a new one in its place is read."""
    whole = ledger.path.read_bytes()
    assert knows(asked, 1)
    ledger.path.write_bytes(data)
    try:
        assert not knows(asked, 1)
    except LedgerUnusable:
        assert data
    ledger.path.write_bytes(whole)
    assert knows(asked, 1)


def test_a_writer_that_keeps_it_is_waited_for_a_while(asked: AskedLedger, ledger: Ledger):
    """Then it is no help; afterwards it is again."""
    assert knows(asked, 1)
    writer = sqlite3.connect(ledger.path, isolation_level=None)
    writer.execute("begin exclusive")
    with pytest.raises(LedgerUnusable):
        asked.since()
    writer.close()
    assert knows(asked, 1)


def test_many_threads(asked: AskedLedger, ledger: Ledger):
    """Each answer is right while others write; no more connections are kept than are allowed."""
    ready = threading.Barrier(16)

    def ask(number: int) -> bool:
        ready.wait(10)
        return all(knows(asked, 1) and not knows(asked, 1000 + number) for _ in range(50))

    with ThreadPoolExecutor(17) as pool:
        answers = [pool.submit(ask, number) for number in range(16)]
        for number in range(2, 40):
            ledger.record([entry(number)])
        assert all(answer.result() for answer in answers)
    assert 0 < open_files(ledger.path) <= connections_module._KEPT_MOST


def test_nothing_is_open_when_it_is_closed(asked: AskedLedger, ledger: Ledger):
    """A question that comes later is still answered, by a connection of its own."""
    assert knows(asked, 1)
    assert open_files(ledger.path) == 1
    asked.close()
    assert open_files(ledger.path) == 0
    assert knows(asked, 1)
    assert open_files(ledger.path) == 0


def test_one_connection_for_many_records(asked: AskedLedger, monkeypatch: pytest.MonkeyPatch):
    """Of whatever kind; it is a connection of its own, beside that of the questions."""
    asked.record([entry(2)])
    monkeypatch.setattr(sqlite3, "connect", None)
    for number in range(3, 20):
        asked.record([entry(number)], audio=[(f"{number:064x}", "audio")])
    asked.note_audio([("0" * 64, "other")])
    asked.forget([entry(3).path])
    monkeypatch.undo()
    assert not knows(asked, 3)
    assert knows(asked, 19)
    assert open_files(asked.path) == 2


@pytest.mark.parametrize("replace", [os.replace, shutil.copyfile])
def test_records_go_into_a_ledger_that_was_replaced(asked: AskedLedger, tmp_path: Path, replace):
    """By a rename, or a copy over it that changed as often and is as large: nothing is mixed."""
    other = Ledger(tmp_path / "other.db", durable=False)
    for number in (2, 4):
        other.record([entry(number)])
    asked.record([entry(5)])
    replace(other.path, asked.path)
    asked.record([entry(6)])
    now = Ledger(asked.path).entries()
    assert now == {entry(number).path: entry(number) for number in (2, 4, 6)}
    with closing(sqlite3.connect(asked.path)) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)


def test_records_go_into_a_ledger_that_was_removed(asked: AskedLedger, ledger: Ledger):
    """By a person, or to be made anew."""
    asked.record([entry(2)])
    ledger.path.unlink()
    asked.record([entry(3)])
    assert list(ledger.entries()) == [entry(3).path]
    ledger.make_anew()
    asked.record([entry(4)])
    assert list(ledger.entries()) == [entry(4).path]


def test_a_record_that_fails_leaves_nothing_behind(asked: AskedLedger, ledger: Ledger):
    """Neither a part of it, nor a lock, nor a connection in a transaction."""
    asked.record([entry(2)])
    with pytest.raises(LedgerUnusable):
        asked.record([entry(3), evolve(entry(4), size_bytes=2**80)])
    Ledger(ledger.path, durable=False, busy_timeout_s=0).record([entry(5)])
    asked.record([entry(6)])
    assert set(ledger.entries()) == {entry(number).path for number in (1, 2, 5, 6)}


def test_no_lock_is_held_between_records(asked: AskedLedger, ledger: Ledger):
    asked.record([entry(2)])
    Ledger(ledger.path, durable=False, busy_timeout_s=0).record([entry(3)])
    asked.record([entry(4)])
    assert set(ledger.entries()) == {entry(number).path for number in (1, 2, 3, 4)}


def test_nothing_is_open_when_the_writers_are_closed(asked: AskedLedger):
    """What is recorded later is recorded all the same, by a connection of its own."""
    asked.record([entry(2)])
    assert open_files(asked.path) == 1
    asked.close()
    assert open_files(asked.path) == 0
    asked.record([entry(3)])
    assert open_files(asked.path) == 0
    assert knows(asked, 3)


def test_another_process_gets_a_ledger_without_connections(asked: AskedLedger):
    asked.record([entry(2)])
    there = pickle.loads(pickle.dumps(asked))
    assert type(there) is Ledger
    assert there == Ledger(asked.path, durable=False, busy_timeout_s=0.2)


def test_a_forked_child_leaves_its_parents_connections_alone(asked: AskedLedger):
    """It opens its own, and the parent goes on with those that it had."""
    asked.record([entry(2)])
    assert knows(asked, 2)
    child = os.fork()
    if child == 0:
        try:
            asked.record([entry(3)])
            os._exit(0 if knows(asked, 3) and open_files(asked.path) == 4 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    asked.record([entry(4)])
    assert knows(asked, 3)
    assert knows(asked, 4)
