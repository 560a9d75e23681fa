"""A graph in Graphviz's language: the text that SVG and PNG are drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import evolve

from ..statemachine import Change, Kind, Role, Stage
from . import style
from .boxes import boxes_of
from .difference import sign
from .graph import Arrow, Graph, Node
from .text import html
from .text import line as one_line


def dot(graph: Graph) -> str:
    """The same text for the same graph, always."""
    lines = ["digraph lifecycle {", *_indent(_defaults(graph))]
    outside, boxes = boxes_of(graph)
    # Where the arrows into a stage leave room for its name.
    side = "r" if graph.steps is None and _direction(graph) == "TB" else "l"
    for number, (group, stages) in enumerate(boxes.items()):
        lines += _indent(_box(str(number), group, stages, side))
    lines += _indent(map(_node, outside))
    lines += _indent(_folded(graph))
    for arrow in graph.drawn:
        lines += _indent([_arrow(graph, arrow)])
    return "\n".join([*lines, "}", ""])


def _indent(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _defaults(graph: Graph) -> Iterator[str]:
    yield (
        f'graph [bgcolor="{style.GROUND}", fontname="{style.FONT}", fontsize=11, '
        f'fontcolor="{style.TEXT}", pad=0.2, nodesep=0.22, ranksep=0.34, remincross=false, '
        f"rankdir={_direction(graph)}, "
        f"labelloc=b, label={_legend(graph)}]"
    )
    yield (
        f'node [shape=box, style="rounded,filled", fontname="{style.FONT}", fontsize=12, '
        'height=0.34, margin="0.1,0.04"]'
    )
    yield f'edge [fontname="{style.FONT}", fontsize=10, arrowsize=0.7]'


def _direction(graph: Graph) -> str:
    """A row of many neighbours is wider than a page; a column of them is not."""
    neighbours = sum(node.light for node in graph.nodes)
    return "LR" if neighbours >= 2 * (len(graph.nodes) - neighbours) else "TB"


def _box(name: str, group: str, stages: dict[str | None, list[Node]], side: str) -> Iterator[str]:
    yield f"subgraph cluster_{name} {{"
    yield (
        f"  label={_label([group])}; labeljust=l; labelloc=t; fontsize=12; margin=8; "
        f'fontcolor="{style.FAINT_TEXT}"; style="rounded,filled"; fillcolor="{style.BOX_FILL}"; '
        f'color="{style.BOX_LINE}"'
    )
    for number, (stage, nodes) in enumerate(stages.items()):
        if stage is None:
            yield from _indent(map(_node, nodes))
            continue
        yield f"  subgraph cluster_{name}_{number} {{"
        yield (
            f"    label={_label([stage])}; labeljust={side}; labelloc=t; fontsize=10; margin=7; "
            f'style="rounded,filled"; fillcolor="{style.STAGE_FILL}"; color="{style.STAGE_FILL}"'
        )
        yield from _indent(_indent(map(_node, nodes)))
        yield "  }"
    yield "}"


def _node(node: Node) -> str:
    look = _look(node)
    attributes = [f'fillcolor="{look.fill}"', f'fontcolor="{look.text}"', f'color="{look.line}"']
    if look.double:
        attributes.append("peripheries=2")
    if node.now:
        attributes += [f'color="{style.NOW}"', "penwidth=3"]
    if node.light:
        attributes.append('style="rounded,filled,dashed"')
    if node.change is not None:
        line = style.CHANGES[node.change]
        attributes += [f'style="rounded,filled,{line.dash}"', f"penwidth={line.width}"]
    if node.whole_stage is not None:
        attributes += [f'fillcolor="{style.STAGE_FILL}"', f'color="{style.STAGE_FILL}"']
        label = f"<{_stage_label(node.whole_stage)}>"
    else:
        label = _label([sign(node.change) + look.sign + node.name, *node.notes])
        is_faint = node.light or node.change in {Change.SAME, Change.WENT}
        attributes.append(f'fontname="{style.FONT if is_faint else style.BOLD_FONT}"')
    return f"{_quoted(node.name)} [label={label}, {', '.join(attributes)}]"


def _look(node: Node) -> style.Look:
    look = style.UNKNOWN if node.role is None else style.LOOKS[node.role]
    if node.change is not None:
        line = style.CHANGES[node.change].color
        if node.change in {Change.SAME, Change.WENT}:
            return evolve(look, fill=style.GROUND, text=line, line=line)
        return evolve(look, line=line)
    if not node.light:
        return look
    return evolve(look, fill=style.GROUND, text=style.FAINT_TEXT, line=style.FAINT_LINE)


def _stage_label(stage: Stage) -> str:
    """The stage's name, and below it its two states in their colours."""
    cells = "".join(
        _cell(style.LOOKS[role], f'<FONT POINT-SIZE="10">{html(state)}</FONT>')
        for role, state in ((Role.QUEUED, stage.queued), (Role.WORKING, stage.working))
    )
    return (
        '<TABLE BORDER="0" CELLSPACING="4" CELLPADDING="5">'
        f'<TR><TD COLSPAN="2"><B>{html(stage.name)}</B></TD></TR><TR>{cells}</TR></TABLE>'
    )


