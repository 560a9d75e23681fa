"""The page and what the server knows already: it is asked before anything is sent."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
from browserkit import Visit, visiting
from clikit import ALBUM, ARTIST, BOOKLET, COVER, FLAC, MP3, TARGETS, copy_album, files_in, retag
from enginekit import begin
from musictasks.server import events
from relaykit import relay
from serverkit import Served, served_library, wait_until

SHA1 = """async (size) => {
    const { sha1Of } = await import("/page/preflight.js");
    const bytes = new Uint8Array(size).map((_, i) => i % 251);
    const { signal } = new AbortController();
    let read = 0;
    const hex = await sha1Of(new File([bytes], "x"), (done) => { read = done; }, signal);
    return [hex, read];
}"""


def sent(visit: Visit) -> list[tuple[str, int | None]]:
    """From now on, the requests to /uploads/: method and offset."""
    found: list[tuple[str, int | None]] = []

    def note(asked: Any) -> None:
        if "/uploads/" in asked.url and asked.method != "HEAD":
            offset = asked.headers.get("upload-offset")
            found.append((asked.method, None if offset is None else int(offset)))

    visit.page.on("request", note)
    return found


def bring(served: Served, path: Path, target: str) -> None:
    """A file comes in by another client."""
    data = path.read_bytes()
    engine = served.engine
    task = engine.begin_upload(
        content_type="albumfile",
        file_size=len(data),
        checksum=hashlib.sha1(data).hexdigest(),
        source_filename=path.name,
    )
    engine.receive_chunk(task.id, data)
    engine.wait(task.id, "readyforintegration", 30)
    engine.integrate(task.id, target)
    engine.wait(task.id, "notexisting", 30)


def test_its_own_sha1_is_sha1(browser: Any, served: Served) -> None:
    """Of nothing, at the edges of a block, and of more than is read at once."""
    with visiting(browser, served.url) as visit:
        visit.open()
        for size in (0, 1, 55, 56, 63, 64, 65, 119, 120, 4_194_304, 4_194_305, 9_000_000):
            data = (bytes(range(251)) * (size // 251 + 1))[:size]
            assert visit.page.evaluate(SHA1, size) == [hashlib.sha1(data).hexdigest(), size]


def test_an_album_that_is_there_is_not_sent(browser: Any, served: Served, tmp_path: Path) -> None:
    """The same files from elsewhere; it says where it is, and can be sent all the same."""
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(copy_album(tmp_path / "My Album"))
        visit.press("Bring it in")
        visit.wait_for_phase("done")
        visit.press("Close")
        for task in served.engine.tasks():
            served.engine.discard(task.id)
        visit.page.wait_for_selector("#task-count:empty", state="attached")
        asked = sent(visit)
        again = copy_album(tmp_path / "again" / "My Album")
        for path in again.iterdir():
            path.touch()
        visit.add(again)
        visit.wait_for_phase("there")
        assert f"In the library already, and not sent: {ALBUM}" in visit.text(".item")
        assert asked == []
        visit.press("Send it to another place")
        visit.page.wait_for_selector(f"text={ALBUM} is there already")
        begin = visit.page.get_by_role("button", name="Bring it in")
        assert begin.is_disabled()
        visit.page.fill(".album input", "Another")
        visit.press("Bring it in")
        visit.wait_for_phase("done")
        assert asked[0][0] == "POST"
    assert (served.engine.settings.music / ARTIST / "2020 - Another").is_dir()


def test_a_folder_whose_songs_are_there_is_not_sent(
    browser: Any, served: Served, tmp_path: Path
) -> None:
    """Whoever brought them, one by one; with a song that is not, it is sent."""
    album = copy_album(tmp_path / "Album", FLAC, MP3)
    bring(served, album / FLAC, f"{ALBUM}/01 a.flac")
    # The page asks where the other client's song should go; it may be there by then (404, 409).
    with visiting(browser, served.url, expects_errors=True) as visit:
        visit.open()
        visit.add(album)
        visit.page.wait_for_selector(f"text={ALBUM} is there already")
        visit.press("Leave it out")
        bring(served, album / MP3, f"{ALBUM}/02 b.mp3")
        asked = sent(visit)
        visit.add(album)
        visit.wait_for_phase("there")
        assert f"not sent: {ALBUM}" in visit.text(".item")
        assert asked == []


def test_what_is_no_song_and_not_there_is_named_and_sent(
    browser: Any, served: Served, tmp_path: Path
) -> None:
    """A folder whose songs are there: what else is in it goes beside them, by itself."""
    album = copy_album(tmp_path / "Album", FLAC, MP3, COVER)
    (album / "README").write_text("No file of an album: the library ignores this name.")
    (album / "scans").mkdir()
    (album / "scans" / "back.txt").write_text("the back")
    bring(served, album / FLAC, f"{ALBUM}/01 a.flac")
    bring(served, album / MP3, f"{ALBUM}/02 b.mp3")
    bring(served, album / COVER, f"{ALBUM}/front.png")
    bring(served, album / "scans" / "back.txt", f"{ARTIST}/2001 - Other/back.txt")
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(album)
        visit.wait_for_phase("there")
        said = f"Its songs are in the library already, at {ALBUM}. Not there: scans/back.txt."
        assert visit.text(".item .place") == said
        visit.press("Send this file")
        visit.wait_for_phase("done")
        assert visit.text(".item .place") == f"In the library: {ALBUM}/back.txt"
        assert visit.page.locator(".item").count() == 1
    assert f"{ALBUM}/back.txt" in files_in(served.engine.settings.music)


def test_a_file_whose_name_is_taken_gets_another(
    browser: Any, served: Served, tmp_path: Path
) -> None:
    """Nothing is overwritten; a person says what it shall be called."""
    album = copy_album(tmp_path / "Album", FLAC, BOOKLET)
    bring(served, album / FLAC, TARGETS[FLAC])
    bring(served, album / BOOKLET, TARGETS[BOOKLET])
    (album / BOOKLET).write_bytes(b"%PDF-1.4 another")
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(album)
        visit.wait_for_phase("there")
        visit.press("Send this file")
        visit.wait_for_phase("choose")
        visit.page.wait_for_selector(f"text={TARGETS[BOOKLET]} is there already")
        assert visit.page.input_value(".target .name input") == "booklet"
        visit.page.fill(".target .name input", "booklet of 2021.pdf")
        visit.page.wait_for_selector(f"text=Goes to {ALBUM}/booklet of 2021.pdf")
        visit.press("Bring it in")
        visit.wait_for_phase("done")
    assert f"{ALBUM}/booklet of 2021.pdf" in files_in(served.engine.settings.music)


def test_the_half_of_another_client_is_gone_on_with(
    browser: Any, served: Served, tmp_path: Path
) -> None:
    """It is said at which byte of which task; what is there is not sent."""
    song = copy_album(tmp_path / "one", FLAC) / FLAC
    data = song.read_bytes()
    task = begin(served.engine, data, mime_type="audio/flac", source_filename="a.flac")
    served.engine.receive_chunk(task.id, data[:5000])
    with visiting(browser, served.url) as visit:
        visit.open()
        asked = sent(visit)
        visit.add(song)
        visit.page.wait_for_selector(f"text=up to byte 5,000: it goes on with task {task.id}")
        visit.press("Bring it in")
        visit.wait_for_phase("done")
        assert asked == [("PATCH", 5000)]
    assert set(files_in(served.engine.settings.music)) == {TARGETS[FLAC]}


def test_who_cancels_while_it_is_asked_sends_nothing(
    browser: Any, served: Served, tmp_path: Path
) -> None:
    song = copy_album(tmp_path / "one", FLAC) / FLAC
    held: list[Any] = []
    with visiting(browser, served.url) as visit:
        visit.open()
        asked = sent(visit)
        visit.page.route("**/api/preflight", lambda route: held.append(route))
        visit.add(song)
        visit.press("Bring it in")
        visit.page.wait_for_timeout(500)
        visit.press("Cancel")
        visit.page.locator(".item").wait_for(state="detached")
        for route in held:
            route.continue_()
        visit.page.wait_for_timeout(500)
        assert held
        assert asked == []
    assert served.engine.tasks() == []


def test_what_would_be_refused_is_not_sent(browser: Any, tmp_path: Path) -> None:
    song = copy_album(tmp_path / "one", FLAC) / FLAC
    with (
        served_library(tmp_path / "library", upload_bytes=1000) as served,
        visiting(browser, served.url) as visit,
    ):
        visit.open()
        asked = sent(visit)
        visit.add(song)
        visit.wait_for_phase("failed")
        assert "more than the 1000 that are allowed" in visit.text(".item")
        assert asked == []


def test_a_track_that_a_person_writes(browser: Any, served: Served, tmp_path: Path) -> None:
    """It counts more than the tags, and is enough where they have none."""
    folder = copy_album(tmp_path / "songs", FLAC, MP3)
    retag(folder / MP3, tracknumber=None)
    with visiting(browser, served.url) as visit:
        visit.open()
        for number, name in ((7, FLAC), (12, MP3)):
            visit.add(folder / name)
            visit.page.wait_for_function(
                "() => document.querySelector('.title input').value !== ''"
            )
            visit.page.fill(".track input", str(number))
            visit.press("Bring it in")
            visit.wait_for_phase("done")
            visit.press("Close")
    assert set(files_in(served.engine.settings.music)) == {
        f"{ALBUM}/07 Morgenröte.flac",
        f"{ALBUM}/12 Ebbe∕Flut.mp3",
    }


@pytest.mark.parametrize("as_folder", [True, False])
def test_artists_are_spelled_as_in_the_library(
    browser: Any, served: Served, tmp_path: Path, as_folder: bool
) -> None:
    """Unless a person writes the name."""
    there = ARTIST.upper()
    (served.engine.settings.music / there).mkdir()
    folder = copy_album(tmp_path / "Album", FLAC)
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(folder if as_folder else folder / FLAC)
        if as_folder:
            visit.page.wait_for_selector(f"text=Goes to {there}/2020")
            assert visit.page.input_value(".artist input") == there
            visit.page.fill(".artist input", ARTIST)
            visit.page.wait_for_selector(f"text=Goes to {ARTIST}/2020")
            assert visit.page.input_value(".artist input") == ARTIST
            visit.page.fill(".artist input", there)
        visit.press("Bring it in")
        visit.wait_for_phase("done")
    assert set(files_in(served.engine.settings.music)) == {TARGETS[FLAC].replace(ARTIST, there)}


def silent_after(monkeypatch: pytest.MonkeyPatch, visit: Visit) -> None:
    """The server says sooner that it is there, and the page misses it sooner."""
    monkeypatch.setattr(events, "PAUSE_S", 0.2)
    visit.page.evaluate(
        """async () => { (await import("/page/store.js")).Store.silentMs = 1500; }"""
    )


def test_a_stream_that_goes_silent_is_told(
    browser: Any, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection ends, and nothing comes: the page says so, and connects again."""
    with relay(served.port) as wire, visiting(browser, wire.url) as visit:
        visit.open()
        silent_after(monkeypatch, visit)
        served.engine.begin_upload(content_type="albumfile", file_size=3)
        visit.page.wait_for_selector('#task-count:text-is("1")')
        visit.page.wait_for_timeout(2500)  # it is quiet, and not silent
        assert visit.text("#connection") == "connected"
        wire.is_silent = True
        visit.page.wait_for_selector("#connection.offline")
        assert visit.text("#connection") == "reconnecting…"
        served.engine.begin_upload(content_type="albumfile", file_size=3)
        wire.is_silent = False
        visit.page.wait_for_selector("#connection.online")
        visit.page.wait_for_selector('#task-count:text-is("2")')


