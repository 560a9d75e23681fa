"""What must hold after every step, whatever has happened."""

from __future__ import annotations

import hashlib
from pathlib import Path

from attrs import evolve
from hypothesis.stateful import invariant

from ..statemachine import Role, Sender, Task, UploadTask
from .world import World


class Invariants(World):
    """Looks at the disk, the memory and the declaration, and compares them."""

    @invariant()
    def disk_says_what_memory_says(self) -> None:
        for task in self._settled():
            if task.state == self.lifecycle.removing and not self._file(task).exists():
                continue  # deleted once more while its worker still runs: it goes all the same
            found = self.engine._table.store.load(task.id)[1]
            if self.lifecycle.state(task.state).takes_chunks:
                found = evolve(found, offset=task.offset)
            assert found == task, f"on disk {found}, in memory {task}"

    @invariant()
    def every_history_is_a_walk(self) -> None:
        for task in self._settled():
            state = task.history[0].source
            for entry in task.history:
                assert entry.source == state, f"{entry} does not begin at {state!r}"
                targets = [e.target for e in self.lifecycle.edges_from(state, entry.event)]
                assert entry.target in targets, f"{entry} is no edge"
                state = entry.target
            assert state == task.state

    @invariant()
    def nobody_is_stuck(self) -> None:
        """Every task is at rest, queued, at work, or on its way out."""
        for task in self._settled():
            entry = self.engine._table.entries[task.id]
            role = self.lifecycle.role(task.state)
            if role is Role.QUEUED:
                queued = any(one is entry for one, _ in self.engine._runner.workers._ready)
                assert queued or entry.worker is not None, f"{task.id} is in no queue"
            elif role is Role.WORKING:
                assert entry.worker is not None, f"nobody works on {task.id}"
                most = self.stepped.settings.attempts
                assert 1 <= task.attempts <= most, f"attempt {task.attempts} of {most}"
            elif role is Role.REMOVING:
                assert entry.worker is not None, f"{task.id} is not being removed"
            else:
                assert role in {Role.WAITING, Role.FINISHED, Role.FAILED}, task.state

    @invariant()
    def damaged_files_are_left_alone(self) -> None:
        for path, content in self._damaged.items():
            assert path.read_bytes() == content
        if self._settled() or self._damaged:
            refused = {Path(error.path) for error in self.engine.invalid()}
            assert refused == set(self._damaged)

    @invariant()
    def nothing_is_there_but_the_tasks(self) -> None:
        """Of a task that is gone nothing is left: no file, no directory, whole or half removed."""
        tasks = self._settled()
        if not hasattr(self.stepped, "engine"):
            return
        settings = self.stepped.settings
        files = {*settings.tasks.iterdir()} - self._damaged.keys() - self._spare_files()
        assert files <= {self._file(task) for task in tasks}, f"files of no task: {files}"
        uploads = {*settings.uploads.iterdir()} - self._orphans
        assert uploads <= {self._own(task) for task in tasks}, f"data of no task: {uploads}"
        assert all(path.is_dir() and not path.is_symlink() for path in uploads)

    @invariant()
    def data_of_no_use_is_gone(self) -> None:
        for task in self._settled():
            rests = {Role.WAITING, Role.FINISHED, Role.FAILED}
            if self.engine._table.entries[task.id].worker is not None:
                continue  # asked to stop; it may still write there
            if self.lifecycle.role(task.state) in rests and not self.lifecycle.keeps_data(task):
                assert not self._own(task).exists(), f"{task} has a directory"

    @invariant()
    def an_upload_is_whole_when_its_stage_begins(self) -> None:
        """Where the record says, with the bytes of its SHA-1, announced or not."""
        for task in self._settled():
            if self._has_just_come(task):
                assert task.upload_path is not None
                data = (self.stepped.settings.uploads / task.upload_path).read_bytes()
                assert hashlib.sha1(data).hexdigest() == str(task.source_checksum).lower()
                assert task.offset == task.file_size == len(data)
                for other in self._own(task).iterdir():  # a name of its that a crash left behind
                    assert other.read_bytes() == data, f"{other} is none of it"

    def _has_just_come(self, task: Task) -> bool:
        """Whether no handler has had it in hand since its last byte came."""
        came = [
            (edge.event, edge.source)
            for edge in self.lifecycle.edges
            if edge.sender is Sender.UPLOAD and edge.target is not None and edge.event != "fail"
        ]
        last = task.history[-1 if self.lifecycle.role(task.state) is Role.QUEUED else -2 :][:1]
        return (
            isinstance(task, UploadTask)
            and task.upload_path is not None
            and self.lifecycle.role(task.state) in {Role.QUEUED, Role.WORKING}
            and [(entry.event, entry.source) for entry in last] in [[one] for one in came]
        )
