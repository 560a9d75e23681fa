"""The lifecycle of the documented task management, as data (`spec/LIFECYCLE.md`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .declaration import Edge, Guard, Kind, Role, Stage, StateSpec, Target
from .lifecycle import Lifecycle
from .record import Task

Payload = Mapping[str, Any]


def is_upload(task: Task, payload: Payload) -> bool:
    """The content type is video, albumfile, album or artwork."""
    return task.content_type in {"video", "albumfile", "album", "artwork"}


def is_album_or_video(task: Task, payload: Payload) -> bool:
    """The content type is album or video."""
    return task.content_type in {"album", "video"}


def is_artwork(task: Task, payload: Payload) -> bool:
    """The content type is artwork."""
    return task.content_type == "artwork"


def is_not_artwork(task: Task, payload: Payload) -> bool:
    """The content type is not artwork."""
    return task.content_type != "artwork"


def is_any(task: Task, payload: Payload) -> bool:
    """The content type is any."""
    return task.content_type == "any"


def is_incomplete(task: Task, payload: Payload) -> bool:
    """The payload's `size`, the bytes that are there, is less than the file's."""
    return task.file_size is not None and 0 <= payload.get("size", -1) < task.file_size


def is_complete(task: Task, payload: Payload) -> bool:
    """The payload's `size` is the file's, and its `sha1` the announced one."""
    return (
        task.file_size is not None
        and task.source_checksum is not None
        and payload.get("size") == task.file_size
        and str(payload.get("sha1")).lower() == task.source_checksum.lower()
    )


def asks_for_import(task: Task, payload: Payload) -> bool:
    """The task's `triggerimport` is set."""
    return task.trigger_import


def asks_for_artwork(task: Task, payload: Payload) -> bool:
    """The task's `includeartwork` is set."""
    return task.include_artwork


def failed_in_preprocessing(task: Task, payload: Payload) -> bool:
    """The last history entry came from `preprocessing`: the upload itself is good."""
    return task.came_from == "preprocessing"


def failed_in_artwork(task: Task, payload: Payload) -> bool:
    """The last history entry came from `importingartwork`, or the content type is artwork."""
    return task.came_from == "importingartwork" or task.content_type == "artwork"


def _states(group: str, **roles: Role) -> tuple[StateSpec, ...]:
    return tuple(StateSpec(name, group, role) for name, role in roles.items())


STATES = (
    *_states("unrelated", new=Role.INITIAL, notexisting=Role.GONE),
    *_states("unrelated", invalidcontent=Role.FAILED, remove=Role.REMOVING),
    *_states("upload", waitforchunk=Role.WAITING, uploadfailed=Role.FAILED),
    *_states("upload", uploadcomplete=Role.QUEUED, preprocessing=Role.WORKING),
    *_states("integration", readyforintegration=Role.WAITING, startintegration=Role.QUEUED),
    *_states("integration", integrating=Role.WORKING, integrationfailed=Role.FAILED),
    *_states("import", readyforimport=Role.PASSING),
    *_states("import", startmusicimport=Role.QUEUED, importingmusic=Role.WORKING),
    *_states("import", importfailed=Role.FAILED),
    *_states("import", startartworkimport=Role.QUEUED, importingartwork=Role.WORKING),
    *_states("import", importcomplete=Role.FINISHED),
    *_states("file system scan", startfsscan=Role.QUEUED, scanningfs=Role.WORKING),
    *_states("file system scan", fsscanfailed=Role.FAILED, fsscancomplete=Role.FINISHED),
)

STAGES = (
    Stage(
        "preprocessing",
        group="upload",
        queued="uploadcomplete",
        working="preprocessing",
        succeeded="readyforintegration",
        failed="uploadfailed",
        rejected="invalidcontent",
        kind=Kind.DOCUMENTED,
        failed_kind=Kind.ADDED,
    ),
    Stage(
        "integration",
        group="integration",
        queued="startintegration",
        working="integrating",
        succeeded=(Target("startmusicimport", asks_for_import), "readyforimport"),
        failed="integrationfailed",
        rejected="invalidcontent",
        kind=Kind.DOCUMENTED,
    ),
    Stage(
        "music import",
        group="import",
        queued="startmusicimport",
        working="importingmusic",
        succeeded=(Target("startartworkimport", asks_for_artwork), "importcomplete"),
        failed="importfailed",
        rejected="invalidcontent",
        kind=Kind.DOCUMENTED,
    ),
    Stage(
        "artwork import",
        group="import",
        queued="startartworkimport",
        working="importingartwork",
        succeeded="importcomplete",
        failed="importfailed",
        rejected="invalidcontent",
        kind=Kind.DOCUMENTED,
    ),
    Stage(
        "file system scan",
        group="file system scan",
        queued="startfsscan",
        working="scanningfs",
        succeeded="fsscancomplete",
        failed="fsscanfailed",
        kind=Kind.DOCUMENTED,
    ),
)


def _edge(
    event: str,
    source: str,
    target: str | None,
    guard: Guard | None = None,
    kind: Kind = Kind.DOCUMENTED,
    *,
    stored: bool = True,
) -> Edge:
    return Edge(event=event, source=source, target=target, guard=guard, kind=kind, stored=stored)


def _retry(source: str, target: str, guard: Guard | None = None) -> Edge:
    return _edge("retry", source, target, guard, Kind.RETRY)


FREE_EDGES = (
    _edge("request_upload", "new", "waitforchunk", is_upload),
    _edge("request_music_import", "new", "startmusicimport", is_album_or_video),
    _edge("request_artwork_import", "new", "startartworkimport", is_artwork),
    _edge("request_scan", "new", "startfsscan", is_any),
    _edge("receive_chunk", "waitforchunk", None, is_incomplete, stored=False),
    _edge("complete_upload", "waitforchunk", "uploadcomplete", is_complete),
    _edge("fail", "waitforchunk", "uploadfailed"),
    _edge("request_integration", "readyforintegration", "startintegration", is_not_artwork),
    _edge("request_artwork_import", "readyforintegration", "startartworkimport", is_artwork),
    _retry("uploadfailed", "uploadcomplete", failed_in_preprocessing),
    _retry("uploadfailed", "waitforchunk"),
    _retry("integrationfailed", "startintegration"),
    _retry("importfailed", "startartworkimport", failed_in_artwork),
    _retry("importfailed", "startmusicimport"),
    _retry("fsscanfailed", "startfsscan"),
    *(
        _edge("remove", state.name, "remove")
        for state in STATES
        if state.role not in {Role.INITIAL, Role.GONE, Role.REMOVING}
    ),
    _edge("forget", "remove", "notexisting"),
)

#: The lifecycle of the documented task management: 23 states, 5 stages.
MUSIC = Lifecycle(STATES, STAGES, FREE_EDGES)
