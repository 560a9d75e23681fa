"""The examples run as they stand, are proven, and are drawn as they are declared."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import httpx
import pytest
from musictasks.diagrams import source_of
from musictasks.engine import Engine
from musictasks.uploads import Uploads
from pages import run
from serverkit import serving
from wheels import build

EXAMPLES = Path(__file__).parents[2] / "examples"
#: What the example prints, but for the ids.
PRINTED = """\
7 words, 'Invoice 7': approved
filed as archive/Invoice 7 <id>.txt
receiving > received > reading > review > approved > filing > filed
task <id> ended in 'unreadable': there is no text in it
receiving > received > reading > unreadable
"""
#: The way of a song through the library with a stage more.
TRANSCODED = (
    "waitforchunk > uploadcomplete > preprocessing > starttranscoding > transcoding "
    "> readyforintegration"
)
#: What the framework is without.
OF_MUSIC = "sqlite3|mutagen|PIL|av|rich|musictasks.(library|handlers|music|musicdb|intake|cli)"


def without_ids(text: str) -> str:
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8}(?=\.txt)", "<id>", text)


def names(directory: Path) -> set[str]:
    """The files below it, and the empty directories."""
    return {
        without_ids(str(path.relative_to(directory)))
        for path in directory.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with the examples, outside the repository."""
    for file in EXAMPLES.glob("*.py"):
        shutil.copy(file, tmp_path)
    return tmp_path


def test_documents_run(directory: Path):
    """What it prints, and what it leaves: nothing of music, and no upload of what is filed."""
    assert without_ids(run([sys.executable, "documents.py", "work"], directory)) == PRINTED
    assert names(directory / "work") == {
        "archive/Invoice 7 <id>.txt",
        "tasks/<id>.json",
        "uploads",
    }
    (filed,) = (directory / "work" / "archive").iterdir()
    assert filed.read_bytes() == b"Invoice 7\nTwo chairs and a table.\n"
    before = set(directory.rglob("*"))
    assert without_ids(run([sys.executable, "documents.py"], directory)) == PRINTED
    assert set(directory.rglob("*")) == before


def test_documents_go_on_after_a_kill(directory: Path):
    """Killed while it reads; the next run reads the document, and does its own."""
    kill = "import documents, os, pathlib; documents.read = lambda *_: os._exit(9); "
    command = [sys.executable, "-c", kill + "documents.main(pathlib.Path('work'))"]
    assert subprocess.run(command, cwd=directory, check=False).returncode == 9
    (task,) = (directory / "work" / "tasks").glob("*.json")
    assert '"state": "reading"' in task.read_text()
    assert without_ids(run([sys.executable, "documents.py", "work"], directory)) == PRINTED
    assert '"state": "review"' in task.read_text()
    assert '"words": 7' in task.read_text()


def test_documents_load_nothing_of_music(directory: Path):
    code = f"""
import re, runpy, sys
runpy.run_path("documents.py", run_name="__main__")
print([name for name in sys.modules if re.fullmatch(r"({OF_MUSIC})(\\..*)?", name)])
"""
    assert run([sys.executable, "-c", code], directory).splitlines()[-1] == "[]"


