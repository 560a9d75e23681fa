"""A library that is copied while it is used, by the commands of docs/server.md."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from attrs import define, field
from clikit import Library, run
from docskit import blocks
from musictasks.library import MusicDatabase, sample_album
from rawhttp import Tus
from serverkit import ServerProcess, wait_until

SONG = (sample_album() / "01 Morgenroete.flac").read_bytes()


def sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@define
class Visitor:
    """Uploads songs, and has them put at their places and imported."""

    tus: Tus
    client: httpx.Client
    #: SHA-1 and path of the task of songs that wait, oldest first.
    waiting: list[tuple[str, str]] = field(factory=list)
    #: SHA-1 of all that was answered as received, and their targets when they were imported.
    received: set[str] = field(factory=set)
    imported: dict[str, str] = field(factory=dict)

    def upload(self) -> None:
        data = SONG + len(self.received).to_bytes(4, "big")
        path = self.tus.create(len(data), filename="song.flac")
        assert self.tus.patch(path, 0, data).status == 204
        task = "/api/tasks/" + path.rpartition("/")[2]
        wait_until(lambda: self.state(task) == "readyforintegration")
        self.received.add(sha1(data))
        self.waiting.append((sha1(data), task))

    def bring_in(self) -> None:
        """The song that has waited longest."""
        checksum, task = self.waiting.pop(0)
        target = f"Artist/2020 - Album/{len(self.imported) + 1:02} Song.flac"
        body = {"target": target, "then_import": True}
        assert self.client.post(f"{task}/integration", json=body).is_success
        wait_until(lambda: self.state(task) in {None, "importcomplete", "remove"})
        self.imported[checksum] = target

    def state(self, task: str) -> str | None:
        answer = self.client.get(task)
        return answer.json()["state"] if answer.status_code == 200 else None


def test_a_library_that_is_copied_while_it_is_used_is_whole(tmp_path: Path):
    """All that had arrived when the backup began is in it, and an upload under way goes on."""
    if shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is missing (apt-get install sqlite3)")
    half = SONG + b"half"
    with ServerProcess(tmp_path / "library") as server, server.client() as client:
        tus = Tus(server.port)
        upload = tus.create(len(half), filename="half.flac")
        assert tus.patch(upload, 0, half[:1000]).status == 204
        visitor = Visitor(tus, client)
        for _ in range(8):
            visitor.upload()
        visitor.bring_in()
        received, imported = set(visitor.received), dict(visitor.imported)
        back_up(tmp_path / "library", tmp_path / "backup", visitor)
        assert tus.patch(upload, 1000, half[1000:]).status == 204
    restored = Path(shutil.copytree(tmp_path / "backup", tmp_path / "restored"))
    with ServerProcess(restored) as server, server.client() as client:
        tus = Tus(server.port)
        assert tus.offset(upload) == 1000
        assert tus.patch(upload, 1000, half[1000:]).status == 204
        waiting = {
            task["task"]["sourcechecksum"]
            for task in client.get("/api/tasks?state=readyforintegration").json()["tasks"]
            if (restored / "data" / "uploads" / task["task"]["uploadpath"]).is_file()
        }
    placed = {sha1(path.read_bytes()) for path in (restored / "music").rglob("*.flac")}
    assert received <= placed | waiting
    assert len(waiting) > 1
    database = MusicDatabase(Library(restored).settings.database)
    for checksum, target in imported.items():
        assert sha1((restored / "music" / target).read_bytes()) == checksum
        assert database.song(target) is not None
    status, output, complaints = run("check", "--library", restored)
    assert status == 0, output + complaints


def back_up(library: Path, backup: Path, visitor: Visitor) -> None:
    """Line by line as the page says; between them songs come and go to their places."""
    (script,) = blocks("server.md", "sh", "## Backups")
    for line in script.splitlines():
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=library,
            env={"BACKUP": str(backup), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        visitor.upload()
        visitor.bring_in()
