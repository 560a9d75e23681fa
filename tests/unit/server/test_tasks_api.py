"""The tasks of any lifecycle, by HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from enginekit import upload
from musictasks.statemachine import MUSIC
from musictasks.testing import FaultInjector
from serverkit import Served, served_library


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_library(tmp_path_factory.mktemp("library")) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def scan(client: httpx.Client) -> str:
    return client.post("/api/scans").json()["id"]


def test_the_lifecycle_is_that_of_the_engine(client):
    told = client.get("/api/lifecycle").json()
    assert {state["name"] for state in told["states"]} == {state.name for state in MUSIC.states}


def test_a_task_says_what_may_be_sent_to_it(served, client):
    task = upload(served.engine, size=100)
    served.engine.wait(task.id, "readyforintegration", timeout=30)
    answer = client.get(f"/api/tasks/{task.id}").json()
    assert answer["state"] == answer["task"]["state"] == "readyforintegration"
    assert answer["allowed"] == ["request_integration", "request_artwork_import", "remove"]


def test_the_list_comes_in_pages_that_miss_nothing(tmp_path: Path):
    """Not even if the last task of a page goes before the next one is asked for."""
    with served_library(tmp_path) as served, served.client() as client:
        made = {scan(client) for _ in range(7)}
        seen: list[str] = []
        asked: dict[str, str | int] = {"limit": 2}
        for _ in range(4):
            page = client.get("/api/tasks", params=asked).json()
            seen += [task["id"] for task in page["tasks"]]
            asked["after"] = page["next"]
            if len(seen) == 4:
                served.engine.discard(seen[3])
        assert (len(seen), set(seen), asked["after"]) == (7, made, None)


def test_the_list_is_filtered(served, client):
    made = scan(client)
    served.engine.wait(made, "fsscancomplete", timeout=30)
    waiting = served.engine.begin_upload(content_type="albumfile", file_size=3)

    def ids(**asked: str) -> list[str]:
        return [task["id"] for task in client.get("/api/tasks", params=asked).json()["tasks"]]

    assert waiting.id in ids(state="waitforchunk")
    assert made not in ids(state="waitforchunk")
    assert made in ids(contenttype="any")
    assert ids(contenttype="any", state="waitforchunk") == []
    assert {made, waiting.id} <= set(ids())


@pytest.mark.parametrize(
    "asked",
    ["state=nonsense", "limit=0", "limit=1001", "limit=x", "after=x", "nonsense=1",
     "state=remove&state=remove", "limit=" + "9" * 50, "after=~", "state=%00", "after=nan~x",
     "limit=000000001" + "9" * 5000, "limit=0000000019999"],
)  # fmt: skip
def test_a_list_that_makes_no_sense_is_refused(client, asked):
    answer = client.get(f"/api/tasks?{asked}")
    assert answer.status_code == 422
    assert answer.json()["type"] == "BadQuery"


def test_an_event_that_is_not_allowed_says_what_is(served, client):
    task = served.engine.begin_upload(content_type="albumfile", file_size=3)
    answer = client.post(f"/api/tasks/{task.id}/events/complete_upload")
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == ("IllegalTransition", 409)
    assert (problem["state"], problem["event"]) == ("waitforchunk", "complete_upload")
    assert problem["allowed"] == ["remove"]
    assert served.engine.get(task.id).state == "waitforchunk"


def test_a_client_s_event_moves_the_task(served, client):
    made = scan(client)
    served.engine.wait(made, "fsscancomplete", timeout=30)
    body = {"message": "by hand", "annotations": {"by": "Ada"}}
    answer = client.post(f"/api/tasks/{made}/events/remove", json=body).json()
    assert answer["state"] == "remove"
    assert answer["task"]["annotations"]["by"] == "Ada"
    assert answer["task"]["history"][-1]["message"] == "by hand"


def test_no_field_of_the_record_can_be_set_by_an_event(served, client):
    task = served.engine.begin_upload(content_type="albumfile", file_size=3)
    body = {"changes": {"upload_path": "other/data"}}
    assert client.post(f"/api/tasks/{task.id}/events/remove", json=body).status_code == 422
    assert served.engine.get(task.id) == task


def test_annotations_are_merged(served, client):
    task = served.engine.begin_upload(content_type="albumfile", file_size=3)
    url = f"/api/tasks/{task.id}/annotations"
    for given in ({"a": 1}, {"b": {"c": [None, "\x00<script>"]}}):
        answer = client.post(url, json={"annotations": given})
    assert answer.json()["task"]["annotations"] == {"a": 1, "b": {"c": [None, "\x00<script>"]}}


def test_a_task_is_removed(served, client):
    task = served.engine.begin_upload(content_type="albumfile", file_size=3)
    assert client.delete(f"/api/tasks/{task.id}").status_code == 202
    served.engine.wait(task.id, "notexisting", timeout=30)
    answer = client.get(f"/api/tasks/{task.id}")
    assert (answer.status_code, answer.json()["type"]) == (404, "TaskNotFound")


def test_a_failed_upload_is_retried(served, client):
    task = upload(served.engine, checksum="0" * 40)
    assert task.state == "uploadfailed"
    answer = client.post(f"/api/tasks/{task.id}/retry").json()
    assert (answer["state"], answer["task"]["offset"]) == ("waitforchunk", 0)
    assert client.post(f"/api/tasks/{task.id}/retry").status_code == 409


def test_the_way_of_a_task_is_a_picture(served, client):
    task = served.engine.begin_upload(content_type="albumfile", file_size=3)
    served.engine.annotate(task.id, {"x": "<script>alert(1)</script>"})
    answer = client.get(f"/api/tasks/{task.id}/diagram.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "script-src" not in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<svg" in answer.text
    assert "<script" not in answer.text


HOSTILE = [
    "../x", "..%2F..%2Fetc%2Fpasswd", "%2e%2e", "%00", "a%0d%0aSet-Cookie:%20x=y", "%1b%5b31m",
    "%ff%fe", "a" * 4000, "%E2%80%AE", "'%3B--", "%7B%7D",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_no_id_and_no_event_leads_anywhere(served, client, text, caplog):
    own = served.engine.begin_upload(content_type="albumfile", file_size=3)
    for method, url in (
        ("GET", f"/api/tasks/{text}"),
        ("DELETE", f"/api/tasks/{text}"),
        ("GET", f"/api/tasks/{text}/diagram.svg"),
        ("POST", f"/api/tasks/{text}/events/remove"),
        ("POST", f"/api/tasks/{text}/retry"),
        ("POST", f"/api/tasks/{text}/integration"),
        ("POST", f"/api/tasks/{own.id}/events/{text}"),
        ("GET", f"/api/library/targets?task={text}"),
        ("GET", f"/{text}"),
    ):
        answer = client.request(method, url)
        assert answer.status_code in {404, 409, 405, 422}, url
        assert "set-cookie" not in answer.headers
        assert answer.headers["content-type"] == "application/problem+json"
        json.loads(answer.content)
    assert served.engine.get(own.id).state == "waitforchunk"
    for record in caplog.records:
        assert record.getMessage().isprintable()


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b"1", b'"x"', b"\xff", b'{"annotations": NaN}', b"[" * 100_000,
     b'{"annotations": "\\ud800"}', b'{"annotations": 1}', b'{"annotations": []}', b"",
     b'{"annotations": {"\xed\xa0\x80": 1}}'],
)  # fmt: skip
def test_a_body_that_is_no_such_object_changes_nothing(served, client, body):
    task = served.engine.begin_upload(content_type="albumfile", file_size=3)
    headers = {"Content-Type": "application/json"}
    answer = client.post(f"/api/tasks/{task.id}/annotations", content=body, headers=headers)
    assert answer.status_code in {400, 422}
    assert served.engine.get(task.id) == task


def test_what_has_no_route_is_a_problem_too(client):
    for method, url, status in (("GET", "/none", 404), ("PUT", "/api/tasks", 405)):
        answer = client.request(method, url)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_full_disk_is_said_and_it_goes_on_when_there_is_room(tmp_path: Path):
    with served_library(tmp_path) as served, served.client() as client:
        task = served.engine.begin_upload(content_type="albumfile", file_size=3)
        url, body = f"/api/tasks/{task.id}/annotations", {"annotations": {"a": 1}}
        disk = FaultInjector()
        disk.refuse("write")
        with disk.active():
            for answer in (client.post(url, json=body), client.post("/api/scans")):
                assert (answer.status_code, answer.json()["type"]) == (507, "TaskNotSaved")
        assert served.engine.get(task.id) == task
        assert client.post(url, json=body).status_code == 200
