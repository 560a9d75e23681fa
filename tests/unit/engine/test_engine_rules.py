"""The rules of the documented lifecycle, one after the other, on the real engine and real files."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from attrs import evolve
from enginekit import PLAYED, begin, upload, wait_gone
from musictasks.engine import Notification
from musictasks.engine.entry import Waiter
from musictasks.errors import (
    EngineClosed,
    IllegalTransition,
    TaskFailed,
    TaskNotFound,
    TaskNotSaved,
)
from musictasks.files import Effects, using
from musictasks.music import MusicEngine, Settings
from musictasks.statemachine import (
    MusicTask,
    Outcome,
    Work,
    fail,
    reject,
    succeed,
)
from musictasks.testing import InlineExecutor, Recorder

Open = Callable[..., MusicEngine]
TARGET = "Ärtist/2020 - Album/booklet.pdf"


class Gate:
    """A handler that works until the test opens it, or until it is asked to stop."""

    def __init__(self, outcome: Outcome | None = None) -> None:
        self.outcome = outcome or succeed()
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.runs = 0
        self.works: list[Work] = []

    def __call__(self, task: MusicTask, work: Work) -> Outcome:
        self.runs += 1
        self.works.append(work)
        self.entered.set()
        while not self.opened.wait(0.01):
            work.check()
        return self.outcome


def stored(settings: Settings, task_id: str) -> dict:
    return json.loads((settings.tasks / f"{task_id}.json").read_text())


def test_rule_1_a_state_that_is_told_is_on_disk(opened: Open, settings: Settings):
    """At each notification the task file says at least that state, in its history."""
    seen: list[bool] = []
    engine = opened(executor=InlineExecutor)

    def callback(notification: str, status: dict) -> None:
        path = settings.tasks / f"{status['taskid']}.json"
        if path.exists():
            history = [entry["to"] for entry in json.loads(path.read_text())["history"]]
            seen.append(status["state"] in history)

    engine.subscribe(callback)
    with engine:
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
    assert seen
    assert all(seen)


def test_the_documented_path_of_an_album_file(opened: Open):
    """The notifications tell the documented states, and ask for the right chunks."""
    with opened() as engine:
        recorder = Recorder(engine)
        task = upload(engine, b"0123456789")
        engine.wait(task.id, "readyforintegration", timeout=30)
        engine.integrate(task.id, TARGET)
        wait_gone(engine, task.id)
    assert recorder.states(task.id) == [
        "waitforchunk",
        "uploadcomplete",
        "preprocessing",
        "readyforintegration",
        "startintegration",
        "integrating",
        "readyforimport",
        "remove",
    ]
    requests = [s["offset"] for name, s in recorder.of(task.id) if name == "ChunkRequest"]
    assert requests == [0, 3, 6, 9]
    assert {name for name, _ in recorder.of(task.id)} == {"ChunkRequest", "StateUpdate"}
    assert all(s["chunksize"] == 409600 for _, s in recorder.of(task.id))


def test_a_notification_carries_the_record_of_its_moment(opened: Open):
    """However late a callback reads, the record is that of the entry it was told of."""
    with opened() as engine:
        recorder = Recorder(engine)
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
        recorder.wait_for(lambda r: "readyforintegration" in r.states(task.id))
    for _, status in recorder.of(task.id):
        assert status["task"]["state"] == status["state"]
        assert status["task"]["offset"] == status["offset"]
        assert status["task"]["history"][-1]["to"] == status["state"]


@pytest.mark.parametrize("flags", [{}, {"then_import": True}])
def test_after_the_integration_the_import_follows_if_it_was_asked_for(opened: Open, flags: dict):
    """`then_import` decides between `readyforimport` and `startmusicimport`."""
    with opened() as engine:
        recorder = Recorder(engine)
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
        engine.integrate(task.id, TARGET, **flags)
        engine.wait(task.id, "importcomplete" if flags else "remove", timeout=30)
        recorder.wait_for(lambda r: {"importcomplete", "remove"} & set(r.states(task.id)))
    after = recorder.states(task.id)[6:]
    wanted = ["startmusicimport", "importingmusic", "importcomplete"]
    assert after == (wanted if flags else ["readyforimport", "remove"])


def test_rule_2_every_state_goes_on_after_a_restart(opened: Open, settings: Settings):
    """Whatever state a task file has, the next start brings the task to its end."""
    settings = evolve(settings, keep_finished_s=0.0, keep_failed_s=0.0)
    engine = opened(settings)
    resting = {"waitforchunk", "readyforintegration", "uploadcomplete", "preprocessing"}
    states = sorted(engine.lifecycle.storable - resting)
    engine.close()
    for state in states:
        record = {"id": state, "state": state, "contenttype": "albumfile", "annotations": None}
        record |= {"albumfilepath": TARGET, "initializationtime": 1}
        (settings.tasks / f"{state}.json").write_text(json.dumps(record))
    with opened(settings) as engine:
        ended = {
            state: [entry.target for entry in wait_gone(engine, state).history] for state in states
        }
    assert list(settings.tasks.iterdir()) == []
    assert all(walk[-2:] == ["remove", "notexisting"] for s, walk in ended.items() if s != "remove")


def test_rule_2_an_upload_goes_on_at_the_byte_that_is_on_disk(opened: Open, settings: Settings):
    """After a restart the chunk request asks for what the data file lacks."""
    with opened() as engine:
        task = begin(engine, b"0123456789")
        engine.receive_chunk(task.id, b"0123")
    data = settings.uploads / str(task.upload_path)
    data.write_bytes(b"01234")
    engine = opened()
    recorder = Recorder(engine)
    with engine:
        recorder.wait_for(lambda r: r.of(task.id))
        name, status = recorder.of(task.id)[0]
        assert (name, status["offset"]) == ("ChunkRequest", 5)
        engine.receive_chunk(task.id, b"56789")
        engine.wait(task.id, "readyforintegration", timeout=30)


def test_rule_2_an_upload_that_is_whole_is_ended_at_the_start(opened: Open, settings: Settings):
    """Killed between the last byte and its save: the next start checks and goes on."""
    with opened() as engine:
        task = begin(engine, b"0123456789")
        engine.receive_chunk(task.id, b"0123")
    (settings.uploads / str(task.upload_path)).write_bytes(b"0123456789")
    with opened() as engine:
        engine.wait(task.id, "readyforintegration", timeout=30)


def test_a_task_that_crashes_its_worker_again_and_again_fails(opened: Open):
    """After three attempts recovery ends in the failed state: it must not go on for ever."""

    def crash(task: MusicTask, work: Work) -> Outcome:
        raise AssertionError

    class Breaking(InlineExecutor):
        def submit(self, fn: object, /, *args: object, **kwargs: object):
            raise BrokenProcessPool("a worker died")

    with opened(handlers={"preprocessing": crash}, executor=Breaking) as engine:
        recorder = Recorder(engine)
        task = upload(engine)
        with pytest.raises(TaskFailed, match="worker died"):
            engine.wait(task.id, "readyforintegration", timeout=30)
        recorder.wait_for(lambda r: "uploadfailed" in r.states(task.id))
        walk = [entry.target for entry in engine.get(task.id).history]
    assert walk.count("preprocessing") == 3
    assert recorder.of(task.id)[-1][0] == "InternalError"


def test_rule_4_different_tasks_work_side_by_side(opened: Open):
    """Two workers hold two tasks at once; a third task waits in its queue."""
    gate = Gate()
    both = threading.Barrier(3)

    def meet(task: MusicTask, work: Work) -> Outcome:
        both.wait(30)
        return gate(task, work)

    with opened(handlers={"preprocessing": meet}) as engine:
        tasks = [upload(engine, bytes([65 + n]) * 5) for n in range(3)]
        both.wait(30)
        assert sorted(engine.get(task.id).state for task in tasks) == [
            "preprocessing",
            "preprocessing",
            "uploadcomplete",
        ]
        both.reset()
        gate.opened.set()
        threading.Thread(target=both.wait, args=(30,)).start()
        both_last = threading.Thread(target=both.wait, args=(30,))
        both_last.start()
        for task in tasks:
            engine.wait(task.id, "readyforintegration", timeout=30)


def test_rule_5_a_deleted_task_file_removes_the_task(opened: Open, settings: Settings):
    """The user deletes the file of a resting task: `remove` is told, then all is gone."""
    with opened() as engine:
        recorder = Recorder(engine)
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
        (settings.tasks / f"{task.id}.json").unlink()
        wait_gone(engine, task.id)
        with pytest.raises(TaskNotFound):
            engine.get(task.id)
    assert recorder.states(task.id)[-1] == "remove"
    assert list(settings.tasks.iterdir()) == []
    assert list(settings.uploads.iterdir()) == []


def test_rule_5_while_a_handler_works_it_is_asked_to_stop(opened: Open, settings: Settings):
    """The state is `remove` at once, the file is back, and the data goes when the handler ends."""
    stop = threading.Event()
    entered = threading.Event()

    def stubborn(task: MusicTask, work: Work) -> Outcome:
        entered.set()
        assert stop.wait(30)
        return succeed(annotations={"late": True})

    with opened(handlers={"preprocessing": stubborn}) as engine:
        task = upload(engine)
        assert entered.wait(30)
        path = settings.tasks / f"{task.id}.json"
        path.unlink()
        engine.wait(task.id, "remove", timeout=30)
        assert stored(settings, task.id)["state"] == "remove"
        assert (settings.uploads / str(task.upload_path)).exists()
        stop.set()
        gone = wait_gone(engine, task.id)
    assert "late" not in gone.annotations
    assert list(settings.tasks.iterdir()) == []
    assert list(settings.uploads.iterdir()) == []


def test_rule_5_an_event_after_the_deletion_comes_too_late(opened: Open, settings: Settings):
    """The client's event is refused, as from `remove`, and does not bring the task back."""
    engine = opened()
    task = upload(engine)
    (settings.tasks / f"{task.id}.json").unlink()
    assert engine.remove(task.id).state == "remove"
    assert stored(settings, task.id)["state"] == "remove"
    with pytest.raises(IllegalTransition):
        engine.annotate(task.id, {"song": "Song"})


