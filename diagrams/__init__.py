"""Pictures and tables made from a lifecycle's declaration, or from a task's history.

`draw` gives them, `write` makes a file; `source_of` reads back what a picture was drawn from. The
files of the music lifecycle stand beside this code (`python -m musictasks.diagrams` makes them).
"""

from __future__ import annotations

from .drawing import FORMATS, draw, format_of, write
from .image import source_of

__all__ = ["FORMATS", "draw", "format_of", "source_of", "write"]
