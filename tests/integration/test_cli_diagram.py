"""`musictasks diagram` and `musictasks show ID --diagram`, as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from enginekit import begin
from musictasks.cli import main
from musictasks.diagrams import draw
from musictasks.music import Settings, open_library
from musictasks.statemachine import MUSIC


def test_diagram_writes_a_part(tmp_path: Path) -> None:
    """The extension says the format; no library is needed."""
    file = tmp_path / "upload.svg"
    assert main(["diagram", str(file), "--only", "upload"]) == 0
    assert file.read_text().startswith("<?xml")


def test_diagram_draws_an_integrators_lifecycle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """`--lifecycle MODULE:NAME` finds a declaration in the current directory."""
    (tmp_path / "my_declaration.py").write_text(
        "from musictasks.statemachine import *\n"
        "MINE = MUSIC.with_state(StateSpec('approval', 'own', Role.WAITING)).with_edge(\n"
        "    Edge(event='ask', source='readyforintegration', target='approval'))\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["diagram", "--lifecycle", "my_declaration:MINE", "--format", "json"]) == 0
    names = [state["name"] for state in json.loads(capfdbinary.readouterr().out)["states"]]
    assert "approval" in names


@pytest.mark.parametrize(
    "name", ["no_such_module:X", "musictasks.statemachine:NOTHING", "json:dumps"]
)
def test_a_lifecycle_that_is_none_is_wrong_usage(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said in a line, exit status 2."""
    with pytest.raises(SystemExit, match="2"):
        main(["diagram", "--lifecycle", name])
    assert name.split(":")[0] in capsys.readouterr().err


def test_show_draws_the_way_of_a_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`show ID --diagram FILE` writes the picture of the task's walk."""
    with open_library(Settings.in_directory(tmp_path)) as engine:
        task = begin(engine)
    file = tmp_path / "walk.mmd"
    command = ["show", task.id, "--library", str(tmp_path), "--diagram", str(file)]
    assert main(command) == 0
    assert file.read_text() == draw(MUSIC, "mermaid", task=task)
    assert "waitforchunk" in capsys.readouterr().out
