"""What the fields of a record may hold: a few values for proofs, from metadata and types."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from attrs import NOTHING, Attribute, Factory, fields

from ..statemachine import Task, UploadTask

#: An upload of `b"abc"`, announced.
SHA1 = "a9993e364706816aba3e25717850c26c9cd0d89d"
_UPLOAD: Mapping[str, Any] = {"file_size": 3, "offset": 0, "source_checksum": SHA1}
#: So many combinations of values are tried, and no more.
_MOST = 256


def own_fields(record: type[Task], base: type[Task] = Task) -> list[Attribute[Any]]:
    """The fields that a record class has and its base has not."""
    known = {item.name for item in fields(base)}
    return [item for item in fields(record) if item.name not in known]


def argument(item: Attribute[Any]) -> str:
    """What a field is called when a record is made."""
    return item.alias or item.name


@cache
def variants(record: type[Task]) -> tuple[Mapping[str, Any], ...]:
    """Values of a record's own fields that guards may tell apart, by Python name.

    A bool has both, and so have an enumeration and a `Literal` all of theirs; other fields have
    their default and the examples that `in_file` gives. Those combinations come first that differ
    least from the first one: of all pairs of fields, before any three.
    """
    return tuple(itertools.islice(_combinations(record), _MOST))


def single_variants(record: type[Task]) -> tuple[Mapping[str, Any], ...]:
    """Of `variants` those that differ in one field at the most: each value is there once."""
    more = sum(len(values) - 1 for values in choices_of(record).values() if values)
    return variants(record)[: more + 1]


def _combinations(record: type[Task]) -> Iterator[Mapping[str, Any]]:
    known = _UPLOAD if issubclass(record, UploadTask) else {}
    choices = choices_of(record)
    first = {**{name: values[0] for name, values in choices.items()}, **known}
    varied = [name for name, values in choices.items() if len(values) > 1 and name not in known]
    for count in range(len(varied) + 1):
        for names in itertools.combinations(varied, count):
            for values in itertools.product(*(choices[name][1:] for name in names)):
                yield {**first, **dict(zip(names, values, strict=True))}


@cache
def choices_of(record: type[Task]) -> Mapping[str, tuple[Any, ...]]:
    """By the Python name of each field of its own: what a proof tries, the usual value first."""
    hints = get_type_hints(record)
    return {argument(item): _choices(item, hints[item.name]) for item in own_fields(record)}


def _choices(item: Attribute[Any], hint: Any) -> tuple[Any, ...]:
    examples = item.metadata.get("examples", ())
    default = _default(item)
    found = [*examples, *default] if examples else [*default, *_members(hint)]
    return tuple(value for at, value in enumerate(found) if value not in found[:at])


def _default(item: Attribute[Any]) -> tuple[Any, ...]:
    default: Any = item.default
    if isinstance(default, Factory):  # pyright: ignore[reportArgumentType]
        return () if default.takes_self else (default.factory(),)
    return () if default is NOTHING else (default,)


def _members(hint: Any) -> tuple[Any, ...]:
    """All values of a type that has few."""
    if hint is bool:
        return (False, True)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return tuple(hint)
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return tuple(value for one in get_args(hint) for value in _members(one))
    return ()
