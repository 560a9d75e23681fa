"""The data that a program names in a task's dictionary: it becomes the task's, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from enginekit import begin, upload
from musictasks.engine import as_dictionary
from musictasks.errors import IllegalTransition, TaskNotFound, TaskNotSaved
from musictasks.files import Effects, using
from musictasks.music import MusicEngine, Settings
from musictasks.musicdb.dictionaries import make, move, save
from musictasks.statemachine import MusicTask, Outcome, Work, fail, succeed
from musictasks.testing import InlineExecutor

Open = Callable[..., MusicEngine]

NEW = {"id": "new", "state": "startfsscan", "contenttype": "any"}


def put_beside(name: str | None = None) -> dict[str, Any]:
    """A preprocessing that makes a file: as ours would name it, or called `name`."""

    def preprocess(task: MusicTask, work: Work) -> Outcome:
        made = name or f"{Path(str(task.upload_path)).stem}.preprocessed.jpg"
        place = work.directory / made
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"made")
        return succeed(changes={"preprocessed_path": f"{task.id}/{made}"})

    return {"preprocessing": preprocess}


def files(settings: Settings) -> set[str]:
    found = settings.uploads.rglob("*")
    return {str(path.relative_to(settings.uploads)) for path in found if path.is_file()}


def ready(engine: MusicEngine, data: bytes = b"some bytes") -> MusicTask:
    return engine.wait(upload(engine, data).id, "readyforintegration", timeout=30)


def paths(task: MusicTask) -> set[str]:
    return {path for path in (task.upload_path, task.preprocessed_path) if path is not None}


@pytest.mark.parametrize("name", [None, "transcoded.opus", "work/transcoded.opus"])
@pytest.mark.parametrize("field", ["upload_path", "preprocessed_path", "id"])
@pytest.mark.parametrize("key", ["preprocessedpath", "awsourcepath"])
def test_a_program_cannot_give_a_task_anothers_data(
    opened: Open, settings: Settings, name: str | None, field: str, key: str
):
    """A new task or a known one: the dictionary is refused, and nothing is lost by a removal."""
    with opened(handlers=put_beside(name)) as engine:
        victim = ready(engine)
        taken = {key: getattr(victim, field)}
        other = as_dictionary(begin(engine, b"others"))
        new = {**NEW, "uploadpath": "x"} if key == "awsourcepath" else NEW
        for task in (new, other, other | {"state": "remove"}):
            with pytest.raises(ValueError, match=rf"another task @ \$.{key}"):
                save(engine, task | taken)
        with pytest.raises(ValueError, match="another task"):
            move(engine, other | taken, "remove")
        with pytest.raises(TaskNotFound):
            engine.get("new")
        engine.discard(other["id"])
        assert files(settings) == paths(victim)


def test_a_name_that_another_task_will_need_is_not_given_away(opened: Open):
    """What is in the directory of an upload that is on its way is that task's already."""
    engine = opened()
    waiting = begin(engine)
    stem = Path(str(waiting.upload_path)).stem
    for path in (f"{stem}.preprocessed.jpg", f"{stem}.preprocessed/01 Song.flac"):
        with pytest.raises(ValueError, match="another task"):
            save(engine, NEW | {"preprocessedpath": f"{waiting.id}/{path}"})


def test_data_of_a_file_that_does_not_load_is_not_given_away(opened: Open, settings: Settings):
    """It may be that task's; what is not there can be named."""
    opened().close()
    (settings.tasks / "broken.json").write_text("{")
    (settings.uploads / "transcoded.opus").write_bytes(b"perhaps of broken.json")
    engine = opened()
    with pytest.raises(ValueError, match="musictasks check"):
        save(engine, NEW | {"preprocessedpath": "transcoded.opus"})
    assert save(engine, NEW | {"preprocessedpath": "mine"}).preprocessed_path == "new/mine"
    assert files(settings) == {"transcoded.opus"}


@pytest.mark.parametrize("absolute", [False, True])
def test_what_a_program_put_there_itself_goes_with_the_task(
    opened: Open, settings: Settings, absolute: bool
):
    """Preprocessed data in the Upload Directory itself moves into the task's directory."""
    with opened() as engine:
        task = ready(engine)
        place = settings.uploads / "by hand.jpg"
        place.write_bytes(b"x")
        named = str(place) if absolute else place.name
        saved = save(engine, as_dictionary(task) | {"preprocessedpath": named})
        assert saved.preprocessed_path == f"{task.id}/by hand.jpg"
        assert files(settings) == {task.upload_path, f"{task.id}/by hand.jpg"}
        engine.discard(task.id)
    assert files(settings) == set()


