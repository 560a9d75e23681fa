"""What is different between two lifecycles, as a graph of both."""

from __future__ import annotations

from attrs import evolve

from ..statemachine import Change, Comparison, Edge, Lifecycle, Part, StateSpec, compare
from ..statemachine.comparison import SIGNS
from .graph import Arrow, Graph, Node, arrow_of, folds

#: In the legend, and in the tables.
ABOUT = {
    Change.SAME: "as before",
    Change.CAME: "came",
    Change.WENT: "went",
    Change.CHANGED: "changed",
}


def difference_of(old: Lifecycle, new: Lifecycle) -> Graph:
    """The states and edges of both lifecycles, each with what became of it.

    Raises:
        LifecycleError: One of the two is not whole.
    """
    found = compare(old, new)
    arrows = tuple(_arrow(found, part) for part in found.edges)
    if sum(arrow.folded for arrow in arrows) < 2:
        arrows = tuple(evolve(arrow, folded=False) for arrow in arrows)
    folded = {arrow.source for arrow in arrows if arrow.folded}
    others = [part.it.name for part in found.states if part.it.name not in folded]
    return Graph(
        nodes=tuple(_node(found, part) for part in found.states),
        arrows=arrows,
        stages=tuple(part.it for part in found.stages),
        folded_from=f"every state but {', '.join(others)}" if folded else None,
        caption=(_caption(found),),
        is_comparison=True,
    )


def _caption(found: Comparison) -> str:
    if found.is_same:
        return "Nothing came, went or changed."
    names = ", ".join(one.state for one in found.no_way_on)
    return f"Stored tasks have no way on from: {names}." if names else "All stored tasks go on."


def _node(found: Comparison, part: Part[StateSpec]) -> Node:
    its = found.before if part.change is Change.WENT else found.now
    state = part.it
    stages = {name: stage.name for stage in its.stages for name in (stage.queued, stage.working)}
    was = [f"was {one.before}" for one in part.differences if one.what == "name"]
    notes = [str(one) for one in part.differences if one.what != "name"]
    return Node(
        name=state.name,
        group=state.group,
        role=state.role,
        stage=stages.get(state.name),
        notes=(*was, *notes),
        change=part.change,
    )


def _arrow(found: Comparison, part: Part[Edge]) -> Arrow:
    new = found.now
    edge = part.it
    source, target = new.today(edge.source), edge.target and new.today(edge.target)
    went, came = part.change is Change.WENT, part.change is Change.CAME
    return evolve(
        arrow_of(edge),
        source=source,
        target=target,
        notes=tuple(map(str, part.differences)),
        change=part.change,
        # With its state: that the state came or went says it.
        folded=target == new.removing
        and folds(found.before if went else new, edge)
        and (part.change is Change.SAME or ((went or came) and _is_alone(found, source, part))),
    )


def _is_alone(found: Comparison, state: str, part: Part[Edge]) -> bool:
    return any(one.it.name == state and one.change is part.change for one in found.states)


def sign(change: Change | None) -> str:
    """In front of a label."""
    return "" if change is None or change is Change.SAME else f"{SIGNS[change]} "
