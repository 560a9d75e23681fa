"""A lifecycle that has nothing to do with music, with a record of its own: papers are approved."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from attrs import field, frozen
from musictasks.statemachine import (
    Edge,
    Role,
    Sender,
    Stage,
    StateSpec,
    Target,
    UploadTask,
    bare_lifecycle,
    in_file,
    is_complete,
    is_incomplete,
)


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


@frozen(kw_only=True)
class Page:
    """One page of a paper."""

    number: int
    title: str | None = None


@frozen(kw_only=True)
class Paper(UploadTask):
    """A record with fields of every sort."""

    kind: str = field(default="letter", metadata=in_file(examples=("report",)))
    urgent: bool = False
    size: Size | None = None
    sides: Literal[1, 2] = 1
    pages: int | None = field(default=None, metadata=in_file(count=True))
    filed: str | None = field(default=None, metadata=in_file(key="filedas", path=True))
    words: list[str] = field(factory=list)
    counts: dict[str, int] = field(factory=dict)
    contents: tuple[Page, ...] = ()


def is_letter(task: Paper, payload: Mapping[str, Any]) -> bool:
    """Letters need no approval."""
    return task.kind == "letter"


def is_large_and_urgent(task: Paper, payload: Mapping[str, Any]) -> bool:
    """Of two fields at once."""
    return task.size is Size.LARGE and task.urgent and task.sides == 2


READING = Stage(
    "reading",
    group="text",
    queued="toread",
    working="reading",
    succeeded=(Target("tofile", is_letter), "proposed"),
    failed="unreadable",
    rejected="nopaper",
)
FILING = Stage(
    "filing",
    group="text",
    queued="tofile",
    working="filing",
    succeeded="filed",
    failed="unfiled",
)


def _of_upload(event: str, target: str | None, **more: Any) -> Edge:
    return Edge(event=event, source="receiving", target=target, sender=Sender.UPLOAD, **more)


PAPERS = (
    bare_lifecycle(Paper)
    .with_state(StateSpec("receiving", "upload", Role.WAITING, takes_chunks=True))
    .with_state(StateSpec("proposed", "text", Role.WAITING))
    .with_state(StateSpec("refused", "text", Role.WAITING, keeps_data=False))
    .with_state(StateSpec("filed", "text", Role.FINISHED, keeps_data=False, refreshes=True))
    .with_stage(FILING)
    .with_stage(READING)
    .with_edge(Edge(event="announce", source="unmade", target="receiving"))
    .with_edge(Edge(event="type", source="unmade", target="proposed"))
    .with_edge(_of_upload("more", None, guard=is_incomplete, stored=False))
    .with_edge(_of_upload("complete", "toread", guard=is_complete))
    .with_edge(_of_upload("fail", "unreadable"))
    .with_edge(Edge(event="approve", source="proposed", target="tofile"))
    .with_edge(Edge(event="hurry", source="proposed", target="filed", guard=is_large_and_urgent))
    .with_edge(Edge(event="refuse", source="proposed", target="refused"))
    .with_edge(Edge(event="reopen", source="refused", target="proposed"))
    .with_edge(Edge(event="reconsider", source="proposed", target="toread"))
)
