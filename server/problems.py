"""Errors as RFC 9457 problem documents; one table says which exception is which status."""

from __future__ import annotations

import errno
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .. import errors

#: The first class that an exception is one of counts. What is in no class here is a bug of ours, or
#: a disk that fails: the gate logs it, and answers 500.
STATUS_CODES: dict[type[Exception], int] = {
    errors.TaskNotFound: 404,
    errors.TaskExists: 409,
    errors.IllegalTransition: 409,
    errors.UploadRefused: 409,
    errors.ChunkRefused: 409,
    errors.TargetExists: 409,
    errors.TaskFailed: 409,
    errors.FileChanged: 409,
    errors.InvalidTaskFile: 409,
    errors.TaskInvalid: 422,
    errors.InvalidPath: 422,
    errors.MediaError: 422,
    errors.TaskNotSaved: 507,
    errors.MusicDirectoryUnusable: 503,
    errors.DatabaseUnusable: 503,
    errors.LedgerUnusable: 503,
    errors.EngineClosed: 503,
    errors.ExtraMissing: 501,
}


#: What `answer` is asked about besides `Problem`: an OSError may say that the disk is full.
ANSWERED: tuple[type[Exception], ...] = (*STATUS_CODES, OSError)


class Problem(Exception):
    """A request that is answered by an error of the server's own.

    `kind` names it, `members` are further members of the document, `headers` of the answer.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = headers or {}
        self.members = members


def document(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status code, problem document and headers of an exception that the table knows.

    Others are raised again.
    """
    if isinstance(error, Problem):
        status, kind, members = error.status, error.kind, error.members
    else:
        status = 507 if _is_full(error) else _code(error)
        kind, members = type(error).__name__, _data(error)
    headers = error.headers if isinstance(error, Problem) else {}
    body = {"type": kind, "title": kind, "status": status, "detail": str(error), **members}
    return status, body, headers


def _code(error: Exception) -> int:
    for known, code in STATUS_CODES.items():
        if isinstance(error, known):
            return code
    raise error


def _is_full(error: BaseException | None) -> bool:
    """Whether a full disk is the reason: what is right now will be right when there is room."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return True
        error = error.__cause__
    return False


def _data(error: Exception) -> dict[str, Any]:
    """The error's own attributes; not those that say where something is on this machine."""
    names = error.__match_args__ if isinstance(error, errors.MusicTasksError) else ()
    return {name: getattr(error, name) for name in names if name != "path"}


def problem_response(error: Exception) -> Response:
    """The answer to a request that ended in an exception that the table knows."""
    status, body, headers = document(error)
    return JSONResponse(body, status, headers, media_type="application/problem+json")


async def answer_http(_request: Request, error: Exception) -> Response:
    """The same for what no route, or not this method of one, answers."""
    assert isinstance(error, HTTPException)
    kind = error.detail.title().replace(" ", "")
    detail = f"there is nothing here: {error.detail}"
    headers = dict(error.headers or {})
    return problem_response(Problem(error.status_code, kind, detail, headers=headers))


async def answer(_request: Request, error: Exception) -> Response:
    """Starlette's exception handler for everything in the table, and for `Problem`."""
    return problem_response(error)
