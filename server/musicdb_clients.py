"""Who is connected to MusicDB's WebSocket: clients, and strangers who may become some."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

from attrs import define, field

from .settings import ServerSettings

_C = TypeVar("_C")


@define(eq=False)
class Clients(Generic[_C]):
    """Bounds both apart: no token is needed to be a stranger, so they take no client's place."""

    _settings: ServerSettings
    _known: set[_C] = field(factory=set, init=False)
    _strangers: set[_C] = field(factory=set, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def let_in(self, client: _C) -> bool:
        """Takes in one who has just come; False where there is no place."""
        settings = self._settings
        with self._lock:
            if len(self._known) >= settings.websockets:
                return False
            if settings.token is None:
                self._known.add(client)
            elif len(self._strangers) < settings.strangers:
                self._strangers.add(client)
            else:
                return False
            return True

    def trust(self, client: _C) -> bool:
        """A stranger has shown the token; False if there are too many clients already."""
        with self._lock:
            if len(self._known) >= self._settings.websockets:
                return False
            if client in self._strangers:  # else it has gone meanwhile
                self._strangers.discard(client)
                self._known.add(client)
            return True

    def discard(self, client: _C) -> None:
        """It has gone."""
        with self._lock:
            self._known.discard(client)
            self._strangers.discard(client)

    def known(self) -> tuple[_C, ...]:
        """Those who are trusted."""
        with self._lock:
            return tuple(self._known)
