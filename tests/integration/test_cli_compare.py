"""`musictasks compare`, `check --lifecycle` and `diagram --compare`, as a person runs them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import musictasks
import pytest
from clikit import Library
from enginekit import begin
from musictasks.cli import main
from musictasks.engine import EngineSettings, open_engine
from musictasks.music import open_library
from musictasks.statemachine import MUSIC

OLD = """
from musictasks.statemachine import *
NOTES = (
    bare_lifecycle()
    .with_state(StateSpec("noted", "task", Role.WAITING))
    .with_edge(Edge(event="note", source="unmade", target="noted"))
)
def upgrade(values):
    return values | {"attempts": int(values["attempts"])}
nothing = None
"""
NEW = OLD.replace('"noted"', '"written"') + 'NAMED = NOTES.with_renamed({"noted": "written"})\n'

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    def cli(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main([*map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return cli


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two versions of a declaration, and a task that the older one has stored."""
    (tmp_path / "cli_notes_1.py").write_text(OLD)
    (tmp_path / "cli_notes_2.py").write_text(NEW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import cli_notes_1  # pyright: ignore[reportMissingImports]

    settings = EngineSettings(tasks="tasks", uploads="uploads")
    with open_engine(settings, cli_notes_1.NOTES) as engine:
        engine.create("note", task_id="one")
    yield tmp_path
    for name in ("cli_notes_1", "cli_notes_2"):
        sys.modules.pop(name, None)


def test_version(cli: Cli, capsys: pytest.CaptureFixture[str]):
    """The name and the version, and nothing else."""
    with pytest.raises(SystemExit, match="0"):
        cli("--version")
    assert capsys.readouterr().out == f"musictasks {musictasks.__version__}\n"


def test_compare(directory: Path, cli: Cli):
    """What is different, and status 1 where stored tasks have no way on."""
    status, output, _ = cli("compare", "cli_notes_1:NOTES", "cli_notes_2:NOTES")
    assert status == 1
    assert "- noted (waiting)" in output
    assert output.endswith("No way on from: noted.\n")
    status, output, _ = cli("compare", "cli_notes_1:NOTES", "cli_notes_2:NAMED")
    assert status == 0
    assert "name: noted is now written" in output
    status, output, _ = cli("compare", "cli_notes_1:NOTES", "cli_notes_2:NOTES", "--json")
    assert (status, json.loads(output)["nowayon"]) == (1, ["noted"])
    assert cli("compare", "musictasks.statemachine:MUSIC") == (
        0,
        "Nothing came, went or changed.\n",
        "",
    )


def test_compare_draws(directory: Path, cli: Cli):
    """`--diagram FILE`, and the same by `diagram --compare`."""
    command = ("compare", "cli_notes_1:NOTES", "cli_notes_2:NOTES", "--diagram", "a.mmd")
    assert cli(*command)[1].endswith("a.mmd\n")
    cli("diagram", "b.mmd", "--lifecycle", "cli_notes_2:NOTES", "--compare", "cli_notes_1:NOTES")
    drawn = (directory / "a.mmd").read_text()
    assert '"+ written"' in drawn
    assert (directory / "b.mmd").read_text() == drawn


def test_check_with_a_lifecycle(directory: Path, cli: Cli):
    """Each task is a line; what is wrong, and what to do, below it; status 1 then."""
    before = (directory / "tasks" / "one.json").read_bytes()
    check = ("check", "--tasks", "tasks", "--lifecycle")
    assert cli(*check, "cli_notes_1:NOTES") == (
        0,
        "=  one  noted  waits for a client\n1 task: all load\n",
        "",
    )
    status, output, _ = cli(*check, "cli_notes_2:NOTES")
    lines = output.splitlines()
    assert status == 1
    assert lines[0] == "!  one  noted  does not load"
    assert "'noted' is no state" in lines[1]
    assert "renamed={'noted': ...}" in lines[2]
    assert lines[3] == "1 task: 1 does not load"
    status, output, _ = cli(*check, "cli_notes_2:NAMED")
    assert status == 0
    assert "one  written  waits for a client  takes new names" in output
    status, output, _ = cli(*check, "cli_notes_2:NOTES", "--json")
    found = json.loads(output)
    assert (status, found["good"], found["tasks"][0]["hasstate"]) == (1, False, False)
    assert (directory / "tasks" / "one.json").read_bytes() == before


def test_a_history_that_is_no_walk_is_told(directory: Path, cli: Cli):
    """It hinders nothing, so the status is 0."""
    path = directory / "tasks" / "one.json"
    path.write_text(path.read_text().replace('"event": "note"', '"event": "write"'))
    status, output, _ = cli("check", "--tasks", "tasks", "--lifecycle", "cli_notes_1:NOTES")
    assert status == 0
    assert output.startswith(
        "~  one  noted  waits for a client\n   step 1, unmade --write--> noted"
    )
    assert output.endswith("1 task: all load; 1 has a history that is no walk\n")


def test_check_with_an_upgrade(directory: Path, cli: Cli):
    """What the program does with the content of its older files is done here, too."""
    path = directory / "tasks" / "one.json"
    path.write_text(re.sub('"attempts": 0', '"attempts": "0"', path.read_text()))
    check = ("check", "--tasks", "tasks", "--lifecycle", "cli_notes_1:NOTES")
    assert cli(*check)[0] == 1
    assert cli(*check, "--upgrade", "cli_notes_1:upgrade")[0] == 0


def test_check_of_a_library(tmp_path: Path, cli: Cli):
    """With its lifecycle, beside the engine that has the library."""
    library = Library(tmp_path / "library")
    with open_library(library.settings) as engine:
        task = begin(engine)
        command = ("check", "--library", library.root, "--lifecycle")
        status, output, _ = cli(*command, "musictasks.statemachine:MUSIC")
        assert status == 0
        assert output == f"=  {task.id}  waitforchunk  waits for a client\n1 task: all load\n"
    assert MUSIC.role("waitforchunk").value == "waiting"


@pytest.mark.parametrize(
    "options",
    [
        ["--json"],
        ["--tasks", "tasks"],
        ["--upgrade", "json:dumps"],
        ["--lifecycle", "musictasks.statemachine:MUSIC", "--upgrade", "json:nothing"],
        ["--lifecycle", "musictasks.statemachine:MUSIC", "--tasks", "a", "--library", "b"],
    ],
)
def test_options_that_do_not_go_together(options: list[str], cli: Cli):
    """Wrong usage, status 2."""
    with pytest.raises(SystemExit, match="2"):
        cli("check", *options)


def test_no_directory(tmp_path: Path, cli: Cli):
    """A directory that is misspelled has not the best of all tasks."""
    lifecycle = ("--lifecycle", "musictasks.statemachine:MUSIC")
    status, _, complaints = cli("check", "--tasks", tmp_path / "nowhere", *lifecycle)
    assert status == 1
    assert "nowhere is no directory" in complaints
