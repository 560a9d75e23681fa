"""`musictasks completion`: what a real shell makes of the script."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from musictasks.cli import main

COMPLETE = """
source "$1"
COMP_WORDS=(musictasks "${@:2}")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_shtab_musictasks musictasks "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        (["ad"], {"add"}),
        (["s"], {"scan", "show", "serve"}),
        (["scan", "--js"], {"--json"}),
        (["completion", "z"], {"zsh"}),
        (["add", "al"], {"album.zip"}),
        (["import", "--library", "al"], {"album.zip"}),
    ],
)
def test_bash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], typed: list[str], completed: set[str]
) -> None:
    """Commands, options, choices, and files where a path is wanted."""
    (tmp_path / "album.zip").touch()
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out, encoding="utf-8")
    bash = ["bash", "--norc", "-c", COMPLETE, "bash", str(script), *typed]
    shown = subprocess.run(bash, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(shown.stdout.split()) == completed


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    """A script for them, which the shell itself reads without a complaint where it is there."""
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "musictasks" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)
