"""The part of a record that a resting task is not asked for, as text until somebody does.

The history and the annotations are most of a record, in memory and in the time that it takes to
make one. A start checks them, and makes neither.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
from attrs import field, frozen

from ..statemachine import HistoryEntry, JSONObject
from ..statemachine.record import EMPTY

#: The keys of a history entry, sorted as `dump` sorts them.
_ENTRY_KEYS = ("event", "from", "message", "time", "to")
_NESTED = frozenset({dict, list})
_TEXT, _TEXT_OR_NONE, _TIME = {str}, {str, type(None)}, {int, float}
_UNKNOWN = "_unknown"
#: So many kinds of histories are remembered.
_KINDS_MOST = 1000


class Kind(NamedTuple):
    """How the values of one type are kept."""

    #: The type that the value has in the file.
    in_file: type[list[Any]] | type[dict[str, Any]]
    #: Gets the value in the file, and gives what is kept; raises where it is not as it should be.
    keep: Callable[[Any], Any]
    #: Makes the field's value of what is kept.
    read: Callable[[Any], Any]
    #: Makes the value in the file of what is kept.
    write: Callable[[Any], Any]


@frozen(eq=False, repr=False)
class Layout:
    """Which fields of a record class are kept as text, in which order."""

    #: By the key in the file: the name of the attribute, and the kind.
    fields: Mapping[str, tuple[str, Kind]] = field(factory=dict)

    def keep(self, values: Mapping[str, Any], unknown: dict[str, Any] | None) -> bytes:
        """These fields of a file's object, and the keys that nobody knows; all are checked.

        Raises:
            Exception: One is not as it should be.
        """
        kept = [
            kind.keep(values[key] if key in values else kind.in_file())
            for key, (_, kind) in self.fields.items()
        ]
        if unknown:
            kept.append(keep_object(unknown))
        # A copy: what orjson gives keeps the 4 KiB that it was written into.
        return memoryview(orjson.dumps(kept)).tobytes()

    def read(self, unread: bytes) -> dict[str, Any]:
        """The fields by the names of their attributes."""
        kept = orjson.loads(unread)
        unknown = JSONObject.of_json(kept.pop()) if len(kept) > len(self.fields) else EMPTY
        found = {name: kind.read(value) for (name, kind), value in self._beside(kept)}
        return {_UNKNOWN: unknown, **found}

    def write(self, unread: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """The fields by their keys as the file has them, and the keys that nobody knows."""
        kept = orjson.loads(unread)
        unknown = kept.pop() if len(kept) > len(self.fields) else {}
        fields = zip(self.fields.items(), kept, strict=True)
        return {key: kind.write(value) for (key, (_, kind)), value in fields}, unknown

    def _beside(self, kept: list[Any]) -> zip[tuple[tuple[str, Kind], Any]]:
        return zip(self.fields.values(), kept, strict=True)


def keep_object(value: dict[str, Any]) -> dict[str, Any]:
    """An object that JSON gave; how deep it may be `JSONObject` says."""
    if value and not _NESTED.isdisjoint(map(type, value.values())):
        JSONObject(value)
    return value


def _read_object(value: dict[str, Any]) -> JSONObject:
    return JSONObject.of_json(value) if value else EMPTY


def _keep_texts(values: list[Any]) -> list[Any]:
    if values and not _TEXT.issuperset(map(type, values)):
        raise TypeError(values)
    return values


def _read_texts(values: list[str]) -> tuple[str, ...]:
    return tuple(values)


def _keep_history(entries: list[Any]) -> list[Any]:
    """One entry's values after the other's."""
    flat: list[Any] = []
    for entry in entries:
        if tuple(entry) != _ENTRY_KEYS:
            raise ValueError(entry)
        flat += entry.values()
    kinds = tuple(map(type, flat))
    if kinds not in _known_kinds:
        _check_kinds(kinds)
    return flat


#: The types of the values of histories, as far as they have been checked.
_known_kinds: set[tuple[type, ...]] = set()


def _check_kinds(kinds: tuple[type, ...]) -> None:
    for event, source, message, time, target in _by_entry(kinds):
        texts = {event, source, target}
        if texts != _TEXT or message not in _TEXT_OR_NONE or time not in _TIME:
            raise TypeError(kinds)
    if len(_known_kinds) < _KINDS_MOST:
        _known_kinds.add(kinds)


def _by_entry(flat: Any) -> zip[tuple[Any, ...]]:
    one = iter(flat)
    return zip(one, one, one, one, one, strict=True)


def _read_history(flat: list[Any]) -> tuple[HistoryEntry, ...]:
    # The names of states and events are few: each is kept in memory once.
    once = sys.intern
    return tuple(
        [
            HistoryEntry(time, once(event), once(source), once(target), message)
            for event, source, message, time, target in _by_entry(flat)
        ]
    )


def _write_history(flat: list[Any]) -> list[dict[str, Any]]:
    return [dict(zip(_ENTRY_KEYS, entry, strict=True)) for entry in _by_entry(flat)]


def _as_it_is(value: Any) -> Any:
    return value


#: By the type of a field; all other fields are read at once.
KINDS: Mapping[Any, Kind] = {
    JSONObject: Kind(dict, keep_object, _read_object, _as_it_is),
    tuple[str, ...]: Kind(list, _keep_texts, _read_texts, _as_it_is),
    tuple[HistoryEntry, ...]: Kind(list, _keep_history, _read_history, _write_history),
}
