"""`musictasks`: what it was asked for, done; what went wrong, said."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from ..errors import MusicTasksError, NoLibrary
from .arguments import contradiction, make_parser

if TYPE_CHECKING:
    from rich.console import Console

    from ..music import Settings

_DEMO_LIBRARY = Path("demo-library")
#: Small, so that the demo's small files come in several chunks.
_DEMO_CHUNK_SIZE_BYTES = 16 * 1024

#: What runs each command; imported when it is asked for, so that a word of help costs no database.
COMMANDS = {
    "add": "add:run_add",
    "scan": "scanning:run_scan",
    "import": "importing:run_import",
    "tasks": "inspecting:run_tasks",
    "show": "inspecting:run_show",
    "check": "inspecting:run_check",
    "verify": "verifying:run_verify",
    "remove": "changing:run_remove",
    "retry": "changing:run_retry",
    "watch": "watch:run_watch",
    "serve": "serve:run_serve",
    "compare": "comparing:run_compare",
    "demo": "demo:run_demo",
    "diagram": "diagram:run_diagram",
    "completion": "completion:run_completion",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A name that the terminal's encoding lacks is shown as escapes, instead of an error.
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if (reason := contradiction(arguments)) is not None:
        parser.error(reason)
    return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from .output import make_console, say, text

    console, complaints = make_console(), make_console(stderr=True)
    log, handler = logging.getLogger("musictasks"), _Complaints(complaints)
    log.addHandler(handler)
    try:
        run = resolve_name(f"{__package__}.{COMMANDS[arguments.command]}")
        if arguments.command in {"compare", "completion", "diagram"}:  # they need no library
            return run(arguments, console)
        if getattr(arguments, "task_files", None) is not None:  # of no library
            return run(arguments, None, console)
        return run(arguments, _settings(arguments), console)
    except (MusicTasksError, OSError) as error:
        if str(error) not in handler.said:
            say(complaints, text("musictasks: ", "bold"), error)
        return 1
    except KeyboardInterrupt:
        goes_on = arguments.command in {"add", "import", "verify", "watch"}
        again = " The same command again goes on where it was." if goes_on else ""
        say(complaints, f"musictasks: interrupted.{again}")
        return 130
    finally:
        log.removeHandler(handler)


def _settings(arguments: argparse.Namespace) -> Settings:
    """The settings of the library that is meant.

    Only where it was named is a new library made: to add to it, also from an inbox, to serve it, or
    for music that is there.
    """
    from ..music import Settings

    chosen = {"chunk_size": _DEMO_CHUNK_SIZE_BYTES} if arguments.command == "demo" else {}
    if arguments.config is not None:
        settings = Settings.from_file(arguments.config, **chosen)
    elif arguments.library is None and arguments.command == "demo":
        settings = Settings.in_directory(_DEMO_LIBRARY, **chosen)
    else:
        settings = Settings.in_directory(arguments.library or Path.cwd(), **chosen)
    named = arguments.library is not None or arguments.config is not None
    music = arguments.command in {"scan", "import", "verify"} and settings.music.is_dir()
    makes = arguments.command == "demo" or (
        named and (arguments.command in {"add", "serve", "watch"} or music)
    )
    elsewhere = arguments.command == "add" and arguments.server is not None
    if not makes and not elsewhere and not settings.data.is_dir():
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
        from .output import say, text

        say(self._console, text(message, "yellow"))
