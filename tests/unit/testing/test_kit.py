"""The kit by itself: what it imports when, its recorder, its faults, its engine in steps."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import musictasks.testing
import pytest
from enginekit import PLAYED, begin, upload
from musictasks.errors import LifecycleViolation, TaskNotSaved
from musictasks.files import Directory
from musictasks.music import MusicEngine, Settings, open_library
from musictasks.statemachine import MUSIC, fail
from musictasks.testing import Clock, FaultInjector, Killed, Recorder, SteppedEngine

pytest_plugins = ["pytester"]


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_everything_public_is_there():
    """Each name of `__all__` leads to something, and no other name does."""
    for name in musictasks.testing.__all__:
        assert getattr(musictasks.testing, name).__name__ == name
        assert name in dir(musictasks.testing)
    with pytest.raises(AttributeError, match="no attribute 'prove_it'"):
        musictasks.testing.prove_it  # noqa: B018 # pyright: ignore[reportAttributeAccessIssue]


def test_prove_works_without_hypothesis_and_pytest():
    """The extra is for what needs it, and whoever lacks it is told what to install."""
    shown = run("""
        import sys
        sys.modules["hypothesis"] = sys.modules["pytest"] = None
        from musictasks.statemachine import MUSIC
        from musictasks.testing import Recorder, SteppedEngine, prove
        assert prove(MUSIC).edges_covered == len(MUSIC.edges)
        try:
            from musictasks.testing import tasks
        except ImportError as error:
            print(error)
    """)
    assert shown == ("musictasks.testing.tasks needs hypothesis: pip install 'musictasks[testing]'")


def test_the_plugin_imports_nothing_before_it_is_used():
    """Its entry point is loaded in every project: that costs them nothing."""
    shown = run("""
        import sys
        import musictasks.testing.plugin
        print(sorted(name for name in sys.modules if name.startswith("musictasks")))
    """)
    assert shown == "['musictasks', 'musictasks.testing', 'musictasks.testing.plugin']"


# -- the plugin -----------------------------------------------------------------------------


def test_the_engine_works_on_the_real_album(
    musictasks_engine: MusicEngine, musictasks_recorder: Recorder, musictasks_album: Path
):
    """The fixtures together: a song goes its way, and the recorder has seen it."""
    song = next(path for path in sorted(musictasks_album.iterdir()) if path.suffix == ".mp3")
    task = upload(musictasks_engine, song.read_bytes(), 4096, source_filename=song.name)
    musictasks_recorder.wait_for_state(task.id, "readyforintegration")
    assert musictasks_recorder.states(task.id) == [
        "waitforchunk",
        "uploadcomplete",
        "preprocessing",
        "readyforintegration",
    ]
    assert not (musictasks_album / "README").exists()


def test_the_clock_is_the_engines(
    musictasks_engine: MusicEngine, musictasks_recorder: Recorder, musictasks_clock: Clock
):
    """Moved by a day, a task that waits for its client is too old."""
    task = begin(musictasks_engine)
    musictasks_clock.advance(2 * 24 * 3600)
    musictasks_recorder.wait_for_state(task.id, "remove")


def test_the_fixtures_take_the_overridden_lifecycle_and_handlers(pytester: pytest.Pytester):
    """An integrator overrides two fixtures, and all others follow."""
    pytester.makeconftest('pytest_plugins = ["musictasks.testing.plugin"]')
    pytester.makepyfile("""
        import pytest
        from attrs import frozen
        from musictasks.statemachine import (
            Edge, Role, Sender, Stage, StateSpec, UploadTask, bare_lifecycle, fail,
            is_complete, is_incomplete,
        )

        @frozen(kw_only=True)
        class Scan(UploadTask):
            pages: int | None = None

        READING = Stage(
            "reading", group="text", queued="toread", working="reading", succeeded="read",
            failed="unreadable",
        )

        @pytest.fixture
        def musictasks_lifecycle():
            receiving = StateSpec("receiving", "upload", Role.WAITING, takes_chunks=True)
            def of_upload(event, target, **more):
                return Edge(
                    event=event, source="receiving", target=target, sender=Sender.UPLOAD, **more
                )
            return (
                bare_lifecycle(Scan)
                .with_state(receiving)
                .with_state(StateSpec("read", "text", Role.FINISHED))
                .with_stage(READING)
                .with_edge(Edge(event="announce", source="unmade", target="receiving"))
                .with_edge(Edge(event="ask", source="unmade", target="toread"))
                .with_edge(of_upload("chunk", None, guard=is_incomplete, stored=False))
                .with_edge(of_upload("complete", "toread", guard=is_complete))
                .with_edge(of_upload("fail", "unreadable"))
            )

        @pytest.fixture
        def musictasks_handlers():
            return {"reading": lambda task, work: fail("mine")}

        def test_engine(musictasks_engine):
            task = musictasks_engine.create("ask", pages=3)
            assert task.pages == 3
            assert "mine" in musictasks_engine.wait(task.id, "unreadable", 30).message

        def test_uploads(musictasks_uploads, musictasks_recorder):
            task = musictasks_uploads.begin(file_size=3, source_filename="x.pdf")
            musictasks_uploads.receive(task.id, b"abc")
            musictasks_recorder.wait_for_state(task.id, "unreadable")

        def test_stepped(musictasks_stepped):
            assert "read" in musictasks_stepped.engine.lifecycle
            task = musictasks_stepped.uploads.begin(file_size=3)
            musictasks_stepped.kill()
            musictasks_stepped.start()
            musictasks_stepped.uploads.receive(task.id, b"abc")
            musictasks_stepped.settle()
            musictasks_stepped.work()
            assert musictasks_stepped.engine.get(task.id).state == "unreadable"
    """)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=3)


def test_the_fixtures_take_an_engine_of_ones_own(pytester: pytest.Pytester):
    """Who builds on the engine, as the music library does, overrides its opener and settings."""
    pytester.makeconftest('pytest_plugins = ["musictasks.testing.plugin"]')
    pytester.makepyfile("""
        import pytest
        from musictasks.music import Settings, open_library
        from musictasks.statemachine import MUSIC, Edge, Role, StateSpec, fail

        @pytest.fixture
        def musictasks_opener():
            return open_library

        @pytest.fixture
        def musictasks_settings(tmp_path):
            return Settings.in_directory(tmp_path, durability="none", artwork_scales=(16,))

        @pytest.fixture
        def musictasks_lifecycle():
            return (
                MUSIC.with_state(StateSpec("approval", "upload", Role.WAITING))
                .with_edge(Edge(event="ask", source="readyforintegration", target="approval"))
            )

        @pytest.fixture
        def musictasks_handlers():
            return {"music import": lambda task, work: fail("mine")}

        def test_engine(musictasks_engine, musictasks_settings):
            (musictasks_settings.music / "A/2020 - B").mkdir(parents=True)
            (musictasks_settings.music / "A/2020 - B/01 C.mp3").touch()
            task = musictasks_engine.import_music("album", "A/2020 - B")
            assert "mine" in musictasks_engine.wait(task.id, "importfailed", 30).message
            assert "approval" in musictasks_engine.lifecycle

        def test_stepped(musictasks_stepped):
            assert "approval" in musictasks_stepped.engine.lifecycle
    """)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_without_a_lifecycle_the_fixtures_say_what_to_override(pytester: pytest.Pytester):
    """There is none to fall back on: a test of somebody else's would prove nothing."""
    pytester.makeconftest('pytest_plugins = ["musictasks.testing.plugin"]')
    pytester.makepyfile("def test_engine(musictasks_engine): pass")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*override the fixture musictasks_lifecycle*"])


