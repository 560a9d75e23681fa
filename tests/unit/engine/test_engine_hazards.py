"""What once went wrong, or could: races, leftovers, clocks, executors, other people's files."""

from __future__ import annotations

import errno
import gc
import json
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest
from attrs import evolve
from enginekit import PLAYED, begin, upload
from musictasks.engine.dispatcher import Dispatcher
from musictasks.engine.notifications import Notifier
from musictasks.errors import (
    DirectoryInUse,
    EngineClosed,
    TaskFailed,
    TaskNotFound,
    TaskNotSaved,
    UploadRefused,
)
from musictasks.files import Effects, using
from musictasks.music import MusicEngine, Settings, open_library
from musictasks.statemachine import (
    MUSIC,
    Edge,
    Lifecycle,
    MusicTask,
    Outcome,
    Target,
    Work,
    fail,
    succeed,
)
from musictasks.testing import InlineExecutor, Recorder, SteppedEngine

Open = Callable[..., MusicEngine]


def test_the_same_upload_begun_by_many_at_once_is_one_task(opened: Open):
    """Each caller gets the task, and nobody else can hold its data's name."""
    engine = opened()
    for number in range(20):
        data = bytes([65 + number]) * 5
        barrier = threading.Barrier(4)

        def begin_it(data: bytes = data, number: int = number, barrier: Any = barrier) -> MusicTask:
            barrier.wait(30)
            return begin(engine, data, task_id=f"same-{number}")

        with ThreadPoolExecutor(4) as pool:
            tasks = [job.result(30) for job in [pool.submit(begin_it) for _ in range(4)]]
        assert {task.id for task in tasks} == {f"same-{number}"}
        with pytest.raises(UploadRefused) as caught:
            begin(engine, data)
        assert caught.value.task_id == f"same-{number}"


def test_a_callback_has_one_thread_however_many_tell_it(opened: Open):
    """Notifications of one callback never run side by side."""
    notifier = Notifier(1, "notexisting")
    threads: set[int] = set()
    all_told = threading.Semaphore(0)

    def callback(notification: str, status: dict) -> None:
        threads.add(threading.get_ident())
        all_told.release()

    notifier.subscribe(callback)
    barrier = threading.Barrier(4)

    def tell() -> None:
        barrier.wait(30)
        for _ in range(50):
            notifier.tell("StateUpdate", MusicTask(id="t"))

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(tell)
    for _ in range(200):
        assert all_told.acquire(timeout=30)
    assert len(threads) == 1
    notifier.close(30)


def test_names_that_are_none_of_ours_stop_no_start(opened: Open, settings: Settings):
    """Files with odd names in the uploads directory are left alone."""
    opened().close()
    (settings.uploads / "a\nb").write_bytes(b"x")
    with open(os.fsencode(settings.uploads) + b"/\xff", "wb"):  # noqa: PTH123 - no text at all
        pass
    with opened() as engine:
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
    assert (settings.uploads / "a\nb").exists()


def test_a_task_file_with_a_name_that_is_no_id_keeps_its_data(opened: Open, settings: Settings):
    """As long as it is there, the data that may be its own stays; the same bytes can come in."""
    with opened() as engine:
        task = begin(engine, b"0123456789")
        engine.receive_chunk(task.id, b"01234")
    (settings.tasks / f"{task.id}.json").rename(settings.tasks / "my backup.json")
    engine = opened()
    with engine:
        engine.look()
        assert [invalid.path for invalid in engine.invalid()] == [
            str(settings.tasks / "my backup.json")
        ]
        other = begin(engine, b"0123456789")
        engine.receive_chunk(other.id, b"98765")
    assert (settings.uploads / str(task.upload_path)).read_bytes() == b"01234"


def test_a_deaf_handler_keeps_the_directory(opened: Open, settings: Settings):
    """Closed or not: as long as it works, nobody else begins its task."""
    stop, entered = threading.Event(), threading.Event()

    def deaf(task: MusicTask, work: Work) -> Outcome:
        entered.set()
        assert stop.wait(30)
        return succeed()

    with opened(evolve(settings, stop_timeout_s=0.0), handlers={"preprocessing": deaf}) as engine:
        task = upload(engine)
        assert entered.wait(30)
    with pytest.raises(DirectoryInUse):
        opened()
    stop.set()
    while True:
        try:
            engine = opened()
            break
        except DirectoryInUse:
            pass
    with engine:
        engine.wait(task.id, "readyforintegration", timeout=30)


