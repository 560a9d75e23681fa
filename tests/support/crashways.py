"""The ways that tasks go in the crash tests, each with the client that brings it to its end."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable, Mapping
from functools import cache

from archivekit import make_tar
from attrs import evolve, field, frozen
from crashkit import Room
from crashturns import Turns
from musictasks.library import MusicDatabase, sample_album
from musictasks.statemachine import MusicTask
from mutagen.flac import FLAC
from PIL import Image

ALBUM = "Søren Größenwald/2020 - Über den Wäldern"
SONG = f"{ALBUM}/01 Morgenröte.flac"
OTHER_ALBUM = "Søren Größenwald/2021 - Über den Wäldern"
BOOKLET = f"{ALBUM}/booklet.pdf"
OTHER_BOOKLET = f"{ALBUM}/booklet 2.pdf"
HAND = {"hand": "by a person", "song": "another title"}


class Stuck(AssertionError):
    """A task rests where nothing will ever happen to it."""


@frozen
class Way:
    """A job of a client: it finds its task and does what the task waits for.

    It keeps no memory, so another client can go on after a crash.
    """

    #: Brings a new library to where the way begins.
    prepare: Callable[[Room], object] = lambda room: None
    #: What of the Music Directory is at every moment either not there or as it is in the end.
    whole: str | None = None
    #: Whether the disk has hard links.
    links: bool = True
    #: How the names end of what is nobody's, and goes at a start.
    nobodys: tuple[str, ...] = ()
    #: Makes what lets several clients act at once; None: one acts, and the engine saves alone.
    turns: Callable[[], Turns] | None = None
    #: Of a power cut after more notifications, another way tells what it leaves.
    told_most: int | None = None

    def arrive(self, room: Room) -> object:
        """Adapts a copy of the library to where it is, before it is opened."""

    def kept(self, task: MusicTask) -> bytes:
        """What of a task's upload was there when the way began, and is on every disk."""
        return b""

    def find(self, room: Room) -> MusicTask | None:
        raise NotImplementedError

    def begin(self, room: Room) -> object:
        raise NotImplementedError

    def done(self, room: Room) -> bool:
        """Whether the library has what the way is for."""
        raise NotImplementedError

    def act(self, room: Room, task: MusicTask) -> Callable[[], object] | None:
        """What the task waits for; None where it goes on by itself."""
        if task.state in {"uploadfailed", "integrationfailed", "importfailed"}:
            return lambda: room.engine.retry(task.id)
        return None

    def go(self, room: Room, *, again: bool = True, rested: Callable[[], object] = bool) -> None:
        """Goes on, whatever there is, until the task is gone.

        Args:
            room: With an engine that works.
            again: Whether to begin again if the task is gone and its work is not done.
            rested: Called whenever the engine rests.
        """
        began = False
        for _ in range(500):
            rested()
            # Invariant: asked for before the task is. What a retry does in the meantime, which
            # real time calls for as well, was due then: the task did not rest for good.
            due = room.rest()
            task = self.find(room)
            if task is None:
                if self.done(room) or (began and not again):
                    return
                began = room.attempt(lambda: self.begin(room)) or began
                continue
            began = True
            call = self.act(room, task)
            if call is not None:
                room.attempt(call)
            elif not room.pass_to(due):
                raise Stuck(f"the task rests in {task.state!r}: {task.message}")
        raise Stuck(f"no end after 500 steps: {room.raised[-3:]}")


@frozen(kw_only=True)
class Upload(Way):
    """A file is uploaded in chunks and integrated."""

    name: str
    data: bytes
    content_type: str = "albumfile"
    target: str
    #: Where to if the target is taken.
    other_target: str | None = None
    flags: Mapping[str, bool] = field(factory=dict)
    #: The first time the client sends other bytes than it announced.
    wrong_first: bool = False
    #: None: the client announces the SHA-1. Else it does not, and the task has this id.
    unannounced: str | None = None
    is_done: Callable[[Room], bool]

    def find(self, room: Room) -> MusicTask | None:
        checksum = hashlib.sha1(self.data).hexdigest()
        found = [
            task
            for task in room.engine.tasks()
            if self.unannounced == task.id or task.source_checksum == checksum
        ]
        return found[0] if found else None

    def begin(self, room: Room) -> object:
        checksum = hashlib.sha1(self.data).hexdigest()
        return room.engine.begin_upload(
            content_type=self.content_type,
            file_size=len(self.data),
            checksum=checksum if self.unannounced is None else None,
            source_filename=self.name,
            task_id=self.unannounced,
        )

    def done(self, room: Room) -> bool:
        return self.is_done(room)

    def act(self, room: Room, task: MusicTask) -> Callable[[], object] | None:
        engine = room.engine
        if task.state == "waitforchunk":
            offset = task.offset or 0
            chunk = self._sent(task)[offset : offset + room.settings.chunk_size]
            return lambda: engine.receive_chunk(task.id, chunk, offset=offset)
        if task.state == "readyforintegration":
            if task.annotations.get("note") != "from the client":
                return lambda: engine.annotate(task.id, {"note": "from the client"})
            return lambda: engine.integrate(task.id, self.target, **self.flags)
        if task.state == "integrationfailed" and self.other_target is not None:
            return lambda: engine.retry(task.id, target=self.other_target)
        return super().act(room, task)

    def _sent(self, task: MusicTask) -> bytes:
        retried = any(entry.event == "retry" for entry in task.history)
        return self.data if retried or not self.wrong_first else self.data[::-1]


