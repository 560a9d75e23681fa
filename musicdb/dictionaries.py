"""Tasks as dictionaries that a program changed: saved, made, or moved to a state by its name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from attrs import evolve, fields

from ..engine import HeldTask, check_task_id
from ..errors import StateIllegal, StateRefused, TaskExists, TaskNotFound, UploadRefused
from ..music import MusicEngine
from ..statemachine import JSONObject, MusicTask, Sender
from ..uploads import is_checksum
from . import edits

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


def make(
    engine: MusicEngine,
    task: Mapping[str, Any],
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
        TypeError, ValueError: It is not a task dictionary; the message says where.
        TaskNotSaved: The disk refused.
    """
    return _make(engine, _copied(task), state, message=message, hold=hold)


def save(engine: MusicEngine, task: Mapping[str, Any]) -> MusicTask:
    """Takes over what a program wrote into the dictionary of a task.

    In the task's present state the other keys are saved, silently; another state is entered. What
    the engine alone writes (times, history, what is known of the upload) stays. A task that is not
    there is made; what its state starts waits.

    Raises:
        IllegalTransition: No edge leads to the dictionary's state, or one that only the engine
            takes. Nothing has changed.
        TypeError, ValueError: It is not a task dictionary; nothing has changed.
        TaskNotSaved, InvalidTaskFile, UploadRefused: Nothing has changed.
    """
    ours = _copied(task)
    values = ours.copy()
    state = str(values.get("state"))
    try:
        with engine.hold(values["id"]) as held:
            if state == held.record.state:
                return held.change(lambda now: _with_edits(engine, held, ours, now))
            return _move(engine, held, ours, state, None)
    except TaskNotFound:
        return _make(engine, ours, state, hold=True)


def move(
    engine: MusicEngine, task: Mapping[str, Any], state: str, message: str | None = None
) -> MusicTask:
    """Saves the dictionary of a task with another state; in that state nothing happens.

    With a message the entry is notified as an `InternalError`. A task that is not there is made;
    what its state starts waits. Raises as `save`.
    """
    ours = _copied(task)
    try:
        with engine.hold(ours.copy()["id"]) as held:
            return _move(engine, held, ours, state, message)
    except TaskNotFound:
        return _make(engine, ours, state, message=message, hold=True)


def schedule(engine: MusicEngine, task: Mapping[str, Any]) -> MusicTask:
    """Starts what the state of a task starts, if it waits; makes a task that is not there.

    Raises as `make`.
    """
    ours = _copied(task)
    values = ours.copy()
    try:
        return engine.release(values["id"])
    except TaskNotFound:
        return _make(engine, ours, str(values.get("state")))


def _copied(task: Mapping[str, Any]) -> JSONObject:
    """A copy of what a caller gave as a task; TypeError if it is not one."""
    if not isinstance(task, Mapping):
        raise TypeError(f"a task is a dictionary, not {type(task).__name__}")
    if not isinstance(task.get("id"), str):
        raise TypeError(f"the id of a task is text, not {task.get('id')!r}")
    return JSONObject(task)


def _make(
    engine: MusicEngine,
    task: JSONObject,
    state: str,
    *,
    message: str | None = None,
    hold: bool = False,
) -> MusicTask:
    task_id = task.copy()["id"]
    check_task_id(task_id)
    if engine.was_removed(task_id):
        raise StateIllegal(task_id, engine.lifecycle.gone, f"to {state}", (), state, ())
    record = edits.new_record(engine, task, task_id)
    event = event_to(engine, record, state)
    if engine.lifecycle.state(state).takes_chunks:
        record = evolve(record, upload_path=None)  # the engine names it
        begin = partial(_begin_upload, engine, record)
    else:
        begin = partial(engine.create, event, record.id)
    # The task's directory is there only after the task: what the dictionary names moves into it
    # then, and the work of the task waits for it.
    names_data = bool(edits.unowned(engine, record))
    try:
        made = begin(**_values(record), message=message, hold=hold or names_data)
    except TaskExists as error:
        raise UploadRefused(f"the id {task_id} is known already", task_id) from error
    return _take_in(engine, task_id, hold=hold) if names_data else made


def _begin_upload(engine: MusicEngine, record: MusicTask, **values: Any) -> MusicTask:
    content_type, checksum = record.content_type or "", values.pop("source_checksum") or ""
    if record.file_size is None or not is_checksum(checksum):
        raise ValueError(f"an upload ({content_type}) needs a filesize and a SHA-1")
    del values["upload_path"]
    return engine.begin_upload(task_id=record.id, checksum=checksum, **values)


def _values(record: MusicTask) -> dict[str, Any]:
    """What a new task gets of a record, as the arguments of `Engine.create`."""
    values = {
        item.alias: getattr(record, item.name)
        for item in fields(type(record))
        if not item.name.startswith("_") and item.name not in _NOT_MADE
    }
    return {**values, "annotations": record.annotations, "unknown": record.unknown}


def _take_in(engine: MusicEngine, task_id: str, *, hold: bool) -> MusicTask:
    """Moves the data that a new task names into its directory; without it there is no task."""
    try:
        with engine.hold(task_id) as held:
            made = held.change(lambda ours: edits.own(engine, ours))
    except BaseException:
        engine.discard(task_id)
        raise
    return made if hold else engine.release(task_id)


def _with_edits(
    engine: MusicEngine, held: HeldTask, task: JSONObject, ours: MusicTask
) -> MusicTask:
    """Our record with what a program wrote, the data that it named moved to the task."""
    return edits.with_data(engine, ours, edits.edited(engine, ours, task, held.passed))


def _move(
    engine: MusicEngine, held: HeldTask, task: JSONObject, state: str, message: str | None
) -> MusicTask:
    def choose(record: MusicTask) -> str | None:
        if record.state == state:
            return None
        return event_to(engine, record, state, at_work=held.is_worked_on)

    def edit(ours: MusicTask) -> MusicTask:
        return _with_edits(engine, held, task, ours)

    # Invariant: asked before any data is moved on the disk.
    record = edits.edited(engine, held.record, task, held.passed)
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
