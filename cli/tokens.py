"""Where the token of a server comes from."""

from __future__ import annotations

import os
from pathlib import Path

_VARIABLE = "MUSICTASKS_TOKEN"


def token(file: Path | None) -> str | None:
    """The token: of the file, or of the environment; spaces around it do not count."""
    if file is not None:
        return file.read_text("utf-8").strip()
    return os.environ.get(_VARIABLE, "").strip() or None
