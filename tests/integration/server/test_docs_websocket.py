"""The client of MusicDB's WebSocket in docs/musicdb.md, which knows nothing of ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from docskit import adapted, blocks
from musictasks.library import sample_album
from serverkit import served_library


def test_the_client_of_the_page_brings_a_song(tmp_path: Path):
    """As a program of its own, in a few chunks."""
    (program,) = blocks("musicdb.md", "python", "## The WebSocket")
    shutil.copyfile(sample_album() / "01 Morgenroete.flac", tmp_path / "song.flac")
    with served_library(tmp_path / "library", library={"chunk_size": 20_000}) as served:
        program = adapted(program, **{"127.0.0.1:8080": served.host})
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    told = done.stdout.splitlines()
    assert told.count("ChunkRequest waitforchunk") == 4
    assert told[-2:] == ["StateUpdate integrating", "StateUpdate readyforimport"]
    song = tmp_path / "library" / "music" / "Artist" / "2020 - Album" / "01 Song.flac"
    assert song.read_bytes() == (tmp_path / "song.flac").read_bytes()
