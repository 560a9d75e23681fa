"""A graph as a Mermaid state diagram, as GitHub renders it.

Mermaid draws every edge alike, so a sign in front of the event tells the kind of the edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..statemachine import Change, Kind, Role
from . import style
from .boxes import boxes_of
from .difference import ABOUT, sign
from .graph import Arrow, Graph, Node
from .text import line

_SIGNS = {Kind.DOCUMENTED: "", Kind.ADDED: "+ ", Kind.RECOVERY: "↺ ", Kind.RETRY: "↩ "}
#: What Mermaid reads as itself; everything else in ASCII is written as its number.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-.,()[]+/")


def mermaid(graph: Graph) -> str:
    """The same text for the same graph, always."""
    ids = {node.name: f"s{number}" for number, node in enumerate(graph.nodes)}
    lines = ["stateDiagram-v2"]
    lines += [f"  %% {line(text)}" for text in graph.caption]
    outside, boxes = boxes_of(graph)
    for node in outside:
        lines += _indent([_state(node, ids)])
    for number, (group, stages) in enumerate(boxes.items()):
        lines += _indent(_box(f"g{number}", group, stages, ids))
    lines += _indent(_ends(graph, ids))
    lines += _indent(_arrow(arrow, ids) for arrow in graph.drawn)
    if graph.folded_from is not None:
        first = graph.folded[0]
        lines.append(f'  state "{_text(graph.folded_from)}" as every')
        lines.append(f"  every --> {ids[first.target or '']} : {_text(first.event)}")
    lines += _indent(_classes(graph, ids))
    return "\n".join([*lines, ""])


def _indent(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {text}" for text in lines)


def _box(
    name: str, group: str, stages: dict[str | None, list[Node]], ids: dict[str, str]
) -> Iterator[str]:
    yield f'state "{_text(group)}" as {name} {{'
    for number, (stage, nodes) in enumerate(stages.items()):
        states = [_state(node, ids) for node in nodes]
        if stage is None:
            yield from _indent(states)
        else:
            yield f'  state "{_text(stage)}" as {name}_{number} {{'
            yield from _indent(_indent(states))
            yield "  }"
    yield "}"


def _state(node: Node, ids: dict[str, str]) -> str:
    look = style.UNKNOWN if node.role is None else style.LOOKS[node.role]
    label = sign(node.change) + look.sign + node.name
    if node.whole_stage is not None:
        stage = node.whole_stage
        label = f"{stage.name}: {stage.queued}, {stage.working}"
    text = "<br/>".join(map(_text, (label, *node.notes)))
    return f'state "{text}" as {ids[node.name]}'


def _ends(graph: Graph, ids: dict[str, str]) -> Iterator[str]:
    for node in graph.nodes:
        if node.role is Role.INITIAL:
            yield f"[*] --> {ids[node.name]}"
        if node.role is Role.GONE:
            yield f"{ids[node.name]} --> [*]"


def _arrow(arrow: Arrow, ids: dict[str, str]) -> str:
    target = ids[arrow.source if arrow.target is None else arrow.target]
    guard = "" if arrow.guard is None else f" [{arrow.guard}]"
    mark = _SIGNS[arrow.kind] if arrow.change is None else sign(arrow.change)
    text = _text(f"{mark}{arrow.event}{guard}")
    text = "<br/>".join((text, *map(_text, arrow.notes)))
    return f"{ids[arrow.source]} --> {target} : {text}"


def _classes(graph: Graph, ids: dict[str, str]) -> Iterator[str]:
    """The looks, each with the states that have it."""
    members: dict[str, list[str]] = {}
    looks: dict[str, style.Look] = {}
    for node in graph.nodes:
        name = "unknown" if node.role is None else node.role.value
        look = style.UNKNOWN if node.role is None else style.LOOKS[node.role]
        if node.light:
            name, look = "light", style.Look(style.GROUND, style.FAINT_TEXT, style.FAINT_LINE)
        if node.change is Change.SAME or node.change is Change.WENT:
            color = style.CHANGES[node.change].color
            name, look = node.change.value, style.Look(style.GROUND, color, color)
        members.setdefault(name, []).append(ids[node.name])
        looks[name] = look
    for name, look in looks.items():
        yield f"classDef {name} fill:{look.fill},color:{look.text},stroke:{look.line}"
        yield f"class {','.join(members[name])} {name}"
    yield from _changes(graph, ids)
    here = [ids[node.name] for node in graph.nodes if node.now]
    if here:
        yield f"classDef now stroke:{style.NOW},stroke-width:4px"
        yield f"class {','.join(here)} now"


def _changes(graph: Graph, ids: dict[str, str]) -> Iterator[str]:
    """The lines around the states of a comparison, over the looks of their roles."""
    dashes = {"solid": "", "dashed": ",stroke-dasharray:6 4", "dotted": ",stroke-dasharray:2 3"}
    for change, look in style.CHANGES.items():
        members = [ids[node.name] for node in graph.nodes if node.change is change]
        if members and change is not Change.SAME:
            width = f"stroke-width:{look.width}px{dashes[look.dash]}"
            yield f"classDef is_{ABOUT[change]} stroke:{look.color},{width}"
            yield f"class {','.join(members)} is_{ABOUT[change]}"


def _text(text: str) -> str:
    return "".join(
        char if char in _PLAIN or ord(char) > 127 else f"#{ord(char)};" for char in line(text)
    )
