"""The record of a task: a frozen value, the same in memory as in its file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import Attribute, field, frozen

from .evolving import evolve

#: Deeper annotations are refused: no JSON reader has to take them.
MAX_DEPTH = 100
#: How many history entries a record keeps, the newest.
HISTORY_LIMIT = 50


def _plain(value: Any, where: str, depth: int) -> Any:
    """A deep copy of `value` if JSON can hold it exactly, else a ValueError that says where."""
    if depth > MAX_DEPTH:
        raise ValueError(f"{where[:200]}: nested deeper than {MAX_DEPTH} levels")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(f"{where}: text with lone surrogates is not UTF-8") from None
        return str(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise ValueError(f"{where}: integers hold 64 bits at the most")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where}: JSON knows neither NaN nor infinity")
        return float(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"{where}: the keys of objects are text, not {key!r}")
        return {
            _plain(key, f"{where} (a key)", depth): _plain(item, f"{where}.{key}", depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    raise ValueError(f"{where}: JSON cannot hold a {type(value).__name__}")


def _copied(value: Any) -> Any:
    """`deepcopy` for what `_plain` gave, at a fifth of its price: every save and read copies."""
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()} if value else {}
    if type(value) is list:
        return [_copied(item) for item in value]
    return value


class JSONObject:
    """A JSON object that nobody can change: copied when it is made and when it is read."""

    __slots__ = ("_data",)

    def __init__(self, data: Mapping[str, Any], where: str = "$") -> None:
        if not isinstance(data, Mapping):
            raise TypeError(f"{where}: expected an object, not {type(data).__name__}")
        self._data: dict[str, Any] = _plain(data, where, 0)

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> JSONObject:
        """One of what a JSON parser gave, which nobody else has: neither checked nor copied."""
        made = object.__new__(cls)
        made._data = data
        return made

    def copy(self) -> dict[str, Any]:
        return _copied(self._data)

    def merged(self, other: Mapping[str, Any], where: str = "$") -> JSONObject:
        """A new object in which the keys of `other` come first."""
        result = JSONObject(other, where)
        result._data = {**self._data, **result._data}
        return result

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JSONObject) and _same(self._data, other._data)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return repr(self._data)


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1, 1.0 and true are three values."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


#: Most records have nothing of it; one is enough for all of them.
EMPTY = JSONObject({})


def _json_object(value: Mapping[str, Any] | JSONObject | None) -> JSONObject:
    if isinstance(value, JSONObject):
        return value
    if value is None:
        return EMPTY
    return JSONObject(value)


class _PartlyUnread:
    """What a record that was loaded has in place of fields that nobody has asked for yet."""

    __slots__ = ("_unread",)


#: By the class of a record: what makes fields, by the names of their attributes, of what is unread.
unread_readers: dict[type[_PartlyUnread], Callable[[bytes], Mapping[str, Any]]] = {}


@frozen(weakref_slot=False)
class HistoryEntry:
    """One change of state."""

    #: Unix seconds.
    time: float
    event: str
    #: The state before; "from" in the file.
    source: str
    #: The state after; "to" in the file.
    target: str
    message: str | None = None


def in_file(
    *,
    key: str | None = None,
    path: bool = False,
    editable: bool = True,
    count: bool = False,
    examples: Iterable[Any] = (),
    few: bool = False,
) -> dict[str, Any]:
    """The metadata of a record's field: what `musictasks.persistence` needs to know of it.

        pages: int | None = field(default=None, metadata=in_file(key="numofpages", count=True))

    A field without it has the defaults.

    Args:
        key: Its key in the task file; by default the name without underscores.
        path: It holds a relative path, which is checked at each load.
        editable: What a person writes into the task file counts. False: the engine's value does.
        count: It is never negative.
        examples: Values that `musictasks.testing` tries besides the default: those that a guard
            tells apart. Where there are none: each of a bool, an enumeration, a Literal.
        few: It is text, and one of few values: all tasks share one copy of each in memory.
    """
    return {
        "key": key,
        "path": path,
        "editable": editable,
        "count": count,
        "examples": tuple(examples),
        "few": few,
    }


def file_key(item: Attribute[Any]) -> str:
    """The key of a record's field in the task file."""
    return item.metadata.get("key") or item.name.replace("_", "")


