"""Hypothesis strategies: events, histories, tasks, and task files of every sort."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import strategies as st

from ..persistence import make_converter
from ..statemachine import (
    HISTORY_LIMIT,
    MUSIC,
    ArtworkSource,
    ContentType,
    HistoryEntry,
    Lifecycle,
    Role,
    Task,
)

#: Text as JSON holds it: everything but lone surrogates.
_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
_NUMBERS = st.integers(0, 2**53)
_TIMES = st.floats(0, 2e9, allow_nan=False)
_NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"),
    min_size=1,
    max_size=12,
).filter(lambda name: name not in {".", ".."})
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map("/".join)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(_TEXT, _JSON, max_size=4)
_IDS = st.from_regex(r"[A-Za-z0-9-]{1,64}", fullmatch=True)


def events(lifecycle: Lifecycle = MUSIC) -> st.SearchStrategy[str]:
    """Names of events, now and then one that is not declared."""
    return st.sampled_from((*lifecycle.events, "undeclared"))


@st.composite
def histories(
    draw: st.DrawFn, lifecycle: Lifecycle = MUSIC, max_size: int = 12
) -> tuple[HistoryEntry, ...]:
    """Walks in the declared graph from its beginning, as a record keeps them.

    They end in a state that can be stored, and are empty only where none can be reached.
    """
    state, walk = lifecycle.initial, []
    for _ in range(draw(st.integers(1, max_size))):
        ways = [
            edge
            for edge in lifecycle.edges_from(state)
            if edge.target is not None and edge.target in lifecycle.storable
        ]
        if not ways:
            break
        edge = draw(st.sampled_from(ways))
        assert edge.target is not None
        message = draw(st.none() | _TEXT)
        walk.append(HistoryEntry(draw(_TIMES), edge.event, state, edge.target, message))
        state = edge.target
    return tuple(walk[-HISTORY_LIMIT:])


@st.composite
def tasks(draw: st.DrawFn, lifecycle: Lifecycle = MUSIC, **fixed: Any) -> Task:
    """Records that can be stored: any state with a history that leads to it, any texts and paths.

    Fields can be fixed by name.
    """
    history = draw(histories(lifecycle))
    state = history[-1].target
    working = lifecycle.role(state) is Role.WORKING
    annotations = draw(_OBJECTS)
    task = Task(
        id=draw(_IDS),
        state=state,
        content_type=draw(st.sampled_from(ContentType)).value,
        mime_type=draw(st.none() | _TEXT),
        annotations=annotations,
        initialization_time=draw(st.none() | _NUMBERS),
        update_time=draw(st.none() | _NUMBERS),
        file_size=draw(st.none() | _NUMBERS),
        offset=draw(st.none() | _NUMBERS),
        upload_path=draw(st.none() | _PATHS),
        preprocessed_path=draw(st.none() | _PATHS),
        source_filename=draw(st.none() | _TEXT),
        source_checksum=draw(st.none() | st.from_regex(r"[0-9a-f]{40}", fullmatch=True)),
        video_path=draw(st.none() | _PATHS),
        album_path=draw(st.none() | _PATHS),
        album_file_path=draw(st.none() | _PATHS),
        artwork_source_type=draw(st.none() | st.sampled_from([s.value for s in ArtworkSource])),
        artwork_source_path=draw(st.none() | _PATHS),
        trigger_import=draw(st.booleans()),
        include_artwork=draw(st.booleans()),
        attempts=draw(st.integers(1, 3)) if working else 0,
        history=history,
        handler_keys=tuple(key for key in annotations if draw(st.booleans())),
        unknown=draw(st.dictionaries(_TEXT.map("x-{}".format), _JSON, max_size=2)),
    )
    return evolve(task, **fixed)


@st.composite
def task_files(draw: st.DrawFn, lifecycle: Lifecycle = MUSIC) -> tuple[str, bytes]:
    """A task id and what its file holds: valid, damaged or hostile."""
    task = draw(tasks(lifecycle))
    valid = make_converter(lifecycle).dump(task)
    kind = draw(st.sampled_from(["valid", "cut", "flipped", "changed", "hostile", "bytes"]))
    if kind == "cut":
        return task.id, valid[: draw(st.integers(0, len(valid) - 1))]
    if kind == "flipped":
        at = draw(st.integers(0, len(valid) - 1))
        return task.id, valid[:at] + draw(st.binary(min_size=1, max_size=1)) + valid[at + 1 :]
    if kind == "changed":
        key = draw(st.sampled_from(sorted(_KEYS)))
        return task.id, valid.replace(f'"{key}":'.encode(), f'"{key}": {draw(_ODD)}, "x":'.encode())
    if kind == "hostile":
        return task.id, draw(st.sampled_from(_HOSTILE))
    return task.id, draw(st.binary(max_size=200)) if kind == "bytes" else valid


_KEYS = ("id", "state", "filesize", "history", "annotations", "uploadpath", "triggerimport")
_ODD = st.sampled_from(
    [
        "null",
        "true",
        '"5"',
        "-1",
        "1e999",
        "NaN",
        "[]",
        "{}",
        '"../x"',
        '"/etc"',
        '"a\\u0000"',
        "1" * 30,
    ]
)
_HOSTILE = (
    b"",
    b"null",
    b"[" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"id": "a", "id": "b"}',
    b"\xff\xfe{}",
    b'{"id": "\\ud800"}',
    b"9" * 10_000,
    b"\x00" * 100,
)
