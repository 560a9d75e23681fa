"""MusicDB's WebSocket: each function, and what its answer looks like."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from clikit import ALBUM, copy_album
from enginekit import upload
from musictasks.music import MusicEngine
from socketkit import Client, announcement, socket_of

DATA = b"%PDF-1.4 0123456789"
SHA1 = hashlib.sha1(DATA).hexdigest()
UPLOAD = announcement(DATA, "booklet.pdf")


@pytest.fixture
def album(engine: MusicEngine) -> str:
    """An album in the Music Directory."""
    copy_album(Path(engine.settings.music) / ALBUM)
    return ALBUM


def test_initiate_upload(client: Client, engine: MusicEngine):
    """It returns the id, and the first chunk is asked for."""
    assert client.request("InitiateUpload", UPLOAD) == SHA1
    status = client.wait_for_state(SHA1, "waitforchunk")
    assert (status["offset"], status["chunksize"]) == (0, 400 * 1024)
    task = engine.get(SHA1)
    assert (task.content_type, task.file_size, task.source_filename) == (
        *("albumfile", len(DATA), "booklet.pdf"),
    )


def test_the_limits_of_unfinished_uploads(engine: MusicEngine):
    """Those of all routes: what is begun here counts, and what is too much is refused."""
    with socket_of(engine, unfinished_uploads=2) as address, Client(address) as client:
        for number in range(3):
            data = DATA + bytes([number])
            client.request("InitiateUpload", announcement(data, "booklet.pdf"))
        told = client.wait_for(lambda packet: packet["fncsig"] == "InternalError")
        assert "2 uploads are unfinished" in told["arguments"]["message"]
        assert len(engine.tasks()) == 2
        engine.discard(engine.tasks()[0].id)
        client.wait_for(lambda _: ("StateUpdate", "remove") in client.notifications())
        client.request("InitiateUpload", announcement(DATA, "booklet.pdf"))
        client.wait_for_state(SHA1, "waitforchunk")


def test_an_upload_that_is_too_large_is_refused(engine: MusicEngine):
    """The server's limit goes for all routes; one of that size gets in."""
    with socket_of(engine, upload_bytes=len(DATA)) as address, Client(address) as client:
        client.request("InitiateUpload", announcement(DATA + b"!", "booklet.pdf"))
        told = client.wait_for(lambda packet: packet["fncsig"] == "InternalError")
        assert f"{len(DATA) + 1} bytes are more than" in told["arguments"]["message"]
        assert engine.tasks() == []
        client.request("InitiateUpload", UPLOAD)
        client.wait_for_state(SHA1, "waitforchunk")


def test_a_refused_announcement_takes_no_place(engine: MusicEngine):
    """Without all arguments, of a wrong type, or of a task that has all its bytes."""
    with socket_of(engine, unfinished_uploads=1) as address, Client(address) as client:
        lacking = UPLOAD | {"taskid": "lacking"}
        del lacking["mimetype"]
        wrong = {"filename": 5, "taskid": "wrong"}, {"filesize": -5, "taskid": "less"}
        for arguments in (lacking, *(UPLOAD | one for one in wrong)):
            client.send("InitiateUpload", arguments)
        task_id = upload(engine, DATA).id
        engine.wait(task_id, "readyforintegration", 10)
        client.send("InitiateUpload", UPLOAD | {"taskid": task_id})
        other = DATA + b"!"
        client.send("InitiateUpload", announcement(other, "booklet.pdf"))
        client.wait_for_state(hashlib.sha1(other).hexdigest(), "waitforchunk")


def test_an_upload_that_is_refused(client: Client, engine: MusicEngine):
    """The id comes back all the same; an InternalError says why."""
    upload(engine, DATA, task_id="other")
    assert client.request("InitiateUpload", UPLOAD) == SHA1
    error = client.wait_for(lambda packet: packet["fncsig"] == "InternalError")["arguments"]
    assert (error["taskid"], error["state"]) == (None, "notexisting")
    assert "other" in error["message"]


