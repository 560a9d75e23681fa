"""What all tests share: the kit's own pytest plugin, as integrators have it, opened on music."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from musictasks.library import sample_album
from musictasks.music import MusicEngine, Settings, open_library
from musictasks.statemachine import MUSIC, Lifecycle

pytest_plugins = ["musictasks.testing.plugin"]


def pytest_configure() -> None:
    """Garbage is looked for less often: all tests and modules, which stay, are looked at each time.

    It was a twelfth of the CPU time. What needs a collection has one made.
    """
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture
def musictasks_lifecycle() -> Lifecycle:
    return MUSIC


@pytest.fixture
def musictasks_settings(tmp_path: Path) -> Settings:
    """A library in a temporary directory, without durability, two workers, small artwork."""
    return Settings.in_directory(
        tmp_path / "library", durability="none", workers=2, artwork_scales=(16,)
    )


@pytest.fixture
def musictasks_opener() -> Callable[..., MusicEngine]:
    return open_library


@pytest.fixture
def musictasks_album(tmp_path: Path) -> Path:
    """A directory with a small real album: three songs, a cover and a booklet."""
    return Path(
        shutil.copytree(sample_album(), tmp_path / "album", ignore=shutil.ignore_patterns("README"))
    )
