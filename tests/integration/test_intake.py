"""Planning and bringing in with an engine of the caller's: no command line, other clients, cuts."""

from __future__ import annotations

import hashlib
import mimetypes
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from archivekit import album_files, make_zip
from attrs import define, evolve, field
from clikit import ALBUM, BOOKLET, COVER, FLAC, M4A, MP3, TARGETS, Library, copy_album
from enginekit import play
from musictasks.engine import INTERNAL_ERROR, as_dictionary
from musictasks.errors import EngineClosed, TaskFailed
from musictasks.intake import (
    Batch,
    Display,
    FileReport,
    Result,
    Silent,
    bring,
    plan,
    plan_imports,
    scanned,
    unfinished_scan,
    upload_job,
)
from musictasks.library import MusicDatabase
from musictasks.music import MusicEngine, Settings, default_handlers, open_library
from musictasks.statemachine import MUSIC, MusicTask, Outcome, Stage, Work
from videokit import make_video

PAGE = (Path(__file__).parents[2] / "docs" / "intake.md").read_text(encoding="utf-8")
#: What a library holds of an album; tasks of other clients may be left besides.
CONTENT = ("music", "rows", "artwork")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return copy_album(tmp_path / "album")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A library into which the album was brought without any disturbance."""
    root = tmp_path_factory.mktemp("undisturbed")
    library = Library(root / "library")
    planned = plan([copy_album(root / "album")], library.settings)
    with open_library(library.settings) as engine:
        assert bring(planned, engine).succeeded
    return library


def same(library: Library, other: Library) -> bool:
    return all(getattr(library, what) == getattr(other, what) for what in CONTENT)


def by_name(files: Sequence[FileReport]) -> dict[str, FileReport]:
    return {file.file.source.name: file for file in files}


@define(eq=False)
class Recorder(Silent):
    """Notes the calls and their thread; does something at the nth `moved`."""

    then: Callable[[], object] | None = None
    at: int = 1
    calls: list[str] = field(factory=list)
    troubles: list[tuple[str, str]] = field(factory=list)
    threads: set[int] = field(factory=set)
    batches: tuple[Batch, ...] = ()

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self.threads.add(threading.get_ident())

    def begin(self, batches: Sequence[Batch]) -> None:
        self._note("begin")
        self.batches = tuple(batches)

    def moved(self, batch: Batch) -> None:
        self._note("moved")
        if self.then is not None and self.calls.count("moved") == self.at:
            self.then()

    def ended(self, batch: Batch) -> None:
        self._note(f"ended {batch.title}")

    def trouble(self, task_id: str, message: str) -> None:
        self._note("trouble")
        self.troubles.append((task_id, message))


def test_what_is_brought_is_told_file_by_file(library: Library, album: Path) -> None:
    """Files, folders, archives and clips, each with its place; again all is there already."""
    archive = album.parent / "Other.zip"
    archive.write_bytes(make_zip(album_files()))
    clip = album.parent / "Artist - 2020 - Clip.mp4"
    clip.write_bytes(make_video())
    planned = plan([album, clip, album / "none"], library.settings)
    of_archive = plan([archive], library.settings, artist="A", album="B", year=1999)
    assert sorted(refusal.source.name for refusal in planned.refusals) == ["none"]
    with open_library(library.settings) as engine:
        report = bring(planned, engine)
        assert report.succeeded
        assert {file.path for file in report.files} == {
            *TARGETS.values(),
            "Artist/2020 - Clip.mp4",
        }
        assert {file.result for file in report.files} == {Result.ADDED}
        assert all(len(file.task_ids) == 1 for file in report.files)
        assert [(one.path, one.achieved) for one in report.imports] == [
            (ALBUM, ("imported, with artwork",)),
            ("Artist/2020 - Clip.mp4", ("imported, with frames",)),
        ]
        (whole,) = bring(of_archive, engine).files
        assert (whole.result, whole.path, whole.name) == (
            Result.ADDED,
            "A/1999 - B",
            "Other.zip",
        )
        again = bring(planned, engine)
        assert engine.tasks() == []
    assert {one.result for one in (*again.files, *again.imports)} == {Result.THERE}
    assert not any(file.task_ids for file in again.files)


def test_what_cannot_be_brought_has_its_reason(library: Library, album: Path) -> None:
    """One file that got shorter fails alone; its task, which was made for it, is gone."""
    planned = plan([album], library.settings)
    (album / COVER).write_bytes(b"short")
    with open_library(library.settings) as engine:
        report = bring(planned, engine)
        files = by_name(report.files)
        failed = files.pop(COVER)
        assert (failed.result, failed.path) == (Result.FAILED, None)
        assert "got shorter" in str(failed.reason)
        assert {file.result for file in files.values()} == {Result.ADDED}
        assert not report.succeeded
        assert (report.count(Result.ADDED), report.count(Result.FAILED)) == (4, 1)
        engine.wait(failed.task_ids[0], MUSIC.gone, 30)


def test_reasons_name_the_arguments(library: Library, album: Path) -> None:
    """Whoever calls `plan` is told which argument would do; no option of another program."""
    (album.parent / "loose.txt").write_text("x")
    planned = plan([album.parent / "loose.txt"], library.settings)
    (refusal,) = planned.refusals
    assert refusal.reason == (
        "beside it is no song that tells the album: give artist, album and year"
    )
    given = {"artist": "A", "album": "B", "year": 2000}
    planned = plan([album.parent / "loose.txt"], library.settings, **given)
    assert [file.target for file in planned.files] == ["A/2000 - B/loose.txt"]


def small_chunks(library: Library) -> Settings:
    """Several chunks for each file, so that there is more to be cut."""
    return evolve(library.settings, chunk_size=10_000)


@pytest.mark.parametrize("at", [1, 2, 4, 8, 12, 16, 20, 24])
def test_cut_by_the_end_of_the_engine(
    library: Library, album: Path, undisturbed: Library, at: int
) -> None:
    """Wherever the engine is closed, the same plan goes on with the next one."""
    settings = small_chunks(library)
    planned = plan([album], settings)
    engine = open_library(settings)
    display = Recorder(engine.close, at)
    with engine, pytest.raises(EngineClosed):
        bring(planned, engine, display)
    assert display.calls.count("moved") == at
    with open_library(settings) as engine:
        assert bring(planned, engine).succeeded
    assert same(library, undisturbed)


@pytest.mark.parametrize("at", [1, 5, 15])
def test_cut_by_the_display(library: Library, album: Path, undisturbed: Library, at: int) -> None:
    """Nothing stays claimed: on the same engine another call goes on at once."""

    def stop() -> None:
        raise KeyboardInterrupt

    settings = small_chunks(library)
    planned = plan([album], settings)
    with open_library(settings) as engine:
        with pytest.raises(KeyboardInterrupt):
            bring(planned, engine, Recorder(stop, at))
        report = bring(planned, engine)
    assert report.succeeded
    assert same(library, undisturbed)


def test_an_engine_that_is_closed_while_nothing_happens(library: Library, album: Path) -> None:
    """Who waits for a stage that never ends is told, too."""
    begun = threading.Event()

    def until_it_is_stopped(task: MusicTask, work: Work) -> Outcome:
        begun.set()
        while True:
            work.check()
            time.sleep(0.01)

    planned = plan([album / MP3], library.settings)
    engine = open_library(library.settings, handlers={"integration": until_it_is_stopped})
    with ThreadPoolExecutor(1) as pool, engine:
        future = pool.submit(bring, planned, engine)
        assert begun.wait(30)
        engine.close()
        with pytest.raises(EngineClosed):
            future.result(30)


def test_nothing_listens_afterwards(library: Library, album: Path) -> None:
    """The subscriptions end with the call."""

    def listening() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "musictasks-notifications"]

    planned = plan([album / MP3], library.settings)
    of_others = set(listening())  # of tests whose engines are open as long as their module
    with open_library(library.settings) as engine:
        bring(planned, engine)
        for thread in set(listening()) - of_others:
            thread.join(30)
        assert set(listening()) <= of_others


def both(engine: MusicEngine, *plans: Any) -> list[Any]:
    """Brings them in at once, each in a thread of its own."""
    start = threading.Barrier(len(plans))

    def one(planned: Any) -> Any:
        start.wait(30)
        return bring(planned, engine)

    with ThreadPoolExecutor(len(plans)) as pool:
        return [future.result(60) for future in [pool.submit(one, planned) for planned in plans]]


def test_two_that_want_the_same(library: Library, album: Path, undisturbed: Library) -> None:
    """Each file is added by one of them and there for the other; the album is imported once."""
    settings = small_chunks(library)
    planned = plan([album], settings)
    imports: set[str] = set()

    def note(_: str, status: dict[str, Any]) -> None:
        if status["state"] == "startmusicimport":
            imports.add(status["taskid"])

    with open_library(settings) as engine:
        engine.subscribe(note)
        one, other = both(engine, planned, planned)
        assert engine.tasks() == []
    assert one.succeeded
    assert other.succeeded
    for first, second in zip(one.files, other.files, strict=True):
        assert sorted([first.result, second.result]) == ["added", "there"], first
        assert sorted([len(first.task_ids), len(second.task_ids)]) == [0, 1]
    assert len(imports) == 1
    assert same(library, undisturbed)


def test_two_that_share_an_album(library: Library, album: Path, undisturbed: Library) -> None:
    """Half of the files each: the album is whole in the end, also in the database."""
    settings = small_chunks(library)
    halves = [[album / FLAC, album / COVER], [album / MP3, album / M4A]]
    booklet = plan([album / BOOKLET, album / FLAC], settings)
    with open_library(settings) as engine:
        reports = both(engine, *(plan(half, settings) for half in halves), booklet)
    assert [reason for report in reports for reason in failures(report)] == []
    # Who is first has the first ids in the database.
    assert songs_of(library) == songs_of(undisturbed)
    assert (library.music, library.artwork) == (undisturbed.music, undisturbed.artwork)


def test_songs_that_come_while_the_album_is_imported(library: Library, album: Path) -> None:
    """Whoever puts them there: the import is done once more, and is no failure."""
    imports = default_handlers(library.settings)["music import"]
    others = {M4A: album / M4A}

    def importing(task: MusicTask, work: Work) -> Outcome:
        outcome = imports(task, work)
        while others:
            name, song = others.popitem()
            shutil.copyfile(song, library.settings.music / TARGETS[name])
        return outcome

    planned = plan([album / MP3, album / COVER], library.settings)
    with open_library(library.settings, handlers={"music import": importing}) as engine:
        report = bring(planned, engine)
        assert engine.tasks() == []
    assert failures(report) == []
    (done,) = report.imports
    assert (done.result, len(done.task_ids)) == ("added", 3)
    assert done.achieved == ("imported", "artwork made of the cover")
    assert set(songs_of(library)) == {TARGETS[MP3], TARGETS[M4A]}


def failures(report: Any) -> list[str]:
    return [str(one) for one in (*report.files, *report.imports) if one.result == "failed"]


def songs_of(library: Library) -> dict[object, list[object]]:
    """What the database has of each song, by its path."""
    return {path: values for _, _, _, _, path, *values in library.rows["songs"]}


def test_a_display_is_told_in_the_thread_of_the_caller(library: Library, album: Path) -> None:
    """Once of the beginning, then of what moved, at last of the end of each batch."""
    display = Recorder()
    shown: Display = display
    clip = album.parent / "Artist - 2020 - Clip.mp4"
    clip.write_bytes(make_video())
    planned = plan([album, clip], library.settings)
    with open_library(library.settings) as engine:
        bring(planned, engine, shown)
    assert display.calls[0] == "begin"
    assert display.calls.count("begin") == 1
    assert display.calls.count("moved") > 10
    ended = [call for call in display.calls if call.startswith("ended")]
    assert sorted(ended) == ["ended Artist", f"ended {ALBUM}"]
    assert display.calls[-1] == ended[-1]
    assert display.threads == {threading.get_ident()}
    assert [len(batch.files) for batch in display.batches] == [5, 1]


def test_trouble_of_other_tasks_is_not_told(library: Library, album: Path) -> None:
    """Only what is about the plan: what the engine says of other tasks is for others."""
    planned = plan([album], library.settings)
    with open_library(library.settings) as engine:
        other = begun(engine, b"something else", "other.pdf")

        def trouble() -> None:
            mine = next(task for task in engine.tasks() if task.id != other.id)
            for task in (other, mine):
                engine.notify("StateUpdate", as_dictionary(task))
                engine.notify(INTERNAL_ERROR, as_dictionary(task), f"no room for {task.id}")
            told.append(mine.id)

        told: list[str] = []
        display = Recorder(trouble)
        bring(planned, engine, display)
    assert display.troubles == [(told[0], f"no room for {told[0]}")]


def begun(engine: MusicEngine, data: bytes, name: str, **options: Any) -> MusicTask:
    return engine.begin_upload(
        content_type="albumfile",
        file_size=len(data),
        checksum=hashlib.sha1(data).hexdigest(),
        source_filename=name,
        **options,
    )


def failed_import(library: Library, engine: MusicEngine) -> MusicTask:
    """Another client's, of the album, that failed."""
    place = library.root / "music" / TARGETS[MP3]
    place.parent.mkdir(parents=True)
    place.write_bytes(b"no music")
    task = engine.import_music("album", ALBUM)
    with pytest.raises(TaskFailed):
        engine.wait(task.id, "importcomplete", timeout=30)
    shutil.rmtree(place.parent)
    return task