def test_a_failed_comparison_shows_both_walks_and_the_reason(pytester: pytest.Pytester):
    """Where the task left the expected way, and what the engine said."""
    pytester.makeconftest('pytest_plugins = ["musictasks.testing.plugin"]')
    pytester.makepyfile("""
        from musictasks.testing import Recorder

        def test_states():
            recorder = Recorder()
            for state, name, message in [
                ("waitforchunk", "ChunkRequest", None),
                ("uploadfailed", "InternalError", "wrong SHA-1"),
            ]:
                recorder(name, {"taskid": "t", "state": state, "message": message})
            assert recorder.states("t") == ["waitforchunk", "uploadcomplete"]
    """)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(
        [
            "*task t went another way (- expected, + told):",
            "*    waitforchunk",
            "*  - uploadcomplete",
            "*  + uploadfailed  (InternalError: wrong SHA-1)",
        ]
    )


# -- recorder and faults --------------------------------------------------------------------


def test_waiting_in_vain_shows_what_was_told_instead():
    """An assertion with every notification, not a bare timeout."""
    recorder = Recorder()
    status = {"taskid": "t", "state": "uploadfailed", "message": "wrong SHA-1"}
    recorder("InternalError", status)
    with pytest.raises(AssertionError, match="InternalError t uploadfailed: wrong SHA-1"):
        recorder.wait_for_state("t", "uploadcomplete", timeout_s=0)


