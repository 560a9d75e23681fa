"""What the machine promises about one event."""

from __future__ import annotations

import pickle

import attrs
import pytest
import transitions
from musictasks.errors import IllegalTransition, LifecycleError, TransitionRefused
from musictasks.statemachine import HISTORY_LIMIT, MUSIC, HistoryEntry, MusicTask, TaskMachine
from musictasks.statemachine import machine as machine_module

QUEUED = MusicTask(
    id="t",
    state="startintegration",
    content_type="albumfile",
    initialization_time=1,
    history=(HistoryEntry(1.0, "request_integration", "readyforintegration", "startintegration"),),
)


def test_the_order_is_save_then_memory_then_entered_then_on_enter():
    """The record is saved before it counts, and told before its work starts."""
    order: list[tuple[str, str]] = []
    machine = TaskMachine(
        MUSIC,
        save=lambda task, _: order.append(("save", task.state)),
        entered=lambda task, *_: order.append(("entered", task.state)),
        on_enter={"integrating": [lambda task, *_: order.append(("work", task.state))]},
    )
    machine.send(QUEUED, "begin", now=2.0)
    assert order == [("save", "integrating"), ("entered", "integrating"), ("work", "integrating")]


def test_a_save_that_fails_leaves_everything_as_it_was():
    """If the save raises, nobody is told and the error reaches the caller."""
    told: list[str] = []

    def save(task: MusicTask, _: object) -> None:
        raise OSError(28, "No space left on device")

    machine = TaskMachine(MUSIC, save=save, entered=lambda task, *_: told.append(task.state))
    with pytest.raises(OSError, match="No space"):
        machine.send(QUEUED, "begin", now=2.0)
    assert told == []
    assert QUEUED.state == "startintegration"


def test_begin_counts_an_attempt_recover_keeps_it_and_the_rest_resets_it():
    """`attempts` says how often the present stage was begun."""
    machine = TaskMachine(MUSIC)
    task = machine.send(QUEUED, "begin", now=2.0)
    assert task.attempts == 1
    task = machine.send(task, "recover", now=3.0)
    assert (task.state, task.attempts) == ("startintegration", 1)
    task = machine.send(machine.send(task, "begin", now=4.0), "succeed", now=5.0)
    assert (task.state, task.attempts) == ("readyforimport", 0)


def test_recover_gives_up_after_the_limit_of_the_payload():
    """A setting of one attempt: the first crash ends in the failed state."""
    machine = TaskMachine(MUSIC)
    task = machine.send(QUEUED, "begin", now=2.0)
    task = machine.send(task, "recover", now=3.0, payload={"attempts_limit": 1})
    assert task.state == "integrationfailed"


def test_times_and_history_tell_each_change_of_state():
    """The first event sets the initialization time, the later ones the update time."""
    machine = TaskMachine(MUSIC)
    made = machine.send(MusicTask(id="t", content_type="album"), "request_music_import", now=1.7)
    assert (made.initialization_time, made.update_time) == (1, None)
    task = machine.send(made, "remove", now=2.9, message="why")
    assert (task.initialization_time, task.update_time) == (1, 2)
    assert task.history == (
        HistoryEntry(1.7, "request_music_import", "new", "startmusicimport"),
        HistoryEntry(2.9, "remove", "startmusicimport", "remove", "why"),
    )


def test_the_history_keeps_the_last_entries():
    """However often a stage is begun again, a record does not grow without bound."""
    machine = TaskMachine(MUSIC)
    task = QUEUED
    for number in range(HISTORY_LIMIT):
        event = "begin" if number % 2 == 0 else "recover"
        task = machine.send(task, event, now=number, payload={"attempts_limit": 1000})
    assert len(task.history) == HISTORY_LIMIT
    assert task.history[-1].target == task.state
    assert task.history[0].event == "begin"


def test_an_internal_edge_changes_the_offset_only():
    """A chunk makes no save, no history entry and no entry into a state."""
    machine = TaskMachine(
        MUSIC,
        save=lambda *_: pytest.fail("saved"),
        entered=lambda *_: pytest.fail("entered"),
    )
    task = MusicTask(id="t", state="waitforchunk", file_size=3, offset=0)
    moved = machine.send(task, "receive_chunk", now=9, changes={"offset": 1}, payload={"size": 1})
    assert moved == attrs.evolve(task, offset=1)


@pytest.mark.parametrize("name", ["state", "id", "history", "annotations", "handler_keys"])
def test_changes_cannot_set_what_the_machine_alone_writes(name: str):
    """An outcome cannot smuggle a state in."""
    with pytest.raises(ValueError, match=name):
        TaskMachine(MUSIC).send(QUEUED, "begin", now=2.0, changes={name: "remove"})


