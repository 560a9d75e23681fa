"""What the tests of the handlers share."""

from pathlib import Path

import pytest
from avkit import take_av_away


@pytest.fixture
def broken_av(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyAV was there when the upload began, and is gone."""
    take_av_away(tmp_path, monkeypatch)
