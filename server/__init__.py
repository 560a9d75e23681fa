"""The door: an engine is reached by HTTP.

`make_app` gives an ASGI application; `musictasks serve` runs one for a library.
"""

from __future__ import annotations

from .app import make_app
from .settings import ServerSettings

__all__ = ["ServerSettings", "make_app"]