def _cell(look: style.Look, content: str) -> str:
    return (
        f'<TD BGCOLOR="{look.fill}" COLOR="{look.line}" BORDER="1" STYLE="ROUNDED">'
        f'<FONT COLOR="{look.text}">{content}</FONT></TD>'
    )


def _arrow(graph: Graph, arrow: Arrow) -> str:
    line = style.LINES[arrow.kind] if arrow.change is None else style.CHANGES[arrow.change]
    color = style.FAINT_LINE if arrow.light else line.color
    text = style.FAINT_TEXT if arrow.light else line.color
    rows = [sign(arrow.change) + arrow.event]
    if arrow.guard is not None:
        rows.append(f"[{arrow.guard}]")
    rows += arrow.notes
    attributes = [
        f"label={_label(rows, pad=' ')}",
        f'color="{color}"',
        f'fontcolor="{text}"',
        f"style={line.dash}",
        f"arrowhead={line.head}",
        f"penwidth={line.width}",
    ]
    attributes += _pull(graph, arrow)
    target = arrow.source if arrow.target is None else arrow.target
    return f"{_quoted(arrow.source)} -> {_quoted(target)} [{', '.join(attributes)}]"


def _pull(graph: Graph, arrow: Arrow) -> list[str]:
    """How an arrow takes part in the layout: ways back and shortcuts do not bend the main way."""
    if arrow.kind is Kind.RETRY:
        return ["constraint=false"]
    ways = {
        other.source
        for other in graph.drawn
        if other.target == arrow.target and other.kind in {Kind.DOCUMENTED, Kind.ADDED}
    }
    waits = any(n.name == arrow.source and n.role is Role.WAITING for n in graph.nodes)
    return ["weight=0"] if waits and len(ways) > 1 else []


def _folded(graph: Graph) -> Iterator[str]:
    """One arrow, from a note that says which states it stands for."""
    if graph.folded_from is None:
        return
    first = graph.folded[0]
    faint = f'color="{style.FAINT_LINE}", fontcolor="{style.FAINT_TEXT}"'
    yield (
        f'"every state" [label={_label([graph.folded_from])}, shape=note, style=filled, '
        f'fontsize=10, fillcolor="{style.GROUND}", {faint}]'
    )
    yield _arrow(graph, evolve(first, source="every state", light=False))


def _legend(graph: Graph) -> str:
    """The caption, the looks of the states and the kinds of the edges, in rows."""
    light = {Change.SAME, Change.WENT}
    roles = {node.role for node in graph.nodes if not node.light and node.change not in light}
    if any(node.whole_stage for node in graph.nodes):
        roles.add(Role.WORKING)
    looks = {style.LOOKS[role].about: style.LOOKS[role] for role in style.LOOKS if role in roles}
    kinds = {arrow.kind for arrow in graph.drawn if not arrow.light}
    if Kind.DOCUMENTED not in kinds:
        kinds.discard(Kind.ADDED)  # the contrast to what is documented: here it says nothing
    rows = ["".join(_cell(look, html(look.sign + about)) for about, look in looks.items())]
    if graph.is_comparison:
        rows.append("".join(map(_line_cell, style.CHANGES.values())))
    elif kinds - {Kind.DOCUMENTED}:
        rows.append("".join(_line_cell(style.LINES[kind]) for kind in Kind if kind in kinds))
    rows += [f"<TD>{html(line)}</TD>" for line in graph.caption]
    tables = "".join(
        '<TR><TD><TABLE BORDER="0" CELLBORDER="0" CELLSPACING="6" CELLPADDING="2">'
        f"<TR>{row}</TR></TABLE></TD></TR>"
        for row in rows
        if row
    )
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0">{tables}</TABLE>>'


def _line_cell(line: style.Line) -> str:
    return f'<TD><FONT COLOR="{line.color}">{line.sign} {html(line.about)}</FONT></TD>'


def _label(rows: Iterable[str], pad: str = "") -> str:
    """Rows of text, centred; Graphviz reads backslashes and XML entities in a label."""
    escaped = (_escaped(one_line(row).replace("&", "&amp;")) for row in rows)
    return '"' + "\\n".join(f"{pad}{row}{pad}" for row in escaped) + '"'


def _quoted(text: str) -> str:
    return f'"{_escaped(one_line(text))}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
