"""A task as JSON text and back: strict on the way in, so that nothing is guessed or coerced."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar, get_args, get_origin

import orjson
from attrs import evolve, frozen
from cattrs import BaseValidationError, ClassValidationError, IterableValidationError
from cattrs.fns import identity
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.preconf.orjson import OrjsonConverter
from cattrs.preconf.orjson import make_converter as make_orjson_converter

from ..errors import InvalidPath, InvalidTaskFile
from ..files import check_relative
from ..statemachine import HistoryEntry, JSONObject, Lifecycle, Task

#: What an id may be; use `fullmatch`.
TASK_ID = re.compile(r"[A-Za-z0-9-]{1,64}")

#: The key in the file of each field of the record (`spec/task-management.txt` and LIFECYCLE.md).
KEYS = {
    "id": "id",
    "state": "state",
    "content_type": "contenttype",
    "mime_type": "mimetype",
    "_annotations": "annotations",
    "initialization_time": "initializationtime",
    "update_time": "updatetime",
    "file_size": "filesize",
    "offset": "offset",
    "upload_path": "uploadpath",
    "preprocessed_path": "preprocessedpath",
    "source_filename": "sourcefilename",
    "source_checksum": "sourcechecksum",
    "video_path": "videopath",
    "album_path": "albumpath",
    "album_file_path": "albumfilepath",
    "artwork_source_type": "awsourcetype",
    "artwork_source_path": "awsourcepath",
    "trigger_import": "triggerimport",
    "include_artwork": "includeartwork",
    "attempts": "attempts",
    "history": "history",
    "handler_keys": "handlerkeys",
}
_ENTRY_KEYS = {"source": "from", "target": "to"}
_KNOWN = frozenset(KEYS.values())
_PATHS = tuple(name for name in KEYS if name.endswith("_path"))
_COUNTS = ("initialization_time", "update_time", "file_size", "offset", "attempts")

T = TypeVar("T")


def as_dictionary(task: Task) -> dict[str, Any]:
    """The record as its file has it, the unknown keys too; a copy that is the caller's own."""
    return task.unknown | _CATTRS.unstructure(task)


@frozen
class TaskConverter:
    """Tasks of one lifecycle as the bytes of their files; made by `make_converter`."""

    lifecycle: Lifecycle

    def dump(self, task: Task) -> bytes:
        """The file's content: indented and sorted, so that a person can read a diff."""
        options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
        return orjson.dumps(as_dictionary(task), option=options)

    def load(self, data: bytes, task_id: str, *, edited: bool = False) -> Task:
        """The task of the file `{task_id}.json`.

        With `edited`, state and history may be anything of the right type: for `merge_edit`,
        which takes neither from a person.

        Raises:
            InvalidTaskFile: with everything that is wrong, and where.
        """
        try:
            record = _parse(data)
            task = _CATTRS.structure(record, Task)
            task = evolve(task, unknown={k: v for k, v in record.items() if k not in _KNOWN})
            self._check(task, task_id, edited)
        except BaseValidationError as error:
            raise InvalidTaskFile(f"{task_id}.json", "; ".join(_reasons(error, "$"))) from None
        except RecursionError:
            raise InvalidTaskFile(f"{task_id}.json", "it is nested too deeply") from None
        except ValueError as error:
            raise InvalidTaskFile(f"{task_id}.json", str(error)) from None
        return task

    def _check(self, task: Task, task_id: str, edited: bool) -> None:
        if task.id != task_id or not TASK_ID.fullmatch(task.id):
            raise ValueError(f"the id {task.id!r} is not the name of the file @ $.id")
        for name in _PATHS:
            path = getattr(task, name)
            if path is not None:
                try:
                    check_relative(path)
                except InvalidPath as error:
                    raise ValueError(f"{error} @ $.{KEYS[name]}") from None
        for name in _COUNTS:
            if (getattr(task, name) or 0) < 0:
                raise ValueError(f"expected no negative number @ $.{KEYS[name]}")
        if edited:
            return
        if task.state not in self.lifecycle.storable:
            raise ValueError(f"{task.state!r} is no state that a task can be stored in @ $.state")
        if task.history and task.history[-1].target != task.state:
            last = task.history[-1].target
            raise ValueError(f"the last entry leads to {last!r}, not to the state @ $.history")


