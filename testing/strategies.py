"""Hypothesis strategies: events, histories, tasks, and task files of every sort."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import evolve
from hypothesis import strategies as st

from ..persistence import TASK_ID, TaskConverter, make_converter
from ..statemachine import (
    HISTORY_LIMIT,
    Edge,
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
_MAYBE_TEXT = st.none() | _TEXT
_MAYBE_NUMBER = st.none() | _NUMBERS
_ATTEMPTS = st.integers(1, 3)
_COINS = st.booleans()
_UNKNOWN = st.dictionaries(_TEXT.map("x-{}".format), _JSON, max_size=2)


def events(lifecycle: Lifecycle) -> st.SearchStrategy[str]:
    """Names of events, now and then one that is not declared."""
    return st.sampled_from((*lifecycle.events, "undeclared"))


def histories(
    lifecycle: Lifecycle, max_size: int = 12
) -> st.SearchStrategy[tuple[HistoryEntry, ...]]:
    """Walks in the declared graph from its beginning, as a record keeps them.

    They end in a state that can be stored, and are empty only where none can be reached.
    """
    ways = {
        state.name: [
            edge
            for edge in lifecycle.edges_from(state.name)
            if edge.target is not None and edge.target in lifecycle.storable
        ]
        for state in lifecycle.states
    }
    edges = {name: st.sampled_from(found) for name, found in ways.items() if found}
    return _walks(lifecycle.initial, edges, st.integers(1, max_size))


# What is drawn from is made once, not for each example: that would take a fourth of its time.
@st.composite
def _walks(
    draw: st.DrawFn,
    initial: str,
    edges: Mapping[str, st.SearchStrategy[Edge]],
    sizes: st.SearchStrategy[int],
) -> tuple[HistoryEntry, ...]:
    state, walk = initial, []
    for _ in range(draw(sizes)):
        if state not in edges:
            break
        edge = draw(edges[state])
        assert edge.target is not None
        message = draw(_MAYBE_TEXT)
        walk.append(HistoryEntry(draw(_TIMES), edge.event, state, edge.target, message))
        state = edge.target
    return tuple(walk[-HISTORY_LIMIT:])


def tasks(lifecycle: Lifecycle, **fixed: Any) -> st.SearchStrategy[Any]:
    """Records that can be stored: any state with a history that leads to it, any own fields.

    The fields of the lifecycle's record class hold what their types and their `in_file` allow.
    Fields can be fixed by name.
    """
    return _tasks(lifecycle, histories(lifecycle), fields_of(lifecycle.record), fixed)


@st.composite
def _tasks(
    draw: st.DrawFn,
    lifecycle: Lifecycle,
    walks: st.SearchStrategy[tuple[HistoryEntry, ...]],
    fields_of_its_own: st.SearchStrategy[dict[str, Any]],
    fixed: Mapping[str, Any],
) -> Any:
    history = draw(walks)
    state = history[-1].target
    working = lifecycle.role(state) is Role.WORKING
    annotations = draw(_OBJECTS)
    task_id = draw(_IDS)
    own = draw(fields_of_its_own)
    if own.get("upload_path") is not None and issubclass(lifecycle.record, UploadTask):
        own["upload_path"] = f"{task_id}/{own['upload_path']}"
    task = lifecycle.record(
        id=task_id,
        state=state,
        annotations=annotations,
        initialization_time=draw(_MAYBE_NUMBER),
        update_time=draw(_MAYBE_NUMBER),
        attempts=draw(_ATTEMPTS) if working else 0,
        history=history,
        handler_keys=tuple(key for key in annotations if draw(_COINS)),
        unknown=draw(_UNKNOWN),
        **own,
    )
    return evolve(task, **fixed)


@cache
def fields_of(record: type[Task], base: type[Task] = Task) -> st.SearchStrategy[dict[str, Any]]:
    """All fields that a record class has and its base has not, as its arguments."""
    return st.fixed_dictionaries(dict(own_values(record, base)))


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


def task_files(lifecycle: Lifecycle) -> st.SearchStrategy[tuple[str, bytes]]:
    """A task id and what its file holds: valid, damaged or hostile."""
    return _task_files(make_converter(lifecycle), tasks(lifecycle))


@st.composite
def _task_files(
    draw: st.DrawFn, converter: TaskConverter, records: st.SearchStrategy[Any]
) -> tuple[str, bytes]:
    task = draw(records)
    valid = converter.dump(task)
    kind = draw(_KINDS)
    if kind == "cut":
        return task.id, valid[: draw(st.integers(0, len(valid) - 1))]
    if kind == "flipped":
        at = draw(st.integers(0, len(valid) - 1))
        return task.id, valid[:at] + draw(st.binary(min_size=1, max_size=1)) + valid[at + 1 :]
    if kind == "changed":
        key = draw(st.sampled_from(sorted(converter.format.keys.values())))
        return task.id, valid.replace(f'"{key}":'.encode(), f'"{key}": {draw(_ODD)}, "x":'.encode())
    if kind == "hostile":
        return task.id, draw(_HOSTILE)
    return task.id, draw(st.binary(max_size=200)) if kind == "bytes" else valid


_KINDS = st.sampled_from(["valid", "cut", "flipped", "changed", "hostile", "bytes"])
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
_HOSTILE_BYTES = (
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
_HOSTILE = st.sampled_from(_HOSTILE_BYTES)
