"""MusicDB's WebSocket: each notification, the list of tasks with it, refreshes and heartbeats."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest
from clikit import ALBUM, copy_album
from enginekit import begin, upload
from musictasks.music import MusicEngine, Settings, open_library
from musictasks.server.musicdb_notices import Notices
from socketkit import Client, socket_of

#: The documented keys of a status.
KEYS = {"taskid", "offset", "chunksize", "state", "message", "task"}


def test_a_chunk_request(client: Client, engine: MusicEngine):
    """The documented status, without the list of tasks."""
    task = begin(engine)
    packet = client.wait_for(lambda packet: packet["fncsig"] == "ChunkRequest")
    status = packet.pop("arguments")
    assert packet == {
        "method": "notification",
        "fncname": "MusicDB:Task",
        "fncsig": "ChunkRequest",
        "pass": None,
    }
    assert status.keys() == KEYS
    assert (status["taskid"], status["task"]["id"]) == (task.id, task.id)


def test_a_state_update(client: Client, engine: MusicEngine):
    """The documented status, with the list that GetCurrentTasks gives."""
    waiting, task = begin(engine, b"other"), upload(engine)
    status = client.wait_for_state(task.id, "readyforintegration")
    assert status.keys() == KEYS | {"tasklist"}
    assert status["tasklist"] == client.request("GetCurrentTasks")
    assert [one["id"] for one in status["tasklist"]["albumfiles"]] == [waiting.id, task.id]


def test_an_internal_error(client: Client, engine: MusicEngine):
    """Of no task, too."""
    engine.notify("InternalError", None, "nothing works")
    packet = client.wait_for(lambda packet: packet["fncsig"] == "InternalError")
    status = packet["arguments"]
    assert status.keys() == KEYS | {"tasklist"}
    assert (status["state"], status["message"]) == ("notexisting", "nothing works")


def test_a_failure_is_told_twice(client: Client, engine: MusicEngine):
    """As MusicDB does: why, then the state."""
    task = upload(engine, b"bytes", checksum="0" * 40)
    client.wait_for_state(task.id, "uploadfailed")
    client.wait_for(lambda packet: packet["fncsig"] == "StateUpdate")
    last = [packet for packet in client.packets if packet["fncname"] == "MusicDB:Task"][-2:]
    assert [packet["fncsig"] for packet in last] == ["InternalError", "StateUpdate"]
    assert [packet["arguments"]["state"] for packet in last] == ["uploadfailed"] * 2
    assert last[0]["arguments"]["message"]
    assert last[1]["arguments"]["message"] is None


def test_an_error_of_the_server_is_no_client_that_has_gone(
    client: Client,
    engine: MusicEngine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    """Whatever its class is: the log tells of it, and the client can connect again."""

    def broken(*_arguments: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Notices, "packets", broken)
    begin(engine)
    assert client.wait_until_closed() == 1011
    assert "a bug" in caplog.text


def test_the_caches_are_refreshed_after_an_import(client: Client, engine: MusicEngine):
    """All clients are told, after they were told of the import."""
    copy_album(Path(engine.settings.music) / ALBUM)
    engine.import_music("album", ALBUM)
    refresh = client.wait_for(lambda packet: packet["fncname"] == "sys:refresh")
    assert refresh == {
        "method": "broadcast",
        "fncname": "sys:refresh",
        "fncsig": "UpdateCaches",
        "arguments": None,
        "pass": None,
    }
    before = client.packets[client.packets.index(refresh) - 1]
    assert before["arguments"]["state"] == "importcomplete"


def test_all_clients_are_notified_in_the_same_order(engine: MusicEngine, address: str):
    """And of everything that happened since they came."""
    with Client(address) as one, Client(address) as other:
        for client in (one, other):
            client.request("Bounce")
        last = [upload(engine, f"file {number}".encode()) for number in range(5)][-1]
        for client in (one, other):
            client.wait_for_state(last.id, "readyforintegration")
            engine.notify("StateUpdate", None, "the end")
            client.wait_for(lambda packet: _message(packet) == "the end")
        first_end = [_message(packet) for packet in other.packets].index("the end")
        count = len([p for p in other.packets[:first_end] if p["fncname"] == "MusicDB:Task"])
        assert one.notifications()[:count] == other.notifications()[:count]
        assert len(one.notifications()) > 20


def _message(packet: dict[str, Any]) -> str | None:
    return (packet["arguments"] or {}).get("message")


def test_a_long_list_is_bounded(musictasks_settings: Settings):
    """Beyond the bound: tasks of the same content type, those that changed last."""
    ticks = itertools.count(1_000_000)
    with (
        open_library(musictasks_settings, clock=lambda: next(ticks)) as engine,
        socket_of(engine, listed_tasks=3) as address,
        Client(address) as client,
    ):
        scan = engine.scan()
        tasks = [begin(engine, f"{n}".encode()) for n in range(3)]
        engine.annotate(tasks[0].id, {"a": 1})
        engine.annotate(tasks[2].id, {"a": 1})
        late = begin(engine, b"late", content_type="artwork", mime_type="image/png")
        engine.annotate(tasks[1].id, {"the": "last"})
        status = client.wait_for(lambda packet: "the" in _annotations(packet))["arguments"]
        listed = {key: [task["id"] for task in of] for key, of in status["tasklist"].items()}
        assert listed["albumfiles"] == [task.id for task in tasks]
        assert [*listed["any"], *listed["artworks"]] == []
        begin(engine, b"one more")
        engine.annotate(tasks[0].id, {"then": "this"})
        status = client.wait_for(lambda packet: "then" in _annotations(packet))["arguments"]
        listed = [task["id"] for task in status["tasklist"]["albumfiles"]]
        assert len(listed) == 3
        assert tasks[0].id in listed
        everything = client.request("GetCurrentTasks")
        assert sum(map(len, everything.values())) == 6
        assert {scan.id, late.id} == {t["id"] for k in ("any", "artworks") for t in everything[k]}


def _annotations(packet: dict[str, Any]) -> dict[str, Any]:
    if packet["fncsig"] != "StateUpdate" or packet["arguments"]["task"] is None:
        return {}
    return packet["arguments"]["task"]["annotations"]


def test_chunks_that_are_asked_for_fit_into_packets(musictasks_settings: Settings):
    """A client that sends what it was asked for is never refused for the size."""
    with (
        open_library(musictasks_settings) as engine,
        socket_of(engine, packet_bytes=128 * 1024) as address,
        Client(address) as client,
    ):
        data = bytes(100_000)
        task = begin(engine, data)
        status = client.wait_for_state(task.id, "waitforchunk")
        assert status["chunksize"] == 32 * 1024
        chunk = data[: status["chunksize"]].hex()
        client.request("UploadChunk", {"taskid": task.id, "chunkdata": chunk})
        assert engine.get(task.id).offset == status["chunksize"]


def test_heartbeats_while_nothing_else_is_sent(client: Client):
    """One each second, and none to whom something else was sent."""
    client.request("Bounce")
    client.heartbeats = 0
    time.sleep(2.3)
    assert client.heartbeats == 2
    until = time.monotonic() + 1.2
    client.heartbeats = 0
    while time.monotonic() < until:
        client.request("Bounce")
        time.sleep(0.1)
    assert client.heartbeats == 0
