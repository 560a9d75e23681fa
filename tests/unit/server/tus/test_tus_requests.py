"""The tus section of the protocol, line by line: what is asked, and what is answered."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from hashlib import sha1
from typing import Any

import pytest
from musictasks.files import Effects, using
from musictasks.testing import Struck
from musictasks.uploads import Uploads
from rawhttp import BODY_TYPE, TUS, Tus, checksum, chunked, encoded, head
from serverkit import Served, wait_until
from socketkit import Client

DATA = b"some pages, and then some more"
#: One of each kind of request, with everything it needs but `Tus-Resumable`.
KINDS: dict[str, Any] = {
    "POST": {"Upload_Length": 3},
    "HEAD": {},
    "PATCH": {"Upload_Offset": 0, "Content_Type": BODY_TYPE},
    "DELETE": {},
}


def problem(answer: Any) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    document = json.loads(answer.body)
    assert document["status"] == answer.status
    return document


def content(served: Served, target: str) -> bytes:
    """What the file of an upload has."""
    record = served.engine.get(target.rpartition("/")[2])
    path = served.engine.settings.uploads / record.upload_path
    return path.read_bytes() if path.exists() else b""


# -- every request --------------------------------------------------------------------------------


def test_every_answer_names_the_version(tus: Tus):
    """Also refusals, whatever is refused."""
    target = tus.create(3)
    asked = [
        tus.ask("OPTIONS"),
        tus.ask("POST", Upload_Length=3),
        tus.ask("POST", Upload_Length="x"),
        tus.ask("HEAD", target),
        tus.ask("HEAD", "/uploads/unknown"),
        tus.ask("GET", target),
        tus.ask("PUT", "/uploads"),
        tus.patch(target, 2, b"x"),
        tus.patch(target, 0, b"abc"),
        tus.ask("DELETE", target),
        tus.ask("POST", "/uploads/a/b/c", Upload_Length=3),
        tus.ask("POST", Tus_Resumable=None),
    ]
    assert {answer.headers["tus-resumable"] for answer in asked} == {"1.0.0"}
    assert [a.status for a in asked] == [200, 201, 400, 200, 404, 405, 405, 409, 204, 204, 405, 412]


def test_what_the_gate_refuses_names_the_version_too(serve: Callable[..., Served]):
    """Foreign names, foreign pages, and who does not know the token."""
    tus = Tus(serve(token="a-token-for-papers").port)
    asked = [
        tus.ask("POST", Upload_Length=3),
        tus.ask("OPTIONS", "/uploads"),
        tus.ask("POST", Upload_Length=3, Origin="http://evil.example"),
        tus.ask("HEAD", "/uploads/x", Host="evil.example"),
    ]
    assert [answer.status for answer in asked] == [401, 401, 403, 421]
    assert {answer.headers["tus-resumable"] for answer in asked} == {"1.0.0"}
    assert "tus-resumable" not in tus.ask("GET", "/api/tasks").headers


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.1", "1.0.0, 1.0.0", ""])
@pytest.mark.parametrize("method", KINDS)
def test_another_version_does_nothing(papers: Served, tus: Tus, method: str, version: str | None):
    """412, it says which one there is, and nothing is done."""
    target = tus.create(3)
    before = len(papers.engine.tasks())
    where = "/uploads/" if method == "POST" else target
    body = b"abc" if method == "PATCH" else b""
    answer = tus.ask(method, where, body, **{**KINDS[method], "Tus_Resumable": version})
    assert (answer.status, answer.headers["tus-version"]) == (412, "1.0.0")
    assert tus.offset(target) == 0
    assert len(papers.engine.tasks()) == before


def test_another_method_in_a_header_counts(tus: Tus):
    """For clients that can only GET and POST."""
    target = tus.create(3)

    def override(method: str, **headers: Any) -> Any:
        return tus.ask(
            "POST", target, headers.pop("body", b""), X_HTTP_Method_Override=method, **headers
        )

    assert override("HEAD").offset() == 0
    patched = override("PATCH", body=b"ab", Upload_Offset=0, Content_Type=BODY_TYPE)
    assert (patched.status, patched.offset()) == (204, 2)
    assert override("delete").status == 204
    assert tus.ask("HEAD", target).status == 404
    assert tus.ask("POST", X_HTTP_Method_Override="BREW", Upload_Length=3).status == 405


@pytest.mark.parametrize("version", ["1.0.0", None, "7"])
def test_options_tell_what_there_is(papers: Served, tus: Tus, version: str | None):
    """Whatever version the client speaks; extensions that are not there are not named."""
    answer = tus.ask("OPTIONS", Tus_Resumable=version)
    assert answer.status == 200
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"].split(",") == [
        *("creation", "creation-with-upload", "termination", "checksum", "expiration"),
    ]
    assert answer.headers["tus-max-size"] == str(64 * 1024 * 1024)
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"


# -- POST -----------------------------------------------------------------------------------------


def test_a_new_upload_has_an_absolute_address(papers: Served, tus: Tus):
    answer = tus.ask("POST", Upload_Length=len(DATA), Host=papers.host)
    assert (answer.status, answer.body) == (201, b"")
    location = answer.headers["location"]
    assert location.startswith(f"{papers.url}/uploads/")
    assert "upload-offset" not in answer.headers
    record = papers.engine.get(location.rpartition("/")[2])
    assert (record.state, record.file_size, record.offset) == ("receiving", len(DATA), 0)


def test_only_a_trusted_proxy_says_how_clients_reach_it(serve: Callable[..., Served]):
    """Its scheme and host stand in the address; those of anybody else do not."""
    ways: list[dict[str, Any]] = [
        {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "music.example"},
        {"Forwarded": 'for=192.0.2.1;proto=https;host="music.example"'},
        {"Forwarded": "proto=http;host=evil, proto=https;host=music.example"},
    ]
    served = serve(trusted_proxies={"127.0.0.1"}, host_names={"music.example"})
    for way in ways:
        answer = Tus(served.port).ask("POST", Upload_Length=3, **way)
        assert answer.headers["location"].startswith("https://music.example/uploads/")


def test_nobody_else_says_how_clients_reach_it(tus: Tus):
    way: dict[str, Any] = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "evil.example"}
    answer = tus.ask("POST", Upload_Length=3, **way, Forwarded="proto=https;host=evil.example")
    assert answer.headers["location"].startswith("http://127.0.0.1/uploads/")


LENGTHS = ["", "-1", "+1", "1.0", "1e3", "0x10", " ", "ten", "٣", "9" * 19, "3, 3"]


@pytest.mark.parametrize("length", [None, *LENGTHS, 0])
def test_a_length_is_a_number_of_bytes(papers: Served, tus: Tus, length: Any):
    """Else 400, and nothing is made. A file without content is none."""
    before = len(papers.engine.tasks())
    length = length.encode().decode("latin-1") if isinstance(length, str) else length
    answer = tus.ask("POST", Upload_Length=length)
    assert answer.status == 400, problem(answer)
    assert length != 0 or "it has no content" in problem(answer)["detail"]
    assert len(papers.engine.tasks()) == before


def test_a_header_that_is_there_twice_is_refused(tus: Tus):
    """Nobody guesses which one counts."""
    with tus.connection() as connection:
        connection.send(
            b"POST /uploads/ HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n"
            b"Upload-Length: 3\r\nUpload-Length: 4\r\nContent-Length: 0\r\n\r\n"
        )
        assert connection.answer().status == 400


def test_a_length_that_is_not_known_yet_is_refused(tus: Tus):
    """The engine needs it; so the extension is not named."""
    assert tus.ask("POST", Upload_Defer_Length=1).status == 400
    assert tus.ask("POST", Upload_Defer_Length=1, Upload_Length=3).status == 400


@pytest.mark.parametrize("concat", ["partial", "final;/uploads/a /uploads/b"])
def test_parts_that_are_to_be_put_together_are_refused(tus: Tus, papers: Served, concat: str):
    """The extension is not there: each part would be taken for a file."""
    before = len(papers.engine.tasks())
    answer = tus.ask("POST", Upload_Length=3, Upload_Concat=concat)
    assert answer.status == 400
    assert "in one upload" in problem(answer)["detail"]
    assert len(papers.engine.tasks()) == before


def test_too_large_an_upload_is_refused(tus: Tus, music: Served):
    """The server's limit, and that of a music library."""
    most = 64 * 1024 * 1024
    answer = tus.ask("POST", Upload_Length=most + 1)
    assert (answer.status, answer.headers["tus-max-size"]) == (413, str(most))
    assert tus.ask("POST", Upload_Length=most).status == 201
    most = int(Tus(music.port).ask("OPTIONS").headers["tus-max-size"])
    assert most == music.engine.settings.max_upload_size_bytes
    assert Tus(music.port).ask("POST", Upload_Length=most + 1).status == 413


