"""The page in a real Chromium: music is dropped, watched, refused, and goes on after cuts."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from browserkit import Visit, visiting
from clikit import ALBUM, ARTIST, BOOKLET, COVER, FLAC, MP3, TARGETS, copy_album, files_in, retag
from enginekit import begin
from relaykit import relay
from serverkit import TOKEN, Served, ServerProcess, served_library, wait_until

#: So slow that a person could pull the plug; the album takes some seconds then.
SLOW_BYTES_PER_S = 4_000_000


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return copy_album(tmp_path / "My Album")


def large_album(folder: Path) -> Path:
    """The sample album with a booklet of 12 MB: long enough to be cut in the middle."""
    album = copy_album(folder)
    (album / BOOKLET).write_bytes(b"%PDF-1.4 " + random.Random(1).randbytes(12_000_000))
    return album


def expected(album: Path) -> dict[str, str]:
    """What the Music Directory holds when the album is in it."""
    return {TARGETS[name]: checksum for name, checksum in files_in(album).items()}


def offset(visit: Visit, root: Path) -> int:
    """The bytes of the one upload that are on the server's disk."""
    files = [path for path in (root / "data/uploads").rglob("album-*") if path.is_file()]
    return files[0].stat().st_size if files else 0


def test_an_empty_library_says_what_to_do(browser: Any, served: Served) -> None:
    with visiting(browser, served.url) as visit:
        visit.open()
        assert "Drop the first album" in visit.text("#view-add")
        visit.show("tasks")
        assert "There are no tasks" in visit.text("#view-tasks")


def test_an_album_is_added_and_watched(browser: Any, served: Served, album: Path) -> None:
    """A folder becomes one task, which goes its way to the library; the machine shows it."""
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(album)
        visit.page.wait_for_function("() => document.querySelector('.artist input').value !== ''")
        assert visit.page.input_value(".artist input") == ARTIST
        visit.page.wait_for_selector(f"text=Goes to {ALBUM}")
        visit.press("Bring it in")
        visit.wait_for_phase("done")
        assert ALBUM in visit.text(".item")
        (task,) = served.engine.tasks()
        assert task.state == "importcomplete"
        visit.show("machine")
        state = visit.page.get_by_role("button", name="importcomplete: 1 task")
        state.wait_for()
        assert visit.page.locator("circle.dot").count() == 1
        state.click()
        visit.page.click("button.task")
        assert "importcomplete" in visit.text(".detail")
        assert visit.page.locator("g.edge.way").count() == 11
        assert visit.page.locator(".when:not(:empty)").count() == 11
    assert files_in(served.engine.settings.music) == expected(album)


def test_files_are_really_dropped(browser: Any, served: Served, tmp_path: Path) -> None:
    """By a drop event, with their bytes; a song goes to the album of its tags."""
    song = copy_album(tmp_path / "one", FLAC) / FLAC
    drop = """async ({bytes, name}) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], name, {type: "audio/flac"}));
        const event = new DragEvent("drop", {dataTransfer: transfer, bubbles: true});
        document.querySelector(".zone").dispatchEvent(event);
    }"""
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.page.evaluate(drop, {"bytes": list(song.read_bytes()), "name": FLAC})
        visit.press("Bring it in")
        visit.wait_for_phase("done")
    assert set(files_in(served.engine.settings.music)) == {TARGETS[FLAC]}


def test_a_conflict_is_shown_before_anything_is_sent(
    browser: Any, served: Served, album: Path
) -> None:
    """And what a person writes instead of the tags counts."""
    with visiting(browser, served.url) as visit:
        visit.open()
        (served.engine.settings.music / ALBUM).mkdir(parents=True)
        visit.add(album)
        visit.page.wait_for_selector(f"text={ALBUM} is there already")
        assert served.engine.tasks() == []
        visit.page.fill(".album input", "Another")
        visit.page.wait_for_selector(f"text=Goes to {ARTIST}/2020 - Another")
        visit.press("Bring it in")
        visit.wait_for_phase("done")
    assert (served.engine.settings.music / ARTIST / "2020 - Another").is_dir()


