"""Tasks as dictionaries that a program changed, on the real engine and real files."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from enginekit import begin, upload
from musictasks.engine import as_dictionary
from musictasks.errors import (
    IllegalTransition,
    TaskNotFound,
    TaskNotSaved,
    TransitionRefused,
    UploadRefused,
)
from musictasks.files import Effects, using
from musictasks.music import MusicEngine, Settings
from musictasks.musicdb.dictionaries import make, move, save
from musictasks.statemachine import MusicTask, Outcome, Work, fail, succeed
from musictasks.testing import InlineExecutor, Recorder

Open = Callable[..., MusicEngine]


def stored(settings: Settings, task_id: str) -> dict[str, Any]:
    return json.loads((settings.tasks / f"{task_id}.json").read_text())


def scan(task_id: str = "scan", **keys: Any) -> dict[str, Any]:
    return {"id": task_id, "state": "startfsscan", "contenttype": "any", **keys}


def test_a_dictionary_is_saved_without_a_word(opened: Open, settings: Settings):
    """In the present state the other keys are saved, those of the engine stay, nobody is told."""
    engine = opened()
    recorder = Recorder(engine)
    task = as_dictionary(begin(engine, b"0123456789"))
    engine.receive_chunk(task["id"], b"012")
    changed = {
        "annotations": {"song": "S"},
        "mimetype": "x/y",
        "ours": 1,
        "albumpath": "A/2000 - B",
    }
    saved = as_dictionary(
        save(engine, task | changed | {"filesize": 1, "history": [], "offset": 9})
    )
    assert {key: saved[key] for key in changed} == changed
    assert (saved["offset"], saved["filesize"], len(saved["history"])) == (3, 10, 1)
    assert stored(settings, task["id"])["annotations"] == {"song": "S"}
    engine.notify("StateUpdate", task, "the end")
    recorder.wait_for(lambda r: any(s["message"] == "the end" for _, s in r.all))
    assert [name for name, _ in recorder.all] == ["ChunkRequest", "ChunkRequest", "StateUpdate"]


def test_a_saved_annotation_is_the_users(opened: Open):
    """What a program changed in the annotations no handler overwrites."""

    def annotate(task: MusicTask, work: Work) -> Outcome:
        return succeed(annotations={"song": "from the tags", "album": "from the tags"})

    with opened(handlers={"preprocessing": annotate}, executor=InlineExecutor) as engine:
        task = begin(engine, b"abc")
        save(engine, as_dictionary(task) | {"annotations": {"song": "mine"}})
        engine.receive_chunk(task.id, b"abc")
        record = engine.wait(task.id, "readyforintegration", timeout=30)
    assert record.annotations == {"song": "mine", "album": "from the tags"}


def test_an_old_dictionary_undoes_nothing(opened: Open):
    """Of one that was read in an earlier state, what the program itself changed is taken."""

    def note(task: MusicTask, work: Work) -> Outcome:
        return succeed(
            changes={"mime_type": "found/out"}, annotations={"song": "from the tags", "cd": 1}
        )

    with opened(handlers={"preprocessing": note}, executor=InlineExecutor) as engine:
        task = begin(engine, b"abc")
        engine.annotate(task.id, {"mine": 1, "not": "wanted"})
        engine.receive_chunk(task.id, b"abc")
        ready = engine.wait(task.id, "readyforintegration", timeout=30)
        old = as_dictionary(task) | {"albumfilepath": "A/2000 - B/x.pdf", "attempts": 7}
        old["annotations"] = {"cd": 2}
        moved = move(engine, old, "startintegration")
    assert (ready.mime_type, moved.mime_type) == ("found/out", "found/out")
    assert moved.album_file_path == "A/2000 - B/x.pdf"
    assert moved.annotations == ready.annotations | {"cd": 2}


def test_only_what_was_changed_of_the_annotations_counts(opened: Open):
    """A task with more than 1 MiB of them, a scan's result, can be saved, and moved on."""
    large = {"newpaths": ["y" * 1000] * 2000}
    handlers = {"file system scan": lambda task, work: succeed(annotations=large)}
    with opened(handlers=handlers) as engine:
        task = as_dictionary(engine.wait(engine.scan().id, "fsscancomplete", timeout=30))
        assert save(engine, task).annotations == large
        with pytest.raises(ValueError, match="1 MiB"):
            save(engine, task | {"annotations": large | {"mine": "y" * 2**20}})
        with pytest.raises(ValueError, match="1 MiB"):
            save(engine, task | {"annotations": {"newpaths": ["z" * 1000] * 2000}})
        task["annotations"]["mine"] = 1
        assert save(engine, task).annotations == large | {"mine": 1}
        task["annotations"] = {"newpaths": []}
        assert move(engine, task, "remove").annotations == {"newpaths": []}


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"annotations": {"x": object()}}, "annotations"),
        ({"annotations": []}, "annotations"),
        ({"annotations": {"x": "y" * 2**20}}, "1 MiB"),
        ({"albumpath": "../x"}, "albumpath"),
        ({"mimetype": 5}, "mimetype"),
        ({"contenttype": "bogus"}, "bogus.*albumfile.*contenttype"),
        ({"sourcefilename": "../a"}, "sourcefilename"),
    ],
)
def test_a_dictionary_that_is_no_task_is_refused(
    opened: Open, settings: Settings, keys: dict[str, Any], where: str
):
    """Saved or moved: it says where, and record and file are as before."""
    engine = opened()
    task = begin(engine)
    before = (settings.tasks / f"{task.id}.json").read_bytes()
    for call in (save, lambda e, d: move(e, d, "uploadfailed")):
        with pytest.raises((ValueError, TypeError), match=where):
            call(engine, as_dictionary(task) | keys)
    assert engine.get(task.id) is task
    assert (settings.tasks / f"{task.id}.json").read_bytes() == before


