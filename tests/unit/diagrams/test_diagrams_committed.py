"""The generated files in `diagrams/` are what the declaration gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from musictasks.diagrams import draw, format_of, source_of
from musictasks.diagrams.committed import FILES
from musictasks.statemachine import MUSIC

DIRECTORY = Path(__file__).parents[3] / "diagrams"
REMEDY = "it differs from the declaration: run `make diagrams` and look at the pictures"
TEXTS = [name for name in FILES if Path(name).suffix not in {".svg", ".png"}]
PICTURES = [name for name in FILES if name not in TEXTS]


@pytest.mark.parametrize("name", TEXTS)
def test_a_committed_text_is_up_to_date(name: str) -> None:
    """A committed text is, byte for byte, what is drawn now."""
    drawn = draw(MUSIC, format_of(Path(name)), **FILES[name])
    assert isinstance(drawn, str)
    assert (DIRECTORY / name).read_bytes() == drawn.encode(), REMEDY


@pytest.mark.parametrize("name", PICTURES)
def test_a_committed_picture_is_up_to_date(name: str) -> None:
    """A committed picture carries the DOT text that is drawn now, whatever Graphviz drew it."""
    choice: dict[str, Any] = FILES[name]
    assert source_of((DIRECTORY / name).read_bytes()) == draw(MUSIC, "dot", **choice), REMEDY


def test_nothing_else_is_committed() -> None:
    """A generated file that nothing makes any more is found."""
    code = {".py", ".typed"}
    assert {p.name for p in DIRECTORY.iterdir() if p.is_file() and p.suffix not in code} == set(
        FILES
    )
