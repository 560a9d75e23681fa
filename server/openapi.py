"""`/openapi.json`: what all routes take and answer, described for programs (OpenAPI 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .bodies import Members
from .described import OPERATIONS, SCHEMAS, Operation
from .views import JSON

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_TYPES = {str: "string", bool: "boolean", int: "integer", dict: "object"}


def routes(others: Iterable[BaseRoute]) -> list[BaseRoute]:
    """`/openapi.json`, of those operations that `others` have."""
    there = {*operations_of(others), ("GET", "/openapi.json")}

    async def openapi(_request: Request) -> Response:
        return JSON(description(there))

    return [Route("/openapi.json", openapi, methods=["GET"])]


def operations_of(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Method and path of everything that routes answer; HEAD only where there is no GET."""
    for route in routes:
        if not isinstance(route, Route):
            continue
        methods = route.methods
        if methods is None:  # an ASGI application, which looks at the method itself
            yield from getattr(route.endpoint, "operations", ())
            continue
        for method in sorted(methods - ({"HEAD"} if "GET" in methods else set())):
            yield method, route.path


def description(there: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The document, of these operations."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path in sorted(there):
        operation = OPERATIONS.get((method, path))
        if operation is not None:
            paths.setdefault(path, {})[method.lower()] = _operation(path, operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "musictasks",
            "version": version("musictasks"),
            "description": "Tasks of a library, and its files. Errors are RFC 9457 documents.",
        },
        "paths": paths,
        "security": [{"bearer": []}, {"cookie": []}, {}],
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "musictasks"},
            },
        },
    }


def _operation(path: str, operation: Operation) -> dict[str, Any]:
    parameters = [_parameter(name, "path", about) for name, about in _in_path(path)]
    parameters += [_parameter(name, "query", about) for name, about in operation.query.items()]
    parameters += [_parameter(name, "header", about) for name, about in operation.headers.items()]
    described: dict[str, Any] = {
        "summary": operation.summary,
        "parameters": parameters,
        "responses": _responses(operation),
    }
    if operation.body is not None:
        required = any(member.required for member in operation.body.values())
        content = {"application/json": {"schema": _members(operation.body)}}
        described["requestBody"] = {"required": required, "content": content}
    elif operation.body_type is not None:
        described["requestBody"] = {"content": {operation.body_type: {}}}
    if operation.is_open:
        described["security"] = []
    return described


def _responses(operation: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": operation.answers}
    if operation.media_type is not None:
        schema = {"$ref": f"#/components/schemas/{operation.schema}"} if operation.schema else {}
        answer["content"] = {operation.media_type: {"schema": schema}}
    problem = {"application/problem+json": {"schema": _PROBLEM}}
    return {
        str(operation.status): answer,
        "default": {"description": "An error.", "content": problem},
    }


def _in_path(path: str) -> Iterator[tuple[str, str]]:
    about = {"id": "The id of a task.", "event": "An event of the lifecycle."}
    for part in path.split("/"):
        if part.startswith("{"):
            name = part.strip("{}").partition(":")[0]
            yield name, about.get(name, "")


def _parameter(name: str, where: str, about: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "description": about,
        "schema": {"type": "string"},
    }


def _members(members: Members) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            name: {
                "type": [_TYPES[member.kind], *([] if member.required else ["null"])],
                "description": member.about,
                **({"maxLength": member.most_characters} if member.kind is str else {}),
            }
            for name, member in members.items()
        },
        "required": [name for name, member in members.items() if member.required],
        "additionalProperties": False,
    }
