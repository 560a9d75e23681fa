"""Running the crash programs, each in a process of its own.

It is forked from one that has imported them already and has no other threads, as they need it.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

from forking import fork_server
from musictasks.files import spares


def program(module: str, *arguments: object) -> dict[str, Any]:
    """Runs one of the support programs; what it prints is JSON, and an error is a failure.

    The last argument that is a path is its directory, where its output goes, too.
    """
    directory = next(Path(one) for one in reversed(arguments) if isinstance(one, Path))
    output, complaints = (directory / name for name in ("output", "complaints"))
    given = [str(argument) for argument in arguments]
    if module == "crashsweeps" and "PYTEST_XDIST_WORKER" in os.environ:
        given += ["--lanes", "1"]  # other tests use the other cores
    process = fork_server().Process(target=_run, args=(module, given, output, complaints))
    process.start()
    process.join()
    assert process.exitcode == 0, complaints.read_text()
    return json.loads(output.read_text())


def _run(module: str, arguments: list[str], output: Path, complaints: Path) -> None:
    for path, fd in ((output, 1), (complaints, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), fd)
    # Spare files do not rest: in so few saves as these, none would be written over.
    spares._RESTING = 0
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")
