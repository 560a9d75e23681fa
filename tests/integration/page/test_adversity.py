"""The page where something is odd: mixed tags, files that change, tasks that others remove."""

from __future__ import annotations

import re
import shutil
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browserkit import Visit, visiting
from clikit import ALBUM, FLAC, M4A, MP3, TARGETS, copy_album, files_in, retag
from musictasks.library import read_song
from mutagen.id3 import ID3, TALB, TPE1, TPE2, Encoding
from relaykit import Relay, relay
from serverkit import Served, ServerProcess, wait_until

#: As in test_page: slow enough for a look at what happens meanwhile.
SLOW_BYTES_PER_S = 2_000_000
#: What the page reads of a file, whose bytes come as base64.
READ_TAGS = """async (base64) => {
    const { readTags } = await import("/page/tags.js");
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    return await readTags(new File([bytes], "song"));
}"""


def noise(folder: Path, size: int) -> Path:
    """An album of the sample's songs with a large booklet."""
    album = copy_album(folder)
    (album / "booklet.pdf").write_bytes(b"%PDF-1.4 " + b"\7" * size)
    return album


def ready(visit: Visit) -> None:
    visit.page.wait_for_selector('.item[data-phase="ready"]')
    visit.page.wait_for_function("() => document.querySelector('.place').textContent !== ''")


@contextmanager
def sending(browser: Any, port: int, tmp_path: Path) -> Iterator[tuple[Visit, Relay]]:
    """A page that begins to send the album `Large`, over a slow wire."""
    album = noise(tmp_path / "Large", 30_000_000)
    with (
        relay(port, SLOW_BYTES_PER_S) as wire,
        visiting(browser, wire.url, expects_errors=True) as visit,
    ):
        visit.open()
        visit.add(album)
        ready(visit)
        visit.press("Bring it in")
        yield visit, wire


def waiting_song(served: Served, tmp_path: Path) -> str:
    """The id of a song that came whole and waits for its place; no page has sent it."""
    song = (copy_album(tmp_path / "waits", FLAC) / FLAC).read_bytes()
    task = served.engine.begin_upload(
        content_type="albumfile", file_size=len(song), source_filename=FLAC
    )
    served.engine.receive_chunk(task.id, song)
    served.engine.wait(task.id, "readyforintegration", 30)
    return task.id


def test_enter_right_after_what_is_written(browser: Any, served: Served, tmp_path: Path) -> None:
    """It goes to the place of what stands there, or not yet; never to the place before."""
    waiting_song(served, tmp_path)
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.page.wait_for_selector(f"text=Goes to {ALBUM}/")
        visit.page.fill(".target .album input", "Elsewhere")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_selector("text=2020 - Elsewhere/")
        visit.page.keyboard.press("Enter")
        wait_until(lambda: files_in(served.engine.settings.music))
    (path,) = files_in(served.engine.settings.music)
    assert "/2020 - Elsewhere/" in path


@pytest.mark.parametrize("is_sent", [True, False])
def test_a_late_answer_of_a_place(
    browser: Any, served: Served, tmp_path: Path, is_sent: bool
) -> None:
    """The answer to what was written before does not count any more, before and after sending."""
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route) if "First" in route.request.url else route.continue_()

    if is_sent:
        waiting_song(served, tmp_path)
    with visiting(browser, served.url) as visit:
        visit.page.route("**/api/library/targets?**", hold)
        visit.open()
        if not is_sent:
            visit.add(copy_album(tmp_path / "album"))
        visit.page.wait_for_selector(f"text=Goes to {ALBUM}")
        with visit.page.expect_request(lambda request: "First" in request.url):
            visit.page.fill(".item .album input", "First")
        visit.page.fill(".item .album input", "Second")
        visit.page.wait_for_selector("text=2020 - Second")
        with visit.page.expect_event("requestfinished", lambda done: "First" in done.url):
            held[0].continue_()
        visit.page.wait_for_timeout(100)
        assert "2020 - Second" in visit.page.locator(".item .place:not(:empty)").inner_text()


