"""`musictasks demo`: the main job on a small real album, and what came of it."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from rich import box
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ..intake import Plan, Report, Result, Shelf, Watch, plan
from ..library import DEFAULT_ARTWORK, sample_album
from ..music import Settings
from .add import carry_out
from .display import Display
from .output import bytes_text, count, near, say, text

#: A pause after each step, so that a person can follow.
_PACE_S = 0.03


def run_demo(arguments: argparse.Namespace, settings: Settings, console: Console) -> int:
    # File by file, as an installation may make links of them.
    sample = sorted(sample_album().iterdir())
    planned = plan([path for path in sample if path.name not in settings.ignore_songs], settings)
    size = bytes_text(sum(file.size_bytes for file in planned.files))
    files = f"{count(len(planned.files), 'file')}, {size}"
    _title(console, "One album on its way into the library")
    say(console, text(f"from the sample album that comes with it ({files})", "dim"))
    console.print()
    if not planned.files:
        _show_refusals(console, planned)
        return 1
    display = Display(console, _PACE_S if console.is_terminal else 0)
    watch = Watch(display.trouble)
    report = carry_out(planned, settings, display, watch)
    _show_refusals(console, planned)
    _show_ways(console, report, watch.ways)
    _show_tree(console, settings)
    _show_database(console, settings)
    _show_artwork(console, settings)
    _show_places(console, settings)
    console.print()
    say(console, text(_conclusion(report), "bold"))
    return 0 if report.succeeded and not planned.refusals else 1


def _show_refusals(console: Console, plan: Plan) -> None:
    for refusal in plan.refusals:
        say(console, text(f"  ! {refusal.source}: {refusal.reason}", "red"))


def _title(console: Console, title: str) -> None:
    console.print()
    console.print(Rule(Text(title, "bold"), align="left", style="dim"))


def _conclusion(report: Report) -> str:
    if not report.succeeded:
        return "Not everything could be done; the reasons are above."
    if all(one.result is Result.THERE for one in (*report.files, *report.imports)):
        return "Everything is there already: nothing was changed."
    return "Done. Run it again: it says what is there already, and changes nothing."


def _show_ways(console: Console, report: Report, ways: dict[str, list[str]]) -> None:
    """The states of each task; tasks that went the same way together."""
    named = [(file.task_ids, file.name) for file in report.files]
    named += [(one.task_ids, one.path) for one in report.imports]
    shown = [(ways.get(task_id, []), name) for task_ids, name in named for task_id in task_ids]
    if not shown:
        return
    _title(console, "The states that each task went through")
    shown.sort(key=lambda pair: pair[0][:1], reverse=True)
    for way, pairs in itertools.groupby(shown, key=lambda pair: pair[0]):
        for _, name in pairs:
            say(console, text(name, "bold"))
        console.print(_arrows(way))


def _arrows(way: Iterable[str]) -> Table:
    """The states, folded between them and never inside of one."""
    line = Text(" \u2192 ", "dim").join(Text(state.replace(" ", "\u00a0"), "cyan") for state in way)
    table = Table.grid(padding=(0, 2))
    table.add_row("", line)
    return table


def _show_tree(console: Console, settings: Settings) -> None:
    _title(console, "The Music Directory")
    tree = Tree(text(f"{settings.music.name}/", "bold"), guide_style="dim")
    _grow(tree, settings.music)
    console.print(tree)


def _grow(tree: Tree, directory: Path) -> None:
    for path in sorted(directory.iterdir(), key=lambda path: path.name):
        if path.is_dir():
            _grow(tree.add(text(f"{path.name}/", "bold")), path)
        else:
            tree.add(text(path.name) + text(f"  {bytes_text(path.stat().st_size)}", "dim"))


def _show_database(console: Console, settings: Settings) -> None:
    _title(console, f"The database {settings.database.name}")
    database = Shelf(settings).database
    artists, albums, songs = database.artists(), database.albums(), database.songs()
    names = {row["artistid"]: row["name"] for row in artists}
    console.print(
        _table("artists", [{"id": row["artistid"], "name": row["name"]} for row in artists])
    )
    console.print(_table("albums", [_album_row(row, names) for row in albums]))
    console.print(_table("songs", [_song_row(row) for row in songs]))


def _album_row(row: dict[str, Any], artists: dict[int, str]) -> dict[str, object]:
    return {
        "id": row["albumid"],
        "name": row["name"],
        "artist": artists[row["artistid"]],
        "release": row["release"],
        "songs": row["numofsongs"],
        "discs": row["numofcds"],
        "origin": row["origin"],
    }


def _song_row(row: dict[str, Any]) -> dict[str, object]:
    return {
        "id": row["songid"],
        "cd": row["cd"],
        "no": row["number"],
        "name": row["name"],
        "time": _time(row["playtime"]),
        "kbit/s": round(row["bitrate"] / 1000),
        "lyrics": "yes" if row["lyricsstate"] else "no",
        "checksum": f"{row['checksum'][:12]}\u2026",
    }


def _time(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02}"


def _table(title: str, rows: list[dict[str, object]]) -> Table:
    table = Table(box=box.ROUNDED, title=Text(title, "bold"), title_justify="left")
    table.border_style = "dim"
    for name, value in (rows[0] if rows else {}).items():
        table.add_column(text(name, "dim"), justify="right" if isinstance(value, int) else "left")
    for row in rows:
        table.add_row(*map(text, row.values()))
    return table


def _show_artwork(console: Console, settings: Settings) -> None:
    shelf = Shelf(settings)
    for album in shelf.database.albums():
        if album["artworkpath"] == DEFAULT_ARTWORK:
            continue
        _title(console, f"The artwork {album['artworkpath']}")
        for path in shelf.artwork_files(album):
            if path.is_file():
                where = path.parent.relative_to(settings.artwork)
                kind = "full size" if where == Path() else f"in {where}/"
                size = bytes_text(path.stat().st_size)
                say(console, f"{_edges(path):>11} px  {size:>9}  ", text(kind, "dim"))


def _edges(path: Path) -> str:
    with Image.open(path) as image:
        return f"{image.width} \u00d7 {image.height}"


def _show_places(console: Console, settings: Settings) -> None:
    _title(console, "Where it lies")
    for name, path in _places(settings):
        say(console, text(f"{name:<16}", "dim"), near(path))


def _places(settings: Settings) -> Iterator[tuple[str, Path]]:
    yield "Music Directory", settings.music
    yield "database", settings.database
    yield "artwork", settings.artwork
    yield "tasks", settings.tasks
    yield "uploads", settings.uploads
