"""A graph as SVG or PNG, drawn by Graphviz, which pygraphviz's wheels bring along.

The bytes depend on Graphviz and on the fonts of the machine; so each picture carries the DOT text
it was drawn from, by which one can see whether it is up to date.
"""

from __future__ import annotations

import re
from html import escape, unescape
from io import BytesIO

from PIL import Image, PngImagePlugin

from ..errors import DiagramError
from .dot import dot
from .graph import Graph

#: Twice the pixels of the size it is shown at, so that it is sharp on every screen.
_PNG_DPI = 144
_PNG_KEY = "dot"
_METADATA = re.compile(rb"<metadata>(.*?)</metadata>", re.DOTALL)


def svg(graph: Graph) -> bytes:
    """UTF-8.

    Raises:
        DiagramError: pygraphviz is not installed.
    """
    source = dot(graph)
    drawn = _draw(source, "svg", "")
    metadata = f"<metadata>{escape(source)}</metadata>\n".encode()
    head, tag, rest = drawn.partition(b"<g id=")
    return head + metadata + tag + rest


def png(graph: Graph) -> bytes:
    """With few colours, as a drawing has, so that it stays small.

    Raises:
        DiagramError: pygraphviz is not installed.
    """
    source = dot(graph)
    drawn = _draw(source, "png", f"-Gdpi={_PNG_DPI}")
    notes = PngImagePlugin.PngInfo()
    notes.add_itxt(_PNG_KEY, source, zip=True)
    result = BytesIO()
    with Image.open(BytesIO(drawn)) as image:
        small = image.convert("RGB").quantize(64, dither=Image.Dither.NONE)
        small.save(result, "PNG", optimize=True, pnginfo=notes, dpi=(_PNG_DPI, _PNG_DPI))
    return result.getvalue()


def source_of(picture: bytes) -> str | None:
    """The DOT text that an SVG or a PNG of ours was drawn from; None: it is none of ours."""
    if picture.startswith(b"\x89PNG"):
        with Image.open(BytesIO(picture)) as image:
            image.load()
            text = image.info.get(_PNG_KEY)
        return None if text is None else str(text)
    found = _METADATA.search(picture)
    return None if found is None else unescape(found[1].decode())


def _draw(source: str, format: str, arguments: str) -> bytes:  # noqa: A002
    try:
        from pygraphviz import AGraph
    except ModuleNotFoundError as error:
        raise DiagramError(
            "SVG and PNG are drawn by pygraphviz, which is not installed: "
            "pip install 'musictasks[diagrams]', or choose dot, mermaid, markdown or json"
        ) from error
    except ImportError as error:  # its wheels lack some libraries, which most systems have
        raise DiagramError(
            f"SVG and PNG are drawn by pygraphviz, which cannot be loaded ({error}): "
            "on Debian, apt-get install libglib2.0-0 libxext6 libxrender1"
        ) from error
    drawn = AGraph(string=source).draw(format=format, prog="dot", args=arguments)
    assert isinstance(drawn, bytes)  # what draw() gives where no path is given
    return drawn
