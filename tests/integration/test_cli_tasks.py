"""`musictasks tasks`, `show`, `check`, `remove` and `retry` on the tasks of a real engine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from clikit import ALBUM, BOOKLET, MP3, TARGETS, Library, copy_album
from musictasks.cli import main
from musictasks.errors import TaskFailed
from musictasks.intake.planner import make_plan
from musictasks.intake.session import Session
from musictasks.intake.upload_job import FileJob
from musictasks.music import MusicEngine, open_library
from musictasks.statemachine import MusicTask

BYTES = b"%PDF- a booklet of sixty bytes, which is enough for two chunks.\n"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


@pytest.fixture
def cli(library, capsys):
    """Runs a command in this process; returns exit status, output and complaints."""

    def cli(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main([*map(str, arguments), "--library", str(library.root)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return cli


def begin(engine: MusicEngine, name: str = "booklet.pdf", data: bytes = BYTES) -> MusicTask:
    return engine.begin_upload(
        content_type="albumfile",
        file_size=len(data),
        checksum=hashlib.sha1(data).hexdigest(),
        source_filename=name,
    )


@pytest.fixture
def waiting(library) -> MusicTask:
    """A task that waits for the second half of its file."""
    with open_library(library.settings) as engine:
        task = begin(engine)
        return engine.receive_chunk(task.id, BYTES[: len(BYTES) // 2])


@pytest.fixture
def failed(library) -> MusicTask:
    """A task whose integration failed, as a file stands where its album should be."""
    with open_library(library.settings) as engine:
        blocker = library.root / "music" / "Artist"
        blocker.write_text("in the way")
        task = begin(engine, "scan.pdf", BYTES[:-1])
        engine.receive_chunk(task.id, BYTES[:-1])
        engine.wait(task.id, "readyforintegration", timeout=30)
        engine.integrate(task.id, "Artist/2020 - Album/booklet.pdf")
        with pytest.raises(TaskFailed):
            engine.wait(task.id, "readyforimport", timeout=30)
    blocker.unlink()
    return task


def test_no_tasks(library, cli):
    """A library without tasks has none to list, and nothing to check."""
    with open_library(library.settings):
        pass
    assert cli("tasks") == (0, "", "")
    assert cli("tasks", "--json") == (0, "[]\n", "")
    assert cli("check")[0] == 0


def test_tasks(waiting, failed, cli):
    """Each task is a line: id, state, content type, and what it is about."""
    status, output, _ = cli("tasks")
    assert status == 0
    assert set(output.splitlines()) == {
        f"{waiting.id}  waitforchunk  albumfile  booklet.pdf (50 %)",
        f"{failed.id}  integrationfailed  albumfile  scan.pdf",
    }


def test_tasks_as_json(waiting, cli):
    """JSON holds the documented keys, and can be piped on."""
    status, output, _ = cli("tasks", "--json")
    (task,) = json.loads(output)
    assert status == 0
    assert (task["id"], task["state"]) == (waiting.id, "waitforchunk")
    assert task["contenttype"] == "albumfile"
    assert task["sourcechecksum"] == hashlib.sha1(BYTES).hexdigest()
    assert task["history"][0]["to"] == "waitforchunk"


def test_tasks_beside_an_engine(library, waiting, cli):
    """Reading needs no lock: it works while another program owns the tasks."""
    with open_library(library.settings):
        for command in (["tasks"], ["show", waiting.id], ["check"]):
            assert cli(*command)[0] == 0


def test_tasks_of_control_characters(library, cli):
    """What a task file holds reaches the terminal as escapes only."""
    with open_library(library.settings) as engine:
        task = begin(engine)
        engine.annotate(task.id, {"note": "\x1b[2J\x7f\u202e"})
    for command in (["tasks"], ["tasks", "--json"], ["show", task.id]):
        status, output, _ = cli(*command)
        assert status == 0
        assert not set(output) & {"\x1b", "\x7f", "\u202e"}
    assert json.loads(cli("tasks", "--json")[1])[0]["annotations"] == {"note": "\x1b[2J\x7f\u202e"}


def test_show(failed, cli):
    """A task is shown with what is known of it and with its history, messages too."""
    status, output, _ = cli("show", failed.id)
    lines = output.splitlines()
    assert status == 0
    assert any(line.split() == ["state", "integrationfailed"] for line in lines)
    assert any(line.startswith("albumfilepath ") for line in lines)
    assert lines[-1].split("  ")[1:3] == ["fail", "integrationfailed"]
    assert "Not a directory" in lines[-1]


@pytest.mark.parametrize("time", [1e300, -1e300, 253402300800, 1e12])
def test_show_times_out_of_the_calendar(library, waiting, cli, time, tmp_path):
    """A time that no calendar has is shown as the number, also in the picture."""
    file = library.settings.tasks / f"{waiting.id}.json"
    record = json.loads(file.read_text(encoding="utf-8"))
    record["history"][-1]["time"] = time
    record["initializationtime"] = 253402300800
    file.write_text(json.dumps(record), encoding="utf-8")
    picture = tmp_path / "way.mmd"
    status, output, _ = cli("show", waiting.id, "--diagram", picture)
    assert status == 0
    assert f"\n{float(time)} s  " in output or f"\n{time} s  " in output
    assert "253402300800 (253402300800 s)" in output
    assert max(map(len, picture.read_text(encoding="utf-8").splitlines())) < 300


def test_show_what_is_not_there(library, waiting, cli):
    """An unknown id, and one whose file does not load, are complaints with the reason."""
    status, output, complaints = cli("show", "unknown")
    assert (status, output) == (1, "")
    assert "there is no task 'unknown'" in complaints
    (library.settings.tasks / "broken.json").write_text("{")
    status, _, complaints = cli("show", "broken")
    assert status == 1
    assert "broken.json is not a task" in complaints


@pytest.mark.parametrize("command", ["show", "remove", "retry"])
def test_broken_file_is_told_once(library, waiting, cli, command):
    """Why a task file does not load is said once, whoever finds out first."""
    (library.settings.tasks / "broken.json").write_text("{")
    status, output, complaints = cli(command, "broken")
    assert (status, output) == (1, "")
    assert complaints.count("broken.json is not a task") == 1
    assert complaints.count("\n") == 1


def test_check(library, waiting, cli):
    """Files that do not load come with the reason, upload data without a task with its path."""
    (library.settings.tasks / "broken.json").write_text("{")
    (library.settings.uploads / "albumfile-0000.pdf").write_bytes(b"x")
    status, output, _ = cli("check")
    assert status == 1
    assert str(library.settings.tasks / "broken.json") in output
    assert str(library.settings.uploads / "albumfile-0000.pdf") in output
    assert str(waiting.upload_path) not in output
    assert "1 task file does not load" in cli("tasks")[2]


def test_remove(library, waiting, cli):
    """A removed task is gone, with its data, when the command returns."""
    status, output, _ = cli("remove", waiting.id)
    assert (status, output) == (0, f"task {waiting.id} is removed\n")
    assert library.leftovers == []
    assert cli("remove", waiting.id)[0] == 1


def test_retry(library, failed, cli):
    """What failed is done when the command returns, if the reason is gone."""
    status, output, _ = cli("retry", failed.id)
    assert (status, output) == (0, f"task {failed.id} is done, and removed\n")
    assert list(library.music) == ["Artist/2020 - Album/booklet.pdf"]
    assert library.leftovers == []


def test_retry_that_fails_again(library, failed, cli):
    """If the reason is not gone, the command says so and its exit status tells."""
    (library.root / "music" / "Artist").write_text("in the way again")
    status, output, _ = cli("retry", failed.id)
    assert status == 1
    assert "is in integrationfailed: " in output


def test_retry_of_what_did_not_fail(waiting, cli):
    """Where nothing failed, the complaint names the state and what is allowed in it."""
    status, _, complaints = cli("retry", waiting.id)
    assert status == 1
    assert "waitforchunk" in complaints


@pytest.mark.parametrize("command", ["remove", "retry"])
def test_changing_needs_the_directory(library, waiting, cli, command):
    """While an engine owns the tasks, a change is refused, and the owner is named."""
    with open_library(library.settings):
        status, output, complaints = cli(command, waiting.id)
    assert (status, output) == (1, "")
    assert "is in use by process" in complaints


@pytest.mark.parametrize("id_", ["../../etc/passwd", "", "a/b", "x" * 65, "\x1b[2J"])
def test_ids_that_are_none(waiting, cli, id_):
    """An id is never a path, and a wrong one is an unknown one."""
    for command in ("show", "remove", "retry"):
        status, _, complaints = cli(command, id_)
        assert status == 1
        assert "there is no task" in complaints
        assert "\x1b" not in complaints


def test_add_goes_on_with_an_upload(library, tmp_path, cli):
    """An upload that anybody began is continued at its offset, instead of begun again."""
    data = (copy_album(tmp_path / "album") / BOOKLET).read_bytes()
    with open_library(library.settings) as engine:
        task = begin(engine, data=data)
        engine.receive_chunk(task.id, data[:1000])
    status, _, _ = cli("add", tmp_path / "album")
    assert status == 0
    assert set(library.music) == set(TARGETS.values())
    assert library.leftovers == []


def test_add_retries_what_failed(library, tmp_path, cli):
    """What failed in an earlier run is tried again, at the path that it shall have now."""
    data = (copy_album(tmp_path / "album") / BOOKLET).read_bytes()
    with open_library(library.settings) as engine:
        (library.root / "music" / "Artist").write_text("in the way")
        task = begin(engine, data=data)
        engine.receive_chunk(task.id, data)
        engine.wait(task.id, "readyforintegration", timeout=30)
        engine.integrate(task.id, "Artist/2020 - Album/booklet.pdf")
        with pytest.raises(TaskFailed):
            engine.wait(task.id, "readyforimport", timeout=30)
    status, _, _ = cli("add", tmp_path / "album")
    assert status == 0
    assert TARGETS[BOOKLET] in library.music
    assert library.leftovers == []


def test_add_clears_away_an_import_that_failed(library, tmp_path, cli):
    """A failed import of the album, of an earlier time, does not stay beside the new one."""
    album = copy_album(tmp_path / "album", MP3)
    place = library.root / "music" / TARGETS[MP3]
    place.parent.mkdir(parents=True)
    place.write_bytes(b"no music")
    with open_library(library.settings) as engine:
        task = engine.import_music("album", ALBUM)
        with pytest.raises(TaskFailed):
            engine.wait(task.id, "importcomplete", timeout=30)
    place.unlink()
    status, output, _ = cli("add", album)
    assert status == 0
    assert "imported" in output
    assert library.leftovers == []


def test_add_of_what_was_refused_before(library, tmp_path, cli):
    """The same bytes are sent once more: under another name or other settings they may do."""
    data = b"no music at all"
    with open_library(library.settings) as engine:
        task = begin(engine, "song.mp3", data)
        engine.receive_chunk(task.id, data)
        with pytest.raises(TaskFailed):
            engine.wait(task.id, "readyforintegration", timeout=30)
        assert engine.get(task.id).state == "invalidcontent"
    (tmp_path / "notes.txt").write_bytes(data)
    names = ("--artist", "A", "--album", "B", "--year", "2000")
    assert cli("add", tmp_path / "notes.txt", *names)[0] == 0
    assert (library.settings.music / "A" / "2000 - B" / "notes.txt").read_bytes() == data
    with open_library(library.settings) as engine:
        assert engine.tasks() == []


def test_add_waits_for_the_end_of_a_whole_upload(library, tmp_path):
    """An upload whose bytes are all there, but which a kill kept from its end, is not refused."""
    album = copy_album(tmp_path / "album")
    data = (album / BOOKLET).read_bytes()
    with open_library(library.settings) as engine:
        task = engine.receive_chunk(begin(engine, data=data).id, data[:-1])
    with (library.settings.uploads / str(task.upload_path)).open("ab") as file:
        file.write(data[-1:])
    (planned,) = [f for f in make_plan([album], library.settings).files if f.source.name == BOOKLET]
    engine = open_library(library.settings)
    job = FileJob(Session(engine), planned)
    assert [job.step() for _ in range(3)] == [True, False, False]
    with engine:
        engine.wait(task.id, "readyforintegration", timeout=30)
        assert job.step()
        engine.wait(task.id, "readyforimport", timeout=30)
    assert list(library.music) == [TARGETS[BOOKLET]]
