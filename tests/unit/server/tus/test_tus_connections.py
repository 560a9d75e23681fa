"""tus on connections that break, stall, or bring more than one request."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from musictasks.server.tus import running
from rawhttp import BODY_TYPE, TUS, Answer, Connection, Tus, checksum, chunked, encoded, head
from serverkit import Served, wait_until

DATA = random.Random(7).randbytes(300_000)


def patching(target: str, offset: int, size: int | None, **headers: Any) -> bytes:
    """The top of a PATCH."""
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return head(
        "PATCH", target, {**TUS, "Upload-Offset": offset, "Content-Type": BODY_TYPE, **said}, size
    )


def content(served: Served, target: str) -> bytes:
    record = served.engine.get(target.rpartition("/")[2])
    path = served.engine.settings.uploads / record.upload_path
    return path.read_bytes() if path.exists() else b""


def positions(number: int, size: int) -> list[int]:
    """Spread over all of it, and the ones around the ends."""
    ends = {0, 1, 2, size - 2, size - 1}
    return sorted({*ends, *(size * n // number for n in range(number))})


# -- connections that break -----------------------------------------------------------------------


@pytest.mark.parametrize("with_checksum", [False, True])
@pytest.mark.parametrize("number", [50, pytest.param(200, marks=pytest.mark.long)])
def test_a_cut_at_any_byte_loses_and_doubles_nothing(
    papers: Served, tus: Tus, number: int, with_checksum: bool
):
    """What came stays; with a checksum nothing of it does. It goes on at the offset."""
    said = {"Upload_Checksum": checksum(DATA)} if with_checksum else {}
    for cut in positions(number, len(DATA)):
        target = tus.create(len(DATA))
        with tus.connection() as connection:
            connection.send(patching(target, 0, len(DATA), **said) + DATA[:cut])
            if cut % 2:
                connection.end_sending()
        kept = 0 if with_checksum else cut
        # Of a connection that is gone, what the system has is still read.
        wait_until(lambda target=target, kept=kept: tus.offset(target) == kept)
        assert content(papers, target) == DATA[:kept]
        assert tus.patch(target, kept, DATA[kept:]).offset() == len(DATA)
        assert content(papers, target) == DATA


def test_a_cut_in_the_head_of_a_request_does_nothing(papers: Served, tus: Tus):
    target = tus.create(3)
    request = patching(target, 0, 3) + b"abc"
    for cut in range(0, len(request) - 3, 7):
        with tus.connection() as connection:
            connection.send(request[:cut])
    assert tus.offset(target) == 0
    assert content(papers, target) == b""


def test_a_crashed_client_loses_no_byte_that_was_counted(papers: Served, tus: Tus):
    """Its connection is reset: what counts is a beginning of what was sent."""
    chance = random.Random(3)
    for _ in range(20):
        target = tus.create(len(DATA))
        at = 0
        while at < len(DATA):
            connection = Connection(tus.port)
            sent = chance.randrange(len(DATA) - at) if at < len(DATA) - 5 else len(DATA) - at
            connection.send(patching(target, at, len(DATA) - at) + DATA[at : at + sent])
            if sent == len(DATA) - at:
                assert connection.answer().offset() == len(DATA)
            connection.reset()
            after = tus.offset(target)
            assert at <= after <= at + sent
            assert content(papers, target) == DATA[:after]
            at = after


def test_a_chunk_of_a_cut_that_came_whole_counts(tus: Tus):
    """The client went before the answer: with a checksum, too."""
    for said in ({}, {"Upload_Checksum": checksum(DATA)}):
        target = tus.create(len(DATA))
        with tus.connection() as connection:
            connection.send(patching(target, 0, len(DATA), **said) + DATA)
        wait_until(lambda target=target: tus.offset(target) == len(DATA))


def test_the_first_bytes_of_an_announcement_that_was_cut_stay(papers: Served, tus: Tus):
    known = {task.id for task in papers.engine.tasks()}
    with tus.connection() as connection:
        said = {**TUS, "Upload-Length": len(DATA), "Content-Type": BODY_TYPE}
        connection.send(head("POST", "/uploads/", said, len(DATA)) + DATA[:1000])
        wait_until(lambda: {task.id for task in papers.engine.tasks()} - known)
    (task_id,) = {task.id for task in papers.engine.tasks()} - known
    wait_until(lambda: tus.offset(f"/uploads/{task_id}") == 1000)


# -- two at once ----------------------------------------------------------------------------------


def test_a_second_patch_is_refused_while_one_runs(
    papers: Served, tus: Tus, monkeypatch: pytest.MonkeyPatch
):
    """423, with and without checksum; the first one goes on as if nothing was."""
    monkeypatch.setattr(running, "GRACE_S", 0.05)
    for said in ({}, {"Upload_Checksum": checksum(DATA)}):
        target = tus.create(len(DATA))
        with tus.connection() as first:
            first.send(patching(target, 0, len(DATA), **said) + DATA[:1000])
            wait_until(lambda target=target: content(papers, target) == DATA[:1000])
            at = tus.offset(target)
            assert at == (0 if said else 1000)
            assert tus.patch(target, at, b"xyz").status == 423
            assert tus.patch(target, at, b"xyz", Upload_Checksum=checksum(b"xyz")).status == 423
            first.send(DATA[1000:])
            assert first.answer().offset() == len(DATA)
        assert content(papers, target) == DATA


def test_of_two_patches_at_once_one_counts(papers: Served, tus: Tus):
    """Whoever is second is told to wait, or where the upload stands by then."""
    with ThreadPoolExecutor(2) as pool:
        for _ in range(30):
            target = tus.create(len(DATA))
            both = [pool.submit(tus.patch, target, 0, DATA) for _ in range(2)]
            statuses = sorted(one.result().status for one in both)
            assert statuses in ([204, 423], [204, 409], [204, 413])
            assert content(papers, target) == DATA


@pytest.mark.parametrize("with_checksum", [False, True])
def test_a_patch_is_refused_while_an_announcement_brings_bytes(
    papers: Served, tus: Tus, with_checksum: bool
):
    """Nothing that was counted goes with an announcement whose bytes come too late."""
    task_id = f"announced-{with_checksum}".lower()
    target = f"/uploads/{task_id}"
    said = {**TUS, "Upload-Length": len(DATA), "Content-Type": BODY_TYPE}
    said["Upload-Metadata"] = encoded({"taskid": task_id})
    if with_checksum:
        said["Upload-Checksum"] = checksum(DATA)
    with tus.connection() as first:
        first.send(head("POST", "/uploads/", said, len(DATA)) + DATA[:1000])
        wait_until(lambda: task_id in {task.id for task in papers.engine.tasks()})
        wait_until(lambda: content(papers, target) == DATA[:1000])
        assert tus.patch(target, tus.offset(target), b"xyz").status == 423
        first.send(DATA[1000:])
        assert first.answer().offset() == len(DATA)
    assert content(papers, target) == DATA


@pytest.mark.parametrize("next_one", ["HEAD", "PATCH"])
@pytest.mark.parametrize("with_checksum", [False, True])
def test_a_silent_patch_is_ended_by_the_next_request(
    papers: Served, tus: Tus, monkeypatch: pytest.MonkeyPatch, with_checksum: bool, next_one: str
):
    """Its connection has dropped, and nobody told the server: what came stays, as ever."""
    monkeypatch.setattr(running, "SILENT_S", 0.2)
    said = {"Upload_Checksum": checksum(DATA)} if with_checksum else {}
    target = tus.create(len(DATA))
    with tus.connection() as dead:
        dead.send(patching(target, 0, len(DATA), **said) + DATA[:1000])
        wait_until(lambda: content(papers, target) == DATA[:1000])
        at = 0 if with_checksum else 1000
        time.sleep(0.3)
        if next_one == "HEAD":
            assert tus.offset(target) == at
            assert dead.answer().status == 423
        assert tus.patch(target, at, DATA[at:]).offset() == len(DATA)
    assert content(papers, target) == DATA


def test_a_delete_ends_the_patch_that_runs(papers: Served, tus: Tus):
    """The bytes that still come are nobody's."""
    target = tus.create(len(DATA))
    with tus.connection() as first:
        first.send(patching(target, 0, len(DATA)) + DATA[:1000])
        wait_until(lambda: content(papers, target) == DATA[:1000])
        assert tus.ask("DELETE", target).status == 204
        assert first.answer().status in {404, 423}
    assert tus.ask("HEAD", target).status == 404
    wait_until(lambda: not (papers.engine.settings.uploads / target.rpartition("/")[2]).exists())


