"""Tasks as dictionaries that a program changed: saved, made, or moved to a state by its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from attrs import evolve, fields

from ..engine import HeldTask, check_annotations, check_task_id
from ..errors import InvalidPath, InvalidTaskFile, StateIllegal, StateRefused
from ..files import check_name
from ..music import MusicEngine, RelativePaths
from ..persistence import as_dictionary, make_converter, merge_edit
from ..statemachine import ContentType, JSONObject, MusicTask, Sender, Task
from ..uploads import is_checksum

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
#: Fields that a new task does not get from its dictionary.
_NOT_MADE = frozenset(
    {
        "id",
        "state",
        "initialization_time",
        "update_time",
        "offset",
        "attempts",
        "history",
        "handler_keys",
    }
)


def dictionary(task: Mapping[str, Any]) -> JSONObject:
    """A copy of what a caller gave as a task; TypeError if it is not one."""
    if not isinstance(task, Mapping):
        raise TypeError(f"a task is a dictionary, not {type(task).__name__}")
    if not isinstance(task.get("id"), str):
        raise TypeError(f"the id of a task is text, not {task.get('id')!r}")
    return JSONObject(task)


def make(
    engine: MusicEngine,
    task: JSONObject,
    state: str,
    *,
    message: str | None = None,
    hold: bool = False,
) -> MusicTask:
    """Makes a task of a dictionary with the documented keys.

    Args:
        engine: Whose task it becomes.
        task: What is known of it; the id is the task's.
        state: Its first state: one that an edge from `new` leads to.
        message: Told as an `InternalError`.
        hold: What the state starts waits for `MusicEngine.release`, `look`, or the next start.

    Raises:
        UploadRefused: It says why; nothing was made.
        IllegalTransition: No edge leads there, or the task was removed.
        TypeError, ValueError: The dictionary is no task; it says where.
        TaskNotSaved: The disk refused.
    """
    task_id = task.copy()["id"]
    check_task_id(task_id)
    if engine.was_removed(task_id):
        raise StateIllegal(task_id, engine.lifecycle.gone, f"to {state}", (), state, ())
    record = _made(engine, task, task_id)
    event = event_to(engine, record, state)
    values = {
        item.alias: getattr(record, item.name)
        for item in fields(type(record))
        if not item.name.startswith("_") and item.name not in _NOT_MADE
    }
    how = {"annotations": record.annotations, "message": message, "unknown": record.unknown}
    if engine.lifecycle.state(state).takes_chunks:
        content_type, checksum = record.content_type or "", record.source_checksum or ""
        if record.file_size is None or not is_checksum(checksum):
            raise ValueError(f"an upload ({content_type}) needs a filesize and a SHA-1")
        del values["upload_path"], values["source_checksum"]
        return engine.begin_upload(task_id=task_id, checksum=checksum, hold=hold, **values, **how)
    if record.upload_path is None and record.preprocessed_path is None:
        return engine.create(event, task_id, hold=hold, **values, **how)
    # The task's directory is there only after the task, and its work waits for the data.
    made = engine.create(event, task_id, hold=True, **values, **how)
    with engine.hold(task_id) as held:
        made = held.change(lambda ours: _own_data(engine, ours))
    return made if hold else engine.release(task_id)


def _made(engine: MusicEngine, task: JSONObject, task_id: str) -> MusicTask:
    """The record of a task that is not there yet; raises as `_edited`."""
    values = task.copy()
    for key in ("initializationtime", "updatetime", "offset", "attempts", "history", "handlerkeys"):
        values.pop(key, None)
    if isinstance(values.get("annotations"), dict):
        check_annotations(values["annotations"])
    record = _parsed(engine, values | {"state": engine.lifecycle.initial}, task_id)
    _check_source_name(record)
    return record


def save(engine: MusicEngine, task: JSONObject) -> MusicTask:
    """Takes over what a program wrote into the dictionary of a task that is there.

    In the task's present state the other keys are saved, silently; another state is entered. What
    the engine alone writes (times, history, what is known of the upload) stays.

    Raises:
        TaskNotFound: It is not there.
        IllegalTransition: No edge leads to the dictionary's state, or one that only the engine
            takes. Nothing has changed.
        TypeError, ValueError: The dictionary is no task; nothing has changed.
        TaskNotSaved, InvalidTaskFile, UploadRefused: Nothing has changed.
    """
    values = task.copy()
    state = values.get("state")
    with engine.hold(values["id"]) as held:
        if state == held.record.state:
            return held.change(lambda ours: _edited(engine, ours, task, held.passed))
        return _move(engine, held, task, str(state), None)


def move(
    engine: MusicEngine, task: JSONObject, state: str, message: str | None = None
) -> MusicTask:
    """Saves the dictionary of a task with another state; in that state nothing happens.

    With a message the entry is notified as an `InternalError`. Raises as `save`.
    """
    with engine.hold(task.copy()["id"]) as held:
        return _move(engine, held, task, state, message)


def _move(
    engine: MusicEngine, held: HeldTask, task: JSONObject, state: str, message: str | None
) -> MusicTask:
    def edit(ours: MusicTask) -> MusicTask:
        return _edited(engine, ours, task, held.passed)

    def choose(record: MusicTask) -> str | None:
        if record.state == state:
            return None
        return event_to(engine, record, state, at_work=held.is_worked_on)

    record = edit(held.record)
    if choose(record) is None or not engine.lifecycle.state(state).takes_chunks:
        return held.move(edit, choose, message)
    with engine.claim_bytes(record):
        return held.move(edit, choose, message)


def event_to(engine: MusicEngine, record: MusicTask, state: str, *, at_work: bool = False) -> str:
    """The event that takes a task to a state.

    Events of the engine's own are never sent by the name of a state; those of a handler only while
    none works.

    Raises:
        StateIllegal, StateRefused: None that a program may send.
    """
    lifecycle = engine.lifecycle
    withheld = {Sender.ENGINE, Sender.HANDLER, Sender.UPLOAD} if at_work else {Sender.ENGINE}
    edges = [edge for edge in lifecycle.edges_from(record.state) if edge.sender not in withheld]
    events = list(dict.fromkeys(edge.event for edge in edges))
    taken = {event: engine.edge_taken(record, event) for event in events}
    for event, edge in taken.items():
        if edge is not None and edge.target == state:
            return event
    refusing = [edge for edge in edges if edge.target == state and edge.guard_name]
    if refusing:
        guards = [str(edge.guard_name) for edge in refusing]
        event = refusing[0].event
        raise StateRefused(record.id, record.state, event, events, guards, state)
    reachable = sorted({str(edge.target) for edge in taken.values() if edge and edge.target})
    raise StateIllegal(record.id, record.state, f"to {state}", events, state, reachable)


def _edited(
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
        raise ValueError(f"{record.content_type!r} is none of {known} @ $.contenttype")
    if record.source_filename != ours.source_filename:
        _check_source_name(record)
    if record.preprocessed_path != ours.preprocessed_path:
        return _own_data(engine, record)
    return record


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


def _own_data(engine: MusicEngine, record: MusicTask) -> MusicTask:
    """The record with its data in the task's directory, as nothing else goes with the task."""
    try:
        return engine.own_data(record)
    except InvalidPath as error:
        raise ValueError(f"{error} @ $.preprocessedpath") from None


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
        raise ValueError(f"this is no task: {error.reason}") from None
