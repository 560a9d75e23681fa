"""A tasks directory, and effects that let somebody act or fail at a chosen call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from musictasks.files import Directory, Effects, using
from musictasks.persistence import TaskStore, make_converter
from musictasks.statemachine import MUSIC


class At(Effects):
    """Calls `action` once, before the effect number `at`, counted from 1."""

    def __init__(self, at: int, action: Callable[[], Any]) -> None:
        self.at = at
        self.action = action
        self.calls = 0

    def __getattribute__(self, name: str) -> Any:
        if name in vars(Effects) and not name.startswith("_"):
            self.calls += 1
            if self.calls == self.at:
                self.action()
        return super().__getattribute__(name)


@pytest.fixture
def at() -> Callable[[int, Callable[[], Any]], Any]:
    """`with at(3, action) as effects:` acts at the third effect; `effects.calls` counts."""
    return lambda number, action: using(At(number, action))


@pytest.fixture
def store(tmp_path: Path) -> TaskStore:
    (tmp_path / "tasks").mkdir()
    return TaskStore(Directory(tmp_path / "tasks"), make_converter(MUSIC))


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """No descriptor more is open at the end than at the beginning."""
    before = len(list(Path("/dev/fd").iterdir()))
    yield
    assert len(list(Path("/dev/fd").iterdir())) <= before
