"""Every operation in a few words, as data; a test holds it against the routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from ..music import Answer
from .bodies import Members
from .library import ARTWORK, IMPORT, INTEGRATION, PREFLIGHT, TARGET_QUERY
from .tasks import ANNOTATIONS, EVENT, RETRY


@frozen(kw_only=True)
class Operation:
    """What one method of one path takes and answers."""

    summary: str
    answers: str = "The task."
    status: int = 200
    #: The type of the answer's body; None: it has none.
    media_type: str | None = "application/json"
    #: A name in `SCHEMAS`.
    schema: str | None = "Task"
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    #: A JSON object.
    body: Members | None = None
    #: Of a body that is none.
    body_type: str | None = None
    #: No token is needed.
    is_open: bool = False


def _text(summary: str, answers: str, media_type: str = "application/json", **more: Any) -> Any:
    return Operation(summary=summary, answers=answers, media_type=media_type, schema=None, **more)


def _bare(summary: str, answers: str, status: int, **more: Any) -> Operation:
    return Operation(
        summary=summary, answers=answers, status=status, media_type=None, schema=None, **more
    )


_TUS = {"Tus-Resumable": "1.0.0"}
_OFFSET = {**_TUS, "Upload-Offset": "Where the bytes belong.", "Upload-Checksum": "sha1 BASE64"}
_CREATION = {
    **_TUS,
    "Upload-Length": "Bytes of the whole file.",
    "Upload-Metadata": "filename, filetype, checksum, contenttype, taskid; others are annotations.",
}
_BYTES = "application/offset+octet-stream"
_FORM = "application/x-www-form-urlencoded"

#: By method and path.
OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/healthz"): _text(
        "Whether the engine works and its directory is its own; 503 where not.",
        "It does.",
        is_open=True,
    ),
    ("GET", "/metrics"): _text("Figures for Prometheus.", "As it reads them.", "text/plain"),
    ("GET", "/openapi.json"): _text("This description.", "OpenAPI 3.1."),
    ("POST", "/login"): _bare(
        "Gives the cookie to whoever sends the token as form field `token`.",
        "To the page, or to the form again.",
        303,
        body_type=_FORM,
        is_open=True,
    ),
    ("POST", "/logout"): _bare("Takes the cookie back.", "To the form.", 303, is_open=True),
    ("GET", "/api/lifecycle"): _text(
        "States, stages and edges, as `musictasks diagram --format json`.", "The lifecycle."
    ),
    ("GET", "/api/tasks"): Operation(
        summary="The tasks, the oldest first, in pages.",
        answers="A page of tasks.",
        schema="Tasks",
        query={
            "state": "Only those in this state.",
            "contenttype": "Only those of this content type.",
            "after": "What the page before had as `next`.",
            "limit": "The most tasks of a page, 1 to 1000; 500.",
        },
    ),
    ("GET", "/api/tasks/{id}"): Operation(summary="One task."),
    ("DELETE", "/api/tasks/{id}"): Operation(
        summary="Removes a task and its data; what the library has stays.", status=202
    ),
    ("GET", "/api/tasks/{id}/diagram.svg"): _text(
        "A task's way through the lifecycle.", "A picture.", "image/svg+xml"
    ),
    ("POST", "/api/tasks/{id}/events/{event}"): Operation(
        summary="Sends one of the events that are `allowed`.", body=EVENT
    ),
    ("POST", "/api/tasks/{id}/annotations"): Operation(
        summary="Merges annotations into those of a task.", body=ANNOTATIONS
    ),
    ("POST", "/api/tasks/{id}/retry"): Operation(summary="Does again what failed.", body=RETRY),
    ("POST", "/api/tasks/{id}/integration"): Operation(
        summary="Puts an upload at its place; an image becomes artwork of what is at `target`.",
        body=INTEGRATION,
    ),
    ("POST", "/api/imports"): Operation(
        summary="Imports what is in the Music Directory into the database.",
        status=201,
        body=IMPORT,
    ),
    ("POST", "/api/artwork"): Operation(
        summary="Makes artwork of a file in the Music Directory.", status=201, body=ARTWORK
    ),
    ("POST", "/api/scans"): Operation(
        summary="Compares the Music Directory with the database.", status=201, body={}
    ),
    ("POST", "/api/preflight"): Operation(
        summary="What would become of an upload, before a byte of it is sent.",
        answers="`send` it, `go on` with a task, it is `there`, or `refused`.",
        schema="Preflight",
        body=PREFLIGHT,
    ),
    ("GET", "/api/library/targets"): Operation(
        summary="Where an upload would go, by its tags and annotations.",
        answers="What is known, and a target where that is enough.",
        schema="Proposal",
        query=TARGET_QUERY,
    ),
    ("GET", "/api/events"): _text(
        "Notifications, as server-sent events `task`, `reset` and `alive`.",
        "A stream that does not end.",
        "text/event-stream",
        query={"since": "The id of the last event that the client has, or its number."},
        headers={"Last-Event-ID": "As `since`; counts more."},
    ),
    ("OPTIONS", "/uploads/"): _bare("What the server can do, by tus.", "Its headers say.", 200),
    ("POST", "/uploads/"): _bare(
        "Begins an upload, by tus 1.0.0.",
        "`Location` is the upload.",
        201,
        headers=_CREATION,
        body_type=_BYTES,
    ),
    ("OPTIONS", "/uploads/{id}"): _bare("What the server can do, by tus.", "As above.", 200),
    ("HEAD", "/uploads/{id}"): _bare(
        "Where an upload stands.", "`Upload-Offset`.", 200, headers=_TUS
    ),
    ("PATCH", "/uploads/{id}"): _bare(
        "The next bytes of an upload.", "`Upload-Offset`.", 204, headers=_OFFSET, body_type=_BYTES
    ),
    ("DELETE", "/uploads/{id}"): _bare("Ends an upload.", "It is gone.", 204, headers=_TUS),
}

_TEXT = {"type": ["string", "null"]}
_NUMBER = {"type": ["integer", "null"]}

SCHEMAS: dict[str, Any] = {
    "Task": {
        "type": "object",
        "required": ["id", "state", "allowed", "task"],
        "properties": {
            "id": {"type": "string"},
            "state": {"type": "string"},
            "allowed": {
                "type": "array",
                "items": {"type": "string"},
                "description": "The events that a client may send now; guards may still refuse.",
            },
            "task": {"type": "object", "description": "The record, with the keys of its file."},
        },
    },
    "Tasks": {
        "type": "object",
        "required": ["tasks", "next", "last", "run"],
        "properties": {
            "tasks": {"type": "array", "items": {"$ref": "#/components/schemas/Task"}},
            "next": {**_TEXT, "description": "For `after`; null: this is the last page."},
            "last": {
                "type": "integer",
                "description": "The newest notification when the tasks were read; for `since`.",
            },
            "run": {"type": "string", "description": "Another one after each start."},
        },
    },
    "Proposal": {
        "type": "object",
        "required": ["target", "reason", "usable"],
        "properties": {
            "target": _TEXT,
            "reason": {**_TEXT, "description": "Why there is no target, or not this one."},
            "usable": {"type": "boolean"},
            **dict.fromkeys(("artist", "album", "title"), _TEXT),
            "spelling": {
                **_TEXT,
                "description": "How the library spells the artist, if that is otherwise.",
            },
            **dict.fromkeys(("year", "disc", "number"), _NUMBER),
        },
    },
    "Preflight": {
        "type": "object",
        "required": ["answer", "task_id", "offset", "path", "reason"],
        "properties": {
            "answer": {"enum": [str(answer) for answer in Answer]},
            "task_id": {
                **_TEXT,
                "description": "With `go on`, or of the task that stands in the way.",
            },
            "offset": {**_NUMBER, "description": "With `go on`: the first byte that is missing."},
            "path": {
                **_TEXT,
                "description": "With `there`: of the file, or the album that an archive became.",
            },
            "reason": {**_TEXT, "description": "With `refused`."},
        },
    },
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "description": "The kind of the error."},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
    },
}