def test_songs_that_disagree(browser: Any, served: Served, tmp_path: Path) -> None:
    """No song speaks for all: what they do not agree on is asked for, not taken from the first."""
    folder = copy_album(tmp_path / "Mix", FLAC, MP3)
    retag(folder / FLAC, artist="One", albumartist="One", album="Mix", date="2001")
    retag(folder / MP3, artist="Two", albumartist="Two", album="Mix", date="2002")
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(folder)
        ready(visit)
        assert visit.page.input_value(".album input") == "Mix"
        assert visit.page.input_value(".artist input") == ""
        assert visit.page.input_value(".year input") == ""


@pytest.mark.parametrize("name", ["02 broken.flac", "CD 1/02 broken.m4a"])
def test_a_song_that_cannot_be_read(
    browser: Any, served: Served, tmp_path: Path, name: str
) -> None:
    """It is named: it does not disagree with the others."""
    folder = copy_album(tmp_path / "Album", FLAC)
    broken = folder / name
    broken.parent.mkdir(exist_ok=True)
    broken.write_bytes(b"no song at all" * 1000)
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(folder)
        ready(visit)
        said = f"{name} cannot be read: it is broken, or not what the name says. Take it out"
        assert visit.text(".item .place").startswith(said)


def test_a_song_without_tags(browser: Any, served: Served, tmp_path: Path) -> None:
    """It is named: what the others say is not taken for it, and it does not disagree."""
    folder = copy_album(tmp_path / "Album", FLAC, MP3)
    ID3(folder / MP3).delete(folder / MP3)
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(folder)
        ready(visit)
        said = f"No tags are found in {MP3}: write above what it shall be."
        assert visit.text(".item .place") == said
        assert visit.page.input_value(".artist input") == ""


def test_a_song_of_a_second_disc(browser: Any, served: Served, tmp_path: Path) -> None:
    """It keeps its disc in its name, as where nobody looked at what the page proposes."""
    song = copy_album(tmp_path / "one", FLAC) / FLAC
    retag(song, discnumber="2/2", tracknumber="5", title="Song")
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(song)
        visit.page.wait_for_function("() => document.querySelector('.title input').value !== ''")
        visit.press("Bring it in")
        visit.wait_for_phase("done")
    assert set(files_in(served.engine.settings.music)) == {f"{ALBUM}/2-05 Song.flac"}


def test_the_same_tags_as_the_server(browser: Any, served: Served, tmp_path: Path) -> None:
    """What the page reads of a song is what the server reads of it, or nothing."""
    folder = copy_album(tmp_path / "songs")
    songs = []
    for number, name in enumerate((FLAC, MP3, M4A)):
        for variant, tags in enumerate(
            (
                {},
                {"artist": "A/B; C", "albumartist": "Ü 音楽"},
                {"tracknumber": "7/12", "date": "1999-02-03"},
                {"date": "c. 1999"},
                {"albumartist": None, "artist": "  spaced  "},
            )
        ):
            song = folder / f"{number}{variant}{Path(name).suffix}"
            shutil.copyfile(folder / name, song)
            songs.append(retag(song, **tags))
    for encoding in (Encoding.LATIN1, Encoding.UTF16, Encoding.UTF16BE, Encoding.UTF8):
        for version in (3, 4):
            song = folder / f"id3 {int(encoding)} {version}.mp3"
            shutil.copyfile(folder / MP3, song)
            tags = ID3(song)
            tags.setall("TPE1", [TPE1(encoding=encoding, text="Ärtist")])
            tags.setall("TPE2", [TPE2(encoding=encoding, text=["Bänd", "Other"])])
            tags.setall("TALB", [TALB(encoding=encoding, text="Älbum")])
            tags.save(song, v2_version=version)
            songs.append(song)
    big_endian = folder / "big endian.mp3"
    frame = b"\x01\xfe\xff" + "Älbum".encode("utf-16-be")
    body = b"TALB" + len(frame).to_bytes(4, "big") + b"\0\0" + frame
    shutil.copyfile(folder / MP3, big_endian)
    ID3(big_endian).delete(big_endian)
    tag = b"ID3\x03" + b"\0" * 5 + bytes([len(body)]) + body
    big_endian.write_bytes(tag + big_endian.read_bytes())
    songs.append(big_endian)
    with visiting(browser, served.url) as visit:
        visit.open()
        wrong, read_at_all = [], 0
        for path in songs:
            read = visit.page.evaluate(READ_TAGS, b64encode(path.read_bytes()).decode())
            with path.open("rb") as file:
                song = read_song(file, path.name)
            truth = {
                "artist": song.album_artist or song.artist,
                "album": song.album,
                "year": song.year and str(song.year),
                "track": song.number and str(song.number),
                "title": song.title,
            }
            read_at_all += any(read.values())
            for name, value in read.items():
                if value and value != truth[name]:
                    wrong.append((path.name, name, value, truth[name]))
        assert wrong == []
        assert read_at_all == len(songs)


