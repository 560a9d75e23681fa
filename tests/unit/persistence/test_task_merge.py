"""What counts when a person has edited a task file."""

from __future__ import annotations

import pytest
from attrs import evolve, fields_dict
from musictasks.persistence import merge_edit
from musictasks.statemachine import HistoryEntry, MusicTask

OURS = MusicTask(
    id="t",
    state="integrating",
    content_type="albumfile",
    annotations={"artist": "A", "song": "S"},
    handler_keys=("artist", "song"),
    file_size=5,
    attempts=2,
    history=(HistoryEntry(1, "begin", "startintegration", "integrating"),),
    unknown={"mine": 1},
)


def test_annotations_paths_flags_and_unknown_keys_are_the_persons() -> None:
    """Each of them is taken as the person left it, also where it was taken away."""
    edited = evolve(
        OURS,
        annotations={"artist": "B"},
        preprocessed_path="p",
        video_path="v",
        album_path="a",
        album_file_path="a/f",
        artwork_source_type="songfile",
        artwork_source_path="s",
        trigger_import=True,
        include_artwork=True,
        unknown={"theirs": True},
    )
    assert merge_edit(OURS, edited) == evolve(edited, handler_keys=())


def test_all_else_is_ours(caplog: pytest.LogCaptureFixture) -> None:
    """Id, history, attempts, times and measured values are put back; so is the state, logged."""
    edited = MusicTask(
        id="other",
        state="remove",
        content_type="video",
        annotations=OURS.annotations,
        initialization_time=7,
        file_size=6,
        offset=6,
        upload_path="anothers.flac",
        source_checksum="x",
        attempts=0,
        unknown=OURS.unknown,
    )
    assert merge_edit(OURS, edited) == OURS
    assert "'remove'" in caplog.text
    assert "'integrating'" in caplog.text


def test_nothing_is_logged_where_the_state_is_ours(caplog: pytest.LogCaptureFixture) -> None:
    """A person who edits annotations only hears nothing of states."""
    merge_edit(OURS, OURS)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("annotations", "keys"),
    [
        ({"artist": "A", "song": "S"}, ("artist", "song")),
        ({"artist": "B", "song": "S"}, ("song",)),
        ({"song": "S", "new": 1}, ("song",)),
        ({}, ()),
    ],
)
def test_what_a_person_changed_is_the_users(annotations: dict, keys: tuple[str, ...]) -> None:
    """A handler may overwrite only annotations that are still as a handler left them."""
    assert merge_edit(OURS, evolve(OURS, annotations=annotations)).handler_keys == keys


def test_true_is_not_one() -> None:
    """A value of another type is a change."""
    ours = MusicTask(id="t", annotations={"n": 1}, handler_keys=("n",))
    assert merge_edit(ours, evolve(ours, annotations={"n": True})).handler_keys == ()


def test_every_field_has_its_side() -> None:
    """A field that is new in MusicTask has to be put on one side or the other, here too."""
    persons = {
        *("_annotations", "_unknown", "preprocessed_path", "video_path"),
        *("album_path", "album_file_path", "artwork_source_type", "artwork_source_path"),
        *("trigger_import", "include_artwork"),
    }
    engines = {
        *(
            "id",
            "state",
            "content_type",
            "mime_type",
            "upload_path",
            "initialization_time",
            "update_time",
        ),
        *("file_size", "offset", "source_filename", "source_checksum", "attempts", "history"),
        "handler_keys",
    }
    assert persons | engines == set(fields_dict(MusicTask))
