"""A graph as JSON, for tools."""

from __future__ import annotations

import json
from typing import Any

from attrs import asdict

from ..statemachine import Stage, Target
from .graph import Arrow, Graph, Node

#: Raised when a key changes its meaning or goes away; new keys may come without.
VERSION = 1


def json_text(graph: Graph) -> str:
    """The same text for the same graph, always; ASCII, so that no encoding can spoil it.

    With `only`, `states` holds what is drawn (neighbours have `"neighbour": true`), and an edge
    may name a state that is not in it.
    """
    content: dict[str, Any] = {
        "version": VERSION,
        "only": graph.only,
        "states": [_node(node) for node in graph.nodes],
        "stages": [_stage(stage) for stage in graph.stages],
        "edges": [_arrow(arrow) for arrow in graph.arrows],
    }
    if graph.steps is not None:
        content["walk"] = {
            "state": next(node.name for node in graph.nodes if node.now),
            "steps": [asdict(step) for step in graph.steps],
        }
    return json.dumps(content, indent=2) + "\n"


def _node(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "group": node.group,
        "role": None if node.role is None else node.role.value,
        "stage": node.stage,
        "neighbour": node.light,
        **_change(node),
    }


def _change(part: Node | Arrow) -> dict[str, Any]:
    """Of a comparison of two lifecycles."""
    if part.change is None:
        return {}
    return {"change": part.change.value, "differences": list(part.notes)}


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "name": stage.name,
        "group": stage.group,
        "queued": stage.queued,
        "working": stage.working,
        "succeeded": [_target(target) for target in stage.succeeded],
        "failed": stage.failed,
        "rejected": stage.rejected,
    }


def _target(target: Target) -> dict[str, Any]:
    return {"state": target.state, "guard": getattr(target.guard, "__name__", None)}


def _arrow(arrow: Arrow) -> dict[str, Any]:
    guard = {"name": arrow.guard, "about": arrow.guard_about}
    return {
        "event": arrow.event,
        "source": arrow.source,
        "target": arrow.target,
        "guard": None if arrow.guard is None else guard,
        "kind": arrow.kind.value,
        "stored": arrow.stored,
        **_change(arrow),
    }