def test_the_state_of_a_task_cannot_be_assigned():
    """No way of Python's leads to another state, short of object.__setattr__."""
    for assign in (
        lambda: setattr(QUEUED, "state", "remove"),
        lambda: delattr(QUEUED, "state"),
        lambda: QUEUED.__setattr__("state", "remove"),
        lambda: vars(QUEUED).__setitem__("state", "remove"),
        lambda: QUEUED.history.append(1),  # pyright: ignore[reportAttributeAccessIssue]
    ):
        with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError, TypeError)):
            assign()
    assert QUEUED.state == "startintegration"


def test_an_illegal_event_names_task_state_event_and_what_is_allowed():
    """The error says all that a client needs."""
    with pytest.raises(IllegalTransition) as caught:
        TaskMachine(MUSIC).send(QUEUED, "retry", now=2.0)
    error = caught.value
    assert (error.task_id, error.state, error.event) == ("t", "startintegration", "retry")
    assert set(error.allowed) == {"begin", "remove"}
    assert "begin" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_refused_guard_is_named():
    """TransitionRefused is an IllegalTransition that names the guard."""
    task = MusicTask(id="t", state="readyforintegration", content_type="artwork")
    with pytest.raises(TransitionRefused, match="is_not_artwork") as caught:
        TaskMachine(MUSIC).send(task, "request_integration", now=2.0)
    assert caught.value.guards == ("is_not_artwork",)


def test_a_handler_does_not_overwrite_what_the_user_annotated():
    """A handler's keys are the handler's until the user sets them."""
    task = MusicTask(id="t", annotations={"song": "mine"})
    task = task.annotated({"song": "theirs", "bitrate": 1}, by_handler=True)
    assert task.annotations == {"song": "mine", "bitrate": 1}
    task = task.annotated({"bitrate": 2}, by_handler=True)
    assert task.annotations["bitrate"] == 2
    task = task.annotated({"bitrate": 3}).annotated({"bitrate": 4}, by_handler=True)
    assert task.annotations["bitrate"] == 3


def test_annotations_are_copied_in_and_out():
    """Whatever a caller does to them afterwards changes no record."""
    given = {"list": [1, {"deep": True}]}
    task = MusicTask(id="t", annotations=given)
    given["list"].append(2)
    task.annotations["list"].append(3)
    assert task.annotations == {"list": [1, {"deep": True}]}


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": float("nan")}, r"\$\.a"),
        ({"a": [1, {"b": object()}]}, r"\$\.a\[1\]\.b"),
        ({1: 2}, "text"),
        ({"a": "\ud800"}, "surrogates"),
        ({"a": 2**64}, "64 bits"),
    ],
)
def test_annotations_that_json_cannot_hold_are_refused_with_the_place(value: dict, where: str):
    """The error says where in the annotations it is."""
    with pytest.raises(ValueError, match=where):
        MusicTask(id="t", annotations=value)


def test_on_enter_of_an_unknown_state_is_refused():
    """A typo in a state is found when the machine is built."""
    with pytest.raises(LifecycleError, match="integratin"):
        TaskMachine(MUSIC, on_enter={"integratin": []})


def test_records_machines_and_lifecycles_can_be_pickled():
    """Handlers may run in other processes."""
    assert pickle.loads(pickle.dumps(QUEUED)) == QUEUED
    assert pickle.loads(pickle.dumps(MUSIC)) == MUSIC


def _calls_of_every_event() -> list[object]:
    """What is called, in order, and what comes of it: for each state, event, and some records."""
    calls: list[object] = []
    machine = TaskMachine(
        MUSIC,
        save=lambda task, _: calls.append(("save", task)),
        entered=lambda task, edge, _: calls.append(("entered", task, edge)),
        on_enter={
            state.name: [lambda task, edge, _: calls.append(("on_enter", task, edge))]
            for state in MUSIC.states
        },
    )
    kinds = [
        {"content_type": "albumfile", "file_size": 3},
        {"content_type": "album", "trigger_import": True, "include_artwork": True},
        {"content_type": "artwork", "file_size": 3, "attempts": 3},
    ]
    for values in kinds:
        for state in MUSIC.states:
            task = MusicTask(id="t", state=state.name, **values)
            for event in MUSIC.events:
                calls.append((values, state.name, event))
                try:
                    calls.append(machine.send(task, event, now=1.0, payload={"size": 1}))
                except (IllegalTransition, transitions.MachineError):
                    calls.append("refused")
    return calls


def test_each_event_goes_as_transitions_itself_would_do_it(monkeypatch: pytest.MonkeyPatch):
    """What the machine leaves out of `transitions` is nothing that a lifecycle makes use of."""
    ours = _calls_of_every_event()
    monkeypatch.setattr(machine_module._Machine, "event_cls", transitions.core.Event)
    execute = transitions.core.Transition.execute
    monkeypatch.setattr(machine_module._EdgeTransition, "execute", execute)
    assert ours == _calls_of_every_event()
    assert {"save", "entered", "on_enter"} <= {str(call[0]) for call in ours if type(call) is tuple}
    assert "refused" in ours