def test_documents_are_served(directory: Path, monkeypatch: pytest.MonkeyPatch):
    """Uploads, approval and figures by HTTP, and nothing of music."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    documents = importlib.import_module("documents")
    documents.main(directory / "work", scans=(), door=use_the_door)
    (filed,) = (directory / "work" / "archive").iterdir()
    assert filed.name.startswith("Invoice ")


def use_the_door(engine: Engine[Any], *, uploads: Uploads, listening: Any) -> None:
    with serving(engine, uploads=uploads) as served, served.client() as client:
        task = uploads.begin(file_size=9, source_filename="scan.txt")
        uploads.receive(task.id, b"Invoice 7")
        engine.wait(task.id, "review", timeout=30)
        url = f"/api/tasks/{task.id}"
        assert client.get(url).json()["allowed"] == ["remove", "approve", "decline"]
        body = {"annotations": {"title": None}}
        assert client.post(f"{url}/annotations", json=body).status_code == 200
        refused = client.post(f"{url}/events/approve").json()
        assert (refused["type"], refused["guards"]) == ("TransitionRefused", ["has_title"])
        client.post(f"{url}/annotations", json={"annotations": {"title": "Invoice"}})
        assert client.post(f"{url}/events/approve", json={"message": "paid"}).status_code == 200
        engine.wait(task.id, "filed", timeout=30)
        assert 'musictasks_tasks{state="filed"} 1.0' in client.get("/metrics").text
        for path in ("/api/scans", "/api/imports", f"{url}/integration"):
            assert client.post(path).status_code == 404


def test_the_served_documents_listen(directory: Path):
    """As the file says it: only its port is another, as that may be taken here."""
    port = "import musictasks.server.settings as s; s.ServerSettings.__init__.__kwdefaults__"
    code = f"{port}['port'] = 0; import runpy; runpy.run_path('served_documents.py', "
    code += "run_name='__main__')"
    command = [sys.executable, "-u", "-c", code, "work"]
    with subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx.get(f"{url}healthz", trust_env=False).json() == {"status": "ok"}
        process.terminate()
        assert process.wait(30) == 0


def test_transcoding_runs(directory: Path):
    """The song is mono: half of its samples, and it waits in its task's directory."""
    command = [sys.executable, "transcoding.py"]
    printed = without_ids(run([*command, "work"], directory))
    way, size = printed.splitlines()
    assert way == TRANSCODED
    assert re.fullmatch(r"32044 bytes became 16044: <id>/albumfile-[0-9a-f]{40}\.mono\.wav", size)
    (song,) = (directory / "work" / "data" / "uploads").rglob("*.mono.wav")
    with wave.open(str(song), "rb") as sound:
        assert (sound.getnchannels(), sound.getnframes()) == (1, 8000)
    before = set(directory.rglob("*"))
    assert without_ids(run(command, directory)) == printed
    assert set(directory.rglob("*")) == before


def test_transcoding_goes_on_after_a_kill(directory: Path):
    """Killed while it writes; the next run makes the song again, and does its own."""
    kill = "import os, pathlib, transcoding, types; "
    kill += "transcoding.os = types.SimpleNamespace(fsync=lambda _: os._exit(9)); "
    command = [sys.executable, "-c", kill + "transcoding.main(pathlib.Path('work'))"]
    assert subprocess.run(command, cwd=directory, check=False).returncode == 9
    (task,) = (directory / "work" / "data" / "tasks").glob("*.json")
    assert '"state": "transcoding"' in task.read_text()
    printed = run([sys.executable, "transcoding.py", "work"], directory)
    assert printed.startswith(TRANSCODED)
    assert '"state": "readyforintegration"' in task.read_text()
    assert ".mono.wav" in task.read_text()


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("documents.py", 89),
        ("served_documents.py", 9),
        ("test_documents.py", 39),
        ("transcoding.py", 89),
        ("test_transcoding.py", 59),
    ],
)
def test_an_example_is_short(name: str, most: int):
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= most


@pytest.mark.parametrize(("name", "count"), [("documents", 3), ("transcoding", 2)])
def test_an_example_is_proven(directory: Path, name: str, count: int):
    """Its own tests pass, with the kit as it is installed."""
    options = ["-q", "-p", "no:cacheprovider", "-p", "musictasks.testing.plugin"]
    printed = run([sys.executable, "-m", "pytest", *options, f"test_{name}.py"], directory)
    assert f"{count} passed" in printed


def test_the_picture_is_of_the_declaration(directory: Path):
    """The command line draws it; the committed one carries the same DOT text."""
    choice = ["--lifecycle", "documents:DOCUMENTS"]
    run(["musictasks", "diagram", *choice, "documents.svg"], directory)
    drawn = run(["musictasks", "diagram", *choice, "--format", "dot"], directory)
    for picture in (EXAMPLES, directory):
        assert source_of((picture / "documents.svg").read_bytes()) == drawn, "run `make diagrams`"


@pytest.mark.long
def test_documents_from_a_wheel(directory: Path, tmp_path_factory: pytest.TempPathFactory):
    """In a fresh environment with nothing but the wheel and what it depends on."""
    wheel = next(build(tmp_path_factory.mktemp("build")).glob("*.whl"))
    run([sys.executable, "-m", "venv", "fresh"], directory)
    python = str(directory / "fresh" / "bin" / "python")
    run([python, "-m", "pip", "install", "--quiet", str(wheel)], directory)
    where = "import musictasks; print(musictasks.__file__)"
    assert run([python, "-c", where], directory).startswith(str(directory / "fresh"))
    assert without_ids(run([python, "documents.py", "work"], directory)) == PRINTED
    left = {path.name for path in (directory / "work").iterdir()}
    assert left == {"archive", "tasks", "uploads"}
