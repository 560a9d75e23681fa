"""A real process that scans the Music Directory is killed; what the next one finds is right."""

from __future__ import annotations

import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from killkit import EFFECT, STATEMENT, STEP, TOLD, TORN, WORKING, Moment
from killlibraries import CACHE, cached
from killprograms import FOUND
from killyard import Errand, Undisturbed, Yard, may_trace, side_by_side
from scankit import Shelf

KNOWN = "Artist/2000 - Known"
MOVED = "Artist/2001 - Moved"
NEW = "Newcomer/2020 - New"
#: Two new files that only their inodes tell from each other, and their bytes.
TWINS = (f"{NEW}/01 Anna.mp3", f"{NEW}/02 Otto.mp3")
#: Of several blocks.
LARGE = f"{NEW}/03 Large.mp3"
SCANNING = "scanningfs"
IN_CACHE = f"{SCANNING} {CACHE}"
#: Called before each file is hashed, and after each of its blocks.
IN_HASHING = f"{SCANNING} step"


def make_library(directory: Path) -> None:
    """New, known, lost and moved songs, and a new video."""
    shelf = Shelf(directory).prepare()
    _, gone, moved = shelf.import_album(KNOWN, "01 Kept.mp3", "02 Gone.mp3", "03 Moved.mp3")
    shelf.path(MOVED).mkdir()
    shelf.path(moved).rename(shelf.path(f"{MOVED}/01 Moved.mp3"))
    shelf.path(gone).unlink()
    shelf.put(*TWINS, *(f"{NEW}/{number:02} More.mp3" for number in range(4, 8)))
    for path in TWINS:
        os.utime(shelf.path(path), (1_600_000_000, 1_600_000_000))
    shelf.path(LARGE).write_bytes(os.urandom(3 * 1024 * 1024 + 1))
    shelf.path("Newcomer/2021 - Video.mp4").write_bytes(b"no frames, but a name")


SCAN = Errand("scan", prepare=make_library)
#: What stands in the scan's result, and may not in another.
CHECKSUMS = 9


@pytest.fixture(scope="module")
def undisturbed(yard: Yard) -> Undisturbed:
    found = yard.undisturbed(SCAN)
    assert len(found.library["cached"]) == CHECKSUMS
    # It is written down several times.
    assert found.counts[f"{STATEMENT} {IN_CACHE}"] > 3 * CHECKSUMS
    assert found.counts[f"{WORKING} {IN_HASHING}"] > CHECKSUMS
    return found


