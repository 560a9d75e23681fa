"""What tasks cost that rest, 10,000 or `BENCH_TASKS`: start, memory, CPU of an idle engine."""

from __future__ import annotations

import gc
import hashlib
import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
from figures import Figure
from musictasks.files import Directory, make_root
from musictasks.music import Settings, open_library
from musictasks.persistence import TaskStore, make_converter
from musictasks.statemachine import MUSIC, MusicTask, TaskMachine

TASKS = int(os.environ.get("BENCH_TASKS", "10000"))
#: The unconditional look at the directory comes every 30 s: one of the windows has it.
WINDOWS, WINDOW_S = 3, 10.0
_SETTLED_CPU_S = 0.005


def measure(directory: Path) -> Iterator[Figure]:
    settings = Settings.in_directory(directory, durability="none")
    open_library(settings).close()  # no library with so many tasks is new: its databases are made
    make_tasks(settings)
    floor_s = min(_parse_all(settings) for _ in range(3))
    before_bytes, begun = resident_bytes(), time.process_time()
    engine = open_library(settings)
    open_s, opened_bytes = time.process_time() - begun, resident_bytes()
    # Each task that waits for a chunk gets its ChunkRequest.
    asked, all_asked = itertools.count(1), threading.Event()
    unsubscribe = engine.subscribe(lambda *_: next(asked) == TASKS // 2 and all_asked.set())
    begun = time.process_time()
    with engine:
        all_asked.wait()
        start_s = open_s + time.process_time() - begun
        unsubscribe()
        _settle()
        settled_bytes = resident_bytes()
        cpu_s = max(_cpu_s(WINDOW_S) for _ in range(WINDOWS))
    tasks = f"{TASKS:,} tasks"
    yield Figure(f"{tasks}: files read and parsed", floor_s, "s CPU", note="orjson")
    yield Figure(f"{tasks}: start", start_s, "s CPU", note="all loaded and recovered")
    yield Figure("  times the parsing", start_s / floor_s, "x", 2.5)
    each_bytes = (opened_bytes - before_bytes) / TASKS
    yield Figure(f"{tasks}: memory of each", each_bytes, "bytes", 2000)
    yield Figure(f"{tasks}: memory of the process", settled_bytes / 1e6, "MB", note="after it")
    note = f"worst of {WINDOWS} windows"
    yield Figure(f"{tasks} at rest: CPU in 10 s", cpu_s, "s", 0.05, note)


def _parse_all(settings: Settings) -> float:
    """The floor of a start: CPU seconds that reading and parsing the task files takes."""
    begun = time.process_time()
    for path in settings.tasks.iterdir():
        orjson.loads(path.read_bytes())
    return time.process_time() - begun


def make_tasks(settings: Settings, tasks: int = TASKS) -> None:
    """Half of them wait for a chunk, half for the client's next request; all have data."""
    make_root(settings.tasks)
    make_root(settings.uploads)
    store = TaskStore(Directory(settings.tasks, durable=False), make_converter(MUSIC))
    machine = TaskMachine(MUSIC)
    for number in range(tasks):
        task = _waiting(machine, number) if number % 2 else _ready(machine, number)
        store.task_file(task.id).create(task)
        (settings.uploads / task.id).mkdir()
        (settings.uploads / str(task.upload_path)).write_bytes(b"data"[: task.offset])


def _waiting(machine: TaskMachine, number: int) -> MusicTask:
    checksum = hashlib.sha1(str(number).encode()).hexdigest()
    task = MusicTask(
        id=f"task-{number}",
        content_type="albumfile",
        mime_type="audio/flac",
        file_size=4,
        offset=2,
        upload_path=f"task-{number}/albumfile-{checksum}.flac",
        source_filename=f"{number} Song.flac",
        source_checksum=checksum,
    )
    return machine.send(task, "request_upload", now=time.time())


def _ready(machine: TaskMachine, number: int) -> MusicTask:
    task, now = _waiting(machine, number), time.time()
    payload = {"size": 4, "sha1": task.source_checksum}
    task = machine.send(task, "complete_upload", now=now, changes={"offset": 4}, payload=payload)
    tags = {"artist": "Artist", "album": "Album", "song": f"Song {number}", "songnumber": number}
    task = machine.send(task, "begin", now=now)
    return machine.send(task, "succeed", now=now, annotations=tags, by_handler=True)


def _settle() -> None:
    """Returns when the process has nothing to do any more, looked at half a second long."""
    until = time.monotonic() + 30
    while _cpu_s(0.5) > _SETTLED_CPU_S:
        if time.monotonic() > until:
            raise TimeoutError("the engine does not come to rest")


def _cpu_s(window_s: float) -> float:
    """CPU seconds of all threads in `window_s` seconds."""
    begun = time.process_time()
    time.sleep(window_s)
    return time.process_time() - begun


def resident_bytes() -> int:
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status tells no VmRSS")
