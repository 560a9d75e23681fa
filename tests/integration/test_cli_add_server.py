"""`musictasks add --server`: an album goes to a server elsewhere, whatever breaks on the way."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from hashlib import sha1
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from archivekit import album_files, make_zip
from clikit import (
    ALBUM,
    ARTIST,
    BOOKLET,
    COVER,
    FLAC,
    TARGETS,
    Library,
    copy_album,
    files_in,
    retag,
    start,
)
from damagingwire import DamagingWire
from enginekit import begin
from musictasks.cli import following, main, sending
from musictasks.cli.answers import NoMusictasksServer
from musictasks.cli.following import Following
from musictasks.cli.remote import Remote
from musictasks.files import Effects, using
from musictasks.library import MusicDatabase, verify
from musictasks.music import ledger, music_directory
from relaykit import relay
from serverkit import (
    BEARER,
    TOKEN,
    Served,
    ServerProcess,
    make_certificate,
    served_library,
    wait_until,
)
from starlette.responses import Response
from starlette.routing import Route


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with served_library(tmp_path / "served", token=TOKEN) as served:
        yield served


@pytest.fixture
def add(served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Adds to the server in this process; returns the exit status and the output."""
    monkeypatch.setenv("MUSICTASKS_TOKEN", TOKEN)

    def add(*arguments: object, url: str = served.url) -> tuple[int, str]:
        status = main(["add", "--server", url, *map(str, arguments)])
        return status, capsys.readouterr().out

    return add


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return copy_album(tmp_path / "album")


def local(tmp_path: Path, *paths: Path) -> dict[str, str]:
    """What an `add` without a server makes of it."""
    library = Library(tmp_path / "local")
    assert main(["add", "--library", str(library.root), *map(str, paths)]) == 0
    return files_in(library.root / "music")


