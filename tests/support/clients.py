"""Real clients of tus, unmodified: those of npm (in tests/clients), and curl."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CLIENTS = Path(__file__).parents[1] / "clients"
_NODE = shutil.which("node")
_INSTALLED = (CLIENTS / "node_modules" / "tus-js-client").is_dir()

needs_node = pytest.mark.skipif(
    _NODE is None or not _INSTALLED,
    reason="node is missing"
    if _NODE is None
    else "the clients of npm are not installed: make clients",
)
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")


def node(program: str, *arguments: Any) -> subprocess.Popen[str]:
    """Starts a program of tests/clients."""
    return subprocess.Popen(
        [str(_NODE), program, *map(str, arguments)],
        cwd=CLIENTS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str], timeout_s: float = 60) -> dict[str, Any]:
    """What a program of tests/clients tells at its end."""
    try:
        output, errors = process.communicate(timeout=timeout_s)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    return json.loads(output)


def curl(*arguments: Any) -> str:
    """The output of curl, headers of the answer included."""
    command = ["curl", "--silent", "--show-error", "--include", "--max-time", "30"]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
