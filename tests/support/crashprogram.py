"""Running the crash programs, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).parent


def program(module: str, *arguments: object) -> dict[str, Any]:
    """Runs one of the support programs; what it prints is JSON, and an error is a failure."""
    environment = os.environ.copy()
    path = [*filter(None, [environment.get("PYTHONPATH")]), str(SUPPORT)]
    environment["PYTHONPATH"] = os.pathsep.join(path)
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
