"""Each task owns one directory: what goes in, what becomes of it, and what is never followed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from musictasks.engine import EngineSettings, orphaned_directories
from musictasks.errors import ChunkRefused, InvalidPath, TaskFailed, TaskNotFound
from musictasks.statemachine import Edge, Outcome, Role, StateSpec, Work, succeed
from musictasks.testing import SteppedEngine
from papers import HANDLERS, PAPERS, Paper, open_papers

DATA = b"some pages"


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    return EngineSettings(
        tasks=tmp_path / "tasks", uploads=tmp_path / "uploads", durability="none", workers=2
    )


def tree(settings: EngineSettings) -> set[str]:
    """All files and directories in the uploads directory."""
    return {str(path.relative_to(settings.uploads)) for path in settings.uploads.rglob("*")}


def test_it_is_there_when_something_is_in_it_and_not_before(settings: EngineSettings):
    """A task that has received nothing has none; the first chunk makes it."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA), source_filename="a.txt")
        assert tree(settings) == set()
        uploads.receive(task.id, DATA[:3])
        assert tree(settings) == {task.id, f"{task.id}/upload-{task.id}.txt"}


def test_it_goes_with_the_task(settings: EngineSettings):
    """The upload and whatever a handler made: first the directory, then the task file."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA))
        uploads.receive(task.id, DATA)
        task = engine.wait(task.id, "review", timeout=30)
        assert tree(settings) == {task.id, task.upload_path, f"{task.id}/text.txt"}
        engine.discard(task.id)
    assert tree(settings) == set()
    assert list(settings.tasks.iterdir()) == []


def test_two_uploads_of_the_same_bytes_disturb_each_other_in_nothing(settings: EngineSettings):
    """One is removed, the other goes on with its own data."""
    engine, uploads = open_papers(settings)
    with engine:
        one, other = (uploads.begin(file_size=len(DATA), source_filename="a.txt") for _ in "ab")
        uploads.receive(one.id, DATA)
        uploads.receive(other.id, DATA[:4])
        engine.wait(one.id, "review", timeout=30)
        engine.discard(one.id)
        uploads.receive(other.id, DATA[4:], offset=4)
        assert engine.wait(other.id, "review", timeout=30).pages == len(DATA)


def test_data_of_no_use_goes_where_the_declaration_says_so(settings: EngineSettings):
    """After a wrong checksum it is gone, and a retry starts over at byte 0."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=2, checksum="0" * 40)
        uploads.receive(task.id, b"ab")
        assert engine.get(task.id).state == "torn"
        other = uploads.begin(file_size=1)  # the dispatcher has done what came before it
        uploads.receive(other.id, b"x")
        engine.wait(other.id, "review", timeout=30)
        assert task.id not in tree(settings)
        again = engine.retry(task.id)
        assert (again.state, again.offset) == ("receiving", 0)
        uploads.receive(task.id, b"x", offset=0)
        assert (settings.uploads / str(again.upload_path)).read_bytes() == b"x"


@pytest.mark.parametrize("cut_off", [False, True])
def test_a_task_that_waits_keeps_no_data_of_no_use(settings: EngineSettings, cut_off: bool):
    """It goes after the entry, or at the next start where that was cut off; the task stays."""
    lifecycle = (
        PAPERS.with_state(StateSpec("copied", "desk", Role.WAITING, keeps_data=False))
        .with_edge(Edge(event="copy", source="review", target="copied"))
        .with_edge(Edge(event="again", source="copied", target="toread"))
    )
    stepped = SteppedEngine(settings, lifecycle, HANDLERS)
    stepped.start()
    task = stepped.uploads.begin(file_size=len(DATA))
    stepped.uploads.receive(task.id, DATA)
    stepped.settle()
    stepped.work()
    before = tree(settings)
    assert f"{task.id}/text.txt" in before
    stepped.engine.send(task.id, "copy")
    assert tree(settings) == before
    if cut_off:
        stepped.kill()
        stepped.start()
    stepped.settle()
    assert (stepped.engine.get(task.id).state, tree(settings)) == ("copied", set())
    # What it gets meanwhile is of no use for the next stage either.
    (stepped.engine.directory(task.id) / "stray").write_bytes(b"x")
    stepped.engine.send(task.id, "again")
    assert tree(settings) == set()
    stepped.kill()


def test_a_retry_before_the_data_is_gone_starts_over_all_the_same(settings: EngineSettings):
    """The engine was not even started: nothing of the old data is taken for new."""
    engine, uploads = open_papers(settings)
    task = uploads.begin(file_size=2, checksum="0" * 40)
    uploads.receive(task.id, b"ab")
    assert tree(settings) != set()
    engine.retry(task.id)
    assert tree(settings) == set()
    engine.close()