def test_upload_chunk(client: Client, engine: MusicEngine):
    """Hex digits become the bytes; the answer is null. Each is asked for before it is sent."""
    client.request("InitiateUpload", UPLOAD)
    client.wait_for(lambda packet: _offset(packet) == 0)
    assert client.request("UploadChunk", {"taskid": SHA1, "chunkdata": DATA[:5].hex()}) is None
    assert engine.get(SHA1).offset == 5
    client.wait_for(lambda packet: _offset(packet) == 5)
    client.request("UploadChunk", {"taskid": SHA1, "chunkdata": DATA[5:].hex().upper()})
    client.wait_for_state(SHA1, "readyforintegration")


def test_an_empty_chunk_asks_again(client: Client):
    """As after a reconnect: the next chunk request comes, and nothing else happens."""
    client.request("InitiateUpload", UPLOAD)
    client.request("UploadChunk", {"taskid": SHA1, "chunkdata": DATA[:5].hex()})
    client.wait_for(lambda packet: _offset(packet) == 5)
    client.packets.clear()
    client.request("UploadChunk", {"taskid": SHA1, "chunkdata": ""})
    client.wait_for(lambda packet: _offset(packet) == 5)


def _offset(packet: dict[str, Any]) -> int | None:
    return packet["arguments"]["offset"] if packet["fncsig"] == "ChunkRequest" else None


def test_annotate_upload(client: Client, engine: MusicEngine):
    """All arguments are annotations."""
    client.request("InitiateUpload", UPLOAD)
    arguments = {"taskid": SHA1, "song": "Lied", "cd": 2, "more": {"a": [1]}}
    assert client.request("AnnotateUpload", arguments) is None
    assert engine.get(SHA1).annotations.copy().items() >= arguments.items()


def test_initiate_content_integration(client: Client, engine: MusicEngine):
    """It returns the id, and the file comes to its place."""
    upload(engine, DATA, task_id=SHA1)
    engine.wait(SHA1, {"readyforintegration"}, timeout=20)
    arguments = {"taskid": SHA1, "musicpath": f"{ALBUM}/booklet.pdf"}
    assert client.request("InitiateContentIntegration", arguments) == SHA1
    client.wait_for_state(SHA1, "readyforimport")
    assert (Path(engine.settings.music) / ALBUM / "booklet.pdf").read_bytes() == DATA


def test_an_integration_in_the_wrong_state(client: Client):
    """It returns false."""
    client.request("InitiateUpload", UPLOAD)
    arguments = {"taskid": SHA1, "musicpath": f"{ALBUM}/booklet.pdf"}
    assert client.request("InitiateContentIntegration", arguments) is False


def test_initiate_music_import(client: Client, engine: MusicEngine, album: str):
    """It returns the new id; for content that is not imported, null."""
    arguments = {"contenttype": "album", "contentpath": album}
    task_id = client.request("InitiateMusicImport", arguments)
    client.wait_for_state(task_id, "importcomplete")
    assert client.request("InitiateMusicImport", arguments | {"contenttype": "any"}) is None


def test_initiate_artwork_import(client: Client, engine: MusicEngine, album: str):
    """It returns the new id."""
    engine.wait(engine.import_music("album", album).id, {"importcomplete"}, timeout=20)
    arguments = {"sourcepath": f"{album}/cover.png", "targetpath": album}
    task_id = client.request("InitiateArtworkImport", arguments)
    client.wait_for_state(task_id, "importcomplete")


def test_initiate_filesystem_scan(client: Client, album: str):
    """It returns the new id; what was found comes with the last state."""
    task_id = client.request("InitiateFilesystemScan")
    status = client.wait_for_state(task_id, "fsscancomplete")
    assert len(status["task"]["annotations"]["newpaths"]["songs"]) == 3


def test_remove_upload(client: Client, engine: MusicEngine):
    """The answer is null, and the task goes."""
    client.request("InitiateUpload", UPLOAD)
    assert client.request("RemoveUpload", {"taskid": SHA1}) is None
    client.wait_for_state(SHA1, "remove")
    engine.wait(SHA1, {"notexisting"}, timeout=20)


