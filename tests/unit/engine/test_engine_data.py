"""Whose the data in the uploads directory is: a task deletes its own, and never another's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from enginekit import begin, upload, wait_gone
from musictasks.engine import as_dictionary
from musictasks.errors import ChunkRefused, UploadRefused
from musictasks.music import MusicEngine, Settings
from musictasks.statemachine import MusicTask, Outcome, Work, succeed

Open = Callable[..., MusicEngine]


def put_beside(settings: Settings, name: str | None = None) -> dict[str, Any]:
    """A preprocessing that makes a file: as ours would name it, or called `name`."""

    def preprocess(task: MusicTask, work: Work) -> Outcome:
        made = name or f"{Path(str(task.upload_path)).stem}.preprocessed.jpg"
        place = settings.uploads / made
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"made")
        return succeed(changes={"preprocessed_path": made})

    return {"preprocessing": preprocess}


def files(settings: Settings) -> set[str]:
    found = settings.uploads.rglob("*")
    return {str(path.relative_to(settings.uploads)) for path in found if path.is_file()}


def ready(engine: MusicEngine, data: bytes = b"some bytes") -> MusicTask:
    return engine.wait(upload(engine, data).id, "readyforintegration", timeout=30)


def paths(task: MusicTask) -> set[str]:
    return {path for path in (task.upload_path, task.preprocessed_path) if path is not None}


def edit(settings: Settings, task_id: str, **keys: object) -> None:
    """A person's edit of a task file."""
    path = settings.tasks / f"{task_id}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


@pytest.mark.parametrize("name", [None, "transcoded.opus", "work/transcoded.opus"])
@pytest.mark.parametrize("key", ["upload_path", "preprocessed_path"])
def test_a_program_cannot_give_a_task_anothers_data(
    opened: Open, settings: Settings, name: str | None, key: str
):
    """A new task or a known one: the dictionary is refused, and nothing is lost by a removal."""
    with opened(handlers=put_beside(settings, name)) as engine:
        victim = ready(engine)
        taken = {"preprocessedpath": getattr(victim, key)}
        other = as_dictionary(begin(engine, b"others"))
        new = {"id": "new", "state": "startfsscan", "contenttype": "any"}
        for task in (new, other, other | {"state": "remove"}):
            with pytest.raises(ValueError, match="the data of another task"):
                engine.save(task | taken)
        with pytest.raises(ValueError, match="the data of another task"):
            engine.move(other | taken, "remove")
        engine.discard(other["id"])
        assert files(settings) == paths(victim)


def test_a_name_that_another_task_will_need_is_not_given_away(opened: Open, settings: Settings):
    """What preprocessing will make of an upload that is on its way is that task's already."""
    engine = opened()
    waiting = begin(engine)
    new = {"id": "new", "state": "startfsscan", "contenttype": "any"}
    stem = Path(str(waiting.upload_path)).stem
    for path in (f"{stem}.preprocessed.jpg", f"{stem}.preprocessed/01 Song.flac"):
        with pytest.raises(ValueError, match="the data of another task"):
            engine.save(new | {"preprocessedpath": path})


def test_data_of_a_file_that_does_not_load_is_not_given_away(opened: Open, settings: Settings):
    """It may be that task's; what is not there can be named."""
    opened().close()
    (settings.tasks / "broken.json").write_text("{")
    (settings.uploads / "transcoded.opus").write_bytes(b"perhaps of broken.json")
    engine = opened()
    new = {"id": "new", "state": "startfsscan", "contenttype": "any"}
    with pytest.raises(ValueError, match="musictasks check"):
        engine.save(new | {"preprocessedpath": "transcoded.opus"})
    assert engine.save(new | {"preprocessedpath": "mine"}).preprocessed_path == "mine"


def test_what_a_program_put_there_itself_goes_with_the_task(opened: Open, settings: Settings):
    """Preprocessed data that is nobody else's is the task's."""
    with opened() as engine:
        task = ready(engine)
        (settings.uploads / "by hand.jpg").write_bytes(b"x")
        engine.save(as_dictionary(task) | {"preprocessedpath": "by hand.jpg"})
        engine.discard(task.id)
    assert files(settings) == set()


def test_an_upload_path_that_was_only_named_is_not_deleted(opened: Open, settings: Settings):
    """A task that was made with the name of a file in the uploads directory never uploaded it."""
    with opened() as engine:
        (settings.uploads / "other.flac").write_bytes(b"not its own")
        new = {"id": "new", "state": "startfsscan", "contenttype": "any"}
        engine.save(new | {"uploadpath": "other.flac"})
        engine.discard("new")
        assert files(settings) == {"other.flac"}


