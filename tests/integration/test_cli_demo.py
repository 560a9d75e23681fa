"""`musictasks demo`, read as a person reads it: in a terminal, and the second time."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from clikit import ALBUM, TARGETS, Library, run
from musictasks.cli import demo, main
from musictasks.library import sample_album


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> tuple[Library, str]:
    """A library that the demo made, and what it printed into a pipe."""
    library = Library(tmp_path_factory.mktemp("demo") / "library")
    status, output, complaints = run("demo", "--library", library.root, anew=True)
    assert (status, complaints) == (0, "")
    return library, output


def test_states(shown):
    """The documented way of an album file and of an import with artwork are printed."""
    words = " ".join(shown[1].split())
    assert (
        "waitforchunk → uploadcomplete → preprocessing → readyforintegration → startintegration "
        "→ integrating → readyforimport → remove"
    ) in words
    assert (
        "startmusicimport → importingmusic → startartworkimport → importingartwork "
        "→ importcomplete → remove"
    ) in words


def test_what_came_of_it(shown):
    """Tree, rows, artwork sizes and places are there, and true."""
    library, output = shown
    assert set(library.music) == set(TARGETS.values())
    for path in TARGETS.values():
        assert path.rpartition("/")[2] in output
    for value in ("Ebbe/Flut", "Über den Wäldern", "1000 × 1000 px", "music.db"):
        assert value in output
    assert library.leftovers == []


def test_words(shown):
    """The origin is said in words, and playing times are minutes and seconds."""
    output = shown[1]
    assert "from the sample album that comes with it (5 files, " in output
    header = next(line for line in output.splitlines() if "kbit/s" in line)
    assert [cell.strip() for cell in header.split("│")][5] == "time"
    assert re.search(r"│ 0:0\d │", output)


def test_again(shown):
    """The second time everything is there already, and nothing changes."""
    library, _ = shown
    content = library.content
    status, output, _ = run("demo", "--library", library.root)
    assert status == 0
    assert output.count("B  is there already") == len(TARGETS)
    assert "Everything is there already: nothing was changed." in output
    assert library.content == content


def test_sample_of_links(tmp_path: Path, monkeypatch, capsys):
    """An installation may link the sample's files; it is added all the same."""
    links = tmp_path / "sample"
    links.mkdir()
    for file in sample_album().iterdir():
        (links / file.name).symlink_to(file)
    monkeypatch.setattr(demo, "sample_album", lambda: links)
    assert main(["demo", "--library", str(tmp_path / "library")]) == 0
    assert set(Library(tmp_path / "library").music) == set(TARGETS.values())


def in_terminal(columns: int, *arguments: str) -> tuple[int, str]:
    """Runs `musictasks` in a terminal of its own; exit status and all that was written to it."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    with subprocess.Popen(
        [sys.executable, "-m", "musictasks.cli", *arguments],
        stdin=child, stdout=child, stderr=child, env=environment,
    ) as process:  # fmt: skip
        os.close(child)
        written = bytearray()
        try:
            while data := os.read(parent, 65536):
                written += data
        except OSError:  # how Linux says that the other side is closed
            pass
    os.close(parent)
    return process.returncode, written.decode()


@pytest.mark.parametrize("columns", [80, 100])
def test_terminal(tmp_path: Path, columns: int):
    """In a terminal, bytes and states are seen while it runs, and no line is too long."""
    status, written = in_terminal(columns, "demo", "--library", str(tmp_path / "library"))
    assert status == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert "all files" in text
    assert re.search(r"[0-9.]+ kB / 63\.9 kB waitforchunk", text)
    assert ALBUM in text
    lines = [line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n")]
    # Paths may be longer: the terminal folds them, so that they can be copied.
    assert [line for line in lines if len(line) > columns and str(tmp_path) not in line] == []


def test_tasks_in_a_terminal(tmp_path: Path):
    """In a terminal the tasks are a table, and no tasks are said to be none."""
    library = str(tmp_path / "library")
    assert run("demo", "--library", library)[0] == 0
    status, written = in_terminal(80, "tasks", "--library", library)
    assert (status, written) == (0, "there are no tasks\r\n")
