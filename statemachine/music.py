"""The lifecycle and the record of the documented music task management, as data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from .declaration import Edge, Guard, Kind, Role, Sender, Stage, StateSpec, Target
from .lifecycle import Lifecycle
from .record import in_file
from .upload_record import UploadTask, is_complete, is_incomplete

Payload = Mapping[str, Any]


class State(StrEnum):
    """The 23 states of the music lifecycle. An integrator's lifecycle may have more."""

    NEW = "new"
    NOTEXISTING = "notexisting"
    INVALIDCONTENT = "invalidcontent"
    REMOVE = "remove"
    WAITFORCHUNK = "waitforchunk"
    UPLOADFAILED = "uploadfailed"
    UPLOADCOMPLETE = "uploadcomplete"
    PREPROCESSING = "preprocessing"
    READYFORINTEGRATION = "readyforintegration"
    STARTINTEGRATION = "startintegration"
    INTEGRATING = "integrating"
    INTEGRATIONFAILED = "integrationfailed"
    READYFORIMPORT = "readyforimport"
    STARTMUSICIMPORT = "startmusicimport"
    IMPORTINGMUSIC = "importingmusic"
    IMPORTFAILED = "importfailed"
    STARTARTWORKIMPORT = "startartworkimport"
    IMPORTINGARTWORK = "importingartwork"
    IMPORTCOMPLETE = "importcomplete"
    STARTFSSCAN = "startfsscan"
    SCANNINGFS = "scanningfs"
    FSSCANFAILED = "fsscanfailed"
    FSSCANCOMPLETE = "fsscancomplete"


class ContentType(StrEnum):
    """What a task is about."""

    VIDEO = "video"
    #: One file of an album: a song, but also a booklet or a video clip.
    ALBUMFILE = "albumfile"
    ALBUM = "album"
    ARTWORK = "artwork"
    #: A task about no content of its own: a scan of the file system.
    ANY = "any"


class ArtworkSource(StrEnum):
    """Where artwork comes from."""

    IMAGEFILE = "imagefile"
    SONGFILE = "songfile"
    VIDEOFILE = "videofile"


@frozen(kw_only=True, weakref_slot=False)
class MusicTask(UploadTask):
    """The record of the documented task management.

    Upload paths are relative to the Upload Directory, music paths to the Music Directory.
    """

    state: str = field(default="new", metadata=in_file(editable=False, few=True))
    content_type: str | None = field(
        default=None,
        metadata=in_file(editable=False, few=True, examples=[one.value for one in ContentType]),
    )
    mime_type: str | None = field(default=None, metadata=in_file(editable=False, few=True))
    #: Where there is one, it counts instead of `upload_path`.
    preprocessed_path: str | None = field(default=None, metadata=in_file(path=True))
    video_path: str | None = field(default=None, metadata=in_file(path=True))
    album_path: str | None = field(default=None, metadata=in_file(path=True))
    album_file_path: str | None = field(default=None, metadata=in_file(path=True))
    artwork_source_type: str | None = field(default=None, metadata=in_file(key="awsourcetype"))
    #: In the Upload Directory where there is an `upload_path`, else in the Music Directory.
    artwork_source_path: str | None = field(
        default=None, metadata=in_file(key="awsourcepath", path=True)
    )
    #: After the integration the import follows by itself.
    trigger_import: bool = False
    #: After the music import the artwork import follows by itself.
    include_artwork: bool = False


def is_upload(task: MusicTask, payload: Payload) -> bool:
    """The content type is video, albumfile, album or artwork."""
    return task.content_type in {"video", "albumfile", "album", "artwork"}


def is_album_or_video(task: MusicTask, payload: Payload) -> bool:
    """The content type is album or video."""
    return task.content_type in {"album", "video"}


def is_artwork(task: MusicTask, payload: Payload) -> bool:
    """The content type is artwork."""
    return task.content_type == "artwork"


def is_not_artwork(task: MusicTask, payload: Payload) -> bool:
    """The content type is not artwork."""
    return task.content_type != "artwork"


def is_any(task: MusicTask, payload: Payload) -> bool:
    """The content type is any."""
    return task.content_type == "any"


def asks_for_import(task: MusicTask, payload: Payload) -> bool:
    """The task's `triggerimport` is set."""
    return task.trigger_import


