"""Every disk that a power cut could leave, at every effect call: what is on it, and what follows.

The default run looks at every image of five ways and recovers on some; `make test-long` on all.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from crashprogram import program

#: Fewer different disks than these would mean that effects are not recorded any more.
LEAST_IMAGES = {
    "song": 1100,
    "unannounced": 1100,
    "without links": 1100,
    "artwork": 1000,
    "album": 380,
    "detours": 1000,
    "archive": 2000,
    "archive detours": 2000,
    "take-over": 600,
}


@pytest.mark.parametrize(
    ("way", "stride"),
    [
        pytest.param("song", 50, id="song"),
        pytest.param("artwork", 80, id="artwork"),
        pytest.param("archive", 100, id="archive"),
        pytest.param("unannounced", 80, id="unannounced"),
        pytest.param("take-over", 40, id="take-over"),
        *(pytest.param(way, 1, id=f"{way}-whole", marks=pytest.mark.long) for way in LEAST_IMAGES),
    ],
)
def test_a_power_cut_at_every_effect(way: str, stride: int, tmp_path: Path):
    """No disk has a torn file or knows less than was told, and each recovers."""
    found = program("crashpower", way, tmp_path, "--stride", stride)
    assert found["bad"] == []
    assert found["images"] >= LEAST_IMAGES[way]
    assert found["recovered"] == found["images"] // stride


@pytest.mark.parametrize(
    "stride", [pytest.param(400, id="some"), pytest.param(10, id="all", marks=pytest.mark.long)]
)
def test_a_power_cut_after_a_take_over_that_the_disk_refused_once(stride: int, tmp_path: Path):
    """An fsync failed at one start, and the next one found everything in its place: not enough."""
    found = program("crashpower", "take-over of one", tmp_path, "--refused", "--stride", stride)
    assert found["bad"] == []
    assert found["images"] >= 5000
    assert found["recovered"] == found["images"] // stride