class LateFuture(Future[Any]):
    """Whatever is to be called at its end after the first is called when the engine is closed."""

    def __init__(self, closed: threading.Event) -> None:
        super().__init__()
        self._closed, self._first = closed, True

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        def late(future: Future[Any]) -> None:
            self._closed.wait(0.3)  # not longer: the engine waits for one of them
            fn(future)

        super().add_done_callback(fn if self._first else late)
        self._first = False


class LateExecutor(Executor):
    """Its threads end as late as that."""

    def __init__(self, closed: threading.Event) -> None:
        self._closed = closed

    def submit(self, fn: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        future = LateFuture(self._closed)

        def work() -> None:
            pause.wait(0.05)  # until the engine has said what is to be called
            future.set_result(fn(*args, **options))

        pause = threading.Event()
        threading.Thread(target=work).start()
        return future


def test_the_directory_is_free_when_an_engine_is_closed(opened: Open, settings: Settings):
    """Also if the thread that has just done some work is slow to say so."""
    closed = threading.Event()
    engine = opened(executor=lambda: LateExecutor(closed))
    engine.start()
    task = upload(engine)
    engine.wait(task.id, "readyforintegration", timeout=30)
    engine.close()
    assert not (settings.data / "tasks.owner.json").exists()
    opened().close()
    closed.set()


def test_an_executor_that_cannot_cancel_is_shut_down_all_the_same(opened: Open):
    """Dask's executor knows no `cancel_futures`."""
    ended: list[bool] = []

    class Plain(InlineExecutor):
        def shutdown(self, wait: bool = True) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            ended.append(wait)

    with opened(executor=Plain) as engine:
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
    assert ended == [False]


def test_an_executor_that_cannot_be_made_leaves_the_directory_free(opened: Open):
    """The error is the caller's; the next open works."""

    def broken() -> Any:
        raise RuntimeError("no workers")

    with pytest.raises(RuntimeError, match="no workers"), opened(executor=broken):
        pass
    opened().close()


def says_no(task: MusicTask, payload: object) -> bool:
    return False


def raises(task: MusicTask, payload: object) -> bool:
    raise KeyError("codec")


@pytest.mark.parametrize(("guard", "reason"), [(says_no, "refused it"), (raises, "KeyError")])
def test_a_success_that_no_guard_takes_is_a_fail(opened: Open, guard: Any, reason: str):
    """A task is never left at work with nobody working on it."""
    stages = (
        evolve(stage, succeeded=Target("readyforintegration", guard))
        if stage.name == "preprocessing"
        else stage
        for stage in MUSIC.stages
    )
    way = Edge(event="approve", source="uploadfailed", target="readyforintegration")
    mine = Lifecycle(MUSIC.states, tuple(stages), (*MUSIC.free_edges, way), record=MusicTask)
    with opened(lifecycle=mine) as engine:
        task = upload(engine)
        with pytest.raises(TaskFailed, match=reason):
            engine.wait(task.id, "readyforintegration", timeout=30)


def test_a_deletion_that_cannot_be_stored_is_not_forgotten(opened: Open, settings: Settings):
    """A client's call finds the file gone, the disk is full; later the task goes all the same."""
    full = threading.Event()

    class FullDisk(Effects):
        def open(self, path: str, flags: int, mode: int = 0o666, *, dir_fd: int | None = None):
            if full.is_set():
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().open(path, flags, mode, dir_fd=dir_fd)

    with using(FullDisk()), opened() as engine:
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
        full.set()
        (settings.tasks / f"{task.id}.json").unlink()
        with pytest.raises(TaskNotSaved):
            engine.annotate(task.id, {"song": "Song"})
        full.clear()
        engine.wait(task.id, "notexisting", timeout=30)
    assert list(settings.uploads.iterdir()) == []


def test_a_clock_that_is_set_back_delays_no_second_try():
    """What is tried again after a second is tried after a second, by one clock or the other."""
    now = [1000.0]
    dispatcher = Dispatcher(lambda: now[0])
    done = threading.Event()
    dispatcher.put(lambda: dispatcher.call_later(0.05, done.set))
    dispatcher.put(lambda: now.__setitem__(0, 0.0))
    dispatcher.start()
    assert done.wait(30)
    dispatcher.stop()


def test_a_slow_subscriber_is_waited_for_once(opened: Open):
    """`on_enter` comes after the subscribers, but a stuck one does not hold it up again."""
    stuck, entered = threading.Event(), threading.Semaphore(0)
    engine = opened()
    engine.subscribe(lambda *_: stuck.wait(60))
    engine.on_enter("waitforchunk", lambda task: entered.release())
    for number in range(20):
        begin(engine, bytes([65 + number]) * 5)
    for _ in range(20):
        assert entered.acquire(timeout=15)  # one after the other they would take 20 s
    stuck.set()


def test_a_retry_with_another_target_leaves_nothing_at_the_first(opened: Open, settings: Settings):
    """What a killed attempt left in the old album's directory goes with the new target."""
    outcomes = [fail("killed"), succeed()]
    with opened(handlers={"integration": lambda task, work: outcomes.pop(0)}) as engine:
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
        old = settings.music / "Artist" / "2020 - Old"
        old.mkdir(parents=True)
        (old / f".{task.id}.1.1.tmp").write_bytes(b"half")
        engine.integrate(task.id, "Artist/2020 - Old/x.pdf")
        engine.wait(task.id, "integrationfailed", timeout=30)
        engine.retry(task.id, target="Artist/2021 - New/x.pdf")
        engine.wait(task.id, "readyforimport", timeout=30)
    assert list(old.iterdir()) == []


def test_a_timer_keeps_no_removed_task_alive(opened: Open):
    """A task that waited for a day would stay in memory for a day, however early it went."""
    with opened() as engine:
        task = begin(engine)
        entry = weakref.ref(engine._table.entries[task.id])
        engine.remove(task.id)
        engine.wait(task.id, "notexisting", timeout=30)
        recorder = Recorder()
        engine.subscribe(recorder)
        engine._table._removed.clear()
        other = upload(engine, b"other")  # the dispatcher has let go of its last job
        engine.wait(other.id, "readyforintegration", timeout=30)
        gc.collect()
        assert entry() is None


@pytest.mark.parametrize("mime_type", ["\ud800", "a\nb", "x" * 256, "ä"])
def test_a_mime_type_that_is_none_is_refused(opened: Open, mime_type: str):
    """Before a task is made of it."""
    engine = opened()
    with pytest.raises(UploadRefused, match="MIME"):
        begin(engine, mime_type=mime_type)
    assert engine.tasks() == []


def test_activity_is_what_the_disk_says(settings: Settings):
    """A task file that a person has just edited is active, whatever the engine knew."""
    stepped = SteppedEngine(evolve(settings, max_age_s=1000.0), MUSIC, opener=open_library)
    engine = stepped.start()
    task = begin(engine)
    stepped.settle()
    path = settings.tasks / f"{task.id}.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record))
    later = path.stat().st_mtime + 900
    os.utime(path, (later, later))
    stepped.clock.now = later + 500
    stepped.settle()
    assert engine.get(task.id).state == "waitforchunk"
    stepped.clock.now = later + 1100
    stepped.settle()
    with pytest.raises(TaskNotFound):
        engine.get(task.id)
    stepped.close()


def test_tasks_that_were_loaded_age_each_for_itself(settings: Settings):
    """One timer serves all that rest since a start: each goes when it is idle, none before."""
    settings = evolve(settings, max_age_s=1000.0)
    with open_library(settings) as engine:
        first, touched, last, removed = ids = [begin(engine, bytes([n])).id for n in range(4)]
    begun = (settings.tasks / f"{first}.json").stat().st_mtime - 5000
    for number, task_id in enumerate(ids):
        os.utime(settings.tasks / f"{task_id}.json", (begun, begun + 100 * number))
    stepped = SteppedEngine(settings, MUSIC, opener=open_library)

    def left_at(when: float) -> set[str]:
        stepped.clock.now = when
        stepped.settle()
        return {task.id for task in engine.tasks()}

    stepped.clock.now = begun + 500
    engine = stepped.start()
    assert left_at(begun + 600) == set(ids)
    engine.annotate(touched, {"song": "Song"})
    engine.remove(removed)
    assert left_at(begun + 999) == {first, touched, last}
    assert left_at(begun + 1001) == {touched, last}
    assert left_at(begun + 1199) == {touched, last}
    assert left_at(begun + 1201) == {touched}
    changed = (settings.tasks / f"{touched}.json").stat().st_mtime
    assert left_at(changed + 999) == {touched}
    assert left_at(changed + 1001) == set()
    stepped.close()


def test_a_subscription_may_end_after_the_engine(opened: Open):
    """Whoever listened ends it when it likes: with a closed engine there is nothing left to end."""
    engine = opened()
    ends = [
        engine.subscribe(lambda *_: None),
        engine.on_enter("notexisting", lambda _: None),
        engine.on_refresh(lambda: None),
    ]
    engine.close()
    for end in ends:
        end()


def test_a_retry_forgets_what_has_passed(opened: Open):
    """`wait` after a retry waits for the new way, and is not content with the old."""
    outcomes = [succeed(), fail("disk full"), succeed()]
    handlers = {
        "preprocessing": lambda task, work: outcomes.pop(0),
        "integration": lambda task, work: outcomes.pop(0),
    }
    with opened(handlers=handlers, executor=InlineExecutor) as engine:
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
        engine.integrate(task.id, "Artist/2020 - Album/x.pdf")
        first = engine.wait(task.id, "integrating", timeout=30)
        engine.wait(task.id, "integrationfailed", timeout=30)
        engine.retry(task.id)
        second = engine.wait(task.id, "integrating", timeout=30)
    assert len(second.history) > len(first.history)


def test_a_begin_that_fails_frees_its_place(opened: Open, settings: Settings):
    """With one worker: a task that cannot be begun, as the disk is full, stops nobody else."""
    engine = opened(evolve(settings, workers=1))
    first = upload(engine, b"first")
    full = threading.Event()

    class FullDisk(Effects):
        def open(self, path: str, flags: int, mode: int = 0o666, *, dir_fd: int | None = None):
            if full.is_set() and first.id in path:
                full.clear()
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().open(path, flags, mode, dir_fd=dir_fd)

    with using(FullDisk()):
        full.set()
        with engine:
            other = upload(engine, b"other")
            engine.wait(other.id, "readyforintegration", timeout=30)
            engine.wait(first.id, "readyforintegration", timeout=30)
            assert not full.is_set()


def test_a_task_that_went_before_it_was_begun_frees_its_place(settings: Settings):
    """With one worker: removed between the queue and its begin, it keeps nobody else waiting."""
    stepped = SteppedEngine(evolve(settings, workers=1), MUSIC, PLAYED, opener=open_library)
    engine = stepped.start()
    first = upload(engine, b"first")
    dispatcher = engine._runner.dispatcher
    while first.id not in engine._runner.workers._running:
        job, _ = dispatcher._jobs.get()
        job()
    engine.remove(first.id)
    second = upload(engine, b"second")
    stepped.settle()
    while len(stepped.workers):
        stepped.work()
    assert engine.get(second.id).state == "readyforintegration"
    stepped.kill()


def test_whoever_waits_hears_of_the_close(opened: Open):
    """Each once, those who listen no more not at all; after the close nobody can begin to."""
    engine, heard = opened(), list[str]()
    engine.on_close(lambda: heard.append("one"))
    engine.on_close(lambda: heard.append("two"))
    end = engine.on_close(lambda: heard.append("three"))
    end()
    end()
    engine.close()
    engine.close()
    assert heard == ["one", "two"]
    with pytest.raises(EngineClosed):
        engine.on_close(lambda: None)
