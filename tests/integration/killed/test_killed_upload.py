"""A real process that brings one file into the library is killed; run again, it ends as if not."""

from __future__ import annotations

import random

import pytest
from archivekit import album_files, make_zip
from killkit import EFFECT, STATEMENT, STEP, TOLD, TORN, WORKING, Moment
from killyard import Death, Errand, Undisturbed, Yard, side_by_side
from videokit import make_video

ALBUM = "Søren Größenwald/2020 - Über den Wäldern"
VIDEO = "Søren Größenwald/2020 - Über den Wäldern.mp4"
#: What the processes of each test do, one after the other, until one comes to the end.
ERRANDS = {
    "archive": Errand(
        "upload",
        ("album", "album.zip", ALBUM),
        prepare=lambda library: (library / "album.zip").write_bytes(make_zip(album_files())),
        whole=ALBUM,
    ),
    "video": Errand(
        "upload",
        ("video", "clip.mp4", VIDEO),
        prepare=lambda library: (library / "clip.mp4").write_bytes(make_video()),
        whole=VIDEO,
    ),
}
#: The handlers that an upload passes through, and in which it is killed.
STAGES = ("preprocessing", "integrating", "importingmusic", "importingartwork")
ALL = 1000
#: The one step of the integration that others see.
RENAME = "integrating rename_noreplace"


@pytest.fixture(scope="module", params=ERRANDS)
def undisturbed(request: pytest.FixtureRequest, yard: Yard) -> Undisturbed:
    found = yard.undisturbed(ERRANDS[request.param])
    assert found.errand.whole in found.music
    assert found.counts[f"{EFFECT} {RENAME}"] == 1
    return found


def is_video(undisturbed: Undisturbed) -> bool:
    """It has fewer moments: it is read in a process of its own, which takes its time."""
    return undisturbed.errand.arguments[0] == "video"


def killed_at_each(yard: Yard, undisturbed: Undisturbed, moments: list[Moment]) -> list[Death]:
    """Killed at each, in a library of its own."""
    deaths = side_by_side(yard.killed_at, [(undisturbed, moment) for moment in moments])
    return [death for (death,) in deaths]


def test_an_upload_that_was_killed_in_any_stage_ends_as_if_it_was_not(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """Killed in unpacking, in assembly, in both imports and between: the library is the same."""
    few = 1 if is_video(undisturbed) else 3
    moments = undisturbed.spread(effect=few, torn=few, told=few)
    for stage in STAGES:
        moments += undisturbed.spread(stage, effect=few, torn=few, working=few)
        moments += undisturbed.spread(stage, statement=2, step=1)

    deaths = killed_at_each(yard, undisturbed, moments)

    killed = [death for death in deaths if death.killed]
    assert len(killed) >= len(moments) * 0.8
    for stage in STAGES:
        assert any(stage in death.states for death in killed if death.moment.place == stage)
    assert {EFFECT, TORN, TOLD, WORKING, STATEMENT, STEP} == {d.moment.kind for d in killed}


def test_an_upload_that_was_killed_around_its_appearance_is_there_whole_or_not_at_all(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """Just before the rename nothing is there to be seen, just after it everything is."""
    before, after = killed_at_each(
        yard, undisturbed, [Moment(EFFECT, 1, RENAME), Moment(TORN, 1, RENAME)]
    )

    assert (before.killed, before.appeared, before.states) == (True, False, {"integrating"})
    assert (after.killed, after.appeared, after.states) == (True, True, {"integrating"})


@pytest.mark.long
def test_an_upload_that_was_killed_twice_ends_as_if_it_was_not(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """At every effect in the handlers, and much else; and again in the run that shall mend it."""
    chance = random.Random(2021)
    first = undisturbed.spread(effect=40, torn=40, told=20)
    for stage in STAGES:
        first += undisturbed.spread(stage, effect=ALL, torn=ALL)
        first += undisturbed.spread(stage, working=20, statement=10, step=5)
    first = first[:: 6 if is_video(undisturbed) else 1]
    plans = [(undisturbed, moment, chance.choice(first)) for moment in first]

    pairs = side_by_side(yard.killed_at, plans)

    assert sum(death.killed for pair in pairs for death in pair) >= len(plans)


def test_an_upload_that_was_killed_from_outside_is_mended_by_the_next(
    yard: Yard, undisturbed: Undisturbed
) -> None:
    """Whenever somebody else kills the process, the next one goes on."""
    step_s = 0.08 if is_video(undisturbed) else 0.02
    side_by_side(yard.killed_after, [(undisturbed, step_s * number) for number in range(1, 5)])
