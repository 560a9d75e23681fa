"""A real process is killed in the engine's own work: the end of an upload, a removal, a take-over,
and saves of many tasks at once. What is on disk then is true, and the next process ends it.

The default run takes a part of the moments; `make test-long` all.
"""

from __future__ import annotations

import random

import killtasks
import pytest
from killkit import COMPLETING, EFFECT, LOADING, REMOVING, SHARED, TOLD, TORN, Moment
from killtasks import DISCARDED, SONG, UNANNOUNCED, lay_old_library, lost_of_old, own_files, untrue
from killyard import Errand, Undisturbed, Yard, side_by_side
from musictasks.music import Settings, read_tasks

ALL = 1000
MANY = Errand("many")
DISCARD = Errand("discard")
REOPEN = Errand("reopen")
UNKNOWN = Errand("unannounced")
TAKE_OVER = Errand("take_over", prepare=lay_old_library)


def some_or_all(some: int, most: int) -> pytest.MarkDecorator:
    """How many moments of each kind the default run takes, and the long one."""
    whole = pytest.param(most, id="all", marks=pytest.mark.long)
    return pytest.mark.parametrize("many", [pytest.param(some, id="some"), whole])


def kill_while_completing(
    yard: Yard, undisturbed: Undisturbed, moment: Moment
) -> tuple[str, str, int]:
    """What it leaves: the state, which name the record has, and how many the data has."""
    config = yard.new_library(undisturbed)
    death = yard.kill(undisturbed, config, moment)
    assert death.killed
    (task,) = read_tasks(Settings.from_file(config)).tasks
    files = own_files(config, UNANNOUNCED.task_id) or {}
    name = str(task.upload_path).partition("/")[2]
    assert files[name] == SONG, moment
    assert set(files.values()) == {SONG}
    yard.ends_like(undisturbed, config)
    return task.state, "its SHA-1" if UNANNOUNCED.sha1 in name else "its id", len(files)


def test_an_upload_without_a_sha1_always_has_the_name_that_its_record_says(yard: Yard) -> None:
    """Killed before and after each step: the second name, the save, the end of the first name."""
    undisturbed = yard.undisturbed(UNKNOWN)
    assert undisturbed.counts[f"{EFFECT} {COMPLETING} link"] == 1
    moments = undisturbed.spread(COMPLETING, effect=ALL, torn=ALL)
    assert len(moments) >= 16

    left = side_by_side(kill_while_completing, [(yard, undisturbed, one) for one in moments])

    assert set(left) == {
        ("waitforchunk", "its id", 1),
        ("waitforchunk", "its id", 2),
        ("uploadcomplete", "its SHA-1", 2),
        ("uploadcomplete", "its SHA-1", 1),
    }


def kill_while_removing(yard: Yard, undisturbed: Undisturbed, moment: Moment) -> str:
    """Which of its parts it leaves."""
    config = yard.new_library(undisturbed)
    death = yard.kill(undisturbed, config, moment)
    assert death.killed
    settings, files = Settings.from_file(config), own_files(config, DISCARDED.task_id)
    half = (settings.uploads / f".{DISCARDED.task_id}.gone").exists()
    # A directory that has its name is whole, and data is never there without its task.
    assert files is None or len(files) == 1 + 5
    assert files is None or not half
    assert death.states == {"remove"} or (death.states == set() and not half and files is None)
    assert yard.run(REOPEN, config).returncode == 0
    assert list(settings.uploads.iterdir()) == []
    assert list(settings.tasks.glob("*.json")) == []
    yard.ends_like(undisturbed, config)
    return "all" if files else "half" if half else "the task" if death.states else "nothing"


def test_a_removal_that_was_killed_anywhere_is_ended_by_the_next_start(yard: Yard) -> None:
    """Killed at each step from the rename to `.gone` to the end of the task file."""
    undisturbed = yard.undisturbed(DISCARD)
    moments = undisturbed.spread(REMOVING, effect=ALL, torn=ALL)
    assert len(moments) >= 16

    left = side_by_side(kill_while_removing, [(yard, undisturbed, one) for one in moments])

    assert set(left) == {"all", "half", "the task", "nothing"}


def kill_while_taking_over(yard: Yard, undisturbed: Undisturbed, *moments: Moment) -> None:
    config = yard.new_library(undisturbed)
    for moment in moments:
        assert yard.kill(undisturbed, config, moment).killed
        assert lost_of_old(config) == [], moment
    yard.ends_like(undisturbed, config)


@some_or_all(12, ALL)
def test_a_take_over_that_was_killed_anywhere_is_ended_by_the_next_start(
    yard: Yard, many: int
) -> None:
    """Killed at each step, and again in the next take-over: all data is there, and there once."""
    undisturbed = yard.undisturbed(TAKE_OVER)
    assert undisturbed.counts[f"{EFFECT} {LOADING}"] >= 16
    moments = undisturbed.spread(LOADING, effect=many, torn=many)
    chance = random.Random(2024)
    # The second kill comes early enough for what the first one has left to do.
    again = [Moment(EFFECT, chance.randint(1, 4), LOADING) for _ in moments[: many // 2][:12]]
    plans = [(yard, undisturbed, one) for one in moments]
    plans += [(yard, undisturbed, *pair) for pair in zip(moments, again, strict=False)]

    side_by_side(kill_while_taking_over, plans)


def kill_many(yard: Yard, undisturbed: Undisturbed, moment: Moment) -> bool:
    """Whether it was killed."""
    config = yard.new_library(undisturbed)
    death = yard.kill(undisturbed, config, moment)
    assert not death.killed or untrue(config) == [], moment
    yard.ends_like(undisturbed, config)
    return death.killed


@some_or_all(1, 2)
def test_what_clients_were_told_of_many_tasks_at_once_is_on_disk(yard: Yard, many: int) -> None:
    """Eight uploads in parallel, killed inside of their saves: no state is ever taken back."""
    undisturbed = yard.undisturbed(MANY)
    assert len(killtasks.MANY) == 8
    moments = undisturbed.spread("exchange", effect=3 * many, torn=3 * many)
    moments += undisturbed.spread("fsync", effect=3 * many, torn=3 * many)
    moments += undisturbed.spread(f"{COMPLETING} fsync", effect=2 * many, torn=2 * many)
    moments += undisturbed.spread("rename_noreplace", effect=1 + many, torn=1 + many)
    moments += undisturbed.spread(told=3 * many)
    assert {EFFECT, TORN, TOLD} == {moment.kind for moment in moments}
    # Before and after an fsync that several saves share, long before the last of them.
    shared = undisturbed.counts[f"{EFFECT} {SHARED}"]
    assert shared >= 4
    in_groups = [Moment(kind, 1 + n, SHARED) for kind in (EFFECT, TORN) for n in range(2 * many)]

    plans = [(yard, undisturbed, moment) for moment in (*in_groups, *moments)]
    killed = side_by_side(kill_many, plans)

    assert all(killed[: len(in_groups)])
    assert sum(killed) >= len(plans) * 0.9