def test_get_current_tasks(client: Client, engine: MusicEngine):
    """Task dictionaries by content type."""
    kinds = {"video": "videos", "albumfile": "albumfiles", "album": "albums", "artwork": "artworks"}
    ids = {"any": client.request("InitiateFilesystemScan")}
    for number, (kind, key) in enumerate(kinds.items()):
        options = UPLOAD | {"contenttype": kind, "taskid": kind, "checksum": f"{number:040}"}
        ids[key] = client.request("InitiateUpload", options)
    tasks = client.request("GetCurrentTasks")
    assert {key: [task["id"] for task in lists] for key, lists in tasks.items()} == {
        key: [task_id] for key, task_id in ids.items()
    }
    assert tasks["albumfiles"][0]["sourcefilename"] == "booklet.pdf"


@pytest.mark.parametrize("value", [None, {}, {"ö": [1, 2.5, None, {"a": True}]}])
def test_bounce(client: Client, value: dict[str, Any] | None):
    """Whatever is given comes back."""
    assert client.request("Bounce", value) == value


def test_the_answer_to_a_request(client: Client):
    """It has what the client called it, and what was handed through, whatever that is."""
    handed = [1, {"ä": None}]
    client.send("Bounce", {"a": 1}, method="request", fncsig="Showed", **{"pass": handed})
    assert client.wait_for(lambda packet: packet["pass"] == handed) == {
        "method": "response",
        "fncname": "Bounce",
        "fncsig": "Showed",
        "arguments": {"a": 1},
        "pass": handed,
    }


def test_a_call_has_no_answer(client: Client):
    """It is done, and that is all."""
    client.send("Bounce", {"called": True}, **{"pass": "a call"})
    client.request("Bounce")
    assert [packet["pass"] for packet in client.packets] == ["request 0", "after request 0"]


def test_a_broadcast_is_answered_to_all(client: Client, address: str):
    """How clients talk to each other; who sent it gets it, too."""
    with Client(address) as other:
        other.request("Bounce")
        client.send("Bounce", {"hello": 1}, method="broadcast", fncsig="Greeting")
        for one in (client, other):
            packet = one.wait_for(lambda packet: packet["method"] == "broadcast")
            assert packet == {
                "method": "broadcast",
                "fncname": "Bounce",
                "fncsig": "Greeting",
                "arguments": {"hello": 1},
                "pass": None,
            }


RAISING: list[tuple[str, dict[str, Any] | None]] = [
    ("InitiateUpload", None),
    ("InitiateUpload", UPLOAD | {"filesize": 0}),
    ("InitiateUpload", UPLOAD | {"filesize": "7"}),
    ("InitiateUpload", {"taskid": "a"}),
    ("UploadChunk", {"taskid": "a", "chunkdata": "0"}),
    ("UploadChunk", {"taskid": "a", "chunkdata": "zz"}),
    ("UploadChunk", {"taskid": "a", "chunkdata": [1]}),
    ("UploadChunk", {"taskid": ["a"], "chunkdata": ""}),
    ("AnnotateUpload", {"song": "Lied"}),
    ("InitiateContentIntegration", {"taskid": "nobody", "musicpath": "a"}),
    ("InitiateMusicImport", {"contenttype": "album", "contentpath": "../.."}),
    ("InitiateArtworkImport", {"sourcepath": "/etc/passwd", "targetpath": "a"}),
    ("RemoveUpload", {}),
]


def test_a_function_that_raises_gives_no_answer(address: str, caplog: pytest.LogCaptureFixture):
    """It is logged, and the connection goes on."""
    for function, arguments in RAISING:
        caplog.clear()
        with Client(address) as client:
            with pytest.raises(TimeoutError):
                print(client.request(function, arguments), "for", function, arguments)
            assert "is ignored" in caplog.text, (function, arguments)
            assert client.request("Bounce", {}) == {}
