"""What a task of 10 kB costs from the upload to its removal, beside the bare file operations."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from at_rest import make_tasks, resident_bytes
from attrs import evolve
from figures import Figure, interleaved, ratio
from floor import BareWay
from musictasks.library import sample_album
from musictasks.music import MusicEngine, Settings, open_library

SIZE_BYTES = 10_000
#: The soak: memory after so many tasks came and went, against after so many more.
SOAKED, SOAK = 1_000, int(os.environ.get("BENCH_SOAK", "5000"))
#: A hundred at once come from several clients, since one waits for the disk in each of its calls;
#: so does a worker that places a file, and more of them than processors share the fsyncs.
_CLIENTS, _WORKERS = 8, 8
#: So many files lie in one directory: to place one, all names that are there are looked at.
_ALBUM_FILES = 100
#: So many of them are under way at once.
_SIDE_BY_SIDE = 8


def measure(directory: Path) -> Iterator[Figure]:
    yield from _one_after_the_other(directory / "one")
    yield from _at_once(directory / "many")
    yield from _beside_others(directory / "others")
    yield from _soak(directory / "soak")


def _one_after_the_other(directory: Path) -> Iterator[Figure]:
    bare = BareWay(directory / "bare", _content(0), durable=False)
    with _ways(directory / "ours", "none", side_by_side=1) as ways:
        ours_us, bare_us = interleaved(15, 20, ways, bare)
    yield Figure("a task of 10 kB, bare file operations", _ms(bare_us), "ms", note="no fsync")
    yield Figure("a task of 10 kB, one after the other", _ms(ours_us), "ms", note="no fsync")
    yield Figure("  times the floor", ratio(ours_us, bare_us), "x", 1.5)


def _at_once(directory: Path) -> Iterator[Figure]:
    bare = BareWay(directory / "bare", _content(0), durable=True)
    with _ways(
        directory / "ours", "fsync", side_by_side=100, clients=_CLIENTS, workers=_WORKERS
    ) as ways:
        ours_us, bare_us = interleaved(5, 100, ways, bare)
    yield Figure("the same, fsync, bare", _ms(bare_us), "ms")
    note = f"{_CLIENTS} clients, {_WORKERS} workers"
    yield Figure("the same, fsync, 100 at once", _ms(ours_us), "ms", note=note)
    yield Figure("  times the floor", ratio(ours_us, bare_us), "x", 0.8)


def _beside_others(directory: Path) -> Iterator[Figure]:
    """CPU seconds of the whole process, round by round with 100 and with 10,000 that rest."""
    with (
        _ways(directory / "few", "none", resting=100) as few,
        _ways(directory / "many", "none", resting=10_000) as many,
    ):
        many_us, few_us = interleaved(7, 40, many, few, clock=time.process_time)
    yield Figure("CPU of a task beside 100 at rest", _ms(few_us), "ms")
    yield Figure("CPU of a task beside 10,000 at rest", _ms(many_us), "ms")
    yield Figure("  times that beside 100", ratio(many_us, few_us), "x", 1.15)


def _soak(directory: Path) -> Iterator[Figure]:
    with _ways(directory, "none") as ways:
        ways(SOAKED)
        time.sleep(1)  # what ends by itself has ended
        before, open_before = resident_bytes(), _open_and_threads()
        ways(SOAK)
        time.sleep(1)
        grown, opened = resident_bytes() - before, _open_and_threads() - open_before
    yield Figure(f"memory after {SOAK:,} more tasks", grown / 1e6, "MB more", 5)
    yield Figure("  descriptors and threads", opened, "more", 1)


def _open_and_threads() -> int:
    return len(os.listdir("/proc/self/fd")) + threading.active_count()  # noqa: PTH208


def _ms(times_us: list[float]) -> float:
    return sorted(times_us)[len(times_us) // 2] / 1e3


@cache
def _booklet() -> bytes:
    return (sample_album() / "booklet.pdf").read_bytes()


def _content(number: int) -> bytes:
    return (_booklet() + b"%d\n" % number).ljust(SIZE_BYTES)


@contextmanager
def _ways(
    directory: Path,
    durability: Literal["none", "fsync"],
    *,
    side_by_side: int = _SIDE_BY_SIDE,
    resting: int = 0,
    clients: int = 1,
    workers: int | None = None,
) -> Iterator[Callable[[int], None]]:
    """Takes so many new files into the library, and ends when their tasks are removed."""
    settings = Settings.in_directory(directory, durability=durability)
    if workers is not None:
        settings = evolve(settings, workers=workers)
    if resting:
        make_tasks(settings, resting)
    with open_library(settings) as engine:
        yield _Ways(engine, side_by_side, clients)


class _Ways:
    """Clients: each uploads files and has them placed. Driven by what the engine tells."""

    def __init__(self, engine: MusicEngine, side_by_side: int, clients: int) -> None:
        self._engine = engine
        self._side_by_side = side_by_side // clients
        self._clients = clients
        self._numbers, self._placed = count(), count()
        #: By the id of each task: where its client waits.
        self._heard: dict[str, SimpleQueue[tuple[str, str]]] = {}
        for state in ("readyforintegration", "notexisting"):
            engine.on_enter(state, lambda task: self._heard[task.id].put((task.id, task.state)))

    def __call__(self, tasks: int) -> None:
        if self._clients == 1:
            self._client(tasks)
            return
        with ThreadPoolExecutor(self._clients) as pool:
            for client in [
                pool.submit(self._client, len(range(first, tasks, self._clients)))
                for first in range(self._clients)
            ]:
                client.result()

    def _client(self, tasks: int) -> None:
        heard = SimpleQueue[tuple[str, str]]()
        begun = gone = 0
        while gone < tasks:
            while begun < tasks and begun - gone < self._side_by_side:
                self._begin(heard)
                begun += 1
            task_id, state = heard.get(timeout=60)
            if state == "readyforintegration":
                album = f"Artist/2020 - Album {next(self._placed) // _ALBUM_FILES}"
                self._engine.integrate(task_id, f"{album}/{task_id}.pdf")
            else:
                del self._heard[task_id]
                gone += 1

    def _begin(self, heard: SimpleQueue[tuple[str, str]]) -> None:
        data = _content(next(self._numbers))
        task = self._engine.begin_upload(
            content_type="albumfile",
            mime_type="application/pdf",
            file_size=len(data),
            checksum=hashlib.sha1(data).hexdigest(),
            source_filename="booklet.pdf",
        )
        self._heard[task.id] = heard  # nothing is told of the states above before it has data
        self._engine.receive_chunk(task.id, data, offset=0)
