"""The cookie by which a browser shows that it knows the token."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from .access import COOKIE, cookie_value, is_token
from .bodies import form
from .door import Door

#: 90 days; another token ends it before.
_COOKIE_AGE_S = 90 * 24 * 3600


def routes(door: Door) -> list[BaseRoute]:
    """`POST /login` with the form field `token`, and `POST /logout`."""

    async def login(request: Request) -> Response:
        given = (await form(request)).get("token", "").strip()
        if not is_token(door, given):
            door.metrics.refused(401)
            return _redirect(request, "/login?wrong")
        response = _redirect(request, "/")
        token = door.settings.token
        if token is not None:
            _set_cookie(request, response, cookie_value(token), _COOKIE_AGE_S)
        return response

    async def logout(request: Request) -> Response:
        response = _redirect(request, "/login" if door.settings.token else "/")
        _set_cookie(request, response, "", 0)
        return response

    return [
        Route("/login", login, methods=["POST"]),
        Route("/logout", logout, methods=["POST"]),
    ]


def _redirect(request: Request, path: str) -> Response:
    return RedirectResponse(f"{request.scope.get('root_path', '')}{path}", 303)


def _set_cookie(request: Request, response: Response, value: str, age_s: int) -> None:
    response.set_cookie(
        COOKIE,
        value,
        max_age=age_s,
        path=request.scope.get("root_path", "") or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
