"""What the jobs of one engine work with, so that no two of them do the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import WeakKeyDictionary

from attrs import define, field

from ..music import MusicEngine


@define(eq=False)
class Claims:
    """The owner of each key: the id of a task, or the path of what is imported."""

    _owners: dict[str, object] = field(factory=dict, init=False)
    _listeners: set[Callable[[], object]] = field(factory=set, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def take(self, key: str, owner: object) -> bool:
        """From now on the key is the owner's; False if it is another's."""
        with self._lock:
            return self._owners.setdefault(key, owner) is owner

    def is_taken(self, key: str) -> bool:
        with self._lock:
            return key in self._owners

    def release(self, owner: object) -> None:
        """Gives back all that is the owner's, and tells the listeners."""
        with self._lock:
            kept = {key: one for key, one in self._owners.items() if one is not owner}
            given_back = len(kept) < len(self._owners)
            self._owners = kept
            listeners = tuple(self._listeners) if given_back else ()
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Calls `listener()` after something was given back; returns a function that ends it."""
        with self._lock:
            self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)


_by_engine: WeakKeyDictionary[MusicEngine, Claims] = WeakKeyDictionary()
_making = threading.Lock()


def claims_of(engine: MusicEngine) -> Claims:
    """The claims of all that work with this engine, in whatever thread."""
    with _making:
        return _by_engine.setdefault(engine, Claims())
