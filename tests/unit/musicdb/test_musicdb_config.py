"""Configuration objects of MusicDB's own: sections and their keys are attributes."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import musictasks.musicdb as face
import pytest
from musicdbkit import World, write_ini
from musictasks.errors import SettingsError
from musictasks.music import Settings
from musictasks.musicdb import (
    MusicDatabase,
    StartTaskManagementThread,
    StopTaskManagementThread,
    TaskManager,
)
from musictasks.musicdb.config import settings_of


class Section:
    """As MusicDB's: an empty object that gets its attributes."""

    def __init__(self, **keys: Any) -> None:
        vars(self).update(keys)


class Configuration:
    """Its sections, with many that are no business of ours."""

    def __init__(self, root: Path, **sections: Section) -> None:
        self.directories = Section(
            music=str(root / "music"), data=root / "data", tasks="elsewhere", artwork="elsewhere"
        )
        self.websocket = Section(port=9000)
        vars(self).update(sections)


def test_the_two_directories_are_enough(tmp_path: Path):
    """All else is as if a file had only them."""
    assert settings_of(Configuration(tmp_path), None) == Settings.in_directory(tmp_path)


def test_every_setting_counts(tmp_path: Path):
    """Lists as lists or as the text that the file has; numbers as numbers or as text."""
    as_lists = Configuration(
        tmp_path,
        uploads=Section(allow=["artwork", "albumfile"]),
        music=Section(ignoreartists=["lost+found", "A B"], ignorealbums=[], ignoresongs={"x"}),
        albumcover=Section(scales=[50, 150]),
        videoframes=Section(frames=7, scales=[(150, 83), (50, 27)], previewlength=2.5),
        tasks=Section(workers=3, durability="none"),
    )
    as_texts = Configuration(
        tmp_path,
        uploads=Section(allow="artwork, albumfile"),
        music=Section(ignoreartists="lost+found / A B", ignorealbums="", ignoresongs="x"),
        albumcover=Section(scales="50, 150"),
        videoframes=Section(frames="7", scales="150x83, 50x27", previewlength="2.5"),
        tasks=Section(workers="3", durability="none"),
    )
    expected = Settings.in_directory(
        tmp_path,
        allow={"artwork", "albumfile"},
        ignore_artists={"lost+found", "A B"},
        ignore_albums=(),
        ignore_songs={"x"},
        artwork_scales=(50, 150),
        video_frames=7,
        video_scales=((150, 83), (50, 27)),
        video_preview_length_s=2.5,
        workers=3,
        durability="none",
    )
    assert settings_of(as_lists, None) == settings_of(as_texts, None) == expected


def test_what_is_none_or_missing_has_the_default(tmp_path: Path):
    """A section without our keys, a key without a value."""
    config = Configuration(tmp_path, uploads=Section(allow=None), music=Section(cache="x"))
    assert settings_of(config, None) == Settings.in_directory(tmp_path)


def test_an_unknown_content_type_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """As in a file: logged, and none of ours is lost; an empty list switches uploads off."""
    config = Configuration(tmp_path, uploads=Section(allow=["artwork", "podcast"]))
    assert settings_of(config, None).allow == {"artwork"}
    assert "podcast" in caplog.text
    assert settings_of(Configuration(tmp_path, uploads=Section(allow=[])), None).allow == set()


def test_a_bad_value_names_section_and_key(tmp_path: Path):
    """And the kind of object that it comes from."""
    config = Configuration(tmp_path, albumcover=Section(scales=["large"]))
    with pytest.raises(SettingsError, match=r"Configuration.*albumcover.*scales"):
        settings_of(config, None)


def test_managers_and_the_thread_take_it(tmp_path: Path):
    """They work on the same tasks as those with the file of the same library."""
    world = World(tmp_path)
    world.begin()
    config = Configuration(tmp_path)
    assert set(TaskManager(config).GetTasks()) == {"task"}
    assert StartTaskManagementThread(config, musicdb=tmp_path / "data" / "music.db")
    assert StopTaskManagementThread()


def test_the_parameters_are_named_as_in_musicdb(tmp_path: Path):
    """`config` and `musicdb`, where managers have `config` and `database`."""
    start = inspect.signature(StartTaskManagementThread).parameters
    assert list(start) == ["config", "musicdb"]
    for name in face.__all__:
        if name.endswith("Manager"):
            parameters = inspect.signature(getattr(face, name)).parameters
            assert list(parameters) == ["config", "database"]
    ini = write_ini(tmp_path)
    database = MusicDatabase(tmp_path / "data" / "music.db")
    assert StartTaskManagementThread(config=ini, musicdb=database) is True
    assert StartTaskManagementThread(config=str(ini), musicdb=None) is False


@pytest.mark.parametrize(
    "config",
    [
        SimpleNamespace(),
        SimpleNamespace(directories=None),
        SimpleNamespace(directories=SimpleNamespace(music="m")),
        SimpleNamespace(directories=SimpleNamespace(data="d")),
    ],
)
def test_an_object_without_the_directories_is_refused(config: Any):
    """With a TypeError, by managers and by the start."""
    for call in (TaskManager, StartTaskManagementThread):
        with pytest.raises(TypeError, match=r"directories\.music"):
            call(config)


@pytest.mark.parametrize("directory", ["music", "data"])
def test_directories_without_a_value_are_missing(tmp_path: Path, directory: str):
    """A section with the key, but no path in it."""
    config = Configuration(tmp_path)
    setattr(config.directories, directory, None)
    with pytest.raises(SettingsError, match=directory):
        TaskManager(config)


def test_a_musicdb_of_another_type_is_refused(tmp_path: Path):
    """With a TypeError that says what it can be; another database with a ValueError."""
    ini = write_ini(tmp_path)
    with pytest.raises(TypeError, match="MusicDatabase"):
        StartTaskManagementThread(ini, musicdb=object())  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"other\.db"):
        StartTaskManagementThread(ini, musicdb=tmp_path / "other.db")
    assert StopTaskManagementThread() is False