def asks_for_artwork(task: MusicTask, payload: Payload) -> bool:
    """The task's `includeartwork` is set."""
    return task.include_artwork


def failed_in_preprocessing(task: MusicTask, payload: Payload) -> bool:
    """The last history entry came from `preprocessing`: the upload itself is good."""
    return task.came_from == "preprocessing"


def failed_in_artwork(task: MusicTask, payload: Payload) -> bool:
    """The last history entry came from `importingartwork`, or the content type is artwork."""
    return task.came_from == "importingartwork" or task.content_type == "artwork"


def _states(group: str, **roles: Role) -> tuple[StateSpec, ...]:
    return tuple(StateSpec(name, group, role) for name, role in roles.items())


STATES = (
    StateSpec("new", "unrelated", Role.INITIAL),
    StateSpec("notexisting", "unrelated", Role.GONE),
    StateSpec("invalidcontent", "unrelated", Role.FAILED, keeps_data=False),
    StateSpec("remove", "unrelated", Role.REMOVING),
    StateSpec("waitforchunk", "upload", Role.WAITING, takes_chunks=True),
    StateSpec("uploadfailed", "upload", Role.FAILED, keeps_data=failed_in_preprocessing),
    *_states("upload", uploadcomplete=Role.QUEUED, preprocessing=Role.WORKING),
    *_states("integration", readyforintegration=Role.WAITING, startintegration=Role.QUEUED),
    *_states("integration", integrating=Role.WORKING, integrationfailed=Role.FAILED),
    *_states("import", readyforimport=Role.PASSING),
    *_states("import", startmusicimport=Role.QUEUED, importingmusic=Role.WORKING),
    *_states("import", importfailed=Role.FAILED),
    *_states("import", startartworkimport=Role.QUEUED, importingartwork=Role.WORKING),
    StateSpec("importcomplete", "import", Role.FINISHED, keeps_data=False, refreshes=True),
    *_states("file system scan", startfsscan=Role.QUEUED, scanningfs=Role.WORKING),
    *_states("file system scan", fsscanfailed=Role.FAILED, fsscancomplete=Role.FINISHED),
)

# Each stage makes its edges (`Stage.edges`): `rejected="invalidcontent"` is the edge `reject` from
# its working state to `invalidcontent`. diagrams/music.md lists all edges.
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
    event: str, source: str, target: str | None, guard: Guard | None = None, **more: Any
) -> Edge:
    more = {"kind": Kind.DOCUMENTED, **more}
    return Edge(event=event, source=source, target=target, guard=guard, **more)


def _retry(source: str, target: str, guard: Guard | None = None, **more: Any) -> Edge:
    return _edge("retry", source, target, guard, kind=Kind.RETRY, begins_anew=True, **more)


_UPLOAD: dict[str, Any] = {"sender": Sender.UPLOAD}

FREE_EDGES = (
    _edge("request_upload", "new", "waitforchunk", is_upload),
    _edge("request_music_import", "new", "startmusicimport", is_album_or_video),
    _edge("request_artwork_import", "new", "startartworkimport", is_artwork),
    _edge("request_scan", "new", "startfsscan", is_any),
    _edge("receive_chunk", "waitforchunk", None, is_incomplete, stored=False, **_UPLOAD),
    _edge("complete_upload", "waitforchunk", "uploadcomplete", is_complete, **_UPLOAD),
    _edge("fail", "waitforchunk", "uploadfailed", **_UPLOAD),
    _edge("request_integration", "readyforintegration", "startintegration", is_not_artwork),
    _edge("request_artwork_import", "readyforintegration", "startartworkimport", is_artwork),
    _retry("uploadfailed", "uploadcomplete", failed_in_preprocessing),
    _retry("uploadfailed", "waitforchunk", sets={"offset": 0}),
    _retry("integrationfailed", "startintegration"),
    _retry("importfailed", "startartworkimport", failed_in_artwork),
    _retry("importfailed", "startmusicimport"),
    _retry("fsscanfailed", "startfsscan"),
    *(
        _edge("remove", state.name, "remove")
        for state in STATES
        if state.role not in {Role.INITIAL, Role.GONE, Role.REMOVING}
    ),
    _edge("forget", "remove", "notexisting", sender=Sender.ENGINE),
)

#: The lifecycle of the documented task management: 23 states, 5 stages.
MUSIC = Lifecycle(STATES, STAGES, FREE_EDGES, record=MusicTask)
