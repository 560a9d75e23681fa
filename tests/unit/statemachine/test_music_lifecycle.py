"""The declaration against the table of the specification, pair by pair."""

from __future__ import annotations

import itertools

import pytest
from musictasks.errors import IllegalTransition, TransitionRefused
from musictasks.statemachine import MUSIC, HistoryEntry, Kind, MusicTask, State, TaskMachine

SHA1 = "ab" * 20

#: The documented lifecycle once more, typed by hand: (event, from, to or None).
DOCUMENTED = """
request_upload new waitforchunk
request_music_import new startmusicimport
request_artwork_import new startartworkimport
request_scan new startfsscan
receive_chunk waitforchunk -
complete_upload waitforchunk uploadcomplete
fail waitforchunk uploadfailed
begin uploadcomplete preprocessing
begin startintegration integrating
begin startmusicimport importingmusic
begin startartworkimport importingartwork
begin startfsscan scanningfs
succeed preprocessing readyforintegration
succeed integrating startmusicimport
succeed integrating readyforimport
succeed importingmusic startartworkimport
succeed importingmusic importcomplete
succeed importingartwork importcomplete
succeed scanningfs fsscancomplete
fail integrating integrationfailed
fail importingmusic importfailed
fail importingartwork importfailed
fail scanningfs fsscanfailed
reject preprocessing invalidcontent
reject integrating invalidcontent
reject importingmusic invalidcontent
reject importingartwork invalidcontent
request_integration readyforintegration startintegration
request_artwork_import readyforintegration startartworkimport
forget remove notexisting
"""
ADDED = "fail preprocessing uploadfailed"
RECOVERY = """
recover preprocessing uploadcomplete
recover preprocessing uploadfailed
recover integrating startintegration
recover integrating integrationfailed
recover importingmusic startmusicimport
recover importingmusic importfailed
recover importingartwork startartworkimport
recover importingartwork importfailed
recover scanningfs startfsscan
recover scanningfs fsscanfailed
"""
RETRY = """
retry uploadfailed uploadcomplete
retry uploadfailed waitforchunk
retry integrationfailed startintegration
retry importfailed startartworkimport
retry importfailed startmusicimport
retry fsscanfailed startfsscan
"""


def rows(text: str) -> set[tuple[str, str, str | None]]:
    split = (line.split() for line in text.strip().splitlines())
    return {(event, source, None if to == "-" else to) for event, source, to in split}


REMOVALS = {
    ("remove", state.value, "remove")
    for state in State
    if state.value not in {"new", "notexisting", "remove"}
}
EXPECTED = {
    Kind.DOCUMENTED: rows(DOCUMENTED) | REMOVALS,
    Kind.ADDED: rows(ADDED),
    Kind.RECOVERY: rows(RECOVERY),
    Kind.RETRY: rows(RETRY),
}


def test_the_states_are_the_23_documented_ones():
    """`State` and the declaration name the same 23 states."""
    assert {state.name for state in MUSIC.states} == {state.value for state in State}
    assert len(MUSIC.states) == 23


@pytest.mark.parametrize("kind", list(Kind))
def test_the_edges_of_each_kind_are_those_of_the_table(kind: Kind):
    """The declaration has every edge of the specification with its kind, and no other."""
    declared = {(e.event, e.source, e.target) for e in MUSIC.edges if e.kind is kind}
    assert declared == EXPECTED[kind]
    assert len(MUSIC.edges) == sum(map(len, EXPECTED.values()))


def candidates(state: str) -> list[tuple[MusicTask, dict]]:
    """Records in a state, and payloads, that together make every guard say yes and no."""
    found = []
    for content in ("video", "albumfile", "album", "artwork", "any", "what"):
        for flags in itertools.product((False, True), repeat=2):
            for came_from in ("preprocessing", "importingartwork", "new"):
                for attempts in (1, 3):
                    for size, sha1 in ((2, SHA1), (3, SHA1.upper()), (3, "0" * 40), (4, SHA1)):
                        history = (HistoryEntry(1.0, "x", came_from, state),)
                        task = MusicTask(
                            id="t",
                            state=state,
                            content_type=content,
                            trigger_import=flags[0],
                            include_artwork=flags[1],
                            attempts=attempts,
                            history=() if state == "new" else history,
                            file_size=3,
                            source_checksum=SHA1,
                        )
                        found.append((task, {"size": size, "sha1": sha1}))
    return found


def expected_target(task: MusicTask, event: str, payload: dict) -> str | None:
    """Where the specification's guards lead, said once more in plain code; None: refused."""
    content, state = task.content_type, task.state
    artwork = content == "artwork"
    choice = {
        ("new", "request_upload"): content in {"video", "albumfile", "album", "artwork"}
        and "waitforchunk",
        ("new", "request_music_import"): content in {"album", "video"} and "startmusicimport",
        ("new", "request_artwork_import"): artwork and "startartworkimport",
        ("new", "request_scan"): content == "any" and "startfsscan",
        ("waitforchunk", "receive_chunk"): payload["size"] < 3 and "waitforchunk",
        ("waitforchunk", "complete_upload"): payload["size"] == 3
        and payload["sha1"].lower() == SHA1
        and "uploadcomplete",
        ("readyforintegration", "request_integration"): not artwork and "startintegration",
        ("readyforintegration", "request_artwork_import"): artwork and "startartworkimport",
        ("integrating", "succeed"): "startmusicimport" if task.trigger_import else "readyforimport",
        ("importingmusic", "succeed"): "startartworkimport"
        if task.include_artwork
        else "importcomplete",
        ("uploadfailed", "retry"): "uploadcomplete"
        if task.came_from == "preprocessing"
        else "waitforchunk",
        ("importfailed", "retry"): "startartworkimport"
        if artwork or task.came_from == "importingartwork"
        else "startmusicimport",
    }
    if (state, event) in choice:
        return choice[state, event] or None
    targets = [e.target for e in MUSIC.edges if (e.source, e.event) == (state, event)]
    if event == "recover" and targets:
        return targets[0] if task.attempts < 3 else targets[1]
    return targets[0] if targets else None


@pytest.mark.parametrize("state", [state.value for state in State])
def test_every_pair_of_state_and_event_does_what_the_table_says(state: str):
    """For each event: the machine goes where the table leads, or raises and saves nothing."""
    saved: list[MusicTask] = []
    entered: list[str] = []
    machine = TaskMachine(
        MUSIC, save=lambda t, _: saved.append(t), entered=lambda t, *_: entered.append(t.state)
    )
    known = {edge.event for edge in MUSIC.edges if edge.source == state}
    for task, payload in candidates(state):
        for event in (*MUSIC.events, "no_such_event", "to_remove"):
            saved.clear()
            entered.clear()
            target = expected_target(task, event, payload)
            if target is None:
                with pytest.raises(IllegalTransition) as caught:
                    machine.send(task, event, now=2.0, payload=payload)
                assert isinstance(caught.value, TransitionRefused) == (event in known)
                assert (saved, entered) == ([], [])
            else:
                moved = machine.send(task, event, now=2.0, payload=payload)
                assert moved.state == target
                assert saved == ([] if event == "receive_chunk" else [moved])
                assert entered == ([] if event == "receive_chunk" else [target])
