"""Imported by the process that forks others (`forking`): it is warm then, also for a server."""

from __future__ import annotations

import musictasks.cli.serve
import musictasks.cli.watch
import musictasks.server  # noqa: F401
import uvicorn.protocols.http.h11_impl
import uvicorn.protocols.websockets.websockets_sansio_impl  # noqa: F401
from warming import warm

warm()
