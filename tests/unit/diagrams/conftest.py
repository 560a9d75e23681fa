from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from musictasks.statemachine import (
    MUSIC,
    Edge,
    HistoryEntry,
    Kind,
    Lifecycle,
    MusicTask,
    Role,
    Stage,
    StateSpec,
    Target,
)

#: Every character that one of the formats reads as its own.
HOSTILE = 'a "quoted" <b> & \\N \\n | `code` #35; %% ; {x} [y] --> <!-- --> ]]> ünïcode 音楽 é'


def is_long(task: MusicTask, payload: Mapping[str, Any]) -> bool:
    """The song is longer than <ten> minutes | "or so" \\N.

    This line is no part of the pictures.
    """
    return True


is_long.__name__ = '<lambda> "&\\n|`'


@pytest.fixture
def mine() -> Lifecycle:
    """An integrator's lifecycle, with names that want to break out."""
    stage = Stage(
        HOSTILE,
        group=f"group {HOSTILE}",
        queued="starttranscoding",
        working="transcoding",
        succeeded=(Target("checked", is_long), "readyforintegration"),
        failed="transcodingfailed",
        rejected="invalidcontent",
    )
    go = Edge(event="approve", source="checked", target="readyforintegration", kind=Kind.ADDED)
    return (
        MUSIC.with_state(StateSpec("checked", f"group {HOSTILE}", Role.WAITING))
        .with_stage(stage)
        .with_edge(go)
        .with_target("preprocessing", "succeed", "starttranscoding")
    )


@pytest.fixture
def task() -> MusicTask:
    """A task that failed once, was retried, and is at work again."""
    start = 1_763_931_011.25
    steps = (
        (0.0, "request_upload", "waitforchunk", None),
        (1.2, "complete_upload", "uploadcomplete", None),
        (1.3, "begin", "preprocessing", None),
        (1.9, "succeed", "readyforintegration", None),
        (64.0, "request_integration", "startintegration", None),
        (64.1, "begin", "integrating", None),
        (65.0, "fail", "integrationfailed", HOSTILE),
        (3700.0, "retry", "startintegration", None),
        (3700.1, "begin", "integrating", None),
    )
    history, source = [], "new"
    for after_s, event, target, message in steps:
        history.append(HistoryEntry(start + after_s, event, source, target, message))
        source = target
    return MusicTask(
        id="song-1", state=source, history=tuple(history), initialization_time=1_763_931_011
    )