def test_the_metadata_come_back_as_they_came(papers: Served, tus: Tus):
    """Byte for byte, also after a restart; keys without a meaning become annotations."""
    header = "empty,filename U2Nhbi5UWFQ=,song w5xiZXIgZGVuIFfDpGxkZXJu , raw /wA=,e2 "
    answer = tus.ask("POST", Upload_Length=3, Upload_Metadata=header)
    assert answer.status == 201
    target = "/uploads/" + answer.headers["location"].rpartition("/")[2]
    assert tus.ask("HEAD", target).headers["upload-metadata"] == header.strip()
    record = papers.engine.get(target.rpartition("/")[2])
    assert record.source_filename == "Scan.TXT"
    assert record.annotations == {
        "empty": "",
        "song": "Über den Wäldern",
        "raw": "\N{REPLACEMENT CHARACTER}\0",
        "e2": "",
    }
    file = papers.engine.settings.tasks / f"{record.id}.json"
    assert json.loads(file.read_text())["tusmetadata"] == header.strip()


def test_without_metadata_none_come_back(tus: Tus):
    """Also where they were sent, and are empty."""
    assert "upload-metadata" not in tus.ask("HEAD", tus.create(3)).headers
    assert tus.ask("POST", Upload_Length=3, Upload_Metadata="").status == 201


