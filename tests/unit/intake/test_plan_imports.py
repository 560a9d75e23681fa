"""How `musictasks import` says why it refuses something."""

from __future__ import annotations

import pytest
from musictasks.errors import InvalidPath, MediaError, MusicTasksError
from musictasks.intake.imports import refusal

ALBUM = "Artist/2020 - Album"
SONG = f"{ALBUM}/01 Song.flac"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied", SONG), f"{SONG}: Permission denied"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (InvalidPath(ALBUM, "there is no song in it"), "there is no song in it"),
        (InvalidPath(SONG, "it is a link"), f"{SONG}: it is a link"),
        (MediaError(SONG, "it is no FLAC"), f"{SONG}: it is no FLAC"),
    ],
)
@pytest.mark.parametrize("subject", [ALBUM, f"/srv/music/{ALBUM}/"])
def test_a_refusal_names_what_is_wrong(
    subject: str, error: MusicTasksError | OSError, reason: str
) -> None:
    """The file in an album by its path, the album itself once, and no number of an error."""
    assert refusal(subject, error).reason == reason
