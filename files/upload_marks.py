"""Empty files beside an upload's data: what of the data does not count, or not after a power cut.

A chunk that counts only as a whole is held back from its offset on, until it is accepted. Bytes
that are not durable yet count as long as the system runs: a kill takes none of them. A power cut
may, and leave zeros in their place (measured with files that are written in place), so of an upload
whose checksum nobody announced only those before the mark count at the next boot.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from . import effects, steps

_HELD_BACK = re.compile(r"\.held-back-([0-9]{1,19})")
_SURE = re.compile(r"\.sure-([0-9]{1,19})\.([0-9a-z-]{1,40})")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def this_boot() -> str:
    """What tells this run of the system from the one before a power cut, where it is known."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return "unknown"


def held_back_name(offset: int) -> str:
    """What is appended from `offset` on counts only once this is gone."""
    return f".held-back-{offset}"


def sure_name(offset: int) -> str:
    """After a power cut, only what is before `offset` counts."""
    return f".sure-{offset}.{this_boot()}"


def offsets_held_back(names: Iterable[str]) -> list[int]:
    """From where on bytes do not count, by the marks that say so now, among these names."""
    return [offset for _, offset in _binding(names)]


def drop_marks(dir_fd: int) -> None:
    """Remove those marks."""
    for name, _ in _binding(os.listdir(dir_fd)):
        with suppress(FileNotFoundError):
            effects.current.unlink(name, dir_fd=dir_fd)


def make_sure_mark(dir_fd: int, offset: int) -> None:
    """Durably say that of this boot's bytes only those before `offset` are sure."""
    name = sure_name(offset)
    with suppress(FileExistsError):  # of a run that was killed, maybe before its fsync
        os.close(steps.new_file(name, dir_fd, 0o600))
    effects.current.fsync(dir_fd)
    # Only now: whichever of them a power cut leaves, the lowest one counts.
    drop_sure_marks(dir_fd, but=name)


def drop_sure_marks(dir_fd: int, but: str | None = None) -> None:
    """All bytes are durable. That the marks are gone need not be: they say less than is true."""
    for name in os.listdir(dir_fd):
        if name != but and _SURE.fullmatch(name):
            steps.drop(name, dir_fd)


def _binding(names: Iterable[str]) -> list[tuple[str, int]]:
    found = []
    for name in names:
        held_back, sure = _HELD_BACK.fullmatch(name), _SURE.fullmatch(name)
        if held_back is not None:
            found.append((name, int(held_back[1])))
        elif sure is not None and sure[2] != this_boot():
            found.append((name, int(sure[1])))
    return found