@pytest.mark.parametrize(
    "header",
    [
        ",",
        "a YQ==,",
        "a YQ==,,b YQ==",
        "a YQ==,a YQ==",
        "a YQ==,a",
        "a YQ",
        "a Y Q==",
        "a YQ==,b !!",
        "a  YQ==",
        "ä YQ==",
        "a\x7fb YQ==",
        "filename /w==",
        "checksum " + encoded({"x": "sha1 123"})[2:],
        "checksum " + encoded({"x": "md5 " + "0" * 32})[2:],
        "checksum " + encoded({"x": "sha1 " + "0" * 40 + "\n"})[2:],
        "taskid " + encoded({"x": "../x"})[2:],
        "taskid",
        "taskid " + encoded({"x": "a\n"})[2:],
        "filename " + encoded({"x": "../../etc/passwd"})[2:],
        "filename " + encoded({"x": "a\0b"})[2:],
    ],
)
def test_bad_metadata_are_refused(papers: Served, tus: Tus, header: str):
    """400, and nothing is made of them, on the disk neither."""
    before = {path.name for path in papers.engine.settings.tasks.parent.rglob("*")}
    answer = tus.ask("POST", Upload_Length=3, Upload_Metadata=header)
    assert answer.status == 400, problem(answer)
    assert {path.name for path in papers.engine.settings.tasks.parent.rglob("*")} == before


def test_more_metadata_than_a_head_may_have_are_refused(tus: Tus):
    """The server does not read for ever."""
    answer = tus.ask("POST", Upload_Length=3, Upload_Metadata=encoded({"a": "x" * 300_000}))
    assert answer.status in {400, 413, 431}


def test_a_head_with_long_metadata_may_come_in_pieces(tus: Tus):
    """60 kB of it, however the network cuts them."""
    said = {**TUS, "Upload-Length": 3, "Upload-Metadata": encoded({"lyrics": "x" * 44_000})}
    sent = head("POST", "/uploads/", said, 0)
    with tus.connection() as connection:
        for at in range(0, len(sent), 20_000):
            connection.send(sent[at : at + 20_000])
            time.sleep(0.05)
        assert connection.answer().status == 201


def test_music_has_more_keys_with_a_meaning(music: Served):
    """Content type and MIME type; without them it is a file of an album."""
    tus = Tus(music.port)
    known = {"contenttype": "album", "filetype": "application/zip", "filename": "a.zip"}
    target = tus.create(3, **known, taskid="the-album", checksum=f"sha1 {'a' * 40}", mood="sad")
    record = music.engine.get("the-album")
    assert target == "/uploads/the-album"
    assert (record.content_type, record.mime_type) == ("album", "application/zip")
    assert (record.source_checksum, record.annotations) == ("a" * 40, {"mood": "sad"})
    record = music.engine.get(tus.create(3).rpartition("/")[2])
    assert (record.content_type, record.mime_type, record.source_checksum) == (
        "albumfile",
        None,
        None,
    )
    for bad in ({"contenttype": "any"}, {"contenttype": ""}, {"filetype": "\N{SNOWMAN}"}):
        assert tus.ask("POST", Upload_Length=3, Upload_Metadata=encoded(bad)).status == 400


