"""The JSON form of a record class: which key each field has, and how strictly it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, MutableSequence, Sequence
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

from attrs import evolve, field, fields, frozen
from cattrs import ClassValidationError, IterableValidationError
from cattrs.errors import StructureHandlerNotFoundError
from cattrs.fns import identity
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.preconf.orjson import OrjsonConverter
from cattrs.preconf.orjson import make_converter as make_orjson_converter

from ..errors import LifecycleError
from ..statemachine import HistoryEntry, JSONObject, Task
from ..statemachine.record import file_key, unread_of
from .canonical import Reader, make_reader

_ENTRY_KEYS = {"source": "from", "target": "to"}
_UNKNOWN = "_unknown"

T = TypeVar("T")


@frozen(eq=False, repr=False)
class RecordFormat:
    """What a record class looks like in a file; made by `record_format`."""

    record: type[Task]
    #: The key in the file of each field, by the attribute's name.
    keys: Mapping[str, str]
    #: The fields that hold relative paths.
    paths: tuple[str, ...]
    #: The fields that are never negative.
    counts: tuple[str, ...]
    #: The fields in which a person's edit of the file counts.
    editable: tuple[str, ...]
    _converter: OrjsonConverter = field(alias="converter", repr=False)
    _read: Reader | None = field(alias="read", repr=False)

    def to_json(self, task: Task) -> dict[str, Any]:
        """The record as its file has it, the unknown keys too; a copy that is the caller's own."""
        if self._read is not None and self._read.writes:
            unread = unread_of(task)
            if unread is not None:
                return self._read.to_json(task, unread)
        return task.unknown | self._converter.unstructure(task)

    def from_json(self, values: dict[str, Any]) -> Task:
        """The record of such an object.

        Raises:
            cattrs.BaseValidationError: It is not such an object; `reasons` says why.
            ValueError: A key that nobody knows has a value that JSON cannot hold.
        """
        task = self._converter.structure(values, self.record)
        known = set(self.keys.values())
        unknown = {key: value for key, value in values.items() if key not in known}
        return evolve(task, unknown=unknown) if unknown else task

    def from_canonical(self, values: dict[str, Any], *, checked: bool = True) -> Task | None:
        """The same for an object that `canonical.parse` gave; None: ask `from_json`.

        Paths and counts are checked, too. Not `checked`: it has been changed since.
        """
        return None if self._read is None else self._read(values, checked=checked)

    def check_fields(self, task: Task, names: Container[str]) -> None:
        """Checks that fields, by their Python names, hold what their types say.

        Raises:
            ValueError: One does not; it says which, by its key in the file.
        """
        for item in fields(self.record):
            if item.alias in names and item.name in self.keys:
                where = f"$.{self.keys[item.name]}"
                try:
                    value = self._converter.unstructure(getattr(task, item.name), item.type)
                    self._converter.structure(value, item.type)
                except Exception as error:
                    raise ValueError("; ".join(self.reasons(error, where))) from None

    def reasons(self, error: Exception, where: str = "$") -> list[str]:
        """Every leaf of a validation error as `what @ where`, with the keys of the file."""
        if isinstance(error, ClassValidationError):
            keys = {**self.keys, **_ENTRY_KEYS}
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
        return [reason for e, place in inner for reason in self.reasons(e, place)]


@cache
def record_format(record: type[Task]) -> RecordFormat:
    """The form of a record class.

    Raises:
        LifecycleError: Two fields have the same key, or one has a type that JSON cannot hold.
    """
    items = [item for item in fields(record) if item.name != _UNKNOWN]
    keys = {item.name: file_key(item) for item in items}
    twice = [key for key in keys.values() if list(keys.values()).count(key) > 1]
    if twice:
        raise LifecycleError(
            f"record {record.__name__}", f"two fields have the key {twice[0]!r} in the file"
        )
    try:
        converter = _make_converter(record, keys)
    except StructureHandlerNotFoundError as error:
        reason = f"JSON cannot hold a field as it is declared: {error}"
        raise LifecycleError(f"record {record.__name__}", reason) from None
    return RecordFormat(
        record,
        keys,
        paths=tuple(item.name for item in items if item.metadata.get("path")),
        counts=tuple(item.name for item in items if item.metadata.get("count")),
        editable=tuple(
            item.name
            for item in items
            if item.metadata.get("editable", True) and not item.name.startswith("_")
        ),
        converter=converter,
        read=make_reader(record, {keys[i.name]: i for i in items}, converter.structure),
    )


def as_dictionary(task: Task) -> dict[str, Any]:
    """The record as its file has it, the unknown keys too; a copy that is the caller's own."""
    return record_format(type(task)).to_json(task)


def _make_converter(record: type[Task], keys: Mapping[str, str]) -> OrjsonConverter:
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
        _is_sequence, lambda kind: _as_list(get_args(kind)[0], converter)
    )
    _register(converter, HistoryEntry, _ENTRY_KEYS)
    converter.register_structure_hook_factory(
        _is_sequence, lambda kind: _sequence_of(kind, converter)
    )
    _register(converter, record, keys)
    return converter


def _register(converter: OrjsonConverter, kind: type, keys: Mapping[str, str]) -> None:
    overrides: dict[str, Any] = {name: override(rename=key) for name, key in keys.items()}
    if issubclass(kind, Task):
        overrides[_UNKNOWN] = override(omit=True)
    structure = make_dict_structure_fn(kind, converter, **overrides)
    converter.register_structure_hook(kind, _object_first(structure))
    unstructure = make_dict_unstructure_fn(kind, converter, **overrides)
    converter.register_unstructure_hook(kind, unstructure)


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
    if type(value) not in (int, float) or not math.isfinite(value):
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


def _is_sequence(kind: Any) -> bool:
    return get_origin(kind) is list or (get_origin(kind) is tuple and get_args(kind)[-1] is ...)


def _sequence_of(kind: Any, converter: OrjsonConverter) -> Callable[[Any, Any], Any]:
    """Lists and tuples from lists alone: a text is no list of its characters."""
    made = get_origin(kind)
    items = MutableSequence[get_args(kind)[0]]

    def structure(value: Any, _: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError("expected a list")
        return made(converter.structure(value, items))

    return structure


def _as_list(item: Any, converter: OrjsonConverter) -> Callable[[Sequence[Any]], list[Any]]:
    unstructure = converter.get_unstructure_hook(item)
    return lambda values: [unstructure(value) for value in values]
