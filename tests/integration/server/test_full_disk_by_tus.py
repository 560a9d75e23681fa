"""A server whose disk is really full says 507, loses nothing, and goes on when there is room."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import fulldoorkit
import pytest

#: In a namespace of its own: no right is needed, and the mount is gone with the process.
MOUNTED = 'mount -t tmpfs -o size="$1" tmpfs "$2" && cd "$2" && shift 2 && exec "$@"'


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = str(tmp_path_factory.mktemp("disk"))
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare to mount a small tmpfs with")
    small = ["unshare", "-Urm", "sh", "-c", MOUNTED, "sh", str(fulldoorkit.DISK_BYTES), directory]
    trial = subprocess.run([*small, "true"], capture_output=True, text=True, check=False)
    if trial.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {trial.stderr.strip()}")
    ended = subprocess.run(
        [*small, sys.executable, fulldoorkit.__file__, directory],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert not list(Path(directory).iterdir())
    return json.loads(ended.stdout)


def test_bytes_that_do_not_fit_are_507_and_those_that_did_stay(seen: dict[str, Any]):
    """HEAD says how many; a request with a checksum counts as a whole, or not at all."""
    assert (seen["plain"], seen["checked"]) == (507, 507)
    assert seen["offset"] == seen["offset then"] > 0
    assert seen["right so far"]


def test_what_is_to_be_stored_is_507_and_what_is_to_be_read_is_answered(seen: dict[str, Any]):
    assert (seen["created"], seen["annotated"], seen["scan"]) == (507, 507, 507)
    assert seen["reads"] == [200, 200, 200, 200]


def test_it_goes_on_when_there_is_room(seen: dict[str, Any]):
    assert (seen["with room"], seen["new"]) == (204, 201)
    assert seen["whole"]
    assert "note" not in seen["annotations"]