def make_converter(lifecycle: Lifecycle) -> TaskConverter:
    """A converter for tasks of `lifecycle`: only its storable states load."""
    return TaskConverter(lifecycle)


def _parse(data: bytes) -> dict[str, Any]:
    """JSON as the standard has it, and only what can be written again.

    (orjson would take duplicate keys; the standard library's parser has the hooks.)
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start}") from None
    try:
        record = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_number,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise ValueError("expected an object @ $")
    return record


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for key, value in pairs:
        if key in record:
            raise ValueError(f"the key {key!r} stands twice")
        record[key] = value
    return record


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= (number := int(digits)) < 2**64:
        raise ValueError(f"the integer {digits[:30]} does not fit into 64 bits")
    return number


def _number(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{digits[:30]} is no number that JSON knows")
    return number


def _exactly(expected: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not expected:
            raise ValueError(f"expected {expected.__name__}")
        return value

    return structure


def _text(value: Any, _: Any) -> str:
    if type(value) is not str:
        raise ValueError("expected str")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("expected str without lone surrogates") from None
    return value


def _time(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError("expected a number")
    return value


def _json_object(value: Any, _: Any) -> JSONObject:
    if value is not None and not isinstance(value, dict):
        raise ValueError("expected an object")
    return JSONObject(value or {}, "$.annotations")


def _object_first(structure: Callable[[Any, Any], T]) -> Callable[[Any, Any], T]:
    def checked(value: Any, kind: Any) -> T:
        if not isinstance(value, dict):
            raise ValueError("expected an object")
        return structure(value, kind)

    return checked


def _list_of(item: Any, converter: OrjsonConverter) -> Callable[[Any, Any], tuple[Any, ...]]:
    def structure(value: Any, _: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError("expected a list")
        return tuple(converter.structure(value, list[item]))

    return structure


def _as_list(item: Any, converter: OrjsonConverter) -> Callable[[tuple[Any, ...]], list[Any]]:
    unstructure = converter.get_unstructure_hook(item)
    return lambda values: [unstructure(value) for value in values]


def _make_cattrs() -> OrjsonConverter:
    converter = make_orjson_converter(detailed_validation=True)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(int, _exactly(int))
    converter.register_structure_hook(bool, _exactly(bool))
    converter.register_structure_hook(float, _time)
    converter.register_structure_hook(JSONObject, _json_object)
    converter.register_unstructure_hook(JSONObject, JSONObject.copy)
    # Every save comes through here: no call for a value that stays as it is (a sixth to a third).
    converter.register_unstructure_hook_func(
        lambda kind: kind in (str | None, int | None), identity
    )
    converter.register_unstructure_hook_factory(
        lambda kind: get_origin(kind) is tuple, lambda kind: _as_list(get_args(kind)[0], converter)
    )
    _register(converter, HistoryEntry, _ENTRY_KEYS)
    converter.register_structure_hook_factory(
        lambda kind: get_origin(kind) is tuple, lambda kind: _list_of(get_args(kind)[0], converter)
    )
    _register(converter, Task, KEYS)
    return converter


def _register(converter: OrjsonConverter, kind: type, keys: dict[str, str]) -> None:
    overrides: dict[str, Any] = {name: override(rename=key) for name, key in keys.items()}
    if kind is Task:
        overrides["_unknown"] = override(omit=True)
    structure = make_dict_structure_fn(kind, converter, **overrides)
    converter.register_structure_hook(kind, _object_first(structure))
    unstructure = make_dict_unstructure_fn(kind, converter, **overrides)
    converter.register_unstructure_hook(kind, unstructure)


def _reasons(error: Exception, where: str) -> list[str]:
    """Every leaf of a validation error as `what @ where`, with the keys of the file."""
    if isinstance(error, ClassValidationError):
        keys = KEYS | _ENTRY_KEYS
        found, others = error.group_exceptions()
        inner = [(e, f"{where}.{keys.get(note.name, note.name)}") for e, note in found]
    elif isinstance(error, IterableValidationError):
        found, others = error.group_exceptions()
        inner = [(e, f"{where}[{note.index}]") for e, note in found]
    elif isinstance(error, KeyError):
        return [f"required key missing @ {where}"]
    else:
        return [str(error) if str(error).startswith("$") else f"{error} @ {where}"]
    inner += [(e, where) for e in others]
    return [reason for e, place in inner for reason in _reasons(e, place)]


_CATTRS = _make_cattrs()
