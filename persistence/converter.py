"""A task as JSON text and back: strict on the way in, so that nothing is guessed or coerced."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection
from typing import Any

import orjson
from attrs import Factory, field, frozen

from ..errors import InvalidPath, InvalidTaskFile
from ..files import check_relative
from ..statemachine import Lifecycle, Task
from .canonical import OPTIONS, parse
from .format import RecordFormat, record_format

#: Turns the object of an older file into one of today, before it is checked.
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]

#: What an id may be; use `fullmatch`.
TASK_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


@frozen(eq=False, repr=False)
class TaskConverter:
    """Tasks of one lifecycle as the bytes of their files; made by `make_converter`."""

    lifecycle: Lifecycle
    upgrade: Upgrade | None = None
    format: RecordFormat = field(
        default=Factory(lambda self: record_format(self.lifecycle.record), takes_self=True),
        init=False,
        repr=False,
    )

    def dump(self, task: Task) -> bytes:
        """The file's content: indented and sorted, so that a person can read a diff."""
        return orjson.dumps(self.format.to_json(task), option=OPTIONS)

    def load(self, data: bytes, task_id: str, *, edited: bool = False) -> Task:
        """The task of the file `{task_id}.json`, with the names of today.

        With `edited`, state and history may be anything of the right type: for `merge_edit`,
        which takes neither from a person.

        Raises:
            InvalidTaskFile: with everything that is wrong, and where.
        """
        return self.read(data, task_id, edited=edited)[0]

    def read(self, data: bytes, task_id: str, *, edited: bool = False) -> tuple[Task, bool]:
        """As `load`, and whether the file has names that states had before (`renamed`)."""
        try:
            written = self._load_canonical(data, task_id, edited)
            if written is not None:
                task = self.lifecycle.taken_over(written)
            else:
                written = self.format.from_json(self._upgraded(_parse(data)))
                task = self.lifecycle.taken_over(written)
                self._check(task, task_id, edited)
        except RecursionError:
            raise InvalidTaskFile(f"{task_id}.json", "it is nested too deeply") from None
        except ValueError as error:
            raise InvalidTaskFile(f"{task_id}.json", str(error)) from None
        return task, task is not written

    def _load_canonical(self, data: bytes, task_id: str, edited: bool) -> Task | None:
        """The task of a file that is as `dump` writes it; None for every other one.

        Also where anything is wrong with it: the long way finds out what.
        """
        written = parse(data)
        if written is None:
            return None
        values = self._upgraded(written)
        task = self.format.from_canonical(values, checked=values is written)
        if task is None or task.id != task_id or not TASK_ID.fullmatch(task_id):
            return None
        if edited or (task.state in self.lifecycle.storable and _ends_in(task.state, values)):
            return task
        return None

    def _upgraded(self, values: dict[str, Any]) -> dict[str, Any]:
        return values if self.upgrade is None else self.upgrade(values)

    def check(self, task: Task, names: Collection[str]) -> None:
        """Checks fields that somebody has set, by their Python names, without a file.

        Raises:
            ValueError: One holds what the file could not, or would not load; it says which.
        """
        self.format.check_fields(task, names)
        self._check_values(task)

    def _check_values(self, task: Task) -> None:
        keys = self.format.keys
        for name in self.format.paths:
            path = getattr(task, name)
            if path is not None:
                try:
                    check_relative(path)
                except InvalidPath as error:
                    raise ValueError(f"{error} @ $.{keys[name]}") from None
        for name in self.format.counts:
            if (getattr(task, name) or 0) < 0:
                raise ValueError(f"expected no negative number @ $.{keys[name]}")

    def _check(self, task: Task, task_id: str, edited: bool) -> None:
        if task.id != task_id or not TASK_ID.fullmatch(task.id):
            raise ValueError(f"the id {task.id!r} is not the name of the file @ $.id")
        self._check_values(task)
        if edited:
            return
        if task.state not in self.lifecycle.storable:
            raise ValueError(f"{task.state!r} is no state that a task can be stored in @ $.state")
        if task.history and task.history[-1].target != task.state:
            last = task.history[-1].target
            raise ValueError(f"the last entry leads to {last!r}, not to the state @ $.history")


def make_converter(lifecycle: Lifecycle, upgrade: Upgrade | None = None) -> TaskConverter:
    """A converter for tasks of `lifecycle`: only its storable states load.

    Args:
        lifecycle: It names the class of the records.
        upgrade: Gets the object of each file before it is checked, and returns the one that counts.
            A ValueError of its makes the file invalid.

    Raises:
        LifecycleError: A field of the record class cannot be written into a file.
    """
    return TaskConverter(lifecycle, upgrade)


def _ends_in(state: str, values: dict[str, Any]) -> bool:
    """Whether the history in a file leads to this state, as far as there is one."""
    history = values.get("history")
    return not history or history[-1]["to"] == state


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
