"""What the README and the docs say is true: the program runs, the picture and the tables agree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from attrs import fields
from clikit import Library
from musictasks.cli.main import COMMANDS
from musictasks.library import MusicDatabase
from musictasks.music import MusicEngine, Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
SONG = "Artist/2020 - Album/01 Song.flac"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def run_program(program: str, directory: Path) -> list[str]:
    """Runs a program in a directory; the states that it printed."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=directory,
        env={**os.environ, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split()[1] for line in done.stdout.splitlines()]


def test_first_program(tmp_path: Path):
    """The README's program does what the README says of it, also the second time."""
    (program,) = blocks("python")
    states = [run_program(program, tmp_path) for _ in range(2)]
    assert states[0][:4] == ["waitforchunk"] * 4
    assert all("readyforintegration" in run for run in states)
    library = Library(tmp_path / "my-library")
    assert list(library.music) == [SONG]
    song = MusicDatabase(library.settings.database).song(SONG)
    assert song is not None
    assert song["name"] == "Song"


def test_first_program_is_short():
    """Ten lines of work, besides the imports."""
    (program,) = blocks("python")
    lines = [line for line in program.splitlines() if line and "import " not in line]
    assert len(lines) <= 10


def test_picture():
    """The README shows the picture that is made from the declaration."""
    assert "](diagrams/music-overview.svg)" in README


def test_ini_example(tmp_path: Path):
    """The README's settings are ones that can be read."""
    (example,) = blocks("ini")
    file = tmp_path / "musicdb.ini"
    file.write_text(f"[directories]\nmusic=m\ndata=d\n{example}", encoding="utf-8")
    assert Settings.from_file(file).keep_failed_s == 7 * 24 * 3600


def test_calls_exist():
    """Every call in the README's table is one of the engine's."""
    table = README.partition("| call |")[2].partition("\n\n")[0]
    names = set(re.findall(r"`([a-z_]+)\(", table))
    assert len(names) > 10
    assert {name for name in names if not hasattr(MusicEngine, name)} == set()


def test_every_page_is_in_the_site():
    """What stands in docs/ has its place in mkdocs.yml, and every folder its row."""
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert {page for page in pages if f": {page}\n" not in site} == set()
    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert set(re.findall(r"^\| `([a-z]+)/` \|", table, re.MULTILINE)) == rooms


def test_commands_exist():
    """The README names the commands that there are, and docs/cli.md describes them."""
    table = README.partition("| command |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z]+)", table, re.MULTILINE)) == {*COMMANDS, "diagram"}
    described = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## musictasks ([a-z]+)", described, re.MULTILINE)) == {
        *COMMANDS,
        "diagram",
    }


def test_make_targets_and_extras():
    """The README and the changelog name what make and pip offer besides the main thing."""
    offered = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert named <= set(offered)
    assert {"test-mutants", "test-long", "bench", "diagrams"} <= named
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = set(re.findall(r"`pip install '\.\[([a-z]+)\]'`", README))
    assert extras == set(project["optional-dependencies"]) - {"dev"}
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    for page in ("docs/testing.md", "docs/musicdb.md", "docs/uploads.md"):
        assert f"]({page})" in README
        assert f"]({page})" in changes


def test_links_lead_somewhere():
    """The files that README, CONTRIBUTING and docs link to, and CONTRIBUTING names, are there."""
    for page in (ROOT / "README.md", CONTRIBUTING, *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
    for name in re.findall(r"`([a-z]+/[\w/.]*)`", CONTRIBUTING.read_text(encoding="utf-8")):
        assert (ROOT / name).exists() or name == "site/", name


def shown(value: object) -> str:
    """A default as it stands in a settings file."""
    if isinstance(value, frozenset):
        names = sorted(str(name) for name in value)
        commas = not {"video", "flac"}.isdisjoint(value)
        return (", " if commas else " / ").join(names) or "(none)"
    if isinstance(value, tuple):
        return ", ".join("x".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in value)
    return str(value)


@pytest.mark.parametrize("item", fields(Settings), ids=lambda item: item.name)
def test_settings_table(item):
    """docs/settings.md has every setting, with its place in the file and its default."""
    lines = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8").splitlines()
    section, key = item.metadata["place"]
    (row,) = [line for line in lines if line.startswith(f"| {section} | {key} |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2] == f"`{item.name}`"
    if item.name not in {"music", "data", "workers"}:
        assert cells[3].strip("`") == shown(item.default)
