"""Events that the engine sends by itself, sent again later if they cannot be saved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import frozen

from ..errors import IllegalTransition, InvalidTaskFile, TaskNotSaved
from .dispatcher import Dispatcher
from .entry import Entry
from .notifications import INTERNAL_ERROR
from .tasks import Tasks, describe

_log = logging.getLogger(__name__)

#: An event that cannot be saved is tried again after 1, 2, 4 … and at the most so many seconds.
_BACKOFF_MOST_S = 60


@frozen(eq=False, repr=False)
class OwnEvents:
    """Sends events for one entry into a state: if the task has moved on, they are dropped."""

    tasks: Tasks
    dispatcher: Dispatcher

    def fire(self, entry: Entry, serial: int, event: str, tries: int = 0, **request: Any) -> bool:
        """Fires an event of the engine's own, later again if it cannot be saved.

        Returns True when it has been fired.
        """
        with entry.lock:
            if entry.serial != serial:
                _log.info("task %s: %r comes too late, dropped", entry.record.id, event)
                return False
            try:
                self.tasks.send(entry, event, **request)
            except IllegalTransition as error:
                _log.info("dropped: %s", error)
                return False
            except (TaskNotSaved, InvalidTaskFile) as error:
                self.retry_later(
                    entry, tries, error, partial(self.fire, entry, serial, event), request
                )
                return False
        return True

    def retry_later(
        self,
        entry: Entry,
        tries: int,
        error: Exception,
        again: Callable[..., object],
        request: Mapping[str, Any] | None = None,
    ) -> None:
        """Calls `again` after a while; the first time the clients are told why."""
        if tries == 0:
            reason = describe(error)
            _log.warning("task %s: tried again until it can be done: %s", entry.record.id, reason)
            self.tasks.tell(INTERNAL_ERROR, entry.record, reason)
        delay_s = min(2**tries, _BACKOFF_MOST_S)
        self.dispatcher.call_later(delay_s, partial(again, tries=tries + 1, **(request or {})))
