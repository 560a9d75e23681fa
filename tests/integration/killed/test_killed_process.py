"""A real process that adds a real album is killed with SIGKILL; run again, it ends as if not."""

from __future__ import annotations

import random

import pytest
from killkit import EFFECT, KINDS, STATEMENT, STEP, TOLD, TORN, WORKING, Moment
from killlibraries import DATABASE
from killyard import Errand, Undisturbed, Yard, may_trace, side_by_side
from musictasks.library.sample_album import sample_album

ADD = Errand("add", (str(sample_album()),))
#: What an album passes through, and rests of it that a kill can leave on disk.
WORKED_IN = {"waitforchunk", "preprocessing", "integrating", "importingmusic", "importingartwork"}


@pytest.fixture(scope="module")
def undisturbed(yard: Yard) -> Undisturbed:
    found = yard.undisturbed(ADD)
    assert all(found.counts[kind] for kind in KINDS)
    assert len(found.library["rows"]["songs"]) == 3
    return found


def test_an_album_that_was_killed_anywhere_is_added_as_if_it_was_not(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """Killed at 58 moments in uploads, saves, handlers and SQL, the library ends the same."""
    how_many = {EFFECT: 16, TORN: 12, TOLD: 8, WORKING: 12, STATEMENT: 6, STEP: 4}
    moments = undisturbed.spread(**how_many)

    deaths = side_by_side(yard.killed_at, [(undisturbed, moment) for moment in moments])

    killed = [death for (death,) in deaths if death.killed]
    assert len(killed) >= 50
    assert set(how_many) == {death.moment.kind for death in killed}
    assert frozenset.union(*(death.states for death in killed)) >= WORKED_IN


@pytest.mark.long
def test_an_album_that_was_killed_twice_is_added_as_if_it_was_not(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """Killed at 500 moments and more, also in the run that shall mend the one before."""
    chance = random.Random(2020)
    first = undisturbed.spread(effect=110, torn=80, told=50, working=100, statement=40, step=20)
    plans = [(undisturbed, moment, chance.choice(first)) for moment in first]

    pairs = side_by_side(yard.killed_at, plans)

    # Where the first kill came late, the second run may be over before its own moment.
    assert [death.moment for death, _ in pairs if not death.killed] == []
    assert sum(death.killed for pair in pairs for death in pair) >= 500


def test_a_process_killed_from_outside_at_any_time_is_mended_by_the_next(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """The command itself, killed by somebody else after a while, leaves nothing behind either."""
    side_by_side(yard.killed_after, [(undisturbed, 0.01 + 0.015 * number) for number in range(6)])


#: Moments in SQLite's commit: its journal's and its own file's writes and syncs, and the end.
IN_COMMIT = (
    ("pwrite64", 1),
    ("pwrite64", 8),
    ("fdatasync", 1),
    ("fdatasync", 2),
    ("fdatasync", 3),
    ("unlink", 1),
)


def test_a_process_killed_within_a_commit_is_mended_by_the_next(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """Killed at system calls of SQLite's own, it leaves a journal; the next run rolls it back."""
    if not may_trace():
        pytest.skip("there is no strace that may trace here")

    journals = side_by_side(kill_in_commit, [(yard, undisturbed, *plan) for plan in IN_COMMIT])

    assert any(journals)


def kill_in_commit(yard: Yard, undisturbed: Undisturbed, call: str, when: int) -> bool:
    config = yard.new_library(undisturbed)
    # A database that is made already: the next to write in it is the import.
    assert yard.kill(undisturbed, config, Moment(WORKING, 1)).killed
    return yard.killed_in_commit(
        undisturbed, config, DATABASE, call, when, {"importingmusic", "importingartwork"}
    )
