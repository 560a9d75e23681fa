"""A record evolves as attrs would have it, whatever its class does."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import attrs
import pytest
from attrs import field, frozen
from attrs.validators import instance_of
from musictasks.statemachine import MUSIC, HistoryEntry, MusicTask, Task, TaskMachine
from musictasks.statemachine.evolving import _evolving, evolve

TASK = MusicTask(
    id="t",
    state="waitforchunk",
    content_type="albumfile",
    annotations={"song": "Song"},
    history=(HistoryEntry(1.0, "request_upload", "new", "waitforchunk"),),
    unknown={"later": [1]},
)


@frozen(kw_only=True)
class Scan(Task):
    """As an integrator writes it: it can be referred to weakly, and keeps what it computed."""

    pages: int | None = None
    _secret: str = field(default="", alias="secret")

    @cached_property
    def twice(self) -> int:
        return (self.pages or 0) * 2


@frozen(kw_only=True)
class Converted(Task):
    pages: int = field(default=0, converter=int)


@frozen(kw_only=True, slots=False)
class WithDictionary(Task):
    pages: int = 0


@frozen(kw_only=True)
class Validated(Task):
    pages: int = field(default=0, validator=instance_of(int))


@frozen(kw_only=True)
class Completed(Task):
    pages: int = 0
    twice: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "twice", self.pages * 2)


@frozen(kw_only=True)
class Constructed(Task):
    pages: int = 0

    def __init__(self, *, pages: Any = 0, **values: Any) -> None:
        self.__attrs_init__(  # pyright: ignore[reportAttributeAccessIssue]
            pages=int(pages), **values
        )


class Derived(Scan):
    """No class of attrs' own."""


KINDS = [Scan, Converted, WithDictionary, Validated, Completed, Constructed, Derived]
QUICK = [Scan, Converted]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"state": "uploadcomplete", "history": (), "attempts": 2},
        {"annotations": {"a": 1}, "unknown": None},
        {"album_path": "Artist/Album"},
    ],
    ids=str,
)
def test_the_documented_record_evolves_as_by_attrs(changes: dict[str, Any]):
    """The same values, of the same class, and the record itself is as before."""
    before = attrs.asdict(TASK)
    made = evolve(TASK, **changes)
    assert type(made) is MusicTask
    assert made == attrs.evolve(TASK, **changes)
    assert repr(made) == repr(attrs.evolve(TASK, **changes))
    assert attrs.asdict(TASK) == before


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_so_does_every_class_of_an_integrator(kind: Callable[..., Task]):
    """Its converters, validators and constructors are called where it has some."""
    task = kind(id="t", state="waiting", pages=3)
    made = evolve(task, pages=4, annotations={"a": 1})
    assert type(made) is kind
    assert made == attrs.evolve(task, pages=4, annotations={"a": 1})
    assert getattr(made, "twice", 8) == 8
    assert getattr(task, "twice", 6) == 6


def test_where_the_constructor_does_more_than_to_fill_slots_it_is_called():
    """The quick way is for those classes whose constructor does nothing else."""
    assert [kind for kind in KINDS if _evolving(kind) is not None] == QUICK
    assert _evolving(MusicTask) is not None
    with pytest.raises(TypeError, match="pages"):
        evolve(Validated(id="t", state="waiting"), pages="many")


def test_a_value_is_converted_as_by_the_constructor():
    """Only that of a field that changes."""
    assert evolve(Converted(id="t", state="waiting"), pages="12").pages == 12
    with pytest.raises(ValueError, match="many"):
        evolve(Converted(id="t", state="waiting"), pages="many")


def test_what_a_record_computed_is_not_taken_along():
    """A property that is kept in a slot is computed again for the next record."""
    task = Scan(id="t", state="waiting", pages=3)
    assert task.twice == 6
    assert evolve(task, pages=5).twice == 10


def test_the_next_record_is_frozen_as_well():
    """Nothing of how it was made can be seen of it."""
    made = evolve(TASK, state="paused")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.state = "new"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del made.state  # pyright: ignore[reportAttributeAccessIssue]
    assert not hasattr(made, "__dict__")


def test_a_field_that_is_none_is_refused_as_by_attrs():
    """The name of the constructor's argument counts, not that of the attribute."""
    for name in ("colour", "_annotations"):
        with pytest.raises(TypeError, match=name):
            evolve(TASK, **{name: None})


def test_an_event_makes_its_record_the_quick_way():
    """The record of the documented lifecycle, and that of an integrator's class."""
    lifecycle = MUSIC.with_record(_Reviewed)
    task = _Reviewed(id="t", content_type="albumfile", reviewer="Ann")
    made = TaskMachine(lifecycle).send(task, "request_upload", now=1.0)
    assert (made.state, made.reviewer) == ("waitforchunk", "Ann")
    assert _evolving(_Reviewed) is not None


@frozen(kw_only=True)
class _Reviewed(MusicTask):
    reviewer: str | None = None