def test_a_move_takes_the_declared_edge_with_the_dictionary(opened: Open, settings: Settings):
    """State and other keys change in one save; a message makes it an `InternalError`."""
    engine = opened()
    recorder = Recorder(engine)
    task = begin(engine)
    move(engine, as_dictionary(task) | {"annotations": {"a": 1}}, "remove", message="no more")
    recorder.wait_for_state(task.id, "remove")
    assert recorder.all[-1][0] == "InternalError"
    assert recorder.all[-1][1]["message"] == "no more"
    assert stored(settings, task.id)["annotations"] == {"a": 1}
    assert stored(settings, task.id)["history"][-1]["event"] == "remove"


@pytest.mark.parametrize(
    "state", ["new", "notexisting", "preprocessing", "importcomplete", "readyforintegration", "x"]
)
def test_a_state_that_no_edge_leads_to_is_refused(opened: Open, settings: Settings, state: str):
    """By a move or a save: the task, its file and its data are as before."""
    engine = opened()
    task = begin(engine)
    before = (settings.tasks / f"{task.id}.json").read_bytes()
    with pytest.raises(IllegalTransition, match=f"to '{state}'; it can to: remove, uploadfailed"):
        move(engine, as_dictionary(task), state)
    with pytest.raises(IllegalTransition, match=f"to '{state}'; it can to: remove, uploadfailed"):
        save(engine, as_dictionary(task) | {"state": state, "annotations": {"x": 1}})
    assert engine.get(task.id) is task
    assert (settings.tasks / f"{task.id}.json").read_bytes() == before


def test_a_guard_refuses_a_move(opened: Open):
    """An upload is complete when its bytes are there, not when somebody says so."""
    engine = opened()
    task = begin(engine)
    with pytest.raises(TransitionRefused, match="is_complete"):
        move(engine, as_dictionary(task), "uploadcomplete")
    assert engine.get(task.id).state == "waitforchunk"