def refused_upload(engine: MusicEngine, data: bytes) -> MusicTask:
    """Another client's, whose content was refused under another name."""
    task = begun(engine, data, "song.mp3")
    engine.receive_chunk(task.id, data)
    with pytest.raises(TaskFailed):
        engine.wait(task.id, "readyforintegration", timeout=30)
    return task


@pytest.mark.parametrize("exclusive", [False, True])
def test_what_others_left(library: Library, album: Path, exclusive: bool) -> None:
    """Tasks of other clients stay; who has the engine alone clears them away."""
    data = b"no music at all"
    with open_library(library.settings) as engine:
        others = [failed_import(library, engine), refused_upload(engine, data)]
        (album / BOOKLET).write_bytes(data)
        planned = plan([album], library.settings)
        assert bring(planned, engine, exclusive=exclusive).succeeded
        left = [task.id for task in engine.tasks()]
    assert sorted(left) == ([] if exclusive else sorted(task.id for task in others))
    assert set(library.music) == set(TARGETS.values())


def test_the_import_of_another_client(library: Library, album: Path) -> None:
    """One under way is waited for, and stays listed when it has finished."""
    begin = threading.Event()
    with open_library(library.settings) as engine:
        assert bring(plan([album], library.settings), engine).succeeded
    shutil.rmtree(library.settings.artwork)
    library.settings.database.unlink()
    with ThreadPoolExecutor(1) as pool, open_library(library.settings) as engine:
        engine.on_enter("importingmusic", lambda _: begin.set())
        theirs = engine.import_music("album", ALBUM, with_artwork=True)
        assert begin.wait(30)
        planned = plan_imports([Path(ALBUM)], engine)
        report = pool.submit(bring, planned, engine).result(60)
        assert [task.id for task in engine.tasks()] == [theirs.id]
        assert engine.get(theirs.id).state == "importcomplete"
    assert report.succeeded


