"""Where the token of a server comes from."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import SettingsError

_VARIABLE = "MUSICTASKS_TOKEN"

#: What a header can hold.
_SENDABLE = re.compile(r"[ -~]*")


def token(file: Path | None) -> str | None:
    """The token: of the file, or of the environment; spaces around it do not count.

    Raises:
        SettingsError: It cannot be sent.
        OSError: The file cannot be read.
    """
    if file is None:
        return _checked(os.environ.get(_VARIABLE, ""), _VARIABLE) or None
    return _checked(file.read_text("utf-8", "replace"), str(file))


def _checked(text: str, source: str) -> str:
    found = text.strip()
    if not _SENDABLE.fullmatch(found):
        reason = (
            "a token is one line of letters, digits and signs of ASCII alone: take another one, of "
            "openssl rand -hex 24"
        )
        raise SettingsError(source, "", "", reason)
    return found