def test_elsewhere_these_keys_are_annotations(papers: Served, tus: Tus):
    record = papers.engine.get(tus.create(3, contenttype="x", filetype="y").rpartition("/")[2])
    assert record.annotations == {"contenttype": "x", "filetype": "y"}


def test_an_upload_of_the_same_id_goes_on(tus: Tus):
    """With the same bytes, where it stands; others are refused."""
    target = tus.create(3, taskid="twice")
    tus.patch(target, 0, b"a")
    assert tus.create(3, taskid="twice") == target
    assert tus.offset(target) == 1
    again = tus.ask(
        *("POST", "/uploads/", b"abc"),
        Upload_Length=3,
        Upload_Metadata=encoded({"taskid": "twice"}),
        Content_Type=BODY_TYPE,
    )
    assert (again.status, again.offset()) == (201, 1)
    answers = [
        tus.ask("POST", Upload_Length=3, Upload_Metadata=encoded({"taskid": "twice"}))
        for _ in range(2)
    ]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    other = tus.ask("POST", Upload_Length=4, Upload_Metadata=encoded({"taskid": "twice"}))
    assert (other.status, problem(other)["task_id"]) == (409, "twice")


def test_the_same_bytes_in_upload_are_refused(music: Served):
    """409, and it says which task has them."""
    tus = Tus(music.port)
    known = {"checksum": f"sha1 {'b' * 40}"}
    first = tus.create(3, **known).rpartition("/")[2]
    answer = tus.ask("POST", Upload_Length=3, Upload_Metadata=encoded(known))
    assert (answer.status, problem(answer)["task_id"]) == (409, first)


# -- creation-with-upload -------------------------------------------------------------------------


def with_body(tus: Tus, size: int, body: bytes, **headers: Any) -> Any:
    said = {"Upload_Length": size, "Content_Type": BODY_TYPE, **headers}
    return tus.ask("POST", "/uploads/", body, **said)


def test_the_first_bytes_may_come_with_the_announcement(papers: Served, tus: Tus):
    """Some of them, or all."""
    some = with_body(tus, len(DATA), DATA[:5])
    assert (some.status, some.offset()) == (201, 5)
    target = "/uploads/" + some.headers["location"].rpartition("/")[2]
    assert content(papers, target) == DATA[:5]
    every = with_body(tus, len(DATA), DATA)
    assert (every.status, every.offset()) == (201, len(DATA))
    assert "upload-expires" not in every.headers
    record = papers.engine.wait(every.headers["location"].rpartition("/")[2], "review", 30)
    assert record.source_checksum == sha1(DATA).hexdigest()


def test_a_body_of_another_type_is_refused(papers: Served, tus: Tus):
    """415, and nothing is made; an empty one has no type that matters."""
    before = len(papers.engine.tasks())
    for kind in (None, "application/octet-stream", "text/plain"):
        assert with_body(tus, 5, b"abc", Content_Type=kind).status == 415
        said = {"Content_Type": kind, "Transfer_Encoding": "chunked", "Content_Length": None}
        assert with_body(tus, 5, chunked(b"abc"), **said).status == 415
    assert len(papers.engine.tasks()) == before
    assert with_body(tus, 5, b"", Content_Type="text/plain").status == 201
    said = {"Content_Type": None, "Transfer_Encoding": "chunked", "Content_Length": None}
    assert with_body(tus, 5, chunked(), **said).status == 201


def test_more_than_was_announced_makes_nothing(papers: Served, tus: Tus):
    """413; whether the body says how long it is, or not."""
    before = len(papers.engine.tasks())
    assert with_body(tus, 5, b"abcdef").status == 413
    said = {"Transfer_Encoding": "chunked", "Content_Length": None}
    assert with_body(tus, 5, chunked(b"abcde", b"f"), **said).status == 413
    wait_until(lambda: len(papers.engine.tasks()) == before)