def test_tasks_are_listed_once(
    library: Library, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a file costs does not depend on how many tasks there are: no look at all of them."""
    calls: list[object] = []
    listed = MusicEngine.tasks

    def count(engine: MusicEngine) -> list[MusicTask]:
        calls.append(engine)
        return listed(engine)

    planned = plan([album], library.settings)
    with open_library(library.settings) as engine:
        monkeypatch.setattr(MusicEngine, "tasks", count)
        assert bring(planned, engine).succeeded
    assert len(calls) == 1


def test_an_upload_that_another_client_begins_first(
    library: Library, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the beginning: that one is gone on with."""
    data = (album / BOOKLET).read_bytes()
    planned = plan([album / BOOKLET, album / FLAC], library.settings)
    with open_library(library.settings) as engine:
        guess = mimetypes.guess_type

        def begin_first(name: str) -> Any:
            if name == BOOKLET and not any(task.id == "theirs" for task in engine.tasks()):
                begun(engine, data, BOOKLET, task_id="theirs")
            return guess(name)

        monkeypatch.setattr(mimetypes, "guess_type", begin_first)
        report = bring(planned, engine)
    assert report.succeeded
    assert by_name(report.files)[BOOKLET].task_ids == ("theirs",)


def test_a_chunk_that_another_client_sends_first(
    library: Library, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that send the same file: each goes on where the upload stands by then."""
    settings = small_chunks(library)
    planned = plan([album / FLAC], settings)
    sent: list[int] = []
    with open_library(settings) as engine:
        read = upload_job._read_at

        def send_first(file: Any, offset: int, size_bytes: int) -> bytes:
            data = read(file, offset, size_bytes)
            if not sent:
                (task,) = engine.tasks()
                engine.receive_chunk(task.id, data[:7], offset=offset)
                sent.append(offset)
            return data

        monkeypatch.setattr(upload_job, "_read_at", send_first)
        report = bring(planned, engine)
    assert sent == [0]
    assert report.succeeded
    assert set(library.music) == {TARGETS[FLAC]}


def test_what_is_there_goes_into_the_database(library: Library, album: Path) -> None:
    """A plan of imports is brought in by the same call; what a scan finds is such a plan."""
    for name, target in TARGETS.items():
        (library.root / "music" / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(album / name, library.root / "music" / target)
    display = Recorder()
    with open_library(library.settings) as engine:
        planned = plan_imports([Path("Nobody")], engine, found=scanned(engine))
        assert [one.path for one in planned.imports] == [ALBUM]
        assert [refusal.source for refusal in planned.refusals] == [Path("Nobody")]
        report = bring(planned, engine, display)
        assert engine.tasks() == []
    assert (report.files, report.succeeded) == ((), True)
    assert display.calls[-1] == f"ended {ALBUM}"
    row = MusicDatabase(library.settings.database).album(ALBUM)
    assert row is not None
    assert row["numofsongs"] == 3


def test_a_scan_of_an_earlier_run_that_ends_before_it_is_asked_for(library: Library) -> None:
    """It is gone on with all the same, and removed."""
    engine = open_library(library.settings)
    (library.settings.music / ALBUM).mkdir(parents=True)
    begun = engine.scan()
    engine.close()
    engine = open_library(library.settings)
    cut_off = unfinished_scan(engine)
    assert cut_off is not None
    assert cut_off.id == begun.id
    with engine:
        complete = engine.wait(begun.id, "fsscancomplete")
        assert scanned(engine, cut_off=cut_off) == complete.annotations
        assert engine.tasks() == []


def test_a_scan_of_somebody_else_stays(library: Library) -> None:
    library.settings.music.mkdir(parents=True, exist_ok=True)
    engine = open_library(library.settings)
    theirs = engine.scan()
    with ThreadPoolExecutor() as pool:
        found = pool.submit(scanned, engine)
        time.sleep(0.1)  # it waits by now
        with engine:
            assert found.result(20)["newpaths"]["songs"] == []
            assert [task.id for task in engine.tasks()] == [theirs.id]


def test_more_imports_than_go_side_by_side(library: Library, album: Path) -> None:
    """Twenty albums at once: eight tasks at most, and all end."""
    for number in range(20):
        copy_album(library.root / "music" / f"Artist {number}" / "2020 - Album", MP3)
        place = library.root / "music" / f"Artist {number}" / "2020 - Album"
        (place / MP3).rename(place / "01 Song.mp3")
    most = 0
    with open_library(library.settings) as engine:
        planned = plan_imports([], engine, found=scanned(engine))

        class Counting(Silent):
            def moved(self, batch: Batch) -> None:
                nonlocal most
                most = max(most, len(engine.tasks()))

        report = bring(planned, engine, Counting())
    assert [one.result for one in report.imports] == [Result.ADDED] * 20
    assert 1 < most <= 8


def test_a_lifecycle_of_an_integrator(library: Library, album: Path) -> None:
    """States that the music lifecycle does not know are waited through."""
    stage = Stage(
        "transcoding",
        group="upload",
        queued="starttranscoding",
        working="transcoding",
        succeeded="readyforintegration",
        failed="transcodingfailed",
        rejected="invalidcontent",
    )
    mine = MUSIC.with_stage(stage).with_target("preprocessing", "succeed", "starttranscoding")
    planned = plan([album], library.settings)
    with open_library(library.settings, lifecycle=mine, handlers={"transcoding": play}) as engine:
        assert bring(planned, engine).succeeded
    assert set(library.music) == set(TARGETS.values())


def test_the_example_of_the_page(tmp_path: Path) -> None:
    """The page's program runs as it stands, and says what it did."""
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line for line in program.splitlines() if line and "import " not in line]
    assert len(lines) <= 10
    outputs = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-X", "utf8", "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        outputs.append([line.split(" ", 1)[0] for line in done.stdout.splitlines()])
    assert outputs == [["added"] * 5, ["there"] * 5]
    assert len(list((tmp_path / "my-library" / "music").glob("*/2021 - */*"))) == 5


def test_it_needs_no_terminal() -> None:
    """A server that plans and brings loads neither the command line nor what prints."""
    program = "import sys, musictasks.intake\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.split())
    assert "musictasks.intake.delivery" in loaded
    assert not {name for name in loaded if name.split(".")[0] == "rich"}
    assert not {name for name in loaded if name.startswith("musictasks.cli")}
