"""What the crash tests share: effects that strike at one call, and an engine under control.

Everything is real: engine, store, handlers, files, database. What is taken away is chance: the
workers work inline, the clock is moved by hand, and a client acts only when the engine rests, so
the effect with a number is the same one in every run.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import stat
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from crashturns import SHARED_FSYNC, SOON, Turns
from musictasks.errors import (
    ChunkRefused,
    IllegalTransition,
    InvalidTaskFile,
    TaskNotFound,
    TaskNotSaved,
)
from musictasks.music import MusicEngine, Settings, open_library
from musictasks.persistence import as_dictionary
from musictasks.statemachine import MUSIC, MusicTask
from musictasks.testing import Clock, InlineExecutor
from musictasks.testing import Struck as Counted

T = TypeVar("T")

#: An effect, or an engine's rest, that is awaited longer than this hangs.
PATIENCE_S = 60.0
#: The clock is moved to timers due within this time: to every retry and to the end of a finished
#: task, but not to the great age of one that waits.
_NEAR_S = 600.0
_CHUNK_BYTES = 24 * 1024
#: Where there are turns.
_WORKERS = 4
#: The keys that were paths in the Upload Directory itself, before each task had its own.
_TAKEN_OVER = ("uploadpath", "preprocessedpath", "awsourcepath")
#: Names that states had in an older version, as some ways find them in the task files.
OLD_NAMES = {
    "awaitingchunks": "waitforchunk",
    "received": "uploadcomplete",
    "checking": "preprocessing",
    "done": "importcomplete",
    "importing": "importingmusic",
}
LIFECYCLE = MUSIC.with_renamed(OLD_NAMES)


class Struck(Counted):
    """The kit's, but an fsync is counted and not done: only a power cut can tell (crashimages)."""

    #: Whether the disk has hard links.
    links: bool = True
    #: Called before each effect is counted, with its name and its first argument.
    before: Callable[[str, Any], object] = staticmethod(lambda name, first: None)

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        self.before(name, args[0])
        return super().call(name, *args, **kwargs)

    def perform(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "fsync":
            return os.fstat(args[0])
        if name == "link" and not self.links:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        return super().perform(name, *args, **kwargs)


class Room:
    """One library, its engine, and everything that was told."""

    def __init__(self, root: Path, new_turns: Callable[[], Turns] | None = None) -> None:
        """With turns several save at once, and the engine's savers work, too."""
        self.root = root
        self.settings = Settings.in_directory(
            root,
            workers=1 if new_turns is None else _WORKERS,
            artwork_scales=(16,),
            chunk_size=_CHUNK_BYTES,
            durability="fsync",
        )
        #: It stands still until a test moves it: nothing comes due between two looks of a client.
        self.clock = Clock()
        #: Every notification, from the instant it was told: name and record.
        self.told: list[tuple[str, MusicTask]] = []
        self.on_tell: Callable[[str, MusicTask], object] = lambda name, record: None
        #: What the calls of the client raised.
        self.raised: list[Exception] = []
        #: Whether another client acts, too.
        self.shared = False
        #: How many saves each fsync of the tasks directory is for.
        self.groups: list[int] = []
        #: The same of the effect that is under way; 0: it is another one.
        self.sharing = 0
        self._engine: MusicEngine | None = None
        self._new_turns = new_turns
        self._turns: Turns | None = None
        self._patches = ExitStack()

    @property
    def is_open(self) -> bool:
        return self._engine is not None

    @property
    def engine(self) -> MusicEngine:
        assert self._engine is not None
        return self._engine

    def open(self) -> None:
        self._patches.close()
        if self._new_turns is not None:
            self._turns = self._new_turns()
            self._patches.enter_context(self._turns.in_place())
        engine = open_library(
            self.settings, lifecycle=LIFECYCLE, executor=InlineExecutor, clock=self.clock
        )
        self._engine = engine
        if self._turns is not None:
            self._turns.conduct(engine._runner.dispatcher)
        else:
            # One thread saves, so that the n-th change of the disk is the same one in each run.
            engine._runner.dispatcher._savers = 0
        # Not by `subscribe`: what counts is the instant of telling, not that of hearing.
        notifier, tell = engine._notifier, engine._notifier.tell

        def telling(name: str, record: Any, *args: Any, **options: Any) -> None:
            assert isinstance(record, MusicTask)
            self.told.append((name, record))
            self.on_tell(name, record)
            tell(name, record, *args, **options)

        notifier.tell = telling
        engine.start()
        self.rest()

    def close(self) -> None:
        if self._turns is not None:
            self._turns.let_go()
        if self._engine is not None:
            self._engine.close()
        self._patches.close()

    def before(self, name: str, first: Any) -> None:
        """Somebody is about to change the disk: now, or when it is their turn."""
        turns = self._turns
        if turns is None:
            return
        shared = name == "fsync" and self._is_tasks_directory(first)
        turns.step(f"the effect {name}", SHARED_FSYNC if shared else SOON)
        self.sharing = 0
        if shared and self._engine is not None:
            mine = self.engine._runner.table.store.shared._running
            self.sharing = 1 if mine is None else max(len(mine.waiting), 1)
            self.groups.append(self.sharing)

    def _is_tasks_directory(self, fd: int) -> bool:
        tasks = self.settings.tasks
        return tasks.is_dir() and tasks.samefile(f"/proc/self/fd/{fd}")

    def at_once(self, calls: list[Callable[[], object]]) -> None:
        """Calls of as many clients; each as `attempt`, and all at once where there are turns."""
        if self._turns is None:
            for call in calls:
                self.attempt(call)
            return
        unexpected: list[Exception] = []

        def attempt(call: Callable[[], object]) -> None:
            try:
                self._attempt(call)
            except Exception as error:
                unexpected.append(error)

        self._turns.at_once([partial(attempt, call) for call in calls])
        if unexpected:
            raise unexpected[0]
        self.rest()

    def attempt(self, call: Callable[[], object]) -> bool:
        """A client's call that the disk may refuse; the client will try again."""
        try:
            return self._attempt(call)
        finally:
            if self._engine is not None:
                self.rest()

    def _attempt(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except (TaskNotSaved, ChunkRefused, InvalidTaskFile, OSError) as error:
            self.raised.append(error)
            return False
        except IllegalTransition as error:
            # A person deleted its file meanwhile, or another client was first.
            if error.state != "remove" and not self.shared:
                raise
        except TaskNotFound:
            if not self.shared:
                raise
        return True

    def rest(self) -> float | None:
        """Returns when the engine has nothing to do now; when it next will have, if ever."""
        dispatcher = self.engine._runner.dispatcher

        def look() -> tuple[bool, float | None]:
            self.engine._runner.looking.look(time.monotonic())
            return dispatcher._jobs.empty(), dispatcher.next_due()

        while True:
            empty, due = self.in_between(look)
            if empty and (due is None or due > self.clock()):
                return due

    def in_between(self, look: Callable[[], T]) -> T:
        """What `look` returns, called in the engine's thread: nothing happens meanwhile."""
        answers: SimpleQueue[T | Exception] = SimpleQueue()

        def answer() -> None:
            try:
                answers.put(look())
            except Exception as error:
                answers.put(error)

        turns = self._turns
        if turns is not None:
            turns.rest()
        self.engine._runner.dispatcher.put(answer)
        if turns is not None:
            turns.rest()
        found = answers.get(timeout=PATIENCE_S)
        if isinstance(found, Exception):
            raise found
        return found

    def pass_time(self) -> bool:
        """Moves the clock to the engine's next timer; False where none is near."""
        return self.pass_to(self.rest())

    def pass_to(self, due: float | None) -> bool:
        """Moves the clock to a timer, if it is near, and waits for what comes of it."""
        if due is None or due > self.clock() + _NEAR_S:
            return False
        self.clock.now = max(self.clock.now, due)
        self.rest()
        return True

    def records_on_disk(self) -> dict[str, dict[str, Any]]:
        """What the task files say; one that is no JSON raises."""
        files = self.settings.tasks.glob("*.json")
        return {file.stem: json.loads(file.read_bytes()) for file in files}

    def ahead_of_disk(self) -> list[str]:
        """The tasks whose memory is not what their file says."""
        return self.in_between(self._ahead_of_disk)

    def _ahead_of_disk(self) -> list[str]:
        found = []
        on_disk = self.records_on_disk()
        for task in self.engine.tasks():
            memory = as_dictionary(task)
            disk = on_disk.get(task.id, {"no": "file"})
            if task.state == "remove" and task.id not in on_disk:
                continue  # it is about to be forgotten
            if task.state == "waitforchunk":  # the offset is the size of the data
                data = self.settings.uploads / str(task.upload_path)
                disk["offset"] = data.stat().st_size if data.exists() else 0
            if "/" not in (disk.get("uploadpath") or "/"):
                # Taken over in memory: in the file with the next save, or again at the next load.
                disk |= {key: memory[key] for key in _TAKEN_OVER}
            if json.loads(json.dumps(memory)) != with_names(disk, OLD_NAMES):
                found.append(f"{task.id}: memory has {memory}, the disk {disk}")
        return found

    def library(self) -> dict[str, Any]:
        """What a run has to bring about: the music, the database, the artwork, the ledger."""
        return {
            "music": tree(self.settings.music),
            "artwork": tree(self.settings.artwork),
            "database": rows(self.settings.database),
            "ledger": ledger_rows(self.settings.ledger),
        }

    def leftovers(self) -> list[str]:
        """Files of tasks and of uploads, and temporaries anywhere."""
        kept = {"music.db", "ledger.db", "tasks", "uploads", "webdata"}
        data = [path for path in self.settings.data.iterdir() if path.name not in kept]
        for directory in (self.settings.tasks, self.settings.uploads):
            data += directory.rglob("*")
        for directory in (self.settings.music, self.settings.artwork):
            data += (path for path in directory.rglob("*") if path.name.startswith("."))
        return [str(path.relative_to(self.root)) for path in data]


def with_names(record: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """What a task file says, with other names of states: in its state and in its history."""

    def other(name: Any) -> Any:
        return names.get(name, name)

    history = [
        entry | {"from": other(entry["from"]), "to": other(entry["to"])}
        for entry in record.get("history", [])
    ]
    return record | {"state": other(record.get("state")), "history": history}


#: By their lengths, the last contents of files that were looked at, with their hashes.
_KNOWN: defaultdict[int, deque[tuple[bytes, str]]] = defaultdict(lambda: deque(maxlen=8))


def tree(root: Path, of: str | None = None) -> dict[str, tuple[str, str]]:
    """Mode and SHA-256 of every file below, by relative path; directories have no hash.

    `of`: only of what is at this path, itself and what is below it.
    """
    found: dict[str, tuple[str, str]] = {}
    if of is not None:
        _look(os.path.join(root, of), of, found)  # noqa: PTH118
    _look_below(str(root if of is None else root / of), of or "", found)
    return found


# Asked before each change of the disk: `pathlib` would take longer than the disk.
def _look(path: str, name: str, found: dict[str, tuple[str, str]]) -> None:
    status, digest = os.stat(path), ""  # noqa: PTH116
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            digest = _sha256(file.read())
    found[name] = (stat.filemode(status.st_mode), digest)


def _sha256(data: bytes) -> str:
    """Most are the same each time: to compare them takes a tenth of hashing them."""
    known = _KNOWN[len(data)]
    for other, digest in known:
        if other == data:
            return digest
    digest = hashlib.sha256(data).hexdigest()
    known.append((data, digest))
    return digest


def _look_below(path: str, name: str, found: dict[str, tuple[str, str]]) -> None:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as entries:
        for entry in entries:
            rel = f"{name}/{entry.name}" if name else entry.name
            _look(entry.path, rel, found)
            if entry.is_dir(follow_symlinks=False):
                _look_below(entry.path, rel, found)


def at_path(path: str, found: Mapping[str, T]) -> dict[str, T]:
    """What of a tree is at a path, or below it."""
    return {name: a for name, a in found.items() if name == path or name.startswith(f"{path}/")}


def half(music: Path, path: str | None, wanted: dict[str, tuple[str, str]]) -> list[str]:
    """What is at a path of the Music Directory in part; nothing of it may be there, or all."""
    if path is None or not os.path.exists(f"{music}/{path}"):  # noqa: PTH110
        return []
    found = tree(music, path)
    return [] if found == at_path(path, wanted) else [f"{path} is there, but not whole: {found}"]


def rows(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every table, without `added`: the moment of the import."""
    with closing(sqlite3.connect(database)) as connection:
        names = [n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE sql <> ''")]
        found = {}
        for name in sorted(names):
            cursor = connection.execute(f"SELECT * FROM {name}")
            kept = [i for i, column in enumerate(cursor.description) if column[0] != "added"]
            found[name] = sorted(tuple(row[i] for i in kept) for row in cursor)
        return found


def ledger_rows(ledger: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What the ledger knows of files, without times; whether a task placed them, but not which."""
    queries = {
        "files": "SELECT path, size, sha1, sha256, task IS NOT NULL, verdict FROM files",
        "archives": "SELECT * FROM archives",
        "audio": "SELECT * FROM audio",
    }
    with closing(sqlite3.connect(ledger)) as connection:
        return {name: sorted(connection.execute(query)) for name, query in queries.items()}


def differences(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What of a library is not as it was wanted, one line each."""
    lines = []
    for part in wanted:
        for name in sorted(wanted[part].keys() | found[part].keys()):
            one, other = wanted[part].get(name), found[part].get(name)
            if one != other:
                lines.append(f"{part} {name}: wanted {one}, found {other}")
    return lines


def fresh_copy(template: Path, root: Path) -> None:
    """A new library like the template, always at the same path: what is compiled stays so."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(template, root)


def descriptors() -> set[int]:
    return {int(path.name) for path in Path("/proc/self/fd").iterdir()}


def in_child(job: Callable[[], object], output: Path | None = None) -> int:
    """Runs a job in a forked child; its exit status. What it raises goes to `output`."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            job()
            status = 0
        except BaseException as error:
            if output is not None:
                output.write_text(f"{type(error).__name__}: {error}")
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