def test_a_damaged_first_chunk_makes_nothing(papers: Served, tus: Tus):
    """Nobody would know where the upload is."""
    before = len(papers.engine.tasks())
    answer = with_body(tus, 5, b"abc", Upload_Checksum=checksum(b"abd"))
    assert answer.status == 460
    wait_until(lambda: len(papers.engine.tasks()) == before)
    assert with_body(tus, 5, b"abc", Upload_Checksum=checksum(b"abc")).offset() == 3


# -- HEAD -----------------------------------------------------------------------------------------


def test_head_tells_where_the_upload_stands(tus: Tus):
    target = tus.create(len(DATA), filename="a.txt")
    tus.patch(target, 0, DATA[:7])
    answer = tus.ask("HEAD", target)
    assert (answer.status, answer.offset()) == (200, 7)
    assert answer.headers["upload-length"] == str(len(DATA))
    assert answer.headers["upload-metadata"] == "filename YS50eHQ="
    assert answer.headers["cache-control"] == "no-store"
    assert parsedate_to_datetime(answer.headers["upload-expires"]).timestamp() > time.time()


@pytest.mark.parametrize(
    "target", ["unknown", "..", "%2e%2e%2fx", "a%00b", "%ff", "x" * 300, "a/b"]
)
def test_what_nobody_knows_is_not_found(tus: Tus, target: str):
    for method in ("HEAD", "PATCH", "DELETE"):
        answer = tus.ask(method, f"/uploads/{target}", **KINDS[method])
        assert answer.status == 404, method


def test_a_task_that_is_no_upload_is_not_found(papers: Served, tus: Tus):
    """Nor can it be removed by this way."""
    task = papers.engine.create("note")
    for method in ("HEAD", "PATCH", "DELETE"):
        assert tus.ask(method, f"/uploads/{task.id}", **KINDS[method]).status == 404
    assert papers.engine.wait(task.id, "review", 30)


def test_what_expired_is_gone(serve: Callable[..., Served]):
    """410, unlike what a client has ended; and `Upload-Expires` told when."""
    served = serve(engine={"max_age_s": 1})
    tus = Tus(served.port)
    target = tus.create(3)
    expires = tus.ask("HEAD", target).headers["upload-expires"]
    assert abs(parsedate_to_datetime(expires).timestamp() - time.time()) < 3
    wait_until(lambda: served.engine.was_removed(target.rpartition("/")[2]))
    for method in ("HEAD", "PATCH", "DELETE"):
        assert tus.ask(method, target, **KINDS[method]).status == 410


def test_every_chunk_puts_the_end_off(serve: Callable[..., Served]):
    served = serve(engine={"max_age_s": 1.5})
    tus = Tus(served.port)
    target = tus.create(9)
    for number in range(3):
        time.sleep(0.6)
        answer = tus.patch(target, number, b"x")
        assert answer.status == 204
        at = parsedate_to_datetime(answer.headers["upload-expires"]).timestamp()
        assert at > time.time()


# -- PATCH ----------------------------------------------------------------------------------------


def test_chunks_add_up_to_the_file(papers: Served, tus: Tus):
    target = tus.create(len(DATA))
    for at in range(0, len(DATA), 7):
        answer = tus.patch(target, at, DATA[at : at + 7])
        assert (answer.status, answer.body) == (204, b"")
        assert answer.offset() == min(at + 7, len(DATA))
        assert ("upload-expires" in answer.headers) == (answer.offset() < len(DATA))
    record = papers.engine.wait(target.rpartition("/")[2], "review", 30)
    assert record.source_checksum == sha1(DATA).hexdigest()
    assert content(papers, target) == DATA
    assert tus.offset(target) == len(DATA)


