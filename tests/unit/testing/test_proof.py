"""`prove` accepts what is right, and finds what is wrong: each test breaks one thing."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, frozen
from musictasks.errors import IllegalTransition, LifecycleError, LifecycleViolation
from musictasks.library import MusicDatabase, sample_album
from musictasks.music import Settings, default_handlers
from musictasks.statemachine import (
    MUSIC,
    Edge,
    HistoryEntry,
    Lifecycle,
    MusicTask,
    Outcome,
    Role,
    Stage,
    StateSpec,
    Target,
    Task,
    TaskMachine,
    UploadTask,
    Work,
    fail,
    in_file,
    succeed,
)
from musictasks.testing import prove
from paperkit import PAPERS


@frozen(kw_only=True)
class Paper(UploadTask):
    """The record of an integrator's."""

    kind: str | None = field(default=None, metadata=in_file(examples=("letter", "report")))
    signed: bool = False


#: Small, so that each proof takes a moment: a rest, a stage, and an internal edge.
WORK = Stage(
    "work", group="g", queued="queued", working="working", succeeded="done", failed="failed"
)


def counts(task: Paper, payload: Mapping[str, Any]) -> bool:
    """The payload has a size."""
    return payload.get("size", 0) > 0


STATES = (
    StateSpec("new", "g", Role.INITIAL),
    StateSpec("waiting", "g", Role.WAITING),
    StateSpec("queued", "g", Role.QUEUED),
    StateSpec("working", "g", Role.WORKING),
    StateSpec("done", "g", Role.FINISHED),
    StateSpec("failed", "g", Role.FAILED),
    StateSpec("leaving", "g", Role.REMOVING),
    StateSpec("gone", "g", Role.GONE),
)
EDGES = (
    Edge(event="make", source="new", target="waiting"),
    Edge(event="note", source="waiting", target=None, guard=counts, stored=False),
    Edge(event="ask", source="waiting", target="queued"),
    Edge(event="retry", source="failed", target="queued"),
    *(
        Edge(event="remove", source=state, target="leaving")
        for state in ("waiting", "queued", "working", "done", "failed")
    ),
    Edge(event="forget", source="leaving", target="gone"),
)
SMALL = Lifecycle(STATES, (WORK,), EDGES, record=Paper)


def guarded(guard: Callable[[Paper, Mapping[str, Any]], bool]) -> Lifecycle:
    """The small lifecycle with one more edge, under a guard."""
    return SMALL.with_edge(Edge(event="skip", source="waiting", target="done", guard=guard))


def test_the_music_lifecycle_is_proven_at_100_percent():
    """Every pair, every edge, and the report says so in words."""
    report = prove(MUSIC)
    assert report.pairs == len(MUSIC.states) * len(MUSIC.events)
    assert report.edges_covered == report.edges_total == len(MUSIC.edges)
    assert report.legal >= len(MUSIC.edges)
    assert report.refused > 300
    assert report.cuts > 2 * len(MUSIC.edges)
    assert f"{len(MUSIC.edges)} of {len(MUSIC.edges)} edges taken (100 %)" in str(report)


def test_a_small_lifecycle_is_proven():
    """A lifecycle that has nothing of the music's is proven like it."""
    report = prove(SMALL)
    assert (report.edges_covered, report.handlers) == (len(SMALL.edges), 0)


# -- broken machines ------------------------------------------------------------------------


class AddedEdge(TaskMachine):
    """Has an edge that nobody declared."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        edge = Edge(event="retry", source="done", target="queued")
        self._machine.add_transition("retry", "done", "queued", edge=edge)


class AutoTransitions(TaskMachine):
    """Has the events that `transitions` makes by itself."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        edge = Edge(event="to_done", source="waiting", target="done")
        self._machine.add_transition("to_done", "waiting", "done", edge=edge)


class OtherTarget(TaskMachine):
    """Leads elsewhere than declared."""

    def __init__(self, lifecycle: Lifecycle, **options: Any) -> None:
        edges = [evolve(e, target="waiting") if e.event == "retry" else e for e in EDGES]
        super().__init__(Lifecycle(STATES, (WORK,), edges), **options)
        self.lifecycle = lifecycle


