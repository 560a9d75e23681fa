"""The ring of notifications: bounded by their number, and by their bytes."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from musictasks.music import MusicEngine
from musictasks.server.feed import Feed
from serverkit import wait_until


@pytest.mark.parametrize(("kept", "kept_bytes"), [(5, 10**9), (10**6, 5 * 50_000)])
def test_what_is_kept(engine: MusicEngine, kept: int, kept_bytes: int):
    """The newest are; who wants older ones is told that they are missing."""
    feed = Feed(kept, kept_bytes)
    feed.observe(engine)
    for _ in range(20):
        engine.notify("InternalError", {"id": "a", "state": "remove"}, "x" * 49_000)
    wait_until(lambda: feed.last == 20)
    assert feed.since(0) is None
    assert feed.since(14) is None
    newest = feed.since(16)
    assert newest is not None
    assert [event.number for event in newest] == [17, 18, 19, 20]


def test_each_is_written_once(engine: MusicEngine):
    """For all who read it, and not before somebody does."""
    names: list[str] = []

    def write(name: str, status: dict[str, Any]) -> bytes:
        names.append(name)
        return orjson.dumps(status["message"])

    feed = Feed(100, 10**6, write)
    feed.observe(engine)
    for number in range(5):
        engine.notify("InternalError", None, f"number {number}")
    wait_until(lambda: feed.last == 5)
    found = feed.since(0) or []
    assert names == []
    for _ in range(3):
        assert [feed.written(event) for event in found] == [b'"number %d"' % n for n in range(5)]
    assert len(names) == 5


def test_what_json_cannot_hold_is_nothing(engine: MusicEngine):
    def write(_name: str, _status: dict[str, Any]) -> bytes:
        raise TypeError

    feed = Feed(100, 10**6, write)
    feed.observe(engine)
    engine.notify("InternalError", None, "odd")
    wait_until(lambda: feed.last == 1)
    assert [feed.written(event) for event in feed.since(0) or []] == [b""]


@pytest.mark.parametrize("called", [False, True])
def test_a_loop_that_has_ended_is_forgotten(engine: MusicEngine, called: bool):
    """Whose readers nobody has ended; also one that was to wake them still."""
    feed = Feed(100, 10**6)
    feed.observe(engine)
    loop = asyncio.new_event_loop()
    reader = feed.events()
    waits = loop.create_task(anext(reader))
    loop.run_until_complete(asyncio.sleep(0))
    if called:
        engine.notify("InternalError", None, "before the end")
    loop.close()
    assert list(feed._readers) == [loop]
    engine.notify("InternalError", None, "after the end")
    assert not feed._readers
    waits._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue]
