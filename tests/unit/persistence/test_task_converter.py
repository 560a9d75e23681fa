"""A task as JSON text and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from musictasks.errors import InvalidTaskFile
from musictasks.persistence import TaskConverter, as_dictionary, make_converter
from musictasks.persistence.canonical import OPTIONS, parse
from musictasks.statemachine import MUSIC, HistoryEntry, MusicTask, Role, Stage

CONVERTER = make_converter(MUSIC)

DOCUMENTED = [
    *("id", "state", "contenttype", "mimetype", "annotations", "initializationtime", "updatetime"),
    *("filesize", "offset", "uploadpath", "preprocessedpath", "sourcefilename", "sourcechecksum"),
    *("videopath", "albumpath", "albumfilepath", "awsourcetype", "awsourcepath"),
]
ADDED = ["triggerimport", "includeartwork", "attempts", "history", "handlerkeys"]
PATHS = [
    *("uploadpath", "preprocessedpath", "videopath", "albumpath", "albumfilepath", "awsourcepath"),
]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(-(2**63), 2**64 - 1)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda name: not set(name) & set("/\\") and name not in (".", "..")
)
paths = st.none() | st.lists(names, min_size=1, max_size=3).map("/".join)
counts = st.none() | st.integers(0, 2**63)
maybe = st.none() | texts
states = st.sampled_from(sorted(MUSIC.storable))


@st.composite
def tasks(draw: st.DrawFn) -> MusicTask:
    """Any task that a lifecycle can make, and more."""
    entry = st.builds(
        HistoryEntry,
        time=st.integers(0, 2**40) | st.floats(0, 1e12),
        event=texts,
        source=texts,
        target=texts,
        message=maybe,
    )
    state = draw(states)
    history = draw(st.lists(entry, max_size=3))
    if history:
        history[-1] = evolve(history[-1], target=state)
    return MusicTask(
        id=draw(st.from_regex(r"[A-Za-z0-9-]{1,64}", fullmatch=True)),
        state=state,
        content_type=draw(maybe),
        mime_type=draw(maybe),
        annotations=draw(st.dictionaries(texts, values, max_size=3)),
        initialization_time=draw(counts),
        update_time=draw(counts),
        file_size=draw(counts),
        offset=draw(counts),
        upload_path=draw(paths),
        preprocessed_path=draw(paths),
        source_filename=draw(maybe),
        source_checksum=draw(maybe),
        video_path=draw(paths),
        album_path=draw(paths),
        album_file_path=draw(paths),
        artwork_source_type=draw(maybe),
        artwork_source_path=draw(paths),
        trigger_import=draw(st.booleans()),
        include_artwork=draw(st.booleans()),
        attempts=draw(st.integers(0, 10)),
        history=tuple(history),
        handler_keys=tuple(draw(st.lists(texts, max_size=3))),
        unknown=draw(
            st.dictionaries(texts.filter(lambda k: k not in DOCUMENTED + ADDED), values, max_size=3)
        ),
    )


def text(**keys: Any) -> bytes:
    return json.dumps({"id": "t", "state": "remove"} | keys).encode()


def reason(data: bytes, converter: TaskConverter = CONVERTER) -> str:
    with pytest.raises(InvalidTaskFile) as caught:
        converter.load(data, "t")
    return caught.value.reason


@settings(deadline=None)
@given(tasks())
def test_what_is_saved_is_what_is_loaded(task: MusicTask) -> None:
    """Every task, every text, every unknown key comes back as it was, and so do the bytes."""
    data = CONVERTER.dump(task)
    loaded = CONVERTER.load(data, task.id)
    assert loaded == task
    assert CONVERTER.dump(loaded) == data
    assert orjson.loads(data) == as_dictionary(task)


@settings(deadline=None)
@given(st.binary(max_size=60) | values.map(orjson.dumps))
def test_any_bytes_are_a_task_or_an_invalid_file(data: bytes) -> None:
    """Nothing but InvalidTaskFile comes out of bytes that are no task."""
    with pytest.raises(InvalidTaskFile):
        CONVERTER.load(data, "t")


@settings(deadline=None)
@given(tasks(), st.sampled_from(DOCUMENTED + ADDED), values)
def test_any_value_at_any_key_is_loaded_as_it_is_or_refused(
    task: MusicTask, key: str, value: Any
) -> None:
    """No value is coerced: either the record has exactly it, or the file is invalid."""
    record = as_dictionary(task) | {key: value}
    try:
        loaded = CONVERTER.load(orjson.dumps(record), task.id)
    except InvalidTaskFile:
        return
    expected = {} if key == "annotations" and value is None else value
    got = as_dictionary(loaded)[key]
    if isinstance(expected, list) and key == "history":
        expected = [
            {"message": None}
            | {k: e[k] for k in e if k in ("time", "event", "from", "to", "message")}
            for e in expected
        ]
    assert orjson.dumps(got, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        expected, option=orjson.OPT_SORT_KEYS
    )


def test_the_keys_are_the_documented_ones() -> None:
    """Every documented key is there, then ours, and nothing else."""
    assert sorted(as_dictionary(MusicTask(id="t"))) == sorted(DOCUMENTED + ADDED)
    entry = HistoryEntry(1.5, "remove", "waitforchunk", "remove", "why")
    assert as_dictionary(MusicTask(id="t", history=(entry,)))["history"] == [
        {"time": 1.5, "event": "remove", "from": "waitforchunk", "to": "remove", "message": "why"}
    ]


def test_a_file_can_be_read_by_a_person() -> None:
    """Indented, sorted, with a newline at the end, umlauts as they are."""
    data = CONVERTER.dump(MusicTask(id="t", state="remove", annotations={"ä": 1}))
    lines = data.decode().splitlines(keepends=True)
    assert lines[:3] == ["{\n", '  "albumfilepath": null,\n', '  "albumpath": null,\n']
    assert '    "ä": 1\n' in lines
    assert lines[-1] == "}\n"


def test_a_file_of_musicdb_loads() -> None:
    """Only documented keys, most of them null: what we added gets its defaults."""
    data = json.dumps(dict.fromkeys(DOCUMENTED) | {"id": "t", "state": "readyforintegration"})
    task = CONVERTER.load(data.encode(), "t")
    assert task == MusicTask(id="t", state="readyforintegration")
    assert (task.annotations, task.history, task.attempts) == ({}, (), 0)


def test_the_dictionary_is_the_callers_own() -> None:
    """What a caller does to it changes no task."""
    task = MusicTask(id="t", annotations={"a": [1]}, unknown={"b": [2]})
    dictionary = as_dictionary(task)
    dictionary["annotations"]["a"].append(3)
    dictionary["b"].append(3)
    dictionary["history"].append("x")
    assert task == MusicTask(id="t", annotations={"a": [1]}, unknown={"b": [2]})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "expected an object @ $"),
        (b"null", "expected an object @ $"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b'{"id":"t\xc3"}', "not UTF-8 at byte 8"),
        (b"\xef\xbb\xbf" + text(), "not JSON"),
        (text() + text(), "not JSON"),
        (b'{"id":"t","id":"t","state":"remove"}', "'id' stands twice"),
        (b'{"id":"t","state":"remove","x":{"y":1,"y":2}}', "'y' stands twice"),
        (b'{"id":"t","state":"remove","x":NaN}', "NaN"),
        (b'{"id":"t","state":"remove","x":-Infinity}', "-Infinity"),
        (b'{"id":"t","state":"remove","x":1e999}', "1e999"),
        (text(x=2**64), "64 bits"),
        (text(filesize=-(2**63) - 1), "64 bits"),
        (b'{"x":' + b"9" * 100_000 + b"}", "64 bits"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"id":"t","state":"remove","x":' + b"[" * 300 + b"]" * 300 + b"}", "nested deeper"),
        (text(annotations={"a": "\ud800"}), "$.annotations.a: text with lone surrogates"),
        (text(mimetype="\ud800"), "lone surrogates @ $.mimetype"),
        (text(annotations=[]), "expected an object @ $.annotations"),
        (text(filesize=True), "expected int @ $.filesize"),
        (text(filesize="5"), "expected int @ $.filesize"),
        (text(filesize=5.0), "expected int @ $.filesize"),
        (text(filesize=-1), "no negative number @ $.filesize"),
        (text(attempts=None), "expected int @ $.attempts"),
        (text(triggerimport=1), "expected bool @ $.triggerimport"),
        (text(mimetype=5), "expected str @ $.mimetype"),
        (text(handlerkeys="abc"), "expected a list @ $.handlerkeys"),
        (text(handlerkeys=["a", 1]), "expected str @ $.handlerkeys[1]"),
        (text(history={}), "expected a list @ $.history"),
        (text(history=[1]), "expected an object @ $.history[0]"),
        (
            text(history=[{"time": True, "event": "e", "to": "remove"}]),
            "expected a number @ $.history[0].time; required key missing @ $.history[0].from",
        ),
        (
            text(history=[{"time": 1, "event": "e", "from": "new", "to": "new"}]),
            "leads to 'new', not to the state @ $.history",
        ),
        (text(id="other"), "the id 'other' is not the name of the file @ $.id"),
        (b'{"state":"remove"}', "required key missing @ $.id"),
        (b'{"id":"t"}', "'new' is no state"),
        (text(state="new"), "'new' is no state"),
        (text(state="notexisting"), "'notexisting' is no state"),
        (text(state="Remove"), "'Remove' is no state"),
        (text(filesize="5", offset=False), "@ $.filesize; expected int @ $.offset"),
    ],
)
def test_what_is_no_task_is_refused_with_the_reason(data: bytes, expected: str) -> None:
    """Each of these is invalid, and says what is wrong where."""
    assert expected in reason(data)


@pytest.mark.parametrize("key", PATHS)
@pytest.mark.parametrize("path", ["", "/etc", "../x", "a/..", "a//b", "a\\b", "a\0", "a\n", "."])
def test_a_path_that_leads_out_is_refused(key: str, path: str) -> None:
    """Every path key is checked before a task can be worked on."""
    assert f"@ $.{key}" in reason(text(**{key: path}))


@pytest.mark.parametrize("task_id", ["", "a/b", "..", "x" * 65, "t\n", "tä"])
def test_an_id_is_plain(task_id: str) -> None:
    """An id with anything but letters, digits and dashes is refused, the file's own too."""
    with pytest.raises(InvalidTaskFile, match="is not the name of the file"):
        CONVERTER.load(text(id=task_id), task_id)