class WrongGuard(TaskMachine):
    """Asks another guard than the declared one."""

    def __init__(self, lifecycle: Lifecycle, **options: Any) -> None:
        def lenient(task: Paper, payload: Mapping[str, Any]) -> bool:
            return True

        edges = [evolve(e, guard=lenient) if e.guard is counts else e for e in EDGES]
        super().__init__(Lifecycle(STATES, (WORK,), edges), **options)
        self.lifecycle = lifecycle


class StrictGuard(TaskMachine):
    """Refuses what is allowed."""

    def send(self, task: Task, event: str, **options: Any) -> Task:
        if event == "ask":
            raise IllegalTransition(task.id, task.state, event, ())
        return super().send(task, event, **options)


class LostSave(TaskMachine):
    """Does not save one event."""

    def __init__(self, lifecycle: Lifecycle, *, save: Any = None, **options: Any) -> None:
        def forgetful(task: Task, subject: Any) -> None:
            if save is not None and task.state != "done":
                save(task, subject)

        super().__init__(lifecycle, save=forgetful, **options)


class LateSave(TaskMachine):
    """Tells first, and saves then."""

    def __init__(
        self, lifecycle: Lifecycle, *, save: Any = None, entered: Any = None, **rest: Any
    ) -> None:
        def late(task: Task, edge: Edge, subject: Any) -> None:
            if entered is not None:
                entered(task, edge, subject)
            if save is not None:
                save(task, subject)

        super().__init__(lifecycle, entered=late, **rest)


class SavedTwice(TaskMachine):
    """Saves each event twice."""

    def __init__(self, lifecycle: Lifecycle, *, save: Any = None, **options: Any) -> None:
        def twice(task: Task, subject: Any) -> None:
            if save is not None:
                save(task, subject)
                save(task, subject)

        super().__init__(lifecycle, save=twice, **options)


class InternalSave(TaskMachine):
    """Saves an internal edge that is declared as not stored."""

    def __init__(self, lifecycle: Lifecycle, *, save: Any = None, **options: Any) -> None:
        super().__init__(lifecycle, save=save, **options)
        self._saves = save

    def send(self, task: Task, event: str, **options: Any) -> Task:
        after = super().send(task, event, **options)
        if event == "note" and self._saves is not None:
            self._saves(after)
        return after


class SavedRefusal(TaskMachine):
    """Saves although it refuses."""

    def __init__(self, lifecycle: Lifecycle, *, save: Any = None, **options: Any) -> None:
        super().__init__(lifecycle, save=save, **options)
        self._saves = save

    def send(self, task: Task, event: str, **options: Any) -> Task:
        try:
            return super().send(task, event, **options)
        except IllegalTransition:
            if task.state == "done":
                self._saves(task.annotated({"refused": event}))
            raise


class LostHistory(TaskMachine):
    """Makes no history entry."""

    def _next(self, cell: Any, edge: Edge) -> Task:
        return evolve(super()._next(cell, edge), history=cell.record.history)


class LostAttempt(TaskMachine):
    """Does not count how often a stage was begun."""

    def _next(self, cell: Any, edge: Edge) -> Task:
        return evolve(super()._next(cell, edge), attempts=0)


class Raising(TaskMachine):
    """Raises what is no refusal."""

    def send(self, task: Task, event: str, **options: Any) -> Task:
        if event == "ask" and task.state == "done":
            raise KeyError(event)
        return super().send(task, event, **options)


class WrongAnswer(TaskMachine):
    """Names another edge than it takes, if it is only asked."""

    def edge_taken(self, task: Task, event: str, payload: Any = None) -> Edge | None:
        edge = super().edge_taken(task, event, payload or {})
        return None if event == "ask" else edge


class BusyAnswer(TaskMachine):
    """Does something although it is only asked."""

    def __init__(self, lifecycle: Lifecycle, *, save: Any = None, **options: Any) -> None:
        super().__init__(lifecycle, save=save, **options)
        self._saves = save

    def edge_taken(self, task: Task, event: str, payload: Any = None) -> Edge | None:
        if event == "ask" and task.state == "waiting":
            self._saves(task, None)
        return super().edge_taken(task, event, payload or {})


