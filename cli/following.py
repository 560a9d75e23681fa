"""Waiting for what a server does with a task, by its stream of events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

from attrs import define, field

from .remote import Remote

#: The stream says that it is alive every 15 s: where nothing comes, a proxy holds it back.
_SILENT_S = 20.0
#: Where there is no stream, a task is looked at so often.
_LOOK_AGAIN_S = 1.0
#: Nothing tells of the end of a removal, which is near.
_REMOVED_S = 0.1


@define(eq=False)
class Following:
    """The events of a server, read only while somebody waits for one.

    What comes meanwhile is kept by the system and by the server. Where that is too much, or the
    stream breaks, the task is looked at again.
    """

    remote: Remote
    _connection: HTTPConnection | None = field(default=None, init=False)
    _stream: HTTPResponse | None = field(default=None, init=False)
    #: Nothing came of it: it is not asked for any more.
    _is_held_back: bool = field(default=False, init=False)

    def looks(self, task_id: str) -> Iterator[dict[str, Any]]:
        """A task as it is now, and again whenever it may have changed, until it is gone.

        Raises:
            ServerRefused, ServerUnreachable: It cannot be looked at.
        """
        while True:
            self._begin()  # before the look: what changes after it is heard of
            task = self.remote.task(task_id)
            if task is None:
                return
            yield task
            if task["state"] == "remove":
                time.sleep(_REMOVED_S)
            else:
                self._wait(task_id)

    def close(self) -> None:
        """Ends the stream; the next look begins another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._stream = None

    def _begin(self) -> None:
        if self._stream is not None or self._is_held_back:
            return
        self._connection = self.remote.connection(_SILENT_S)
        try:
            self._connection.connect()
        except OSError:  # the look that comes next waits for the server
            self.close()
            return
        try:
            stream = self.remote.ask(self._connection, "GET", "/api/events")
        except (OSError, HTTPException) as error:
            self._end(error)
            return
        if stream.status == 200:
            self._stream = stream
        else:  # too many streams are open, or the server just stops
            self.close()

    def _wait(self, task_id: str) -> None:
        """Returns when the task may have changed, and after a second where no stream tells."""
        if self._stream is not None:
            try:
                while not self._concerns(self._next(self._stream), task_id):
                    pass
            except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
                self._end(error)
            else:
                return
        time.sleep(_LOOK_AGAIN_S)

    def _end(self, error: Exception) -> None:
        self._is_held_back = isinstance(error, TimeoutError)
        self.close()

    def _next(self, stream: HTTPResponse) -> dict[str, str]:
        """The fields of the next event."""
        fields: dict[str, str] = {}
        while line := stream.readline().decode():
            name, _, value = line.rstrip("\r\n").partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
            elif fields and line.isspace():  # the end of an event, where a comment is none
                return fields
        raise ConnectionError("the stream has ended")

    def _concerns(self, event: dict[str, str], task_id: str) -> bool:
        # Some were left out; or it is long since the last look, and this makes sure.
        if event.get("event") in {"reset", "alive"}:
            return True
        if event.get("event") != "task":
            return False
        task = json.loads(event["data"])["task"]
        return task is not None and task["id"] == task_id
