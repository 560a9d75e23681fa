"""Every exception: its data by position and by name, as text and through a process."""

from __future__ import annotations

import pickle

import pytest
from musictasks import errors

ALL = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("error", ALL)
def test_an_exception_keeps_its_data_when_it_is_pickled(
    error: type[errors.MusicTasksError],
) -> None:
    """Handlers may run in other processes."""
    data = dict.fromkeys(error.__match_args__, "x")
    made = error(**data)
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is error
    assert again.__dict__ == made.__dict__ == data
    assert again.args == tuple(data.values())
    assert str(again) == str(made)


def test_data_is_given_in_the_order_of_the_class_or_by_name() -> None:
    """What the base class has comes first."""
    by_name = errors.TransitionRefused(
        guards=["is_complete"], task_id="1", state="uploading", event="send", allowed=()
    )
    by_order = errors.TransitionRefused("1", "uploading", "send", (), ["is_complete"])
    assert repr(by_name) == repr(by_order)
    assert repr(by_order) == (
        "TransitionRefused(task_id='1', state='uploading', event='send', allowed=(), "
        "guards=['is_complete'])"
    )


def test_what_is_not_given_has_its_default() -> None:
    """A default stands at the class, as in a dataclass."""
    error = errors.ChunkRefused("1", "too early")
    assert (error.offset, error.args) == (None, ("1", "too early", None))


@pytest.mark.parametrize(
    ("values", "named", "says"),
    [
        (("1", "full", 3, 4), {}, "takes task_id, reason, offset"),
        (("1", "full"), {"task_id": "2"}, "takes task_id, reason, offset"),
        (("1", "full"), {"size": 2}, "takes task_id, reason, offset"),
        (("1",), {}, "needs reason"),
    ],
)
def test_wrong_data_is_a_type_error(
    values: tuple[str, ...], named: dict[str, str], says: str
) -> None:
    """A call that no type checker looked at fails where it is, and says what the class takes."""
    with pytest.raises(TypeError, match=f"^ChunkRefused {says}$"):
        errors.ChunkRefused(*values, **named)  # pyright: ignore[reportArgumentType]