def test_a_fault_strikes_once_at_the_operation_it_was_set_for(
    tmp_path: Path, musictasks_faults: FaultInjector
):
    """The n-th operation from then on fails, those before and after work."""
    directory = Directory(tmp_path)
    directory.write("a", b"1")
    operations = musictasks_faults.count
    for at in range(1, operations + 1):
        musictasks_faults.fail(at, errno.ENOSPC)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            directory.write(f"b{at}", b"2")
    musictasks_faults.fail(operations + 1)
    directory.write("c", b"3")
    assert (tmp_path / "c").read_bytes() == b"3"


def test_refused_operations_fail_until_cleared(tmp_path: Path, musictasks_faults: FaultInjector):
    """A full disk is full until somebody makes room."""
    directory = Directory(tmp_path)
    musictasks_faults.refuse("write")
    for _ in range(2):
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            directory.write("a", b"1")
    musictasks_faults.clear()
    directory.write("a", b"1")
    with pytest.raises(ValueError, match="no file operations"):
        musictasks_faults.refuse("wrote")


def test_after_a_kill_nothing_is_done_any_more(
    musictasks_stepped: SteppedEngine, musictasks_faults: FaultInjector
):
    """A killed engine cleans nothing up; the next start finds the task where it was."""
    task = begin(musictasks_stepped.engine)
    before = sorted(path.name for path in musictasks_stepped.settings.tasks.iterdir())
    musictasks_faults.kill(2)
    with pytest.raises(Killed):
        musictasks_stepped.engine.annotate(task.id, {"note": 1})
    left = sorted(path.name for path in musictasks_stepped.settings.tasks.iterdir())
    assert len(left) == len(before) + 1  # the temporary file that nobody removed
    musictasks_faults.clear()
    musictasks_stepped.kill()
    engine = musictasks_stepped.start()
    assert engine.get(task.id).annotations == {}
    assert sorted(path.name for path in musictasks_stepped.settings.tasks.iterdir()) == before


def test_a_full_disk_refuses_a_call_and_changes_nothing(
    musictasks_engine: MusicEngine, musictasks_faults: FaultInjector
):
    """What the README promises of a full disk, on the kit."""
    task = begin(musictasks_engine)
    musictasks_faults.refuse()
    with pytest.raises(TaskNotSaved):
        musictasks_engine.annotate(task.id, {"note": 1})
    musictasks_faults.clear()
    assert musictasks_engine.get(task.id) == task


# -- an engine in steps ---------------------------------------------------------------------


@pytest.fixture
def stepped(musictasks_settings: Settings) -> Callable[..., SteppedEngine]:
    def make(**handlers: object) -> SteppedEngine:
        played = {**PLAYED, **handlers}
        return SteppedEngine(musictasks_settings, MUSIC, played, opener=open_library)  # pyright: ignore[reportArgumentType]

    return make


def test_workers_wait_until_the_test_lets_them_work(stepped: Callable[..., SteppedEngine]):
    """A handler is as slow as the test wants it."""
    steps = stepped(preprocessing=lambda task, work: fail("no"))
    task = upload(steps.start())
    steps.settle()
    assert (steps.engine.get(task.id).state, len(steps.workers)) == ("preprocessing", 1)
    steps.work()
    assert steps.engine.get(task.id).state == "uploadfailed"
    assert ("fail", "preprocessing", "uploadfailed") in steps.taken
    steps.close()


def test_a_restart_goes_on_with_what_is_on_disk(stepped: Callable[..., SteppedEngine]):
    """After a kill the worker's task is queued and begun again."""
    steps = stepped()
    task = upload(steps.start())
    steps.settle()
    steps.kill()
    steps.start()
    found = steps.engine.get(task.id)
    assert (found.state, found.attempts) == ("preprocessing", 2)
    assert ("recover", "preprocessing", "uploadcomplete") in steps.taken
    steps.kill()


def test_a_state_that_is_told_before_it_is_on_disk_is_seen(
    stepped: Callable[..., SteppedEngine],
):
    """The stepped engine checks every notification against the file."""
    steps = stepped()
    task = begin(steps.start())
    told = steps.engine.get(task.id)
    path = steps.settings.tasks / f"{task.id}.json"
    path.write_text(path.read_text().replace("waitforchunk", "readyforintegration"))
    with pytest.raises(LifecycleViolation, match="told before it was on disk"):
        steps.engine._notifier.tell("ChunkRequest", told)
    steps.kill()
