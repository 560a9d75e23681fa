"""`musictasks add --server`: the same plan, carried out by a server elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias, TypeVar
from uuid import uuid4

from attrs import define, evolve, field
from rich.console import Console

from ..errors import MusicTasksError
from ..intake import Overrides, Plan, PlannedFile, PlannedUpload, Spelling
from ..library import decode_name, encode_name
from ..library.audio_formats import AudioFormats
from ..music import Settings
from .answers import NoMusictasksServer, ServerRefused, ServerUnreachable
from .carrier import Carrier, above
from .display import spelling_text
from .interrupts import Waiter, waiter
from .output import count, near, say, text
from .remote import Remote

#: So many songs of an album are on their way at once: while one is sent, the server checks another.
_AT_ONCE = 4

_T = TypeVar("_T")
#: Where a file is, if that is known, and whether it was not there before.
_Coming: TypeAlias = Future[tuple[str | None, bool]]


def for_elsewhere(settings: Settings) -> Settings:
    """Settings of a library that has nothing: what is there, only the server knows."""
    nowhere = Path(f"/{uuid4().hex}")
    return evolve(settings, music=nowhere / "music", data=nowhere / "data")


def send(
    plan: Plan,
    url: str,
    token: str | None,
    console: Console,
    overrides: Overrides,
    formats: AudioFormats,
) -> tuple[int, int, int]:
    """Sends what is planned: album by album, the songs of each over some connections at once.

    What the server has already is not sent, as `add` does it without a server. It may be cut off
    anywhere: the same plan goes on where it was, as the ids of its uploads are made of what they
    are.

    Args:
        plan: Made with settings of `for_elsewhere`.
        url: The server's address.
        token: The server's token.
        console: Is told what becomes of each file.
        overrides: What was said when the plan was made.
        formats: Which files are songs.

    Returns:
        How many files came in, how many were there already, and how many failed.

    Raises:
        ServerUnreachable, NoMusictasksServer: What was not told of is not done.
        ServerRefused: It does not let us in.
    """
    waits = _Waits(console)
    stopped = threading.Event()

    def carrier() -> Carrier:
        remote = Remote(url, token, waiting=waits.say, stopped=stopped)
        return Carrier(remote, overrides, formats)

    carriers = _Carriers(carrier, stopped)
    with waiter() as waiting, carriers.running():
        sender = _Sender(carriers, waiting, waits, console, overrides, formats)
        for album in plan.albums:
            say(console, text(album.path.path, "bold"))
            for path in sender.bring_album(album.files):
                sender.import_album(path)
        for video in plan.videos:
            sender.bring(video, video.target)
        for archive in plan.archives:
            sender.bring(archive, near(archive.source))
    return sender.added, sender.there, sender.failed


@define(eq=False)
class _Carriers:
    """Threads, each with a carrier of its own, inside `running`.

    They end with the process, whatever they wait for: a pool of the standard library would keep
    somebody who interrupts it waiting for a server that does not answer.
    """

    _make: Callable[[], Carrier]
    #: Set: nothing more is tried.
    _stopped: threading.Event
    _jobs: SimpleQueue[Callable[[Carrier], None] | None] = field(factory=SimpleQueue, init=False)

    @contextmanager
    def running(self) -> Iterator[None]:
        """They work while the block lasts."""
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_AT_ONCE)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for _ in threads:
                self._jobs.put(None)
        # Not after an error: they may wait for a server that does not answer.
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        with closing(self._make()) as carrier:
            while (job := self._jobs.get()) is not None:
                job(carrier)

    def do(self, work: Callable[[Carrier], _T]) -> Future[_T]:
        """Has one of them do it."""
        future: Future[_T] = Future()

        def job(carrier: Carrier) -> None:
            try:
                future.set_result(work(carrier))
            except BaseException as error:
                future.set_exception(error)

        self._jobs.put(job)
        return future


@define(eq=False)
class _Waits:
    """Says why nothing gets on, once until a file is there."""

    console: Console
    _said: set[str] = field(factory=set, init=False)

    def say(self, reason: str) -> None:
        if reason not in self._said:
            self._said.add(reason)
            say(self.console, text(f"  … {reason}: trying again", "yellow"))

    def over(self) -> None:
        self._said.clear()


@define(eq=False)
class _Sender:
    """Says what becomes of each file, in the order of the plan."""

    carriers: _Carriers
    waiting: Waiter
    waits: _Waits
    console: Console
    overrides: Overrides
    formats: AudioFormats
    added: int = field(default=0, init=False)
    there: int = field(default=0, init=False)
    failed: int = field(default=0, init=False)
    #: Artists as the library spells them.
    _artists: dict[str, str] = field(factory=dict, init=False)

    def bring_album(self, files: tuple[PlannedFile, ...]) -> list[str]:
        """Brings the files of one album; the albums where they are then.

        Songs first: what is no song often lies in many albums with the same bytes, and counts as
        there only where songs of its album are.
        """
        at_once: dict[str, PlannedFile] = {}
        again, others = [], []
        for file in files:
            if not self.formats.is_song(file.target):
                others.append(file)
            elif at_once.setdefault(file.checksum, file) is not file:
                again.append(file)  # of the same bytes one at a time: the server takes them once
        homes: dict[str, None] = {}
        for file, coming in [(file, self._begin(file)) for file in at_once.values()]:
            self._add_home(homes, self._ended(coming, file.target))
        for file in (*again, *others):
            self._add_home(homes, self._ended(self._begin(file, homes), file.target))
        return list(homes)

    def _add_home(self, homes: dict[str, None], path: str | None) -> None:
        if path is not None:
            homes[above(path)] = None

    def bring(self, file: PlannedUpload, title: str) -> None:
        """Brings a file that is in no album."""
        self._ended(self._begin(file), title)

    def _begin(self, file: PlannedUpload, homes: Collection[str] = ()) -> _Coming:
        try:
            target = self._spelled(file) if isinstance(file, PlannedFile) else None
        except MusicTasksError as error:
            failed: _Coming = Future()
            failed.set_exception(error)
            return failed
        return self.carriers.do(lambda carrier: carrier.bring(file, target, homes))

    def _ended(self, coming: _Coming, title: str) -> str | None:
        """Says how it ended; where the file is, None where it failed or only the server knows."""
        try:
            path, is_new = self.waiting.result(coming)
        except (MusicTasksError, OSError) as error:
            if _is_of_all(error):
                raise
            self.failed += 1
            self._say("!", "red", title, str(error))
            return None
        self.waits.over()
        if is_new:
            self.added += 1
            self._say("+", "green", title, "added")
        else:
            self.there += 1
            self._say("=", "dim", title, f"is there already, at {path}")
        return path

    def import_album(self, path: str) -> None:
        """Brings the songs of an album that are at their place into the database."""
        try:
            self.waiting.result(self.carriers.do(lambda carrier: carrier.import_album(path)))
        except (MusicTasksError, OSError) as error:
            if _is_of_all(error):
                raise
            self.failed += 1
            self._say("!", "red", path, str(error))
        else:
            self._say("+", "green", path, "imported")

    def _say(self, mark: str, style: str, title: str, what: str) -> None:
        say(self.console, text(f"  {mark} ", style), title, "  ", text(what, style))

    def _spelled(self, file: PlannedFile) -> str:
        """Its target, under the library's spelling of the artist, unless a person gave it."""
        artist, slash, rest = file.target.partition("/")
        if self.overrides.artist is not None:
            return file.target
        if artist not in self._artists:
            found = decode_name(artist)
            asked = self.carriers.do(lambda carrier: carrier.remote.spelling(found))
            used = self.waiting.result(asked)
            self._artists[artist] = encode_name(used)
            if used != found:
                say(self.console, text(spelling_text(Spelling(found, used)), "dim"))
        return self._artists[artist] + slash + rest


def _is_of_all(error: Exception) -> bool:
    """Whether the next file would fare the same, and wait as long for it."""
    if isinstance(error, ServerRefused):
        return error.status in {401, 403, 421}
    return isinstance(error, ServerUnreachable | NoMusictasksServer)


def summary(added: int, there: int, failed: int, refused: int) -> str:
    parts = [f"{count(added, 'file')} sent"]
    parts += [f"{there} there already"] if there else []
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{refused} refused"] if refused else []
    return f"{', '.join(parts)}."
