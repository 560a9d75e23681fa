"""The dispatcher's timers: one for each owner, none that outlives it, none that piles up."""

from __future__ import annotations

import gc
import threading
import time
from queue import SimpleQueue

from attrs import define
from musictasks.engine.dispatcher import Dispatcher


@define(eq=False)
class Owner:
    """What a timer belongs to."""

    name: str = ""


def test_a_timer_is_due_at_its_time_and_a_new_one_replaces_it():
    now = [1000.0]
    dispatcher = Dispatcher(lambda: now[0])
    owner, done = Owner("a"), []
    dispatcher.call_at(owner, 1010, lambda one, serial: done.append((one.name, serial)), 1)
    dispatcher.call_at(owner, 1020, lambda one, serial: done.append((one.name, serial)), 2)
    assert dispatcher.next_due() == 1020
    for now[0], expected in ((1015.0, []), (1020.0, [("a", 2)]), (1030.0, [("a", 2)])):
        dispatcher.run_pending()
        assert done == expected


def _two_timers(dispatcher: Dispatcher, owner: Owner) -> None:
    for serial in range(2):
        dispatcher.call_at(owner, 90_000, lambda *_: None, serial)


def test_timers_of_owners_that_are_gone_do_not_pile_up():
    """However many tasks came and went before their time is due."""
    dispatcher = Dispatcher(lambda: 1000.0)
    kept = [Owner() for _ in range(10)]
    for owner in kept:
        dispatcher.call_at(owner, 2000, lambda *_: None, 0)
    for _ in range(10_000):
        _two_timers(dispatcher, Owner())
    gc.collect()
    assert len(dispatcher._due) < 200
    assert len(dispatcher._timers) == 10
    assert dispatcher.next_due() == 2000


def test_a_job_may_set_the_next_timer_of_its_owner():
    now = [1000.0]
    dispatcher = Dispatcher(lambda: now[0])
    owner, done = Owner(), []

    def again(one: Owner, serial: int) -> None:
        done.append(serial)
        dispatcher.call_at(one, now[0] + 10, again, serial + 1)

    dispatcher.call_at(owner, 1000, again, 0)
    for now[0] in (1000.0, 1005.0, 1010.0, 1020.0):
        dispatcher.run_pending()
    assert done == [0, 1, 2]


def test_jobs_that_save_run_side_by_side_where_several_are_in_line():
    """And one that does not save runs in the dispatcher's own thread, in its turn."""
    dispatcher = Dispatcher(time.time, savers=4)
    barrier, threads = threading.Barrier(4), []

    def save() -> None:
        threads.append(threading.current_thread().name)
        barrier.wait(30)  # nobody gets past it alone

    for _ in range(4):
        dispatcher.put(save, saves=True)
    own = threading.Event()
    dispatcher.put(lambda: (threads.append(threading.current_thread().name), own.set()))
    dispatcher.start()
    assert own.wait(30)
    dispatcher.stop()
    assert (
        sorted(name.split("_")[0] for name in threads)
        == ["musictasks-engine"] + ["musictasks-saver"] * 4
    )


def test_one_that_is_alone_costs_no_other_thread():
    dispatcher = Dispatcher(time.time, savers=4)
    done: SimpleQueue[str] = SimpleQueue()
    dispatcher.start()
    dispatcher.put(lambda: done.put(threading.current_thread().name), saves=True)
    assert done.get(timeout=30) == "musictasks-engine"
    dispatcher.stop()


def test_a_timer_set_by_another_thread_is_in_time():
    """The dispatcher's thread may be asleep until a later one."""
    dispatcher = Dispatcher(time.time)
    owner, done = Owner(), threading.Event()
    dispatcher.start()
    dispatcher.call_at(owner, time.time() + 3600, lambda *_: None, 0)
    dispatcher.call_later(0.01, done.set)
    assert done.wait(30)
    dispatcher.stop()


def test_a_timer_of_an_earlier_entry_replaces_none():
    """A saver that was late sets it after the task has gone on."""
    now = [1000.0]
    dispatcher = Dispatcher(lambda: now[0])
    owner, done = Owner(), []
    dispatcher.call_at(owner, 1010, lambda _, serial: done.append(serial), 2)
    dispatcher.call_at(owner, 1005, lambda _, serial: done.append(serial), 1)
    now[0] = 1020
    dispatcher.run_pending()
    assert done == [2]


def test_the_end_runs_what_the_last_jobs_put_in_line():
    """An outcome that is applied by a job of a job is not lost at a clean stop."""
    dispatcher, done = Dispatcher(time.time, savers=2), []
    dispatcher.start()
    for number in range(20):
        dispatcher.put(
            lambda number=number: dispatcher.put(
                lambda: dispatcher.put(lambda: done.append(number), saves=True), saves=True
            ),
            saves=True,
        )
    dispatcher.stop()
    assert sorted(done) == list(range(20))


def test_many_items_of_one_job_are_all_done_and_others_have_their_turn():
    """In order; one that raises stops no other, and what comes `then` comes after all."""
    dispatcher, done = Dispatcher(time.time), []

    def job(number: int) -> None:
        if number == 7:
            raise ValueError("not this one")
        done.append(number)

    dispatcher.put_each(job, range(1000), then=lambda: done.append("then"))
    dispatcher.put(lambda: done.append("other"))
    dispatcher.run_pending()
    assert done.index("other") < 500
    done.remove("other")
    assert done == [number for number in range(1000) if number != 7] + ["then"]


def test_the_end_runs_all_items_of_a_job():
    dispatcher, done = Dispatcher(time.time), []
    dispatcher.start()
    dispatcher.put_each(done.append, range(1000), then=lambda: done.append("then"))
    dispatcher.stop()
    assert len(done) == 1001


def test_whatever_a_job_raises_its_thread_does_the_next():
    """Also what is no Exception: else jobs would wait for a thread that is not there."""
    dispatcher = Dispatcher(time.time, savers=2)
    barrier, done = threading.Barrier(2), []

    def exits() -> None:
        barrier.wait(30)  # both threads have one
        raise SystemExit

    def saves() -> None:
        barrier.wait(30)
        done.append(threading.current_thread().name)

    for job in (exits, exits, saves, saves):
        dispatcher.put(job, saves=True)
    dispatcher.put(lambda: None)
    dispatcher.start()
    dispatcher.stop()
    assert sorted(done) == ["musictasks-saver_0", "musictasks-saver_1"]


def test_a_timer_set_by_another_thread_is_in_time_also_between_two_ticks():
    """The dispatcher's thread may be asleep until the next regular look."""
    dispatcher = Dispatcher(time.time)
    owner, done = Owner(), threading.Event()
    dispatcher.every(3600, lambda _now: None)
    dispatcher.start()
    dispatcher.call_at(owner, time.time() + 0.01, lambda *_: done.set(), 0)
    assert done.wait(30)
    dispatcher.stop()


def test_a_timer_that_is_due_after_the_next_tick_wakes_nobody():
    """That tick is early enough to see it; each task that waits has such a timer."""
    dispatcher = Dispatcher(lambda: 1000.0)
    dispatcher.every(0.25, lambda _now: None)
    dispatcher.call_at(Owner(), 1010, lambda *_: None, 0)
    assert dispatcher._jobs.empty()
    dispatcher.call_at(Owner(), 1000.1, lambda *_: None, 0)
    assert not dispatcher._jobs.empty()
