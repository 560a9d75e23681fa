"""Reading what the engine itself wrote, at a fraction of the price of reading what anybody wrote.

A start reads every task file. Nearly all are as `dump` left them: then the text proves the JSON,
and what is left to check are the types. Whatever else a file is goes the long way, which finds all
that is wrong with it, and says where.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any

import orjson
from attrs import evolve, field, fields, frozen

from ..statemachine import HistoryEntry, JSONObject, Task
from ..statemachine.record import EMPTY

#: How a task file is written.
OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE

_PLAIN: Mapping[Any, frozenset[type]] = {
    str: frozenset({str}),
    str | None: frozenset({str, NoneType}),
    int: frozenset({int}),
    int | None: frozenset({int, NoneType}),
    bool: frozenset({bool}),
    bool | None: frozenset({bool, NoneType}),
}
_TIME = frozenset({float, int})
_TEXT_OR_NONE = _PLAIN[str | None]


def parse(data: bytes) -> dict[str, Any] | None:
    """The object of a file that is written as `dump` writes; None for every other one.

    What is written again as it was is JSON in UTF-8, has no key twice, no number that does not
    fit, and no half of a surrogate pair.
    """
    try:
        values = orjson.loads(data)
        written = orjson.dumps(values, option=OPTIONS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return values if written == data and type(values) is dict else None


@frozen(eq=False, repr=False)
class Reader:
    """Makes records of one class from objects that `parse` gave."""

    record: type[Task]
    #: By the key in the file: the name of the argument, the types that it may have, and whether
    #: its values are few: then each is kept in memory once.
    _plain: Mapping[str, tuple[str, frozenset[type], bool]] = field(alias="plain")
    #: By the key: the name of the argument, and what makes its value or raises.
    _made: Mapping[str, tuple[str, Callable[[Any], Any]]] = field(alias="made")

    def __call__(self, values: dict[str, Any]) -> Task | None:
        """The record; None where anything is not as it should be."""
        found: dict[str, Any] = {}
        unknown: dict[str, Any] = {}
        try:
            for key, value in values.items():
                if (plain := self._plain.get(key)) is not None:
                    name, kinds, few = plain
                    if type(value) not in kinds:
                        return None
                    found[name] = sys.intern(value) if few and type(value) is str else value
                elif (made := self._made.get(key)) is not None:
                    found[made[0]] = made[1](value)
                else:
                    unknown[key] = value
            task = self.record(**found)
            return evolve(task, unknown=unknown) if unknown else task
        except Exception:
            # Invariant: nothing is refused here. The long way does that, with the reasons.
            return None


def make_reader(
    record: type[Task], keys: Mapping[str, str], structure: Callable[[Any, Any], Any]
) -> Reader:
    """A reader for a record class.

    Args:
        record: The class.
        keys: The key in the file of each field, by the attribute's name.
        structure: Makes the value of any other type; raises where it is none.
    """
    plain: dict[str, tuple[str, frozenset[type], bool]] = {}
    made: dict[str, tuple[str, Callable[[Any], Any]]] = {}
    for item in fields(record):
        if item.name not in keys:
            continue
        key, kind = keys[item.name], item.type
        if kind == JSONObject:
            made[key] = (item.alias, _object)
        elif kind == tuple[HistoryEntry, ...]:
            made[key] = (item.alias, _history)
        elif _is_plain(kind):
            few = item.metadata.get("few", False)
            plain[key] = (item.alias, _PLAIN[kind], few)
        else:
            made[key] = (item.alias, _structured(structure, kind))
    return Reader(record, plain, made)


def _is_plain(kind: Any) -> bool:
    try:
        return kind in _PLAIN
    except TypeError:  # not hashable
        return False


def _structured(structure: Callable[[Any, Any], Any], kind: Any) -> Callable[[Any], Any]:
    return lambda value: structure(value, kind)


def _object(value: Any) -> JSONObject:
    if type(value) is not dict:
        raise TypeError(value)
    return JSONObject(value) if value else EMPTY


def _history(values: Any) -> tuple[HistoryEntry, ...]:
    if type(values) is not list:
        raise TypeError(values)
    return tuple([_entry(**value) for value in values])


def _entry(time: Any, event: Any, to: Any, message: Any = None, **more: Any) -> HistoryEntry:
    source = more.pop("from")
    if (
        more
        or type(time) not in _TIME
        or type(event) is not str
        or type(source) is not str
        or type(to) is not str
        or type(message) not in _TEXT_OR_NONE
    ):
        raise TypeError(time)
    # The names of states and events are few.
    return HistoryEntry(time, sys.intern(event), sys.intern(source), sys.intern(to), message)
