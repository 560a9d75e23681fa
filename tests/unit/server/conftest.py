from __future__ import annotations

from collections.abc import Iterator

import pytest
from musictasks.music import MusicEngine, Settings, open_library
from socketkit import Client, socket_of


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