def test_rule_7_finished_and_failed_tasks_go_after_their_time(opened: Open, settings: Settings):
    """The clock moves past the retention: the task is removed, not before."""
    now = [1_000_000.0]
    settings = evolve(settings, keep_finished_s=60.0, keep_failed_s=600.0)
    handlers = {"preprocessing": lambda task, work: fail("no room")}
    with opened(settings, handlers=handlers, clock=lambda: now[0]) as engine:
        failed = upload(engine)
        with pytest.raises(TaskFailed, match="no room"):
            engine.wait(failed.id, "readyforintegration", timeout=30)
        now[0] += 599
        assert engine.get(failed.id).state == "uploadfailed"
        now[0] += 2
        wait_gone(engine, failed.id)


def test_rule_7_a_task_without_activity_ages(opened: Open, settings: Settings):
    """A waiting task goes after `max_age`, counted from the last change of its files."""
    now = [0.0]
    with opened(evolve(settings, max_age_s=3600.0), clock=lambda: now[0]) as engine:
        task = begin(engine)
        engine.receive_chunk(task.id, b"som")
        changed = (settings.uploads / str(task.upload_path)).stat().st_mtime
        now[0] = changed + 3599
        assert engine.get(task.id).state == "waitforchunk"
        now[0] = changed + 3700
        wait_gone(engine, task.id)


