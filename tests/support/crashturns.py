"""Threads that take turns: one of them runs at a time, and who is next is the same in every run.

A thread gives its turn away before each effect and where it would wait: for a job, for a task's
lock, for a shared fsync. So many tasks save at once, really in threads and with the real group
commit, and yet the effect with a number is the same one each time; and a thread that nobody wakes
is found at once, without a timeout.

Those who can go on do so in rotation, step by step; the fsync of the tasks directory is done when
nobody else can, so that all who save at once wait for the next one together.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from queue import Empty, SimpleQueue
from typing import Any
from unittest.mock import patch

from attrs import Factory, define
from musictasks.engine.entry import Entry

#: Longer than any call takes once all run as they like.
PATIENCE_S = 60.0
#: How often one of the earliest is drawn.
_EARLIEST = 0.9
#: How late it is anybody's turn, among those who can go on.
SOON, JOBS, SHARED_FSYNC, AT_REST = range(4)


class Forgotten(AssertionError):
    """Nobody can go on any more, and somebody waits."""


@define(eq=False)
class _Actor:
    """A thread, or what a thread of a pool does for one job."""

    number: int
    doing: str
    #: When it is its turn, of those above.
    when: int = SOON
    #: Of those that are as early the one with the fewest steps is next.
    steps: int = 0
    can_go_on: Callable[[], bool] = lambda: True
    #: Whether it waits for a time only.
    timed: bool = False
    go: threading.Semaphore = Factory(lambda: threading.Semaphore(0))
    error: Exception | None = None


class Turns:
    """Who may run. The thread that makes this is the first, and the one that is told what hangs."""

    def __init__(self, seed: int | None = None, lapses: int = 0) -> None:
        """With a seed, who is next of those that can go on is drawn, shared fsyncs included.

        So many times a timeout lapses where nobody can go on; then whoever waits is forgotten.
        """
        self.lapses = lapses
        self._chance = None if seed is None else random.Random(seed)
        self._local = threading.local()
        self._count = 0
        self._actors: list[_Actor] = []
        #: False: everybody runs as they like.
        self.taken = True
        self._main = self._local.actor = self.born("the client")

    # -- who there is -------------------------------------------------------------------------

    def born(self, doing: str) -> _Actor:
        """Somebody who will `play`; only whoever has the turn may call this."""
        actor = _Actor(self._count, doing)
        if not self.taken:
            actor.go.release()
        self._count += 1
        self._actors.append(actor)
        return actor

    @contextmanager
    def play(self, actor: _Actor) -> Iterator[None]:
        """The calling thread is this actor, and has the turn inside the block."""
        self._local.actor = actor
        actor.go.acquire()
        try:
            yield
        finally:
            self._local.actor = None
            self._actors.remove(actor)
            if self.taken:
                self._next()

    def at_once(self, calls: list[Callable[[], object]]) -> None:
        """Runs each in a thread of its own; returns when all have ended."""
        actors = [self.born(f"call {number}") for number in range(len(calls))]
        threads = [
            threading.Thread(target=self._run, args=pair, daemon=True)
            for pair in zip(actors, calls, strict=True)
        ]
        for thread in threads:
            thread.start()
        self.wait(lambda: not any(actor in self._actors for actor in actors), "the end of calls")
        for thread in threads:
            thread.join(PATIENCE_S)

    def _run(self, actor: _Actor, call: Callable[[], object]) -> None:
        with self.play(actor):
            call()

    def current(self) -> _Actor | None:
        """Who the calling thread is; None: somebody who takes no turns."""
        return getattr(self._local, "actor", None)

    # -- turns --------------------------------------------------------------------------------

    def step(self, doing: str, when: int = SOON) -> None:
        """Gives the turn away, and returns when it is the caller's again."""
        actor = self.current()
        if actor is not None and self.taken:
            actor.steps += 1
            self._give_up(actor, doing, when, lambda: True)

    def wait(
        self,
        until: Callable[[], bool],
        doing: str,
        when: int = SOON,
        *,
        timed: bool = False,
    ) -> None:
        """As `step`, and not before something is so.

        Raises:
            Forgotten: In the first thread: that will never be.
        """
        actor = self.current()
        if actor is not None and self.taken:
            actor.timed = timed
            self._give_up(actor, doing, when, until)
            actor.timed = False

    def rest(self) -> None:
        """Returns when nobody else can go on."""
        self.wait(lambda: True, "the end of all", AT_REST)

    def let_go(self) -> None:
        """From now on everybody runs as they like."""
        self.taken = False
        for actor in list(self._actors):
            actor.go.release()

    def _give_up(self, actor: _Actor, doing: str, when: int, can_go_on: Callable[[], bool]) -> None:
        actor.doing, actor.when, actor.can_go_on = doing, when, can_go_on
        self._next()
        actor.go.acquire()
        if actor.error is not None:
            raise actor.error

    def _next(self) -> None:
        """Lets one go on that can."""
        able = [actor for actor in self._actors if actor.can_go_on()]
        if not able and self.lapses:
            self.lapses -= 1
            able = [actor for actor in self._actors if actor.timed]
        if not able:
            waiting = ", ".join(f"{one.number} for {one.doing}" for one in self._actors)
            self._main.error = Forgotten(f"nobody can go on; they wait: {waiting}")
            self.let_go()
            return
        chosen = min(able, key=lambda one: (one.when, one.steps, one.number))
        rivals = [one for one in able if one.when != AT_REST]
        if self._chance is not None and len(rivals) > 1:
            # Mostly of the earliest: else no group ever forms.
            latest = chosen.when if self._chance.random() < _EARLIEST else AT_REST
            chosen = self._chance.choice([one for one in rivals if one.when <= latest])
        chosen.go.release()

    # -- what they wait for -------------------------------------------------------------------

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Those who share an fsync, and who lock a task, take turns inside the block."""
        turns = self

        class Woken(TurnQueue):
            def __init__(self) -> None:
                super().__init__(turns, "a shared fsync")

        def entry(*args: Any, **options: Any) -> Entry:
            lock: Any = TurnLock(turns)
            return Entry(*args, lock=lock, **options)

        with ExitStack() as patches:
            patches.enter_context(patch("musictasks.files.syncing.SimpleQueue", Woken))
            patches.enter_context(patch("musictasks.engine.table.Entry", entry))
            yield

    def conduct(self, dispatcher: Any) -> None:
        """The thread of the dispatcher, which is not started yet, and its savers take turns."""
        dispatcher._jobs = TurnQueue(self, "a job", JOBS, self.born("the dispatcher"))
        # Whoever tests calls for a look: none comes by real time.
        dispatcher.every = lambda _seconds, _job: None
        savers = patch("musictasks.engine.dispatcher.Savers", lambda many: TurnPool(self, many))
        start = dispatcher.start

        def starting() -> None:
            with savers:
                start()

        dispatcher.start = starting


class TurnQueue:
    """A queue with one reader."""

    def __init__(
        self, turns: Turns, what: str, when: int = SOON, reader: _Actor | None = None
    ) -> None:
        self._turns, self._what, self._when, self._reader = turns, what, when, reader
        self._items: SimpleQueue[Any] = SimpleQueue()
        if reader is not None:
            reader.can_go_on, reader.when = self._has_some, when

    def __class_getitem__(cls, _item: object) -> type[TurnQueue]:
        return cls

    def _has_some(self) -> bool:
        return not self._items.empty()

    def empty(self) -> bool:
        return self._items.empty()

    def put(self, item: object) -> None:
        self._items.put(item)

    def get_nowait(self) -> Any:
        if self._turns.taken:
            raise Empty  # then it is asked for by `get`, which gives the turn away
        return self._items.get_nowait()

    def get(self, timeout: float | None = None) -> Any:
        turns = self._turns
        if self._reader is not None and turns.taken and not self._is_mine():
            # The first time: it is a thread that was not known yet.
            turns._local.actor = self._reader
            self._reader.go.acquire()
        elif turns.taken:
            turns.wait(self._has_some, self._what, self._when, timed=timeout is not None)
        # Who waits in vain is found, whatever the timeout.
        return self._items.get(timeout=0 if turns.taken else timeout)

    def _is_mine(self) -> bool:
        return self._turns.current() is self._reader


class TurnLock:
    """A lock that others may hold while they wait for their turn."""

    def __init__(self, turns: Turns) -> None:
        self._turns, self._lock = turns, threading.Lock()

    def __enter__(self) -> None:
        if self._lock.locked():
            self._turns.wait(lambda: not self._lock.locked(), "a task's lock")
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


class TurnPool(ThreadPoolExecutor):
    """Each job is somebody of its own, whatever thread does it."""

    def __init__(self, turns: Turns, many: int) -> None:
        super().__init__(many)
        self._turns = turns

    def submit(self, fn: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        if not self._turns.taken:
            return super().submit(fn, *args, **options)
        return super().submit(self._play, self._turns.born("a save"), fn, *args, **options)

    def _play(self, actor: _Actor, fn: Callable[..., Any], *args: Any, **options: Any) -> Any:
        with self._turns.play(actor):
            return fn(*args, **options)
