"""The settings of the door: where it listens, who gets in, and the limits."""

from __future__ import annotations

import re
from typing import Any

from attrs import field, frozen, validators

from ..errors import SettingsError

_MIB = 1024 * 1024
_GIB = 1024 * _MIB

#: What a client can send in a header; spaces around it would be lost.
_TOKEN = re.compile(r"[!-~]([ -~]*[!-~])?")

#: What a browser or a client of this machine calls it.
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def _count(default: int) -> Any:
    return field(default=default, validator=[validators.instance_of(int), validators.ge(1)])


def _seconds(default: float) -> Any:
    number = validators.instance_of((int, float))
    return field(default=default, validator=[number, validators.gt(0), validators.le(1_000_000)])


@frozen(kw_only=True)
class ServerSettings:
    """Who gets in and how much of everything; all have defaults.

    Raises:
        SettingsError: The server would listen to other machines, but has no token; or no client
            could send its token, or it is too short.
    """

    #: The address that is listened on.
    host: str = "127.0.0.1"
    #: 0: the system chooses one.
    port: int = 8080
    #: Who knows it gets in; None: everybody on this machine does.
    token: str | None = field(default=None, repr=False)
    #: Further names by which clients may call the server (the header `Host`).
    host_names: frozenset[str] = field(default=frozenset(), converter=frozenset)
    #: Origins whose pages may use the API (CORS), as `https://example.org`.
    origins: frozenset[str] = field(default=frozenset(), converter=frozenset)
    #: Addresses of proxies whose `Forwarded` and `X-Forwarded-*` headers count.
    trusted_proxies: frozenset[str] = field(default=frozenset(), converter=frozenset)

    #: The most bytes of all unfinished uploads together.
    unfinished_bytes: int = _count(64 * _GIB)
    #: The most unfinished uploads.
    unfinished_uploads: int = _count(1000)
    #: The most bytes of one upload; for music the library's own limit counts, too.
    upload_bytes: int = _count(4 * _GIB)
    #: The longest pause between two pieces of a body, the longest for the head of a request and for
    #: a handshake of TLS, and the longest for which a client takes nothing of what it is sent.
    body_pause_s: float = _seconds(60)
    #: The most bytes of a JSON body, and of a WebSocket's packet.
    json_bytes: int = _count(1 * _MIB)
    packet_bytes: int = _count(4 * _MIB)
    #: The most bytes of a task's annotations together, as JSON, that clients bring.
    annotation_bytes: int = _count(256 * 1024)
    #: The most connections at once, of all kinds, also while they are in a handshake of TLS; what
    #: each needs is a file descriptor.
    connections: int = _count(800)
    #: The most event streams, and the most WebSockets, that are open at once.
    event_streams: int = _count(500)
    websockets: int = _count(200)
    #: The most WebSockets besides whose client has not shown the token yet, and how long it may
    #: take until it does.
    strangers: int = _count(50)
    key_pause_s: float = _seconds(10)
    #: How many notifications are kept for clients that come back.
    kept_events: int = _count(10_000)
    #: The most bytes of them, as JSON.
    kept_event_bytes: int = _count(64 * _MIB)
    #: The most tasks in the `tasklist` of a notification on MusicDB's WebSocket.
    listed_tasks: int = _count(1000)

    def __attrs_post_init__(self) -> None:
        if self.token is not None and len(self.token) < 8:
            raise SettingsError(None, "", "", "token: it has less than 8 characters")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            reason = (
                "token: clients can send letters, digits and signs of ASCII alone, with spaces "
                "between them: take another one, of openssl rand -hex 24"
            )
            raise SettingsError(None, "", "", reason)
        if self.token is None and self.host not in LOCAL_NAMES:
            reason = (
                f"host: {self.host} can be reached from other machines, and there is no token: "
                "set one (--token-file FILE, or MUSICTASKS_TOKEN), or listen on 127.0.0.1"
            )
            raise SettingsError(None, "", "", reason)
