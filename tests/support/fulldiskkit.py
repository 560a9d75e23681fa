"""An upload onto a disk that gets full: the program of a process that has a small tmpfs.

Run as `python fulldiskkit.py DIRECTORY`, with the tmpfs mounted there; prints what it saw as JSON.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from musictasks.errors import ChunkRefused, TaskNotSaved
from musictasks.music import MusicEngine, Settings, open_library

#: Of the tmpfs. The ballast and two chunks fit, with what the engine needs, but not the upload.
DISK_BYTES = 4 * 1024 * 1024
_BALLAST_BYTES = 2 * 1024 * 1024
_CHUNK_BYTES = 512 * 1024
_CHUNKS = 5
_DATA = bytes(range(256)) * (_CHUNKS * _CHUNK_BYTES // 256)


def main(directory: Path) -> None:
    ballast = directory / "ballast"
    ballast.write_bytes(bytes(_BALLAST_BYTES))
    with open_library(Settings.in_directory(directory)) as engine:
        task = engine.begin_upload(
            content_type="albumfile",
            file_size=len(_DATA),
            checksum=hashlib.sha1(_DATA).hexdigest(),
            source_filename="booklet.pdf",
        )
        seen: dict[str, Any] = {"refused": _until_refused(engine, task.id)}
        seen["again"] = _until_refused(engine, task.id)
        seen["record"] = _record(engine, task.id)
        data = engine.settings.uploads / str(task.upload_path)
        seen["on disk"] = data.read_bytes() == _DATA[: seen["record"]["offset"]]
        seen["annotated"] = _annotated_when_full(engine, task.id, directory / "rest")
        ballast.unlink()
        seen["after"] = _until_refused(engine, task.id)
        ready = engine.wait(task.id, {"readyforintegration"}, timeout=60)
        seen["whole"] = data.read_bytes() == _DATA
        seen["way"] = [entry.target for entry in ready.history]
        seen["annotations"] = ready.annotations
    print(json.dumps(seen))


def _record(engine: MusicEngine, task_id: str) -> dict[str, Any]:
    record = engine.get(task_id)
    return {"state": record.state, "offset": record.offset}


def _until_refused(engine: MusicEngine, task_id: str) -> dict[str, Any] | None:
    """Sends chunks from where the upload stands; what the refused one was told, if one was."""
    while (task := engine.get(task_id)).state == "waitforchunk":
        offset = task.offset or 0
        if offset == len(_DATA):
            break
        chunk = _DATA[offset : offset + _CHUNK_BYTES]
        try:
            engine.receive_chunk(task_id, chunk, offset=offset)
        except ChunkRefused as error:
            return {"before": offset, "offset": error.offset, "message": str(error)}
    return None


def _annotated_when_full(engine: MusicEngine, task_id: str, rest: Path) -> str:
    """Fills the disk to the last byte, and annotates: what is said of that."""
    with rest.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    try:
        engine.annotate(task_id, {"note": "lost"})
    except TaskNotSaved as error:
        return str(error)
    finally:
        rest.unlink()
    return "it was saved"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