def test_an_outcome_is_the_workers_as_long_as_it_works(opened: Open):
    """`fail`, `succeed` and `reject` are refused while a handler works; `remove` is not."""
    entered, leave = threading.Event(), threading.Event()

    def slow(task: MusicTask, work: Work) -> Outcome:
        entered.set()
        leave.wait(30)
        return succeed()

    with opened(handlers={"preprocessing": slow}) as engine:
        task = upload(engine)
        assert entered.wait(30)
        at_work = as_dictionary(engine.get(task.id))
        for state in ("uploadfailed", "readyforintegration", "invalidcontent", "uploadcomplete"):
            with pytest.raises(IllegalTransition):
                move(engine, at_work, state)
        move(engine, at_work, "remove")
        leave.set()
        engine.wait(task.id, "notexisting", timeout=30)


def test_before_the_start_nobody_works(opened: Open, settings: Settings):
    """A task that a crash left at work can be ended by hand as long as the engine rests."""
    engine = opened()
    task = upload(engine)
    engine.close()
    path = settings.tasks / f"{task.id}.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"state": "preprocessing", "history": []}))
    engine = opened()
    move(engine, as_dictionary(engine.get(task.id)), "uploadfailed", message="stuck")
    assert engine.get(task.id).message == "stuck"


def test_a_move_into_waiting_starts_the_upload_over(opened: Open):
    """The way back from `uploadfailed` drops the data, as `retry` does, and asks for byte 0."""
    engine = opened()
    recorder = Recorder(engine)
    task = begin(engine, b"abc")
    engine.receive_chunk(task.id, b"xyz")
    failed = as_dictionary(engine.get(task.id))
    assert failed["state"] == "uploadfailed"
    moved = move(engine, failed, "waitforchunk", message="again")
    assert (moved.state, moved.offset) == ("waitforchunk", 0)
    assert engine.receive_chunk(task.id, b"abc").state == "uploadcomplete"
    recorder.wait_for(lambda r: "uploadcomplete" in r.states(task.id))
    assert [name for name, _ in recorder.all][-2:] == ["ChunkRequest", "StateUpdate"]


def test_a_saved_new_task_waits_until_it_is_scheduled(opened: Open, settings: Settings):
    """It is stored and told at once; what its state starts begins with `release`, once."""
    runs: list[str] = []

    def count(task: MusicTask, work: Work) -> Outcome:
        runs.append(task.id)
        return fail("seen")

    with opened(handlers={"file system scan": count}, executor=InlineExecutor) as engine:
        save(engine, scan("held"))
        make(engine, scan("at-once"), "startfsscan")
        engine.wait("at-once", "fsscanfailed", timeout=30)
        assert stored(settings, "held")["state"] == "startfsscan"
        assert runs == ["at-once"]
        engine.release("held")
        engine.release("held")
        engine.wait("held", "fsscanfailed", timeout=30)
        assert runs == ["at-once", "held"]


def test_a_saved_upload_asks_once_and_ages_when_scheduled(opened: Open):
    """A second request would be answered by a second chunk."""
    with opened() as engine:
        recorder = Recorder(engine)
        sha1 = hashlib.sha1(b"abc").hexdigest()
        keys = {"contenttype": "albumfile", "filesize": 3, "sourcechecksum": sha1}
        save(engine, {"id": "up", "state": "waitforchunk", "offset": 2, **keys})
        engine.release("up")
        # The engine's thread has done what the release asked for when it has begun a later task.
        make(engine, scan(), "startfsscan")
        engine.wait("scan", "fsscancomplete", timeout=30)
        assert engine.receive_chunk("up", b"abc", offset=0).state == "uploadcomplete"
        engine.wait("up", "readyforintegration", timeout=30)
        recorder.wait_for(lambda r: "readyforintegration" in r.states("up"))
    assert [name for name, _ in recorder.of("up")].count("ChunkRequest") == 1


