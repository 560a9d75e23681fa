"""A real process that empties an inbox is killed; the next one ends as if nothing had been."""

from __future__ import annotations

import hashlib
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from archivekit import make_zip
from clikit import copy_album, retag
from killkit import EFFECT, LEAVING, Moment
from killlibraries import lies, snapshot
from killyard import Death, Errand, Undisturbed, Yard, side_by_side
from musictasks.music import Settings, open_library


def make_inbox(directory: Path) -> None:
    """An album, one of which a part is refused, an archive, a broken one, and a lonely booklet."""
    inbox = directory / "inbox"
    copy_album(inbox / "Album")
    half = copy_album(inbox / "Half" / "CD1", "01 Morgenroete.flac").parent
    retag(half / "CD1" / "01 Morgenroete.flac", album="Half", title="Whole")
    (half / "CD1" / "noise.ogg").write_bytes(b"noise")
    (half / ".hidden").write_bytes(b"hidden")
    song = copy_album(directory / "zipped", "02 Ebbe-Flut.mp3") / "02 Ebbe-Flut.mp3"
    retag(song, album="Zipped")
    (inbox / "Zipped.zip").write_bytes(make_zip({"Zipped/song.mp3": song.read_bytes()}))
    (inbox / "broken.zip").write_bytes(b"broken")
    (inbox / "lonely.pdf").write_bytes(b"lonely")


WATCH = Errand("watch", prepare=make_inbox)
#: What is left of the inbox; texts are the reasons.
LEFT = {
    "refused/Half.txt",
    "refused/Half/.hidden",
    "refused/Half/CD1/noise.ogg",
    "refused/broken.zip",
    "refused/broken.zip.txt",
    "refused/lonely.pdf",
    "refused/lonely.pdf.txt",
}


@pytest.fixture(scope="module")
def undisturbed(yard: Yard) -> Undisturbed:
    found = yard.undisturbed(WATCH)
    prefix = "inbox/"
    left = {name.removeprefix(prefix) for name in found.library if name.startswith(prefix)}
    assert {name for name in left if isinstance(found.library[prefix + name], tuple)} == LEFT
    assert len(found.library["rows"]["songs"]) == 5
    assert found.counts[f"{EFFECT} {LEAVING}"] > 100
    return found


def contents(*directories: Path) -> set[str]:
    files = (path for one in directories for path in one.rglob("*") if path.is_file())
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def killed_at(yard: Yard, undisturbed: Undisturbed, *moments: Moment) -> list[Death]:
    """As `Yard.killed_at`; whatever was in the inbox is after each kill there, or in the music."""
    inbox = undisturbed.template.with_name("inbox")
    archive = hashlib.sha256((inbox / "Zipped.zip").read_bytes()).hexdigest()
    before = contents(inbox) - {archive}
    config = yard.new_library(undisturbed)
    deaths = []
    for moment in moments:
        deaths.append(yard.kill(undisturbed, config, moment))
        now = contents(config.with_name("inbox"), config.with_name("music"))
        assert before <= now, f"{moment}: something is lost"
        unpacked = any(config.with_name("music").rglob("02 Ebbe*"))
        assert archive in now or unpacked, f"{moment}: the archive is lost"
    ended = yard.run(WATCH, config)
    assert ended.returncode == 0, ended.output
    if config.with_name("data").joinpath("tasks.owner.json").exists():
        # It was killed as it closed: nothing was to be done any more, so no library was opened.
        open_library(Settings.from_file(config)).close()
    assert lies(config.parent) == []
    found, wanted = without_ids(snapshot(config.parent)), without_ids(undisturbed.library)
    assert {name: found.get(name) for name in found.keys() | wanted.keys()} == wanted
    shutil.rmtree(config.parent)
    return deaths


def without_ids(library: dict[str, Any]) -> dict[str, Any]:
    """Albums side by side come into the database in any order; keys of rows tell only of that."""
    keys = {"artists": 1, "albums": 2, "songs": 3, "lyrics": 1}
    rows = {
        table: sorted(row[keys.get(table, 0) :] for row in rows)
        for table, rows in library["rows"].items()
    }
    return library | {"rows": rows}


def test_an_inbox_that_was_killed_anywhere_ends_as_if_it_was_not(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """At each moment nothing is lost; the next run leaves the same library and the same inbox."""
    moments = undisturbed.spread(effect=4) + undisturbed.spread(LEAVING, effect=8, torn=4)
    deaths = side_by_side(killed_at, [(yard, undisturbed, moment) for moment in moments])
    assert sum(death.killed for (death,) in deaths) >= len(moments) * 0.9


@pytest.mark.long
def test_an_inbox_that_was_killed_twice_ends_as_if_it_was_not(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """At moments at which something leaves, and many others; then in the run that mends it."""
    chance = random.Random(2020)
    leaving = undisturbed.spread(LEAVING, effect=90, torn=50)
    moments = leaving + undisturbed.spread(effect=40, told=15, working=15, statement=10)
    again = [*undisturbed.spread(effect=30), *leaving[::4]]
    plans = [(yard, undisturbed, moment, chance.choice(again)) for moment in moments]
    pairs = side_by_side(killed_at, plans)
    assert sum(first.killed for first, _ in pairs) >= len(plans) * 0.9
