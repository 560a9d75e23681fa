"""Reading what the engine itself wrote, at a fraction of the price of reading what anybody wrote.

A start reads every task file. Nearly all are as `dump` left them: then the text proves the JSON,
and what is left to check are the types. Those are looked up by the file's shape, its keys with the
types of their values, of which there are few. Whatever else a file is goes the long way, which
finds all that is wrong with it, and says where.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from types import MemberDescriptorType, NoneType
from typing import Any

import orjson
from attrs import NOTHING, Attribute, Factory, field, frozen

from ..files import check_relative, is_plain
from ..statemachine import JSONObject, Task
from ..statemachine.record import unread_readers
from .unread import KINDS, Kind, Layout

#: How a task file is written.
OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
#: The same, the keys in the order in which they were read.
_AS_READ = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE

_PLAIN: Mapping[Any, frozenset[type]] = {
    str: frozenset({str}),
    str | None: frozenset({str, NoneType}),
    int: frozenset({int}),
    int | None: frozenset({int, NoneType}),
    bool: frozenset({bool}),
    bool | None: frozenset({bool, NoneType}),
}
_FACTORY: Any = type(Factory(list))
#: So many shapes of files are remembered for a record class.
_SHAPES_MOST = 1000

#: Sets a field of a frozen record.
_Put = Callable[[Task, Any], object]
_Structure = Callable[[Any, Any], Any]


def parse(data: bytes) -> dict[str, Any] | None:
    """The object of a file that is written as `dump` writes; None for every other one.

    What is written again as it was is JSON in UTF-8, has no key twice, no number that does not
    fit, and no half of a surrogate pair.
    """
    try:
        values = orjson.loads(data)
        written = orjson.dumps(values, option=_AS_READ)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return values if written == data and type(values) is dict else None


@frozen(eq=False, repr=False)
class _Plan:
    """What is to be done with the values of a file of one shape, whose types are right."""

    #: Keys that no field has.
    unknown: list[str]
    #: What sets each field, with its key.
    plain: list[tuple[_Put, str]] = field(factory=list)
    #: Text of which there are few values: each is kept in memory once.
    few: list[tuple[_Put, str]] = field(factory=list)
    #: With what makes the value, or raises.
    made: list[tuple[_Put, str, Callable[[Any], Any]]] = field(factory=list)
    #: Fields that the file does not have, with their values.
    missing: list[tuple[_Put, Any]] = field(factory=list)
    #: Keys of relative paths.
    paths: list[str] = field(factory=list)
    #: Keys of numbers that are never negative.
    counts: list[str] = field(factory=list)


@frozen(eq=False, repr=False)
class Reader:
    """Makes records of one class from objects that `parse` gave, and checks all that is in them."""

    record: type[Task]
    layout: Layout
    #: The fields by their keys in the file.
    _items: Mapping[str, Attribute[Any]] = field(alias="items")
    _structure: _Structure = field(alias="structure")
    #: All keys in their order, without values.
    _none: dict[str, Any] = field(alias="none")
    _plain_keys: tuple[str, ...] = field(alias="plain_keys")
    _plain_values: Callable[[Task], tuple[Any, ...]] = field(alias="plain_values")
    #: By the shape of a file; None: the long way.
    _plans: dict[tuple[Any, ...], _Plan | None] = field(factory=dict, init=False)

    def __call__(self, values: dict[str, Any], *, checked: bool = True) -> Task | None:
        """The record; None where anything is not as it should be.

        Args:
            values: The object.
            checked: It is as `parse` gave it; else it may hold what is no JSON.
        """
        try:
            if not checked:
                JSONObject(values)
            shape = (*values, *map(type, values.values()))
            try:
                plan = self._plans[shape]
            except KeyError:
                plan = self._remember(shape, values)
            return None if plan is None else self._made(plan, values)
        except Exception:
            # Invariant: nothing is refused here. The long way does that, with the reasons.
            return None

    def _made(self, plan: _Plan, values: dict[str, Any]) -> Task:
        for key in plan.paths:
            if not is_plain(values[key]):
                check_relative(values[key])
        for key in plan.counts:
            if values[key] < 0:
                raise ValueError(key)
        task = object.__new__(self.record)
        for put, key in plan.plain:
            put(task, values[key])
        for put, key in plan.few:
            put(task, sys.intern(values[key]))
        for put, key, make in plan.made:
            put(task, make(values[key]))
        for put, value in plan.missing:
            put(task, value)
        unknown = {key: values[key] for key in plan.unknown} if plan.unknown else None
        _put_unread(task, self.layout.keep(values, unknown))
        return task

    @property
    def writes(self) -> bool:
        """Whether `to_json` can be called: all fields are plain, or kept as text."""
        return len(self._plain_keys) + len(self.layout.fields) == len(self._items)

    def to_json(self, task: Task, unread: bytes) -> dict[str, Any]:
        """A record with an unread part as its file has it; the part stays unread."""
        kept, unknown = self.layout.write(unread)
        values = {**unknown, **self._none} if unknown else self._none.copy()
        values.update(zip(self._plain_keys, self._plain_values(task), strict=True))
        values.update(kept)
        return values

    def _remember(self, shape: tuple[Any, ...], values: dict[str, Any]) -> _Plan | None:
        kinds = {key: type(value) for key, value in values.items()}
        plan = self._plan(kinds) if self._types_are_right(kinds) else None
        if len(self._plans) < _SHAPES_MOST:
            self._plans[shape] = plan
        return plan

    def _types_are_right(self, kinds: Mapping[str, type]) -> bool:
        for key, item in self._items.items():
            if key not in kinds:
                if item.default is NOTHING or isinstance(item.default, _FACTORY):
                    return False
            elif key in self.layout.fields:
                if kinds[key] is not self.layout.fields[key][1].in_file:
                    return False
            elif _is_plain(item.type) and kinds[key] not in _PLAIN[item.type]:
                return False
        return True

    def _plan(self, kinds: Mapping[str, type]) -> _Plan:
        plan = _Plan(unknown=[key for key in kinds if key not in self._items])
        for key, item in self._items.items():
            if key not in self.layout.fields:
                self._add_to(plan, key, item, kinds.get(key))
        return plan

    def _add_to(self, plan: _Plan, key: str, item: Attribute[Any], kind: type | None) -> None:
        put: _Put = getattr(self.record, item.name).__set__
        if kind is None:
            plan.missing.append((put, item.default))
        elif not _is_plain(item.type):
            plan.made.append((put, key, partial(_structured, self._structure, item.type)))
        elif item.metadata.get("few") and kind is str:
            plan.few.append((put, key))
        else:
            plan.plain.append((put, key))
        if item.metadata.get("path") and kind is str:
            plan.paths.append(key)
        if item.metadata.get("count") and kind is int:
            plan.counts.append(key)


def make_reader(
    record: type[Task], items: Mapping[str, Attribute[Any]], structure: _Structure
) -> Reader | None:
    """A reader for a record class; None where its records can only be made by calling it.

    Args:
        record: The class.
        items: The fields by their keys in the file.
        structure: Makes the value of any type that is not plain; raises where it is none.
    """
    if not all(map(partial(_is_slot, record), items.values())) or not _is_made_by_attrs(record):
        return None
    kept = {key: item for key, item in items.items() if _kind(item) is not None}
    layout = Layout({key: (item.name, KINDS[item.type]) for key, item in kept.items()})
    unread_readers[record] = layout.read
    plain = {key: item.name for key, item in items.items() if _is_plain(item.type)}
    none = dict.fromkeys(items)
    values = attrgetter(*plain.values())
    return Reader(record, layout, items, structure, none, tuple(plain), values)


def _kind(item: Attribute[Any]) -> Kind | None:
    """How a field is kept as text; None where it is read at once."""
    try:
        return KINDS.get(item.type)
    except TypeError:  # not hashable
        return None


def _is_slot(record: type[Task], item: Attribute[Any]) -> bool:
    """Whether nothing is done with the field's value but to keep it."""
    is_made = item.converter is None or item.type is JSONObject
    is_slot = isinstance(getattr(record, item.name, None), MemberDescriptorType)
    return is_slot and is_made and item.validator is None and item.init


def _is_made_by_attrs(record: type[Task]) -> bool:
    """Whether its constructor does nothing but set the fields."""
    own = [name for name in ("__attrs_pre_init__", "__attrs_post_init__") if hasattr(record, name)]
    code = getattr(record.__init__, "__code__", None)
    generated = code is not None and code.co_filename.startswith("<attrs generated")
    return generated and not own and record.__new__ is object.__new__


_put_unread: _Put = Task._unread.__set__


def _is_plain(kind: Any) -> bool:
    try:
        return kind in _PLAIN
    except TypeError:  # not hashable
        return False


def _structured(structure: _Structure, kind: Any, value: Any) -> Any:
    return structure(value, kind)
