"""Uploads by tus onto a disk that gets full: the program of a process that has a small tmpfs.

Run as `python fulldoorkit.py DIRECTORY`, with the tmpfs mounted there; prints what it saw as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rawhttp import Tus, checksum
from serverkit import Served, served_library

#: Of the tmpfs. The ballast and a part of the upload fit, with what the engine needs.
DISK_BYTES = 8 * 1024 * 1024
_BALLAST_BYTES = 5 * 1024 * 1024
_DATA = bytes(range(256)) * (3 * 1024 * 1024 // 256)


def main(directory: Path) -> None:
    ballast = directory / "ballast"
    ballast.write_bytes(bytes(_BALLAST_BYTES))
    with served_library(directory, library={"durability": "fsync"}) as served:
        print(json.dumps(_seen(served, ballast)))


def _seen(served: Served, ballast: Path) -> dict[str, Any]:
    tus = Tus(served.port)
    target = tus.create(len(_DATA), filename="booklet.pdf")
    seen: dict[str, Any] = {"plain": tus.patch(target, 0, _DATA).status}
    at = seen["offset"] = tus.offset(target)
    record = served.engine.get(target.rpartition("/")[2])
    data = served.engine.settings.uploads / str(record.upload_path)
    seen["right so far"] = data.read_bytes() == _DATA[:at]
    rest, right = _DATA[at:], checksum(_DATA[at:])
    seen["checked"] = tus.patch(target, at, rest, Upload_Checksum=right).status
    with _filled(ballast.with_name("rest")), served.client() as client:
        seen["created"] = tus.ask("POST", Upload_Length=3).status
        body, url = {"annotations": {"note": "lost"}}, f"/api/tasks/{record.id}/annotations"
        seen["annotated"] = client.post(url, json=body).status_code
        seen["scan"] = client.post("/api/scans").status_code
        reads = ("/healthz", "/api/tasks", f"/api/tasks/{record.id}", "/metrics")
        seen["reads"] = [client.get(read).status_code for read in reads]
    seen["offset then"] = tus.offset(target)
    ballast.unlink()
    seen["with room"] = tus.patch(target, at, rest, Upload_Checksum=right).status
    ready = served.engine.wait(record.id, {"readyforintegration"}, timeout=60)
    seen["whole"] = data.parent.joinpath(Path(str(ready.upload_path)).name).read_bytes() == _DATA
    seen["annotations"] = ready.annotations
    seen["new"] = tus.ask("POST", Upload_Length=3).status
    return seen


@contextmanager
def _filled(path: Path) -> Iterator[None]:
    """A disk that is full to the last byte, as long as the block lasts."""
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    try:
        yield
    finally:
        path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