BROKEN: dict[type[TaskMachine], tuple[str, str]] = {
    AddedEdge: ("event 'retry' in state 'done'", "not declared .* led to 'queued'"),
    AutoTransitions: ("event 'to_done' in state 'waiting'", "not declared .* led to 'done'"),
    OtherTarget: ("event 'retry' in state 'failed'", "led to 'waiting', not to 'queued'"),
    WrongGuard: ("event 'note' in state 'waiting'", "not declared for this record"),
    StrictGuard: ("event 'ask' in state 'waiting'", "declared, but refused"),
    LostSave: ("event 'succeed' in state 'working'", "'done' was told while the disk said"),
    LateSave: ("event 'make' in state 'new'", "the disk said nothing: the save comes first"),
    SavedTwice: ("event 'make' in state 'new'", "saved 2 times"),
    InternalSave: ("event 'note' in state 'waiting'", "not stored, but it was saved"),
    SavedRefusal: ("event 'make' in state 'done'", "the task's file changed"),
    LostHistory: ("event 'make' in state 'new'", "the history ends with"),
    LostAttempt: ("event 'recover' in state 'working'", "not reached: give a task"),
    Raising: ("event 'ask' in state 'done'", "the machine raised KeyError"),
    WrongAnswer: ("event 'ask' in state 'waiting'", "the machine says None, and takes waiting"),
    BusyAnswer: ("event 'ask' in state 'waiting'", "only asked for the edge, and yet it was saved"),
}


@pytest.mark.parametrize("machine", BROKEN, ids=lambda machine: machine.__name__)
def test_a_broken_machine_is_found(machine: type[TaskMachine]):
    """The violation names the pair, says what is wrong, and shows the path to it."""
    where, reason = BROKEN[machine]
    with pytest.raises(LifecycleViolation, match=reason) as caught:
        prove(SMALL, machine=machine)
    assert caught.value.where == where
    assert str(caught.value).startswith(where)
    if "in state 'new'" not in where:
        assert caught.value.path[0] == "new --make--> waiting"


# -- guards ---------------------------------------------------------------------------------


def is_japanese(task: Paper, payload: Mapping[str, Any]) -> bool:
    """An annotation says so."""
    return task.annotations.get("language") == "ja"


def test_a_guard_that_no_record_satisfies_is_named():
    """The message says what to give, and where."""
    with pytest.raises(LifecycleViolation) as caught:
        prove(guarded(is_japanese))
    assert "not reached: give a task for which is_japanese is true" in str(caught.value)
    assert "event 'skip' in state 'waiting'" in str(caught.value)


@pytest.mark.parametrize("state", ["new", "waiting"])
def test_a_given_task_satisfies_a_guard(state: str):
    """Given where the guard is asked, or where its path begins."""
    task = Paper(id="mine", state=state, annotations={"language": "ja"})
    report = prove(guarded(is_japanese), tasks=[task])
    assert report.edges_covered == report.edges_total == len(SMALL.edges) + 1


def test_a_given_payload_satisfies_a_guard():
    """A pair of a record and a payload is tried, too."""

    def is_signed(task: Paper, payload: Mapping[str, Any]) -> bool:
        return payload.get("signature") == "me"

    given = (Paper(id="mine", state="waiting"), {"signature": "me"})
    assert prove(guarded(is_signed), tasks=[given]).edges_covered == len(SMALL.edges) + 1


@pytest.mark.parametrize(
    "guard",
    [
        lambda task, payload: task.signed,
        lambda task, payload: task.kind == "report",
        lambda task, payload: task.kind is None and task.signed,
    ],
)
def test_fields_of_the_record_are_tried_by_themselves(guard: Any):
    """Both of a bool, and the examples that a field gives, in all combinations."""
    report = prove(guarded(guard))
    assert report.edges_covered == report.edges_total == len(SMALL.edges) + 1


def test_a_lifecycle_with_a_record_and_uploads_of_its_own_is_proven():
    """Its guards ask for sizes, checksums and three fields at once; no task is given."""
    report = prove(PAPERS)
    assert report.pairs == len(PAPERS.states) * len(PAPERS.events)
    assert report.edges_covered == report.edges_total == len(PAPERS.edges)


def test_a_task_with_another_record_is_refused():
    """It could not even be stored."""
    with pytest.raises(TypeError, match="records are Paper, not MusicTask"):
        prove(SMALL, tasks=[MusicTask(id="mine", state="waiting")])


def flips(task: Paper, payload: Mapping[str, Any]) -> bool:
    flips.says = not getattr(flips, "says", False)  # pyright: ignore[reportFunctionMemberAccess]
    return flips.says  # pyright: ignore[reportFunctionMemberAccess]


def tampers_with_the_record(task: Paper, payload: Mapping[str, Any]) -> bool:
    object.__setattr__(task, "offset", (task.offset or 0) + 1)
    return True


