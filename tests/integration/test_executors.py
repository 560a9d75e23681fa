"""Workers in other processes: a pool of them, and a Dask cluster; also when they are killed."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from enginekit import upload
from executorkit import COUNTING, DiesOnce, count, die, refuse
from forking import fork_server
from musictasks.engine import EngineSettings, open_engine
from musictasks.errors import ChunkRefused, TaskFailed
from musictasks.library import MusicDatabase, sample_album
from musictasks.music import Settings, open_library
from musictasks.music.opening import default_handlers

SONG = "Artist/2020 - Album/01 Song.flac"
#: Not a measure: a test that takes so long has failed.
PATIENCE_S = 150

MakeExecutor = Callable[[], Executor]


@pytest.fixture(scope="module")
def cluster() -> Iterator[MakeExecutor]:
    """A Dask cluster of two processes on this machine; what makes executors of it."""
    dask = pytest.importorskip("dask")
    distributed = pytest.importorskip(
        "distributed", reason="no Dask here: pip install 'musictasks[dask]'"
    )
    fork_server()  # or Dask starts one that has to import all of ours in each process
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield partial(client.get_executor, pure=False)


@pytest.fixture
def pool() -> MakeExecutor:
    """What makes pools of two processes."""
    return partial(ProcessPoolExecutor, 2, multiprocessing.get_context("spawn"))


@pytest.fixture(params=["pool", "cluster"])
def executor(request: pytest.FixtureRequest) -> MakeExecutor:
    return request.getfixturevalue(request.param)


@pytest.fixture
def graves(tmp_path: Path) -> Path:
    (tmp_path / "graves").mkdir()
    return tmp_path / "graves"


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    return EngineSettings(tasks=tmp_path / "tasks", uploads=tmp_path / "uploads", workers=2)


def test_the_work_is_done_elsewhere(settings: EngineSettings, executor: MakeExecutor):
    """Ten tasks, each counted in another process, each in its own directory."""
    with open_engine(settings, COUNTING, handlers={"counting": count}, executor=executor) as engine:
        made = [engine.create("submit") for _ in range(10)]
        done = [engine.wait(task.id, "counted", timeout=PATIENCE_S) for task in made]
        files = [engine.directory(task.id) / "counted.txt" for task in made]
    assert all(task.annotations["pid"] != os.getpid() for task in done)
    assert [file.read_text() for file in files] == ["1 2 3"] * 10


def test_a_worker_is_killed(settings: EngineSettings, executor: MakeExecutor, graves: Path):
    """Its task is worked on again by another one, and ends well."""
    handlers = {"counting": DiesOnce(count, graves)}
    with open_engine(settings, COUNTING, handlers=handlers, executor=executor) as engine:
        task = engine.create("submit")
        done = engine.wait(task.id, "counted", timeout=PATIENCE_S)
        again = engine.create("submit")  # the executor is as good as new
        engine.wait(again.id, "counted", timeout=PATIENCE_S)
    assert sorted(grave.name for grave in graves.iterdir()) == sorted(
        f"{one.id}-counting" for one in (task, again)
    )
    assert done.annotations["pid"] != os.getpid()


def test_what_kills_every_worker_has_failed(settings: EngineSettings, executor: MakeExecutor):
    """It is not tried for ever, and the executor serves the next task."""
    with open_engine(settings, COUNTING, handlers={"counting": die}, executor=executor) as engine:
        task = engine.create("submit")
        with pytest.raises(TaskFailed) as caught:
            engine.wait(task.id, "counted", timeout=PATIENCE_S)
        assert (caught.value.state, engine.get(task.id).state) == ("countingfailed",) * 2
    with open_engine(settings, COUNTING, handlers={"counting": count}, executor=executor) as engine:
        engine.retry(task.id)
        engine.wait(task.id, "counted", timeout=PATIENCE_S)


def test_errors_keep_their_data_in_a_cluster(cluster: MakeExecutor):
    """Dask pickles exceptions in a way of its own."""
    with pytest.raises(ChunkRefused) as caught:
        cluster().submit(refuse, 7).result(timeout=PATIENCE_S)
    assert (caught.value.task_id, caught.value.offset) == ("t", 7)
    assert "the upload goes on at byte 7" in str(caught.value)


def test_a_song_goes_its_whole_way(executor: MakeExecutor, tmp_path: Path, graves: Path):
    """Uploaded, placed, imported, with a worker killed at the end of each stage."""
    settings = Settings.in_directory(tmp_path / "library", artwork_scales=(16,), workers=2)
    handlers = {
        name: DiesOnce(handler, graves) for name, handler in default_handlers(settings).items()
    }
    song = (sample_album() / "01 Morgenroete.flac").read_bytes()
    with open_library(settings, handlers=handlers, executor=executor) as engine:
        task = upload(engine, song, 100_000, mime_type="audio/flac", source_filename="01.flac")
        engine.wait(task.id, "readyforintegration", timeout=PATIENCE_S)
        engine.integrate(task.id, SONG, then_import=True, then_artwork=True)
        done = engine.wait(task.id, "importcomplete", timeout=PATIENCE_S)
    assert len(list(graves.iterdir())) == 4
    assert (settings.music / SONG).read_bytes() == song
    row = MusicDatabase(settings.database).song(SONG)
    assert row is not None
    assert row["name"] == "Song"
    assert [entry.message for entry in done.history if entry.event == "fail"] == []
