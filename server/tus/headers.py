"""The headers of tus: what they may hold, and what they say."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from email.utils import formatdate
from typing import Any

from attrs import frozen
from starlette.datastructures import Headers

from ..problems import Problem

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,checksum,expiration"
#: The algorithms of `Upload-Checksum`, with the bytes of their digests.
ALGORITHMS = {"sha1": 20, "sha256": 32}
BODY_TYPE = "application/offset+octet-stream"

_NUMBER = re.compile(r"[0-9]{1,18}")
#: Printable ASCII without space and comma.
_KEY = re.compile(r"[!-+\--~]+")


@frozen
class Checksum:
    """What the bytes of one request have to be."""

    algorithm: str
    digest: bytes

    def new(self) -> Any:
        return hashlib.new(self.algorithm, usedforsecurity=False)

    def is_that_of(self, hashed: Any) -> bool:
        return hmac.compare_digest(hashed.digest(), self.digest)


def single(headers: Headers, name: str) -> str | None:
    """The value of a header; None where it is not there.

    Raises:
        Problem: 400, it is there more than once.
    """
    values = headers.getlist(name)
    if len(values) > 1:
        raise bad_header(name, "it is there more than once")
    return values[0].strip() if values else None


def number(headers: Headers, name: str) -> int:
    """The value of a header that has to be a number of bytes.

    Raises:
        Problem: 400, it is none, or is not there.
    """
    value = single(headers, name)
    if value is None:
        raise bad_header(name, "it is missing")
    if not _NUMBER.fullmatch(value):
        raise bad_header(name, f"{value[:80]!r} is not a number of bytes")
    return int(value)


def body_size(headers: Headers) -> int | None:
    """The bytes of the body; None where only its end will tell."""
    if "transfer-encoding" in headers:
        return None
    value = headers.get("content-length", "0")
    return int(value) if value.isascii() and value.isdigit() else None


def is_body_type(headers: Headers) -> bool:
    """Whether the body is said to be bytes of an upload."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == BODY_TYPE


def checksum(headers: Headers) -> Checksum | None:
    """What `Upload-Checksum` says.

    Raises:
        Problem: 400, it has another form, or the algorithm is not known.
    """
    name = "Upload-Checksum"
    value = single(headers, name)
    if value is None:
        return None
    algorithm, _, encoded = value.partition(" ")
    if algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise bad_header(name, f"the algorithm {algorithm[:40]!r} is none of {known}")
    digest = _decoded(encoded)
    if digest is None or len(digest) != ALGORITHMS[algorithm]:
        raise bad_header(name, f"there is no Base64 of a {algorithm} in it")
    return Checksum(algorithm, digest)


def metadata(value: str) -> dict[str, bytes]:
    """The pairs of `Upload-Metadata`; clients that have none may send it empty.

    Raises:
        Problem: 400, it has another form, or a key is there twice.
    """
    found: dict[str, bytes] = {}
    for pair in value.split(",") if value else ():
        key, _, encoded = pair.strip(" ").partition(" ")
        content = _decoded(encoded)
        if not _KEY.fullmatch(key):
            raise bad_header("Upload-Metadata", f"{key[:80]!r} is not a key")
        if content is None:
            raise bad_header("Upload-Metadata", f"the value of {key[:80]!r} is not Base64")
        if key in found:
            raise bad_header("Upload-Metadata", f"the key {key[:80]!r} is there twice")
        found[key] = content
    return found


def http_date(unix_s: float) -> str:
    """A time as HTTP has it; what lies beyond the calendar is its last day."""
    return formatdate(min(unix_s, 253_402_300_799), usegmt=True)


def bad_header(name: str, reason: str) -> Problem:
    return Problem(400, "BadHeader", f"{name}: {reason}", header=name)


def _decoded(encoded: str) -> bytes | None:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