def tampers_with_the_payload(task: Paper, payload: dict[str, Any]) -> bool:
    payload["seen"] = True
    return True


def raises(task: Paper, payload: Mapping[str, Any]) -> bool:
    return payload["size"] > 3


@pytest.mark.parametrize(
    ("guard", "reason"),
    [
        (flips, "flips says yes and no to the same record"),
        (tampers_with_the_record, "changes the record or the payload"),
        (tampers_with_the_payload, "changes the record or the payload"),
        (raises, "the guard raises must say yes or no, but raised KeyError"),
    ],
)
def test_an_impure_guard_is_found(guard: Any, reason: str):
    """Guards are pure functions that always answer."""
    with pytest.raises(LifecycleViolation, match=reason):
        prove(guarded(guard))


def test_a_stage_whose_success_may_be_refused_leaves_a_task_stuck():
    """The engine fires outcomes by itself: one of the edges must always be open."""

    def is_letter(task: Paper, payload: Mapping[str, Any]) -> bool:
        return task.kind == "letter"

    stage = evolve(WORK, succeeded=(Target("done", is_letter),))
    with pytest.raises(LifecycleViolation, match="refused by is_letter, so the task is stuck"):
        prove(Lifecycle(STATES, (stage,), EDGES, record=Paper))


def test_a_lifecycle_that_is_not_whole_is_no_case_for_a_proof():
    """What the declaration shows by itself is a LifecycleError."""
    with pytest.raises(LifecycleError, match="no way leads to it"):
        prove(SMALL.with_stage(evolve(WORK, name="other", queued="q", working="w")))


# -- handlers -------------------------------------------------------------------------------


def test_a_handler_that_does_the_same_again_is_proven(tmp_path: Path):
    """Twice from the same record: one outcome, one set of files."""

    def handler(task: Paper, work: Work) -> Outcome:
        (tmp_path / "made").write_text(task.id)
        return succeed(annotations={"made": True}, message=f"took {random.random()} s")

    task = Paper(id="mine", state="queued")
    report = prove(SMALL, tasks=[task, evolve(task, id="too")], handlers={"work": handler})
    assert report.handlers == 2
    assert "2 handlers run twice" in str(report)
    assert (tmp_path / "made").read_text() == "too"


def appends(path: Path, task: Paper, work: Work) -> Outcome:
    with path.open("a") as file:
        file.write("x")
    return succeed()


@frozen
class Appends:
    """Holds its directory as an attribute."""

    directory: Path

    def __call__(self, task: Paper, work: Work) -> Outcome:
        return appends(self.directory / "made", task, work)


def test_a_handler_that_appends_is_found(tmp_path: Path):
    """Wherever the handler keeps its directory: attribute, argument, variable, or told."""

    def inner(task: Paper, work: Work) -> Outcome:
        return appends(tmp_path / "made", task, work)

    told: dict[str, Any] = {"directories": [tmp_path]}
    where = str(tmp_path / "made")
    ways: list[tuple[Any, dict[str, Any]]] = [
        (Appends(tmp_path), {}),
        (partial(appends, tmp_path / "made"), {}),
        (inner, {}),
        (lambda task, work: appends(Path(where), task, work), told),
    ]
    for handler, options in ways:
        with pytest.raises(LifecycleViolation, match=r"leaves other files: .*made") as caught:
            prove(SMALL, handlers={"work": handler}, **options)
        assert caught.value.where == "handler of stage 'work', task 'proof'"
        assert caught.value.path[-1] == "queued --begin--> working"


def test_a_handler_that_appends_in_its_tasks_own_directory_is_found():
    """Nobody has to say where that is."""

    def handler(task: Paper, work: Work) -> Outcome:
        return appends(work.directory / "made", task, work)

    with pytest.raises(LifecycleViolation, match=r"leaves other files: .*proof/made"):
        prove(SMALL, handlers={"work": handler})


def test_a_handler_finds_the_files_of_its_task(tmp_path: Path):
    """`uploads` holds the directories of the given tasks; without it they are empty."""

    def handler(task: Paper, work: Work) -> Outcome:
        text = (work.directory / str(task.upload_name)).read_text()
        (work.directory / "text").write_text(text.upper())
        return succeed(annotations={"text": text})

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "paper.txt").write_text("words")
    task = Paper(id="mine", state="working", upload_path="mine/paper.txt")
    handlers = {"work": handler}
    assert prove(SMALL, tasks=[task], handlers=handlers, uploads=tmp_path).handlers == 1
    assert (tmp_path / "mine" / "text").read_text() == "WORDS"
    with pytest.raises(LifecycleViolation, match="it raised FileNotFoundError"):
        prove(SMALL, tasks=[task], handlers=handlers)


