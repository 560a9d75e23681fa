"""The names in the uploads directory: whose they are, as far as a record and a name say."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ..statemachine import Task

#: The names that we give: two uploads of one type and checksum are one, whatever they are called.
_OURS = re.compile(r"([a-z]+-([0-9a-f]{40}))(\.[^/]*)?")


def data_name(content_type: str, checksum: str, source_filename: str | None) -> str:
    """`{contenttype}-{checksum}.{extension}`, lower case; no dot where there is no extension."""
    extension = PurePosixPath(source_filename or "").suffix
    return f"{content_type}-{checksum}{extension}".lower()


def key_of(name: str) -> str:
    """What the names for the same bytes, and for what was made of them, have in common."""
    ours = _OURS.fullmatch(name.partition("/")[0])
    return ours[1] if ours else name


def is_named_after_checksum(record: Task) -> bool:
    """Whether its upload has the name that we give to an upload with this checksum."""
    ours = _OURS.fullmatch(record.upload_path or "")
    return ours is not None and ours[2] == (record.source_checksum or "").lower()


def overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one is in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def has_use_for_data(record: Task) -> bool:
    """Whether a task in this state still has use for the data that it names."""
    if record.state == "uploadfailed":
        return record.came_from == "preprocessing"
    return record.state not in {"invalidcontent", "importcomplete", "remove", "notexisting"}