@frozen(kw_only=True)
class AlbumImport(Way):
    """What lies in the Music Directory is imported, with artwork."""

    def find(self, room: Room) -> MusicTask | None:
        found = [task for task in room.engine.tasks() if task.content_type == "album"]
        return found[0] if found else None

    def begin(self, room: Room) -> object:
        return room.engine.import_music("album", ALBUM, with_artwork=True)

    def done(self, room: Room) -> bool:
        return has_artwork(room) and has_song(room)


@frozen(kw_only=True)
class FirstStart(Way):
    """No task at all: a library is made where there is none."""

    def find(self, room: Room) -> MusicTask | None:
        return None

    def done(self, room: Room) -> bool:
        return True


def has_song(room: Room) -> bool:
    return MusicDatabase(room.settings.database).song(SONG) is not None


def has_artwork(room: Room) -> bool:
    album = MusicDatabase(room.settings.database).album(ALBUM)
    return album is not None and album["artworkpath"] != "default.jpg"


def _is_there(rel: str) -> Callable[[Room], bool]:
    return lambda room: (room.settings.music / rel).exists()


@cache
def sample(name: str) -> bytes:
    """A file of the sample album, with a tiny picture: each run has to work at it again."""
    data = (sample_album() / name).read_bytes()
    if name.endswith(".flac"):
        # As long as the one before, by a comment in it: the song comes in as many chunks.
        large = FLAC(io.BytesIO(data)).pictures[0].data
        comment = random.Random(1).randbytes(len(large) - len(_tiny("JPEG")) - 4)
        small = _tiny("JPEG", comment=comment)
        assert len(small) == len(large)
        return data.replace(large, small)
    return _tiny("PNG") if name.endswith(".png") else data


def _tiny(format_: str, **options: bytes) -> bytes:
    out = io.BytesIO()
    picture = Image.radial_gradient("L").resize((24, 24)).convert("RGB")
    picture.save(out, format_, **options)
    return out.getvalue()


def lay_song(room: Room) -> None:
    """The album is in the Music Directory, with one song."""
    target = room.settings.music / SONG
    target.parent.mkdir(parents=True)
    target.write_bytes(sample("01 Morgenroete.flac"))


def _import_song(room: Room) -> None:
    lay_song(room)
    engine = room.engine
    engine.import_music("album", ALBUM)
    while engine.tasks():
        assert room.pass_time()


def _take_target(room: Room) -> None:
    target = room.settings.music / BOOKLET
    target.parent.mkdir(parents=True)
    target.write_bytes(b"another booklet")


#: An album of a song and a booklet, in one file.
ARCHIVE = make_tar(
    {f"Album/{name}": sample(name) for name in ("01 Morgenroete.flac", "booklet.pdf")}
)

_SONG_WAY = Upload(
    name="01 Morgenroete.flac",
    data=sample("01 Morgenroete.flac"),
    target=SONG,
    whole=SONG,
    flags={"then_import": True, "then_artwork": True},
    is_done=lambda room: has_song(room) and has_artwork(room),
)

#: The ways of one task each, and of none.
WAYS_OF_ONE: dict[str, Way] = {
    # Upload in chunks, preprocessing, annotation, integration, both imports, removal.
    "song": _SONG_WAY,
    # The same without a SHA-1: the file gets its name when it is complete.
    "unannounced": evolve(_SONG_WAY, unannounced="song"),
    # The same on a disk without hard links: the file keeps the name that it came in with.
    "without links": evolve(_SONG_WAY, unannounced="song", links=False),
    # Upload of an image for an album that is in the database.
    "artwork": Upload(
        prepare=_import_song,
        name="cover.png",
        data=sample("cover.png"),
        content_type="artwork",
        target=ALBUM,
        is_done=has_artwork,
    ),
    "album": AlbumImport(prepare=lay_song),
    # A wrong checksum, then a target that is taken: each is retried; no import.
    "detours": Upload(
        prepare=_take_target,
        name="booklet.pdf",
        data=sample("booklet.pdf"),
        target=BOOKLET,
        other_target=OTHER_BOOKLET,
        whole=OTHER_BOOKLET,
        wrong_first=True,
        is_done=_is_there(OTHER_BOOKLET),
    ),
    # An archive is unpacked, its album appears as a whole, both imports, removal.
    "archive": Upload(
        name="album.tar",
        data=ARCHIVE,
        content_type="album",
        target=ALBUM,
        whole=ALBUM,
        flags={"then_import": True, "then_artwork": True},
        is_done=lambda room: has_song(room) and has_artwork(room),
    ),
    # A wrong checksum, then an album of that name is there already: each is retried; no import.
    "archive detours": Upload(
        prepare=_take_target,
        name="album.tar",
        data=ARCHIVE,
        content_type="album",
        target=ALBUM,
        other_target=OTHER_ALBUM,
        whole=OTHER_ALBUM,
        wrong_first=True,
        is_done=_is_there(OTHER_ALBUM),
    ),
    "first start": FirstStart(),
}
