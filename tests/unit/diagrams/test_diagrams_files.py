"""Pictures as files, and what happens where none can be drawn."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest
from musictasks.cli.arguments import add_diagram_arguments
from musictasks.cli.diagram import draw_task, run_diagram
from musictasks.cli.output import make_console
from musictasks.diagrams import draw, write
from musictasks.errors import DiagramError
from musictasks.statemachine import MUSIC, MusicTask


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_diagram_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("out.svg", b"<?xml"),
        ("out.PNG", b"\x89PNG"),
        ("out.mmd", b"stateDiagram-v2\n"),
        ("out.dot", b"digraph"),
        ("out.md", b"| state |"),
        ("out.json", b"{"),
    ],
)
def test_the_extension_says_the_format(name: str, start: bytes, tmp_path: Path) -> None:
    """A file is written in the format of its extension, in place of an older one."""
    (tmp_path / name).write_bytes(b"older, and longer than it needs to be" * 100_000)
    write(MUSIC, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert content.startswith(start)
    assert b"older" not in content


def test_an_unknown_extension_writes_nothing(tmp_path: Path) -> None:
    """An extension that stands for no format is refused, so that no song is overwritten."""
    song = tmp_path / "song.flac"
    song.write_bytes(b"music")
    with pytest.raises(DiagramError, match=r"'song.flac'.*\.svg"):
        write(MUSIC, song)
    assert song.read_bytes() == b"music"


def test_without_pygraphviz_the_remedy_is_named() -> None:
    """Where the extra is not installed, texts are drawn, and a picture says what to install."""
    code = (
        "import sys; sys.modules['pygraphviz'] = None\n"
        "from musictasks.diagrams import draw\n"
        "from musictasks.statemachine import MUSIC\n"
        "from musictasks.errors import DiagramError\n"
        "for into in ('mermaid', 'dot', 'markdown', 'json'): assert draw(MUSIC, into)\n"
        "for into in ('svg', 'png'):\n"
        "    try: draw(MUSIC, into)\n"
        "    except DiagramError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("pip install 'musictasks[diagrams]'") == 2


def test_where_pygraphviz_lacks_a_library_that_is_named(tmp_path: Path) -> None:
    """Its wheels take some from the system, which a container may not have."""
    (tmp_path / "pygraphviz.py").write_text("raise ImportError('libXrender.so.1: no such file')")
    code = (
        "from musictasks.diagrams import draw\n"
        "from musictasks.statemachine import MUSIC\n"
        "draw(MUSIC, 'svg')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "libXrender.so.1: no such file" in last
    assert "apt-get install" in last
    assert "not installed" not in last


def test_the_command_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`musictasks diagram FILE --only upload` writes that part and names the file."""
    file = tmp_path / "upload.dot"
    assert run_diagram(arguments(str(file), "--only", "upload"), make_console()) == 0
    assert file.read_text() == draw(MUSIC, "dot", only="upload")
    assert capsys.readouterr().out == f"{file}\n"


def test_the_command_prints_without_a_file(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """`musictasks diagram` prints Mermaid, with --format any other."""
    for words, into in (((), "mermaid"), (("--format", "json", "--only", "import"), "json")):
        assert run_diagram(arguments(*words), make_console()) == 0
        only = "import" if words else None
        assert capfdbinary.readouterr().out == str(draw(MUSIC, into, only=only)).encode()


def test_a_format_comes_before_the_extension(tmp_path: Path) -> None:
    """With --format the file may have any name."""
    file = tmp_path / "lifecycle.txt"
    assert run_diagram(arguments(str(file), "--format", "markdown"), make_console()) == 0
    assert file.read_text() == draw(MUSIC, "markdown")


def test_show_draws_a_walk(tmp_path: Path, task: MusicTask) -> None:
    """The picture of `musictasks show ID --diagram FILE` is the task's walk."""
    draw_task(task, tmp_path / "walk.mmd", make_console())
    assert (tmp_path / "walk.mmd").read_text() == draw(MUSIC, "mermaid", task=task)
