"""tus on a disk that is slower than the connection: the client has to wait, and is alive."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from attrs import define, field
from musictasks.files.effects import Effects, using
from musictasks.server.tus import bodies, running
from rawhttp import BODY_TYPE, TUS, Tus, head
from serverkit import Served, wait_until

MIB = 1024 * 1024
SIZE = 8 * MIB


@define
class SlowDisk(Effects):
    """A disk that writes when it is let."""

    writes: threading.Event = field(factory=threading.Event)
    may_write: threading.Event = field(factory=threading.Event)

    def write(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        self.writes.set()
        assert self.may_write.wait(60)
        return super().write(fd, data, offset)


def received(served: Served) -> int:
    """Bytes of bodies that the server has taken from connections."""
    with served.client() as client:
        found = re.search(
            r"^musictasks_received_bytes\S* (\S+)$", client.get("/metrics").text, re.M
        )
    assert found is not None
    return int(float(found[1]))


def test_a_patch_that_waits_for_the_disk_is_not_silent(
    papers: Served, tus: Tus, monkeypatch: pytest.MonkeyPatch
):
    """The next request does not end it, though nothing is read from it meanwhile."""
    monkeypatch.setattr(running, "GRACE_S", 0.05)
    monkeypatch.setattr(bodies, "_PATIENCE_S", 60)  # the first piece is whole
    target, before = tus.create(SIZE), received(papers)
    said = {**TUS, "Upload-Offset": 0, "Content-Type": BODY_TYPE}
    disk = SlowDisk()
    with using(disk), ThreadPoolExecutor(2) as pool, tus.connection() as living:
        try:
            living.send(head("PATCH", target, said, SIZE) + bytes(MIB))
            assert disk.writes.wait(30)
            rest = pool.submit(living.send, bytes(SIZE - MIB))
            wait_until(lambda: received(papers) >= before + 3 * MIB)  # there is no room for more
            monkeypatch.setattr(running, "SILENT_S", 0.1)
            time.sleep(0.2)
            asked = pool.submit(tus.offset, target)
            time.sleep(0.3)  # it has looked whether the other one is silent
        finally:
            monkeypatch.setattr(running, "SILENT_S", 60)
            disk.may_write.set()
        rest.result(30)
        assert living.answer().offset() == SIZE
        assert asked.result(30) <= SIZE
