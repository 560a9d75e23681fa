"""Uploads of papers (no music) and of music, served on a real socket, and a raw client of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from musictasks.engine import EngineSettings
from papers import open_papers
from rawhttp import Tus
from serverkit import Served, served_library, serving

#: A limit of the server that tests reach.
MOST_BYTES = 64 * 1024 * 1024


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Serves papers; settings of the server, and those of the engine in `engine`."""
    with ExitStack() as stack:

        def start(*, engine: dict[str, Any] | None = None, **settings: Any) -> Served:
            chosen = {"durability": "none", "workers": 1, **(engine or {})}
            root = tmp_path / "papers"
            directories = {"tasks": root / "tasks", "uploads": root / "uploads"}
            opened, uploads = open_papers(EngineSettings(**directories, **chosen))
            stack.enter_context(opened)
            return stack.enter_context(serving(opened, uploads=uploads, **settings))

        yield start


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests of a module."""
    root = tmp_path_factory.mktemp("papers")
    settings = EngineSettings(
        tasks=root / "tasks", uploads=root / "uploads", durability="none", workers=1
    )
    engine, uploads = open_papers(settings)
    with engine, serving(engine, uploads=uploads, upload_bytes=MOST_BYTES) as served:
        yield served


@pytest.fixture
def tus(papers: Served) -> Tus:
    return Tus(papers.port)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_library(tmp_path_factory.mktemp("music")) as served:
        yield served