def test_rule_8_a_refresh_follows_each_completed_import(opened: Open, settings: Settings):
    """Once, without arguments, after the notification of `importcomplete`."""
    order: list[str] = []
    refreshed = threading.Event()

    def refresh() -> None:
        order.append("refresh")
        refreshed.set()

    with opened() as engine:
        engine.subscribe(lambda name, status: order.append(status["state"]))
        engine.on_refresh(refresh)
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
        engine.integrate(task.id, TARGET, then_import=True)
        assert refreshed.wait(30)
    assert order[-2:] == ["importcomplete", "refresh"]
    assert order.count("refresh") == 1


def test_rule_10_an_outcome_that_cannot_be_saved_is_kept(opened: Open, settings: Settings):
    """The handler does not run again; `InternalError` is told once; then the event is saved."""
    gate = Gate()
    full = threading.Event()

    class FullDisk(Effects):
        def open(self, path: str, flags: int, mode: int = 0o666, *, dir_fd: int | None = None):
            if full.is_set():
                raise OSError(28, "No space left on device")
            return super().open(path, flags, mode, dir_fd=dir_fd)

    with using(FullDisk()), opened(handlers={"preprocessing": gate}) as engine:
        recorder = Recorder(engine)
        task = upload(engine)
        assert gate.entered.wait(30)
        full.set()
        gate.opened.set()
        recorder.wait_for(lambda r: r.all and r.all[-1][0] == "InternalError")
        assert "No space" in recorder.all[-1][1]["message"]
        assert engine.get(task.id).state == "preprocessing"
        full.clear()
        engine.wait(task.id, "readyforintegration", timeout=30)
        recorder.wait_for(lambda r: "readyforintegration" in r.states(task.id))
    assert gate.runs == 1
    assert [name for name, _ in recorder.all].count("InternalError") == 1


