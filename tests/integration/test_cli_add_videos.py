"""`musictasks add` on music videos: into the library with frames, or refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from clikit import ALBUM, Library, copy_album, files_in, settings_file, slow_run
from enginekit import upload, wait_gone
from musictasks.cli import main
from musictasks.intake import Result
from musictasks.intake.planner import make_plan
from musictasks.intake.session import Session
from musictasks.intake.upload_job import FileJob
from musictasks.library import MusicDatabase
from musictasks.music import open_library, read_tasks
from videokit import make_video, sound_only

Add = Callable[..., tuple[int, str]]

PATH = "AC∕DC/1990 - Thunderstruck.mp4"
#: Large enough for some chunks.
MP4 = make_video(size=(320, 240), audio_s=4)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path)


def make_clip(directory: Path) -> Path:
    path = directory / "AC∕DC - 1990 - Thunderstruck.mp4"
    path.write_bytes(MP4)
    return path


@pytest.fixture
def add(library: Library, capsys: pytest.CaptureFixture[str]) -> Add:
    """Adds in this process; returns the exit status, the output and the complaints."""

    def add(*arguments: object) -> tuple[int, str]:
        status = main(["add", "--config", str(settings_file(library)), *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return add


def frames(library: Library) -> dict[str, str]:
    return files_in(library.settings.video_frames_root)


def row(library: Library, path: str = PATH) -> dict[str, object]:
    found = MusicDatabase(library.settings.database).video(path)
    assert found is not None
    return found


def test_into_the_library(library: Library, clip: Path, add: Add) -> None:
    """Uploaded, put at its place, imported, with frames; nothing else is left."""
    status, output = add(clip)
    assert status == 0
    assert output.startswith("AC∕DC\n  + 1990 - Thunderstruck.mp4 ")
    assert output.endswith("  + imported, with frames\n1 file added, 0 there already.\n")
    assert list(library.music) == [PATH]
    assert (library.root / "music" / PATH).read_bytes() == MP4
    assert (row(library)["release"], row(library)["xresolution"]) == (1990, 320)
    assert row(library)["thumbnailfile"] == "frame-01.jpg"
    assert "AC∕DC/Thunderstruck/preview.webp" in frames(library)
    assert library.leftovers == []


def test_again(library: Library, clip: Path, add: Add) -> None:
    """The second time it is there already, without an upload; nothing is changed."""
    add(clip)
    content = library.content
    config = settings_file(library, "[uploads]", "allow=")
    for option in (["-n"], []):
        assert main(["add", *option, "--config", str(config), str(clip)]) == 0
    status, output = add(clip)
    assert status == 0
    assert "is there already\n  = nothing to import\n" in output
    assert library.content == content


def test_what_the_database_lacks(library: Library, clip: Path, add: Add) -> None:
    """Lost frames and rows come back; a picture that was chosen stays."""
    add(clip)
    content, made = library.content, frames(library)
    for path in library.settings.video_frames_root.rglob("*.jpg"):
        path.unlink()
    status, output = add(clip)
    assert status == 0
    assert "imported, with frames" in output
    assert (library.content, frames(library)) == (content, made)
    library.settings.database.unlink()
    assert add(clip)[0] == 0
    assert library.content == content
    chosen = library.settings.video_frames_root / "AC∕DC/Thunderstruck/frame-01.jpg"
    chosen.write_bytes(b"mine")
    assert "nothing to import" in add(clip)[1]


def test_dry_run(library: Library, clip: Path, add: Add) -> None:
    """It shows the target, or why there is none, and makes nothing."""
    bad = clip.with_name("A - 2020 - Sound.mp4")
    bad.write_bytes(sound_only())
    bare = clip.with_name("clip.webm")
    bare.write_bytes(make_video(codec="libvpx", container="webm"))
    status, output = add("-n", clip, bad, bare)
    assert status == 1
    assert f"  + {PATH}\n      from " in output
    assert "as a music video it has no artist, no year: give --artist --year" in output
    assert "1 file would be added, 0 are there already, 2 would be refused." in output
    assert not library.root.exists()
    assert add("-n", clip)[0] == 0


def test_what_is_given(library: Library, tmp_path: Path, add: Add) -> None:
    """Artist, year and name may be given; the extension stays."""
    clip = tmp_path / "clip.webm"
    clip.write_bytes(make_video(codec="libvpx", container="webm"))
    assert add(clip, "--artist", "A/B", "--year", 2001, "--name", "C/D")[0] == 0
    assert list(library.music) == ["A∕B/2001 - C∕D.webm"]


def test_a_name_is_one_video_s(library: Library, clip: Path, tmp_path: Path, add: Add) -> None:
    """For several, for none, or for a file of an album it is wrong usage."""
    second = tmp_path / "second.mp4"
    second.write_bytes(MP4)
    for arguments in ([clip, second], [tmp_path], [clip, "--album", "B"]):
        status, output = add(*arguments, "--name", "Name")
        assert status == 2
        assert "--name is the name of one music video" in output
    assert not library.root.exists()


def test_with_an_album(library: Library, clip: Path, add: Add) -> None:
    """It is a file of that album, as a booklet is."""
    album = copy_album(clip.parent / "album")
    (album / "clip.mp4").write_bytes(MP4)
    assert add(album)[0] == 0
    assert f"{ALBUM}/clip.mp4" in library.music
    assert add(clip, "--artist", "A", "--album", "B", "--year", 2000)[0] == 0
    assert f"A/2000 - B/{clip.name}" in library.music
    assert MusicDatabase(library.settings.database).videos() == []


def test_what_is_no_video(library: Library, clip: Path, add: Add) -> None:
    """The engine's reason is said; the failed task stays for a look, and is not tried again."""
    clip.write_bytes(sound_only())
    for _ in range(2):
        status, output = add(clip)
        assert status == 1
        (task,) = read_tasks(library.settings).tasks
        assert f"(task {task.id}, invalidcontent)" in output
        assert "not imported" not in output
    assert library.music == {}


