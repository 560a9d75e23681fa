"""Collects what the site is built from: `python docs/site.py DIRECTORY`; `make docs` does the rest.

The pages stay where they are read, in the repository, with links that work there. Here they are
copied side by side, their links follow them, and the pages of the API reference are made.
"""

from __future__ import annotations

import re
import shutil
import sys
from importlib import import_module
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

ROOT = Path(__file__).parents[1]
#: Pages of the repository that are called something else in the site.
RENAMED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "diagrams/music.md": "lifecycle.md",
}
#: Modules of the reference, by the names of their pages; the rest is nobody's business.
MODULES = (
    "statemachine", "engine", "uploads", "files", "persistence", "errors", "testing", "diagrams",
    "music", "intake", "musicdb",
)  # fmt: skip
#: Code that is shown on one page.
EXAMPLES = (
    "examples/documents.py", "examples/test_documents.py", "examples/served_documents.py",
    "examples/transcoding.py", "examples/test_transcoding.py",
)  # fmt: skip
PICTURES = {".svg", ".png", ".mmd", ".json"}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)#\s]*)(#[^)\s]*)?\)")


def main(target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    pages = {f"docs/{path.name}": path.name for path in (ROOT / "docs").glob("*.md")} | RENAMED
    places = pages | dict.fromkeys(EXAMPLES, "examples.md")
    for source, name in pages.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        _write(target / name, _relinked(text, source, name, places, target))
    _write(target / "examples.md", _examples(target))
    _write(target / "reference" / "index.md", _reference("musictasks"))
    for module in MODULES:
        _write(target / "reference" / f"{module}.md", _reference(f"musictasks.{module}"))


def _relinked(text: str, source: str, name: str, places: dict[str, str], target: Path) -> str:
    """The page with links to where things are in the site; what is not there is named only."""

    def replace(match: re.Match[str]) -> str:
        picture, label, link, anchor = match.groups()
        if not link or ":" in link:
            return match[0]
        path = normpath(PurePosixPath(source).parent / link)
        if path in places:
            to = places[path]
        elif Path(path).suffix in PICTURES:
            to = _copied(path, target)
        else:
            return label
        return f"{picture}[{label}]({relpath(to, PurePosixPath(name).parent)}{anchor or ''})"

    return _LINK.sub(replace, text)


def _copied(path: str, target: Path) -> str:
    (target / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / path, target / path)
    return path


def _examples(target: Path) -> str:
    """The code of the examples, with the picture."""
    picture = _copied("examples/documents.svg", target)
    parts = [f"# Examples\n\n![The states of a document, and the ways between them]({picture})\n"]
    for path in EXAMPLES:
        code = (ROOT / path).read_text(encoding="utf-8")
        name = PurePosixPath(path).name
        parts.append(f'## {name}\n\n```python title="{path}"\n{code}```\n')
    return "\n".join(parts)


def _reference(module: str) -> str:
    """What a module has for others, in the order of its `__all__`."""
    found = import_module(module)
    members = "".join(f"        - {name}\n" for name in found.__all__ if name != "__version__")
    return f"# {module}\n\n::: {module}\n    options:\n      members:\n{members}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
