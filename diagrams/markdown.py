"""A graph as tables in Markdown: every state and every edge, one a row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .difference import ABOUT
from .graph import Arrow, Graph, Node, Step
from .text import line
from .walk import offset_text

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~&$@])")
_EMOJI = re.compile(r":(?=[a-z+-][a-z0-9_+-]*:)")


def markdown(graph: Graph) -> str:
    """The same text for the same graph, always."""
    parts = [_escaped(text) for text in graph.caption]
    if graph.caption:
        parts = ["  \n".join(parts)]
    if graph.steps is not None:
        head = ("step", "after", "event", "from", "to", "message")
        parts.append(_table(head, (_step(n, step) for n, step in enumerate(graph.steps, 1))))
        return "\n\n".join(parts) + "\n"
    more = ("change", "differences") if graph.is_comparison else ()
    parts.append(_table(("state", "group", "role", "stage", *more), map(_node, graph.nodes)))
    head = ("event", "from", "to", "guard", "kind", *more)
    parts.append(_table(head, map(_arrow, graph.arrows)))
    return "\n\n".join(parts) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _node(node: Node) -> Iterator[str]:
    yield _code(node.name)
    yield _escaped(node.group)
    yield "" if node.role is None else node.role.value
    yield _escaped(node.whole_stage.name if node.whole_stage else node.stage or "")
    yield from _change(node)


def _arrow(arrow: Arrow) -> Iterator[str]:
    yield _code(arrow.event)
    yield _code(arrow.source)
    stays = "(stays)" if arrow.stored else "(stays, not saved)"
    yield stays if arrow.target is None else _code(arrow.target)
    about = f": {_escaped(arrow.guard_about)}" if arrow.guard_about else ""
    yield "" if arrow.guard is None else _code(arrow.guard) + about
    yield arrow.kind.value
    yield from _change(arrow)


def _change(part: Node | Arrow) -> Iterator[str]:
    if part.change is not None:
        yield ABOUT[part.change]
        yield _escaped("; ".join(part.notes))


def _step(number: int, step: Step) -> Iterator[str]:
    yield str(number)
    yield offset_text(step.after_s)
    yield from map(_code, (step.event, step.source, step.target))
    yield _escaped(step.message or "")


def _code(name: str) -> str:
    """A name as code; what is no plain name as escaped text."""
    return f"`{name}`" if _NAME.fullmatch(name) else _escaped(name)


def _escaped(text: str) -> str:
    return _EMOJI.sub("&#58;", _MARKUP.sub(r"\\\1", line(text)))
