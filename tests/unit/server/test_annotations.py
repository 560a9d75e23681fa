"""What clients note about a task: only so much together, on each way."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from rawhttp import Tus, encoded
from serverkit import Served, served_library
from socketkit import Client

MOST = 1000
NOTE = {"a": "x" * 500}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root: Path = tmp_path_factory.mktemp("library")
    with served_library(root, annotation_bytes=MOST) as served:
        yield served


@pytest.fixture
def http(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.fixture
def task(served: Served) -> str:
    return served.engine.begin_upload(content_type="albumfile", file_size=3).id


def refused(answer: httpx.Response) -> bool:
    assert answer.status_code in {200, 413}, answer.text
    return answer.status_code == 413


def test_all_annotations_of_a_task_together_are_bounded(served: Served, http, task: str):
    """Each is small enough; what makes them no larger is still let in."""
    url = f"/api/tasks/{task}/annotations"
    assert not refused(http.post(url, json={"annotations": NOTE}))
    answer = http.post(url, json={"annotations": {"b": NOTE["a"]}})
    assert refused(answer)
    assert (answer.json()["type"], answer.json()["most"]) == ("AnnotationsTooLarge", MOST)
    assert served.engine.get(task).annotations == NOTE
    assert not refused(http.post(url, json={"annotations": {"a": "y"}}))
    assert not refused(http.post(url, json={"annotations": {"b": NOTE["a"]}}))


def test_what_a_stage_noted_may_be_larger(served: Served, http, task: str):
    """As a scan's findings; then clients can only replace by what is no larger."""
    served.engine.annotate(task, {"found": ["x"] * MOST})
    url = f"/api/tasks/{task}/annotations"
    assert refused(http.post(url, json={"annotations": {"b": 1}}))
    assert not refused(http.post(url, json={"annotations": {"found": ["y"] * MOST}}))


def test_many_at_once_are_bounded_too(served: Served, http, task: str):
    def annotate(number: int) -> bool:
        note = {"annotations": {str(number): "x" * 400}}
        return refused(http.post(f"/api/tasks/{task}/annotations", json=note))

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(annotate, range(8))) == [False, False, *[True] * 6]


def test_those_that_come_with_an_event_count(served: Served, http, task: str):
    """Nothing happens then."""
    body = {"annotations": {"a": "x" * MOST}}
    assert refused(http.post(f"/api/tasks/{task}/events/remove", json=body))
    assert served.engine.get(task).state == "waitforchunk"


def test_those_that_an_upload_begins_with_count(served: Served):
    """413, and nothing is made; what has a meaning is no annotation."""
    before = len(served.engine.tasks())
    tus = Tus(served.port)
    answer = tus.ask("POST", Upload_Length=3, Upload_Metadata=encoded({"a": "x" * MOST}))
    assert answer.status == 413
    assert len(served.engine.tasks()) == before
    assert tus.create(3, a="x" * (MOST - 100), filename="x" * 200)


def test_those_of_the_websocket_count(served: Served, task: str):
    """Its clients hear it as an error, and the task has what it had."""
    with Client(f"ws://{served.host}/musicdb") as client:
        assert client.request("AnnotateUpload", {"taskid": task, "a": "b"}) is None
        assert client.request("AnnotateUpload", {"taskid": task, "c": "x" * MOST}) is None
        told = client.wait_for(lambda packet: packet["fncsig"] == "InternalError")
        assert task in told["arguments"]["message"]
        assert "more than the 1000 that are allowed" in told["arguments"]["message"]
    assert served.engine.get(task).annotations == {"taskid": task, "a": "b"}