def test_rule_10_a_clients_event_that_cannot_be_saved_changes_nothing(opened: Open):
    """`TaskNotSaved` with the OSError as its cause; the record stays as it was."""

    class FullDisk(Effects):
        def open(self, path: str, flags: int, mode: int = 0o666, *, dir_fd: int | None = None):
            raise OSError(28, "No space left on device")

    engine = opened()
    task = upload(engine)
    before = engine.get(task.id)
    with using(FullDisk()), pytest.raises(TaskNotSaved, match="No space") as caught:
        engine.remove(task.id)
    assert isinstance(caught.value.__cause__, OSError)
    assert engine.get(task.id) == before


def test_rule_11_an_outcome_counts_only_for_its_entry(opened: Open):
    """The task went to `remove` and ended meanwhile: the late outcome is dropped."""
    stop, entered = threading.Event(), threading.Event()

    def stubborn(task: MusicTask, work: Work) -> Outcome:
        entered.set()
        assert stop.wait(30)
        return fail("far too late")

    with opened(handlers={"preprocessing": stubborn}) as engine:
        recorder = Recorder(engine)
        task = upload(engine)
        assert entered.wait(30)
        engine.remove(task.id)
        stop.set()
        wait_gone(engine, task.id)
    assert "far too late" not in [status["message"] for _, status in recorder.all]


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (lambda task, work: 1 / 0, "ZeroDivisionError"),
        (lambda task, work: None, "no Outcome"),
        (lambda task, work: Outcome("begin"), "'begin' is none of"),
        (lambda task, work: Outcome("retry"), "'retry' is none of"),
        (lambda task, work: succeed(annotations={"x": object()}), r"\$.annotations.x"),
        (lambda task, work: succeed(annotations={"x": float("nan")}), "NaN"),
        (lambda task, work: succeed(changes={"state": "remove"}), "cannot set state"),
        (lambda task, work: succeed(changes={"mime_type": 5}), "mimetype"),
        (lambda task, work: succeed(changes={"preprocessed_path": "../x"}), "preprocessedpath"),
        (lambda task, work: succeed(message="\ud800"), "surrogates"),
        (lambda task, work: succeed(annotations={"x": "y" * 2**26}), "bytes"),
        (lambda task, work: Outcome("succeed", changes=[1]), "no mapping"),  # pyright: ignore[reportArgumentType]
        (lambda task, work: (_ for _ in ()).throw(SystemExit("bye")), "bye"),
        (lambda task, work: (_ for _ in ()).throw(MemoryError()), "MemoryError"),
    ],
)
def test_rule_11_whatever_a_handler_does_is_at_worst_a_fail(
    opened: Open, handler: Callable[[MusicTask, Work], Outcome], reason: str
):
    """The task fails with the reason; nothing else is harmed."""
    with opened(handlers={"preprocessing": handler}) as engine:
        task = upload(engine)
        with pytest.raises(TaskFailed, match=reason):
            engine.wait(task.id, "readyforintegration", timeout=30)
        assert engine.get(task.id).state == "uploadfailed"


def test_rule_11_a_scan_cannot_be_rejected(opened: Open, settings: Settings):
    """An event its state has no edge for is a fail."""
    opened().close()
    record = {"id": "scan", "state": "startfsscan", "contenttype": "any"}
    (settings.tasks / "scan.json").write_text(json.dumps(record))
    with opened(handlers={"file system scan": lambda t, w: reject("no")}) as engine:
        with pytest.raises(TaskFailed, match="'reject' is none of"):
            engine.wait("scan", "fsscancomplete", timeout=30)
        assert engine.get("scan").state == "fsscanfailed"


def test_a_clean_stop_takes_the_attempt_back(opened: Open, settings: Settings):
    """A handler that was asked to stop is queued again, as if it had not been begun."""
    gate = Gate()
    with opened(handlers={"preprocessing": gate}) as engine:
        task = upload(engine)
        assert gate.entered.wait(30)
    record = stored(settings, task.id)
    assert (record["state"], record["attempts"]) == ("uploadcomplete", 0)
    with opened() as engine:
        engine.wait(task.id, "readyforintegration", timeout=30)


