"""`musictasks scan`: what the Music Directory and the database do not have in common."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from attrs import frozen
from rich.console import Console
from rich.tree import Tree

from ..intake import Found, Watch, scanned, unfinished_scan
from ..music import MusicEngine, Settings
from ..statemachine import MusicTask
from .opening import open_engine
from .output import count, say, text


def run_scan(arguments: argparse.Namespace, settings: Settings, console: Console) -> int:
    watch = Watch(lambda _, message: say(console, f"{message}; trying again"))
    engine = open_engine(settings)
    try:
        watch.follow(engine)
        cut_off = unfinished_scan(engine)
        with engine:
            found = shown_scan(engine, None if arguments.json else console, cut_off)
    finally:
        engine.close()
    if arguments.json:
        print(json.dumps(found, indent=2).replace("\x7f", "\\u007f"))
    else:
        show(found, console)
    return 0


def shown_scan(engine: MusicEngine, console: Console | None, cut_off: MusicTask | None) -> Found:
    """What a scan finds (`scanned`); shows how far it is if the console is a terminal."""
    with ExitStack() as stack:
        if console is not None and console.is_terminal:
            status = stack.enter_context(console.status(text("reading the Music Directory")))
            stack.callback(engine.subscribe(_shower(status.update)))
        return scanned(engine, cut_off=cut_off)


def _shower(update: Callable[..., object]) -> Callable[[str, dict[str, Any]], None]:
    def show_progress(notification: str, status: dict[str, Any]) -> None:
        progress = ((status["task"] or {}).get("annotations") or {}).get("progress")
        if progress:
            line = text(f"{progress['done']} of {progress['total']}  {progress['path']}")
            line.no_wrap, line.overflow = True, "ellipsis"
            update(line)

    return show_progress


@frozen
class _Line:
    path: str
    note: str = ""


def show(found: Found, console: Console) -> None:
    """The result for a person: what was moved stands there, and not also as new and lost."""
    moved = {side: {pair[side] for pair in found["movedpaths"]} for side in ("new", "lost")}
    new = list(_directories_and_files(found["newpaths"], "filteredsongs", moved["new"]))
    lost = list(_directories_and_files(found["lostpaths"], "songs", moved["lost"]))
    sections = (
        ("New", "+", "green", new),
        ("Lost", "-", "red", lost),
        ("Moved", ">", "cyan", list(_moves(found["movedpaths"]))),
        ("Skipped", "!", "yellow", [_Line(s["path"], s["reason"]) for s in found["skippedpaths"]]),
    )
    for title, mark, style, lines in sections:
        if lines and console.is_terminal:
            _show_tree(console, title, style, lines)
        else:
            for line in lines:
                say(console, text(f"{mark} ", style), f"{line.path}  {line.note}".rstrip())
    say(console, _summary(found))
    for advice in _advice(bool(new), bool(lost), bool(found["movedpaths"])):
        say(console, advice)


def _directories_and_files(paths: Found, loose: str, moved: set[str]) -> Iterator[_Line]:
    """Albums with the number of their songs, then the songs and videos that lie in no such album.

    `loose`: the key of the songs that may lie in other albums.
    """
    albums = [album["path"] for album in paths["albums"]]
    all_songs = [song["path"] for song in paths["songs"]]
    songs = Counter(_above(path) for path in all_songs if path not in moved)
    of_moved = {_above(path) for path in all_songs if path in moved}
    lines = [
        _Line(album, count(songs[album], "song"))
        for album in albums
        if songs[album] or album not in of_moved
    ]
    whole = set(albums)
    files = [song["path"] for song in paths[loose] if _above(song["path"]) not in whole]
    files += [video["path"] for video in paths["videos"]]
    lines += [_Line(path) for path in files if path not in moved]
    holding = {path.partition("/")[0] for path in (*albums, *files)}
    lines += [_Line(a["path"]) for a in paths["artists"] if a["path"] not in holding]
    yield from sorted(lines, key=lambda line: line.path)


def _moves(pairs: Iterable[dict[str, Any]]) -> Iterator[_Line]:
    """From directory to directory; a file that got another name stands by itself."""
    together: Counter[tuple[str, str]] = Counter()
    retagged: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        lost, new = pair["lost"], pair["new"]
        if lost.rpartition("/")[2] == new.rpartition("/")[2]:
            together[_above(lost), _above(new)] += 1
            retagged[_above(lost), _above(new)] += bool(pair.get("changed"))
        else:
            yield _Line(lost, f"\u2192 {new}" + ("  (other tags)" if pair.get("changed") else ""))
    for (lost, new), number in together.items():
        changed = retagged[lost, new]
        note = f", {changed} with other tags" if changed else ""
        yield _Line(lost, f"\u2192 {new}  ({count(number, 'file')}{note})")


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _show_tree(console: Console, title: str, style: str, lines: Iterable[_Line]) -> None:
    tree = Tree(text(title, f"bold {style}"), guide_style="dim")
    branches: dict[str, Tree] = {}
    for line in lines:
        artist, _, rest = line.path.partition("/")
        if artist not in branches:
            branches[artist] = tree.add(text(artist, "bold"))
        if rest or line.note:
            branches[artist].add(text(rest or artist) + text(f"  {line.note}".rstrip(), "dim"))
    console.print(tree)


def _summary(found: Found) -> str:
    """New and lost as they are counted in the annotations."""
    new, lost = found["newpaths"], found["lostpaths"]
    parts = [
        f"new: {_counts(new)}" + _of_known_albums(len(new["filteredsongs"])),
        f"lost: {_counts(lost)}",
        f"moved: {count(len(found['movedpaths']), 'file') if found['movedpaths'] else 'nothing'}",
        f"skipped: {len(found['skippedpaths']) or 'nothing'}",
    ]
    return f"{'; '.join(parts)}."


def _counts(paths: Found) -> str:
    kinds = ("artist", "album", "song", "video")
    counts = (count(len(paths[f"{kind}s"]), kind) for kind in kinds if paths[f"{kind}s"])
    return ", ".join(counts) or "nothing"


def _of_known_albums(number: int) -> str:
    return f" ({number} of them in albums that are in the database)" if number else ""


def _advice(new: bool, lost: bool, moved: bool) -> Iterator[str]:
    if new:
        yield "New: `musictasks import --new` imports it all, `musictasks import PATH` one album."
    if lost:
        yield (
            "Lost: put it back and scan again, or delete it in MusicDB; musictasks deletes nothing "
            "from the database."
        )
    if moved:
        yield (
            "Moved: the database still has the old paths. Move the files back, or import the new "
            "paths; likes and tags stay with the old ones."
        )
    if not (new or lost or moved):
        yield "The database has what is in the Music Directory, and nothing else."