def unread_of(task: Task) -> bytes | None:
    """The unread part of a record; None where all of it has been read."""
    try:
        return object.__getattribute__(task, "_unread")
    except AttributeError:  # made, not loaded
        return None


#: Of a field that only the engine writes.
_OURS = in_file(editable=False)
#: Of a number that only the engine writes, and that is never negative.
_COUNT = in_file(editable=False, count=True)


@frozen(kw_only=True, weakref_slot=False)
class Task(_PartlyUnread):
    """What is known of a task at one moment. Frozen: only the machine makes the next one.

    The record of a lifecycle is this class, or one derived from it that has fields of its own:

        @frozen(kw_only=True)
        class Scan(Task):
            pages: int | None = None

    Each further field needs a default. `in_file` says more of a field. `annotations` and
    `unknown` give copies.
    """

    id: str = field(metadata=_OURS)
    state: str = field(metadata=in_file(editable=False, few=True))
    _annotations: JSONObject = field(
        default=None,
        converter=_json_object,
        alias="annotations",
        metadata=in_file(key="annotations"),
    )
    #: Unix seconds at which the task was made.
    initialization_time: int | None = field(default=None, metadata=_COUNT)
    #: Unix seconds of the last change of state; None until the first one after the making.
    update_time: int | None = field(default=None, metadata=_COUNT)
    #: How often the present stage was begun.
    attempts: int = field(default=0, metadata=_COUNT)
    #: The changes of state, oldest first, the last 50.
    history: tuple[HistoryEntry, ...] = field(default=(), metadata=_OURS)
    #: The annotations that handlers made, and may make again; all others are the user's.
    handler_keys: tuple[str, ...] = field(default=(), metadata=_OURS)
    _unknown: JSONObject = field(default=None, converter=_json_object, alias="unknown")

    if not TYPE_CHECKING:  # no name is known only by this

        def __getattr__(self, name: str) -> Any:
            """A field that is not there: all that are unread are read, and stay.

            Two threads may do it at once: both read the same.
            """
            unread = unread_of(self)
            if unread is not None:
                for field_name, value in unread_readers[type(self)](unread).items():
                    object.__setattr__(self, field_name, value)
                # Invariant: after the fields are there, for whoever asks meanwhile.
                object.__setattr__(self, "_unread", None)
            return object.__getattribute__(self, name)

    @property
    def annotations(self) -> dict[str, Any]:
        """What users and handlers noted about the content: a copy."""
        return self._annotations.copy()

    @property
    def unknown(self) -> dict[str, Any]:
        """The keys of the task file that this version does not know: a copy."""
        return self._unknown.copy()

    @property
    def message(self) -> str | None:
        """The message of the last change of state."""
        return self.history[-1].message if self.history else None

    @property
    def came_from(self) -> str | None:
        """The state before the last change, None where no history tells."""
        return self.history[-1].source if self.history else None

    def annotated(self, annotations: Mapping[str, Any], *, by_handler: bool = False) -> Task:
        """This task with these annotations merged in.

        A key that the user has set is not overwritten by a handler.

        Raises:
            ValueError: An annotation is nothing that JSON can hold; the message says where.
        """
        if not annotations:
            return self
        if by_handler:
            free = [k for k in annotations if k not in self._annotations or k in self.handler_keys]
            annotations = {key: annotations[key] for key in free}
            keys = self.handler_keys + tuple(k for k in free if k not in self.handler_keys)
        else:
            keys = tuple(key for key in self.handler_keys if key not in annotations)
        merged = self._annotations.merged(annotations, "$.annotations")
        return evolve(self, annotations=merged, handler_keys=keys)
