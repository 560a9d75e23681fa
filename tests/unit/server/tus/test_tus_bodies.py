"""The body of a request, in pieces, without a connection."""

from __future__ import annotations

import asyncio

import pytest
from musictasks.server.tus import bodies
from musictasks.server.tus.bodies import Body
from starlette.types import Message

MIB = 1024 * 1024


@pytest.mark.parametrize("size", [MIB, 2 * MIB, 2 * MIB + 1, 3 * MIB])
def test_the_end_of_a_body_may_come_by_itself(size: int):
    """As that of one in chunks does; also when as much waits as may wait."""
    messages: list[Message] = [
        {"type": "http.request", "body": bytes(size), "more_body": True},
        {"type": "http.request", "body": b"", "more_body": False},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def taken() -> int:
        async with asyncio.timeout(10), Body(receive, False) as body:
            await asyncio.sleep(0)  # it comes in before somebody wants it
            return sum([sum(map(len, parts)) async for parts in body.pieces(size)])

    assert asyncio.run(taken()) == size


def test_a_body_is_not_silent_while_there_is_no_room(monkeypatch: pytest.MonkeyPatch):
    """What comes is not looked at then; from when it is again, silence counts."""
    now_s = 0.0
    monkeypatch.setattr(bodies, "monotonic", lambda: now_s)
    pieces = [bytes(2 * MIB)]

    async def receive() -> Message:
        if not pieces:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": pieces.pop(), "more_body": True}

    async def silences() -> list[float]:
        nonlocal now_s
        found = []
        async with Body(receive, False) as body:
            for act in (int, body.take, int):
                act()
                for _ in range(5):
                    await asyncio.sleep(0)
                found.append(body.silent_s)
                now_s += 100
                found.append(body.silent_s)
        return found

    assert asyncio.run(silences()) == [0, 0, 0, 100, 100, 200]
