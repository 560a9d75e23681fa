"""A real machine on a real store, and what was seen of one task on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attrs import define, field

from ..errors import LifecycleViolation, TaskFileDeleted
from ..files import Directory
from ..persistence import TaskFile, TaskStore, Upgrade, make_converter
from ..statemachine import Edge, Lifecycle, Task, TaskMachine

#: Makes a machine, as `TaskMachine` does: `machine(lifecycle, save=..., entered=...)`.
MachineFactory = Callable[..., TaskMachine]


@define(eq=False)
class Bench:
    """One task at a time: begin with `put`, then send it events by `machine`."""

    lifecycle: Lifecycle
    directory: Path
    make_machine: MachineFactory
    #: Of the content of older files.
    upgrade: Upgrade | None = None
    #: The states that were told.
    told: list[str] = field(factory=list, init=False)
    saves: int = field(default=0, init=False)
    _store: TaskStore = field(init=False)
    _file: TaskFile | None = field(default=None, init=False)
    machine: TaskMachine = field(init=False)

    def __attrs_post_init__(self) -> None:
        converter = make_converter(self.lifecycle, self.upgrade)
        self._store = TaskStore(Directory(self.directory, durable=False), converter)
        self.machine = self.make_machine(self.lifecycle, save=self.save, entered=self.entered)

    def put(self, task: Task) -> None:
        """Begins with this record, on disk unless it is one that never is."""
        self._clear()
        self._file = self._store.task_file(task.id)
        if task.state in self.lifecycle.storable:
            self._file.create(task)

    def write(self, task_id: str, content: bytes) -> None:
        """Begins with this file, as another version wrote it."""
        self._clear()
        (self.directory / f"{task_id}.json").write_bytes(content)

    def _clear(self) -> None:
        for path in self.directory.iterdir():
            path.unlink()
        self.told.clear()
        self.saves = 0

    def content(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.directory.iterdir()}

    def load(self, task_id: str) -> Task:
        """What a restart finds."""
        self._file, task = self._store.load(task_id)
        return task

    def save(self, task: Task, _subject: object = None) -> None:
        assert self._file is not None
        self.saves += 1
        if task.state == self.lifecycle.gone:
            self._file.delete()
        elif self._store.exists(task.id):
            self._file.save(task)
        else:
            self._file.create(task)

    def entered(self, task: Task, edge: Edge, _subject: object = None) -> None:
        on_disk = self._state_on_disk(task.id)
        expected = task.state if task.state in self.lifecycle.storable else None
        if on_disk != expected:
            raise LifecycleViolation(
                f"event {edge.event!r} in state {edge.source!r}",
                f"{task.state!r} was told while the disk said {on_disk or 'nothing'}: "
                "the save comes first",
                (str(edge),),
            )
        self.told.append(task.state)

    def _state_on_disk(self, task_id: str) -> str | None:
        try:
            return self._store.load(task_id)[1].state
        except TaskFileDeleted:
            return None


def walk_to(lifecycle: Lifecycle, state: str) -> tuple[Edge, ...]:
    """A shortest walk from the beginning to a state, whatever guards say."""
    walks: dict[str, tuple[Edge, ...]] = {lifecycle.initial: ()}
    ahead = [lifecycle.initial]
    while ahead and state not in walks:
        source = ahead.pop(0)
        for edge in lifecycle.edges_from(source):
            if edge.target is not None and edge.target not in walks:
                walks[edge.target] = (*walks[source], edge)
                ahead.append(edge.target)
    return walks.get(state, ())


def way_to(lifecycle: Lifecycle, state: str) -> tuple[str, ...]:
    """The same, to be shown."""
    return tuple(map(str, walk_to(lifecycle, state)))
