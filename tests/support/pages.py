"""The code blocks of the documentation, as somebody who follows it would save and run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(page: str, language: str, title: str | None = None) -> list[str]:
    """The code blocks of a language: those that have this title, or none."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(
        rf'^```{language}(?: title="([^"]+)")?\n(.*?)^```$', text, re.DOTALL | re.MULTILINE
    )
    return [code for named, code in found if named == (title or "")]


def run(command: list[str], directory: Path, **environment: str) -> str:
    """What a command prints that ends well; commands of this Python environment come first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, "PATH": path, "PYTHONUTF8": "1", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
