"""The stage of transcoding.py, proven: `pytest test_transcoding.py`."""

import wave

import pytest
from musictasks.music import Settings, open_library
from musictasks.statemachine import MusicTask
from musictasks.testing import prove
from transcoding import TRANSCODED, to_mono, wav


@pytest.fixture
def musictasks_lifecycle():
    return TRANSCODED


@pytest.fixture
def musictasks_handlers():
    return {"transcoding": to_mono}


@pytest.fixture
def musictasks_opener():
    return open_library


@pytest.fixture
def musictasks_settings(tmp_path):
    return Settings.in_directory(tmp_path / "library", durability="none", workers=2)


def test_nothing_illegal_can_happen(tmp_path, musictasks_handlers):
    tasks = []
    for name, data in (("song.wav", wav(4)), ("text.wav", b"no sound"), ("cover.jpg", b"")):
        path = tmp_path / name[:4] / name
        path.parent.mkdir()
        path.write_bytes(data)
        tasks.append(MusicTask(id=name[:4], state="transcoding", upload_path=f"{name[:4]}/{name}"))
    report = prove(TRANSCODED, tasks=tasks, handlers=musictasks_handlers, uploads=tmp_path)
    assert (report.edges_covered, report.handlers) == (report.edges_total, 3)
    print(report)


def test_a_song_becomes_mono(musictasks_engine, musictasks_recorder):
    data = wav(4)
    task = musictasks_engine.begin_upload(
        content_type="albumfile", file_size=len(data), source_filename="01 Song.wav"
    )
    musictasks_engine.receive_chunk(task.id, data)
    musictasks_recorder.wait_for_state(task.id, "readyforintegration")
    states = ["preprocessing", "starttranscoding", "transcoding", "readyforintegration"]
    assert musictasks_recorder.states(task.id) == ["waitforchunk", "uploadcomplete", *states]
    path = musictasks_engine.get(task.id).preprocessed_path
    with wave.open(str(musictasks_engine.settings.uploads / path), "rb") as song:
        assert (song.getnchannels(), song.readframes(9)) == (1, b"\0\1" * 4)