def test_a_scan_that_was_killed_anywhere_finds_the_same(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """Killed in saves, in reading, in hashing and in writing its cache: the result is the same."""
    moments = [
        *undisturbed.spread(effect=6, torn=4, told=10),
        *undisturbed.spread(SCANNING, working=6, statement=3, step=2),
        *undisturbed.spread(IN_HASHING, working=6),
        *undisturbed.spread(IN_CACHE, statement=6, step=4),
        Moment(TOLD, 1, "fsscancomplete"),
    ]

    deaths = side_by_side(yard.killed_at, [(undisturbed, moment) for moment in moments])

    killed = [death for (death,) in deaths if death.killed]
    assert len(killed) >= len(moments) * 0.8
    assert {EFFECT, TORN, TOLD, WORKING, STATEMENT, STEP} == {d.moment.kind for d in killed}
    states = frozenset.union(*(death.states for death in killed))
    assert states >= {"startfsscan", SCANNING, "fsscancomplete"}


def test_a_result_that_was_stored_and_not_told_is_there_after_the_restart(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """The next process has it, and does not scan again: it is as old as the scan."""
    config = yard.new_library(undisturbed)
    death = yard.kill(undisturbed, config, Moment(TOLD, 1, "fsscancomplete"))
    assert (death.killed, death.states) == (True, {"fsscancomplete"})
    before = truth(config.parent)
    exchange_twins(config.parent)
    assert checksums(found_by_the_next(yard, config)) == before != truth(config.parent)


def test_files_that_were_exchanged_while_no_process_lived_are_hashed_again(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """What a killed scan noted in its cache counts for the file it was noted of, and no other."""
    moments = [
        *undisturbed.spread(IN_CACHE, statement=8),
        *undisturbed.spread(IN_HASHING, working=6),
        Moment(TOLD, 1, "startfsscan"),
    ]

    noted = side_by_side(killed_and_exchanged, [(yard, undisturbed, moment) for moment in moments])

    assert any(noted)
    assert not all(noted)


def killed_and_exchanged(yard: Yard, undisturbed: Undisturbed, moment: Moment) -> bool:
    """Whether the killed scan had noted what was exchanged then."""
    config = yard.new_library(undisturbed)
    death = yard.kill(undisturbed, config, moment)
    assert death.killed
    assert "fsscancomplete" not in death.states
    noted = {row[0] for row in cached(config.parent)}
    exchange_twins(config.parent)
    found = found_by_the_next(yard, config)
    assert checksums(found) == truth(config.parent), moment
    return noted >= set(TWINS)


def exchange_twins(library: Path) -> None:
    """Each gets the other's name; size and modification time are the same."""
    one, other = (library / "music" / path for path in TWINS)
    one.rename(library / "aside")
    other.rename(one)
    (library / "aside").rename(other)
    assert one.stat().st_size == other.stat().st_size
    assert one.stat().st_mtime_ns == other.stat().st_mtime_ns


def found_by_the_next(yard: Yard, config: Path) -> dict[str, Any]:
    ended = yard.run(SCAN, config)
    assert ended.returncode == 0, ended.output
    return json.loads(config.with_name(FOUND).read_text())


def checksums(found: dict[str, Any]) -> dict[str, str]:
    new = found["newpaths"]
    return {file["path"]: file["checksum"] for file in (*new["songs"], *new["videos"])}


def truth(library: Path) -> dict[str, str]:
    """What a scan has to find of the new files."""
    music = library / "music"
    new = (path for path in music.rglob("*.mp?") if path.parent.name != Path(KNOWN).name)
    return {
        str(path.relative_to(music)): hashlib.sha256(path.read_bytes()).hexdigest() for path in new
    }


#: Moments in the commits of the cache: the first makes it, the others fill it.
IN_COMMIT = (
    ("pwrite64", 1),
    ("pwrite64", 5),
    ("pwrite64", 9),
    ("fdatasync", 2),
    ("fdatasync", 4),
    ("unlink", 1),
    ("unlink", 3),
)


def test_a_scan_that_was_killed_within_a_commit_finds_the_same(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """Killed at system calls of SQLite's own; nothing that was half written down is believed."""
    if not may_trace():
        pytest.skip("there is no strace that may trace here")

    journals = side_by_side(kill_in_commit, [(yard, undisturbed, *plan) for plan in IN_COMMIT])

    assert any(journals)


def kill_in_commit(yard: Yard, undisturbed: Undisturbed, call: str, when: int) -> bool:
    config = yard.new_library(undisturbed)
    return yard.killed_in_commit(undisturbed, config, CACHE, call, when, {SCANNING})


def test_a_scan_that_was_killed_from_outside_is_mended_by_the_next(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """Whenever somebody else kills the process, the next one finds what there is."""
    side_by_side(yard.killed_after, [(undisturbed, 0.015 + 0.015 * number) for number in range(3)])


@pytest.mark.long
def test_a_scan_that_was_killed_twice_finds_the_same(yard: Yard, undisturbed: Undisturbed) -> None:
    """Killed at hundreds of moments, also in the run that shall mend the one before."""
    chance = random.Random(2022)
    first = [
        *undisturbed.spread(effect=100, torn=100, told=100),
        *undisturbed.spread(SCANNING, working=60, statement=20, step=20),
        *undisturbed.spread(IN_HASHING, working=40),
        *undisturbed.spread(IN_CACHE, statement=100, step=60),
    ]
    plans = [(undisturbed, moment, chance.choice(first)) for moment in first]

    pairs = side_by_side(yard.killed_at, plans)

    assert sum(death.killed for pair in pairs for death in pair) >= len(plans)
