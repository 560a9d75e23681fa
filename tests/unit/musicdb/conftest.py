from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from enginekit import PLAYED
from musicdbkit import World
from musictasks.music import MusicEngine, Settings
from musictasks.musicdb import StopTaskManagementThread
from musictasks.statemachine import Handler


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    yield
    StopTaskManagementThread()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def settings(musictasks_settings: Settings) -> Settings:
    return musictasks_settings


@pytest.fixture
def musictasks_handlers() -> Mapping[str, Handler]:
    return PLAYED


@pytest.fixture
def opened(musictasks_open: Callable[..., MusicEngine]) -> Callable[..., MusicEngine]:
    """Opens engines with played handlers, and closes them at the end."""
    return musictasks_open