def test_the_states_are_those_of_the_lifecycle() -> None:
    """A state that an integrator added loads with the integrator's lifecycle only."""
    stage = Stage(
        name="transcoding",
        group="upload",
        queued="starttranscoding",
        working="transcoding",
        succeeded="readyforintegration",
        failed="transcodingfailed",
        rejected="invalidcontent",
    )
    mine = MUSIC.with_stage(stage).with_target("preprocessing", "succeed", "starttranscoding")
    data = text(state="transcoding")
    assert make_converter(mine).load(data, "t").state == "transcoding"
    assert "'transcoding' is no state" in reason(data)
    stored = {state.name for state in mine.states} - {"new", "notexisting"}
    assert stored == mine.storable
    assert Role.GONE not in {mine.role(name) for name in stored}


def test_an_edited_record_may_say_any_state() -> None:
    """For a merge, state and history are not compared; types and paths still count."""
    history = [{"time": 1, "event": "e", "from": "new", "to": "waitforchunk"}]
    edited = CONVERTER.load(text(state="whatever", history=history), "t", edited=True)
    assert edited.state == "whatever"
    with pytest.raises(InvalidTaskFile):
        CONVERTER.load(text(albumpath="../x"), "t", edited=True)
    with pytest.raises(InvalidTaskFile):
        CONVERTER.load(text(id="u"), "t", edited=True)


