"""Waiting for what a server does with a task: its stream of events tells of each change."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

from attrs import define, field

from .remote import Remote

#: The stream says that it is alive every 15 s. Behind a proxy that holds it back nothing comes.
_SILENT_S = 20.0
#: Where there is no stream, a task is looked at so often.
_LOOK_AGAIN_S = 1.0


@define(eq=False)
class Following:
    """The events of a server, read only while somebody waits for one.

    What comes meanwhile is kept by the system and by the server. Where that is too much, or the
    stream breaks, the task is looked at once more.
    """

    remote: Remote
    _connection: HTTPConnection | None = field(default=None, init=False)
    _stream: HTTPResponse | None = field(default=None, init=False)

    def looks(self, task_id: str) -> Iterator[dict[str, Any]]:
        """A task as it is now, and again after each change, until it is gone.

        Raises:
            ServerRefused, ServerUnreachable: It cannot be looked at.
        """
        while True:
            self._begin()  # before the look: what changes after it is heard of
            task = self.remote.task(task_id)
            if task is None:
                return
            yield task
            self._wait(task_id)

    def close(self) -> None:
        """Ends the stream; the next look begins another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._stream = None

    def _begin(self) -> None:
        if self._stream is not None:
            return
        self._connection = self.remote.connection(_SILENT_S)
        try:
            stream = self.remote.ask(self._connection, "GET", "/api/events")
        except (OSError, HTTPException):
            self.close()
            return
        if stream.status == 200:
            self._stream = stream
        else:  # too many streams are open, or it just stops
            self.close()

    def _wait(self, task_id: str) -> None:
        """Returns when the task may have changed since the last event that was read."""
        if self._stream is None:
            time.sleep(_LOOK_AGAIN_S)
            return
        try:
            while not self._concerns(self._next(self._stream), task_id):
                pass
        except (OSError, HTTPException, ValueError):
            self.close()

    def _next(self, stream: HTTPResponse) -> dict[str, str]:
        """The fields of the next event."""
        fields: dict[str, str] = {}
        while line := stream.readline().decode():
            name, _, value = line.rstrip("\r\n").partition(":")
            if name:  # else it is a comment, or the empty line behind an event
                fields[name] = value.removeprefix(" ")
            elif fields and line.isspace():
                return fields
        raise ConnectionError("the stream has ended")

    def _concerns(self, event: dict[str, str], task_id: str) -> bool:
        if event.get("event") == "reset":  # some were left out
            return True
        if event.get("event") != "task":
            return False
        task = json.loads(event["data"])["task"]
        return task is not None and task["id"] == task_id
