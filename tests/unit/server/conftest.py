"""A served library without a token, and one with; the WebSocket of an engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from musictasks.music import MusicEngine, Settings, open_library
from serverkit import TOKEN, Served, served_library
from socketkit import Client, socket_of


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with served_library(tmp_path / "library", library={"chunk_size": 1024}) as served:
        yield served


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Served]:
    with served_library(tmp_path / "library", token=TOKEN) as served:
        yield served


@pytest.fixture
def engine(musictasks_settings: Settings) -> Iterator[MusicEngine]:
    with open_library(musictasks_settings) as engine:
        yield engine


@pytest.fixture
def address(engine: MusicEngine) -> Iterator[str]:
    """Of MusicDB's WebSocket of `engine`."""
    with socket_of(engine) as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client
