"""`musictasks diagram`, and the picture of `musictasks show ID --diagram FILE`."""

from __future__ import annotations

import argparse
import pkgutil
import sys
from pathlib import Path

from rich.console import Console

from ..diagrams import FORMATS, draw, write
from ..errors import DiagramError
from ..statemachine import MUSIC, Lifecycle, MusicTask
from .output import say


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
        default=MUSIC,
        metavar="MODULE:NAME",
        help="another than the music lifecycle, for example mypackage.tasks:MINE",
    )
    parser.add_argument("--format", choices=FORMATS, help="(default when printing: mermaid)")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--only", metavar="NAME", help="one group or stage, and its neighbours")
    part.add_argument(
        "--overview", action="store_true", help="each stage as one box, without failures"
    )


def _lifecycle(name: str) -> Lifecycle:
    """The lifecycle that an integrator declared, from wherever Python finds modules."""
    # What a program of this name finds that `python -m` would: modules of the current directory.
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = pkgutil.resolve_name(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise argparse.ArgumentTypeError(f"cannot be found: {error}") from None
    finally:
        sys.path.pop(0)
    if not isinstance(found, Lifecycle):
        raise argparse.ArgumentTypeError(f"{name} is no Lifecycle")
    return found


def run_diagram(arguments: argparse.Namespace, console: Console) -> int:
    """Needs no library: the picture is of the lifecycle, not of any task."""
    choice = {"only": arguments.only, "overview": arguments.overview}
    if arguments.file is not None:
        write(arguments.lifecycle, arguments.file, arguments.format, **choice)
        say(console, arguments.file)
        return 0
    chosen = arguments.format or "mermaid"
    if chosen == "png" and sys.stdout.isatty():
        raise DiagramError("a PNG is nothing for a terminal: name a file")
    drawn = draw(arguments.lifecycle, chosen, **choice)
    sys.stdout.flush()
    sys.stdout.buffer.write(drawn.encode() if isinstance(drawn, str) else drawn)
    sys.stdout.buffer.flush()
    return 0


def draw_task(task: MusicTask, path: Path, console: Console) -> None:
    """Writes the picture of a task's walk, in the format of the path's extension."""
    write(MUSIC, path, task=task)
    say(console, path)
