"""Task files of every sort: none crashes the start, and a damaged one is never changed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from musictasks.errors import InvalidTaskFile
from musictasks.music import Settings, open_library, read_tasks
from musictasks.persistence import TASK_ID, make_converter
from musictasks.statemachine import MUSIC, HistoryEntry, MusicTask, Role
from musictasks.testing import SteppedEngine, task_files

GOOD = MusicTask(
    id="the-good-one",
    state="readyforintegration",
    content_type="albumfile",
    history=(HistoryEntry(1.0, "succeed", "preprocessing", "readyforintegration"),),
)


def start(
    files: dict[str, bytes], prepare: Callable[[Settings], object] = lambda settings: None
) -> set[str]:
    """Starts an engine on these files; the ids that it refused, all of them left as they were."""
    with tempfile.TemporaryDirectory() as directory:
        options = Settings.in_directory(directory, durability="none", artwork_scales=(8,))
        options.tasks.mkdir(parents=True)
        for task_id, content in {**files, GOOD.id: make_converter(MUSIC).dump(GOOD)}.items():
            (options.tasks / f"{task_id}.json").write_bytes(content)
        prepare(options)
        found = read_tasks(options)
        expected = {Path(error.path).stem for error in found.invalid}
        expected |= {task.id for task in found.tasks if names_data_of_others(task)}
        stepped = SteppedEngine(options, MUSIC, opener=open_library)
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


def names_data_of_others(task: MusicTask) -> bool:
    """Whether a path of an upload lies in the directory of another task: it is not taken over."""
    paths = (task.upload_path, task.preprocessed_path, task.artwork_source_path)
    firsts = [path.split("/", 1) for path in paths if path is not None and task.upload_path]
    return any(
        len(parts) > 1 and parts[0] != task.id and TASK_ID.fullmatch(parts[0]) for parts in firsts
    )


@given(st.lists(task_files(MUSIC), min_size=1, max_size=6, unique_by=lambda file: file[0].lower()))
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


def waiting(upload_path: str) -> dict[str, bytes]:
    entry = HistoryEntry(1.0, "request_upload", "new", "waitforchunk")
    task = MusicTask(
        id="odd", state="waitforchunk", file_size=3, upload_path=upload_path, history=(entry,)
    )
    return {task.id: make_converter(MUSIC).dump(task)}


def test_a_waiting_task_whose_data_cannot_be_looked_at_stops_nobody(tmp_path: Path):
    """A symlink has the place of its directory: not followed, and the good task goes on."""
    (tmp_path / "song.mp3").write_bytes(b"abc")

    def link(settings: Settings) -> None:
        settings.uploads.mkdir()
        (settings.uploads / "odd").symlink_to(tmp_path)

    assert start(waiting("odd/song.mp3"), link) == set()
    assert (tmp_path / "song.mp3").read_bytes() == b"abc"


def test_a_task_whose_path_leads_into_the_directory_of_another_does_not_load():
    """Nothing of the other's is moved or read, and the good task goes on."""

    def of_another(settings: Settings) -> None:
        (settings.uploads / "in").mkdir(parents=True)
        (settings.uploads / "in" / "a directory").write_bytes(b"abc")

    assert start(waiting("in/a directory"), of_another) == {"odd"}
