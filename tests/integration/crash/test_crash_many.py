"""Many tasks are saved at once and share their fsyncs, and somebody strikes at every effect call.

The threads are real and so is the group commit; they take turns (`crashturns`), so that the effect
with a number is the same one in each run. `make test-long` takes every call, and draws whose turn
it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from crashprogram import program

#: Fewer effect calls than these would mean that not all tasks go their whole way any more.
LEAST_CALLS = 240
#: Fewer different disks would mean that effects are not recorded any more.
LEAST_IMAGES = {"many": 8000, "many mixed": 6000}
DRAWN = ["many drawn 1", "many drawn 2", "many drawn 3", "many drawn 4"]
LONG = ["many", "many mixed", *DRAWN]
FEW = LONG[:3]


def whole(*ways: str) -> list[Any]:
    return [pytest.param(way, 1, id=f"{way}-whole", marks=pytest.mark.long) for way in ways]


def sweep(method: str, way: str, directory: Path, stride: int) -> None:
    found = program("crashsweeps", method, way, directory, "--stride", stride)
    assert found["bad"] == []
    assert found["calls"] >= LEAST_CALLS
    assert found["runs"] >= found["calls"] // stride
    # Else it would be no test of those who share.
    assert max(found["groups"]) >= 2


@pytest.mark.parametrize(("way", "stride"), [pytest.param("many", 24, id="many"), *whole(*LONG)])
def test_killed_at_every_effect_of_many(way: str, stride: int, tmp_path: Path):
    """What was told of any task is on disk, and the next process brings all to their ends."""
    sweep("kill", way, tmp_path, stride)


@pytest.mark.long
@pytest.mark.parametrize("way", FEW)
def test_killed_at_every_effect_of_many_and_again_while_they_recover(way: str, tmp_path: Path):
    sweep("kill_twice", way, tmp_path, 1)


@pytest.mark.long
@pytest.mark.parametrize("way", FEW)
def test_killed_at_every_effect_of_many_and_removed_then(way: str, tmp_path: Path):
    sweep("kill_and_remove", way, tmp_path, 1)


@pytest.mark.parametrize(("way", "stride"), [pytest.param("many", 24, id="many"), *whole(*LONG)])
def test_an_error_at_every_effect_of_many(way: str, stride: int, tmp_path: Path):
    """Those alone whose save has failed hear of it; tried again, all end the same."""
    sweep("errors", way, tmp_path, stride)


@pytest.mark.parametrize(("way", "stride"), [pytest.param("many", 24, id="many"), *whole(*LONG)])
def test_a_task_file_deleted_at_every_effect_of_many(way: str, stride: int, tmp_path: Path):
    """Its task goes to `remove`, and none of those who share an fsync with it."""
    sweep("delete_one", way, tmp_path, stride)


def power(way: str, directory: Path, stride: int, *options: str) -> dict[str, Any]:
    found = program("crashpower", way, directory, "--stride", stride, *options)
    assert found["bad"] == []
    assert found["recovered"] == found["images"] // stride
    assert max(found["groups"]) >= 2
    return found


def test_a_power_cut_among_saves_that_share_an_fsync(tmp_path: Path):
    """One of them alone is lost or torn, or any others are: what was told is there, all recover."""
    found = power("many", tmp_path, 200, "--combined", "5", "--told", "9")
    assert found["images"] >= 1500


@pytest.mark.long
@pytest.mark.parametrize("way", LEAST_IMAGES)
def test_a_power_cut_at_every_effect_of_many(way: str, tmp_path: Path):
    assert power(way, tmp_path, 20)["images"] >= LEAST_IMAGES[way]


@pytest.mark.parametrize(
    ("way", "choice", "stride"),
    [
        pytest.param("many", ["--combined", "3", "--shared", "2"], 200, id="some"),
        *(pytest.param(way, [], 50, id=f"{way}-all", marks=pytest.mark.long) for way in FEW),
    ],
)
def test_a_power_cut_after_a_shared_fsync_was_refused(
    way: str, choice: list[str], stride: int, tmp_path: Path
):
    """It counts for none of those who waited for it, and no disk knows less than they were told."""
    found = power(way, tmp_path, stride, "--refused", *choice)
    assert found["images"] >= 500
