"""The settings of an engine: where its tasks are, and all limits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import Attribute, field, frozen

from ..errors import SettingsError


def is_count(value: object) -> bool:
    """Whether it is a whole number, 1 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_duration(value: object) -> bool:
    """Whether it is a number of seconds that a clock can count."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e10


def is_durability(value: object) -> bool:
    return value in ("fsync", "none")


def _checked(
    valid: Callable[[object], bool], expected: str
) -> Callable[[object, Attribute[Any], object], None]:
    def check(_instance: object, attribute: Attribute[Any], value: object) -> None:
        if not valid(value):
            reason = f"{value!r} is not {expected}"
            raise SettingsError(None, "", "", f"{attribute.name}: {reason}")

    return check


def _directory(value: str | os.PathLike[str]) -> Path:
    return Path(value).absolute()


def _count(default: int) -> Any:
    return field(default=default, validator=_checked(is_count, "a whole number, 1 or more"))


def _seconds(default: float) -> Any:
    expected = "a number of seconds, 0 or more"
    return field(default=default, validator=_checked(is_duration, expected))


@frozen(kw_only=True)
class EngineSettings:
    """Where the tasks are, and the limits of their engine; all but the directories have defaults.

    Raises:
        SettingsError: A value cannot be used; it names the setting.
    """

    #: The directory of the task files. Beside it stands `{its name}.owner.json`, for people.
    tasks: Path = field(converter=_directory)
    #: The directory in which each task has its own, `{task id}/`.
    uploads: Path = field(converter=_directory)
    #: "fsync": a state that anybody was told of outlives a power cut. "none": it may not.
    durability: str = field(default="fsync", validator=_checked(is_durability, "'fsync' or 'none'"))
    #: How many handlers work side by side.
    workers: int = _count(os.cpu_count() or 1)
    #: How often a stage is begun, crashes counted, before it has failed.
    attempts: int = _count(3)
    #: The most bytes that a chunk request asks for.
    chunk_size: int = _count(400 * 1024)
    #: A task that waits so long for a client without activity is removed.
    max_age_s: float = _seconds(24 * 3600)
    #: How long a finished task stays listed.
    keep_finished_s: float = _seconds(60)
    #: How long a failed task stays, for a look or a `retry`.
    keep_failed_s: float = _seconds(24 * 3600)
    #: How long a stopping engine waits for the work under way.
    stop_timeout_s: float = _seconds(10)

    def __attrs_post_init__(self) -> None:
        tasks, uploads = (Path(os.path.realpath(one)) for one in (self.tasks, self.uploads))
        if tasks.is_relative_to(uploads) or uploads.is_relative_to(tasks):
            reason = f"{self.tasks} and {self.uploads} are the same, or one is in the other"
            raise SettingsError(None, "", "", f"tasks and uploads: {reason}: name two directories")

    @property
    def durable(self) -> bool:
        """Whether what is saved is made to outlive a power cut."""
        return self.durability == "fsync"
