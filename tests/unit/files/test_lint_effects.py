"""No room but `files/` changes the disk, and `files/` does it in one module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
#: The kit plays users who delete files, and disks that lie: it has to be past the seam.
KIT = REPOSITORY / "testing"
PACKAGE = REPOSITORY / "src" / "musictasks"
ROOMS = sorted({REPOSITORY / room.name for room in PACKAGE.iterdir() if room.is_symlink()} - {KIT})

#: Functions of `os` that change the disk.
OS = {
    *("chflags", "chmod", "chown", "fchmod", "fchown", "fdatasync", "fsync", "ftruncate"),
    *("lchmod", "lchown", "link", "makedirs", "mkdir", "mkfifo", "mknod", "posix_fallocate"),
    *("pwrite", "pwritev", "remove", "removedirs", "removexattr", "rename", "renames", "replace"),
    *("rmdir", "sendfile", "setxattr", "splice", "copy_file_range", "symlink", "sync", "truncate"),
    *("unlink", "utime", "write", "writev"),
}
#: Methods of pathlib that change the disk, by names that nothing else has.
METHODS = {
    *("write_text", "write_bytes", "touch", "mkdir", "rmdir", "unlink", "symlink_to"),
    *("hardlink_to", "lchmod"),
}
#: Methods whose names others have too: they count on what is called a path.
SHARED_METHODS = {"rename", "chmod"}
#: Modules whose whole business is writing.
MODULES = {"shutil", "tempfile"}
FLAGS = {"O_CREAT", "O_WRONLY", "O_RDWR", "O_TRUNC", "O_APPEND"}

#: The exceptions, each with its reason.
ALLOWED = {
    ("files/effects.py", "os"): "the seam itself",
    ("files/steps.py", "flags"): "names the flags and hands them to the seam",
    ("files/uploads.py", "flags"): "names the flags and hands them to the seam",
    ("files/effects.py", "open"): "the seam itself",
    ("intake/archives.py", "tempfile"): "a song of a dry run, in a nameless file of the system's",
    ("library/images.py", "mode"): "a file in memory, which no disk sees",
    ("library/video_program.py", "os"): "a pipe to its parent",
    ("library/video_program.py", "mode"): "a pipe to its parent",
    ("diagrams/drawing.py", "pathlib"): "a picture where a person wants it, no data of ours",
    (
        "files/directory.py",
        "open",
    ): "opens for reading; whoever wants to write gets the seam's open",
}


def findings(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Line, kind and text of everything that writes past the seam."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
            for module in MODULES.intersection(modules):
                yield node.lineno, module, f"import of {module}"
            if isinstance(node, ast.ImportFrom) and node.module == "os":
                for name in OS.union({"open"}).intersection(names):
                    yield node.lineno, "os", f"from os import {name}"
        elif isinstance(node, ast.Attribute) and node.attr in FLAGS:
            yield node.lineno, "flags", node.attr
        elif isinstance(node, ast.Call):
            yield from _call(node)
        elif isinstance(node, ast.Attribute) and _is(node.value, "os") and node.attr in OS:
            yield node.lineno, "os", f"os.{node.attr}"


def _call(node: ast.Call) -> Iterator[tuple[int, str, str]]:
    function = node.func
    if isinstance(function, ast.Name) and function.id == "open" and _writes(node, 1):
        yield node.lineno, "mode", "open() for writing"
    if not isinstance(function, ast.Attribute):
        return
    name, owner = function.attr, function.value
    seam = isinstance(owner, ast.Attribute) and owner.attr == "current"
    if _is(owner, "os") and name == "open" and not _plain_reading(node):
        yield node.lineno, "open", "os.open() that may write"
    elif (name == "fdopen" and _writes(node, 1)) or (
        name == "open" and not _is(owner, "os") and not seam and _writes(node, 0)
    ):
        yield node.lineno, "mode", f".{name}() for writing"
    elif (name in METHODS and not seam and not _is(owner, "os")) or (
        name in SHARED_METHODS and "path" in ast.unparse(owner).lower()
    ):
        yield node.lineno, "pathlib", f".{name}()"


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _writes(node: ast.Call, position: int) -> bool:
    """Whether the mode of an open() is there and not plainly one for reading."""
    given = [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
    given += node.args[position : position + 1]
    modes = [str(mode.value) for mode in given if isinstance(mode, ast.Constant)]
    return any(re.fullmatch("[rwxabt+]*[wxa+][rwxabt+]*", mode) for mode in modes)


def _plain_reading(node: ast.Call) -> bool:
    """Whether the flags of an os.open() are written out there, and none of them writes."""
    if len(node.args) < 2:
        return False
    names = {inner.attr for inner in ast.walk(node.args[1]) if isinstance(inner, ast.Attribute)}
    constant = _is(node.args[1], "_DIRECTORY_FLAGS")
    return constant or ("O_RDONLY" in names and not names & FLAGS)


def test_no_room_writes_past_the_seam() -> None:
    """Every write goes through `effects.current`, so that the crash tests see every one."""
    assert len(ROOMS) >= 8
    found = []
    for path in (*PACKAGE.glob("*.py"), *(path for room in ROOMS for path in room.rglob("*.py"))):
        name = path.relative_to(REPOSITORY).as_posix()
        for line, kind, text in findings(ast.parse(path.read_text())):
            if (name, kind) not in ALLOWED:
                found.append(f"{name}:{line}: {text}")
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "os.rename('a', 'b')",
        "f = os.unlink",
        "from os import replace",
        "import shutil",
        "from tempfile import mkstemp",
        "os.open('a', os.O_RDWR | os.O_CREAT)",
        "os.open('a', flags)",
        "open('a', 'w')",
        "open('a', mode='ab')",
        "path.open('x')",
        "path.open(mode='r+')",
        "os.fdopen(fd, 'wb')",
        "path.write_text('x')",
        "Path('a').mkdir()",
        "path.unlink()",
        "(root / 'x').touch()",
        "path.rename('b')",
    ],
)
def test_the_lint_finds_every_way(code: str) -> None:
    """Each of these is a write, and is found."""
    assert list(findings(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "open('a')",
        "open('a', 'rb')",
        "path.open('rb')",
        "os.open('a', os.O_RDONLY | os.O_DIRECTORY)",
        "effects.current.unlink('a', dir_fd=1)",
        "text.replace('a', 'b')",
        "os.stat('a')",
        "directory.write('a', b'')",
        "directory.open('Artist/song')",
    ],
)
def test_the_lint_lets_the_rest_be(code: str) -> None:
    """None of these is a write past the seam."""
    assert list(findings(ast.parse(code))) == []
