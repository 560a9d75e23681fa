"""Two threads on one task: exactly one of two events that exclude each other wins."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from musictasks.errors import MusicTasksError
from musictasks.music import MusicEngine
from musictasks.statemachine import MUSIC, Edge, Handler, Lifecycle, Role, StateSpec, succeed
from musictasks.testing import Recorder

ROUNDS = 150

#: A task that waits for a verdict; each can be spoken once.
COURT = (
    MUSIC.with_state(StateSpec("court", "own", Role.WAITING))
    .with_state(StateSpec("accepted", "own", Role.WAITING))
    .with_state(StateSpec("declined", "own", Role.WAITING))
    .with_edge(Edge(event="ask", source="readyforintegration", target="court"))
    .with_edge(Edge(event="accept", source="court", target="accepted"))
    .with_edge(Edge(event="decline", source="court", target="declined"))
)


@pytest.fixture
def musictasks_lifecycle() -> Lifecycle:
    return COURT


@pytest.fixture
def musictasks_handlers() -> Mapping[str, Handler]:
    return {stage.name: lambda task, work: succeed() for stage in MUSIC.stages}


@pytest.fixture
def pair() -> Iterator[Callable[..., list[object]]]:
    """Two threads that begin their calls together; what each call gave or raised."""
    with ThreadPoolExecutor(2) as pool:

        def race(*calls: Callable[[], object]) -> list[object]:
            gate = threading.Barrier(len(calls))

            def run(call: Callable[[], object]) -> object:
                gate.wait()
                try:
                    return call()
                except MusicTasksError as error:
                    return error

            return [future.result() for future in [pool.submit(run, call) for call in calls]]

        yield race


def uploaded(engine: MusicEngine, data: bytes) -> str:
    checksum = hashlib.sha1(data).hexdigest()
    task = engine.begin_upload(content_type="albumfile", file_size=len(data), checksum=checksum)
    engine.receive_chunk(task.id, data)
    engine.wait(task.id, "readyforintegration", timeout=30)
    return task.id


def test_of_two_verdicts_one_wins(
    musictasks_engine: MusicEngine,
    musictasks_recorder: Recorder,
    pair: Callable[..., list[object]],
):
    """The loser raises; memory, file, history and notifications know of the winner alone."""
    engine = musictasks_engine
    for number in range(ROUNDS):
        task_id = uploaded(engine, b"%d" % number)
        engine.send(task_id, "ask")
        results = pair(
            lambda task_id=task_id: engine.send(task_id, "accept").state,
            lambda task_id=task_id: engine.send(task_id, "decline").state,
        )
        won = [result for result in results if not isinstance(result, MusicTasksError)]
        assert len(won) == 1, results
        record = engine.get(task_id)
        assert record.state == won[0]
        stored = json.loads((engine.settings.tasks / f"{task_id}.json").read_bytes())
        targets = [entry["to"] for entry in stored["history"]]
        assert targets == [entry.target for entry in record.history]
        assert targets[-2:] == ["court", won[0]]
        musictasks_recorder.wait_for_state(task_id, record.state)
        assert musictasks_recorder.states(task_id) == targets


def test_of_two_last_chunks_one_wins(
    musictasks_engine: MusicEngine, pair: Callable[..., list[object]]
):
    """The same bytes twice at the same time: they are written once, and the checksum is right."""
    engine = musictasks_engine
    for number in range(ROUNDS):
        data = b"chunk %d" % number
        checksum = hashlib.sha1(data).hexdigest()
        task = engine.begin_upload(content_type="albumfile", file_size=len(data), checksum=checksum)
        engine.receive_chunk(task.id, data[:3])

        def send(task_id: str = task.id, rest: bytes = data[3:]) -> object:
            return engine.receive_chunk(task_id, rest, offset=3)

        results = pair(send, send)
        assert sum(isinstance(result, MusicTasksError) for result in results) == 1, results
        engine.wait(task.id, "readyforintegration", timeout=30)


def test_of_two_uploads_of_the_same_bytes_one_wins(
    musictasks_engine: MusicEngine, pair: Callable[..., list[object]]
):
    """The other is refused: they would write into one file."""
    engine = musictasks_engine
    for number in range(ROUNDS):
        checksum = hashlib.sha1(b"%d" % number).hexdigest()

        def begin(checksum: str = checksum) -> object:
            return engine.begin_upload(content_type="albumfile", file_size=9, checksum=checksum)

        results = pair(begin, begin)
        assert sum(isinstance(result, MusicTasksError) for result in results) == 1, results


def test_annotations_of_two_threads_are_both_kept(
    musictasks_engine: MusicEngine, pair: Callable[..., list[object]]
):
    """What does not exclude each other is lost by neither."""
    engine = musictasks_engine
    task_id = uploaded(engine, b"data")
    for number in range(ROUNDS):
        pair(
            lambda number=number: engine.annotate(task_id, {"one": number}),
            lambda number=number: engine.annotate(task_id, {"other": number}),
        )
        found = engine.get(task_id).annotations
        assert (found["one"], found["other"]) == (number, number)