def test_a_move_takes_the_data_along(opened: Open, settings: Settings):
    """State and data change in one save; a whole directory moves by its first name."""
    engine = opened()
    task = upload(engine)
    inner = settings.uploads / "album.preprocessed" / "CD 1" / "01 Song.flac"
    inner.parent.mkdir(parents=True)
    inner.write_bytes(b"x")
    named = {"preprocessedpath": "album.preprocessed/CD 1"}
    moved = move(engine, as_dictionary(task) | named, "remove")
    assert moved.preprocessed_path == f"{task.id}/album.preprocessed/CD 1"
    assert files(settings) == {task.upload_path, f"{task.id}/album.preprocessed/CD 1/01 Song.flac"}


def test_a_refused_move_moves_no_data(opened: Open, settings: Settings):
    """No edge leads there: the file is where the program put it."""
    engine = opened()
    task = upload(engine)
    (settings.uploads / "by hand.jpg").write_bytes(b"x")
    with pytest.raises(IllegalTransition):
        move(engine, as_dictionary(task) | {"preprocessedpath": "by hand.jpg"}, "importcomplete")
    assert files(settings) == {task.upload_path, "by hand.jpg"}


@pytest.mark.parametrize("key", ["uploadpath", "preprocessedpath"])
def test_a_new_task_takes_the_data_that_it_names(opened: Open, settings: Settings, key: str):
    """It is in the task's directory before its work begins, and goes with the task."""
    found: list[set[str]] = []

    def look(task: MusicTask, work: Work) -> Outcome:
        found.append(files(settings))
        return fail("seen")

    with opened(handlers={"file system scan": look}, executor=InlineExecutor) as engine:
        (settings.uploads / "other.flac").write_bytes(b"x")
        task = as_dictionary(make(engine, NEW | {key: "other.flac"}, "startfsscan"))
        assert task[key] == "new/other.flac"
        engine.wait("new", "fsscanfailed", timeout=30)
        assert found == [{"new/other.flac"}]
        engine.discard("new")
        assert files(settings) == set()


def test_a_new_task_whose_data_cannot_be_moved_is_not_made(opened: Open, settings: Settings):
    """The disk refuses the rename: there is no task, and the file is where it was."""

    class Refusing(Effects):
        def rename_noreplace(self, src: str, dst: str, **fds: Any) -> None:
            if src == "other.flac":
                raise OSError(5, "Input/output error")
            super().rename_noreplace(src, dst, **fds)

    engine = opened()
    (settings.uploads / "other.flac").write_bytes(b"x")
    with using(Refusing()), pytest.raises(TaskNotSaved, match="Input/output"):
        save(engine, NEW | {"preprocessedpath": "other.flac"})
    with pytest.raises(TaskNotFound):
        engine.get("new")
    assert list(settings.tasks.glob("*.json")) == []
    assert files(settings) == {"other.flac"}


def test_a_new_upload_does_not_take_over_a_path(opened: Open, settings: Settings):
    """The engine names its file, whatever the dictionary says; another's is refused."""
    engine = opened()
    victim = begin(engine)
    keys = {"contenttype": "albumfile", "filesize": 3, "sourcechecksum": "a" * 40}
    new = {"id": "up", "state": "waitforchunk", **keys}
    with pytest.raises(ValueError, match="another task"):
        save(engine, new | {"preprocessedpath": victim.upload_path})
    saved = save(engine, new | {"uploadpath": victim.upload_path})
    assert saved.upload_path == f"up/albumfile-{'a' * 40}"
    assert engine.get(victim.id) is victim


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "{uploads}/../x", "{uploads}"])
def test_a_path_out_of_the_upload_directory_is_refused(opened: Open, settings: Settings, path: str):
    """Also one that is absolute, and begins like one of its own."""
    engine = opened()
    task = as_dictionary(begin(engine))
    with pytest.raises(ValueError, match="preprocessedpath"):
        save(engine, task | {"preprocessedpath": path.format(uploads=settings.uploads)})
