"""Tasks as dictionaries that a program changed: saved, made, or moved to a state by its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from ..errors import InvalidPath, InvalidTaskFile, StateIllegal, StateRefused
from ..persistence import as_dictionary, merge_edit
from ..statemachine import ContentType, JSONObject, Lifecycle, Task
from .entry import Entry
from .targets import check_source_name
from .tasks import Tasks
from .uploads import Uploads

#: Annotations of a client in one call, as JSON.
_ANNOTATIONS_MOST_BYTES = 1024 * 1024
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
#: Never by the name of a state: they say what the engine does or did.
_NEVER = frozenset({"begin", "recover", "forget"})
#: Only while no worker holds the task.
_OF_HANDLERS = frozenset({"succeed", "fail", "reject"})


def check_annotations(annotations: Mapping[str, Any]) -> None:
    """Raises ValueError if they are nothing that JSON can hold, or more than 1 MiB."""
    plain = JSONObject(annotations).copy()
    size = len(json.dumps(plain, ensure_ascii=False).encode())
    if size > _ANNOTATIONS_MOST_BYTES:
        raise ValueError(f"{size} bytes of annotations are more than 1 MiB")


def edited(ours: Task, task: JSONObject, tasks: Tasks, before: Mapping[str, Task]) -> Task:
    """Our record with what a program wrote into its dictionary.

    What the engine alone writes stays; keys that the dictionary lacks stay, too. Of a dictionary
    that was read in an earlier state, only what differs from the record of then counts (`before`
    has it by state): what a handler has noted since is not undone.

    Raises:
        ValueError: A record cannot hold it, or more than 1 MiB of annotations were changed; the
            message says where.
    """
    values = task.copy()
    theirs = {key: value for key, value in values.items() if key not in _OURS}
    state = _read_in(values)
    if state != ours.state and state in before:
        theirs = _changes(theirs, as_dictionary(before[state]), ours.annotations)
    _check_changed(theirs.get("annotations"), ours.annotations)
    record = _parsed(as_dictionary(ours) | theirs, ours.id, tasks)
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


def made(task: JSONObject, task_id: str, tasks: Tasks) -> Task:
    """The record of a task that is not there yet; raises as `edited`."""
    values = task.copy()
    for key in ("initializationtime", "updatetime", "offset", "attempts", "history", "handlerkeys"):
        values.pop(key, None)
    if isinstance(values.get("annotations"), dict):
        check_annotations(values["annotations"])
    record = _parsed(values | {"state": tasks.lifecycle.initial}, task_id, tasks)
    _check_source_name(record)
    return record


def _check_source_name(record: Task) -> None:
    if record.source_filename:
        try:
            check_source_name(record.source_filename)
        except InvalidPath as error:
            raise ValueError(f"{error} @ $.sourcefilename") from None


def _check_changed(annotations: object, known: dict[str, Any]) -> None:
    """Counts what a program changed: the result of a scan may be larger than a client may send."""
    if isinstance(annotations, dict):
        missing = object()
        check_annotations(
            {key: value for key, value in annotations.items() if value != known.get(key, missing)}
        )


def _parsed(values: dict[str, Any], task_id: str, tasks: Tasks) -> Task:
    data = json.dumps(values, ensure_ascii=False).encode()
    try:
        return tasks.store.converter.load(data, task_id, edited=True)
    except InvalidTaskFile as error:
        raise ValueError(f"this is no task: {error.reason}") from None


def event_to(record: Task, state: str, lifecycle: Lifecycle, *, at_work: bool = False) -> str:
    """The event that takes a task to a state.

    Raises:
        StateIllegal, StateRefused: None that a program may send.
    """
    withheld = _NEVER | _OF_HANDLERS if at_work else _NEVER
    events = [event for event in lifecycle.events_from(record.state) if event not in withheld]
    for event in events:
        edge = lifecycle.edge_taken(record, event)
        if edge is not None and edge.target == state:
            return event
    ways = [edge for event in events for edge in lifecycle.edges_from(record.state, event)]
    refusing = [edge for edge in ways if edge.target == state and edge.guard_name]
    if refusing:
        guards = [str(edge.guard_name) for edge in refusing]
        event = refusing[0].event
        raise StateRefused(record.id, record.state, event, events, guards, state)
    taken = [lifecycle.edge_taken(record, event) for event in events]
    reachable = sorted({str(edge.target) for edge in taken if edge is not None and edge.target})
    raise StateIllegal(record.id, record.state, f"to {state}", events, state, reachable)


def save(entry: Entry, task: JSONObject, tasks: Tasks, uploads: Uploads) -> Task:
    """Takes over a dictionary, with its state; the caller holds the entry's lock."""
    state = task.copy().get("state")
    if state == entry.record.state:
        return tasks.change(entry, lambda ours: _edited(ours, entry, task, tasks, uploads))
    return move(entry, task, str(state), None, tasks, uploads)


def _edited(ours: Task, entry: Entry, task: JSONObject, tasks: Tasks, uploads: Uploads) -> Task:
    record = edited(ours, task, tasks, entry.passed)
    if record.content_type != ours.content_type and record.content_type not in {*ContentType, None}:
        known = ", ".join(sorted(ContentType))
        raise ValueError(f"{record.content_type!r} is none of {known} @ $.contenttype")
    if record.source_filename != ours.source_filename:
        _check_source_name(record)
    if record.preprocessed_path != ours.preprocessed_path:
        uploads.check_preprocessed(record)
    return record


def move(
    entry: Entry,
    task: JSONObject,
    state: str,
    message: str | None,
    tasks: Tasks,
    uploads: Uploads,
) -> Task:
    """Takes a task with its dictionary to `state`, if it is not there; with the lock held."""
    starts_over = False

    def edit(ours: Task) -> Task:
        record = _edited(ours, entry, task, tasks, uploads)
        return evolve(record, offset=0) if starts_over else record

    def choose(record: Task) -> str | None:
        if record.state == state:
            return None
        return event_to(record, state, tasks.lifecycle, at_work=entry.work is not None)

    record = edit(entry.record)
    event = choose(record)
    starts_over = event is not None and tasks.wants_chunks(evolve(record, state=state))
    if not starts_over:
        return tasks.move(entry, edit, choose, message)
    with uploads.starting_over(entry):
        return tasks.move(entry, edit, choose, message)
