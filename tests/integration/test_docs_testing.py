"""docs/testing.md is true: its code is that of the examples or passes, its figures are right."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from pages import ROOT, blocks, run

PAGE = "docs/testing.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
OPTIONS = ("-q", "-rA", "-p", "no:cacheprovider", "-p", "musictasks.testing.plugin")
#: The examples of hypothesis are the same each time.
SEED = "--hypothesis-seed=0"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The examples, and beside them the blocks of the page that are no part of them."""
    for file in (ROOT / "examples").glob("*.py"):
        shutil.copy(file, tmp_path)
    code = "\n\n".join(blocks(PAGE, "python"))
    (tmp_path / "test_page.py").write_text(code, encoding="utf-8")
    return tmp_path


def test_the_blocks_of_the_page_pass(directory: Path):
    """One after the other, as an integrator would save and run them."""
    printed = run([sys.executable, "-m", "pytest", *OPTIONS, SEED, "test_page.py"], directory)
    assert "13 passed" in printed


def test_the_report_is_what_the_example_prints(directory: Path):
    printed = run([sys.executable, "-m", "pytest", *OPTIONS, "test_transcoding.py"], directory)
    assert "2 passed" in printed
    (report,) = blocks(PAGE, "text")
    assert report in printed


def test_the_other_blocks_are_those_of_the_examples():
    """Word for word, whole definitions; so that neither drifts from the other."""
    named = re.findall(r'^```python title="(.*)"$', TEXT, re.MULTILINE)
    assert set(named) == {"test_documents.py", "test_transcoding.py", "transcoding.py"}
    for name in set(named):
        code = (ROOT / "examples" / name).read_text(encoding="utf-8")
        for block in blocks(PAGE, "python", name):
            assert f"\n\n{block}\n" in f"{code}\n", f"examples/{name} has no such lines:\n{block}"


def test_the_table_names_every_fixture():
    """No fixture is forgotten, none invented."""
    import musictasks.testing.plugin as plugin

    rows = "\n".join(re.findall(r"^\| `musictasks_.*?\|", TEXT, re.MULTILINE))
    fixtures = {name for name in vars(plugin) if name.startswith("musictasks_")}
    assert set(re.findall(r"`(musictasks_[a-z]+)`", rows)) == fixtures
    assert set(re.findall(r"musictasks_[a-z]+", TEXT)) == fixtures


def test_the_table_names_every_hook():
    """What `LifecycleStateMachine` lets one override, and nothing else."""
    from musictasks.testing import world

    rows = "\n".join(re.findall(r"^\| (`\w+[(`].*?)\|", TEXT, re.MULTILINE))
    named = set(re.findall(r"`([a-z_]+)(?:\([^`]*\))?`", rows))
    hooks = {name for name in named if not name.startswith("musictasks_")}
    said = re.findall(r"`([a-z_]+)`", str(world.World.__doc__).partition("overriding")[2])
    given = {"handlers_in", "contents", "calls", "orphans"}
    assert hooks == {*said, *given}
    assert all(hasattr(world.World, hook) for hook in hooks)