@pytest.mark.long
def test_bytes_that_arrived_wrong(browser: Any, served: Served, tmp_path: Path) -> None:
    """What is tried again is sent again: the server waits for its bytes anew."""
    song = copy_album(tmp_path / "one", FLAC) / FLAC

    with (
        visiting(browser, served.url, expects_errors=True) as visit,
        served.client() as client,
    ):

        def spoil(route: Any) -> None:
            """Others arrive in their place."""
            headers = {
                "Tus-Resumable": "1.0.0",
                "Upload-Offset": "0",
                "Content-Type": "application/offset+octet-stream",
            }
            wrong = bytes(song.stat().st_size)
            answer = client.patch(route.request.url, content=wrong, headers=headers)
            route.fulfill(status=answer.status_code, body=answer.text)

        visit.page.route(re.compile("/uploads/."), spoil, times=1)
        visit.open()
        visit.add(song)
        visit.press("Bring it in")
        visit.wait_for_phase("failed")
        assert "upload it again" in visit.text(".place")
        visit.press("Try again")
        visit.wait_for_phase("done")
    assert set(files_in(served.engine.settings.music)) == {TARGETS[FLAC]}


def test_a_file_that_changes_meanwhile(browser: Any, served: Served, tmp_path: Path) -> None:
    """It is told so: it cannot go on, and no connection is to blame."""
    with sending(browser, served.port, tmp_path) as (visit, wire):
        visit.wait_for_phase("sending")
        wait_until(lambda: any(task.offset for task in served.engine.tasks()))
        (tmp_path / "Large" / "booklet.pdf").write_bytes(b"another")
        wire.bytes_per_s = None
        visit.wait_for_phase("failed", 20)
        assert "has changed" in visit.text(".item")


@pytest.mark.long
def test_a_task_that_somebody_removes(browser: Any, served: Served, tmp_path: Path) -> None:
    """It is not sent again behind the back of whoever removed it."""
    with sending(browser, served.port, tmp_path) as (visit, wire):
        wait_until(lambda: any(task.offset for task in served.engine.tasks()))
        (task,) = served.engine.tasks()
        served.engine.remove(task.id)
        visit.wait_for_phase("failed", 20)
        wire.bytes_per_s = None
        time.sleep(4)
        assert served.engine.tasks() == []


@pytest.mark.long
def test_trouble_is_forgotten_when_bytes_flow(browser: Any, served: Served, tmp_path: Path) -> None:
    """While it sends again it says how far it is, not that the connection is gone."""
    with sending(browser, served.port, tmp_path) as (visit, wire):
        wait_until(lambda: any(task.offset for task in served.engine.tasks()))
        wire.cut()
        visit.page.wait_for_selector("text=goes on by itself")
        wire.mend()
        visit.page.wait_for_selector("#connection.online")
        time.sleep(3)
        assert "goes on by itself" not in visit.text(".item")


