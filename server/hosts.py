"""Who a request says it is for and from: Host, Origin, and what trusted proxies add."""

from __future__ import annotations

import ipaddress
import re

from starlette.datastructures import Headers
from starlette.types import Scope

from .settings import LOCAL_NAMES, ServerSettings

_FORWARDED = re.compile(r'(?:^|[;,\s])(host|proto)="?([^";,\s]+)"?', re.IGNORECASE)


def through_proxies(scope: Scope, settings: ServerSettings) -> None:
    """Writes what a trusted proxy says of scheme and host into the scope; of others nothing.

    A proxy adds its own at the end: to the client's line, or in a line of its own.
    Where `Forwarded` and `X-Forwarded-*` contradict each other, the request gets no host, with
    which it is refused.
    """
    client = scope.get("client")
    if client is None or client[0] not in settings.trusted_proxies:
        return
    headers = Headers(scope=scope)
    own = _last(headers, "forwarded")
    said = {name.lower(): value for name, value in _FORWARDED.findall(own)}
    hosts = {said.get("host", ""), _last(headers, "x-forwarded-host")} - {""}
    schemes = {said.get("proto", ""), _last(headers, "x-forwarded-proto")} - {""}
    if len(hosts) > 1 or len(schemes) > 1:
        hosts = {""}  # one of them is the client's own word, which the proxy passes on
    for scheme in {scheme.lower() for scheme in schemes} & {"http", "https"}:
        secure = scheme == "https"
        websocket = scope["type"] == "websocket"
        scope["scheme"] = ("wss" if secure else "ws") if websocket else scheme
    for host in hosts:
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        scope["headers"] = [*others, (b"host", host.encode("latin-1"))]


def _last(headers: Headers, name: str) -> str:
    """The last entry of a header; all its lines are one list."""
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()


def host_name(host: str) -> str:
    """The name in a header `Host`, without port; empty where it is none."""
    match = re.fullmatch(
        r"(?:\[([0-9a-f:.]+)\]|([^\s:/?#@\[\]\\]+?)\.?)(?::[0-9]{1,5})?", host.lower()
    )
    return "" if match is None else match[1] or match[2]


def host_allowed(host: str, scope: Scope, settings: ServerSettings) -> bool:
    """Whether a client may call the server so.

    A page whose name was made to lead to this machine (DNS rebinding) comes with its own name.
    """
    name = host_name(host)
    if not name:
        return False
    own = {one.lower() for one in (*settings.host_names, settings.host)}
    return name in LOCAL_NAMES or name in own or name == _listened_on(scope)


def _listened_on(scope: Scope) -> str | None:
    """The address that the connection came in by; a name in its place does not count."""
    server = scope.get("server")
    try:
        return str(ipaddress.ip_address(server[0])) if server else None
    except ValueError:
        return None


def is_foreign(
    origin: str | None, headers: Headers, scope: Scope, settings: ServerSettings
) -> bool:
    """Whether a page of another origin, which is not one of those named, sent the request."""
    if origin is None:
        # What changes nothing and has no origin is a link that somebody follows, or no page's;
        # but a picture, say, that a strange page names would use up what is bounded.
        site = headers.get("sec-fetch-site", "none")
        reads = scope["type"] != "websocket" and scope["method"] in {"GET", "HEAD"}
        follows = reads and headers.get("sec-fetch-mode") == "navigate"
        return not follows and site not in {"none", "same-origin"}
    if origin in settings.origins:
        return False
    scheme, _, host = origin.lower().partition("://")
    secure = scope["scheme"] in {"https", "wss"}
    return scheme != ("https" if secure else "http") or host != headers.get("host", "").lower()
