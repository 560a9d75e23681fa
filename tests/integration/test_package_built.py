"""What is handed on: the archives that are built, and the types that others' checkers see."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from wheels import ROOMS, ROOT, build

PACKAGE = ROOT / "src" / "musictasks"


def shipped() -> dict[str, bytes]:
    """What an installed package has to hold: modules, pictures, page, the mark of types."""
    modules = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    page = [path for path in (ROOT / "server" / "page").glob("*") if path.is_file()]
    beside = [*(ROOT / "library").glob("sample/*"), *(ROOT / "library").glob("default_artwork/*")]
    files = [*modules, *beside, *page]
    content = {f"musictasks/{path.relative_to(ROOT)}": path.read_bytes() for path in files}
    own = [path for path in PACKAGE.iterdir() if path.is_file()]
    return content | {f"musictasks/{path.name}": path.read_bytes() for path in own}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with both archives, built from a copy and without the network."""
    return build(tmp_path_factory.mktemp("build"))


def test_the_source_archive_holds_files(dist: Path):
    """No links: not of folders, and not of files."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        assert {
            member.name for member in members if not (member.isreg() or member.isdir())
        } == set()
        files = {member.name.partition("/")[2]: member for member in members if member.isreg()}
        assert {"pyproject.toml", "README.md", "LICENSE"} <= set(files)
        found = {}
        for name in (name for name in files if name.startswith("src/musictasks/")):
            content = archive.extractfile(files[name])
            assert content is not None
            found[name.removeprefix("src/")] = content.read()
    assert found == shipped()


def test_the_wheel_holds_all_of_the_package_and_nothing_else(dist: Path):
    (path,) = dist.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
        assert {name: wheel.read(name) for name in names} == shipped()


#: A program of somebody else's, all of it typed; only its last line is wrong.
PROGRAM = """\
from typing import assert_type

import musictasks
from musictasks import Lifecycle, Task, open_engine, open_library
from musictasks.music import Settings
from musictasks.errors import TaskFailed

assert_type(musictasks.__version__, str)
assert_type(TaskFailed("1", "importfailed", None).reason, str | None)
opened = [open_engine, musictasks.open_engine]

def names(lifecycle: Lifecycle, task: Task) -> list[str]:
    return [task.id, *(state.name for state in lifecycle.states)]

with open_library(Settings.in_directory("library")) as library:
    scan: Task = library.scan()

scan.attempts = 2
"""


def test_a_type_checker_sees_the_public_names(tmp_path: Path):
    """Outside the repository, by what is installed: the names have their types, not Unknown."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable]
    done = subprocess.run(
        [*command, "--outputjson", "--project", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    found = [
        (error["range"]["start"]["line"] + 1, error["rule"])
        for error in json.loads(done.stdout)["generalDiagnostics"]
    ]
    assert found == [(PROGRAM.count("\n"), "reportAttributeAccessIssue")]
