"""The description against the routes, and against what they answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from musictasks.server.described import OPERATIONS
from musictasks.server.openapi import operations_of
from serverkit import Served, served_library


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_library(tmp_path_factory.mktemp("library")) as served:
        yield served


@pytest.fixture(scope="module")
def described(served: Served) -> dict[str, Any]:
    with served.client() as client:
        return client.get("/openapi.json").json()


def test_it_describes_every_route_and_no_other(served, described):
    """The page's own files are for browsers."""
    there = {
        (method, path)
        for method, path in operations_of(served.app.routes)
        if path not in {"/", "/login"} and not path.startswith("/page/")
    }
    there |= {("POST", "/login")}
    told = {(m.upper(), path) for path, item in described["paths"].items() for m in item}
    assert told == there
    assert told == set(OPERATIONS)  # those of uploads, too, which no route lists


def test_each_operation_says_what_it_takes(described):
    for path, item in described["paths"].items():
        for operation in item.values():
            given = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert given == set(re.findall(r"{(\w+)", path))
            assert operation["summary"].endswith(".")


def test_every_reference_leads_somewhere(described):
    text = str(described)
    schemas = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert schemas <= set(described["components"]["schemas"])
    assert {one.schema for one in OPERATIONS.values() if one.schema} <= schemas


def _bodies(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in described["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                yield method, path, content["application/json"]["schema"]


def test_the_described_members_are_those_that_are_taken(served, described):
    """A member too many is refused, one of each wrong type too, and a missing one is named."""
    found = list(_bodies(described))
    assert len(found) == 8
    with served.client() as client:
        for method, path, schema in found:
            url = path.format(id="none", event="none")

            def send(body: object, url: str = url, method: str = method) -> httpx.Response:
                return client.request(method, url, json=body)

            answer = send({"no such member": 1})
            assert answer.status_code == 422, url
            assert [*schema["properties"]] == [
                name for name in answer.json()["detail"].partition("there are: ")[2].split(", ")
                if name != "none"
            ]  # fmt: skip
            for name in schema["properties"]:
                answer = send({name: [1]})
                assert (answer.status_code, answer.json()["type"]) == (422, "BadBody")
            if schema["required"]:
                assert send({}).json()["member"] == schema["required"][0]


def test_the_answers_have_the_described_members(tmp_path: Path):
    with served_library(tmp_path) as served, served.client() as client:
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
        task = client.post("/api/scans").json()
        assert set(task) == set(schemas["Task"]["properties"])
        listed = client.get("/api/tasks").json()
        assert set(listed) == set(schemas["Tasks"]["properties"])
        asked = client.post("/api/preflight", json={"filesize": 3}).json()
        assert set(asked) == set(schemas["Preflight"]["properties"])
        proposed = {"artist": "A", "album": "B", "year": "2000"}
        target = client.get("/api/library/targets", params=proposed).json()
        assert set(target) == set(schemas["Proposal"]["properties"])
        problem = client.get("/api/tasks/none").json()
        assert set(problem) >= set(schemas["Problem"]["required"])
