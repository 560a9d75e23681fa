"""docs/testing.md is true: its code is a test file that passes, and its figures are right."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_example_of_the_page_passes(tmp_path: Path):
    """The blocks, one after the other, as an integrator would save and run them."""
    file = tmp_path / "test_transcoding.py"
    file.write_text("\n\n".join(blocks("python")), encoding="utf-8")
    options = ("-q", "-rA", "-p", "no:cacheprovider", "-p", "musictasks.testing.plugin")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, file.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout, done.stdout
    (report,) = blocks("text")
    assert report in done.stdout, done.stdout


def test_the_table_names_every_fixture():
    """No fixture is forgotten, none invented."""
    import musictasks.testing.plugin as plugin

    named = set(re.findall(r"`(musictasks_[a-z]+)`", PAGE))
    assert named == {name for name in vars(plugin) if name.startswith("musictasks_")}
