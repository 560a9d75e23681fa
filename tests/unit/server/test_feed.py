"""The ring of notifications: bounded by their number, and by their bytes."""

from __future__ import annotations

import pytest
from musictasks.music import MusicEngine
from musictasks.server.feed import Feed
from serverkit import wait_until


@pytest.mark.parametrize(("kept", "kept_bytes"), [(5, 10**9), (10**6, 5 * 50_000)])
def test_what_is_kept(engine: MusicEngine, kept: int, kept_bytes: int):
    """The newest are; who wants older ones is told that they are missing."""
    feed = Feed(kept, kept_bytes)
    feed.follow(engine)
    for _ in range(20):
        engine.notify("InternalError", {"id": "a", "state": "remove"}, "x" * 49_000)
    wait_until(lambda: feed.last == 20)
    assert feed.since(0) is None
    assert feed.since(14) is None
    newest = feed.since(16)
    assert newest is not None
    assert [event.number for event in newest] == [17, 18, 19, 20]
