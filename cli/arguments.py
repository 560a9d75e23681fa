"""The commands and their options."""

from __future__ import annotations

import argparse
import pkgutil
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from musictasks import __version__

from .printable import printable

_DESCRIPTION = """\
Brings albums into a music library, one task for each file. Every step is stored: whatever stops
the program, the same command again goes on where it was.
"""
_EPILOG = """\
exit status: 0 everything asked for was done; 1 something was not, and the output says what;
2 wrong usage; 130 interrupted
"""


class Parser(argparse.ArgumentParser):
    """Repeats nothing of the command line to the terminal that could steer it."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def make_parser() -> Parser:
    parser = Parser(prog="musictasks", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"musictasks {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = _command_maker(commands)

    add = command("add", "bring files and folders with music into the library")
    add.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a file or a folder; an album as zip or tar; a video",
    )
    add.add_argument("--artist", type=_name, help="instead of the artist in the tags")
    add.add_argument("--album", type=_name, help="instead of the album in the tags")
    add.add_argument("--year", type=_year, help="instead of the year in the tags")
    add.add_argument("--name", type=_name, help="of a music video, instead of its file's name")
    add.add_argument(
        "-n", "--dry-run", action="store_true", help="only show what would go where, or not at all"
    )
    add.add_argument(
        "--server", type=_server, metavar="URL", help="into the library of a server elsewhere"
    )
    add.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="holds the server's token (default: $MUSICTASKS_TOKEN)",
    )
    scan = command("scan", "compare the Music Directory with the database")
    scan.add_argument("--json", action="store_true", help="as the annotations of the scan's task")
    bring = command("import", "bring what is in the Music Directory already into the database")
    bring.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="an artist, an album or a video"
    )
    bring.add_argument("--new", action="store_true", help="all that a scan finds")
    verify = command("verify", "read the music again: is it still what was placed there?")
    verify.add_argument(
        "path",
        nargs="?",
        type=Path,
        metavar="PATH",
        help="an artist, an album or a file (default: all, those first that were read longest ago)",
    )
    how = verify.add_mutually_exclusive_group()
    how.add_argument(
        "--accept",
        action="store_true",
        help="what is at PATH now is right, and what is lost there is forgotten",
    )
    how.add_argument(
        "--anew", action="store_true", help="forget all that is known, and begin with what is there"
    )
    verify.add_argument(
        "--budget",
        type=_duration,
        metavar="TIME",
        help="end after so long, 30m or 1h30m; the next time goes on",
    )
    verify.add_argument("--json", action="store_true", help="what was found, as JSON")
    tasks = command("tasks", "list the tasks")
    tasks.add_argument("--json", action="store_true", help="as MusicDB's task dictionaries")
    show = command("show", "show a task and its history")
    show.add_argument("id", metavar="ID", help="the id of a task")
    show.add_argument(
        "--diagram", type=Path, metavar="FILE", help="draw its way, too: .svg, .png, .mmd or .dot"
    )
    for name, about in (
        ("remove", "remove a task and its uploaded data; the library keeps what it has"),
        ("retry", "try again what failed"),
    ):
        command(name, about).add_argument("id", metavar="ID", help="the id of a task")
    add_check_arguments(
        command(
            "check", "list what is to be repaired: task files, upload data without a task, bitrates"
        )
    )
    add_watch_arguments(
        command("watch", "bring in what is put into a directory, as soon as it stands still")
    )
    add_serve_arguments(command("serve", "open the door: the page, uploads, and the API"))
    compare = commands.add_parser("compare", help="say what is different between two lifecycles")
    add_compare_arguments(compare)
    diagram = commands.add_parser("diagram", help="draw the lifecycle of tasks, or a part of it")
    add_diagram_arguments(diagram)
    completion = commands.add_parser(
        "completion", help="print what makes a shell complete commands, options and files"
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell")
    command("demo", "add a small album that comes with the program, and show what came of it")
    return parser


def _command_maker(commands: Any) -> Callable[[str, str], argparse.ArgumentParser]:
    def make(name: str, about: str) -> argparse.ArgumentParser:
        parser = commands.add_parser(name, help=about, description=f"{about}.".capitalize())
        where = parser.add_mutually_exclusive_group()
        where.add_argument(
            "--library",
            type=Path,
            metavar="DIR",
            help="the library: DIR/music and DIR/data (default: the current directory"
            + ("'s demo-library)" if name == "demo" else ", if it is one)"),
        )
        where.add_argument(
            "--config", type=Path, metavar="FILE", help="MusicDB's musicdb.ini, in its place"
        )
        if name == "check":
            where.add_argument(
                "--tasks",
                type=Path,
                dest="task_files",
                metavar="DIR",
                help="with --lifecycle: the task files of another program than a music library",
            )
        return parser

    return make


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty")
    return text.strip()


def _duration(text: str) -> float:
    """In seconds: of "90s", "30m", "1h30m"; a number alone is seconds."""
    match = re.fullmatch(r"(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s?)?", text, re.ASCII)
    if not text or match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 90s, 30m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600.0 * hours + 60 * minutes + seconds


def _year(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 9999):
        raise argparse.ArgumentTypeError(f"{text!r} is not a year")
    return int(text)


def add_watch_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="the inbox")
    parser.add_argument(
        "--once", action="store_true", help="bring in what is there and stands still, then end"
    )
    parser.add_argument(
        "--settle",
        type=_duration,
        default=10.0,
        metavar="TIME",
        help="how long nothing of an entry may change until it is taken: 10, 90s, 5m (default: 10)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave in the inbox what was brought in or refused"
    )
    parser.add_argument(
        "--poll",
        action="store_true",
        help="look at all files every two seconds: for a directory that another machine writes to",
    )


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="ADDRESS", help="to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, help="(default: 8080; 0: a free one)")
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="who knows what stands in it gets in (default: the variable MUSICTASKS_TOKEN)",
    )
    parser.add_argument(
        "--host-name",
        action="append",
        metavar="NAME",
        help="another name by which clients may call it; may be repeated, as the next two",
    )
    parser.add_argument(
        "--origin", action="append", metavar="URL", help="whose pages may use the API"
    )
    parser.add_argument(
        "--trusted-proxy",
        action="append",
        metavar="ADDRESS",
        help="whose Forwarded and X-Forwarded-* count",
    )
    parser.add_argument("--cert", type=Path, metavar="FILE", help="a certificate: serve TLS")
    parser.add_argument("--key", type=Path, metavar="FILE", help="its key, if in another file")


def _server(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(f"{text!r} is no address like https://music.example")
    return text


def _port(text: str) -> int:
    from .serve import port

    try:
        return port(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lifecycle",
        type=_lifecycle,
        metavar="MODULE:NAME",
        help="instead, say what this lifecycle would make of every stored task",
    )
    parser.add_argument(
        "--upgrade",
        type=_function,
        metavar="MODULE:NAME",
        help="with --lifecycle: what brings the content of older task files up to date",
    )
    parser.add_argument("--json", action="store_true", help="with --lifecycle: for programs")


def contradiction(arguments: argparse.Namespace) -> str | None:
    """What of the options does not go together, beyond what the parser says."""
    if arguments.command == "check" and arguments.lifecycle is None:
        for option in ("task_files", "upgrade", "json"):
            if getattr(arguments, option):
                return f"--{option.replace('task_files', 'tasks')} goes with --lifecycle"
    return None


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "old", type=_lifecycle, metavar="OLD", help="MODULE:NAME of the lifecycle as it was"
    )
    parser.add_argument(
        "new",
        nargs="?",
        type=_lifecycle,
        default="musictasks.statemachine:MUSIC",
        metavar="NEW",
        help="as it is (default: the music lifecycle)",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--diagram", type=Path, metavar="FILE", help="draw it, too: .svg, .png, .mmd, .dot or .md"
    )


def add_diagram_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="where to write; its extension says the format (default: print)",
    )
    parser.add_argument(
        "--lifecycle",
        type=_lifecycle,
        default="musictasks.statemachine:MUSIC",
        metavar="MODULE:NAME",
        help="another than the music lifecycle, for example mypackage.tasks:MINE",
    )
    parser.add_argument(
        "--format",
        type=_format,
        metavar="FORMAT",
        help="svg, png, dot, mermaid, markdown or json (default when printing: mermaid)",
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--only", metavar="NAME", help="one group or stage, and its neighbours")
    part.add_argument(
        "--overview", action="store_true", help="each stage as one box, without failures"
    )
    part.add_argument(
        "--compare",
        type=_lifecycle,
        metavar="MODULE:NAME",
        help="what came, went and changed since this lifecycle",
    )


def _lifecycle(name: str) -> Any:
    """The lifecycle that an integrator declared, from wherever Python finds modules."""
    from ..statemachine import Lifecycle

    found = _resolved(name)
    if not isinstance(found, Lifecycle):
        raise argparse.ArgumentTypeError(f"{name} is no Lifecycle")
    return found


def _function(name: str) -> Any:
    found = _resolved(name)
    if not callable(found):
        raise argparse.ArgumentTypeError(f"{name} is no function")
    return found


def _resolved(name: str) -> Any:
    # What a program of this name finds that `python -m` would: modules of the current directory.
    sys.path.insert(0, str(Path.cwd()))
    try:
        return pkgutil.resolve_name(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise argparse.ArgumentTypeError(f"cannot be found: {error}") from None
    finally:
        sys.path.pop(0)


def _format(name: str) -> str:
    from ..diagrams import FORMATS

    if name not in FORMATS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(FORMATS)}")
    return name
