"""Task files of every sort: none crashes the start, and a damaged one is never changed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from musictasks.errors import InvalidTaskFile
from musictasks.music import Settings, read_tasks
from musictasks.persistence import make_converter
from musictasks.statemachine import MUSIC, HistoryEntry, MusicTask, Role
from musictasks.testing import SteppedEngine, task_files

GOOD = MusicTask(
    id="the-good-one",
    state="readyforintegration",
    content_type="albumfile",
    history=(HistoryEntry(1.0, "succeed", "preprocessing", "readyforintegration"),),
)


def start(files: dict[str, bytes]) -> set[str]:
    """Starts an engine on these files; the ids that it refused, all of them left as they were."""
    with tempfile.TemporaryDirectory() as directory:
        options = Settings.in_directory(directory, durability="none", artwork_scales=(8,))
        options.tasks.mkdir(parents=True)
        for task_id, content in {**files, GOOD.id: make_converter(MUSIC).dump(GOOD)}.items():
            (options.tasks / f"{task_id}.json").write_bytes(content)
        expected = {Path(error.path).stem for error in read_tasks(options).invalid}
        stepped = SteppedEngine(options)
        engine = stepped.start()
        assert engine.get(GOOD.id) == GOOD
        refused = {Path(error.path).stem for error in engine.invalid()}
        assert refused == expected
        for task_id in refused:
            assert (options.tasks / f"{task_id}.json").read_bytes() == files[task_id]
            with pytest.raises(InvalidTaskFile):
                engine.get(task_id)
        stepped.look()
        stepped.kill()
        return refused


@given(st.lists(task_files(), min_size=1, max_size=6, unique_by=lambda file: file[0].lower()))
@settings(max_examples=25)
def test_no_task_file_crashes_the_start(files: list[tuple[str, bytes]]):
    """Valid, damaged, hostile: the good task goes on, and what does not load stays as it is."""
    start({task_id: content for task_id, content in files if task_id != GOOD.id})


def test_the_hostile_ones_are_refused_indeed():
    """So that the property above is about something: these never load."""
    hostile = {"empty": b"", "null": b"null", "deep": b"[" * 100_000, "twice": b'{"id":1,"id":2}'}
    assert start(hostile) == set(hostile)


def test_every_valid_state_loads():
    """And these always do."""
    files = {}
    for state in sorted(MUSIC.storable):
        edge = next(edge for edge in MUSIC.edges if edge.target == state)
        entry = HistoryEntry(1.0, edge.event, edge.source, state)
        attempts = int(MUSIC.role(state) is Role.WORKING)
        task = MusicTask(id=f"in-{state}", state=state, history=(entry,), attempts=attempts)
        files[task.id] = make_converter(MUSIC).dump(task)
    assert start(files) == set()


def test_a_waiting_task_whose_data_cannot_be_looked_at_stops_nobody():
    """Its path is one that the record may hold, but no upload has: the good task goes on."""
    entry = HistoryEntry(1.0, "request_upload", "new", "waitforchunk")
    task = MusicTask(
        id="odd", state="waitforchunk", file_size=3, upload_path="in/a directory", history=(entry,)
    )
    assert start({task.id: make_converter(MUSIC).dump(task)}) == set()
