"""What counts when a person has edited the file of a task that is in memory."""

from __future__ import annotations

import logging
from typing import TypeVar

from attrs import evolve

from ..statemachine import JSONObject, Task
from .format import record_format

_log = logging.getLogger(__name__)

T = TypeVar("T", bound=Task)


def merge_edit(ours: T, edited: T) -> T:
    """Our record with what a person may change: annotations, unknown keys, and editable fields.

    Everything else is ours, above all id, state, history and attempts; a state that the person
    wrote is put back, and logged. Annotations that the person changed are the user's from now on.
    """
    if edited.state != ours.state:
        _log.warning(
            "the state of task %s was edited to %r; it is %r and stays so: "
            "use retry or remove to change it",
            ours.id,
            edited.state,
            ours.state,
        )
    before, after = ours.annotations, edited.annotations
    untouched = [
        key
        for key in ours.handler_keys
        if key in after and JSONObject({key: after[key]}) == JSONObject({key: before.get(key)})
    ]
    theirs = {name: getattr(edited, name) for name in record_format(type(ours)).editable}
    return evolve(
        ours, annotations=after, unknown=edited.unknown, handler_keys=tuple(untouched), **theirs
    )
