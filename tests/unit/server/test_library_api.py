"""A music library by HTTP: an album is brought in, as a program would do it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from clikit import ALBUM, BOOKLET, COVER, FLAC, TARGETS, copy_album, retag
from enginekit import begin
from musictasks.library import sample_album
from musictasks.music import MusicEngine
from serverkit import Served, served_library
from videokit import make_video


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


def test_a_file_that_is_no_song_may_be_called_otherwise(served, client):
    """It keeps its extension, also where a person writes that, too."""
    task = bring(served.engine, "booklet.pdf")
    place = {"artist": "A", "album": "B", "year": "1999"}
    assert proposal(client, task=task)["title"] == "booklet"
    assert proposal(client, task=task, **place)["target"] == "A/1999 - B/booklet.pdf"
    for name in ("notes", "notes.pdf"):
        told = proposal(client, task=task, **place, name=name)
        assert (told["target"], told["usable"]) == ("A/1999 - B/notes.pdf", True)


def test_a_track_that_a_person_says_counts_more(served, client, tmp_path):
    """The disc that the tags tell of stays; a song without a number needs nothing else."""
    task = bring(served.engine, FLAC)
    assert proposal(client, task=task, track="7")["target"] == f"{ALBUM}/07 Morgenröte.flac"
    song = retag(copy_album(tmp_path, FLAC) / FLAC, tracknumber=None, discnumber="2/2")
    task = bring(served.engine, FLAC, data=song.read_bytes())
    assert not proposal(client, task=task)["usable"]
    told = proposal(client, task=task, track="0012")
    assert (told["target"], told["number"]) == (f"{ALBUM}/2-12 Morgenröte.flac", 12)
    for track in ("0", "x", "-1", "12345", "٣", "1.0"):
        answer = client.get("/api/library/targets", params={"task": task, "track": track})
        assert answer.status_code == 422, track


def test_artists_are_spelled_as_in_the_library(served, client):
    """Those of tags and annotations, as `add` does it; one that was given stays, and is told."""
    artist = ALBUM.partition("/")[0]
    there = artist.upper()
    (served.engine.settings.music / there).mkdir()
    task = bring(served.engine, FLAC)
    told = proposal(client, task=task)
    assert (told["artist"], told["spelling"]) == (there, None)
    assert told["target"].startswith(f"{there}/2020 - ")
    told = proposal(client, task=task, artist=artist)
    assert (told["artist"], told["spelling"]) == (artist, there)
    assert told["target"].startswith(f"{artist}/2020 - ")
    told = proposal(client, artist=artist, album="Other", year="2001")
    assert (told["target"], told["spelling"]) == (f"{artist}/2001 - Other", there)
    clip = make_video()
    video = served.engine.begin_upload(
        content_type="video",
        file_size=len(clip),
        source_filename="a.mp4",
        annotations={"artistname": artist, "release": "2001", "name": "Clip"},
    )
    served.engine.receive_chunk(video.id, clip)
    served.engine.wait(video.id, "readyforintegration", timeout=30)
    assert proposal(client, task=video.id)["target"] == f"{there}/2001 - Clip.mp4"


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


# -- preflight ----------------------------------------------------------------------------------


def ask(client: httpx.Client, data: bytes, **more: Any) -> dict[str, Any]:
    asked = {"filesize": len(data), "checksum": hashlib.sha1(data).hexdigest(), **more}
    answer = client.post("/api/preflight", json=asked)
    assert answer.status_code == 200, answer.text
    return {name: value for name, value in answer.json().items() if value is not None}


def test_a_preflight_says_what_would_become_of_an_upload(served, client):
    """Send it, go on at a byte of a task, and, whatever it is called, it is there."""
    song = (sample_album() / FLAC).read_bytes()
    assert ask(client, song) == {"answer": "send"}
    assert ask(client, song, checksum=None) == {"answer": "send"}
    task = begin(served.engine, song, mime_type="audio/flac", source_filename="a.flac")
    served.engine.receive_chunk(task.id, song[:1000])
    assert ask(client, song) == {"answer": "go on", "task_id": task.id, "offset": 1000}
    served.engine.receive_chunk(task.id, song[1000:])
    served.engine.wait(task.id, "readyforintegration", timeout=30)
    assert ask(client, song)["offset"] == len(song)
    served.engine.integrate(task.id, f"{ALBUM}/09 Other.flac")
    served.engine.wait(task.id, "notexisting", timeout=30)
    assert ask(client, song) == {"answer": "there", "path": f"{ALBUM}/09 Other.flac"}
    assert ask(client, song, contenttype="album") == {"answer": "send"}


def test_a_preflight_names_a_place_where_the_file_is_wanted(served, client):
    """Of several that have the same bytes; any of them where none is there."""
    cover = (sample_album() / "cover.png").read_bytes()
    places = [f"{ALBUM}/cover.png", "Somebody/2001 - Else/cover.png"]
    for number, place in enumerate(places):
        task = served.engine.begin_upload(
            content_type="albumfile",
            file_size=len(cover),
            checksum=hashlib.sha1(cover).hexdigest(),
            source_filename=f"{number}.png",
        )
        served.engine.receive_chunk(task.id, cover)
        served.engine.wait(task.id, "readyforintegration", timeout=30)
        served.engine.integrate(task.id, place)
        served.engine.wait(task.id, "notexisting", timeout=30)
    for place in places:
        assert ask(client, cover, album=place.rpartition("/")[0])["path"] == place
    assert ask(client, cover, album="Nobody/2001 - Else")["path"] in places


def test_a_preflight_says_why_an_upload_would_be_refused(tmp_path: Path):
    """By the library, and by the server's own limit."""
    with served_library(tmp_path, upload_bytes=10) as served, served.client() as client:
        for more, reason in (
            ({"contenttype": "film"}, "not allowed"),
            ({"checksum": "x"}, "not a valid SHA-1"),
            ({"filesize": 0}, "no content"),
            ({"filesize": -1}, "no content"),
            ({"filesize": 2**63}, "no file has"),
            ({"filesize": 11}, "more than the 10 that are allowed"),
        ):
            told = ask(client, b"0123456789", **more)
            assert told["answer"] == "refused"
            assert reason in told["reason"]
        assert ask(client, b"0123456789") == {"answer": "send"}
        assert served.engine.tasks() == []


def test_a_preflight_needs_a_size(client):
    for body in ({}, {"filesize": "1"}, {"filesize": True}, {"filesize": 1.0}, {"filesize": None}):
        answer = client.post("/api/preflight", json=body)
        assert (answer.status_code, answer.json()["member"]) == (422, "filesize")


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
