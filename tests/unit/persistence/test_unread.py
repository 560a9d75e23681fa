"""What a record that was loaded reads only when somebody asks for it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from attrs import evolve, field, frozen
from musictasks.errors import InvalidTaskFile
from musictasks.persistence import as_dictionary, make_converter
from musictasks.statemachine import MUSIC, HistoryEntry, MusicTask, UploadTask
from musictasks.statemachine.record import unread_of
from papers import PAPERS

HISTORY = (
    HistoryEntry(1.5, "request_upload", "new", "waitforchunk"),
    HistoryEntry(2, "annotate", "waitforchunk", "waitforchunk", "why"),
)
MADE = MusicTask(
    id="one",
    state="waitforchunk",
    annotations={"song": "Song", "more": {"tags": [1, 2.5, None]}},
    history=HISTORY,
    handler_keys=("song",),
    unknown={"theirs": [True]},
    upload_path="one/albumfile",
    offset=2,
)
CONVERTER = make_converter(MUSIC)


def loaded() -> MusicTask:
    """The record of a file, with most of it unread."""
    task = CONVERTER.load(CONVERTER.dump(MADE), "one")
    assert isinstance(task, MusicTask)
    assert unread_of(task) is not None
    return task


def test_what_is_short_is_there_at_once():
    task = loaded()
    assert (task.id, task.state, task.upload_path, task.offset) == (
        "one",
        "waitforchunk",
        "one/albumfile",
        2,
    )
    assert task.album_path is None
    assert unread_of(task) is not None


@pytest.mark.parametrize("name", ["annotations", "history", "handler_keys", "unknown", "message"])
def test_whoever_asks_for_one_field_gets_it(name: str):
    task = loaded()
    assert getattr(task, name) == getattr(MADE, name)
    assert unread_of(task) is None
    assert task == MADE


@pytest.mark.parametrize(
    "use",
    [
        copy.copy,
        copy.deepcopy,
        lambda task: pickle.loads(pickle.dumps(task)),
        lambda task: evolve(task, offset=2),
        lambda task: task.annotated({"song": "Song"}, by_handler=True),
        lambda task: CONVERTER.load(CONVERTER.dump(task), "one"),
    ],
    ids=["copy", "deepcopy", "pickle", "evolve", "annotated", "dump"],
)
def test_it_is_a_record_as_any_other(use: Any):
    assert use(loaded()) == MADE


def test_its_dictionary_is_made_without_reading_it():
    task = loaded()
    assert as_dictionary(task) == as_dictionary(MADE)
    assert list(as_dictionary(task)) == list(as_dictionary(MADE))
    assert unread_of(task) is not None
    as_dictionary(task)["annotations"]["song"] = "another"
    assert task == MADE


def test_it_has_no_field_that_its_class_has_not():
    for task in (loaded(), MADE):
        with pytest.raises(AttributeError, match="nothing"):
            _ = task.nothing  # pyright: ignore[reportAttributeAccessIssue]


def _not_seven(_self: object, _attribute: object, value: int) -> None:
    if value == 7:
        raise ValueError("no paper has seven pages")


@frozen(kw_only=True)
class Validated(UploadTask):
    """Its constructor refuses some values."""

    pages: int = field(default=1, validator=_not_seven)


@frozen(kw_only=True)
class Converted(UploadTask):
    """Its constructor changes a value."""

    pages: int = field(default=1, converter=abs)


@frozen(kw_only=True)
class Finished(UploadTask):
    """Its constructor has the last word."""

    pages: int = 1

    def __attrs_post_init__(self) -> None:
        _not_seven(self, None, self.pages)


@pytest.mark.parametrize("record", [Validated, Converted, Finished])
def test_a_constructor_that_does_more_is_called_for_each_file(record: type[Any]):
    """What it refuses is an invalid file at once, not when somebody asks."""
    converter = make_converter(evolve(PAPERS, record=record))
    state = next(iter(sorted(converter.lifecycle.storable)))
    data = converter.dump(record(id="one", state=state, pages=3))
    assert converter.load(data, "one") == record(id="one", state=state, pages=3)
    if record is Converted:
        assert converter.load(data.replace(b" 3", b" -3"), "one").pages == 3  # pyright: ignore[reportAttributeAccessIssue]
    else:
        with pytest.raises(InvalidTaskFile):
            converter.load(data.replace(b" 3", b" 7"), "one")