def test_a_bad_file_is_refused_in_words(browser: Any, served: Served, tmp_path: Path) -> None:
    """With what is wrong, and a way to go on; nothing is left of it afterwards."""
    song = copy_album(tmp_path / "bad", FLAC) / FLAC
    song.write_bytes(song.read_bytes()[:5000])
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(song)
        visit.press("Bring it in")
        visit.wait_for_phase("failed")
        assert "it is broken" in visit.text(".item")
        visit.press("Leave it out")
        wait_until(lambda: served.engine.tasks() == [])
        visit.page.locator(".item").wait_for(state="detached")


def test_what_a_state_does_not_allow(browser: Any, served: Served, album: Path) -> None:
    """A task has exactly the buttons of its state; what is refused says what is allowed."""
    with visiting(browser, served.url, expects_errors=True) as visit:
        visit.open()
        task = served.engine.begin_upload(
            content_type="albumfile", file_size=5, source_filename="a.pdf"
        )
        visit.show("tasks")
        visit.page.click("button.task")
        buttons = visit.page.locator(".detail .buttons button").all_inner_texts()
        assert buttons == ["Remove"]
        refused = """async (id) => {
            const api = await import("/page/api.js");
            try { await api.post(`api/tasks/${id}/events/retry`); } catch (error) {
                return api.explained(error);
            }
        }"""
        said = visit.page.evaluate(refused, task.id)
        assert "not allowed; allowed there:" in said
        assert "remove" in said
        visit.press("Remove")
        question = "Remove it, with what was uploaded? Files that are in the Music Directory"
        assert f"{question} already stay there." in visit.text(".detail .confirm")
        visit.press("Remove")
        wait_until(lambda: not served.engine.is_known(task.id))


def test_markup_in_names_is_text(browser: Any, served: Served, tmp_path: Path) -> None:
    """In file names, in tags and in annotations."""
    evil = "<img src=x onerror=document.title='owned'>"
    folder = copy_album(tmp_path / "songs", FLAC, COVER)
    song = retag(folder / FLAC, artist=evil, albumartist=evil, title=evil)
    song = song.rename(folder / "<b>01<b>.flac")
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(folder)
        visit.press("Bring it in")
        visit.wait_for_phase("done")
        served.engine.begin_upload(
            content_type="albumfile",
            file_size=5,
            source_filename="a.pdf",
            annotations={"source": evil, "progress": {"done": 1, "total": 2, "path": evil}},
        )
        visit.show("tasks")
        visit.page.wait_for_selector(f'#view-tasks >> text="{evil}"')
        visit.page.locator("button.task").first.click()
        visit.show("machine")
        assert visit.page.locator("img[src=x], main b b").count() == 0
        assert "owned" not in visit.page.title()


def test_the_connection_is_cut(browser: Any, served: Served, tmp_path: Path) -> None:
    """It says so, goes on by itself, and the library is that of an undisturbed upload."""
    album = large_album(tmp_path / "Large")
    root = served.engine.settings.music.parent
    with (
        relay(served.port, SLOW_BYTES_PER_S) as wire,
        visiting(browser, wire.url, expects_errors=True) as visit,
    ):
        visit.open()
        visit.add(album)
        visit.press("Bring it in")
        wait_until(lambda: offset(visit, root) > 2_000_000)
        wire.cut()
        visit.page.wait_for_selector("text=goes on by itself")
        visit.page.wait_for_selector("#connection.offline")
        before = offset(visit, root)
        wire.bytes_per_s = None
        wire.mend()
        visit.wait_for_phase("done")
        visit.page.wait_for_selector("#connection.online")
        assert before > 0
        assert len(served.engine.tasks()) == 1
    assert files_in(served.engine.settings.music) == expected(album)


