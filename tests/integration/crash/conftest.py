"""Crashes among saves that write over what earlier ones left: in few saves, they do at once."""

from __future__ import annotations

import pytest
from musictasks import files


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare files do not rest."""
    monkeypatch.setattr(files.spares, "_RESTING", 0)
