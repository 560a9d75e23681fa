"""The gate before all routes: who gets in, and what every answer says to browsers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from contextlib import suppress

from attrs import define, field, frozen
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .door import Door
from .hosts import host_allowed, is_foreign, through_proxies
from .pauses import Pauses
from .problems import Problem, problem_response
from .tus.headers import VERSION as TUS_VERSION

_log = logging.getLogger(__name__)

COOKIE = "musictasks"

#: What is open to everybody whose Host and Origin are right: no task, no name is in it.
_OPEN = frozenset({"/healthz", "/login", "/logout"})
_OPEN_BELOW = "/page/"
#: Its packets bring the token themselves.
_OPEN_SOCKET = "/musicdb"
_UPLOADS = "/uploads"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
#: So many bytes of a body that was refused are read to their end, and the connection goes on.
_MOST_READ = 1024 * 1024
#: Of a longer one so many are read, in so many seconds, after the answer; then the connection is
#: closed. Closed at once it would be reset, and the client might never see the answer.
_MOST_DISCARDED = 16 * 1024 * 1024
_LINGER_S = 10.0

_STOPPING = {"Retry-After": "5", "Connection": "close"}
_STOPS = Problem(503, "ServerStops", "the server stops: send it again later", headers=_STOPPING)

_METHODS = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"
_ASKED = (
    "Authorization, Content-Type, Last-Event-ID, Tus-Resumable, Upload-Checksum, "
    "Upload-Defer-Length, Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, "
    "X-Request-ID, X-Requested-With"
)
_EXPOSED = (
    "Location, Retry-After, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, "
    "Tus-Version, Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset"
)


def _raw(**headers: str) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    return [(name.replace("_", "-").encode(), said.encode()) for name, said in headers.items()]


#: Of every answer; a route may say otherwise.
_EVERYWHERE = _raw(
    content_security_policy=_POLICY,
    x_content_type_options="nosniff",
    x_frame_options="DENY",
    referrer_policy="no-referrer",
    cross_origin_opener_policy="same-origin",
)
_NOT_OF_THE_PAGE = _raw(cache_control="no-store")
_OF_UPLOADS = _raw(tus_resumable=TUS_VERSION)
#: For pages of the origins that the settings name.
_FOR_OTHERS = _raw(
    access_control_allow_methods=_METHODS,
    access_control_allow_headers=_ASKED,
    access_control_expose_headers=_EXPOSED,
    access_control_max_age="600",
)
_FOR_NOBODY_ELSE = _raw(cross_origin_resource_policy="same-origin")


def cookie_value(token: str) -> str:
    """What the cookie holds: it proves that the token is known, and does not tell it."""
    return hmac.new(token.encode(), b"musictasks cookie", hashlib.sha256).hexdigest()


def is_token(door: Door, given: str) -> bool:
    """Whether this is the token, in a time that does not tell how much of it is right."""
    token = door.settings.token
    return token is None or hmac.compare_digest(given.encode(), token.encode())


@frozen(eq=False)
class Gate:
    """Middleware: lets a request through to `app`, or answers it."""

    app: ASGIApp
    door: Door = field(kw_only=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        through_proxies(scope, self.door.settings)
        refusal = self._refusal(scope)
        try:
            if scope["type"] == "websocket":
                await self._socket(refusal, scope, receive, send)
            else:
                await _Exchange(self, scope, receive, send).run(refusal)
        except asyncio.CancelledError:
            if not self.door.cut_off.is_set():  # else all is said
                raise

    async def _socket(
        self, refusal: Problem | Response | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if refusal is None:
            await self.app(scope, self._counted(receive), send)
            return
        await receive()
        self.door.metrics.refused(403)
        await send({"type": "websocket.close", "code": 1008, "reason": ""})

    def _counted(self, receive: Receive) -> Receive:
        async def counted() -> Message:
            message = await receive()
            self.door.metrics.received(len(message.get("bytes") or message.get("text") or ""))
            return message

        return counted

    def _refusal(self, scope: Scope) -> Problem | Response | None:
        """Why the request is not let through, or the answer that it gets without a route."""
        headers, settings = Headers(scope=scope), self.door.settings
        # A second one might be what somebody else on the way goes by.
        host, *others = headers.getlist("host") or [""]
        if others or not host_allowed(host, scope, settings):
            return Problem(421, "HostRefused", f"this server is not called {host[:100]!r}")
        origin = headers.get("origin")
        if is_foreign(origin, headers, scope, settings):
            detail = f"pages of {(origin or 'other sites')[:100]!r} may not use this server"
            return Problem(403, "OriginRefused", detail)
        if _is_preflight(scope, headers):
            return Response(status_code=204, headers={"Allow": _METHODS})
        if self._is_open(scope) or self._knows_token(headers):
            return None
        if scope["type"] == "http" and "text/html" in headers.get("accept", ""):
            return RedirectResponse(f"{scope.get('root_path', '')}/login", 303)
        challenge = {"WWW-Authenticate": 'Bearer realm="musictasks"'}
        return Problem(401, "TokenMissing", "this needs the server's token", headers=challenge)

    def _is_open(self, scope: Scope) -> bool:
        path = _path(scope)
        if scope["type"] == "websocket":
            return path == _OPEN_SOCKET
        return path in _OPEN or path.startswith(_OPEN_BELOW)

    def _knows_token(self, headers: Headers) -> bool:
        token = self.door.settings.token
        if token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return is_token(self.door, given.strip())
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        return hmac.compare_digest(cookie.encode(), cookie_value(token).encode())


@define(eq=False)
class _Exchange:
    """One request of HTTP and its answer."""

    gate: Gate
    scope: Scope
    receive: Receive
    send: Send
    #: An answer has begun.
    answered: bool = field(default=False, init=False)
    #: The body has come to its end.
    whole: bool = field(default=False, init=False)
    #: Bytes of it have come.
    begun: bool = field(default=False, init=False)
    #: It is refused, and longer than is read.
    lingers: bool = field(default=False, init=False)
    #: How long its body may pause; None before the first piece was waited for.
    pauses: Pauses | None = field(default=None, init=False)

    async def run(self, refusal: Problem | Response | None) -> None:
        if isinstance(refusal, Problem):
            refusal = problem_response(refusal)
        try:
            if refusal is not None:
                await refusal(self.scope, self.receive, self._send)
            else:
                await self.gate.app(self.scope, self._receive, self._send)
        except asyncio.CancelledError:
            if self.answered or not self.gate.door.cut_off.is_set():
                raise
            await problem_response(_STOPS)(self.scope, self.receive, self._send)
        except Exception as error:
            if self.answered:
                raise
            _log.exception("%s %r was not answered", self.scope["method"], self.scope["path"])
            detail = f"an error of the server's own, {type(error).__name__}: its log tells more"
            await problem_response(Problem(500, "ServerError", detail))(
                self.scope, self.receive, self._send
            )
        finally:
            if self.pauses is not None:
                self.pauses.close()

    async def _receive(self) -> Message:
        """The next piece of the body, which may not be waited for for ever."""
        if self.whole:
            return await self.receive()
        if self.pauses is None:
            self.pauses = Pauses(self.gate.door.settings.body_pause_s)
        try:
            message = await self.pauses.bound(self.receive())
        except TimeoutError:
            detail = f"nothing came for {self.pauses.pause_s:g} s"
            raise Problem(408, "BodyTooSlow", detail, headers={"Connection": "close"}) from None
        self.begun, self.whole = True, not message.get("more_body", False)
        self.gate.door.metrics.received(len(message.get("body", b"")))
        return message

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.answered = True
            own = self._headers()
            if message["status"] >= 400:
                self.gate.door.metrics.refused(message["status"])
                if self._much_is_left():
                    own.append((b"connection", b"close"))  # else it would be read to its end
                    self.lingers = not self.gate.door.cut_off.is_set()
            given = list(message["headers"])
            said = {name.lower() for name, _ in given}
            message["headers"] = given + [one for one in own if one[0] not in said]
            MutableHeaders(scope=message).add_vary_header("Origin")
        elif self.lingers and not message.get("more_body", False):
            await self.send({**message, "more_body": True})
            await self._discard()
            message = {"type": "http.response.body", "body": b""}
        await self.send(message)

    async def _discard(self) -> None:
        """Reads on for a while, so that the client gets to read the answer."""
        if not self.begun and "expect" in Headers(scope=self.scope):
            return  # it was not asked for its body, and sends none
        rest = _MOST_DISCARDED
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while rest > 0:
                    message = await self.receive()
                    rest -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    def _much_is_left(self) -> bool:
        headers = Headers(scope=self.scope)
        if self.whole:
            return False
        if "expect" in headers and not self.begun:
            return True  # it may never come: the next request would be taken for it
        size = headers.get("content-length", "0")
        return "transfer-encoding" in headers or len(size) > 9 or int(size) > _MOST_READ

    def _headers(self) -> list[tuple[bytes, bytes]]:
        path = _path(self.scope)
        own = list(_EVERYWHERE)
        if not path.startswith(_OPEN_BELOW):
            own += _NOT_OF_THE_PAGE
        if path == _UPLOADS or path.startswith(f"{_UPLOADS}/"):
            own += _OF_UPLOADS
        origin = Headers(scope=self.scope).get("origin")
        if origin in self.gate.door.settings.origins:
            own += [(b"access-control-allow-origin", origin.encode("latin-1")), *_FOR_OTHERS]
        else:
            own += _FOR_NOBODY_ELSE
        return own


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "OPTIONS"
        and "origin" in headers
        and "access-control-request-method" in headers
    )


def _path(scope: Scope) -> str:
    """The path below where the application is mounted."""
    return scope["path"].removeprefix(scope.get("root_path", ""))
