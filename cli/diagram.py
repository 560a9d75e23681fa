"""`musictasks diagram`, and the picture of `musictasks show ID --diagram FILE`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from ..diagrams import draw, write
from ..errors import DiagramError
from ..statemachine import MUSIC, MusicTask
from .output import say


def run_diagram(arguments: argparse.Namespace, console: Console) -> int:
    """Needs no library: the picture is of the lifecycle, not of any task."""
    choice = {
        "only": arguments.only,
        "overview": arguments.overview,
        "compare": arguments.compare,
    }
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
