"""A lifecycle that has nothing to do with music: papers are received, read, approved, filed."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen
from musictasks.engine import Engine, EngineSettings, open_engine
from musictasks.statemachine import (
    Edge,
    Handler,
    Outcome,
    Role,
    Sender,
    Stage,
    StateSpec,
    UploadTask,
    Work,
    bare_lifecycle,
    in_file,
    is_complete,
    is_incomplete,
    succeed,
)
from musictasks.uploads import Uploads


@frozen(kw_only=True)
class Paper(UploadTask):
    pages: int | None = None
    #: Only the engine changes it.
    shelf: str | None = field(default=None, metadata=in_file(key="shelfname", editable=False))


def is_readable(task: Paper, payload: Any) -> bool:
    """It has pages."""
    return bool(task.pages)


_UPLOAD: Any = {"sender": Sender.UPLOAD}
PAPERS = (
    bare_lifecycle(Paper)
    .with_state(StateSpec("receiving", "post", Role.WAITING, takes_chunks=True))
    .with_state(StateSpec("torn", "post", Role.FAILED, keeps_data=False))
    .with_state(StateSpec("review", "desk", Role.WAITING))
    .with_state(StateSpec("filed", "shelf", Role.FINISHED))
    .with_stage(
        Stage(
            "reading",
            group="desk",
            queued="toread",
            working="reading",
            succeeded="review",
            failed="unread",
            rejected="rubbish",
        )
    )
    .with_stage(
        Stage(
            "filing",
            group="shelf",
            queued="tofile",
            working="filing",
            succeeded="filed",
            failed="unfiled",
        )
    )
    .with_edge(Edge(event="post", source="unmade", target="receiving"))
    .with_edge(Edge(event="note", source="unmade", target="toread"))
    .with_edge(
        Edge(
            event="page",
            source="receiving",
            target=None,
            guard=is_incomplete,
            stored=False,
            **_UPLOAD,
        )
    )
    .with_edge(
        Edge(event="last_page", source="receiving", target="toread", guard=is_complete, **_UPLOAD)
    )
    .with_edge(Edge(event="fail", source="receiving", target="torn", **_UPLOAD))
    .with_edge(
        Edge(event="retry", source="torn", target="receiving", begins_anew=True, sets={"offset": 0})
    )
    .with_edge(Edge(event="approve", source="review", target="tofile", guard=is_readable))
)


def read(task: Paper, work: Work) -> Outcome:
    """Counts the bytes of what was uploaded as pages, and leaves a file beside it."""
    text = b"noted"
    if task.upload_name is not None:
        text = (work.directory / task.upload_name).read_bytes()
    (work.directory / "text.txt").write_bytes(text)
    return succeed(changes={"pages": len(text)})


def shelve(task: Paper, work: Work) -> Outcome:
    return succeed(changes={"shelf": "left"})


HANDLERS: dict[str, Handler] = {"reading": read, "filing": shelve}


def open_papers(settings: EngineSettings, **options: Any) -> tuple[Engine[Any], Uploads]:
    """An engine of papers, not started, and what receives them."""
    handlers = {**HANDLERS, **options.pop("handlers", {})}
    engine = open_engine(settings, PAPERS, handlers=handlers, **options)
    return engine, Uploads(engine)
