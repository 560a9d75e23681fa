"""The uploads that count as unfinished."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from musictasks.music import MusicEngine
from musictasks.server import ServerSettings, make_app

DATA = b"%PDF-1.4 0123456789"


def discard(engine: MusicEngine, task_id: str) -> None:
    engine.discard(task_id)


def finish(engine: MusicEngine, task_id: str) -> None:
    engine.uploads.receive(task_id, DATA)


@pytest.mark.parametrize("change", [discard, finish])
def test_what_ends_while_the_server_starts_takes_no_place(
    engine: MusicEngine, monkeypatch: pytest.MonkeyPatch, change: Callable[[MusicEngine, str], None]
):
    """An upload that is listed as unfinished, and is not any more when it is counted."""
    ending = engine.begin_upload(content_type="albumfile", file_size=len(DATA)).id
    staying = engine.begin_upload(content_type="albumfile", file_size=len(DATA)).id
    listed = engine.tasks

    def tasks() -> Any:
        found = listed()
        monkeypatch.undo()
        change(engine, ending)
        return found

    monkeypatch.setattr(MusicEngine, "tasks", lambda _: tasks())
    unfinished = make_app(engine, ServerSettings(unfinished_uploads=2)).state.door.unfinished
    assert not unfinished.reserve(staying, 1)
    assert unfinished.reserve("new", 1)
