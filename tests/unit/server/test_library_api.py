"""A music library by HTTP: an album is brought in, as a program would do it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from clikit import ALBUM, BOOKLET, COVER, FLAC, TARGETS, copy_album, retag
from musictasks.library import sample_album
from musictasks.music import MusicEngine
from serverkit import Served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def bring(engine: MusicEngine, name: str, kind: str = "albumfile", data: bytes = b"") -> str:
    """A whole upload, checked."""
    data = data or (sample_album() / name).read_bytes()
    checksum = hashlib.sha1(data).hexdigest()
    task = engine.begin_upload(
        content_type=kind, file_size=len(data), checksum=checksum, source_filename=name
    )
    engine.receive_chunk(task.id, data)
    return engine.wait(task.id, "readyforintegration", timeout=30).id


def proposal(client: httpx.Client, **asked: Any) -> dict[str, Any]:
    answer = client.get("/api/library/targets", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_tags_propose_where_a_song_goes(served, client):
    told = proposal(client, task=bring(served.engine, FLAC))
    assert (told["target"], told["usable"], told["reason"]) == (TARGETS[FLAC], True, None)
    assert (told["year"], told["number"], told["title"]) == (2020, 1, "Morgenröte")


def test_a_song_of_a_compilation_goes_where_add_puts_it(served, client, tmp_path):
    song = retag(copy_album(tmp_path, FLAC) / FLAC, albumartist=None, compilation="1")
    told = proposal(client, task=bring(served.engine, FLAC, data=song.read_bytes()))
    assert told["artist"] == "Various Artists"
    assert told["target"].startswith("Various Artists/2020 - ")


def test_what_a_person_says_counts_more_than_tags(served, client):
    task = bring(served.engine, FLAC)
    told = proposal(client, task=task, artist="A/B", album="C", year="1999", name="../x\x1b[31m")
    assert told["target"] == "A∕B/1999 - C/01 ..∕x[31m.flac"
    assert told["usable"]


def test_what_is_no_song_needs_an_album(served, client):
    task = bring(served.engine, BOOKLET)
    told = proposal(client, task=task)
    assert (told["target"], told["usable"]) == (None, False)
    assert "give artist, year, album" in told["reason"]
    told = proposal(client, task=task, artist="A", album="B", year="2001")
    assert told["target"] == "A/2001 - B/booklet.pdf"


def test_what_is_there_already_is_said_before(served, client):
    task = bring(served.engine, FLAC)
    place = served.engine.settings.music / TARGETS[FLAC]
    place.parent.mkdir(parents=True)
    place.write_bytes(b"another song")
    told = proposal(client, task=task)
    assert (told["target"], told["usable"]) == (TARGETS[FLAC], False)
    assert "never overwritten" in told["reason"]
    assert place.read_bytes() == b"another song"


@pytest.mark.parametrize(
    "target", ["../x.flac", "/etc/passwd", "a\x00b", "A/2000 - B/x\x1b.flac", ""]
)
def test_no_target_leads_out(served, client, target):
    task = bring(served.engine, FLAC)
    told = proposal(client, task=task, target=target)
    assert not told["usable"]
    answer = client.post(f"/api/tasks/{task}/integration", json={"target": target})
    assert (answer.status_code, answer.json()["type"]) == (422, "InvalidPath")
    assert served.engine.get(task).state == "readyforintegration"
    assert list(served.engine.settings.music.rglob("*")) == []
    for url, body in (
        ("/api/imports", {"contenttype": "album", "path": target}),
        ("/api/artwork", {"source": target, "target": target}),
    ):
        assert client.post(url, json=body).status_code == 422
    assert [one.id for one in served.engine.tasks()] == [task]


def test_a_proposal_is_for_an_upload_that_waits_for_it(served, client):
    waiting = served.engine.begin_upload(content_type="albumfile", file_size=3)
    answer = client.get("/api/library/targets", params={"task": waiting.id})
    assert (answer.status_code, answer.json()["state"]) == (409, "waitforchunk")
    assert client.get("/api/library/targets", params={"task": "none"}).status_code == 404
    assert client.get("/api/library/targets").status_code == 422
    for year in ("20", "abcd", "٢٠٢٠"):
        answer = client.get("/api/library/targets", params={"task": waiting.id, "year": year})
        assert answer.status_code in {409, 422}


def test_an_album_is_brought_in_and_scanned(served, client):
    """Uploads at their proposed places, the import, its artwork, and a scan that finds nothing."""
    engine = served.engine
    song, cover = bring(engine, FLAC), bring(engine, COVER)
    target = proposal(client, task=song)["target"]
    answer = client.post(f"/api/tasks/{song}/integration", json={"target": target})
    assert answer.json()["state"] == "startintegration"
    engine.wait(song, "readyforimport", timeout=30)
    body = {"target": f"{ALBUM}/{COVER}"}
    assert client.post(f"/api/tasks/{cover}/integration", json=body).status_code == 200
    engine.wait(cover, "readyforimport", timeout=30)
    answer = client.post("/api/imports", json={"contenttype": "album", "path": ALBUM})
    assert answer.status_code == 201
    engine.wait(answer.json()["id"], "importcomplete", timeout=30)
    answer = client.post("/api/artwork", json={"source": f"{ALBUM}/{COVER}", "target": ALBUM})
    assert answer.status_code == 201
    engine.wait(answer.json()["id"], "importcomplete", timeout=30)
    scan = engine.wait(client.post("/api/scans").json()["id"], "fsscancomplete", timeout=30)
    assert scan.annotations["newpaths"]["songs"] == []
    again = client.post(f"/api/tasks/{song}/integration", json={"target": target})
    assert again.status_code == 409 or again.json()["type"] == "TaskNotFound"


def test_only_albums_and_videos_are_imported(client):
    answer = client.post("/api/imports", json={"contenttype": "artwork", "path": ALBUM})
    assert (answer.status_code, answer.json()["type"]) == (422, "BadBody")


def test_the_album_of_an_archive_goes_where_its_songs_say(served, client, tmp_path: Path):
    import zipfile

    archive = tmp_path / "album.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for path in sample_album().iterdir():
            made.write(path, path.name)
    task = bring(served.engine, "album.zip", "album", archive.read_bytes())
    told = proposal(client, task=task)
    assert (told["target"], told["usable"]) == (ALBUM, True)
    assert proposal(client, task=task, album="Other")["target"].endswith("2020 - Other")
