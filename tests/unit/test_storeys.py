"""The framework knows nothing of music: not by its imports, not by its words, not on the disk."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from musictasks.persistence import record_format
from musictasks.statemachine import MUSIC, ContentType, MusicTask, UploadTask, bare_lifecycle

REPOSITORY = Path(__file__).parents[2]
FRAMEWORK = (
    "diagrams",
    "engine",
    "errors",
    "files",
    "persistence",
    "statemachine",
    "testing",
    "uploads",
)
MODULES = [
    path
    for room in FRAMEWORK
    for path in sorted((REPOSITORY / room).rglob("*.py"))
    if path != REPOSITORY / "statemachine" / "music.py"
]
#: Events that the framework itself declares or sends, in every lifecycle.
OWN_EVENTS = {"begin", "succeed", "fail", "reject", "recover", "retry", "remove", "forget"}

STATES = {state.name for state in MUSIC.states} - OWN_EVENTS
EVENTS = {edge.event for edge in MUSIC.edges} - OWN_EVENTS
GROUPS = {state.group for state in MUSIC.states} | {stage.name for stage in MUSIC.stages}
TYPES = {str(kind) for kind in ContentType}
KEYS = set(record_format(MusicTask).keys.values()) - set(record_format(UploadTask).keys.values())
FIELDS = set(record_format(MusicTask).keys) - set(record_format(UploadTask).keys)
#: The framework has uploads of its own.
NAMES = (STATES | EVENTS | GROUPS | TYPES | KEYS | FIELDS) - {"upload"}
#: Names that are no words of English, so that they may not stand in the prose either.
COINED = NAMES - {
    *("album", "any", "artwork", "import", "integrating", "integration", "new", "preprocessing"),
    *("music import", "unrelated", "video"),
}


def words(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The identifiers and the literal texts of a module, docstrings left out."""
    prose = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.value.lineno, node.arg


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_no_module_of_the_framework_has_a_name_of_music(path: Path) -> None:
    """No state, event, group, stage, content type, key or field of music is spelled there."""
    found = [(line, word) for line, word in words(ast.parse(path.read_text())) if word in NAMES]
    assert found == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_nor_does_its_prose(path: Path) -> None:
    """Docstrings and comments tell of tasks and files, with no name that only music has."""
    text = path.read_text()
    found = [name for name in COINED if re.search(rf"\b{re.escape(name)}\b", text)]
    assert found == []


def test_the_names_are_those_of_the_declaration() -> None:
    """The two tests above look for all that there is, and a seeded name is found."""
    assert len(STATES) == 22
    assert {"waitforchunk", "importcomplete", "request_scan", "albumfilepath"} <= COINED
    assert {"album", "video", "integration", "content_type", "contenttype"} <= NAMES
    code = 'if task.state == "waitforchunk" or task.album_path: send(content_type="album")'
    assert {word for _, word in words(ast.parse(code)) if word in NAMES} == {
        "album_path",
        "content_type",
        "waitforchunk",
        "album",
    }
    assert not {state.name for state in bare_lifecycle().states} & NAMES


UPPER = [
    path
    for room in ("library", "handlers", "music", "musicdb", "intake", "cli")
    for path in sorted((REPOSITORY / room).rglob("*.py"))
]


@pytest.mark.parametrize("path", UPPER, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_music_is_built_on_public_names_of_the_framework(path: Path) -> None:
    """It imports rooms, not their modules, and nothing private: an integrator could do the same."""
    found = [
        f"{node.lineno}: {node.module}: {alias.name}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level == 2 and node.module
        for alias in node.names
        if node.module.split(".")[0] in FRAMEWORK
        and ("." in node.module or alias.name.startswith("_"))
    ]
    pattern = r"\b(?:engine|held|task)\._[a-z]\w*|self\._(?:parts|runner|started)\b"
    assert found + re.findall(pattern, path.read_text()) == []


def test_who_imports_the_framework_loads_nothing_of_music() -> None:
    """Neither the database, tags, pictures and the terminal, nor a room of the upper storey."""
    heavy = ["sqlite3", "mutagen", "PIL", "rich", "av"]
    heavy += [f"musictasks.{room}" for room in ("library", "handlers", "music", "musicdb", "cli")]
    program = (
        "import sys, musictasks.engine, musictasks.uploads\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
