"""What one task costs does not depend on how many there are: counted, not timed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from enginekit import PLAYED, begin
from musictasks.files import Directory, make_root
from musictasks.music import MusicEngine, Settings, open_library
from musictasks.persistence import TaskStore, make_converter
from musictasks.statemachine import MUSIC, MusicTask, TaskMachine

TASKS = 10_000


class NoPass(dict[Any, Any]):
    """A dictionary that is looked things up in, and never passed over."""

    def _refuse(self, *_: object) -> Any:
        raise AssertionError("a pass over all tasks")

    __iter__ = keys = values = items = copy = _refuse


def make_tasks(settings: Settings) -> None:
    """All of them at rest, waiting for a client's next request."""
    make_root(settings.tasks)
    store = TaskStore(Directory(settings.tasks, durable=False), make_converter(MUSIC))
    machine = TaskMachine(MUSIC)
    for number in range(TASKS):
        checksum = f"{number:040x}"
        task = MusicTask(
            id=f"task-{number}",
            content_type="albumfile",
            file_size=4,
            offset=4,
            upload_path=f"task-{number}/albumfile-{checksum}.pdf",
            source_checksum=checksum,
        )
        task = machine.send(task, "request_upload", now=1e9)
        payload = {"size": 4, "sha1": checksum}
        task = machine.send(task, "complete_upload", now=1e9, payload=payload)
        task = machine.send(machine.send(task, "begin", now=1e9), "succeed", now=1e9)
        (settings.tasks / f"{task.id}.json").write_bytes(store.converter.dump(task))


@pytest.fixture
def listed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directories of all tasks that were listed, by whatever call."""
    roots = {str(settings.tasks), str(settings.uploads), str(settings.data)}
    found: list[str] = []

    def counting(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(path: Any = ".") -> Any:
            is_descriptor = isinstance(path, int)
            place = str(Path(f"/proc/self/fd/{path}").readlink() if is_descriptor else path)
            if place in roots:
                found.append(place)
            return call(path)

        return counted

    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, counting(getattr(os, name)))
    return found


def way_of_one(engine: MusicEngine) -> None:
    """Begun, received, placed, imported and removed; and another that is removed half done."""
    task = begin(engine, b"one more")
    engine.receive_chunk(task.id, b"one ")
    engine.receive_chunk(task.id, b"more")
    engine.wait(task.id, "readyforintegration", timeout=30)
    engine.annotate(task.id, {"song": "Song"})
    engine.integrate(task.id, "Artist/2020 - Album/booklet.pdf", then_import=True)
    engine.wait(task.id, "importcomplete", timeout=30)
    engine.discard(task.id)
    half = begin(engine, b"half")
    engine.receive_chunk(half.id, b"ha")
    engine.discard(half.id)


@contextmanager
def refusing_passes(engine: MusicEngine) -> Iterator[None]:
    """No dictionary of all tasks may be passed over in the block; the close does it."""
    duplicates = engine._duplicates
    places = ((engine._table, "entries"), (duplicates, "_tasks"), (duplicates, "_keys"))
    for owner, name in places:
        setattr(owner, name, NoPass(getattr(owner, name)))
    try:
        yield
    finally:
        for owner, name in places:
            setattr(owner, name, dict(dict.items(getattr(owner, name))))


def test_one_more_beside_ten_thousand_at_rest(settings: Settings, listed: list[str]):
    """No directory of all tasks is listed, no other record is visited."""
    make_tasks(settings)
    # As long as nothing else changes the directory, its regular look costs one stat; this engine
    # looks when it is told to.
    engine = open_library(settings, handlers=PLAYED)
    engine._runner.looking.look = lambda now_monotonic: None
    with engine:
        way_of_one(engine)  # the start has settled
        assert len(engine.tasks()) == TASKS
        listed.clear()
        with refusing_passes(engine):
            way_of_one(engine)
            assert listed == []
            with pytest.raises(AssertionError, match="a pass over all tasks"):
                engine.tasks()  # what this test would see
        os.listdir(settings.tasks)  # noqa: PTH208 - what the store calls
        assert listed == [str(settings.tasks)]