def test_a_handler_that_counts_is_found():
    """The second outcome is not the first."""
    runs: list[Paper] = []

    def handler(task: Paper, work: Work) -> Outcome:
        runs.append(task)
        return succeed(annotations={"runs": len(runs)})

    with pytest.raises(LifecycleViolation, match=r"other annotations: .*'runs': 1.*'runs': 2"):
        prove(SMALL, handlers={"work": handler})


def test_a_handler_with_another_event_the_second_time_is_found():
    """First it succeeds, then it fails."""
    outcomes = iter([succeed(), fail("it is there already")])
    with pytest.raises(LifecycleViolation, match="other event: succeed, then fail"):
        prove(SMALL, handlers={"work": lambda task, work: next(outcomes)})


def raising(task: Paper, work: Work) -> Outcome:
    raise RuntimeError("out of order")


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (raising, "it raised RuntimeError.'out of order'"),
        (lambda task, work: None, "it returned None and no Outcome"),
        (lambda task, work: Outcome("remove"), "event 'remove' is none of"),
        (lambda task, work: succeed(changes={"state": "done"}), "its changes cannot set state"),
        (lambda task, work: succeed(changes={"offset": "5"}), "expected int"),
        (lambda task, work: succeed(annotations={"a": object()}), "JSON cannot hold"),
    ],
)
def test_a_handler_that_gives_nonsense_is_found(handler: Any, reason: str):
    """What the engine would make a `fail` of is a violation here."""
    with pytest.raises(LifecycleViolation, match=reason):
        prove(SMALL, handlers={"work": handler})


def test_a_handler_of_no_stage_is_found():
    """A typo in the name of a stage."""
    with pytest.raises(LifecycleViolation, match="stages are: work"):
        prove(SMALL, handlers={"wrok": lambda task, work: succeed()})


def test_our_own_handlers_are_idempotent_on_the_real_album(tmp_path: Path):
    """Preprocessing, integration and both imports of a song, a cover and the album."""
    settings = Settings.in_directory(tmp_path, durability="none", artwork_scales=(16,))
    album = "Søren Größenwald/2020 - Über den Wäldern"
    song, source = f"{album}/01 Morgenröte.flac", sample_album() / "01 Morgenroete.flac"
    song_upload, cover_upload = settings.uploads / "song", settings.uploads / "cover"
    for directory in (song_upload, cover_upload, settings.artwork, settings.music / album):
        directory.mkdir(parents=True)
    shutil.copy(source, song_upload / "song.flac")
    shutil.copy(sample_album() / "cover.png", cover_upload / "cover.png")
    shutil.copy(source, settings.music / song)
    MusicDatabase(settings.database).prepare()
    uploaded = MusicTask(
        id="song",
        state="preprocessing",
        content_type="albumfile",
        upload_path="song/song.flac",
        album_file_path=song,
    )
    cover = MusicTask(
        id="cover", state="preprocessing", content_type="artwork", upload_path="cover/cover.png"
    )
    placed = MusicTask(id="album", state="importingmusic", content_type="album", album_path=album)
    picture = MusicTask(
        id="picture",
        state="importingartwork",
        content_type="artwork",
        album_path=album,
        artwork_source_type="songfile",
        artwork_source_path=song,
        history=(HistoryEntry(1.0, "begin", "startartworkimport", "importingartwork"),),
    )
    other = f"{album}/09 Noch einmal.flac"
    moved = evolve(uploaded, state="integrating", album_file_path=other)
    handlers = default_handlers(settings)
    del handlers["file system scan"]
    tasks = [uploaded, cover, moved, placed, picture]
    report = prove(MUSIC, tasks=tasks, handlers=handlers, uploads=settings.uploads)
    assert report.handlers == 5
    assert (settings.music / other).read_bytes() == source.read_bytes()
    assert MusicDatabase(settings.database).song(song) is not None
    row = MusicDatabase(settings.database).album(album)
    assert row is not None
    assert row["artworkpath"] != "default.jpg"
