"""The packets of MusicDB's WebSocket: JSON objects, read with care, and written."""

from __future__ import annotations

from hmac import compare_digest
from typing import Any

import orjson
from attrs import frozen

_METHODS = frozenset({"call", "request", "broadcast"})
_KEYS = frozenset({"method", "fncname", "fncsig", "arguments", "pass", "key"})
#: The most characters of a stranger's text in a line of the log.
_SHOWN = 120


class PacketIgnored(Exception):
    """It is not a packet, or its sender may not send it; the message says why."""


@frozen
class Packet:
    """What a client wants."""

    method: str
    #: The function that is called.
    function: str
    #: What the client calls the answer; it comes back as it is, like `handed_through`.
    signature: Any
    arguments: dict[str, Any] | None
    handed_through: Any

    def answer(self, value: object) -> str | None:
        """The packet that answers, or that all clients get; None: nobody gets one."""
        if self.method == "call":
            return None
        method = "broadcast" if self.method == "broadcast" else "response"
        return written(method, self.function, self.signature, value, self.handed_through)


def read(text: str, token: str | None) -> Packet:
    """The packet of a frame.

    Args:
        text: The frame.
        token: What the packet's key has to be; None: any will do.

    Raises:
        PacketIgnored: It is none, or without the token.
    """
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise PacketIgnored(f"it is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise PacketIgnored("it is not an object")
    if missing := _KEYS - values.keys():
        raise PacketIgnored(f"it has no {', '.join(sorted(missing))}")
    if token is not None and not _is(values["key"], token):
        raise PacketIgnored("its key is not the token")
    method, function, arguments = values["method"], values["fncname"], values["arguments"]
    if not isinstance(method, str) or method not in _METHODS:
        raise PacketIgnored(f"there is no method {shown(method)}")
    if not isinstance(function, str):
        raise PacketIgnored(f"there is no function {shown(function)}")
    if not (arguments is None or isinstance(arguments, dict)):
        raise PacketIgnored("its arguments are not an object")
    return Packet(method, function, values["fncsig"], arguments, values["pass"])


def _is(key: object, token: str) -> bool:
    """Whether it is the token, found out in a time that tells nothing about it."""
    return isinstance(key, str) and compare_digest(key.encode(), token.encode())


def written(
    method: str, function: str, signature: Any, arguments: object, handed_through: Any = None
) -> str:
    """A packet from us as text.

    Raises:
        TypeError: JSON cannot hold what is in it.
    """
    packet = {
        "method": method,
        "fncname": function,
        "fncsig": signature,
        "arguments": arguments,
        "pass": handed_through,
    }
    return orjson.dumps(packet).decode()


def shown(value: object) -> str:
    """A stranger's value for the log: one line of bounded length, without control characters."""
    text = repr(value[:_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
