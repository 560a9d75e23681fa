"""MusicDB's WebSocket and clients that mean no good, or know no better."""

from __future__ import annotations

import json
import logging
import os
import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from enginekit import begin
from musictasks.engine import EngineSettings
from musictasks.music import MusicEngine
from musictasks.server import make_app
from papers import open_papers
from socketkit import Client, socket_of
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

TOKEN = "correct horse battery staple"
PACKET = {
    "method": "request",
    "fncname": "Bounce",
    "fncsig": "",
    "arguments": {"a": 1},
    "pass": None,
    "key": None,
}


@pytest.fixture
def guarded(engine: MusicEngine) -> Iterator[str]:
    """The address of a server with a token."""
    with socket_of(engine, token=TOKEN) as address:
        yield address


def test_a_wrong_token(guarded: str, engine: MusicEngine):
    """Nothing is done, nothing comes but heartbeats, and the right one is heard afterwards."""
    with Client(guarded) as client:
        for key in (None, "", "wrong", TOKEN[:-1], TOKEN + "x", 7, [TOKEN], "ü", True):
            client.send("InitiateFilesystemScan", method="request", key=key)
            client.send("Bounce", {"to": "all"}, method="broadcast", key=key)
        engine.notify("StateUpdate", None, "a secret")
        time.sleep(0.3)
        assert client.packets == []
        client.key = TOKEN
        assert client.request("Bounce", {"a": 1}) == {"a": 1}
        assert engine.tasks() == []
        engine.notify("StateUpdate", None, "no secret")
        status = client.wait_for(lambda packet: packet["fncname"] == "MusicDB:Task")["arguments"]
        assert status["message"] == "no secret"


def test_broadcasts_are_for_those_with_the_token(guarded: str):
    """What clients tell each other, no stranger hears."""
    with Client(guarded) as stranger, Client(guarded, TOKEN) as client:
        client.request("Bounce")
        client.send("Bounce", {}, method="broadcast")
        client.wait_for(lambda packet: packet["method"] == "broadcast")
        time.sleep(0.2)
        assert stranger.packets == []


def test_the_first_packet_with_the_token_is_notified_of(guarded: str):
    """What its own call brings about is not missed."""
    with Client(guarded, TOKEN) as client:
        client.send("InitiateFilesystemScan", method="request")
        client.wait_for(lambda packet: packet["method"] == "response")
        scan = client.packets[0]["arguments"] if client.packets[0]["method"] == "response" else None
        client.wait_for(lambda p: p["fncname"] == "MusicDB:Task" and _state(p) == "startfsscan")
        assert scan is None or client.wait_for_state(scan, "startfsscan")


def _state(packet: dict[str, Any]) -> str:
    return packet["arguments"]["state"]


NO_PACKETS = [
    *("", "x", "null", "[]", "7", '"text"', "{}", "{" * 10_000, "[" * 100_000, '{"method":'),
    *('{"a": NaN}', '"\\ud800"', b"\x00\xff"),
    *(json.dumps({k: v for k, v in PACKET.items() if k != key}) for key in PACKET),
    *(json.dumps(PACKET | {"method": method}) for method in ("notification", "", None, [], {})),
    *(json.dumps(PACKET | {"fncname": name}) for name in ("bounce", "__init__", None, 7, [])),
    *(json.dumps(PACKET | {"arguments": given}) for given in ([], "a", 7, False)),
]


def test_what_is_no_packet_is_ignored(address: str, caplog: pytest.LogCaptureFixture):
    """Logged, without an answer, and the connection goes on."""
    for packet in NO_PACKETS:
        caplog.clear()
        with Client(address) as client:
            client.connection.send(packet)
            assert client.request("Bounce", {"a": 1}) == {"a": 1}, packet[:80]
            assert len(client.packets) == 2, packet[:80]  # the answers to what `request` sent
        assert "is ignored" in caplog.text, packet[:80]


def test_what_is_ignored_does_not_fill_the_log(guarded: str, caplog: pytest.LogCaptureFixture):
    """Of each connection the first ten are logged, and that there are more."""
    caplog.set_level(logging.WARNING, "musictasks.server")
    for _ in range(2):
        caplog.clear()
        with Client(guarded) as client:
            for packet in ("", b"") * 100:
                client.connection.send(packet)
            client.key = TOKEN
            assert client.request("Bounce", {"a": 1}) == {"a": 1}
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) == 11
        assert all("is ignored: " in line for line in lines[:10])
        assert "not logged" in lines[10]


def test_invalid_utf8_ends_the_connection(client: Client, address: str):
    """As the protocol wants it; others are not disturbed."""
    client.connection.send(b"\xff\xfe{", text=True)
    assert client.wait_until_closed() == 1007
    with Client(address) as other:
        assert other.request("Bounce", {}) == {}


def test_the_log_has_no_control_characters(client: Client, caplog: pytest.LogCaptureFixture):
    """Whatever a stranger writes stays one line of bounded length."""
    evil = "\x1b[31m\r\nroot logged in\u202e\u2028\x00" * 1000
    caplog.set_level(logging.WARNING, "musictasks.server")
    for changes in ({"method": evil}, {"fncname": evil}, {"fncname": [evil]}):
        client.connection.send(json.dumps(PACKET | changes))
    for arguments in ({"taskid": evil, "musicpath": evil}, {evil: evil}):
        client.send("InitiateContentIntegration", arguments)
    client.send("InitiateMusicImport", {"contenttype": "album", "contentpath": evil})
    client.request("Bounce")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 6
    for line in lines:
        assert line.isprintable()
        assert len(line) < 400


def test_a_thousand_mutated_packets(client: Client, engine: MusicEngine):
    """None of them ends the connection, or makes what nobody asked for."""
    chance = random.Random(7)
    task = begin(engine, b"0123456789")
    chunk = {"taskid": task.id, "chunkdata": "3031"}
    seeds = [
        json.dumps(PACKET | {"fncname": name, "arguments": arguments})
        for name, arguments in (
            *(("Bounce", {"a": [1, "ö"]}), ("UploadChunk", chunk), ("AnnotateUpload", chunk)),
            *(("RemoveUpload", {"taskid": "none"}), ("GetCurrentTasks", None)),
        )
    ]
    for _ in range(1000):
        text = list(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(text))
            text[place : place + chance.randint(0, 2)] = chance.choice('{}[]",:0aé\\\x00n\n')
        client.connection.send("".join(text))
    assert client.request("Bounce", {"a": 1}) == {"a": 1}
    assert [one.id for one in engine.tasks()] == [task.id]


def test_a_packet_that_is_too_large(engine: MusicEngine):
    """It ends the connection, at the bound and not before."""
    with socket_of(engine, packet_bytes=10_000) as address:
        with Client(address) as client:
            arguments = {"a": "x" * 9_000}
            assert client.request("Bounce", arguments) == arguments
        with Client(address) as client:
            client.send("Bounce", {"a": "x" * 10_000})
            assert client.wait_until_closed() == 1009


@pytest.mark.parametrize("in_frames", [False, True], ids=["one frame", "many frames"])
def test_a_gigabyte_of_hex(address: str, engine: MusicEngine, in_frames: bool):
    """It is refused when its size is known, and costs no memory."""
    before = _memory()
    with connect(address) as connection:
        mask = os.urandom(4)
        piece = bytes(1024 * 1024)
        sent = 0
        with pytest.raises(OSError), connection.socket.dup() as raw:  # noqa: PT011, PT012
            raw.settimeout(20)
            if not in_frames:
                raw.sendall(b"\x81\xff" + struct.pack("!Q", 1 << 30) + mask)
            for number in range(1024):
                if in_frames:
                    head = b"\x01" if number == 0 else b"\x00"
                    raw.sendall(head + b"\xff" + struct.pack("!Q", len(piece)) + mask)
                raw.sendall(piece)
                sent += len(piece)
    assert sent < 256 * 1024 * 1024  # with what the system holds for both ends
    assert _memory() - before < 40 * 1024 * 1024


def test_a_client_that_reads_nothing(engine: MusicEngine):
    """It holds nobody up, costs bounded memory, and is let go."""
    with (
        socket_of(engine, body_pause_s=1, websockets=2) as address,
        connect(address, max_queue=1, close_timeout=0.1) as deaf,
    ):
        _stop_reading(deaf.socket)
        text = "x" * 100_000
        with Client(address) as client:
            for number in range(200):
                engine.notify("StateUpdate", None, f"{number} {text}")
            client.wait_for(lambda packet: _is_last(packet, 199))
            before = _memory()
            client.packets.clear()
            for _ in range(200):
                client.send("Bounce", {"message": text}, method="broadcast")
            engine.notify("StateUpdate", None, "400")
            client.wait_for(lambda packet: _is_last(packet, 400))
            client.packets.clear()
            assert _memory() - before < 64 * 1024 * 1024
            _wait_for_room(address)


def _is_last(packet: dict[str, Any], number: int) -> bool:
    message = packet["arguments"].get("message") or ""
    return packet["fncname"] == "MusicDB:Task" and message.startswith(f"{number}")


def _stop_reading(raw: socket.socket) -> None:
    """The smallest buffer that there is; what came before is in it."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)


def _wait_for_room(address: str) -> None:
    """Until one more client is let in: the deaf one has no place any more."""
    until = time.monotonic() + 10
    while True:
        try:
            with Client(address) as client:
                assert client.request("Bounce", {}) == {}
                return
        except InvalidStatus as error:
            assert error.response.status_code == 403  # noqa: PT017
            assert time.monotonic() < until
            time.sleep(0.1)


def test_a_client_that_asks_and_reads_nothing(engine: MusicEngine):
    """Its questions wait with it: no answers pile up, and in the end it is let go."""
    with socket_of(engine, body_pause_s=1) as address:
        with connect(address, max_queue=1, close_timeout=0.1) as deaf:
            _stop_reading(deaf.socket)
            question = json.dumps(PACKET | {"arguments": {"a": "x" * 1_000_000}})
            before = _memory()
            with pytest.raises(ConnectionClosed):
                _ask(deaf, question, 1000)
            assert _memory() - before < 64 * 1024 * 1024
        with Client(address) as client:
            assert client.request("Bounce", {}) == {}


def _ask(connection: Any, question: str, times: int) -> None:
    for _ in range(times):
        connection.send(question)


def _memory() -> int:
    """Bytes that this process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_most_clients(engine: MusicEngine):
    """One more is refused by HTTP; when one goes there is room."""
    with socket_of(engine, websockets=2) as address:
        with Client(address), Client(address), pytest.raises(InvalidStatus) as refused:
            Client(address)
        assert refused.value.response.status_code == 403
        _wait_for_room(address)


def test_strangers_take_no_client_s_place(engine: MusicEngine):
    """Those who have shown no token are counted apart, and only so many of them wait."""
    with (
        socket_of(engine, token=TOKEN, websockets=2, strangers=3) as address,
        ExitStack() as stack,
    ):
        first = stack.enter_context(Client(address, TOKEN))
        assert first.request("Bounce", {}) == {}
        strangers = [stack.enter_context(Client(address)) for _ in range(3)]
        with pytest.raises(InvalidStatus) as refused:
            Client(address)
        assert refused.value.response.status_code == 403
        strangers[0].key = TOKEN
        assert strangers[0].request("Bounce", {}) == {}  # the second client
        strangers[1].send("InitiateFilesystemScan", key=TOKEN)
        assert strangers[1].wait_until_closed() == 1013  # the third would be one too many
        assert engine.tasks() == []
        first.close()
        strangers[2].key = TOKEN
        until = time.monotonic() + 10
        while True:
            try:
                assert strangers[2].request("Bounce", {}) == {}
                break
            except ConnectionClosed:  # the first one's place was not free yet
                assert time.monotonic() < until
                strangers[2].close()
                strangers[2].connect()


def test_a_stranger_is_let_go(engine: MusicEngine):
    """Also one that sends packets all the time, with a wrong key; who knows the token stays."""
    with (
        socket_of(engine, token=TOKEN, key_pause_s=0.5, strangers=2) as address,
        Client(address, TOKEN) as client,
    ):
        assert client.request("Bounce", {}) == {}
        with Client(address) as silent:
            assert silent.wait_until_closed() == 1008
        with Client(address, "wrong") as wrong:
            with pytest.raises(ConnectionClosed):  # noqa: PT012
                for _ in range(1000):
                    wrong.send("Bounce")
                    time.sleep(0.02)
            assert wrong.wait_until_closed() == 1008
        assert client.request("Bounce", {}) == {}


def test_a_client_that_goes_in_the_middle(address: str, engine: MusicEngine):
    """Its connection is reset while it is answered and notified; the server goes on."""
    for _ in range(20):
        with connect(address) as connection:
            for _ in range(10):
                connection.send(json.dumps(PACKET | {"fncname": "InitiateFilesystemScan"}))
            raw = connection.socket
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.shutdown(socket.SHUT_RDWR)
    with Client(address) as client:
        assert client.request("Bounce", {}) == {}


def test_a_server_that_stops(engine: MusicEngine):
    """It does not wait for its clients; they are told that it comes back."""
    with ExitStack() as stack:
        client = Client(stack.enter_context(socket_of(engine)))
        client.request("Bounce")
        begun = time.monotonic()
        stack.close()
        assert time.monotonic() - begun < 3
    assert client.wait_until_closed() == 1012
    client.close()


def test_a_lifecycle_that_is_not_of_music(tmp_path: Path):
    """There is nothing that MusicDB's client could speak to."""
    engine, uploads = open_papers(EngineSettings(tasks=tmp_path / "t", uploads=tmp_path / "u"))
    paths = [getattr(route, "path", None) for route in make_app(engine, uploads=uploads).routes]
    engine.close()
    assert "/musicdb" not in paths