def test_a_lost_answer_makes_no_second_upload(browser: Any, served: Served, tmp_path: Path) -> None:
    """The announcement is made again with the same id."""
    song = copy_album(tmp_path / "one", FLAC) / FLAC
    made: set[str] = set()
    served.engine.subscribe(lambda _, status: made.add(status["taskid"]))
    with relay(served.port) as wire, visiting(browser, wire.url, expects_errors=True) as visit:
        visit.open()
        wire.lose_answer_to = b"POST /uploads"
        visit.add(song)
        visit.press("Bring it in")
        visit.wait_for_phase("done")
        assert wire.lost == 1
    assert len(made) == 1


def test_a_person_who_is_quicker_than_the_look(
    browser: Any, served: Served, tmp_path: Path
) -> None:
    """What is begun while it is still read waits for what is known of it."""
    album = copy_album(tmp_path / "Large", FLAC)
    (album / "booklet.pdf").write_bytes(b"%PDF-1.4 " + random.Random(3).randbytes(30_000_000))
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(album)
        visit.press("Bring it in")
        visit.wait_for_phase("done")
        (task,) = served.engine.tasks()
        assert task.source_checksum is not None
        served.engine.discard(task.id)
        visit.press("Close")
        wait_until(lambda: visit.page.locator(".item").count() == 0)
        asked = sent(visit)
        visit.add(album)
        visit.page.locator(".item button.primary").first.click()
        visit.wait_for_phase("there")
        assert asked == []
