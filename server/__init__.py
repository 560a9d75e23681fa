"""The door: an engine is reached by HTTP.

`make_app` gives an ASGI application, `serve` runs one; `musictasks serve` does it for a library.
"""

from __future__ import annotations

from .app import make_app
from .serving import serve
from .settings import ServerSettings

__all__ = ["ServerSettings", "make_app", "serve"]