def test_what_is_sent_is_not_unfinished(browser: Any, served: Served, album: Path) -> None:
    """Also where the news of its task come before the answer that it was made."""
    held: list[Any] = []
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.page.route("**/uploads/", lambda route: held.append((route, route.fetch())))
        visit.add(album)
        visit.press("Bring it in")
        visit.page.wait_for_selector('#task-count:text-is("1")')
        served.engine.begin_upload(
            content_type="albumfile", file_size=5, source_filename="other.pdf"
        )
        visit.page.wait_for_selector("text=Unfinished")
        unfinished = "section[aria-labelledby=left-title] h3"
        assert visit.page.locator(unfinished).all_inner_texts() == ["other.pdf"]
        (route, answer) = held[0]
        route.fulfill(response=answer)
        visit.wait_for_phase("done")


def test_what_goes_on_is_not_unfinished(browser: Any, served: Served, tmp_path: Path) -> None:
    """What was begun by another client leaves the list when it is dropped here."""
    song = copy_album(tmp_path / "one", FLAC) / FLAC
    data = song.read_bytes()
    task = begin(served.engine, data, mime_type="audio/flac", source_filename="a.flac")
    served.engine.receive_chunk(task.id, data[:5000])
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.page.wait_for_selector("text=Unfinished")
        visit.add(song)
        visit.page.wait_for_selector(f"text=it goes on with task {task.id}")
        visit.page.locator("text=Unfinished").wait_for(state="hidden")


def test_the_server_is_killed(browser: Any, tmp_path: Path) -> None:
    """kill -9 in the middle of an upload, and a new start: the page goes on by itself."""
    album, root = large_album(tmp_path / "Large"), tmp_path / "library"
    with (
        ServerProcess(root) as server,
        relay(server.port, SLOW_BYTES_PER_S) as wire,
        visiting(browser, wire.url, expects_errors=True) as visit,
    ):
        visit.open()
        visit.add(album)
        visit.press("Bring it in")
        wait_until(lambda: offset(visit, root) > 2_000_000)
        server.kill()
        visit.page.wait_for_selector("#connection.offline")
        assert offset(visit, root) > 0
        wire.bytes_per_s = None
        server.start()
        visit.wait_for_phase("done")
    assert files_in(root / "music") == expected(album)


def test_the_page_is_loaded_again(browser: Any, served: Served, tmp_path: Path) -> None:
    """The same files dropped again go on where the upload was, as the same task."""
    album = large_album(tmp_path / "Large")
    root = served.engine.settings.music.parent
    with relay(served.port, SLOW_BYTES_PER_S) as wire, visiting(browser, wire.url) as visit:
        visit.open()
        visit.add(album)
        visit.press("Bring it in")
        wait_until(lambda: offset(visit, root) > 2_000_000)
        visit.page.reload()
        visit.page.wait_for_selector("text=Drop the same files again")
        (task,) = served.engine.tasks()
        before = offset(visit, root)
        assert 0 < before < sum(path.stat().st_size for path in album.iterdir())
        wire.bytes_per_s = None
        sent: list[int] = []
        visit.page.on(
            "request",
            lambda asked: (
                sent.append(int(asked.headers["upload-offset"]))
                if asked.method == "PATCH"
                else None
            ),
        )
        visit.add(album)
        visit.wait_for_phase("done")
        assert [one.id for one in served.engine.tasks()] == [task.id]
        assert sent[0] >= before
    assert files_in(served.engine.settings.music) == expected(album)


def test_a_scan_and_its_imports(browser: Any, served: Served, album: Path) -> None:
    """What lies in the Music Directory already is found, listed and imported."""
    place = served.engine.settings.music / ALBUM
    place.mkdir(parents=True)
    for name, target in TARGETS.items():
        shutil.copyfile(album / name, served.engine.settings.music / target)
    with visiting(browser, served.url) as visit:
        visit.open("scan")
        visit.press("Scan the Music Directory")
        visit.page.wait_for_selector(f"text={ALBUM}")
        visit.page.get_by_role("button", name=f"Import {ALBUM}").click()
        visit.page.wait_for_selector("text=imported")
        visit.press("Scan the Music Directory")
        visit.page.wait_for_selector("text=and nothing else")


