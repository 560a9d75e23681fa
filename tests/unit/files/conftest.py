"""Effects that count, fail, crash, or let somebody else act at a chosen call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from musictasks.files import Directory, Effects, using
from musictasks.testing import Struck


class ShortWrites(Effects):
    """Every write takes one byte less than half of what it was given, but one at least."""

    def write(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        return super().write(fd, memoryview(data)[: max(1, len(data) // 2 - 1)], offset)


class Break:
    """What tests do to the code that works on the disk."""

    short_writes = ShortWrites

    def count(self, scenario: Callable[[], Any]) -> list[str]:
        """The effects of an undisturbed run."""
        with using(Struck()) as effects:
            scenario()
        assert isinstance(effects, Struck)
        return effects.calls

    def fail(self, at: int, code: int) -> Effects:
        """The effect `at` fails with this errno, all others work."""

        def hook(number: int, name: str) -> None:
            if number == at:
                raise OSError(code, os.strerror(code))

        return Struck(hook)

    def crash(self, at: int) -> Effects:
        """From the effect `at` on nothing happens any more, clean-up included."""

        def hook(number: int, name: str) -> None:
            if number >= at:
                raise SystemExit("crashed")

        return Struck(hook)

    def act(self, actions: dict[int, Callable[[], Any]]) -> Struck:
        """Before each of these effects somebody else does something."""

        def hook(number: int, name: str) -> None:
            actions.get(number, lambda: None)()

        return Struck(hook)

    def refuse(self, code: int, *names: str) -> Effects:
        """These effects always fail with this errno."""

        def hook(number: int, name: str) -> None:
            if name in names:
                raise OSError(code, os.strerror(code))

        return Struck(hook)


@pytest.fixture
def breaks() -> Break:
    return Break()


@pytest.fixture
def root(tmp_path: Path) -> Directory:
    """An empty directory."""
    (tmp_path / "root").mkdir()
    return Directory(tmp_path / "root")


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """No descriptor more is open at the end than at the beginning."""
    before = len(list(Path("/dev/fd").iterdir()))
    yield
    assert len(list(Path("/dev/fd").iterdir())) <= before
