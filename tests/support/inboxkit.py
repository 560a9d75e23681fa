"""An inbox of which a test turns the clock, and real processes that watch one."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field
from clikit import Library, start
from musictasks.intake import Inbox, News, Silent, What
from musictasks.intake.inbox_events import EVERYTHING
from musictasks.music import MusicEngine, open_library

#: Longer than anything takes; only broken code meets it.
PATIENCE_S = 60


@contextmanager
def _silent() -> Iterator[Silent]:
    yield Silent()


@define
class Desk:
    """An inbox without a thread and without waiting: `pass_by` turns its clock."""

    root: Path
    keep: bool = False
    #: Called with the engine while a round is under way, before anything is planned.
    meanwhile: Callable[[MusicEngine], object] = lambda _: None
    library: Library = field(init=False)
    inbox: Inbox = field(init=False)
    news: list[News] = field(factory=list, init=False)
    _now_s: float = field(default=1000.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.library = Library(self.root / "library")
        self.path.mkdir(parents=True, exist_ok=True)
        self.again()

    @property
    def path(self) -> Path:
        return self.root / "inbox"

    def again(self) -> None:
        """Another process in place of the one before."""
        self.inbox = Inbox(
            directory=self.path,
            settings=self.library.settings,
            opened=self._opened,
            display=_silent,
            tell=self.news.append,
            settle_s=10,
            keep=self.keep,
            clock=lambda: self._now_s,
        )
        assert not self.inbox.is_away()

    @contextmanager
    def _opened(self) -> Iterator[MusicEngine]:
        with open_library(self.library.settings) as engine:
            self.meanwhile(engine)
            yield engine

    def notify(self, *names: str) -> None:
        """Something has happened to these entries, though they may look as before."""
        self.inbox.look(names)

    def pass_by(self, seconds: float = 10, *, told: bool = True) -> bool:
        """Time passes, then everything that is due is done; whether there was anything.

        `told`: there was a notification of all that has happened before.
        """
        if told:
            self.inbox.look({EVERYTHING})
        self._now_s += seconds
        worked = False
        for _ in range(20):
            self.inbox.look(())
            if not self.inbox.work():
                return worked
            worked = True
        raise AssertionError("it never ends")

    def told(self, what: What) -> dict[str, str]:
        """The last text of each name."""
        return {news.name: news.text for news in self.news if news.what is what}

    @property
    def names(self) -> set[str]:
        """All files in the inbox."""
        return {str(p.relative_to(self.path)) for p in self.path.rglob("*") if not p.is_dir()}


@contextmanager
def watching(inbox: Path, library: Path, *options: object) -> Iterator[subprocess.Popen[str]]:
    """A real `musictasks watch` that has begun; it is stopped by SIGTERM at the end."""
    with start("watch", inbox, "--library", library, "--settle", "1", *options) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("watching ")
            yield process
        finally:
            process.terminate()


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Looks until it holds."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, what
        time.sleep(0.05)
