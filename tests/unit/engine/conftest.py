from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from enginekit import PLAYED
from musictasks.engine import Engine, Settings, open_engine


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.in_directory(tmp_path, durability="none", workers=2, artwork_scales=(16,))


@pytest.fixture
def opened(settings: Settings) -> Iterator[Callable[..., Engine]]:
    """Opens engines with played handlers, and closes them at the end."""
    engines: list[Engine] = []

    def open_one(used: Settings = settings, **options: Any) -> Engine:
        options["handlers"] = PLAYED | options.get("handlers", {})
        engines.append(open_engine(used, **options))
        return engines[-1]

    yield open_one
    for engine in engines:
        engine.close()
