"""What the tests of the handlers share."""

from pathlib import Path

import pytest


@pytest.fixture
def broken_av(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyAV is installed and cannot be loaded."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "av.py").write_text("raise ImportError('libavcodec.so: not found')\n")
    monkeypatch.syspath_prepend(folder)
