"""tus 1.0.0, the protocol for uploads that go on after whatever broke, at `/uploads/`."""

from __future__ import annotations

from .endpoint import routes

__all__ = ["routes"]
