"""Tells of what happens in a directory, by watchfiles."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from types import TracebackType
from typing import Any

from attrs import define, field

from ..errors import ExtraMissing

#: In place of a name: anything may be another than before.
EVERYTHING = ""
#: What comes within this time is told together.
_TOGETHER_MS = 1000
#: How long nothing may come until it is told; also how often watchfiles itself looks up.
_STEP_MS = 200
_POLL_MS = 2000

_log = logging.getLogger(__name__)


@define(eq=False)
class Events:
    """What has happened below a directory since the last look; a thread of its own listens.

    As a context manager it ends the thread.
    """

    root: Path
    #: Looks at all files again and again.
    poll: bool = False
    _untold: SimpleQueue[set[str]] = field(factory=SimpleQueue, init=False)
    _stop: threading.Event = field(factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _listening_to: object = field(default=None, init=False)

    def listen(self, to: object) -> None:
        """Begins to listen to the directory that is there now, and to no other any more.

        Raises:
            ExtraMissing: watchfiles is not installed.
        """
        watch = _watchfiles().watch
        self.close()
        self._stop, self._listening_to = threading.Event(), to
        arguments = (watch, self._stop)
        self._thread = threading.Thread(target=self._run, args=arguments, daemon=True)
        self._thread.start()

    def is_listening_to(self, to: object) -> bool:
        alive = self._thread is not None and self._thread.is_alive()
        return alive and not self._stop.is_set() and self._listening_to == to

    def wait(self, timeout_s: float) -> set[str]:
        """The names of the entries to which something happened; none if nothing has, for so long.

        A name may be that of something else, or `EVERYTHING`: it means look.
        """
        names: set[str] = set()
        with suppress(Empty):
            names |= self._untold.get(timeout=max(0.0, timeout_s))
            while True:
                names |= self._untold.get_nowait()
        return names

    def wake(self) -> None:
        """Ends a `wait`, from any thread."""
        self._untold.put(set())

    def close(self) -> None:
        self._stop.set()

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, watch: Callable[..., Iterator[set[tuple[Any, str]]]], stop: Event) -> None:
        try:
            self._pass_on(watch, stop, polls=self.poll)
        except (OSError, RuntimeError) as error:
            if stop.is_set() or self.poll or not self.root.is_dir():
                return
            _log.warning(
                "%s: no notifications of the system, so it is polled: %s", self.root, error
            )
            with suppress(OSError, RuntimeError):
                self._pass_on(watch, stop, polls=True)

    def _pass_on(
        self, watch: Callable[..., Iterator[set[tuple[Any, str]]]], stop: Event, *, polls: bool
    ) -> None:
        changes = watch(
            self.root,
            watch_filter=None,
            debounce=_TOGETHER_MS,
            step=_STEP_MS,
            stop_event=stop,
            raise_interrupt=False,
            force_polling=polls or None,
            poll_delay_ms=_POLL_MS,
            ignore_permission_denied=True,
        )
        for paths in changes:
            below = (_below(Path(path), self.root) for _, path in paths)
            self._untold.put({names[0] if names else EVERYTHING for names in below})


def _below(path: Path, root: Path) -> tuple[str, ...]:
    return path.relative_to(root).parts if path.is_relative_to(root) else ()


def _watchfiles() -> Any:
    try:
        import watchfiles
    except ModuleNotFoundError as error:
        raise ExtraMissing("watch", "watching a directory needs watchfiles") from error
    return watchfiles
