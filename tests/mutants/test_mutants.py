"""The tests are tested: each seeded bug has to turn one of its tests red.

Each bug is put into a copy of the package, and its tests run on that copy.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from changebugs import CHANGE_BUGS
from doorbugs import DOOR_BUGS
from formatbugs import FORMAT_BUGS
from inboxbugs import INBOX_BUGS
from librarybugs import LIBRARY_BUGS
from machinebugs import MACHINE_BUGS
from seededbugs import BUGS, Bug
from startbugs import START_BUGS

ROOT = Path(__file__).parents[2]
SEEDED = (
    *BUGS,
    *CHANGE_BUGS,
    *DOOR_BUGS,
    *FORMAT_BUGS,
    *INBOX_BUGS,
    *LIBRARY_BUGS,
    *MACHINE_BUGS,
    *START_BUGS,
)
pytestmark = pytest.mark.mutants


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package; `musictasks` in it is what a path to its parent imports."""
    copy = tmp_path_factory.mktemp("mutant") / "musictasks"
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(ROOT / "src" / "musictasks", copy, ignore=ignored)


def run(package: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def failed(package: Path, tests: tuple[str, ...]) -> list[str]:
    """The tests that fail on this package; anything but passed and failed is an error."""
    options = ("-q", "-p", "no:cacheprovider", "--tb=short")
    done = run(package, "-m", "pytest", *options, *tests)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return re.findall(r"^FAILED (\S+)", done.stdout, re.MULTILINE)


def test_without_a_bug_all_of_these_tests_pass(package: Path):
    """Else a red test would prove nothing; and it is the copy that they run on."""
    where = run(package, "-c", "import musictasks.files as f; print(f.__file__)").stdout
    assert where.strip() == str(package / "files/__init__.py")
    assert failed(package, tuple(dict.fromkeys(test for bug in SEEDED for test in bug.tests))) == []


@pytest.mark.parametrize("bug", SEEDED, ids=[bug.name for bug in SEEDED])
def test_a_seeded_bug_is_noticed(bug: Bug, package: Path, request: pytest.FixtureRequest):
    """The bug's place is there exactly once, and with the bug one of its tests fails."""
    file = package / bug.file
    source = file.read_text()
    assert source.count(bug.old) == 1, f"{bug.file} has changed: mend the bug's old text"
    file.write_text(source.replace(bug.old, bug.new))
    try:
        compile(file.read_text(), bug.file, "exec")
        caught = failed(package, bug.tests)
    finally:
        file.write_text(source)
    request.node.user_properties += [("bug", bug.name), ("caught", caught)]
    assert caught, "no test has noticed"
