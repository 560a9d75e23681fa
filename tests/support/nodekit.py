"""Packages of npm for tests, installed once into the cache of the user; none is in here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def node_modules(*packages: str) -> Path:
    """A directory with these packages (`name@version`) in it; skips the test where npm cannot."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("no node and npm here: what needs their packages is not tested")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(json.dumps(sorted(packages)).encode()).hexdigest()[:16]
    place = cache / "musictasks-tests" / name
    if not (place / "complete").exists():
        place.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]
        done = subprocess.run([*command, str(place), *packages], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"npm installs nothing here: {done.stderr.strip()[-300:]}")
        (place / "complete").touch()
    return place / "node_modules"
