"""docs/framework.md is true: its files, its commands and its answers run."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from pages import blocks, run

PAGE = "docs/framework.md"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The files of the page, as a reader saves them."""
    for name in ("packing.py", "packing_v2.py", "test_packing.py", "cluster.py"):
        code = "\n\n".join(blocks(PAGE, "python", name))
        assert code, name
        (tmp_path / name).write_text(code, encoding="utf-8")
    return tmp_path


def test_the_tutorial(directory: Path):
    """Every command of the page, in a shell, one after the other."""
    printed = [
        # Buffered: two threads print, and each line shall come as one.
        run(
            ["sh", "-ec", line],
            directory,
            PYTEST_ADDOPTS="-p no:cacheprovider",
            PYTHONUNBUFFERED="",
        )
        for block in blocks(PAGE, "sh")
        for line in block.splitlines()
    ]
    program, record, proof, *_ = printed
    states = [line.split()[1] for line in program.splitlines() if line.startswith("StateUpdate")]
    assert states == ["submitted", "packing", "packed"]
    assert '"packedbytes"' in record
    assert "1 passed" in proof
    assert "edges taken (100 %)" in proof
    assert "packingfailed" in (directory / "packing.mmd").read_text()
    assert "packingfailed" in (directory / "packing.md").read_text()
    assert "+ waiting" in (directory / "changes.mmd").read_text()
    assert "collected  rests as finished  takes new names" in printed[-1]
    # The last notification may be printed after it.
    (result,) = re.findall(r"^\d+ bytes: (.+)$", program, re.MULTILINE)
    assert (directory / result).is_file()


def test_the_answers(directory: Path):
    """Every block that is no file of its own, as one program after the tutorial's."""
    run([sys.executable, "packing.py"], directory)
    code = "\n\n".join(blocks(PAGE, "python"))
    printed = run([sys.executable, "-W", "error", "-c", code], directory)
    assert "refused by knows_who" in printed
    assert "packed: packing.py" in printed
    assert "tasks taken over; 0 do not load" in printed
    assert "- packingfailed (failed)" in printed
    assert "No way on from: packed, packingfailed." in printed
    assert "'packed' is no state that a task can be stored in" in printed


def test_the_cluster(directory: Path):
    pytest.importorskip("distributed", reason="no Dask here: pip install 'musictasks[dask]'")
    assert run([sys.executable, "cluster.py"], directory).split() == ["packed"]
