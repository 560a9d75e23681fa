"""Objects of JSON into records and back, by cattrs: strict, so that nothing is guessed or coerced.

Imported when the first engine is opened: cattrs takes a fifth of the time that an engine's import
takes, and who only declares a lifecycle, or asks for help, reads no file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sequence
from typing import Any, TypeVar, get_args, get_origin

from attrs import Attribute, field, fields, frozen
from cattrs import BaseValidationError, ClassValidationError, IterableValidationError
from cattrs.errors import StructureHandlerNotFoundError
from cattrs.fns import identity
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.preconf.orjson import OrjsonConverter
from cattrs.preconf.orjson import make_converter as make_orjson_converter

from ..errors import LifecycleError
from ..statemachine import HistoryEntry, JSONObject, Task

_ENTRY_KEYS = {"source": "from", "target": "to"}
_UNKNOWN = "_unknown"

T = TypeVar("T")


@frozen(eq=False, repr=False)
class Structuring:
    """Makes records of one class, and objects of them."""

    record: type[Task]
    #: The key in the file of each field, by the attribute's name.
    keys: Mapping[str, str]
    converter: OrjsonConverter
    #: The converter's hook for the class, found once.
    _write: Callable[[Task], dict[str, Any]] = field(alias="write")
    #: By the Python name of a field: its key, and what raises unless it holds what its type says.
    _checks: Mapping[str, tuple[str, Callable[[Task], object]]] = field(alias="checks")

    def unstructure(self, task: Task) -> dict[str, Any]:
        """The object of a record, without the keys that nobody knows."""
        return self._write(task)

    def structure(self, values: dict[str, Any]) -> Task:
        """The record of an object; keys that no field has are passed over.

        Raises:
            ValueError: It is not such an object; with everything that is wrong, and where.
        """
        try:
            return self.converter.structure(values, self.record)
        except BaseValidationError as error:
            raise ValueError("; ".join(self._reasons(error))) from None

    def value(self, value: Any, kind: Any) -> Any:
        """A value of this type; raises where it is none."""
        return self.converter.structure(value, kind)

    def check(self, task: Task, names: Iterable[str]) -> None:
        """Raises ValueError if fields, by their Python names, do not hold what their types say."""
        for name in names:
            if name in self._checks:
                key, check = self._checks[name]
                try:
                    check(task)
                except Exception as error:
                    raise ValueError("; ".join(self._reasons(error, f"$.{key}"))) from None

    def _reasons(self, error: Exception, where: str = "$") -> list[str]:
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
        return [reason for e, place in inner for reason in self._reasons(e, place)]


def make_structuring(record: type[Task], keys: Mapping[str, str]) -> Structuring:
    """For a record class; `keys` has the key in the file of each field.

    Raises:
        LifecycleError: JSON cannot hold a field.
    """
    try:
        converter = _make_converter(record, keys)
        return Structuring(
            record,
            keys,
            converter,
            write=converter.get_unstructure_hook(record),
            checks={
                item.alias: (keys[item.name], _check_of(item, converter))
                for item in fields(record)
                if item.name in keys
            },
        )
    except StructureHandlerNotFoundError as error:
        reason = f"JSON cannot hold a field as it is declared: {error}"
        raise LifecycleError(f"record {record.__name__}", reason) from None


def _check_of(item: Attribute[Any], converter: OrjsonConverter) -> Callable[[Task], object]:
    """Checks a field of a record: its value is made one of the file, and back."""
    name, kind = item.name, item.type
    write, read = converter.get_unstructure_hook(kind), converter.get_structure_hook(kind)
    return lambda task: read(write(getattr(task, name)), kind)


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
    return lambda values: list(map(unstructure, values))
