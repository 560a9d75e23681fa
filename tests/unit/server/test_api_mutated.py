"""Whatever programs send to the API: an answer that says what is wrong, and no error of ours."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
from clikit import FLAC
from musictasks.library import sample_album
from musictasks.server.described import OPERATIONS, Operation
from serverkit import Served, served_library

#: Routes that do not answer at once, or end what the others need.
LEFT_OUT = {"/api/events", "/logout", "/login", "/uploads/", "/uploads/{id}"}
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**63, 2**64 - 1, 1.5, 1e308, "", " ", "\0", "a" * 5000),
    *("..", "../x", "/", "a/b/c", "A/2020 - B", "A/2020 - B/01 C.flac", "\x1b[31m", "\u202e"),
    *("NaN", "album", "video", "artwork", "any", "0000", "2020", "0" * 40, "G" * 40, "ü" * 300),
    *([], {}, [[]], {"a": {"b": [1, None]}}, {"": ""}, {"\0": "\0"}),
]
DEEP = orjson.loads(b'{"a":' * 200 + b"1" + b"}" * 200)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root: Path = tmp_path_factory.mktemp("library")
    with served_library(root, annotation_bytes=2000) as served:
        yield served


class Program:
    """Sends what is wrong in many ways about tasks that are there, or are not."""

    def __init__(self, served: Served, client: httpx.Client, seed: int) -> None:
        self.served, self.client = served, client
        self.chance = random.Random(seed)
        self.statuses: Counter[int] = Counter()
        self.ids: list[str] = []

    def value(self) -> Any:
        return self.chance.choice([*VALUES, DEEP, self.chance.choice(self.ids)])

    def task(self) -> None:
        """One that waits for its bytes, or for its target."""
        data = (sample_album() / FLAC).read_bytes() + self.chance.randbytes(3)
        task = self.served.engine.begin_upload(
            content_type="albumfile", file_size=len(data), source_filename="a.flac"
        )
        self.ids = [*self.ids[-4:], task.id]
        if self.chance.random() < 0.5:
            self.served.engine.receive_chunk(task.id, data)

    def ask(self, method: str, path: str, operation: Operation) -> None:
        chance, value = self.chance, self.value
        task_id = chance.choice([*self.ids, *self.ids, quote(str(value()), safe="")])
        event = chance.choice(["remove", "retry", "succeed", quote(str(value()), safe="")])
        url = path.replace("{id}", task_id).replace("{event}", event)
        names = [name for name in operation.query if chance.random() < 0.5]
        query = {name: str(value()) for name in names}
        content = b""
        if operation.body is not None:
            members = {name: value() for name in operation.body if chance.random() < 0.7}
            content = orjson.dumps(members)
            if chance.random() < 0.1:
                content = content[: chance.randrange(len(content))]
        headers = {"Content-Type": "application/json"} if content else {}
        answer = self.client.request(method, url, params=query, content=content, headers=headers)
        # Without the extra for videos, 501 says so.
        assert answer.status_code < 500 or answer.status_code == 501, (url, query, content)
        self.statuses[answer.status_code] += 1


@pytest.mark.parametrize("number", [400, pytest.param(10_000, marks=pytest.mark.long)])
def test_no_request_is_an_error_of_ours(
    served: Served, number: int, caplog: pytest.LogCaptureFixture
):
    asked = [one for one in OPERATIONS.items() if one[0][1] not in LEFT_OUT]
    with served.client() as client, caplog.at_level(logging.ERROR, "musictasks.server"):
        program = Program(served, client, number)
        for index in range(number):
            if index % 10 == 0:
                program.task()
            (method, path), operation = program.chance.choice(asked)
            program.ask(method, path, operation)
    assert [one.getMessage() for one in caplog.records] == []
    assert {200, 400, 404, 409, 422} <= set(program.statuses), program.statuses


@pytest.mark.parametrize("kind", [ValueError, TypeError, KeyError, PermissionError])
def test_a_bug_of_ours_is_no_mistake_of_the_client(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: Any
):
    """500 and a log that says where; the answer has nothing of this machine."""

    def broken(*_: Any) -> Any:
        raise kind("/a/secret/path")

    monkeypatch.setattr(type(served.engine), "get", broken)
    with served.client() as client, caplog.at_level(logging.ERROR):
        answer = client.get("/api/tasks/x")
        upload = client.head("/uploads/x", headers={"Tus-Resumable": "1.0.0"})
    assert (answer.status_code, upload.status_code) == (500, 500)
    assert answer.headers["content-type"] == "application/problem+json"
    assert upload.headers["tus-resumable"] == "1.0.0"
    assert "secret" not in answer.text
    logged = [one for one in caplog.records if one.name == "musictasks.server.access"]
    assert len(logged) == 2
    assert all(one.exc_info and one.exc_info[0] is kind for one in logged)
