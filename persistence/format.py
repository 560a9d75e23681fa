"""The JSON form of a record class: which key each field has, and how strictly it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, fields, frozen

from ..errors import LifecycleError
from ..statemachine import Task
from ..statemachine.record import file_key, unread_of
from .canonical import Reader, make_reader

if TYPE_CHECKING:
    from .structuring import Structuring

_UNKNOWN = "_unknown"


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
    _structuring: Structuring = field(alias="structuring", repr=False)
    _read: Reader | None = field(alias="read", repr=False)

    def to_json(self, task: Task) -> dict[str, Any]:
        """The record as its file has it, the unknown keys too; a copy that is the caller's own."""
        if self._read is not None and self._read.writes:
            unread = unread_of(task)
            if unread is not None:
                return self._read.to_json(task, unread)
        return task.unknown | self._structuring.unstructure(task)

    def from_json(self, values: dict[str, Any]) -> Task:
        """The record of such an object.

        Raises:
            ValueError: It is not such an object, with everything that is wrong, and where; or a
                key that nobody knows has a value that JSON cannot hold.
        """
        task = self._structuring.structure(values)
        known = set(self.keys.values())
        unknown = {key: value for key, value in values.items() if key not in known}
        return evolve(task, unknown=unknown) if unknown else task

    def from_canonical(self, values: dict[str, Any], *, checked: bool = True) -> Task | None:
        """The same for an object that `canonical.parse` gave; None: ask `from_json`.

        Paths and counts are checked, too. Not `checked`: it has been changed since.
        """
        return None if self._read is None else self._read(values, checked=checked)

    def check_fields(self, task: Task, names: Iterable[str]) -> None:
        """Checks that fields, by their Python names, hold what their types say.

        Raises:
            ValueError: One does not; it says which, by its key in the file.
        """
        self._structuring.check(task, names)


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
    from .structuring import make_structuring  # not before the first file is read

    structuring = make_structuring(record, keys)
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
        structuring=structuring,
        read=make_reader(record, {keys[i.name]: i for i in items}, structuring.value),
    )


def as_dictionary(task: Task) -> dict[str, Any]:
    """The record as its file has it, the unknown keys too; a copy that is the caller's own."""
    return record_format(type(task)).to_json(task)
