"""A Python that has no PyAV."""

from __future__ import annotations

import os
import sys
import venv
from multiprocessing import spawn
from pathlib import Path

import pytest


def take_av_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads videos is started with a Python of a fresh environment, and told of no other."""
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    monkeypatch.setattr(spawn, "_python_exe", os.fsencode(python))
    kept = [path for path in sys.path if not (Path(path) / "av").exists()]
    monkeypatch.setattr(sys, "path", kept)