def test_a_handler_that_does_not_stop_is_left_behind(opened: Open, settings: Settings):
    """After `stop_timeout_s` its task is queued again, and its outcome is dropped."""
    stop, entered = threading.Event(), threading.Event()

    def deaf(task: MusicTask, work: Work) -> Outcome:
        entered.set()
        stop.wait(30)
        return succeed()

    with opened(evolve(settings, stop_timeout_s=0.05), handlers={"preprocessing": deaf}) as engine:
        task = upload(engine)
        assert entered.wait(30)
    record = stored(settings, task.id)
    assert (record["state"], record["attempts"]) == ("uploadcomplete", 0)
    stop.set()


def test_a_closed_engine_says_so(opened: Open):
    """Every call raises `EngineClosed`, and who waits is woken."""
    engine = opened()
    task = begin(engine)
    with ThreadPoolExecutor(1) as pool, engine:
        waiting = pool.submit(engine.wait, task.id, "remove", None)
        while not engine._table.entries[task.id].waiters:
            pass
        engine.close()
        with pytest.raises(EngineClosed):
            waiting.result(30)
    for call in (
        lambda: begin(engine),
        lambda: engine.receive_chunk(task.id, b"x"),
        lambda: engine.remove(task.id),
        lambda: engine.wait(task.id, "remove"),
        engine.start,
    ):
        with pytest.raises(EngineClosed):
            call()


def test_a_callback_that_raises_or_is_slow_harms_nobody(opened: Open):
    """Other callbacks get their notifications in order, and the work goes on."""
    slow = threading.Event()

    def raises(notification: str, status: dict) -> None:
        raise RuntimeError("callback")

    with opened() as engine:
        engine.subscribe(raises)
        unsubscribe = engine.subscribe(lambda *_: slow.wait(30))
        recorder = Recorder(engine)
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
        recorder.wait_for(lambda r: "readyforintegration" in r.states(task.id))
        unsubscribe()
        slow.set()


def test_a_follower_gets_the_notifications_that_it_wants(opened: Open):
    """With the record of that moment, and after it the callbacks of the state; then no more."""
    order: list[tuple[str, object]] = []
    done = threading.Event()
    wanted = {"waitforchunk", "readyforintegration", "remove"}

    def entered(task: MusicTask) -> None:
        order.append(("entered", task.state))
        done.set()

    engine = opened()
    end = engine.follow(
        lambda one: order.append((one.name, one.record)), lambda one: one.state in wanted
    )
    engine.on_enter("readyforintegration", entered)
    with engine:
        task = upload(engine)
        assert done.wait(30)
        ready = engine.get(task.id)
        end()
        engine.remove(task.id)
        wait_gone(engine, task.id)
    *chunks, told, last = order
    assert {name for name, _ in chunks} == {"ChunkRequest"}
    assert {one.state for _, one in chunks if isinstance(one, MusicTask)} == {"waitforchunk"}
    assert told == ("StateUpdate", ready)
    assert last == ("entered", "readyforintegration")


def test_an_observer_hears_at_once(opened: Open, caplog: pytest.LogCaptureFixture):
    """In the thread that changes the task, before the call returns; its errors are its own."""
    told: list[tuple[str, str | None, int]] = []

    def fails(one: Notification) -> None:
        raise RuntimeError(one.name)

    engine = opened()
    engine.observe(fails)
    end = engine.observe(lambda one: told.append((one.name, one.state, threading.get_ident())))
    task, here = begin(engine), threading.get_ident()
    assert told == [("ChunkRequest", "waitforchunk", here)]
    assert "the others go on" in caplog.text
    engine.annotate(task.id, {"artist": "A"})
    assert told[1:] == [("StateUpdate", "waitforchunk", here)]
    end()
    engine.annotate(task.id, {"artist": "B"})
    assert len(told) == 2
    with pytest.raises(TypeError, match="a callback is a function"):
        engine.observe(None)  # pyright: ignore[reportArgumentType]
    engine.close()
    with pytest.raises(EngineClosed):
        engine.observe(fails)


