from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browserkit import browsing
from playwright.sync_api import Browser
from serverkit import Served, served_library


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with served_library(tmp_path / "library") as served:
        yield served
