"""Bodies of requests, bounded before they are read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from attrs import field, frozen
from starlette.requests import ClientDisconnect, Request

from .problems import Problem

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_MOST_FIELDS = 100
#: So long a body may take as a whole: who sends a byte now and then would hold a connection, and
#: needs no token for it.
BODY_S = 10.0


@frozen
class Member:
    """A member of a JSON object that a route takes."""

    kind: type
    about: str
    required: bool = False
    #: Of a text; other kinds are bounded by the body.
    most_characters: int = field(default=4096, kw_only=True)


#: What a route takes, by name.
Members = Mapping[str, Member]


async def json_object(request: Request, members: Members, most_bytes: int) -> dict[str, Any]:
    """The JSON object in a body, with these members and no others; an empty body has none.

    A member that is null counts as one that is not there.

    Raises:
        Problem: It is too large (413), too slow (408), of another type (415), no JSON (400), or
            not such an object (422).
    """
    content = await _content(request, most_bytes, _JSON)
    if not content and not any(member.required for member in members.values()):
        return {}
    try:
        given = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "BadJSON", f"the body is no JSON: {error}") from None
    if not isinstance(given, dict):
        raise Problem(422, "BadBody", "the body is not a JSON object")
    return {name: value for name, value in _checked(given, members) if value is not None}


def _checked(given: dict[str, Any], members: Members) -> list[tuple[str, Any]]:
    unknown = sorted(set(given) - set(members))
    if unknown:
        known = ", ".join(members) or "none"
        raise Problem(
            422, "BadBody", f"there is no member {unknown[0][:100]!r}; there are: {known}"
        )
    for name, member in members.items():
        value = given.get(name)
        if value is None:
            if member.required:
                raise Problem(422, "BadBody", f"the member {name!r} is missing", member=name)
        elif type(value) is not member.kind:
            wanted = _KINDS[member.kind]
            raise Problem(422, "BadBody", f"the member {name!r} is not {wanted}", member=name)
        elif isinstance(value, str) and len(value) > member.most_characters:
            most = f"{member.most_characters} characters"
            raise Problem(422, "BadBody", f"the member {name!r} has more than {most}", member=name)
    return list(given.items())


_KINDS: dict[type, str] = {str: "text", bool: "true or false", int: "a number", dict: "an object"}


async def form(request: Request, most_bytes: int = 8192) -> dict[str, str]:
    """The fields of a form; of several with one name the last.

    Raises:
        Problem: It is too large (413), too slow (408), no form (415), or has too many fields (400).
    """
    text = (await _content(request, most_bytes, _FORM)).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(text, max_num_fields=_MOST_FIELDS))
    except ValueError:
        detail = f"the form has more than {_MOST_FIELDS} fields"
        raise Problem(400, "BadForm", detail) from None


async def _content(request: Request, most_bytes: int, media_type: str) -> bytes:
    try:
        async with asyncio.timeout(BODY_S):
            content = await _read(request, most_bytes)
    except TimeoutError:
        detail = f"the body has not come to its end in {BODY_S:g} s"
        raise Problem(408, "BodyTooSlow", detail, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise Problem(400, "BodyCut", "the connection ended before the body did") from None
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content and given != media_type:
        raise Problem(415, "BadMediaType", f"the body has to be {media_type}, not {given[:100]!r}")
    return content


async def _read(request: Request, most_bytes: int) -> bytes:
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:20]) > most_bytes:
        raise _too_large(most_bytes)
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > most_bytes:
            raise _too_large(most_bytes)
    return bytes(content)


def _too_large(most_bytes: int) -> Problem:
    return Problem(413, "BodyTooLarge", f"the body has more than {most_bytes} bytes")


def query(request: Request, *names: str) -> dict[str, str]:
    """The parameters of the address; each of them once.

    Raises:
        Problem: One is unknown, or comes twice (422).
    """
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in names or name in given:
            what = "comes twice" if name in given else f"is none of {', '.join(names) or '(none)'}"
            raise Problem(422, "BadQuery", f"the parameter {name[:100]!r} {what}")
        given[name] = value
    return given