def test_on_enter_comes_after_the_notification(opened: Open):
    """An integrator's callback gets the record of the entry, after the subscribers."""
    order: list[tuple[str, str]] = []
    done = threading.Event()

    def entered(task: MusicTask) -> None:
        order.append(("entered", task.state))
        engine.integrate(task.id, TARGET)
        done.set()

    engine = opened()
    engine.subscribe(lambda name, status: order.append(("told", status["state"])))
    engine.on_enter("readyforintegration", entered)
    with engine:
        task = upload(engine)
        assert done.wait(30)
        wait_gone(engine, task.id)
    at = order.index(("entered", "readyforintegration"))
    assert ("told", "readyforintegration") in order[:at]


def test_the_end_of_a_removal_can_be_waited_for(opened: Open):
    """`notexisting` is not notified, but `on_enter` calls for it; then the task is not known."""
    gone: list[str] = []
    told = threading.Event()

    def callback(task: MusicTask) -> None:
        with pytest.raises(TaskNotFound):
            engine.get(task.id)
        gone.append(task.state)
        told.set()

    with opened() as engine:
        engine.on_enter("notexisting", callback)
        engine.remove(begin(engine).id)
        assert told.wait(30)
    assert gone == ["notexisting"]


def test_a_client_that_answers_from_inside_the_callback_gets_to_the_end(opened: Open):
    """Chunks sent from the notification's own thread work."""
    data = b"0123456789" * 10

    def answer(notification: str, status: dict) -> None:
        if notification == "ChunkRequest":
            offset = status["offset"]
            engine.receive_chunk(status["taskid"], data[offset : offset + 7], offset=offset)

    with opened() as engine:
        engine.subscribe(answer)
        task = begin(engine, data)
        engine.wait(task.id, "readyforintegration", timeout=30)


def test_progress_is_told_and_not_saved(opened: Open, settings: Settings):
    """`work.progress` makes a StateUpdate with `annotations.progress`."""

    def reporting(task: MusicTask, work: Work) -> Outcome:
        work.progress(1, 2, "a")
        work.progress(2, 2, "b")
        return succeed()

    with opened(handlers={"preprocessing": reporting}) as engine:
        recorder = Recorder(engine)
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
        recorder.wait_for(lambda r: "readyforintegration" in r.states(task.id))
        assert engine.get(task.id).annotations == {}
    told = [s["task"]["annotations"].get("progress") for _, s in recorder.of(task.id)]
    assert {"done": 2, "total": 2, "path": "b"} in told


def test_before_the_start_calls_work_and_wait_in_the_queue(opened: Open):
    """`open_engine` loads; the work begins inside `with engine`."""
    engine = opened()
    task = upload(engine)
    assert engine.get(task.id).state == "uploadcomplete"
    with engine:
        engine.wait(task.id, "readyforintegration", timeout=30)


def test_wait_gives_the_record_of_the_moment(opened: Open):
    """Also of a state that has passed since, and of a task that is gone."""
    with opened() as engine:
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
        engine.annotate(task.id, {"later": True})
        engine.integrate(task.id, TARGET)
        wait_gone(engine, task.id)
        passed = engine.wait(task.id, {"readyforintegration"}, timeout=0)
        assert passed.state == "readyforintegration"
        assert passed.annotations == {}
        with pytest.raises(TaskFailed):
            engine.wait(task.id, "importcomplete", timeout=0)
        with pytest.raises(TaskNotFound):
            engine.wait("unknown", "remove", timeout=0)
        waiting = begin(engine, b"other")
        with pytest.raises(TimeoutError):
            engine.wait(waiting.id, "remove", timeout=0.01)


def test_a_person_edits_a_task_file(opened: Open, settings: Settings):
    """Annotations, paths and flags are taken with the next event; the state is put back."""
    engine = opened()
    task = upload(engine)
    path = settings.tasks / f"{task.id}.json"
    record = stored(settings, task.id)
    record |= {"annotations": {"by": "hand"}, "state": "importcomplete", "triggerimport": True}
    record |= {"attempts": 99, "history": []}
    path.write_text(json.dumps(record))
    with engine:
        ready = engine.wait(task.id, "readyforintegration", timeout=30)
    assert ready.annotations == {"by": "hand"}
    assert ready.trigger_import
    assert [entry.target for entry in ready.history][:2] == ["waitforchunk", "uploadcomplete"]