def _long_way(data: bytes, task_id: str) -> MusicTask | str:
    """What `load` makes of a file that is not written as we write: the last byte is missing."""
    return _loaded(data.removesuffix(b"\n"), task_id)


def _loaded(data: bytes, task_id: str) -> MusicTask | str:
    try:
        return CONVERTER.load(data, task_id)  # pyright: ignore[reportReturnType]
    except InvalidTaskFile as error:
        return str(error)


@given(tasks(), st.dictionaries(texts, values, max_size=2))
@settings(deadline=None)
def test_the_short_way_reads_what_the_long_way_reads(task: MusicTask, unknown: dict[str, Any]):
    """A file as it was written loads without the long way, and to the same record."""
    known = CONVERTER.format.keys.values()
    extra = {key: value for key, value in unknown.items() if key not in known}
    data = CONVERTER.dump(evolve(task, unknown=extra))
    parsed = parse(data)
    assert parsed is not None
    assert CONVERTER.format.from_canonical(parsed) is not None
    assert _loaded(data, task.id) == _long_way(data, task.id)


@given(tasks(), st.sampled_from([*DOCUMENTED, *ADDED]), values)
@settings(deadline=None)
def test_no_value_is_taken_that_the_long_way_refuses(task: MusicTask, key: str, value: Any):
    """Any value in any field: both ways load the same, or refuse for the same reason."""
    record = json.loads(CONVERTER.dump(task)) | {key: value}
    data = orjson.dumps(record, option=OPTIONS)
    assert _loaded(data, task.id) == _long_way(data, task.id)


