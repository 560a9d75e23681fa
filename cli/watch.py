"""`musictasks watch`: an inbox, of which all that is put there goes the way of `add`."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from ..errors import SettingsError
from ..intake import Inbox, News, What
from ..music import MusicEngine, Settings
from .display import Display
from .opening import open_engine
from .output import make_console, near, say, text

_MARKS = {
    What.DONE: ("+", "green"),
    What.REFUSED: ("!", "red"),
    What.LATER: ("~", "yellow"),
    What.LEFT: ("-", "dim"),
    What.COMING: (".", "dim"),
    What.WAITING: ("?", "yellow"),
    What.BACK: ("?", "green"),
}


def run_watch(arguments: argparse.Namespace, settings: Settings, console: Console) -> int:
    # It ends as by Ctrl-C: anywhere, and the next run goes on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        inbox = Inbox(
            directory=arguments.directory,
            settings=settings,
            opened=lambda: _opened(settings),
            display=lambda: Display(console),
            tell=lambda news: _tell(console, news),
            settle_s=arguments.settle,
            keep=arguments.keep,
            poll=arguments.poll,
        )
    except SettingsError as error:
        say(make_console(stderr=True), f"musictasks watch: {error}")
        return 2
    return _once(inbox, console) if arguments.once else _watch(inbox, console)


def _once(inbox: Inbox, console: Console) -> int:
    inbox.run_once()
    counts = inbox.counts
    parts = [f"{counts[What.DONE]} brought in"]
    parts += [f"{counts[What.REFUSED]} refused"] if counts[What.REFUSED] else []
    parts += [f"{counts[What.LATER]} put off"] if counts[What.LATER] else []
    parts += [f"{counts[What.COMING]} still coming in"] if counts[What.COMING] else []
    say(console, f"{', '.join(parts)}.")
    return 1 if counts[What.REFUSED] or counts[What.LATER] or counts[What.WAITING] else 0


def _watch(inbox: Inbox, console: Console) -> int:
    try:
        say(console, text("watching ", "dim"), near(inbox.root))
        say(console, text("Ctrl-C stops it; what was under way goes on at the next start", "dim"))
        inbox.watch()
    except KeyboardInterrupt:
        say(console, "stopped")
    return 0


@contextmanager
def _opened(settings: Settings) -> Iterator[MusicEngine]:
    engine = open_engine(settings)
    try:
        with engine:
            yield engine
    finally:
        engine.close()


def _tell(console: Console, news: News) -> None:
    mark, style = _MARKS[news.what]
    name = [text(news.name, "bold"), ": "] if news.name else []
    path = [" ", near(news.path)] if news.path is not None else []
    say(console, text(f"{mark} ", style), *name, news.text, *path)