def test_a_body_that_pauses_too_long_is_ended(serve: Callable[..., Served]):
    """408, and what came stays, but for a chunk with a checksum."""
    served = serve(body_pause_s=0.3)
    tus = Tus(served.port)
    for said, kept in (({}, 1000), ({"Upload_Checksum": checksum(DATA)}, 0)):
        target = tus.create(len(DATA))
        with tus.connection() as connection:
            connection.send(patching(target, 0, len(DATA), **said) + DATA[:1000])
            answer = connection.answer()
            assert (answer.status, answer.headers["tus-resumable"]) == (408, "1.0.0")
            assert connection.at_end()
        assert tus.offset(target) == kept
        assert content(served, target) == DATA[:kept]


# -- what HTTP allows -----------------------------------------------------------------------------


def test_requests_may_come_before_the_answers(papers: Served, tus: Tus):
    """Pipelined: each is answered, in order, with and without bodies."""
    target = tus.create(len(DATA))
    step = 30_000
    with tus.connection() as connection:
        for at in range(0, len(DATA), step):
            chunk = DATA[at : at + step]
            connection.send(
                patching(target, at, len(chunk)) + chunk + head("HEAD", target, TUS, None)
            )
        for at in range(0, len(DATA), step):
            assert connection.answer().offset() == at + step
            assert connection.answer(to_head=True).offset() == at + step
    assert content(papers, target) == DATA