def test_what_an_earlier_task_of_the_id_left_is_not_inherited(settings: EngineSettings):
    """A person deleted its file while no engine ran, and another file does not load."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA), task_id="paper")
        uploads.receive(task.id, DATA[:5])
    (settings.tasks / "paper.json").unlink()
    (settings.tasks / "broken.json").write_text("{")
    engine, uploads = open_papers(settings)
    with engine:
        assert tree(settings) == {"paper", "paper/upload-paper"}  # perhaps of the broken one
        task = uploads.begin(file_size=len(DATA), task_id="paper")
        assert (task.offset, tree(settings)) == (0, set())


def test_a_directory_of_no_task_is_an_orphan(settings: EngineSettings):
    """Listed, and removed at the start, as is a removal that was cut off; foreign names stay."""
    engine, _ = open_papers(settings)
    engine.close()
    for name in ("left-behind", ".some-task.gone", "my own", ".hidden"):
        (settings.uploads / name).mkdir()
        (settings.uploads / name / "file").write_bytes(b"x")
    assert orphaned_directories(settings) == ["left-behind"]
    engine, _ = open_papers(settings)
    with engine:
        names = {path.name for path in settings.uploads.iterdir()}
        assert names == {"my own", ".hidden"}


def test_no_orphan_goes_while_a_task_file_does_not_load(settings: EngineSettings):
    """It may be that task's; a removal that was cut off is ended all the same."""
    engine, _ = open_papers(settings)
    engine.close()
    (settings.tasks / "broken.json").write_text("{")
    for name in ("broken", "left-behind", ".some-task.gone"):
        (settings.uploads / name).mkdir()
    engine, _ = open_papers(settings)
    with engine:
        names = {path.name for path in settings.uploads.iterdir()}
        assert names == {"broken", "left-behind"}


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_has_its_place_is_refused_and_never_followed(
    settings: EngineSettings, tmp_path: Path, kind: str
):
    """A chunk is refused, `directory` raises; the task can still be removed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"precious")
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA), task_id="paper")
        place = settings.uploads / "paper"
        if kind == "link":
            place.symlink_to(outside)
        else:
            place.write_bytes(b"in the way")
        with pytest.raises(ChunkRefused):
            uploads.receive(task.id, DATA)
        with pytest.raises((InvalidPath, NotADirectoryError)):
            engine.directory(task.id)
        engine.discard(task.id)
        assert not place.is_symlink()
        assert not place.exists()
    assert [path.name for path in outside.iterdir()] == ["precious"]


def test_a_handler_whose_directory_is_a_link_fails(settings: EngineSettings, tmp_path: Path):
    """With the reason; nothing is written where the link leads."""
    outside = tmp_path / "outside"
    outside.mkdir()

    def swap(task: Paper, work: Work) -> Outcome:
        (settings.uploads / task.id).symlink_to(outside)
        (work.directory / "text.txt").write_bytes(b"x")
        return succeed()

    engine, _ = open_papers(settings, handlers={"reading": swap})
    with engine:
        task = engine.create("note")
        with pytest.raises(TaskFailed, match="symbolic link"):
            engine.wait(task.id, "review", timeout=30)
        engine.discard(task.id)
    assert list(outside.iterdir()) == []
    assert tree(settings) == set()


def test_a_handler_finds_what_it_left_behind(settings: EngineSettings):
    """A stage that runs again after it was cut off sees its own files, and they go at the end."""
    seen: list[set[str]] = []

    def read_twice(task: Paper, work: Work) -> Outcome:
        seen.append({path.name for path in work.directory.iterdir()})
        (work.directory / f"part-{len(seen)}").write_bytes(b"x")
        if len(seen) == 1:
            raise OSError("cut off")
        return succeed(changes={"pages": 1})

    engine, _ = open_papers(settings, handlers={"reading": read_twice})
    with engine:
        task = engine.create("note")
        with pytest.raises(TaskFailed):
            engine.wait(task.id, "review", timeout=30)
        engine.retry(task.id)
        engine.wait(task.id, "review", timeout=30)
        assert seen == [set(), {"part-1"}]
        engine.discard(task.id)
    assert tree(settings) == set()


def test_the_directory_is_asked_for_by_the_id(settings: EngineSettings):
    """`engine.directory` makes it; of an unknown task there is none."""
    engine, _ = open_papers(settings)
    with engine:
        task = engine.create("note")
        engine.wait(task.id, "review", timeout=30)
        assert engine.directory(task.id) == settings.uploads / task.id
        with pytest.raises(TaskNotFound):
            engine.directory("unknown")


def test_a_cut_off_removal_is_ended_by_the_next_start(settings: EngineSettings):
    """Loaded in its removing state, with half of its directory under the name of gone ones."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA))
        uploads.receive(task.id, DATA)
        task = engine.wait(task.id, "review", timeout=30)
    path = settings.tasks / f"{task.id}.json"
    record = json.loads(path.read_text())
    last = {**record["history"][-1], "event": "remove", "from": "review", "to": "removing"}
    path.write_text(json.dumps({**record, "state": "removing", "history": [last]}))
    (settings.uploads / task.id).rename(settings.uploads / f".{task.id}.gone")
    engine, _ = open_papers(settings)
    with engine:
        engine.wait(task.id, "gone", timeout=30)
    assert tree(settings) == set()
    assert list(settings.tasks.iterdir()) == []


def test_data_that_is_kept_stays(settings: EngineSettings):
    """A finished task whose state keeps its data has it until its retention ends."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA))
        uploads.receive(task.id, DATA)
        engine.wait(task.id, "review", timeout=30)
        engine.send(task.id, "approve")
        done = engine.wait(task.id, "filed", timeout=30)
        other = uploads.begin(file_size=1)  # the dispatcher has done what came before it
        uploads.receive(other.id, b"x")
        engine.wait(other.id, "review", timeout=30)
        assert (settings.uploads / str(done.upload_path)).read_bytes() == DATA


def test_what_is_no_directory_is_not_removed_for_a_new_task(settings: EngineSettings):
    """Somebody's file at the place of the directory stays, and is refused when it is in the way."""
    engine, uploads = open_papers(settings)
    (settings.uploads / "paper").write_bytes(b"somebody's")
    task = uploads.begin(file_size=3, task_id="paper")
    with pytest.raises(ChunkRefused):
        uploads.receive(task.id, b"abc")
    assert (settings.uploads / "paper").read_bytes() == b"somebody's"
    engine.close()


def test_a_task_on_its_way_out_gets_no_directory(settings: EngineSettings):
    engine, _ = open_papers(settings)
    task = engine.create("note")
    engine.remove(task.id)
    with pytest.raises(TaskNotFound):
        engine.directory(task.id)
    engine.close()
