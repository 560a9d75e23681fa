"""What strangers upload, on the real engine: refused, named, and nothing of it is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from archivekit import make_zip
from enginekit import upload, wait_gone
from imagekit import huge_png
from musictasks.errors import TaskFailed
from musictasks.library import MusicDatabase, sample_album
from musictasks.music import Settings, open_library

FLAC = (sample_album() / "01 Morgenroete.flac").read_bytes()
UPLOADS = {
    "PNG bomb": ("artwork", "cover.png", huge_png(60_000), "pixels"),
    "no image": ("artwork", "cover.png", b"<svg/>", "no image"),
    "truncated FLAC": ("albumfile", "01 Song.flac", FLAC[: len(FLAC) // 2], "cut off"),
    "renamed ZIP": ("albumfile", "01 Song.mp3", make_zip({"a": b"b"}), "another kind"),
    "renamed FLAC": ("albumfile", "01 Song.mp3", FLAC, "another kind"),
}


@pytest.mark.parametrize("hostile", UPLOADS)
def test_refused(tmp_path: Path, hostile: str) -> None:
    """`invalidcontent` with a reason that names the file; its data is gone at once."""
    content_type, name, data, reason = UPLOADS[hostile]
    settings = Settings.in_directory(tmp_path, durability="none", artwork_scales=(16,))
    with open_library(settings) as engine:
        task = upload(
            engine, data, 400_000, content_type=content_type, mime_type=None, source_filename=name
        )
        with pytest.raises(TaskFailed) as caught:
            engine.wait(task.id, "readyforintegration", 30)
        assert caught.value.state == "invalidcontent"
        assert (caught.value.reason or "").startswith(f"{name}: ")
        assert reason in (caught.value.reason or "")
        engine.remove(task.id)
        wait_gone(engine, task.id)
    assert list(settings.uploads.iterdir()) == []
    assert list(settings.music.iterdir()) == []
    assert list(settings.tasks.glob("*.json")) == []
    assert MusicDatabase(settings.database).artists() == []
