"""The code blocks of the documentation, as tests run them."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str, heading: str = "") -> list[str]:
    """The code blocks of a page in a language; `heading`: those below it alone."""
    text = (DOCS / page).read_text("utf-8")
    if heading:
        text = re.split(r"^##+ ", text.partition(f"\n{heading}\n")[2], maxsplit=1, flags=re.M)[0]
        assert text, f"{page} has nothing below {heading}"
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def adapted(text: str, **changes: str) -> str:
    """The text with other values in it; each has to be there."""
    for old, new in changes.items():
        assert old in text, f"the documentation has no {old!r}"
        text = text.replace(old, new)
    return text