def test_a_removal_leaves_the_console_clean(browser: Any, served: Served) -> None:
    """The page learns of the end without asking for what is gone."""
    task = served.engine.begin_upload(
        content_type="albumfile", file_size=5, source_filename="a.pdf"
    )
    with visiting(browser, served.url) as visit:
        visit.open("tasks")
        visit.page.wait_for_selector("button.task")
        served.engine.remove(task.id)
        visit.page.wait_for_function("() => document.querySelectorAll('button.task').length === 0")
        time.sleep(0.5)


ODD: tuple[dict[str, Any], ...] = (
    {"progress": {"total": 3}},
    {"progress": {"total": "x", "done": None}},
    {"progress": "half"},
    {"source": ["a", {}]},
    {"source": {"a": 1}},
    {"source": ""},
)


def test_odd_annotations(browser: Any, served: Served) -> None:
    """Whatever clients noted of their tasks, the page shows those and every other one."""
    with served.client() as client:
        for annotations in ({}, *ODD):
            task = served.engine.begin_upload(
                content_type="albumfile", file_size=5, source_filename="a.pdf"
            )
            path = f"/api/tasks/{task.id}/annotations"
            assert client.post(path, json={"annotations": annotations}).status_code == 200
    with visiting(browser, served.url) as visit:
        visit.open("tasks")
        shown = visit.page.locator("button.task")
        visit.page.wait_for_function(
            "(number) => document.querySelectorAll('button.task').length === number",
            arg=1 + len(ODD),
        )
        for i in range(1 + len(ODD)):
            assert shown.nth(i).locator(".name").inner_text() == "a.pdf"
            shown.nth(i).click()
            visit.page.wait_for_selector(".detail:not([hidden])")
        visit.show("add")


def test_a_drop_before_the_tasks_are_known(browser: Any, served: Served, tmp_path: Path) -> None:
    """An upload of before goes on also where the files were dropped while the page loads."""
    album = copy_album(tmp_path / "Album")
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(album)
        ready(visit)
        visit.press("Bring it in")
        visit.wait_for_phase("done")
        held: list[Any] = []
        visit.page.route(
            "**/api/tasks?*", lambda route: route.continue_() if held else held.append(route)
        )
        visit.page.reload(wait_until="commit")
        visit.page.wait_for_selector("#pick-folder", state="attached")
        visit.add(album)
        visit.page.wait_for_selector(".item")
        visit.page.wait_for_timeout(500)  # it could have looked, and found no task
        held[0].continue_()
        visit.wait_for_phase("done", 10)
        assert len(served.engine.tasks()) == 1


@pytest.mark.long
def test_a_server_that_answers_late(browser: Any, served: Served) -> None:
    """The page asks again for what it begins with, and needs no reload."""
    with visiting(browser, served.url, expects_errors=True) as visit:
        for path in ("**/page/config.json", "**/api/lifecycle"):
            visit.page.route(path, lambda route: route.abort(), times=1)
        visit.open()
        visit.page.wait_for_selector("#connection.online")
        assert "Drop the first album" in visit.text("#view-add")
        assert visit.text("#notices") == ""


def test_a_removal_while_the_page_is_away(browser: Any, tmp_path: Path) -> None:
    """Of a song that is asked for its place: its form leads nowhere any more."""
    song = retag(copy_album(tmp_path / "one", FLAC) / FLAC, date=None)
    with (
        ServerProcess(tmp_path / "library") as server,
        relay(server.port) as wire,
        visiting(browser, wire.url, expects_errors=True) as visit,
        server.client() as client,
    ):
        visit.open()
        visit.add(song)
        visit.press("Bring it in")
        visit.wait_for_phase("choose")
        wire.cut()
        visit.page.wait_for_selector("#connection.offline")
        (task,) = client.get("/api/tasks").json()["tasks"]
        client.delete(f"/api/tasks/{task['id']}")
        wait_until(lambda: not client.get("/api/tasks").json()["tasks"])
        server.stop()
        server.start()
        wire.mend()
        visit.wait_for_phase("failed")
        assert visit.text(".item .place") == "Its task was removed."


