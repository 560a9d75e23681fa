"""What a program wrote into the dictionary of a task, as a record; and the data it names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from attrs import evolve

from ..engine import check_annotations
from ..errors import InvalidPath, InvalidTaskFile, TaskNotSaved
from ..files import Directory, check_name
from ..music import MusicEngine, RelativePaths
from ..persistence import as_dictionary, make_converter, merge_edit
from ..statemachine import ContentType, JSONObject, MusicTask, Task

#: What the engine alone writes; `id` says which task is meant.
_OURS = frozenset(
    {
        "state",
        "initializationtime",
        "updatetime",
        "filesize",
        "offset",
        "uploadpath",
        "sourcechecksum",
        "attempts",
        "history",
        "handlerkeys",
    }
)
#: The fields that name data in the Upload Directory, by their keys.
_DATA = {
    "uploadpath": "upload_path",
    "preprocessedpath": "preprocessed_path",
    "awsourcepath": "artwork_source_path",
}


def new_record(engine: MusicEngine, task: JSONObject, task_id: str) -> MusicTask:
    """The record of a task that is not there yet; raises as `edited`."""
    values = task.copy()
    for key in ("initializationtime", "updatetime", "offset", "attempts", "history", "handlerkeys"):
        values.pop(key, None)
    if isinstance(values.get("annotations"), dict):
        check_annotations(values["annotations"])
    record = _parsed(engine, values | {"state": engine.lifecycle.initial}, task_id)
    _check_source_name(record)
    return record


def edited(
    engine: MusicEngine, ours: MusicTask, task: JSONObject, before: Mapping[str, Task]
) -> MusicTask:
    """Our record with what a program wrote into its dictionary.

    What the engine alone writes stays; keys that the dictionary lacks stay, too. Of a dictionary
    that was read in an earlier state, only what differs from the record of then counts (`before`
    has it by state): what a handler has noted since is not undone.

    Raises:
        ValueError: A record cannot hold it, or more than 1 MiB of annotations were changed; the
            message says where.
    """
    record = _merged(engine, ours, task, before)
    if record.content_type != ours.content_type and record.content_type not in {*ContentType, None}:
        known = ", ".join(sorted(ContentType))
        raise ValueError(f"{record.content_type!r} is not one of {known} @ $.contenttype")
    if record.source_filename != ours.source_filename:
        _check_source_name(record)
    if _names_other_data(ours, record):
        unowned(engine, record)
    return record


def with_data(engine: MusicEngine, ours: MusicTask, record: MusicTask) -> MusicTask:
    """What became of our record, with the data that a program named in it moved to the task."""
    return own(engine, record) if _names_other_data(ours, record) else record


def own(engine: MusicEngine, record: MusicTask) -> MusicTask:
    """The record with its data in the task's directory, as nothing else goes with the task."""
    try:
        return engine.own_data(record)
    except InvalidPath as error:
        raise ValueError(str(error)) from error


def unowned(engine: MusicEngine, record: MusicTask) -> dict[str, str]:
    """The paths of data that is not in the task's directory yet, by the fields of the record.

    Raises:
        ValueError: It is another task's, or may be.
    """
    try:
        found = engine.unowned_data(record)
        if engine.invalid():
            _check_free(engine, found.values())
    except InvalidPath as error:
        keys = [key for key, name in _DATA.items() if getattr(record, name) == error.path]
        raise ValueError(f"{error} @ $.{', '.join(keys)}") from None
    except OSError as error:
        raise TaskNotSaved(record.id, error.strerror or str(error)) from error
    return found


def _check_free(engine: MusicEngine, paths: Iterable[str]) -> None:
    """Refuses data that is there, as long as some task file does not load."""
    uploads = Directory(engine.settings.uploads)
    for path in paths:
        if uploads.status(path.partition("/")[0]) is not None:
            reason = "it may be the data of a task file that does not load: see `musictasks check`"
            raise InvalidPath(path, reason)


def _names_other_data(ours: MusicTask, record: MusicTask) -> bool:
    return (record.preprocessed_path, record.artwork_source_path) != (
        ours.preprocessed_path,
        ours.artwork_source_path,
    )


def _merged(
    engine: MusicEngine, ours: MusicTask, task: JSONObject, before: Mapping[str, Task]
) -> MusicTask:
    values = task.copy()
    theirs = {key: value for key, value in values.items() if key not in _OURS}
    state = _read_in(values)
    if state != ours.state and state in before:
        theirs = _changes(theirs, as_dictionary(before[state]), ours.annotations)
    _check_changed(theirs.get("annotations"), ours.annotations)
    record = _parsed(engine, as_dictionary(ours) | theirs, ours.id)
    return evolve(
        merge_edit(ours, record),
        content_type=record.content_type,
        mime_type=record.mime_type,
        source_filename=record.source_filename,
    )


def _read_in(values: dict[str, Any]) -> str:
    """The state that a task had when this dictionary was read."""
    try:
        return str(values["history"][-1]["to"])
    except (KeyError, IndexError, TypeError):
        return str(values.get("state"))


def _changes(
    theirs: dict[str, Any], base: dict[str, Any], annotations: dict[str, Any]
) -> dict[str, Any]:
    """What a program changed in a dictionary that was `base`; `annotations` are those of now."""
    changed = {key: value for key, value in theirs.items() if value != base.get(key)}
    noted, known = changed.get("annotations"), base["annotations"]
    if isinstance(noted, dict):
        kept = {
            key: value for key, value in annotations.items() if key in noted or key not in known
        }
        new = {key: value for key, value in noted.items() if value != known.get(key)}
        changed["annotations"] = kept | new
    return changed


def _check_source_name(record: MusicTask) -> None:
    if record.source_filename:
        try:
            check_name(record.source_filename)
        except InvalidPath as error:
            raise ValueError(f"{error} @ $.sourcefilename") from None


def _check_changed(annotations: object, known: dict[str, Any]) -> None:
    """Counts what a program changed: the result of a scan may be larger than a client may send."""
    if isinstance(annotations, dict):
        missing = object()
        check_annotations(
            {key: value for key, value in annotations.items() if value != known.get(key, missing)}
        )


def _parsed(engine: MusicEngine, values: dict[str, Any], task_id: str) -> MusicTask:
    data = json.dumps(values, ensure_ascii=False).encode()
    converter = make_converter(engine.lifecycle, RelativePaths(engine.settings.uploads))
    try:
        return cast(MusicTask, converter.load(data, task_id, edited=True))
    except InvalidTaskFile as error:
        raise ValueError(f"this is not a task: {error.reason}") from None
