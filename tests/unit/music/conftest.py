from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from enginekit import PLAYED
from musictasks.music import MusicEngine, Settings
from musictasks.statemachine import Handler


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
