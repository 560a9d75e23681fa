"""Somebody strikes at every single effect call of a task's whole way; the end is right each time.

And at each call what appears as a whole, a song or an album, is whole or not there at all.
The default run takes every call of the song's way and a part of the others; `make test-long` all.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from crashprogram import program

#: Fewer effect calls than these would mean that a way does not go its whole way any more.
LEAST_CALLS = {
    "song": 110,
    "unannounced": 110,
    "without links": 110,
    "artwork": 80,
    "album": 50,
    "detours": 100,
    "archive": 130,
    "archive detours": 130,
    "first start": 40,
    "take-over": 220,
    "take-over of names": 150,
}


def sweep(method: str, way: str, directory: Path, stride: int) -> None:
    found = program("crashsweeps", method, way, directory, "--stride", stride)
    assert found["bad"] == []
    assert found["calls"] >= LEAST_CALLS[way]
    assert found["runs"] >= found["calls"] // stride


def bounded(strides: dict[str, int]) -> pytest.MarkDecorator:
    """For each way the stride of the default run (0: none); where not 1, the long takes all."""
    short = [pytest.param(way, stride, id=way) for way, stride in strides.items() if stride]
    whole = [
        pytest.param(way, 1, id=f"{way}-whole", marks=pytest.mark.long)
        for way, stride in strides.items()
        if stride != 1
    ]
    return pytest.mark.parametrize(("way", "stride"), short + whole)


@bounded(
    {
        "song": 1,
        "artwork": 5,
        "album": 5,
        "detours": 5,
        "archive": 2,
        "archive detours": 10,
        "first start": 5,
        "unannounced": 1,
        "without links": 10,
        "take-over": 2,
        "take-over of names": 10,
    }
)
def test_killed_at_every_effect(way: str, stride: int, tmp_path: Path):
    """What was told is on disk, and the next process brings the same library about."""
    sweep("kill", way, tmp_path, stride)


@bounded(
    {
        "song": 10,
        "detours": 20,
        "archive": 10,
        "archive detours": 0,
        "first start": 20,
        "unannounced": 10,
        "take-over": 10,
        "take-over of names": 0,
    }
)
def test_killed_at_every_effect_and_again_while_it_recovers(way: str, stride: int, tmp_path: Path):
    """Recovery is recovered from, too."""
    sweep("kill_twice", way, tmp_path, stride)


@bounded(
    {
        "song": 10,
        "artwork": 0,
        "detours": 0,
        "archive": 5,
        "archive detours": 0,
        "unannounced": 10,
        "take-over": 10,
    }
)
def test_killed_at_every_effect_and_removed_then(way: str, stride: int, tmp_path: Path):
    """Nothing of the task stays but what reached the library, also where nobody goes on with it."""
    sweep("kill_and_remove", way, tmp_path, stride)


@bounded(
    {
        "song": 2,
        "artwork": 10,
        "album": 10,
        "detours": 10,
        "archive": 5,
        "archive detours": 20,
        "first start": 10,
        "unannounced": 5,
        "without links": 20,
        "take-over": 5,
        "take-over of names": 0,
    }
)
def test_an_error_at_every_effect(way: str, stride: int, tmp_path: Path):
    """ENOSPC, EIO, EMFILE, a short write: tried again, it ends the same, and leaks nothing."""
    sweep("errors", way, tmp_path, stride)


@bounded(
    {
        "song": 1,
        "artwork": 0,
        "album": 0,
        "detours": 10,
        "archive": 5,
        "archive detours": 0,
        "unannounced": 10,
    }
)
def test_a_task_file_deleted_at_every_effect(way: str, stride: int, tmp_path: Path):
    """The task goes to `remove`; nothing of it stays but what reached the library whole."""
    sweep("delete", way, tmp_path, stride)


@bounded(
    {
        "song": 1,
        "artwork": 0,
        "album": 0,
        "detours": 10,
        "archive": 5,
        "archive detours": 0,
        "unannounced": 20,
    }
)
def test_a_task_file_edited_at_every_effect(way: str, stride: int, tmp_path: Path):
    """What a person notes is in the last record, and the task reaches its end."""
    sweep("edit", way, tmp_path, stride)


@bounded(
    {
        "song": 2,
        "artwork": 0,
        "album": 0,
        "detours": 10,
        "archive": 5,
        "archive detours": 0,
        "unannounced": 0,
    }
)
def test_a_task_file_broken_at_every_effect(way: str, stride: int, tmp_path: Path):
    """The broken file is left as it is; mended, the task goes on to its end."""
    sweep("garbage", way, tmp_path, stride)


@bounded(
    {
        "song": 2,
        "artwork": 0,
        "album": 0,
        "detours": 10,
        "archive": 5,
        "archive detours": 0,
        "unannounced": 10,
    }
)
def test_another_client_at_every_effect(way: str, stride: int, tmp_path: Path):
    """A second client acts in the middle of the first one's calls; neither is lost."""
    sweep("rival", way, tmp_path, stride)