def test_without_the_extra(
    library: Library, clip: Path, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused at once, with what to install."""
    monkeypatch.setitem(sys.modules, "av", None)
    for option in (["-n"], []):
        status, output = add(*option, clip)
        assert status == 1
        assert "pip install 'musictasks[video]'" in output


def test_on_its_way_elsewhere(library: Library, clip: Path) -> None:
    """An upload of the same bytes that goes to another path has to end first; both are there."""
    (planned,) = make_plan([clip], library.settings).videos
    elsewhere = "B/2000 - Other.mp4"
    with open_library(library.settings) as engine:
        task = upload(engine, MP4, 400_000, content_type="video", mime_type=None)
        engine.wait(task.id, "readyforintegration", 30)
    engine = open_library(library.settings)
    engine.integrate(task.id, elsewhere)
    job = FileJob(Session(engine), planned)
    assert not job.step()
    assert job.task is None
    with engine:
        wait_gone(engine, task.id)
        while job.result is None:
            job.step()
        assert job.result is Result.ADDED
    assert set(library.music) == {elsewhere, PATH}


def in_upload(data: Path) -> bool:
    return any((data / "uploads").glob("*"))


def placed(data: Path) -> bool:
    return any((data.parent / "music").glob("*/[!.]*"))


def import_begun(data: Path) -> bool:
    paths = (data / "tasks").glob("[!.]*.json")
    return any(b'"importingmusic"' in path.read_bytes() for path in paths)


def frames_begun(data: Path) -> bool:
    return any((data / "webdata" / "videoframes").glob("*/*/*"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Library:
    root = tmp_path_factory.mktemp("undisturbed")
    library = Library(root / "library")
    assert main(["add", "--config", str(settings_file(library)), str(make_clip(root))]) == 0
    return library


@pytest.mark.parametrize("until", [in_upload, placed, import_begun, frames_begun])
def test_killed_and_run_again(
    library: Library, clip: Path, undisturbed: Library, until: Callable[..., bool]
) -> None:
    """A run that is killed at work and run again ends as an undisturbed one."""
    process, config = slow_run(library, clip, until)
    with process:
        process.kill()
    assert main(["add", "--config", str(config), str(clip)]) == 0
    assert library.content == undisturbed.content
    assert frames(library) == frames(undisturbed)
