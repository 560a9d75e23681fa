"""Which states stand in which box."""

from __future__ import annotations

from ..statemachine import Role
from .graph import Graph, Node


def boxes_of(graph: Graph) -> tuple[list[Node], dict[str, dict[str | None, list[Node]]]]:
    """The states outside of any box, and per group those of each stage (None: of none).

    The beginning stands outside: its edges lead into many groups. A stage of which one state is
    shown, or which is one box already, gets no box of its own.
    """
    outside: list[Node] = []
    boxes: dict[str, dict[str | None, list[Node]]] = {}
    both = {stage.name for stage in graph.stages if _shown(graph, stage.queued, stage.working)}
    for node in graph.nodes:
        if node.role in {None, Role.INITIAL}:
            outside.append(node)
            continue
        stage = node.stage if node.stage in both else None
        boxes.setdefault(node.group, {}).setdefault(stage, []).append(node)
    return outside, boxes


def _shown(graph: Graph, *names: str) -> bool:
    return set(names) <= {node.name for node in graph.nodes}