def test_the_token(browser: Any, tmp_path: Path) -> None:
    """Without it there is a form; a wrong one is refused; with it one is in, and out again."""
    with (
        served_library(tmp_path / "library", token=TOKEN) as served,
        visiting(browser, served.url) as visit,
    ):
        visit.page.goto(served.url)
        visit.page.fill("#token", "a-wrong-token")
        visit.press("Enter")
        visit.page.wait_for_selector("text=not the server's token")
        visit.page.fill("#token", TOKEN)
        visit.press("Enter")
        visit.page.wait_for_selector("body[data-ready]")
        visit.press("Log out")
        visit.page.wait_for_selector("#token")


def test_two_kinds_of_one_drop(browser: Any, served: Served, tmp_path: Path) -> None:
    """Two albums in a folder are two tasks; what is near none is left out, and said."""
    folder = tmp_path / "Downloads"
    retag(copy_album(folder / "One", FLAC) / FLAC, album="One")
    retag(copy_album(folder / "Two", MP3, COVER) / MP3, album="Two")
    copy_album(folder / "Notes", BOOKLET)
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(folder)
        visit.page.wait_for_selector("text=Left out, as no song is near")
        visit.press("Bring all 2 in")
        visit.page.wait_for_function(
            "() => document.querySelectorAll('.item[data-phase=done]').length === 2"
        )
    albums = {path.name for path in (served.engine.settings.music / ARTIST).iterdir()}
    assert albums == {"2020 - One", "2020 - Two"}


def test_files_above_the_only_album(browser: Any, served: Served, tmp_path: Path) -> None:
    """They go with it under their own names; a name that it has already gets the folder's."""
    folder = tmp_path / "Downloads"
    album = copy_album(folder / "My Album", FLAC, COVER)
    shutil.copyfile(album / COVER, folder / "back.png")
    (folder / COVER).write_bytes(b"another")
    (folder / "n.txt").write_text("They were recorded in a barn.")
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(folder)
        visit.press("Bring it in")
        visit.wait_for_phase("done")
    names = {path.removeprefix(f"{ALBUM}/") for path in files_in(served.engine.settings.music)}
    song = TARGETS[FLAC].removeprefix(f"{ALBUM}/")
    assert names == {song, COVER, "back.png", "n.txt", f"Downloads - {COVER}"}


def place(visit: Visit, album: str) -> None:
    """Writes where the one item goes."""
    for name, text in zip(("artist", "year", "album"), (ARTIST, "2020", album), strict=True):
        visit.page.fill(f".fields .{name} input", text)


def test_a_file_that_is_no_song(browser: Any, served: Served, tmp_path: Path) -> None:
    """It goes to its place, also where no song is, and nothing is asked of the database."""
    notes = tmp_path / "notes.txt"
    notes.write_text("They were recorded in a barn.")
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(notes)
        place(visit, "Barn")
        visit.press("Bring it in")
        visit.wait_for_phase("done")
        assert visit.text(".place") == f"In the library: {ARTIST}/2020 - Barn/notes.txt"
        wait_until(lambda: served.engine.tasks() == [])
    assert set(files_in(served.engine.settings.music)) == {f"{ARTIST}/2020 - Barn/notes.txt"}


def test_a_file_that_comes_in_unseen(browser: Any, tmp_path: Path) -> None:
    """Its task is gone when the page hears of the server again: it is looked for there."""
    notes = tmp_path / "notes.txt"
    notes.write_text("They were recorded in a barn.")
    with (
        ServerProcess(tmp_path / "library") as server,
        relay(server.port) as wire,
        visiting(browser, wire.url, expects_errors=True) as visit,
        server.client() as client,
    ):

        def asked(route: Any) -> None:
            """It is brought in, and no news of it come through."""
            wire.cut()
            path = route.request.url.removeprefix(wire.url)
            answer = client.post(path, json=route.request.post_data_json)
            wait_until(lambda: not client.get("/api/tasks").json()["tasks"])
            route.fulfill(status=answer.status_code, json=answer.json())

        visit.page.route("**/integration", asked)
        visit.open()
        visit.add(notes)
        place(visit, "Barn")
        visit.press("Bring it in")
        visit.page.wait_for_selector("#connection.offline")
        server.stop()
        server.start()
        wire.mend()
        visit.wait_for_phase("done")
