"""Hypothesis strategies: events, histories, tasks, and task files of every sort."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import evolve
from hypothesis import strategies as st

from ..persistence import TASK_ID, make_converter
from ..statemachine import (
    HISTORY_LIMIT,
    HistoryEntry,
    JSONObject,
    Lifecycle,
    Role,
    Task,
    UploadTask,
)
from .values import argument, choices_of, own_fields

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
_IDS = st.from_regex(TASK_ID, fullmatch=True)


def events(lifecycle: Lifecycle) -> st.SearchStrategy[str]:
    """Names of events, now and then one that is not declared."""
    return st.sampled_from((*lifecycle.events, "undeclared"))


@st.composite
def histories(
    draw: st.DrawFn, lifecycle: Lifecycle, max_size: int = 12
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
def tasks(draw: st.DrawFn, lifecycle: Lifecycle, **fixed: Any) -> Any:
    """Records that can be stored: any state with a history that leads to it, any own fields.

    The fields of the lifecycle's record class hold what their types and their `in_file` allow.
    Fields can be fixed by name.
    """
    history = draw(histories(lifecycle))
    state = history[-1].target
    working = lifecycle.role(state) is Role.WORKING
    annotations = draw(_OBJECTS)
    task_id = draw(_IDS)
    own = draw(st.fixed_dictionaries(dict(own_values(lifecycle.record))))
    if own.get("upload_path") is not None and issubclass(lifecycle.record, UploadTask):
        own["upload_path"] = f"{task_id}/{own['upload_path']}"
    task = lifecycle.record(
        id=task_id,
        state=state,
        annotations=annotations,
        initialization_time=draw(st.none() | _NUMBERS),
        update_time=draw(st.none() | _NUMBERS),
        attempts=draw(st.integers(1, 3)) if working else 0,
        history=history,
        handler_keys=tuple(key for key in annotations if draw(st.booleans())),
        unknown=draw(st.dictionaries(_TEXT.map("x-{}".format), _JSON, max_size=2)),
        **own,
    )
    return evolve(task, **fixed)


@cache
def own_values(record: type[Task], base: type[Task] = Task) -> Mapping[str, st.SearchStrategy[Any]]:
    """For each field that a record class has and its base has not: what it may hold."""
    hints = get_type_hints(record)
    return {
        str(item.alias): _values(record, item, hints[item.name])
        for item in own_fields(record, base)
    }


def _values(record: type[Task], item: attrs.Attribute[Any], hint: Any) -> st.SearchStrategy[Any]:
    if item.metadata.get("examples"):
        return st.sampled_from(choices_of(record)[argument(item)])
    if item.name == "source_checksum" and issubclass(record, UploadTask):
        return st.none() | st.from_regex(r"[0-9a-f]{40}", fullmatch=True)
    if item.metadata.get("path"):
        return _of_type(hint, {str: _PATHS})
    return _of_type(hint, {int: _NUMBERS} if item.metadata.get("count") else {})


def _of_type(hint: Any, known: Mapping[Any, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Values of a type that a task file gives back as they were."""
    simple = {**_OF_TYPE, **known}
    if hint in simple:
        return simple[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return st.one_of([_of_type(one, known) for one in inner])
    if origin is dict:
        return st.dictionaries(_TEXT, _of_type(inner[1], known), max_size=3)
    if origin is list or (origin is tuple and inner[-1] is ...):
        return st.lists(_of_type(inner[0], known), max_size=3).map(origin)
    if attrs.has(hint):
        hints = get_type_hints(hint)
        parts = {argument(one): _of_type(hints[one.name], known) for one in attrs.fields(hint)}
        return st.builds(hint, **parts)
    return st.from_type(hint)


_OF_TYPE: Mapping[Any, st.SearchStrategy[Any]] = {
    str: _TEXT,
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    JSONObject: _OBJECTS.map(JSONObject),
    Any: _JSON,
}


@st.composite
def task_files(draw: st.DrawFn, lifecycle: Lifecycle) -> tuple[str, bytes]:
    """A task id and what its file holds: valid, damaged or hostile."""
    task = draw(tasks(lifecycle))
    converter = make_converter(lifecycle)
    valid = converter.dump(task)
    kind = draw(st.sampled_from(["valid", "cut", "flipped", "changed", "hostile", "bytes"]))
    if kind == "cut":
        return task.id, valid[: draw(st.integers(0, len(valid) - 1))]
    if kind == "flipped":
        at = draw(st.integers(0, len(valid) - 1))
        return task.id, valid[:at] + draw(st.binary(min_size=1, max_size=1)) + valid[at + 1 :]
    if kind == "changed":
        key = draw(st.sampled_from(sorted(converter.format.keys.values())))
        return task.id, valid.replace(f'"{key}":'.encode(), f'"{key}": {draw(_ODD)}, "x":'.encode())
    if kind == "hostile":
        return task.id, draw(st.sampled_from(_HOSTILE))
    return task.id, draw(st.binary(max_size=200)) if kind == "bytes" else valid


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