def test_a_large_chunk_goes_to_the_disk_as_it_comes(papers: Served, tus: Tus):
    """It is not waited for the end of it."""
    data = bytes(range(256)) * 4096 * 20
    target = tus.create(len(data))
    with tus.connection() as connection:
        said = {"Tus-Resumable": "1.0.0", "Upload-Offset": 0, "Content-Type": BODY_TYPE}
        connection.send(head("PATCH", target, said, len(data)) + data[: len(data) // 2])
        wait_until(lambda: len(content(papers, target)) == len(data) // 2)
        connection.send(data[len(data) // 2 :])
        assert connection.answer().offset() == len(data)
    assert content(papers, target) == data


@pytest.mark.parametrize("kind", [None, "application/octet-stream", "text/plain", ""])
def test_a_chunk_of_another_type_is_refused(tus: Tus, kind: str | None):
    target = tus.create(3)
    assert tus.patch(target, 0, b"abc", Content_Type=kind).status == 415
    assert tus.offset(target) == 0


@pytest.mark.parametrize("offset", [None, *LENGTHS])
def test_an_offset_is_a_number_of_bytes(tus: Tus, offset: str | None):
    target = tus.create(3)
    offset = None if offset is None else offset.encode().decode("latin-1")
    assert tus.patch(target, 0, b"abc", Upload_Offset=offset).status == 400
    assert tus.offset(target) == 0


@pytest.mark.parametrize("offset", [0, 1, 3, 9, 10**17])
def test_a_wrong_offset_changes_nothing(papers: Served, tus: Tus, offset: int):
    """409, with the true one."""
    target = tus.create(9)
    tus.patch(target, 0, b"ab")
    answer = tus.patch(target, offset, b"xyz")
    assert (answer.status, answer.offset()) == (409, 2)
    assert problem(answer)["offset"] == 2
    assert content(papers, target) == b"ab"


def test_bytes_beyond_the_length_are_refused(papers: Served, tus: Tus):
    """413, nothing of them counts; also where only the end of the body tells."""
    target = tus.create(5)
    tus.patch(target, 0, b"ab")
    assert tus.patch(target, 2, b"cdef").status == 413
    said = {"Transfer_Encoding": "chunked", "Content_Length": None}
    for pieces in ((b"cdef",), (b"cde", b"f"), (b"c", b"d", b"e", b"f")):
        assert tus.patch(target, 2, chunked(*pieces), **said).status == 413
    assert (tus.offset(target), content(papers, target)) == (2, b"ab")
    assert tus.patch(target, 2, b"cde").status == 204
    assert tus.patch(target, 5, b"f").status == 413
    assert tus.patch(target, 5, chunked(b"f"), **said).status == 413
    assert tus.patch(target, 5, b"").status == 204
    papers.engine.wait(target.rpartition("/")[2], "review", 30)


def test_an_empty_chunk_changes_nothing(tus: Tus):
    target = tus.create(5)
    answer = tus.patch(target, 0, b"")
    assert (answer.status, answer.offset()) == (204, 0)


def test_a_wrong_file_is_told_with_its_last_chunk(music: Served):
    """460, and the task has failed; nobody takes it for an upload that is complete."""
    tus = Tus(music.port)
    target = tus.create(len(DATA), checksum=f"sha1 {sha1(b'other').hexdigest()}")
    assert tus.patch(target, 0, DATA[:5]).status == 204
    answer = tus.patch(target, 5, DATA[5:])
    assert (answer.status, problem(answer)["state"]) == (460, "uploadfailed")
    assert music.engine.get(target.rpartition("/")[2]).state == "uploadfailed"
    assert tus.ask("HEAD", target).status == 460
    assert tus.patch(target, len(DATA), b"").status == 460
    music.engine.retry(target.rpartition("/")[2])
    assert tus.offset(target) == 0
    assert tus.ask("DELETE", target).status == 204


def test_a_wrong_file_that_came_at_once_is_told_where_it_is(music: Served):
    tus = Tus(music.port)
    wrong = encoded({"checksum": f"sha1 {sha1(b'an other').hexdigest()}"})
    answer = with_body(tus, len(DATA), DATA, Upload_Metadata=wrong)
    assert answer.status == 460
    assert tus.ask("DELETE", "/" + answer.headers["location"].split("/", 3)[3]).status == 204


def test_a_right_file_is_complete_when_the_answer_comes(music: Served):
    """Its SHA-1 has been checked by then."""
    tus = Tus(music.port)
    target = tus.create(len(DATA), checksum=f"sha1 {sha1(DATA).hexdigest().upper()}")
    assert tus.patch(target, 0, DATA).status == 204
    assert music.engine.get(target.rpartition("/")[2]).state not in {"waitforchunk", "uploadfailed"}
    assert tus.offset(target) == len(DATA)


# -- checksums ------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_damaged_chunk_does_not_count(papers: Served, tus: Tus, algorithm: str):
    """460, the offset stays, and the right one comes after it."""
    target = tus.create(len(DATA))
    tus.patch(target, 0, DATA[:4])
    good = checksum(DATA[4:], algorithm)
    answer = tus.patch(target, 4, DATA[4:-1] + b"X", Upload_Checksum=good)
    assert answer.status == 460
    assert (tus.offset(target), content(papers, target)) == (4, DATA[:4])
    assert tus.patch(target, 4, DATA[4:], Upload_Checksum=good).offset() == len(DATA)
    assert content(papers, target) == DATA
    papers.engine.wait(target.rpartition("/")[2], "review", 30)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "sha1",
        "sha1 ",
        "sha1 !!",
        "sha1 YQ==",
        "md5 1B2M2Y8AsgTpgAmY7PhCfg==",
        "SHA1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
        "sha1  2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
        "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
        "sha256 2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
    ],
)
def test_a_bad_checksum_is_refused(tus: Tus, said: str):
    target = tus.create(3)
    assert tus.patch(target, 0, b"abc", Upload_Checksum=said).status == 400
    assert tus.offset(target) == 0


def test_a_chunk_with_a_checksum_is_taken_in_pieces(papers: Served, tus: Tus):
    """Larger than what is written at once; HEAD counts none of it before its end."""
    data = bytes(range(256)) * 4096 * 5
    target = tus.create(len(data))
    assert tus.patch(target, 0, data[:-9], Upload_Checksum=checksum(data[:-9])).status == 204
    assert tus.patch(target, len(data) - 9, data[-9:], Upload_Checksum=checksum(b"")).status == 460
    assert (
        tus.patch(target, len(data) - 9, data[-9:], Upload_Checksum=checksum(data[-9:])).status
        == 204
    )
    assert content(papers, target) == data


# -- DELETE ---------------------------------------------------------------------------------------


def test_a_deleted_upload_is_not_found(papers: Served, tus: Tus):
    """Its data is gone with it."""
    target = tus.create(len(DATA))
    tus.patch(target, 0, DATA[:5])
    answer = tus.ask("DELETE", target)
    assert (answer.status, answer.body) == (204, b"")
    for method in ("HEAD", "PATCH", "DELETE"):
        assert tus.ask(method, target, **KINDS[method]).status == 404
    wait_until(lambda: not (papers.engine.settings.uploads / target.rpartition("/")[2]).exists())


def test_what_any_client_removed_is_not_found(music: Served):
    """On whatever way, as after a DELETE: nobody begins it again behind the back of who did it."""
    tus = Tus(music.port)
    with music.client() as api, Client(f"ws://{music.host}/musicdb") as socket:
        said = {"message": "not wanted"}
        ways = {
            "tus": lambda one: tus.ask("DELETE", f"/uploads/{one}"),
            "API": lambda one: api.delete(f"/api/tasks/{one}").raise_for_status(),
            "event": lambda one: api.post(f"/api/tasks/{one}/events/remove"),
            "message": lambda one: api.post(f"/api/tasks/{one}/events/remove", json=said),
            "socket": lambda one: socket.request("RemoveUpload", {"taskid": one}),
        }
        for name, remove in ways.items():
            task_id = tus.create(3, taskid="removed").rpartition("/")[2]
            remove(task_id)
            for method in ("HEAD", "PATCH", "DELETE"):
                answer = tus.ask(method, f"/uploads/{task_id}", **KINDS[method])
                assert answer.status == 404, (name, method)
            wait_until(lambda: not music.engine.is_known("removed"))
    tus.create(3, taskid="removed")
    music.engine.discard("removed")  # by itself, as when it expires
    assert tus.ask("HEAD", "/uploads/removed").status == 410


def test_what_another_client_removed_before_it_was_answered_is_not_found(
    music: Served, monkeypatch: pytest.MonkeyPatch
):
    """One that came with all its bytes: who listens to events knows it before who sent it."""
    receive = Uploads.receive

    def received_and_removed(self: Uploads, task_id: str, *args: Any, **options: Any) -> Any:
        record = receive(self, task_id, *args, **options)
        with music.client() as api:
            api.delete(f"/api/tasks/{task_id}").raise_for_status()
        return record

    monkeypatch.setattr(Uploads, "receive", received_and_removed)
    tus = Tus(music.port)
    answer = with_body(tus, len(DATA), DATA[:5])
    assert (answer.status, answer.offset()) == (201, 5)
    target = "/uploads/" + answer.headers["location"].rpartition("/")[2]
    assert tus.ask("HEAD", target).status == 404


def test_a_complete_upload_can_be_deleted(papers: Served, tus: Tus):
    target = tus.create(3)
    tus.patch(target, 0, b"abc")
    papers.engine.wait(target.rpartition("/")[2], "review", 30)
    assert tus.ask("DELETE", target).status == 204
    assert tus.ask("HEAD", target).status == 404


# -- limits ---------------------------------------------------------------------------------------


def test_so_many_uploads_may_be_unfinished(serve: Callable[..., Served]):
    """429; one that ends makes room, and so does one that is removed."""
    tus = Tus(serve(unfinished_uploads=3).port)
    targets = [tus.create(3) for _ in range(3)]
    assert tus.ask("POST", Upload_Length=3).status == 429
    assert tus.patch(targets[0], 0, b"abc").status == 204
    wait_until(lambda: tus.ask("POST", Upload_Length=3).status == 201)
    assert tus.ask("POST", Upload_Length=3).status == 429
    assert tus.ask("DELETE", targets[1]).status == 204
    assert tus.ask("POST", Upload_Length=3).status == 201
    assert tus.ask("POST", Upload_Length=3).status == 429


def test_so_many_bytes_may_be_unfinished(serve: Callable[..., Served]):
    """507; what is refused otherwise reserves nothing."""
    tus = Tus(serve(unfinished_bytes=10).port)
    for _ in range(3):
        assert (
            tus.ask("POST", Upload_Length=9, Upload_Metadata=encoded({"taskid": "*"})).status == 400
        )
    target = tus.create(6)
    assert tus.ask("POST", Upload_Length=5).status == 507
    assert tus.create(4)
    assert tus.ask("DELETE", target).status == 204
    assert tus.create(6)


def test_uploads_of_an_earlier_run_count(serve: Callable[..., Served]):
    served = serve(unfinished_uploads=2)
    Tus(served.port).create(3)
    served.engine.close()
    tus = Tus(serve(unfinished_uploads=2).port)
    tus.create(3)
    assert tus.ask("POST", Upload_Length=3).status == 429


class Full(Effects):
    """A disk without room for data."""

    full = True

    def write(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(fd, data, offset)


def test_a_full_disk_loses_nothing(serve: Callable[..., Served]):
    """507, and it goes on when there is room."""
    served = serve()
    tus = Tus(served.port)
    target = tus.create(len(DATA))
    tus.patch(target, 0, DATA[:5])
    with using(Full()):
        assert tus.patch(target, 5, DATA[5:]).status == 507
        assert tus.patch(target, 5, DATA[5:], Upload_Checksum=checksum(DATA[5:])).status == 507
        assert tus.ask("POST", Upload_Length=3).status == 507
    assert tus.offset(target) == 5
    assert tus.patch(target, 5, DATA[5:], Upload_Checksum=checksum(DATA[5:])).status == 204
    assert content(served, target) == DATA


@pytest.mark.parametrize("missing", [0, 3])
@pytest.mark.parametrize("once", [True, False], ids=["once", "from then on"])
def test_a_disk_that_refuses_a_new_upload_with_its_bytes(
    serve: Callable[..., Served], missing: int, once: bool
):
    """At any call of the system: 507, and the upload goes, as its client was not told where it is.

    What a disk keeps that refuses the removal, too, counts as unfinished.
    """
    served = serve(engine={"durability": "fsync"})
    tus, engine = Tus(served.port), served.engine
    calls, kept = list[str](), 0
    for at in range(1, 99):

        def refuse(number: int, name: str, at: int = at) -> None:
            if number == at or (number > at and not once):
                calls.append(name)
                raise OSError(errno.ENOSPC, "No space left on device")

        with using(Struck(refuse)):
            answer = with_body(tus, len(DATA) + missing, DATA)
        if answer.status == 201:
            break
        assert answer.status == 507
        waiting = {one.id: one.file_size for one in engine.tasks() if one.state == "receiving"}
        assert served.app.state.door.unfinished._sizes == waiting
        kept += len(waiting)
        for task_id in waiting:
            assert tus.ask("DELETE", f"/uploads/{task_id}").status == 204
        wait_until(lambda: not engine.tasks())
    assert {"rename_noreplace", "mkdir", "write"} <= {*calls}
    assert (kept == 0) is once
