"""Server-sent events: numbered, none lost between two connections, bounded."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import frozen
from musictasks.server import events, feed, serving
from rawhttp import head
from serverkit import Served, ServerProcess, served_library, wait_until


@frozen
class Sent:
    kind: str
    id: str
    data: dict[str, Any]


@contextmanager
def stream(served: Any, since: str | None = None, **options: Any) -> Iterator[Iterator[Sent]]:
    headers = {} if since is None else {"Last-Event-ID": since}
    with (
        served.client() as client,
        client.stream("GET", "/api/events", headers=headers, **options) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")  # from here on it listens
        yield parsed(lines)


def parsed(lines: Iterator[str]) -> Iterator[Sent]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        elif "data" in fields:
            yield Sent(fields["event"], fields["id"], json.loads(fields["data"]))
            fields = {}


def begin(served: Served) -> str:
    return served.engine.begin_upload(content_type="albumfile", file_size=3).id


def test_each_notification_comes_with_the_task_and_a_number_that_grows(served):
    with stream(served) as sent:
        task = begin(served)
        served.engine.annotate(task, {"a": 1})
        first, second = next(sent), next(sent)
    assert first.kind == second.kind == "task"
    assert [one.data["notification"] for one in (first, second)] == ["ChunkRequest", "StateUpdate"]
    assert first.data["task"]["id"] == task
    assert first.data["task"]["allowed"] == ["remove"]
    assert first.data["task"]["task"]["filesize"] == 3
    assert not first.data["gone"]
    run, _, number = first.id.partition("-")
    assert second.id == f"{run}-{int(number) + 1}"


def test_the_end_of_a_task_is_told(served):
    task = begin(served)
    with stream(served) as sent:
        served.engine.discard(task)
        # Of the beginning the stream hears, too, if it was told late.
        assert any(one.data["task"]["state"] == "remove" for one in sent)


def test_a_reader_that_comes_back_has_missed_nothing(served):
    with stream(served) as sent:
        begin(served)
        last = next(sent).id
    begin(served)
    begin(served)
    with stream(served, last) as sent:
        begin(served)
        seen = [next(sent) for _ in range(3)]
    numbers = [int(one.id.partition("-")[2]) for one in seen]
    assert numbers == [int(last.partition("-")[2]) + n for n in (1, 2, 3)]


def test_the_list_and_the_stream_fit_together(served):
    """What happens after the list was read comes by the stream since its number."""
    before = begin(served)
    with served.client() as client:
        listed = client.get("/api/tasks").json()
    after = begin(served)
    with stream(served, params={"since": str(listed["last"])}) as sent:
        seen = next(sent).data["task"]["id"]
        if seen == before:  # its notification was still on its way
            seen = next(sent).data["task"]["id"]
    assert [task["id"] for task in listed["tasks"]] == [before]
    assert seen == after


@pytest.mark.parametrize(
    "since", ["0123456789ab-1", "nonsense", "999999", "x-1", "-1", "1-1", "9" * 400]
)
def test_who_comes_from_elsewhere_starts_over(served, since):
    with stream(served, since) as sent:
        first = next(sent)
        assert (first.kind, first.data) == ("reset", {})
        begin(served)
        assert next(sent).kind == "task"


def test_who_is_too_far_behind_starts_over_once(tmp_path: Path):
    with served_library(tmp_path, kept_events=10) as served:
        with stream(served) as sent:
            begin(served)
            last = next(sent).id
        for _ in range(11):
            begin(served)
        wait_until(lambda: served.app.state.door.feed.last == 12)
        with stream(served, last) as sent:
            assert next(sent).kind == "reset"
            begin(served)
            assert next(sent).kind == "task"


def test_after_a_restart_one_starts_over(tmp_path: Path):
    with ServerProcess(tmp_path) as server:
        with stream(server) as sent, server.client() as client:
            client.post("/api/scans")
            last = next(sent).id
        server.kill()
        server.start()
        with stream(server, last) as sent:
            assert next(sent).kind == "reset"


def test_a_quiet_stream_says_that_it_is_alive(served, monkeypatch):
    monkeypatch.setattr(events, "PAUSE_S", 0.05)
    with (
        served.client() as client,
        client.stream("GET", "/api/events") as answer,
    ):
        lines = answer.iter_lines()
        said = [next(lines) for _ in range(10)]
    assert said.count(": still here") == 2
    assert said[-4:] == [": still here", "event: alive", "data: {}", ""]


def test_there_are_no_more_streams_than_allowed(tmp_path: Path):
    with served_library(tmp_path, event_streams=2) as served, served.client() as client:
        with stream(served), stream(served):
            answer = client.get("/api/events")
            assert (answer.status_code, answer.json()["type"]) == (503, "TooManyStreams")
            assert "retry-after" in answer.headers

        def has_room() -> bool:
            with client.stream("GET", "/api/events") as answer:
                return answer.status_code == 200

        wait_until(has_room)  # a place gets free when its reader goes


def test_a_reader_that_reads_nothing_holds_up_nobody_and_starts_over(tmp_path: Path):
    """It costs no more than the buffers of its socket; what it missed is said."""
    with served_library(tmp_path, kept_events=5) as served:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with connection:
            connection.connect(("127.0.0.1", served.port))
            connection.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(15, socket.MSG_WAITALL) == b"HTTP/1.1 200 OK"
            task, filler = begin(served), {"filler": "x" * 100_000}
            with stream(served) as sent:
                for _ in range(100):
                    served.engine.annotate(task, filler)
                    while next(sent).data["notification"] != "StateUpdate":
                        pass
            connection.settimeout(30)
            seen = b""
            while b"event: reset" not in seen[-300_000:]:
                piece = connection.recv(1 << 20)
                assert piece
                seen += piece
            assert len(seen) < 9_000_000


def test_of_what_a_reader_is_behind_one_event_waits_for_it(served):
    """Else a few that read nothing would fill the memory with all that is kept."""
    task = begin(served)
    for number in range(20):
        served.engine.annotate(task, {"filler": f"{number}" + "x" * 100_000})
    door = served.app.state.door
    wait_until(lambda: door.feed.last >= 20)

    async def sizes() -> list[int]:
        async with aclosing(events.Streams(door).pieces(f"{door.feed.run}-0")) as pieces:
            return [len(await anext(pieces)) for _ in range(20)]

    assert 100_000 < max(asyncio.run(sizes())) < 200_000


def test_the_texts_for_all_streams_are_bounded(served, monkeypatch):
    monkeypatch.setattr(feed, "_WRITTEN_BYTES", 300_000)
    task = begin(served)
    for number in range(8):
        served.engine.annotate(task, {"filler": f"{number}" + "x" * 100_000})
    door = served.app.state.door
    wait_until(lambda: door.feed.last >= 8)
    found = door.feed.since(0)
    assert found
    texts = [door.feed.written(event) for event in found]
    kept = list(door.feed._written.values())
    assert 0 < sum(map(len, kept)) <= 300_000
    assert kept == texts[-len(kept) :]
    assert [door.feed.written(event) for event in found] == texts


def test_many_readers_get_the_same(served):
    count = 20
    seen: list[list[str]] = []
    ready = threading.Barrier(count + 1)

    def read() -> None:
        with stream(served) as sent:
            ready.wait(30)
            seen.append([next(sent).id for _ in range(10)])

    threads = [threading.Thread(target=read) for _ in range(count)]
    for thread in threads:
        thread.start()
    ready.wait(30)
    for _ in range(10):
        begin(served)
    for thread in threads:
        thread.join(30)
    assert len(seen) == count
    assert all(one == seen[0] for one in seen)


def test_who_announces_a_body_and_sends_none_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """The stream ends as others do, and its place is free."""
    with served_library(tmp_path, body_pause_s=0.2, event_streams=1) as served:
        with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
            connection.sendall(head("GET", "/api/events", {}, 10))
            seen = b""
            while not seen.endswith(b"\r\n0\r\n\r\n"):
                piece = connection.recv(65536)
                assert piece, seen
                seen += piece
        assert b"retry: 1000" in seen
        with stream(served):
            pass
    assert not [one for one in caplog.records if one.levelname != "INFO"]


def test_the_server_stops_while_streams_are_open(tmp_path: Path):
    """At once: it does not wait until those who are under way have had their time."""
    with served_library(tmp_path) as served:
        client = httpx.Client(base_url=served.url, trust_env=False)
        opened = client.stream("GET", "/api/events")
        opened.__enter__()
        stopped_at = time.monotonic()
    assert time.monotonic() - stopped_at < serving.GRACE_S - 1
    opened.__exit__(None, None, None)
    client.close()
