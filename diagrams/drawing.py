"""A lifecycle or a task's walk, in each format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import DiagramError
from ..statemachine import Lifecycle, Task
from .difference import difference_of
from .dot import dot
from .graph import Graph, graph_of, overview_of
from .image import png, svg
from .jsontext import json_text
from .markdown import markdown
from .mermaid import mermaid
from .walk import walk

_WRITERS: dict[str, Callable[[Graph], str | bytes]] = {
    "svg": svg,
    "png": png,
    "mermaid": mermaid,
    "dot": dot,
    "markdown": markdown,
    "json": json_text,
}
#: The names of the formats.
FORMATS = tuple(_WRITERS)
_BY_SUFFIX = {
    ".svg": "svg",
    ".png": "png",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".md": "markdown",
    ".json": "json",
}


def draw(
    lifecycle: Lifecycle,
    format: str,  # noqa: A002
    *,
    only: str | None = None,
    overview: bool = False,
    task: Task | None = None,
    compare: Lifecycle | None = None,
) -> str | bytes:
    """A picture or a table of a lifecycle: bytes for svg and png, else text.

    Args:
        lifecycle: Any, also an integrator's.
        format: One of `FORMATS`.
        only: One group or one stage, with its neighbours drawn lightly; a name that both have is
            the group's.
        overview: Each stage as one box, without failures, recovery and retries.
        task: Not the lifecycle, but this task's walk through it.
        compare: An older lifecycle: what came, went and changed since.

    Raises:
        DiagramError: Format, group or stage are unknown, pygraphviz is missing, or more than one
            of `only`, `overview`, `task` and `compare` was given.
        LifecycleError: The lifecycle is not whole.
    """
    if format not in _WRITERS:
        raise DiagramError(f"there is no format {format!r}: choose one of {', '.join(FORMATS)}")
    if (only is not None) + overview + (task is not None) + (compare is not None) > 1:
        raise DiagramError("only, overview, task and compare exclude each other: give one of them")
    if compare is not None:
        return _WRITERS[format](difference_of(compare, lifecycle))
    if task is not None:
        return _WRITERS[format](walk(task, lifecycle))
    return _WRITERS[format](overview_of(lifecycle) if overview else graph_of(lifecycle, only))


def format_of(path: Path) -> str:
    """The format that the path's extension stands for.

    Raises:
        DiagramError: It stands for none.
    """
    suffix = path.suffix.lower()
    if suffix not in _BY_SUFFIX:
        raise DiagramError(
            f"{path.name!r} does not say in which format: end it with {', '.join(_BY_SUFFIX)}"
        )
    return _BY_SUFFIX[suffix]


def write(
    lifecycle: Lifecycle,
    path: Path,
    format: str | None = None,  # noqa: A002
    *,
    only: str | None = None,
    overview: bool = False,
    task: Task | None = None,
    compare: Lifecycle | None = None,
) -> None:
    """Writes what `draw` gives to a file, which is replaced if it is there.

    Without `format` the path's extension says which; the rest is as for `draw`.

    Raises:
        DiagramError: As `draw`, or the extension stands for no format. Nothing was written.
        LifecycleError: The lifecycle is not whole. Nothing was written.
        OSError: The file could not be written.
    """
    chosen = format or format_of(path)
    drawn = draw(lifecycle, chosen, only=only, overview=overview, task=task, compare=compare)
    path.write_bytes(drawn.encode() if isinstance(drawn, str) else drawn)
