from __future__ import annotations

import stat
from pathlib import Path

import pytest
from musictasks.files import Effects, make_root
from musictasks.files.effects import using


class CutOff(Effects):
    """Dies between the making of a directory and its mode."""

    def __init__(self, before: int) -> None:
        self.left = before

    def chmod(self, fd: int, mode: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        super().chmod(fd, mode)

    def rmdir(self, name: str, *, dir_fd: int) -> None:
        """A process that was killed clears nothing away."""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("before", [0, 1])
def test_a_root_that_a_killed_run_made_halfway_gets_its_mode_from_the_next(
    tmp_path: Path, before: int
) -> None:
    """Whether it was the root itself or a directory above it."""
    root = tmp_path / "library" / "music"
    with using(CutOff(before)), pytest.raises(KeyboardInterrupt):
        make_root(root)

    make_root(root)

    assert mode(root) == mode(root.parent) == 0o775


def test_a_root_that_is_somebody_elses_keeps_its_mode(tmp_path: Path) -> None:
    """Also one that looks like half made, if something is in it."""
    root = tmp_path / "music"
    root.mkdir()
    (root / "Artist").mkdir()
    root.chmod(0o1700)

    make_root(root)

    assert mode(root) == 0o1700
