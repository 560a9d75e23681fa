from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from musicdbkit import World
from musictasks.musicdb import StopTaskManagementThread


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    yield
    StopTaskManagementThread()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
