"""Which way an upload goes through its lifecycle, read from the declaration."""

from __future__ import annotations

from attrs import frozen

from ..errors import LifecycleError
from ..statemachine import Lifecycle, Sender


@frozen
class Way:
    """The state that takes chunks, and the events by which an upload goes its way."""

    state: str
    request: str
    chunk: str
    complete: str
    fail: str = "fail"

    @classmethod
    def of(cls, lifecycle: Lifecycle) -> Way:
        state = _only(
            "state that takes chunks", [s.name for s in lifecycle.states if s.takes_chunks]
        )
        where = f"state {state!r}"
        first = {e.event for e in lifecycle.edges_from(lifecycle.initial) if e.target == state}
        ours = [e for e in lifecycle.edges_from(state) if e.sender is Sender.UPLOAD]
        chunk = {e.event for e in ours if e.target is None and not e.stored}
        ends = {e.event for e in ours if e.target is not None}
        if "fail" not in ends:
            raise LifecycleError(where, "it needs an edge 'fail' with the sender 'upload'")
        return cls(
            state,
            _only(f"event that leads from {lifecycle.initial!r} to {state!r}", first),
            _only(f"internal, not stored edge of {where} with the sender 'upload'", chunk),
            _only(f"edge of {where} with the sender 'upload' besides 'fail'", ends - {"fail"}),
        )


def _only(what: str, found: list[str] | set[str]) -> str:
    if len(found) != 1:
        shown = ", ".join(sorted(found)) or "none"
        raise LifecycleError("uploads", f"there has to be one {what}, and there is: {shown}")
    return next(iter(found))
