"""A disk that is really full, in the middle of an upload: nothing is lost, and it goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import fulldiskkit
import pytest

#: In a namespace of its own: no right is needed, and the mount is gone with the process.
MOUNTED = 'mount -t tmpfs -o size="$1" tmpfs "$2" && cd "$2" && shift 2 && exec "$@"'


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a client saw that uploaded onto a tmpfs until it was full, made room and went on."""
    directory = str(tmp_path_factory.mktemp("disk"))
    small = ["sh", "-c", MOUNTED, "sh", str(fulldiskkit.DISK_BYTES), directory]
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare to mount a small tmpfs with")
    trial = subprocess.run(
        ["unshare", "-Urm", *small, "true"], capture_output=True, text=True, check=False
    )
    if trial.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {trial.stderr.strip()}")
    ended = subprocess.run(
        ["unshare", "-Urm", *small, sys.executable, fulldiskkit.__file__, directory],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert not list(Path(directory).iterdir())
    return json.loads(ended.stdout)


def test_a_chunk_that_meets_a_full_disk_is_refused_and_the_upload_stands_where_it_stood(
    seen: dict[str, Any],
) -> None:
    """The client is told why, and the offset is the one before; trying again changes nothing."""
    refused = seen["refused"]

    assert "No space left on device" in refused["message"]
    assert refused["offset"] == refused["before"] > 0
    assert seen["again"] == refused
    assert seen["record"] == {"state": "waitforchunk", "offset": refused["before"]}
    assert seen["on disk"]


def test_a_record_that_meets_a_full_disk_is_not_saved_and_stays_as_it_was(
    seen: dict[str, Any],
) -> None:
    """`TaskNotSaved` names the reason, and what was to be saved is nowhere."""
    assert "No space left on device" in seen["annotated"]
    assert "note" not in seen["annotations"]


def test_an_upload_goes_on_to_its_end_when_there_is_room_again(seen: dict[str, Any]) -> None:
    """The next chunk is taken, and the whole file has the announced bytes."""
    assert seen["after"] is None
    assert seen["whole"]
    assert seen["way"] == ["waitforchunk", "uploadcomplete", "preprocessing", "readyforintegration"]