def test_a_server_gets_what_a_library_here_would_get(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    """The same files at the same paths, imported, with artwork; once more changes nothing."""
    for said in ("5 files sent.", "0 files sent, 5 there already."):
        status, output = add(album)
        assert (status, output.splitlines()[-1]) == (0, said)
        assert files_in(tmp_path / "served/music") == local(tmp_path, album)
    database = MusicDatabase(Library(tmp_path / "served").settings.database)
    assert len(database.songs(ALBUM)) == 3
    found = database.album(ALBUM)
    assert found is not None
    assert found["artworkpath"] != "default.jpg"


def test_an_archive_is_unpacked_there(served: Served, add: Callable[..., Any], tmp_path: Path):
    """Its songs say where it goes, or the one who adds it."""
    (tmp_path / "album.zip").write_bytes(make_zip(album_files()))
    assert add(tmp_path / "album.zip", "--album", "Another", "--year", 1999)[0] == 0
    artist = ALBUM.partition("/")[0]
    assert (tmp_path / "served/music" / artist / "1999 - Another").is_dir()


def received(served: Served) -> int:
    """The bytes of uploads that the server has taken so far, besides a little JSON."""
    with served.client(headers=BEARER) as client:
        text = client.get("/metrics").text
    (line,) = (one for one in text.splitlines() if one.startswith("musictasks_received_bytes_t"))
    return int(float(line.split()[1]))


def rename(served: Served) -> str:
    """The album and a file of it have other names by now, and the ledger knows."""
    settings = served.engine.settings
    renamed = f"{ARTIST}/2020 - Deluxe"
    (settings.music / ALBUM).rename(settings.music / renamed)
    (settings.music / renamed / BOOKLET).rename(settings.music / renamed / "notes.pdf")
    verify(music_directory(settings), ledger(settings))
    return renamed


def test_what_is_there_is_not_sent_whatever_it_is_called(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    """Songs by their bytes, and what lies beside them with them; who says where gets it there."""
    assert add(album)[0] == 0
    renamed = rename(served)
    before, content = received(served), files_in(tmp_path / "served/music")
    status, output = add(album)
    assert (status, output.splitlines()[-1]) == (0, "0 files sent, 5 there already.")
    assert f"is there already, at {renamed}/notes.pdf" in " ".join(output.split())
    assert received(served) - before < 5000
    assert files_in(tmp_path / "served/music") == content
    status, output = add(album / FLAC, "--year", 2021)
    assert (status, output.splitlines()[-1]) == (0, "1 file sent.")
    assert (tmp_path / "served/music" / ARTIST / "2021 - Über den Wäldern").is_dir()


def test_a_cover_of_another_album_is_sent(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    """Once: then it is in both."""
    assert add(album)[0] == 0
    other = copy_album(tmp_path / "other", FLAC, COVER)
    retag(other / FLAC, album="Another")
    status, output = add(other)
    assert (status, output.splitlines()[-1]) == (0, "2 files sent.")
    assert (tmp_path / "served/music" / ARTIST / "2020 - Another" / COVER).exists()
    for again in (album, other):
        assert "0 files sent" in add(again)[1].splitlines()[-1]


def test_a_cover_that_one_album_refuses_comes_into_another(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    """The task that has failed with the same bytes is in nobody's way."""
    music = tmp_path / "served/music"
    (music / ALBUM).mkdir(parents=True)
    (music / TARGETS[COVER]).write_bytes(b"another cover")
    other = copy_album(tmp_path / "other", FLAC, COVER)
    retag(other / FLAC, album="Other")
    assert add(album)[1].splitlines()[-1] == "4 files sent, 1 failed."
    assert add(other)[1].splitlines()[-1] == "2 files sent."
    assert (music / ARTIST / "2020 - Other" / COVER).read_bytes() == (album / COVER).read_bytes()
    assert add(album)[1].splitlines()[-1] == "0 files sent, 4 there already, 1 failed."


def test_an_archive_that_is_there_is_not_sent_and_no_song_of_it(
    served: Served, add: Callable[..., Any], tmp_path: Path
):
    """Also under its present name; with another album named, it is sent."""
    packed = tmp_path / "album.zip"
    packed.write_bytes(make_zip(album_files()))
    assert add(packed)[0] == 0
    before = received(served)
    for path in (packed, copy_album(tmp_path / "song", FLAC)):
        status, output = add(path)
        assert (status, output.splitlines()[-1]) == (0, "0 files sent, 1 there already.")
    rename(served)
    assert add(packed)[1].splitlines()[-1] == "0 files sent, 1 there already."
    assert received(served) - before < 5000
    assert add(packed, "--album", "Other")[1].splitlines()[-1] == "1 file sent."


def test_what_was_lost_meanwhile_is_sent_again(
    served: Served, add: Callable[..., Any], tmp_path: Path
):
    """The task of the first time is still there, and finished; the album is not."""
    packed = tmp_path / "album.zip"
    packed.write_bytes(make_zip(album_files()))
    assert add(packed)[0] == 0
    content = files_in(tmp_path / "served/music")
    shutil.rmtree(tmp_path / "served/music" / ARTIST)
    assert add(packed)[1].splitlines()[-1] == "1 file sent."
    assert files_in(tmp_path / "served/music") == content


def test_the_upload_of_another_client_is_gone_on_with(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    """It waits for the rest of the same bytes: those before are not sent."""
    song = (album / FLAC).read_bytes()
    task = served.engine.begin_upload(
        content_type="albumfile", file_size=len(song), checksum=sha1(song).hexdigest()
    )
    served.engine.receive_chunk(task.id, song[:-10])
    before = received(served)
    assert add(album / FLAC)[1].splitlines()[-1] == "1 file sent."
    assert received(served) - before < 2000
    assert set(files_in(tmp_path / "served/music")) == {TARGETS[FLAC]}


def test_the_upload_of_another_client_that_is_being_checked_is_gone_on_with(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    """That client may be gone: nobody else says where the file goes."""
    song, looked = (album / FLAC).read_bytes(), threading.Event()
    served.engine.observe(lambda told: looked.wait(20) if told.state == "preprocessing" else None)
    task = served.engine.begin_upload(
        content_type="albumfile", file_size=len(song), checksum=sha1(song).hexdigest()
    )
    served.engine.receive_chunk(task.id, song)
    threading.Timer(2, looked.set).start()
    assert add(album / FLAC)[1].splitlines()[-1] == "1 file sent."
    assert set(files_in(tmp_path / "served/music")) == {TARGETS[FLAC]}


@pytest.mark.parametrize("step", ["begin", "send"])
def test_who_adds_the_same_at_the_same_time_disturbs_nobody(
    served: Served,
    add: Callable[..., Any],
    album: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
):
    """The other one has it at its place before this one begins to upload it, or goes on to."""
    song, do, others = (album / FLAC).read_bytes(), getattr(Remote, step), []

    def quicker(self: Remote, task_id: str, *given: Any) -> None:
        if not others:
            checksum = sha1(song).hexdigest()
            others.append(task_id)
            served.engine.begin_upload(
                content_type="albumfile",
                file_size=len(song),
                checksum=checksum,
                task_id=task_id,
            )
            served.engine.receive_chunk(task_id, song)
            served.engine.wait(task_id, "readyforintegration", timeout=20)
            served.engine.integrate(task_id, TARGETS[FLAC])
            served.engine.wait(task_id, "readyforimport", timeout=20)
        do(self, task_id, *given)

    monkeypatch.setattr(Remote, step, quicker)
    assert add(album / FLAC)[0] == 0
    assert others
    assert set(files_in(tmp_path / "served/music")) == {TARGETS[FLAC]}


@pytest.mark.parametrize("times", [1, 99])
def test_a_task_that_is_just_being_made_is_asked_for_again(
    add: Callable[..., Any], album: Path, monkeypatch: pytest.MonkeyPatch, times: int
):
    """And not for ever."""
    ask, asked = Remote.preflight, []

    def preflight(self: Remote, *given: Any) -> dict[str, Any]:
        asked.append(given)
        if len(asked) > times:
            return ask(self, *given)
        reason = "the same bytes are about to be uploaded"
        return {"answer": "refused", "task_id": "not-there", "reason": reason}

    monkeypatch.setattr(Remote, "preflight", preflight)
    said = "1 file sent." if times == 1 else "0 files sent, 1 failed."
    assert add(album / FLAC)[1].splitlines()[-1] == said


def test_artists_are_spelled_as_there(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    (tmp_path / "served/music" / ARTIST.upper()).mkdir()
    status, output = add(album / FLAC)
    assert status == 0
    assert f"goes to {ARTIST.upper()}" in " ".join(output.split())
    assert set(files_in(tmp_path / "served/music")) == {
        TARGETS[FLAC].replace(ARTIST, ARTIST.upper())
    }


def test_a_server_that_knows_no_preflight_gets_it(
    served: Served, add: Callable[..., Any], album: Path
):
    routes = served.app.router.routes
    routes[:] = [one for one in routes if getattr(one, "path", "") != "/api/preflight"]
    for _ in range(2):
        assert add(album / FLAC)[1].splitlines()[-1] == "1 file sent."


def test_a_lost_answer_to_the_announcement_makes_no_second_upload(
    served: Served, add: Callable[..., Any], album: Path
):
    """The id is the same: the upload that is there goes on."""
    made: set[str] = set()
    served.engine.subscribe(lambda _, status: made.add(status["taskid"]))
    with relay(served.port) as wire:
        wire.lose_answer_to = b"POST /uploads"
        assert add(album / FLAC, url=wire.url)[1].splitlines()[-1] == "1 file sent."
        assert wire.lost == 1
    assert len({task_id for task_id in made if task_id.startswith("add-")}) == 1


def added_and_lost(add: Callable[..., Any], tmp_path: Path) -> Path:
    """An archive that was added: its task is still there, and finished; the album is not."""
    packed = tmp_path / "album.zip"
    packed.write_bytes(make_zip(album_files()))
    assert add(packed)[0] == 0
    shutil.rmtree(tmp_path / "served/music" / ARTIST)
    return packed


def test_a_lost_answer_to_the_removal_of_an_ended_upload_is_no_failure(
    served: Served, add: Callable[..., Any], tmp_path: Path
):
    """The second request for it meets a task that is being removed, or gone."""
    packed = added_and_lost(add, tmp_path)
    with relay(served.port) as wire:
        wire.lose_answer_to = b"DELETE /api/tasks"
        assert add(packed, url=wire.url)[1].splitlines()[-1] == "1 file sent."
        assert wire.lost == 1


def test_nothing_is_sent_by_a_dry_run(served: Served, add: Callable[..., Any], album: Path):
    status, output = add(album, "--dry-run", url="http://127.0.0.1:1")
    assert status == 0
    assert all(target in output for target in TARGETS.values())
    assert served.engine.tasks() == []


def test_a_damaged_chunk_is_sent_again(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    with DamagingWire(served.port, at=30_000) as wire:
        assert add(album, url=f"http://127.0.0.1:{wire.port}")[0] == 0
        assert wire.damaged == 1
    assert files_in(tmp_path / "served/music") == local(tmp_path, album)


def test_without_the_token_it_says_so(
    served: Served, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Once, as no file would fare otherwise."""
    (tmp_path / "token").write_text("not the token\n")
    run = ["add", "--server", served.url, str(album), "--token-file", str(tmp_path / "token")]
    assert main(run) == 1
    said = capsys.readouterr()
    assert said.err.count("this needs the server's token: give it by --token-file") == 1
    assert "!" not in said.out
    assert served.engine.tasks() == []


def test_what_is_in_its_place_is_not_overwritten(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    """The others come in, and it is said what stands there."""
    there = tmp_path / "served/music" / TARGETS["booklet.pdf"]
    there.parent.mkdir(parents=True)
    there.write_bytes(b"another booklet")
    status, output = add(album)
    assert status == 1
    assert "4 files sent, 1 failed." in output
    assert there.read_bytes() == b"another booklet"


@pytest.mark.parametrize("url", ["music.example", "ftp://x", "http://", "http://x:port"])
def test_what_is_no_address_is_refused(url: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["add", "--server", url, "x"])
    assert "is no address" in capsys.readouterr().err


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=pytest.mark.long)])
def test_it_goes_on_whatever_is_killed(album: Path, tmp_path: Path, kills: int):
    """The command once, the server more often: the library is that of an undisturbed run."""
    (booklet,) = album.glob("*.pdf")
    booklet.write_bytes(booklet.read_bytes() + random.Random(1).randbytes(20_000_000))
    expected = local(tmp_path, album)
    root = tmp_path / "served"
    with ServerProcess(root) as server:
        first = start("add", "--server", server.url, album)
        wait_until(lambda: large_upload(root) > 4_000_000)
        first.kill()
        first.communicate()
        second = start("add", "--server", server.url, album)
        for _ in range(kills):
            server.kill()
            server.start()
        said = second.communicate(timeout=100)
    assert second.returncode == 0, said
    assert files_in(root / "music") == expected


def large_upload(root: Path) -> int:
    try:
        sizes = [path.stat().st_size for path in (root / "data/uploads").glob("*/albumfile-*.pdf")]
    except FileNotFoundError:  # a directory of another upload went while it was looked through
        return 0
    return max(sizes, default=0)


def test_while_the_server_is_away_it_says_so(album: Path, tmp_path: Path):
    """Once, and goes on when it is there."""
    with ServerProcess(tmp_path / "served") as server:
        server.kill()
        with start("add", "--server", server.url, album) as adding:
            assert adding.stdout is not None
            lines = [adding.stdout.readline(), adding.stdout.readline()]
            assert lines[1].strip() == "… Connection refused: trying again"
            server.start()
            rest, complaints = adding.communicate(timeout=60)
    assert (adding.returncode, complaints) == (0, "")
    assert "trying again" not in rest
    assert rest.splitlines()[-1] == "5 files sent."


def test_who_interrupts_it_waits_for_no_server(album: Path):
    """Not even for one that takes the connection, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with start("add", "--server", url, album) as adding:
            taken, _ = silent.accept()
            with taken:
                adding.send_signal(signal.SIGINT)
                _, complaints = adding.communicate(timeout=30)  # an answer is waited for longer
    assert adding.returncode == 130
    assert "The same command again goes on" in complaints


def test_songs_of_an_album_are_on_their_way_together(
    add: Callable[..., Any], album: Path, monkeypatch: pytest.MonkeyPatch
):
    """None of the three is sent before the last of them is announced."""
    together, announce = threading.Barrier(3), Remote.begin

    def wait(self: Remote, task_id: str, size: int, metadata: Mapping[str, str]) -> None:
        announce(self, task_id, size, metadata)
        if metadata["filename"].endswith((".flac", ".mp3", ".m4a")):
            together.wait(20)

    monkeypatch.setattr(Remote, "begin", wait)
    status, output = add(album)
    assert (status, output.splitlines()[-1]) == (0, "5 files sent.")


def test_songs_with_the_same_bytes_are_sent_once(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    """The others are there then."""
    for name in ("a", "b", "c"):
        shutil.copy(album / FLAC, album / f"{name}.flac")
    status, output = add(album)
    assert (status, output.splitlines()[-1]) == (0, "5 files sent, 3 there already.")
    assert files_in(tmp_path / "served/music") == local(tmp_path, album)


def test_it_waits_for_what_the_server_tells(
    served: Served, add: Callable[..., Any], album: Path, monkeypatch: pytest.MonkeyPatch
):
    """A task is looked at when it has changed, however long that takes."""
    looks: list[str | None] = []
    look = Remote.task

    def counted(self: Remote, task_id: str) -> dict[str, Any] | None:
        task = look(self, task_id)
        looks.append(None if task is None else task["state"])
        return task

    monkeypatch.setattr(Remote, "task", counted)
    monkeypatch.setattr(following, "time", None)  # nothing waits for the clock
    served.engine.observe(lambda told: time.sleep(0.5) if told.state == "integrating" else None)
    status, output = add(album / FLAC)
    assert (status, output.splitlines()[-1]) == (0, "1 file sent.")
    assert len(looks) < 20, looks


class SlowRemoval(Effects):
    """A disk that takes its time to remove a task's file."""

    def unlink(self, name: str, *, dir_fd: int) -> None:
        time.sleep(0.5 if name.endswith(".json") else 0)
        super().unlink(name, dir_fd=dir_fd)


def test_a_removal_that_takes_its_time_is_waited_for(
    served: Served, add: Callable[..., Any], tmp_path: Path
):
    """Nothing tells of its end."""
    packed = added_and_lost(add, tmp_path)
    with using(SlowRemoval()):
        assert add(packed)[1].splitlines()[-1] == "1 file sent."


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"<html>log in</html>",
        b"event: task\n\n",
        b"event: task\ndata: {}\n\n",
        b"event: task\ndata: [1]\n\n",
        b"event: task\ndata: \xff\n\n",
    ],
)
def test_a_stream_of_something_else_is_none(
    served: Served,
    add: Callable[..., Any],
    album: Path,
    monkeypatch: pytest.MonkeyPatch,
    stream: bytes,
):
    """And is not asked for without a pause."""
    routes, asked = served.app.router.routes, []

    def answer(_: Any) -> Response:
        asked.append(stream)
        return Response(stream, media_type="text/event-stream")

    (place,) = (at for at, one in enumerate(routes) if getattr(one, "path", "") == "/api/events")
    routes[place] = Route("/api/events", answer)
    monkeypatch.setattr(following, "_LOOK_AGAIN_S", 0.1)
    served.engine.observe(lambda told: time.sleep(0.5) if told.state == "integrating" else None)
    assert add(album / FLAC)[1].splitlines()[-1] == "1 file sent."
    assert 1 < len(asked) < 40


@pytest.mark.parametrize("why", ["all streams are taken", "a proxy holds the stream back"])
def test_without_the_events_it_looks_again(
    add: Callable[..., Any],
    album: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
):
    monkeypatch.setattr(following, "_LOOK_AGAIN_S", 0.05)
    with (
        served_library(tmp_path / "one", token=TOKEN, event_streams=1) as served,
        ExitStack() as stack,
    ):
        if why == "all streams are taken":
            client = stack.enter_context(served.client(headers=BEARER))
            taken = stack.enter_context(client.stream("GET", "/api/events"))
            assert taken.status_code == 200
        else:
            monkeypatch.setattr(following, "_SILENT_S", 0.2)  # nothing comes before 15 s
            monkeypatch.setattr(Following, "_concerns", lambda *_: False)
        status, output = add(album, url=served.url)
    assert (status, output.splitlines()[-1]) == (0, "5 files sent.")


# -- what answers otherwise than it should --------------------------------------------------


def test_a_task_that_somebody_removes_is_no_file_that_came_in(
    served: Served, add: Callable[..., Any], album: Path, monkeypatch: pytest.MonkeyPatch
):
    """A task that goes because its file is at its place looks the same."""
    send = Remote.send

    def sent_and_removed(self: Remote, task_id: str, *given: Any) -> None:
        send(self, task_id, *given)
        served.engine.wait(task_id, "readyforintegration", timeout=20)
        served.engine.remove(task_id)

    monkeypatch.setattr(Remote, "send", sent_and_removed)
    status, output = add(album / FLAC)
    assert (status, output.splitlines()[-1]) == (1, "0 files sent, 1 failed.")
    assert "was removed before it was at its place" in output


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """The address of something that answers all requests alike."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


ANSWER = b'HTTP/1.1 200 OK\r\nServer: one\r\nContent-Length: 18\r\n\r\n{"answer":"there"}'


@pytest.mark.parametrize("cut", [*range(0, 48, 6), *range(48, len(ANSWER))])
def test_an_answer_that_is_cut_off_is_asked_for_again(cut: int):
    """Also right after its head, as by a server that is killed between two writes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for part in (ANSWER[:cut], ANSWER):
                taken, _ = server.accept()
                with taken, taken.makefile("rb") as asked:
                    while asked.readline().strip():
                        pass
                    asked.read(60)
                    taken.sendall(part)

        answering = threading.Thread(target=answer)
        answering.start()
        with closing(Remote(f"http://127.0.0.1:{server.getsockname()[1]}", None, 20)) as remote:
            assert remote.preflight("albumfile", 1, "0" * 40) == {"answer": "there"}
        answering.join()


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "application/json", b"{}"),
        (200, "application/json", b"[]"),
        (200, "text/html", b"<html>log in</html>"),
        (200, "application/json", b"\xff"),
        (400, "application/problem+json", b"<html>"),
        (400, "application/problem+json", b"[]"),
        (302, "text/html", b""),
    ],
)
def test_what_is_no_musictasks_server_is_none(
    album: Path, capsys: pytest.CaptureFixture[str], status: int, kind: str, body: bytes
):
    """It says so, once where nothing else is to be expected."""
    with answering(status, body, Content_Type=kind) as url:
        assert main(["add", "--server", url, str(album / FLAC)]) == 1
    said = capsys.readouterr()
    if status == 200:
        assert "does not answer as a musictasks server does" in said.err
    else:
        assert f"the server refused it ({status}): no reason given" in said.out


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upload_Length": "10"},
        {"Upload_Offset": "-5", "Upload_Length": "10"},
        {"Upload_Offset": "11", "Upload_Length": "10"},
        {"Upload_Offset": "ten", "Upload_Length": "10"},
    ],
)
def test_an_upload_stands_at_a_number(headers: dict[str, str]):
    with (
        answering(200, b"", **headers) as url,
        closing(Remote(url, None)) as remote,
        pytest.raises(NoMusictasksServer, match="how much"),
    ):
        remote.standing("some")


def test_a_chunk_is_there_when_its_answer_says_so(
    served: Served, add: Callable[..., Any], album: Path, tmp_path: Path
):
    """Else it is sent again: something on the way may have answered."""
    (uploads,) = (one for one in served.app.router.routes if one.path == "/uploads/{id:path}")
    take, swallowed = uploads.app, []

    async def swallow(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "PATCH" and not swallowed:
            swallowed.append(scope["path"])
            await Response(status_code=200)(scope, receive, send)
        else:
            await take(scope, receive, send)

    uploads.app = swallow
    assert add(album / FLAC)[1].splitlines()[-1] == "1 file sent."
    assert len(swallowed) == 1
    assert len(files_in(tmp_path / "served/music")) == 1


def test_a_server_that_does_not_answer_ends_it(
    album: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Else each file would wait for it as long."""
    monkeypatch.setattr(sending, "Remote", partial(Remote, patience_s=0.2))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert main(["add", "--server", url, str(album)]) == 1
    said = capsys.readouterr()
    assert said.err.count("does not answer (Connection refused)") == 1
    assert "!" not in said.out


def test_a_certificate_that_nobody_trusts_is_not_waited_for(
    album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    cert = make_certificate(tmp_path / "cert.pem")
    options = ("--cert", str(cert), "--key", str(cert.with_suffix(".key")))
    with ServerProcess(tmp_path / "served", options=options, certificate=cert) as server:
        assert main(["add", "--server", server.url, str(album)]) == 1
    assert "certificate" in capsys.readouterr().err


def test_a_name_that_nobody_has_is_not_waited_for(
    album: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def unknown(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert main(["add", "--server", "http://musik.invalid", str(album)]) == 1
    assert "its name is not known" in capsys.readouterr().err


def test_the_events_of_a_server_that_was_away_are_read_when_it_is_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    """A connection that was not made says nothing of a proxy."""
    tries: list[float] = []

    class Away(HTTPConnection):
        def connect(self) -> None:
            tries.append(0)
            if len(tries) == 1:
                raise TimeoutError
            super().connect()

    task = begin(served.engine)
    with closing(Remote(served.url, TOKEN)) as remote, closing(Following(remote)) as follower:
        monkeypatch.setattr(Remote, "connection", lambda *_: Away("127.0.0.1", served.port))
        for _ in range(2):
            assert next(iter(follower.looks(task.id))) is not None
    assert len(tries) == 3  # the events, the task, and the events again
