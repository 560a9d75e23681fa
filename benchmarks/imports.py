"""How light the start is: whole processes, each beside its floor; CPU seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

from figures import Figure, interleaved, ratio

ROUNDS = 9

#: With compiled modules, as an installation has them: some machines forbid Python to write them.
_ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}


def measure(directory: Path) -> Iterator[Figure]:
    python = sys.executable
    engine_us, needed_us, help_us, python_us = interleaved(
        ROUNDS,
        1,
        _runs(python, "-c", "import musictasks.engine"),
        _runs(python, "-c", "import transitions, attrs, cattrs"),
        _runs(str(Path(python).parent / "musictasks"), "--help"),
        _runs(python, "-c", "pass"),
        clock=_children_cpu_s,
    )
    yield Figure("a bare start of Python", median(python_us) / 1e3, "ms CPU")
    yield Figure("import transitions, attrs, cattrs", median(needed_us) / 1e3, "ms CPU")
    yield Figure("import musictasks.engine", median(engine_us) / 1e3, "ms CPU")
    yield Figure("  times the import of these", ratio(engine_us, needed_us), "x", 1.5)
    yield Figure("musictasks --help", median(help_us) / 1e3, "ms CPU")
    yield Figure("  times the bare start", ratio(help_us, python_us), "x", 5)


def _runs(*command: str) -> Callable[[int], None]:
    def runs(number: int) -> None:
        for _ in range(number):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_ENVIRONMENT)

    return runs


def _children_cpu_s() -> float:
    """CPU seconds of all processes that have been waited for."""
    found = getrusage(RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime
