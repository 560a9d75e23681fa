"""Requests that are damaged in every way: nothing breaks, and the bytes stay what they were."""

from __future__ import annotations

import logging
import random
import re
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attrs import define, field
from rawhttp import BODY_TYPE, TUS, Tus, checksum, chunked, encoded, head
from serverkit import Served

CLIENTS = 8
DATA = random.Random(5).randbytes(3000)
#: What stands in heads, and what somebody may put in its place.
WORDS = [
    *(
        b"",
        b" ",
        b"\t",
        b"\r\n",
        b"\n",
        b"\0",
        b":",
        b",",
        b";",
        b"\xff",
        b"\xc3\xa9",
        b"%00",
        b"%2f",
    ),
    *(b"0", b"1", b"-1", b"99999999999999999999", b"1e9", b"0x1", b"*", b"../", b"a" * 5000),
    *(
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"HTTP/1.1",
        b"GET",
        b"HEAD",
        b"PATCH",
        b"DELETE",
        b"TRACE",
        b"CONNECT",
    ),
    *(b"Tus-Resumable: 1.0.0\r\n", b"Upload-Length: 7\r\n", b"Upload-Offset: 0\r\n"),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n"),
    *(
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Upgrade: websocket\r\n",
        b"Host: x\r\n",
    ),
    *(
        b"X-HTTP-Method-Override: HEAD\r\n",
        b"Upload-Defer-Length: 1\r\n",
        b"Upload-Concat: partial\r\n",
    ),
    *(b"sha1", b"sha256", b"md5", b"AAAA", b"====", b"Origin: http://evil\r\n"),
]

VALUES = [b"0", b"1", b"2", b"50", b"3000", b"chunked", BODY_TYPE.encode(), checksum(b"x").encode()]


def mutated(chance: random.Random, top: bytes) -> bytes:
    """Some bytes of it are others, gone, there twice, or somewhere else."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        a, b = sorted(chance.randrange(len(top) + 1) for _ in range(2))
        b = min(b, a + chance.choice((0, 1, 1, 4, 20, 200)))
        where = chance.randrange(len(top) + 1)
        way = chance.randrange(10)
        if way == 0 and a < len(top):
            top = top[:a] + bytes([top[a] ^ 1 << chance.randrange(8)]) + top[a + 1 :]
        elif way == 1:
            top = top[:a] + top[b:]
        elif way == 2:
            top = top[:where] + top[a:b] + top[where:]
        elif way == 3:
            top = top[:a] + chance.choice(WORDS) + top[b:]
        elif way == 4:
            lines = top.split(b"\r\n")
            lines.insert(chance.randrange(len(lines)), chance.choice(WORDS).strip())
            top = b"\r\n".join(lines)
        elif way == 5:
            top = top[:where] + chance.choice(WORDS) + top[where:]
        else:  # a header is gone, or says something else
            lines = top.split(b"\r\n")
            line = chance.randrange(len(lines))
            name, _, value = lines[line].partition(b": ")
            value = chance.choice((*WORDS, *VALUES, value[:-1], value + b"0", b"%d" % a))
            lines[line : line + 1] = chance.choice(([], [name + b": " + value]))
            top = b"\r\n".join(lines)
    return top


@define
class Damaging:
    """Sends damaged requests about one upload after the other."""

    served: Served
    chance: random.Random
    target: str = ""
    statuses: Counter[int] = field(factory=Counter)

    def run(self, number: int) -> None:
        for _ in range(number):
            request, before = self.request(), self.content()
            for status in self.answers(request):
                assert status < 500, request
                self.statuses[status] += 1
            found = Tus(self.served.port).ask("HEAD", self.target)  # it waits for what still comes
            after = self.content()
            if found.status == 200 and self.path().exists():
                assert found.offset() == len(after), request
                assert after[: len(before)] == before, request
            left = iter(request)  # what came in is there once, and in order
            assert all(byte in left for byte in after[len(before) :]), request
            if after != DATA[: len(after)]:
                self.target = ""  # a part of the damaged head is its body now

    def request(self) -> bytes:
        """A valid one, whose head has then been damaged; its body always holds the right bytes."""
        if self.target and Tus(self.served.port).ask("HEAD", self.target).status != 200:
            self.target = ""
        if not self.target or len(self.content()) == len(DATA):
            self.target = Tus(self.served.port).create(len(DATA))
        at = len(self.content())
        body = DATA[at : at + self.chance.choice((0, 1, 50, 5000))]
        said = {**TUS, "Upload-Offset": at, "Content-Type": BODY_TYPE}
        if self.chance.random() < 0.4:
            said["Upload-Checksum"] = checksum(body, self.chance.choice(("sha1", "sha256")))
        known = {"Upload-Length": len(DATA), "Upload-Metadata": encoded({"filename": "a", "b": 1})}
        size: int | None = len(body)
        method = self.chance.choice(
            ("PATCH", "PATCH", "PATCH", "POST", "HEAD", "DELETE", "OPTIONS")
        )
        where = "/uploads/" if method == "POST" else self.target
        if method == "POST":
            body, size = DATA[: self.chance.choice((0, 40))], None
            said |= {**known, "Upload-Checksum": checksum(body), "Content-Length": len(body)}
        elif method != "PATCH":
            body, size = b"", None
        elif self.chance.random() < 0.3:
            body, size = chunked(body[:7], body[7:]), None
            said["Transfer-Encoding"] = "chunked"
        if method != "POST" and self.chance.random() < 0.1:
            said["X-HTTP-Method-Override"], method = method, "POST"
        return mutated(self.chance, head(method, where, said, size)) + body

    def answers(self, request: bytes) -> list[int]:
        """The statuses of all answers, until the server is silent or closes the connection."""
        read = b""
        with socket.create_connection(("127.0.0.1", self.served.port)) as connection:
            connection.settimeout(0.3)  # it may wait for more of a body
            try:
                connection.sendall(request)
                while data := connection.recv(65536):
                    read += data
                    connection.settimeout(0.02)
            except (ConnectionError, TimeoutError):
                pass
        return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d\d\d) ", read)]

    def path(self) -> Path:
        task_id = self.target.rpartition("/")[2]
        return self.served.engine.settings.tasks / f"{task_id}.json"

    def content(self) -> bytes:
        directory = self.served.engine.settings.uploads / self.target.rpartition("/")[2]
        found = [one for one in directory.glob("upload-*") if one.is_file()]
        return found[0].read_bytes() if found else b""


def damage(served: Served, number: int, seed: int, caplog: pytest.LogCaptureFixture) -> set[int]:
    """By some clients at once, each with uploads of its own; the statuses of all answers."""
    clients = [Damaging(served, random.Random(f"{seed} {n}")) for n in range(CLIENTS)]
    with caplog.at_level(logging.ERROR), ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda client: client.run(number // CLIENTS), clients))
    assert [one.getMessage() for one in caplog.records] == []
    return set().union(*(client.statuses for client in clients))


def test_damaged_requests_break_nothing(papers: Served, caplog: pytest.LogCaptureFixture):
    """No error of the server's own, no byte of an upload lost, doubled, or another."""
    damage(papers, 500, 2, caplog)


@pytest.mark.long
def test_many_damaged_requests_break_nothing(
    serve: Callable[..., Served], caplog: pytest.LogCaptureFixture
):
    """As above."""
    damage(serve(unfinished_uploads=100_000), 10_000, 2, caplog)