@pytest.mark.parametrize("name", ["transcoded.opus", "work/transcoded.opus"])
def test_what_a_handler_made_under_a_name_of_its_own_goes_with_the_task(
    opened: Open, settings: Settings, name: str
):
    """An integrator's handler may call it as it likes, also in a directory of its own."""
    with opened(handlers=put_beside(settings, name)) as engine:
        task = ready(engine)
        assert files(settings) == {task.upload_path, name}
        engine.discard(task.id)
        assert files(settings) == set()


@pytest.mark.parametrize("key", ["uploadpath", "preprocessedpath"])
@pytest.mark.parametrize("name", [None, "transcoded.opus"])
@pytest.mark.parametrize("field", ["upload_path", "preprocessed_path"])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_persons_edit_does_not_delete_anothers_data(
    opened: Open, settings: Settings, key: str, name: str | None, field: str, restarted: bool
):
    """Whichever path is written into whichever key, before or after a restart; its own goes."""
    with opened(handlers=put_beside(settings, name)) as engine:
        victim = ready(engine)
    with opened() as engine:
        thief = ready(engine, b"the thief's")
        if not restarted:
            edit(settings, thief.id, **{key: getattr(victim, field)})
            engine.annotate(thief.id, {"seen": True})
            engine.discard(thief.id)
            assert files(settings) == paths(victim)
            return
    edit(settings, thief.id, **{key: getattr(victim, field)})
    with opened() as engine:
        engine.discard(thief.id)
        assert paths(victim) <= files(settings)
        assert engine.wait(victim.id, "readyforintegration", timeout=30).upload_path


@pytest.mark.parametrize("thief", ["000", "zzz"])
def test_an_upload_does_not_go_on_in_anothers_data(opened: Open, settings: Settings, thief: str):
    """Whose path a person wrote over: its chunks are refused, and it does not start over there."""
    with opened() as engine:
        victim = ready(engine)
        begin(engine, b"the thief's", task_id=thief)
    edit(settings, thief, uploadpath=victim.upload_path)
    with opened() as engine:
        with pytest.raises(ChunkRefused, match=victim.id):
            engine.receive_chunk(thief, b"t")
        engine.move(as_dictionary(engine.get(thief)), "uploadfailed")
        with pytest.raises(UploadRefused, match=victim.id):
            engine.retry(thief)
        assert (settings.uploads / str(victim.upload_path)).read_bytes() == b"some bytes"


@pytest.mark.parametrize("first", ["task", "copy"])
def test_of_two_copies_of_a_task_file_the_last_deletes_the_data(
    opened: Open, settings: Settings, first: str
):
    """A person who copies a task file makes a second task with the same data."""
    with opened(handlers=put_beside(settings)) as engine:
        task = ready(engine)
    record = json.loads((settings.tasks / f"{task.id}.json").read_text())
    (settings.tasks / "copy.json").write_text(json.dumps(record | {"id": "copy"}))
    ids = [task.id, "copy"] if first == "task" else ["copy", task.id]
    with opened() as engine:
        engine.discard(ids[0])
        assert files(settings) == paths(task)
        engine.discard(ids[1])
        assert files(settings) == set()
        engine.discard(begin(engine).id)


def test_a_removal_that_was_cut_off_deletes_the_data(opened: Open, settings: Settings):
    """A task that is loaded in `remove` takes its data with it: no later start would know it."""
    with opened(handlers=put_beside(settings)) as engine:
        task = ready(engine)
    record = json.loads((settings.tasks / f"{task.id}.json").read_text())
    last = {**record["history"][-1], "event": "remove", "from": task.state, "to": "remove"}
    edit(settings, task.id, state="remove", history=[*record["history"], last])
    with opened() as engine:
        wait_gone(engine, task.id)
        assert files(settings) == set()


def test_a_finished_task_keeps_nobody_from_the_same_bytes(opened: Open, settings: Settings):
    """A record that only remembers a name does not hold it: the next upload of it is deleted."""
    with opened(handlers=put_beside(settings)) as engine:
        done = ready(engine)
        engine.integrate(done.id, "A/2000 - B/booklet.pdf", then_import=True)
        engine.wait(done.id, "importcomplete", timeout=30)
        again = ready(engine)
        assert paths(again) == files(settings)
        engine.discard(again.id)
        assert files(settings) == set()


def test_data_below_a_directory_is_no_orphan(opened: Open, settings: Settings):
    """What a record names inside of an unpacked archive's directory stays at the next start."""
    name = f"album-{'a' * 40}.preprocessed/inner/01 Song.flac"

    def preprocess(task: MusicTask, work: Work) -> Outcome:
        (settings.uploads / name).parent.mkdir(parents=True)
        (settings.uploads / name).write_bytes(b"x")
        return succeed(changes={"preprocessed_path": name})

    with opened(handlers={"preprocessing": preprocess}) as engine:
        task = ready(engine)
    with opened() as engine:
        assert files(settings) == paths(task)
        engine.remove(task.id)
        wait_gone(engine, task.id)
        assert files(settings) == set()