def test_a_line_that_goes_silent(browser: Any, served: Served, tmp_path: Path) -> None:
    """No reset, no answer, nothing: after a while it is tried anew."""
    album = noise(tmp_path / "Large", 30_000_000)
    with (
        relay(served.port, SLOW_BYTES_PER_S) as wire,
        visiting(browser, wire.url, expects_errors=True) as visit,
    ):
        visit.open()
        visit.page.evaluate(
            """async () => { (await import("/page/tus.js")).Upload.stallMs = 1000; }"""
        )
        visit.add(album)
        ready(visit)
        visit.press("Bring it in")
        wait_until(lambda: any(task.offset for task in served.engine.tasks()))
        wire.bytes_per_s = 0.001  # what is under way now waits for ever
        time.sleep(1)
        wire.bytes_per_s = None
        visit.wait_for_phase("done", 40)


#: A scan of many albums, as its notification brings it: the real view, and no disk to fill.
LARGE_SCAN = """async (albums) => {
    const { Scan } = await import("/page/scan.js");
    const store = Object.assign(new EventTarget(), {
        tasks: new Map(), last: new Map(), role: (view) => view.state,
    });
    const place = document.getElementById("view-scan");
    place.replaceChildren();
    new Scan(store, place);
    const newpaths = { albums: [], songs: [], videos: [], filteredsongs: [] };
    for (let i = 0; i < albums; i += 1) {
        const path = `Artist ${i % 500}/2000 - Album ${i}`;
        newpaths.albums.push({ path });
        for (let j = 0; j < 12; j += 1) newpaths.songs.push({ path: `${path}/${j} Song.flac` });
    }
    const annotations = {
        newpaths, lostpaths: { albums: [], songs: [], videos: [] },
        movedpaths: [], skippedpaths: [],
    };
    const view = { id: "x", state: "finished", task: { contenttype: "any", annotations } };
    const began = performance.now();
    store.dispatchEvent(new CustomEvent("task", { detail: { view, gone: false } }));
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    return performance.now() - began;
}"""


def test_a_scan_of_a_whole_collection(browser: Any, served: Served) -> None:
    """5,000 new albums are a list with a number, a button for all, and the first of them."""
    with visiting(browser, served.url) as visit:
        visit.open("scan")
        # 0.1 s on an idle machine; where each album looked at all songs, 40 s.
        assert visit.page.evaluate(LARGE_SCAN, 5000) < 3000
        assert visit.text("#view-scan h2") == "New 5,000"
        assert visit.page.locator("#view-scan li").count() == 200
        visit.press("Show more")
        visit.page.wait_for_function(
            "() => document.querySelectorAll('#view-scan li').length === 400"
        )


@pytest.mark.long
def test_an_import_that_ends_unseen(browser: Any, tmp_path: Path) -> None:
    """What became of it while the server was away is told afterwards."""
    album, root = copy_album(tmp_path / "Album"), tmp_path / "library"
    (root / "music" / ALBUM).mkdir(parents=True)
    for name, target in TARGETS.items():
        shutil.copyfile(album / name, root / "music" / target)
    with (
        ServerProcess(root) as server,
        relay(server.port) as wire,
        visiting(browser, wire.url, expects_errors=True) as visit,
        server.client() as client,
    ):

        def asked(route: Any) -> None:
            """The import is asked for, and no news of it come through."""
            wire.cut()
            answer = client.post("/api/imports", json=route.request.post_data_json)
            route.fulfill(status=answer.status_code, json=answer.json())

        visit.page.route("**/api/imports", asked)
        visit.open("scan")
        visit.press("Scan the Music Directory")
        visit.page.get_by_role("button", name=f"Import {ALBUM}").click()
        visit.page.wait_for_selector("text=importing…")
        wait_until(lambda: client.get("/api/tasks?state=importcomplete").json()["tasks"])
        server.stop()
        server.start()
        wire.mend()
        visit.page.wait_for_selector("#view-scan .state:text-is('imported')")
