"""The kit's state machine on a music library: with its calls, its targets and its old data."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from musictasks.engine import Engine
from musictasks.errors import UploadRefused
from musictasks.library import sample_album
from musictasks.music import Settings, open_library, read_tasks
from musictasks.persistence import make_converter
from musictasks.statemachine import MUSIC, ContentType, Lifecycle, MusicTask
from musictasks.testing import LifecycleStateMachine

ALBUM = "Artist/2020 - Album"
VIDEO = "Artist/2020 - Video.mp4"
#: Of what is uploaded; most is alike, so that the same bytes meet.
_KINDS = ("albumfile", "albumfile", "artwork", "album", "video")


class MusicStateMachine(LifecycleStateMachine):
    """Whatever can be done to a music library, in any order; its handlers are played."""

    lifecycle: ClassVar[Lifecycle] = MUSIC
    opener: ClassVar[Callable[..., Engine[Any]]] = staticmethod(open_library)
    orphans: ClassVar = (
        "orphan-{}/",
        "albumfile-{:040}.mp3",
        "album-{:040}.preprocessed/",
        ".x.{}.0.tmp",
    )
    calls: ClassVar = frozenset(
        (
            "request_upload",
            "request_music_import",
            "request_artwork_import",
            "request_scan",
            "request_integration",
        )
    )

    def settings_in(self, directory: Path, **options: Any) -> Settings:
        return Settings.in_directory(directory, artwork_scales=(8,), **options)

    def stored_tasks(self) -> Iterable[MusicTask]:
        return read_tasks(self.stepped.settings, self.lifecycle).tasks

    def prepare(self) -> None:
        album = self.stepped.settings.music / ALBUM
        album.mkdir(parents=True)
        song = next(path for path in sorted(sample_album().iterdir()) if path.suffix == ".mp3")
        shutil.copy(song, album / "01 Song.mp3")
        # Played handlers do not look into it.
        (self.stepped.settings.music / VIDEO).write_bytes(b"a video")

    def fields(self, draw: st.DataObject) -> dict[str, Any]:
        return {
            "content_type": draw.draw(st.sampled_from(ContentType)).value,
            "trigger_import": draw.draw(st.booleans()),
            "include_artwork": draw.draw(st.booleans()),
        }

    def upload(self, data: bytes, *, announced: bool, **fields: Any) -> MusicTask:
        return self.engine.begin_upload(
            file_size=len(data),
            checksum=hashlib.sha1(data).hexdigest() if announced else None,
            source_filename="x.pdf",
            content_type=fields["content_type"],
        )

    def receive(self, task_id: str, chunk: bytes, offset: int | None = None) -> MusicTask:
        return self.engine.receive_chunk(task_id, chunk, offset=offset)

    def lead(self, draw: st.DataObject, task: Any) -> None:
        if task.state == "readyforintegration":
            self._integrate(task, (True, True))
        else:
            super().lead(draw, task)

    def leftovers(self) -> Iterable[Path]:
        return self.stepped.settings.music.rglob(".*")

    # -- clients ----------------------------------------------------------------------------

    @rule(draw=st.data(), kind=st.sampled_from(_KINDS), announced=st.booleans())
    def begin_upload(self, draw: st.DataObject, announced: bool, kind: str = "albumfile") -> None:
        """The same bytes are refused while another task has use for them, and only then."""
        known = [data for data in self.contents if self._holders(kind, data)]
        data = draw.draw(st.sampled_from((*self.contents, *known, *known, *known)))
        holders = self._holders(kind, data) if announced else set()
        holder = None
        try:
            self.upload(data, announced=announced, content_type=kind)
        except UploadRefused as error:
            holder = error.task_id
        assert holder in (holders or {None}), f"refused for {holder}, but {holders} have the bytes"

    def _holders(self, kind: str, data: bytes) -> set[str]:
        """The tasks that have use for these bytes."""
        checksum = hashlib.sha1(data).hexdigest()
        return {
            task.id
            for task in self._tasks()
            if task.content_type == kind
            and task.upload_path is not None
            and str(task.source_checksum).lower() == checksum
            and self.lifecycle.keeps_data(task)
        }

    @precondition(lambda self: self._in("readyforintegration"))
    @rule(draw=st.data(), flags=st.tuples(st.booleans(), st.booleans()))
    def integrate(self, draw: st.DataObject, flags: tuple[bool, bool]) -> None:
        task = draw.draw(st.sampled_from(self._in("readyforintegration")))
        self._integrate(task, flags)

    def _integrate(self, task: MusicTask, flags: tuple[bool, bool]) -> None:
        targets = {
            "artwork": ALBUM,
            "album": f"Artist/2020 - {task.id}",
            "video": f"Artist/2020 - {task.id}.mp4",
        }
        target = targets.get(task.content_type or "", f"{ALBUM}/{task.id}.pdf")
        options = {"then_import": flags[0], "then_artwork": flags[1]}
        self._try(lambda: self.engine.integrate(task.id, target, **options))

    @rule(path=st.sampled_from([ALBUM, VIDEO]), artwork=st.booleans())
    def begin_import(self, path: str, artwork: bool) -> None:
        kind = "video" if path == VIDEO else "album"
        self._try(lambda: self.engine.import_music(kind, path, with_artwork=artwork))

    @rule(source=st.sampled_from([f"{ALBUM}/01 Song.mp3", VIDEO]))
    def begin_artwork(self, source: str) -> None:
        target = VIDEO if source == VIDEO else ALBUM
        self._try(lambda: self.engine.import_artwork(source=source, target=target))

    @rule()
    def scan(self) -> None:
        self._try(self.engine.scan)

    # -- older versions ---------------------------------------------------------------------

    @rule(draw=st.data(), killed_at=st.integers(-9, 9))
    def put_a_flat_upload_there(self, draw: st.DataObject, killed_at: int) -> None:
        """Of version 0.1.0, or of MusicDB: its data lies in the Upload Directory itself."""
        state = draw.draw(st.sampled_from(sorted(self.lifecycle.storable)))
        last = draw.draw(st.sampled_from([e for e in self.lifecycle.edges if e.target == state]))
        data = draw.draw(st.sampled_from(self.contents))
        checksum = hashlib.sha1(data).hexdigest()
        there = data[: draw.draw(st.integers(0, len(data)))] if state == "waitforchunk" else data
        record = evolve(
            self._record(draw, state, last),
            file_size=len(data),
            offset=len(there),
            source_checksum=checksum,
            upload_path=f"albumfile-{checksum}.pdf",
            content_type="albumfile",
        )
        settings = self.stepped.settings
        if self.lifecycle.keeps_data(record):
            (settings.uploads / str(record.upload_path)).write_bytes(there)
        self._file(record).write_bytes(make_converter(self.lifecycle).dump(record))
        if killed_at > 0:
            self._killed(killed_at, self.stepped.look)
            self.restart("kill")
        else:
            self.stepped.look()
        found = self._now(record.id)
        assert found is None or found.upload_path == f"{record.id}/{record.upload_path}"
        if found is not None and self.lifecycle.keeps_data(found):
            assert (settings.uploads / found.upload_path).read_bytes() == there