def test_what_cannot_begin_is_not_made(opened: Open, settings: Settings):
    """No edge from `new`, a guard, an upload that is not allowed, an id that is used or gone."""
    engine = opened()
    known = begin(engine)
    for keys in ({"state": "new"}, {"state": "fsscancomplete"}, {"contenttype": "album"}):
        with pytest.raises(IllegalTransition):
            save(engine, scan() | keys)
    with pytest.raises(ValueError, match="SHA-1"):
        save(engine, {"id": "x", "state": "waitforchunk", "contenttype": "albumfile"})
    with pytest.raises(ValueError, match="id"):
        save(engine, scan("../x"))
    with pytest.raises(TypeError):
        save(engine, {"state": "startfsscan"})
    with pytest.raises(UploadRefused):
        make(engine, scan(known.id), "startfsscan")
    engine.discard(known.id)
    with pytest.raises(IllegalTransition, match="notexisting"):
        save(engine, as_dictionary(known))
    assert list(settings.tasks.glob("*.json")) == []


def test_discard_returns_when_the_task_is_gone(opened: Open, settings: Settings):
    """Before the start and at work: file and data are gone when it returns."""
    engine = opened()
    for started in (False, True):
        if started:
            engine.start()
        task = begin(engine, b"abc")
        engine.receive_chunk(task.id, b"ab")
        engine.discard(task.id)
        assert list(settings.tasks.glob("*.json")) == []
        assert list(settings.uploads.iterdir()) == []
        with pytest.raises(TaskNotFound):
            engine.discard(task.id)


def test_look_sees_what_a_person_did(opened: Open, settings: Settings):
    """New and deleted files count when it returns, before the start and after it."""
    engine = opened()
    for started in (False, True):
        if started:
            engine.start()
        task = begin(engine, b"after" if started else b"before")
        path = settings.tasks / f"{task.id}.json"
        record = json.loads(path.read_text())
        path.unlink()
        new = record | {"id": f"by-hand-{started}", "uploadpath": None, "history": []}
        path.with_stem(new["id"]).write_text(json.dumps(new))
        engine.look()
        assert engine.get(new["id"]).state == "waitforchunk"
        states = {record.id: record.state for record in engine.tasks()}
        assert states.get(task.id, "remove") == "remove"


def test_look_starts_what_was_held(opened: Open):
    """The directory says what there is to do."""
    with opened() as engine:
        save(engine, scan())
        engine.look()
        engine.wait("scan", "fsscancomplete", timeout=30)


def test_a_move_that_cannot_be_saved_has_changed_nothing(opened: Open):
    """The disk refuses: the record is as before, the dictionary's keys included."""

    class Full(Effects):
        def write(self, fd: int, data: bytes | memoryview, offset: int) -> int:
            raise OSError(28, "No space left on device")

    engine = opened()
    task = begin(engine)
    with using(Full()), pytest.raises(TaskNotSaved):
        move(engine, as_dictionary(task) | {"annotations": {"a": 1}}, "uploadfailed")
    assert engine.get(task.id) is task


def test_notify_sends_what_it_was_given(opened: Open):
    """The documented status, of a dictionary as it is or of an unknown task."""
    engine = opened()
    recorder = Recorder(engine)
    task = {"id": "x", "state": "new", "offset": 5, "mine": [1]}
    engine.notify("StateUpdate", task, "m")
    task["mine"].append(2)
    engine.notify("InternalError", None, "gone")
    recorder.wait_for(lambda r: len(r.all) == 2)
    known = {"taskid": "x", "offset": 5, "chunksize": 409600, "state": "new", "message": "m"}
    assert recorder.all[0] == ("StateUpdate", known | {"task": task | {"mine": [1]}})
    unknown = dict.fromkeys(("taskid", "offset", "chunksize", "task"))
    unknown |= {"state": "notexisting", "message": "gone"}
    assert recorder.all[1] == ("InternalError", unknown)
    with pytest.raises(ValueError, match="Refresh"):
        engine.notify("Refresh", task)
