"""What the processes do that are killed: each goes on with whatever the one before it left.

A program is called with the path of the `musicdb.ini` and its own arguments; it returns the exit
status.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import killtasks
from musictasks.cli import main
from musictasks.library import scan_cache, verifying
from musictasks.music import MusicEngine, Settings, open_library
from musictasks.statemachine import MusicTask

#: Longer than any step takes; only broken code meets it.
_PATIENCE_S = 30
#: Where `scan` writes what it found.
FOUND = "found.json"


def add(config: Path, *sources: str) -> int:
    """The command line's `add`."""
    return main(["add", *sources, "--config", str(config)])


def watch(config: Path) -> int:
    """The command line's `watch`, of the inbox beside the config, once; it refuses something."""
    inbox = str(config.with_name("inbox"))
    status = main(["watch", inbox, "--once", "--settle", "0", "--config", str(config)])
    # An earlier one, which was killed, may have refused it.
    return status if status > 1 else 0


def verify(config: Path) -> int:
    """The command line's `verify`, which finds something."""
    return _verify(config) - 1


def verify_anew(config: Path) -> int:
    """It forgets what was known."""
    return _verify(config, "--anew")


def accept(config: Path, path: str) -> int:
    """What is there is right."""
    return _verify(config, path, "--accept")


def _verify(config: Path, *arguments: str) -> int:
    # So that it takes down what it has read several times.
    verifying._FLUSH_FILES = 2
    return main(["verify", *arguments, "--config", str(config)])


def upload(config: Path, content_type: str, name: str, target: str) -> int:
    """A file beside the config goes to its target, and into the database with artwork."""
    settings, data = Settings.from_file(config), config.with_name(name).read_bytes()
    checksum = hashlib.sha1(data).hexdigest()
    with open_library(settings) as engine:
        task = _earlier(engine, lambda task: task.source_checksum == checksum)
        task = task or engine.begin_upload(
            content_type=content_type,
            file_size=len(data),
            checksum=checksum,
            source_filename=name,
        )
        if task.state == "waitforchunk":
            for at in range(task.offset or 0, len(data), settings.chunk_size):
                engine.receive_chunk(task.id, data[at : at + settings.chunk_size], offset=at)
        ready = engine.wait(task.id, {"readyforintegration", "importcomplete"}, _PATIENCE_S)
        if ready.state == "readyforintegration":
            engine.integrate(task.id, target, then_import=True, then_artwork=True)
        engine.wait(task.id, "importcomplete", _PATIENCE_S)
        _remove(engine, task)
    return 0


def scan(config: Path) -> int:
    """What a scan finds is written into a file beside the config."""
    # So that a small library's checksums are written down several times, not at the end alone.
    scan_cache._FLUSH_FILES = 2
    with open_library(Settings.from_file(config)) as engine:
        task = _earlier(engine, lambda task: task.content_type == "any") or engine.scan()
        done = engine.wait(task.id, "fsscancomplete", _PATIENCE_S)
        config.with_name(FOUND).write_text(json.dumps(done.annotations, sort_keys=True))
        _remove(engine, task)
    return 0


def _earlier(engine: MusicEngine, is_ours: Callable[[MusicTask], bool]) -> MusicTask | None:
    """The task that an earlier process began and did not end; one in `remove` goes by itself."""
    found = (task for task in engine.tasks() if is_ours(task) and task.state != "remove")
    return next(found, None)


def _remove(engine: MusicEngine, task: MusicTask) -> None:
    engine.remove(task.id)
    engine.wait(task.id, "notexisting", _PATIENCE_S)


PROGRAMS: dict[str, Callable[..., int]] = {
    program.__name__: program
    for program in (add, watch, verify, verify_anew, accept, upload, scan, *killtasks.PROGRAMS)
}
