"""The same bytes are uploaded once at a time; without an announced SHA-1 that shows at the end."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from enginekit import begin, upload
from musictasks.errors import UploadRefused
from musictasks.music import MusicEngine, Settings
from musictasks.statemachine import fail, reject, succeed

Open = Callable[..., MusicEngine]
DATA = b"some bytes"
SHA1 = hashlib.sha1(DATA).hexdigest()


def test_a_second_upload_is_refused_while_the_first_has_use_for_them(opened: Open):
    """With the id of the first; of another content type they are another upload."""
    with opened() as engine:
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
        with pytest.raises(UploadRefused) as caught:
            begin(engine, checksum=SHA1.upper())
        assert caught.value.task_id == task.id
        begin(engine, content_type="artwork", source_filename="a.png")


@pytest.mark.parametrize("end", ["removed", "rejected", "finished", "wrong checksum"])
def test_the_bytes_are_free_when_they_are_of_no_use(opened: Open, end: str):
    """At once, not a moment after the notification."""
    outcome = reject("no") if end == "rejected" else succeed()
    with opened(handlers={"preprocessing": lambda task, work: outcome}) as engine:
        heard: list[str | None] = []

        def begin_again(task: object) -> None:
            heard.append(begin(engine, task_id="again").id)

        state = {"rejected": "invalidcontent", "finished": "importcomplete"}.get(end, "remove")
        if end == "wrong checksum":
            state = "uploadfailed"
        engine.on_enter(state, begin_again)
        if end == "wrong checksum":
            task = begin(engine, task_id="first")
            engine.receive_chunk(task.id, b"other byte")
        else:
            task = upload(engine, task_id="first")
        if end == "finished":
            engine.wait(task.id, "readyforintegration", timeout=30)
            engine.integrate(task.id, "A/2000 - B/booklet.pdf", then_import=True)
        if end == "removed":
            engine.remove(task.id)
        engine.wait("first", {state}, timeout=30)
        deadline = threading.Event()
        while not heard and not deadline.wait(0.01):
            pass
        assert heard == ["again"]


def test_they_are_known_after_a_restart(opened: Open, settings: Settings):
    with opened() as engine:
        task = begin(engine)
    with opened() as engine:
        with pytest.raises(UploadRefused) as caught:
            begin(engine)
        assert caught.value.task_id == task.id


def test_a_retry_that_starts_over_needs_them_again(opened: Open):
    """Meanwhile another task may have begun with them; what failed later has them still."""
    with opened() as engine:
        task = begin(engine)
        engine.receive_chunk(task.id, b"other byte")
        other = begin(engine)
        with pytest.raises(UploadRefused) as caught:
            engine.retry(task.id)
        assert caught.value.task_id == other.id
        engine.discard(other.id)
        engine.retry(task.id)
        with pytest.raises(UploadRefused):
            begin(engine)
    outcomes = [fail("disk full"), succeed()]
    with opened(handlers={"preprocessing": lambda task, work: outcomes.pop(0)}) as engine:
        engine.discard(task.id)
        task = upload(engine)
        engine.retry(engine.wait(task.id, "uploadfailed", timeout=30).id)
        with pytest.raises(UploadRefused):
            begin(engine)


def test_of_many_that_begin_at_once_one_has_them(opened: Open):
    engine = opened()
    barrier = threading.Barrier(4)

    def begin_it(_: int) -> str | None:
        barrier.wait(30)
        try:
            return begin(engine).id
        except UploadRefused as error:
            return f"refused for {error.task_id}"

    with ThreadPoolExecutor(4) as pool:
        results = sorted(str(one) for one in pool.map(begin_it, range(4)))
    (winner,) = [one for one in results if not one.startswith("refused")]
    assert sorted(results) == sorted([winner, *[f"refused for {winner}"] * 3])


def test_a_refused_begin_leaves_them_free(opened: Open):
    """What claimed them could not be made."""
    engine = opened()
    with pytest.raises(UploadRefused):
        begin(engine, source_filename="../x")
    with pytest.raises((UploadRefused, ValueError)):
        begin(engine, annotations={"x": float("nan")})
    begin(engine)


def test_unannounced_bytes_go_their_way_and_hold_their_checksum(opened: Open):
    """Two that turn out to be the same disturb each other in nothing; a third, announced, waits."""
    with opened() as engine:
        tasks = [begin(engine, checksum=None) for _ in range(2)]
        for task in tasks:
            assert task.upload_path == f"{task.id}/albumfile-{task.id}.pdf"
            engine.receive_chunk(task.id, DATA)
        for task in tasks:
            ready = engine.wait(task.id, "readyforintegration", timeout=30)
            assert ready.upload_path == f"{task.id}/albumfile-{SHA1}.pdf"
            assert ready.source_checksum == SHA1
        engine.discard(tasks[0].id)
        with pytest.raises(UploadRefused) as caught:
            begin(engine)
        assert caught.value.task_id == tasks[1].id
        engine.discard(tasks[1].id)
        begin(engine)
