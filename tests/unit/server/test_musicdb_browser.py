"""MusicDB's WebSocket: a client that behaves as MusicDB's page does brings an album in."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from clikit import ALBUM, COVER, TARGETS, files_in
from musictasks.music import MusicEngine, Settings, open_library
from socketkit import BrowserClient, Client, socket_of


def bring_in(client: BrowserClient, folder: Path) -> str:
    """Uploads, integrates and imports an album, as a person would by the page; its import's id."""
    ids = {client.upload(folder / name): target for name, target in TARGETS.items()}
    for task_id, target in ids.items():
        client.wait_for_state(task_id, "readyforintegration")
        client.send("InitiateContentIntegration", {"taskid": task_id, "musicpath": target})
    for task_id in ids:
        client.wait_for_state(task_id, "readyforimport")
    arguments = {"contenttype": "album", "contentpath": ALBUM}
    task_id = client.request("InitiateMusicImport", arguments)
    client.wait_for_state(task_id, "importcomplete")
    return task_id


@pytest.fixture
def browser(address: str) -> BrowserClient:
    return BrowserClient(address)


def test_an_album(browser: BrowserClient, engine: MusicEngine, musictasks_album: Path):
    """From the files to the database and the artwork; the page hears when to read anew."""
    with browser:
        bring_in(browser, musictasks_album)
        browser.wait_for(lambda packet: packet["fncname"] == "sys:refresh")
        # The cover again, as the album's artwork: its id is that of the task before.
        cover = browser.upload(musictasks_album / COVER, "artwork", musicpath=ALBUM)
        browser.wait_for_state(cover, "importcomplete")
    music = Path(engine.settings.music)
    assert files_in(music / ALBUM) == {
        Path(target).name: files_in(musictasks_album)[name] for name, target in TARGETS.items()
    }
    with closing(sqlite3.connect(engine.settings.database)) as database:
        assert database.execute("SELECT count(*) FROM songs").fetchone() == (3,)
        artwork = database.execute("SELECT artworkpath FROM albums").fetchone()[0]
    assert (Path(engine.settings.artwork) / artwork).is_file()


def test_an_id_that_gives_way(browser: BrowserClient, tmp_path: Path):
    """The page hears of the old task's removal first, and sends the new upload all the same.

    It holds a file by its SHA-1, which is the id of both.
    """
    song = tmp_path / "no song.flac"
    song.write_bytes(b"no song at all")
    with browser:
        task_id = browser.upload(song)
        browser.wait_for_state(task_id, "invalidcontent")
        browser.request("Bounce")
        browser.packets.clear()
        browser.upload(song)
        browser.wait_for_state(task_id, "invalidcontent")
        told = browser.notifications()
        assert told[:2] == [("StateUpdate", "remove"), ("ChunkRequest", "waitforchunk")]
        assert browser.chunks == 2


def begun(client: Client, data: bytes) -> tuple[str, list[dict[str, str]]]:
    """An upload whose first bytes the client was asked for twice; its packets, in two halves."""
    task_id = hashlib.sha1(data).hexdigest()
    known = {"taskid": task_id, "mimetype": "audio/flac", "contenttype": "albumfile"}
    client.send(
        "InitiateUpload",
        {**known, "filesize": len(data), "checksum": task_id, "filename": "a.flac"},
    )
    client.send("UploadChunk", {"taskid": task_id, "chunkdata": ""})
    client.wait_for(lambda _: client.notifications().count(("ChunkRequest", "waitforchunk")) == 2)
    half = len(data) // 2
    halves = (data[:half], data[half:])
    return task_id, [{"taskid": task_id, "chunkdata": part.hex()} for part in halves]


def test_two_answers_to_two_requests_for_the_same_bytes(client: Client, engine: MusicEngine):
    """As a page sends that comes back while its last packet is still on the way."""
    task_id, (first, second) = begun(client, b"no song at all" * 100)
    client.send("UploadChunk", first)
    client.send("UploadChunk", first)
    client.wait_for(lambda _: client.notifications().count(("ChunkRequest", "waitforchunk")) == 3)
    assert engine.get(task_id).offset == 700
    client.send("UploadChunk", second)
    client.wait_for_state(task_id, "invalidcontent")
    assert "SHA-1" not in str(engine.get(task_id).history[-1].message)


def test_one_answer_to_two_requests_for_the_same_bytes(client: Client, engine: MusicEngine):
    """What is then taken for the other answer is asked for again."""
    task_id, (first, second) = begun(client, b"no song at all" * 100)
    client.send("UploadChunk", first)
    client.wait_for(lambda _: client.notifications().count(("ChunkRequest", "waitforchunk")) == 3)
    client.send("UploadChunk", second)
    client.wait_for(lambda _: client.notifications().count(("ChunkRequest", "waitforchunk")) == 4)
    client.send("UploadChunk", second)
    client.wait_for_state(task_id, "invalidcontent")


def test_a_cable_that_is_pulled(musictasks_settings: Settings, musictasks_album: Path):
    """After each reconnect an empty chunk, and every upload goes on where it stood."""
    settings = Settings.in_directory(
        musictasks_settings.music.parent, durability="none", chunk_size=2000, artwork_scales=(16,)
    )
    with open_library(settings) as engine, socket_of(engine) as address:
        browser = BrowserClient(address)
        sizes = {}
        for name in ("01 Morgenroete.flac", "02 Ebbe-Flut.mp3"):
            browser.pulled_after = browser.chunks + 3
            task_id = browser.upload(musictasks_album / name)
            browser.wait_until_closed()
            assert 0 < (engine.get(task_id).offset or 0) < (engine.get(task_id).file_size or 0)
            browser.reconnect()
            browser.wait_for_state(task_id, "readyforintegration")
            sizes[task_id] = (musictasks_album / name).stat().st_size
        browser.close()
        assert {task.id: task.file_size for task in engine.tasks()} == sizes
