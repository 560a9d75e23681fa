"""What counts when a person has edited the file of a task that is in memory."""

from __future__ import annotations

import logging

from attrs import evolve

from ..statemachine import JSONObject, Task

_log = logging.getLogger(__name__)


def merge_edit(ours: Task, edited: Task) -> Task:
    """Our record with what a person may change: annotations, paths, flags and unknown keys.

    Everything else is ours, above all id, state, history and attempts, and `uploadpath`, which says
    whose the data is; a state that the person wrote is put back, and logged. Annotations that the
    person changed are the user's from now on.
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
    return evolve(
        ours,
        annotations=after,
        unknown=edited.unknown,
        handler_keys=tuple(untouched),
        preprocessed_path=edited.preprocessed_path,
        video_path=edited.video_path,
        album_path=edited.album_path,
        album_file_path=edited.album_file_path,
        artwork_source_type=edited.artwork_source_type,
        artwork_source_path=edited.artwork_source_path,
        trigger_import=edited.trigger_import,
        include_artwork=edited.include_artwork,
    )
