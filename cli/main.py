"""`musictasks`: what it was asked for, done; what went wrong, said."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from ..errors import MusicTasksError, NoLibrary
from ..music import Settings
from . import changing, demo, inspecting
from .add import run_add
from .arguments import make_parser
from .diagram import run_diagram
from .importing import run_import
from .output import make_console, say, text
from .scanning import run_scan

_DEMO_LIBRARY = Path("demo-library")
#: Small, so that the demo's small files come in several chunks.
_DEMO_CHUNK_SIZE_BYTES = 16 * 1024

_Command = Callable[[argparse.Namespace, Settings, Console], int]
COMMANDS: dict[str, _Command] = {
    "add": run_add,
    "scan": run_scan,
    "import": run_import,
    "tasks": inspecting.run_tasks,
    "show": inspecting.run_show,
    "check": inspecting.run_check,
    "remove": changing.run_remove,
    "retry": changing.run_retry,
    "demo": demo.run_demo,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A name that the terminal's encoding lacks is shown as escapes, instead of an error.
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    arguments = make_parser().parse_args(argv)
    console, complaints = make_console(), make_console(stderr=True)
    log, handler = logging.getLogger("musictasks"), _Complaints(complaints)
    log.addHandler(handler)
    try:
        if arguments.command == "diagram":  # of the declaration: it needs no library
            return run_diagram(arguments, console)
        return COMMANDS[arguments.command](arguments, _settings(arguments), console)
    except (MusicTasksError, OSError) as error:
        if str(error) not in handler.said:
            say(complaints, text("musictasks: ", "bold"), error)
        return 1
    except KeyboardInterrupt:
        goes_on = arguments.command in {"add", "import"}
        again = " The same command again goes on where it was." if goes_on else ""
        say(complaints, f"musictasks: interrupted.{again}")
        return 130
    finally:
        log.removeHandler(handler)


def _settings(arguments: argparse.Namespace) -> Settings:
    """The settings of the library that is meant.

    Only where it was named is a new library made: to add to it, or for music that is there.
    """
    chosen = {"chunk_size": _DEMO_CHUNK_SIZE_BYTES} if arguments.command == "demo" else {}
    if arguments.config is not None:
        settings = Settings.from_file(arguments.config, **chosen)
    elif arguments.library is None and arguments.command == "demo":
        settings = Settings.in_directory(_DEMO_LIBRARY, **chosen)
    else:
        settings = Settings.in_directory(arguments.library or Path.cwd(), **chosen)
    named = arguments.library is not None or arguments.config is not None
    music = arguments.command in {"scan", "import"} and settings.music.is_dir()
    makes = arguments.command == "demo" or (named and (arguments.command == "add" or music))
    if not makes and not settings.data.is_dir():
        raise NoLibrary(str(arguments.library or arguments.config or Path.cwd()))
    return settings


class _Complaints(logging.Handler):
    """The log's warnings, as safe to print as all else."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console
        #: So that an error that was logged already is not said again.
        self.said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = self.format(record)
        self.said.add(message)
        say(self._console, text(message, "yellow"))
