"""A real process that verifies is killed; the next one ends as if nothing had been."""

from __future__ import annotations

from pathlib import Path

import pytest
from killkit import STATEMENT
from killlibraries import LEDGER
from killyard import Errand, Undisturbed, Yard, side_by_side
from musictasks.library import MusicDatabase
from verifykit import Archive, edit, rot

ALBUM = "Artist/2020 - Album"


def make_library(directory: Path) -> None:
    """Known songs, of which one each is changed, rotten, lost and moved; and unknown ones."""
    archive = Archive(directory)
    songs = [f"{ALBUM}/{number:02} Song.mp3" for number in range(1, 9)]
    archive.put(*songs)
    archive.verify()
    edit(archive.path(songs[0]))
    rot(archive.path(songs[1]))
    archive.path(songs[2]).unlink()
    archive.path(songs[3]).rename(archive.path(f"{ALBUM}/04 Moved.mp3"))
    archive.put(f"{ALBUM}/09 New.mp3", f"{ALBUM}/10 New.mp3")
    MusicDatabase(directory / "data" / "music.db").prepare()


VERIFY = Errand("verify", prepare=make_library)


ANEW = Errand("verify_anew", prepare=make_library)
ACCEPT = Errand("accept", (ALBUM,), prepare=make_library)


@pytest.fixture(scope="module")
def undisturbed(yard: Yard) -> Undisturbed:
    found = yard.undisturbed(VERIFY)
    verdicts = [row[-1] for row in found.library["ledger"]["files"]]
    assert sorted(verdicts) == ["changed", "lost", "rot", *["same"] * 7]
    assert found.counts[f"{STATEMENT} {LEDGER}"] > 20
    return found


def test_killed_at_any_statement(yard: Yard, undisturbed: Undisturbed):
    """Nothing that was half taken down is believed; the verdicts are as in the undisturbed run."""
    moments = undisturbed.spread(LEDGER, statement=8, step=2)
    deaths = side_by_side(yard.killed_at, [(undisturbed, moment) for moment in moments])
    assert sum(death.killed for (death,) in deaths) >= len(moments) * 0.8


@pytest.mark.parametrize("errand", [ANEW, ACCEPT], ids=lambda errand: errand.program)
def test_killed_when_it_forgets(yard: Yard, errand: Errand):
    """Begun anew, or accepted: the same command ends what the killed one began."""
    undisturbed = yard.undisturbed(errand)
    assert {row[-1] for row in undisturbed.library["ledger"]["files"]} == {"same"}
    assert len(undisturbed.library["ledger"]["files"]) == 9
    moments = [*undisturbed.spread(LEDGER, statement=4), *undisturbed.spread(step=2)]
    deaths = side_by_side(yard.killed_at, [(undisturbed, moment) for moment in moments])
    assert sum(death.killed for (death,) in deaths) >= len(moments) * 0.8


@pytest.mark.long
def test_killed_twice_at_any_statement(yard: Yard, undisturbed: Undisturbed):
    moments = undisturbed.spread(LEDGER, statement=60, step=30)
    plans = [(undisturbed, one, two) for one, two in zip(moments, moments[::-1], strict=True)]
    pairs = side_by_side(yard.killed_at, plans)
    assert sum(first.killed for first, _ in pairs) >= len(plans) * 0.8