def test_a_person_breaks_a_task_file_and_mends_it(opened: Open, settings: Settings):
    """The broken file is never changed; the event is kept, and goes on when it is mended."""
    engine = opened()
    recorder = Recorder(engine)
    task = upload(engine)
    path = settings.tasks / f"{task.id}.json"
    good = path.read_bytes()
    path.write_bytes(b"{ broken")
    with engine:
        recorder.wait_for(lambda r: r.all and r.all[-1][0] == "InternalError")
        assert path.read_bytes() == b"{ broken"
        path.write_bytes(good)
        engine.wait(task.id, "readyforintegration", timeout=30)


def test_a_file_that_does_not_load_is_left_and_listed(opened: Open, settings: Settings):
    """It stops nobody else, is read again when it changes, and its id is taken."""
    opened().close()
    bad = settings.tasks / "bad.json"
    bad.write_text('{"id": "bad"')
    (settings.uploads / "albumfile-orphan").write_bytes(b"perhaps of bad.json")
    with opened() as engine:
        (invalid,) = engine.invalid()
        assert invalid.path == str(bad)
        upload(engine)
        assert bad.read_text() == '{"id": "bad"'
        assert (settings.uploads / "albumfile-orphan").exists()
        recorder = Recorder(engine)
        bad.unlink()
        bad.write_text(json.dumps({"id": "bad", "state": "startfsscan", "contenttype": "any"}))
        recorder.wait_for(lambda r: "fsscancomplete" in r.states("bad"))
        assert engine.invalid() == []


def test_data_that_belongs_to_no_task_is_removed_at_the_start(opened: Open, settings: Settings):
    """An orphan and our temporaries go; a person's hidden file stays."""
    opened().close()
    for name in ("albumfile-orphan", ".upload.1.2.tmp", ".keep"):
        (settings.uploads / name).write_bytes(b"x")
    (settings.tasks / ".some-id.1.2.tmp").write_bytes(b"x")
    with opened() as engine:
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
    assert sorted(path.name for path in settings.uploads.iterdir()) == [".keep", task.id]
    assert [path.name for path in settings.tasks.iterdir()] == [f"{task.id}.json"]


def test_a_checksum_of_another_file_fails_and_can_be_tried_again(opened: Open, settings: Settings):
    """`uploadfailed` tells both checksums, the data is gone, and retry starts at byte 0."""
    with opened() as engine:
        recorder = Recorder(engine)
        right = b"0123456789"
        task = begin(engine, right)
        failed = engine.receive_chunk(task.id, b"9876543210")
        assert failed.state == "uploadfailed"
        recorder.wait_for(lambda r: r.all and r.all[-1][0] == "InternalError")
        assert hashlib.sha1(right).hexdigest() in recorder.all[-1][1]["message"]
        while list(Path(settings.uploads).iterdir()):
            pass
        again = engine.retry(task.id)
        assert (again.state, again.offset) == ("waitforchunk", 0)
        engine.receive_chunk(task.id, right)
        engine.wait(task.id, "readyforintegration", timeout=30)


def test_a_failed_stage_is_retried(opened: Open):
    """What failed in preprocessing goes back to its queue, without another upload."""
    outcomes = [fail("disk full"), succeed()]
    handlers = {"preprocessing": lambda task, work: outcomes.pop(0)}
    with opened(handlers=PLAYED | handlers) as engine:
        task = upload(engine)
        with pytest.raises(TaskFailed, match="disk full"):
            engine.wait(task.id, "readyforintegration", timeout=30)
        engine.retry(task.id)
        engine.wait(task.id, "readyforintegration", timeout=30)


def test_what_was_begun_before_the_start_is_begun_once(opened: Open):
    """The start recovers what was loaded, not what a client did since: no attempt is lost."""
    engine = opened(executor=InlineExecutor)
    task = upload(engine)
    with engine:
        ready = engine.wait(task.id, "readyforintegration", timeout=30)
    assert [entry.event for entry in ready.history] == [
        "request_upload",
        "complete_upload",
        "begin",
        "succeed",
    ]


def test_a_waiter_gets_the_first_thing_that_happened():
    """A task that runs on before the waiter wakes does not change what it waited for."""
    waiter = Waiter({"remove"})
    first = MusicTask(id="t", state="remove")
    waiter.resolve(first)
    waiter.resolve(TaskFailed("t", "notexisting", None))
    assert waiter.wait(0) is first