@given(tasks(), st.sampled_from(["time", "event", "from", "to", "message", "more"]), values)
@settings(deadline=None)
def test_no_history_is_taken_that_the_long_way_refuses(task: MusicTask, key: str, value: Any):
    entry = {"time": 1.5, "event": "e", "from": "f", "to": task.state, "message": None}
    record = json.loads(CONVERTER.dump(task)) | {"history": [entry | {key: value}]}
    data = orjson.dumps(record, option=OPTIONS)
    assert _loaded(data, task.id) == _long_way(data, task.id)


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"deeper": value}
    return value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, path) for key in PATHS for path in ("../x", "/etc", "a//b", "a\\b")),
        *((key, -1) for key in ("attempts", "filesize", "offset", "updatetime")),
        ("annotations", _nested(101)),
        ("theirs", _nested(101)),
        ("history", [{"event": "e", "from": "f", "message": None, "time": 1, "to": "remove"}]),
        ("id", "another"),
        ("state", "new"),
    ],
)
def test_what_is_wrong_is_found_on_the_short_way(key: str, value: Any):
    """In a file that is written as we write, but for one value; the long way says what it is."""
    task = MusicTask(id="t", state="readyforintegration", upload_path="t/song", file_size=1)
    record = json.loads(CONVERTER.dump(task)) | {key: value}
    data = orjson.dumps(record, option=OPTIONS)
    assert parse(data) is not None
    with pytest.raises(InvalidTaskFile):
        CONVERTER.load(data, "t")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b'"attempts": 0', b'"attempts": 0,\n  "attempts": 0'),
        lambda data: data.replace(b'"attempts": 0', b'"attempts": 18446744073709551616'),
        lambda data: data.replace(b'"attempts": 0', b'"attempts": 1e999'),
        lambda data: data.replace(b'"attempts": 0', b'"attempts": NaN'),
        lambda data: data.replace(b'"attempts": 0', b'"attempts": -0'),
        lambda data: data.replace(b'"mimetype": null', b'"mimetype": "\\ud800"'),
        lambda data: data.replace(b'"mimetype": null', b'"mimetype": "\xff"'),
        lambda data: data.replace(b'"annotations": {}', b'"annotations": ' + b"[" * 5000),
        lambda data: b"[]\n",
        lambda data: b"",
    ],
)
def test_what_is_not_written_as_we_write_goes_the_long_way(damage: Callable[[bytes], bytes]):
    data = damage(CONVERTER.dump(MusicTask(id="t", state="waitforchunk")))
    assert parse(data) is None
