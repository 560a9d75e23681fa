"""`add --server` waits for its threads, and for nobody who interrupts it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from musictasks.cli.interrupts import waiter


@pytest.fixture
def heeded() -> Iterator[None]:
    """SIGINT, also where a shell that runs the tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    """The signal's handler runs in this thread, and ends no wait of the main thread's."""
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)


@pytest.mark.usefixtures("heeded")
def test_an_interrupt_that_ends_no_system_call_is_noticed():
    late: Future[None] = Future()
    giving_up = threading.Timer(20, late.set_result, [None])
    giving_up.start()
    with waiter() as waiting:
        threading.Timer(0.1, interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            waiting.result(late)
    giving_up.cancel()
    assert not late.done()


def test_what_a_future_gives_or_raises():
    given: list[Future[int]] = [Future() for _ in range(1000)]
    failing: Future[None] = Future()

    def end_all() -> None:
        for number, future in enumerate(given):
            future.set_result(number)
        failing.set_exception(ValueError("no"))

    thread = threading.Thread(target=end_all)
    with waiter() as waiting:
        thread.start()
        assert [waiting.result(future) for future in given] == list(range(1000))
        with pytest.raises(ValueError, match="no"):
            waiting.result(failing)
    thread.join()


def test_who_had_signals_told_before_has_them_again():
    before = signal.set_wakeup_fd(-1)
    try:
        with waiter():
            pass
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.set_wakeup_fd(before)


def test_any_thread_may_wait():
    found: list[int] = []

    def wait() -> None:
        known: Future[int] = Future()
        with waiter() as waiting:
            threading.Timer(0.05, known.set_result, [7]).start()
            found.append(waiting.result(known))

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(20)
    assert found == [7]