def test_a_refused_body_is_not_taken_for_a_request(papers: Served, tus: Tus):
    """Whatever stands in it; the connection is of use afterwards, or closed."""
    target, other = tus.create(500), tus.create(3)
    smuggled = head("DELETE", other, TUS, 0)
    with tus.connection() as connection:
        connection.send(patching(target, 7, len(smuggled)) + smuggled)
        assert connection.answer().status == 409
        connection.request("HEAD", target, TUS)
        assert connection.answer(to_head=True).offset() == 0
    assert tus.offset(other) == 0


@pytest.mark.parametrize("size", [1, 7, 4096, 100_000, len(DATA)])
def test_a_body_may_come_in_chunks_of_the_transfer_coding(papers: Served, tus: Tus, size: int):
    """Its length is known at its end only."""
    data = DATA[: size * 300]
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    for said in ({}, {"Upload_Checksum": checksum(data)}):
        target = tus.create(len(data) + 1)
        with tus.connection() as connection:
            connection.send(patching(target, 0, None, Transfer_Encoding="chunked", **said))
            connection.send(chunked(*pieces))
            assert connection.answer().offset() == len(data)
        assert content(papers, target) == data


def test_a_chunked_body_that_ends_in_the_middle_is_a_cut(papers: Served, tus: Tus):
    """What came stays, but not with a checksum. The last byte may be there without the end."""
    body = chunked(DATA[:1000])
    for said, kept in (({}, 1000), ({"Upload_Checksum": checksum(DATA[:1000])}, 0)):
        for end in (b"", b"\r\n", b"\r\n0\r\n", b"\r\n5\r\nab"):
            target = tus.create(1000 if end != b"\r\n5\r\nab" else 2000)
            with tus.connection() as connection:
                top = patching(target, 0, None, Transfer_Encoding="chunked", **said)
                connection.send(top + body[: -len(b"\r\n0\r\n\r\n")] + end)
            wait_until(lambda target=target, kept=kept: tus.offset(target) >= kept)
            assert tus.offset(target) in {kept, kept + 2}
            assert content(papers, target)[:kept] == DATA[:kept]


def expecting(tus: Tus, top: bytes, body: bytes) -> list[int]:
    """The statuses of a request that waits for a word of the server before it sends the body."""
    statuses = []
    with tus.connection() as connection:
        connection.send(top)
        answer: Answer = connection.answer()
        statuses.append(answer.status)
        if answer.status == 100:
            connection.send(body)
            statuses.append(connection.answer().status)
    return statuses


def test_a_client_that_asks_first_is_told_to_go_on_or_not(tus: Tus):
    """Expect: 100-continue: what would be refused need not be sent."""
    target = tus.create(len(DATA))
    top = patching(target, 5, len(DATA), Expect="100-continue")
    assert expecting(tus, top, DATA) == [409]
    top = patching(target, 0, len(DATA) + 1, Expect="100-continue")
    assert expecting(tus, top, DATA) == [413]
    top = patching(target, 0, len(DATA), Expect="100-continue", Tus_Resumable=None)
    assert expecting(tus, top, DATA) == [412]
    assert tus.offset(target) == 0
    top = patching(target, 0, len(DATA), Expect="100-continue")
    assert expecting(tus, top, DATA) == [100, 204]
    said = {**TUS, "Upload-Length": 9, "Content-Type": BODY_TYPE, "Expect": "100-continue"}
    assert expecting(tus, head("POST", "/uploads/", said, 3), b"abc") == [100, 201]
    said["Upload-Length"] = 2
    assert expecting(tus, head("POST", "/uploads/", said, 3), b"abc") == [413]
