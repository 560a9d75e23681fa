"""What a server elsewhere answers, and what is no answer of one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http.client import HTTPResponse, IncompleteRead
from typing import Any

from ..errors import MusicTasksError

#: No answer of the API is larger.
_MOST_BYTES = 64 * 1024 * 1024


class ServerRefused(MusicTasksError):
    """The server did not do it; the same would be refused again."""

    status: int
    reason: str
    #: The problem document, where there is one.
    problem: Mapping[str, Any]

    def __str__(self) -> str:
        return f"the server refused it ({self.status}): {self.reason}"


class ServerUnreachable(MusicTasksError):
    """The server did not answer for as long as it was waited for."""

    url: str
    reason: str

    def __str__(self) -> str:
        return f"{self.url} does not answer ({self.reason}): the same command again goes on"


class NoMusictasksServer(MusicTasksError):
    """What answers is something else, or something else on the way answers in its place."""

    url: str
    reason: str

    def __str__(self) -> str:
        return f"{self.url} does not answer as a musictasks server does: {self.reason}"


def content_of(answer: HTTPResponse, url: str) -> bytes:
    """The body of an answer.

    Raises:
        HTTPException, OSError: It was cut off.
        NoMusictasksServer: It has no end.
    """
    content = answer.read(_MOST_BYTES)
    if len(content) == _MOST_BYTES:
        raise NoMusictasksServer(url, f"an answer has {_MOST_BYTES} bytes or more")
    # Of neither does `read` tell. A head without a length, and nothing after it, is a part of one.
    if answer.length or not (content or answer.chunked or answer.length == 0):
        raise IncompleteRead(content, answer.length)
    return content


def refusal(status: int, headers: Mapping[str, str], content: bytes) -> ServerRefused:
    """What an answer says that is none of success."""
    is_problem = headers.get("content-type", "").startswith("application/problem+json")
    problem = (object_in(content) if is_problem else None) or {}
    reason = str(problem.get("detail", "no reason given"))
    if status == 401:
        reason = f"{reason}: give it by --token-file, or in MUSICTASKS_TOKEN"
    return ServerRefused(status, reason, problem)


def object_in(content: bytes) -> dict[str, Any] | None:
    """The object of JSON in a body; None where there is none."""
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def number_in(headers: Mapping[str, str], name: str) -> int:
    """A number of bytes; -1 where there is none."""
    value = headers.get(name, "")
    return int(value) if re.fullmatch("[0-9]{1,18}", value) else -1
