"""An inbox: what people put into a directory goes into the library, once it stands still."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path

from attrs import define, field

from ..errors import DatabaseUnusable, MusicTasksError, SettingsError
from ..library import MusicDatabase
from ..library.inbox_directory import InboxDirectory
from ..music import MusicEngine, Settings
from .display import Display
from .inbox_ending import Ending
from .inbox_events import EVERYTHING, Events
from .inbox_news import News, Teller, What
from .inbox_place import Place
from .inbox_round import Group, Round
from .inbox_standing import Standing

#: So many groups are brought in together; then they leave the inbox.
_TOGETHER = 16
#: How often it is looked whether the inbox is still there: a mount is told by nothing.
_LOOK_S = 5.0
_LONGEST_BUSY_S = 60.0
#: So long something may be there under the name of a part until that is told.
_LONG_S = 600.0
#: What is waited for.
_INBOX, _LIBRARY = "the inbox", "the library"


@define(eq=False, kw_only=True)
class Inbox:
    """Brings what is put into a directory into a library, and clears it away there.

    It may be killed at any moment: the next one goes on. It works in one thread, and has the
    library only while there is something to be brought in, so that others can use it meanwhile.
    """

    directory: Path
    settings: Settings
    #: Opens the library, starts it, and closes it at the end of the block.
    opened: Callable[[], AbstractContextManager[MusicEngine]]
    #: Makes what shows how far it is; closed when all of that has been brought in.
    display: Callable[[], AbstractContextManager[Display]]
    #: Called in the thread that runs.
    tell: Callable[[News], object]
    #: How long an entry has to be as it is.
    settle_s: float = 10
    #: What was brought in stays; so does what is refused, of which only the reason is written.
    keep: bool = False
    #: Looks at all files again and again, where the system tells nothing: on network mounts.
    poll: bool = False
    #: How often it is looked whether the inbox is there.
    look_s: float = _LOOK_S
    clock: Callable[[], float] = time.monotonic
    _inbox: InboxDirectory = field(init=False)
    _standing: Standing = field(init=False)
    _place: Place = field(init=False)
    _music: Place = field(init=False)
    _teller: Teller = field(init=False)
    _ending: Ending = field(init=False)
    _events: Events = field(init=False)
    _stopped: bool = field(default=False, init=False)
    #: The library is not tried again before.
    _busy_until_s: float = field(default=0, init=False)
    _busy_for_s: float = field(default=1, init=False)

    def __attrs_post_init__(self) -> None:
        self._inbox = InboxDirectory.at(self.directory, durable=self.settings.durable)
        self._standing = Standing(self.settle_s)
        self._place = Place(self._inbox.root)
        self._music = Place(self.settings.music)
        self._teller = Teller(self.tell)
        self._ending = Ending(
            self._inbox, self._standing, self._teller, lambda: self.clock(), self.keep
        )
        self._events = Events(self._inbox.root, self.poll)
        _check_apart(self._inbox.root, self.settings)

    @property
    def root(self) -> Path:
        return self._inbox.root

    @property
    def counts(self) -> Counter[What]:
        """How much was told of each kind."""
        return self._teller.counts

    # -- running --------------------------------------------------------------------------------

    def watch(self) -> None:
        """Goes on until `stop`; a KeyboardInterrupt ends it anywhere, too, and nothing is lost.

        Raises:
            ExtraMissing: watchfiles is not installed.
        """
        touched: set[str] = {EVERYTHING}
        with self._events as events:
            while not self._stopped:
                if self.is_away():
                    events.close()
                    events.wait(self.look_s)
                    continue
                if not events.is_listening_to(self._place.known):
                    events.listen(self._place.known)
                    touched = {EVERYTHING}
                self.look(touched)
                touched = events.wait(0 if self.work() else self._wait_s())

    def stop(self) -> None:
        """Ends `watch` as soon as the round is over; from any thread."""
        self._stopped = True
        self._events.wake()

    def run_once(self, sleep: Callable[[float], object] = time.sleep) -> None:
        """Brings in what stands still, and returns; what does not is left for the next time.

        Raises:
            FileNotFoundError: There is no inbox.
        """
        missing = self._place.missing()
        if missing is not None:
            raise FileNotFoundError(f"the inbox {self._inbox.root}: {missing}")
        self.look({EVERYTHING})
        if any(self._standing.open()):
            sleep(self.settle_s)
        self.look({EVERYTHING})
        while self.work():
            self.look({EVERYTHING})
        coming, moving = self._standing.coming(), self._standing.moving(self.clock())
        for entry in self._standing.open():
            if entry.name in coming:
                self._tell_coming(entry.name, _waits(coming[entry.name]))
            elif entry.name in moving - self._ending.unfinished and not entry.failures:
                self._tell_coming(entry.name, "it does not stand still yet")

    # -- steps ----------------------------------------------------------------------------------

    def look(self, touched: Iterable[str]) -> None:
        """Looks at the entries of these names, at new ones, and at those that may be ready."""
        touched, now_s = set(touched), self.clock()
        try:
            names = self._inbox.names()
        except OSError:
            return  # it goes in this moment; the next look tells
        known = self._standing.entries
        for name in names:
            if EVERYTHING in touched or name not in known or name in touched:
                self._look_at(name, now_s, touched=name in touched)
        for name in known.keys() - set(names):
            self._standing.forget(name)
            self._teller.forget(name)
        self._tell_states(now_s)

    def _look_at(self, name: str, now_s: float, *, touched: bool) -> None:
        try:
            self._standing.see(name, self._inbox.look(name), now_s, touched=touched)
        except OSError as error:
            self._standing.forget(name)
            text = f"it cannot be looked at: {error.strerror or error}"
            self._teller.once(What.LATER, name, text)

    def work(self) -> bool:
        """One round with what stands still; False if there was nothing to be done."""
        if self.clock() < self._busy_until_s:
            return False
        still = (Group(tuple(one)) for one in self._standing.still(self.clock()))
        ready = (group for group in map(self._ready, still) if group is not None)
        groups = list(islice(ready, _TOGETHER))
        if not groups and not self._ending.is_unfinished():
            return False
        try:
            missing = self._library_missing()
            if missing is not None:
                self._put_off(missing)
                return False
            with self.opened() as engine:
                if self._ending.is_unfinished():
                    self._ending.go_on()
                    self.look({EVERYTHING})
                self._bring(engine, groups)
        except (MusicTasksError, OSError) as error:
            self._put_off(str(error))
            return False
        self._busy_until_s, self._busy_for_s = 0, 1
        if self._teller.forget(_LIBRARY):
            self._teller(What.BACK, "", "the library can be used again")
        self._music.missing()  # from now on it is known
        return True

    def _ready(self, group: Group) -> Group | None:
        """Of a group what can be brought in, if it is as it was seen, and nobody writes it."""
        now_s, entries = self.clock(), list(group.entries)
        if self._ending.unfinished.intersection(group.names):
            for entry in entries:
                entry.not_before_s = self._ending.unfinished_until_s
            return None
        for entry in group.entries:
            try:
                snapshot = self._inbox.look(entry.name)
                if snapshot != entry.snapshot:
                    self._standing.see(entry.name, snapshot, now_s)
                    return None
                written = self._inbox.written(snapshot)
            except OSError as error:
                self._ending.put_off(entry, f"it cannot be read: {error.strerror or error}")
                entries.remove(entry)
                continue
            if written is not None:
                self._standing.wait_for(entry, now_s)
                self._tell_coming(entry.name, f"{'/'.join(written)} is open for writing")
                return None
        return Group(tuple(entries)) if entries else None

    def _bring(self, engine: MusicEngine, groups: list[Group]) -> None:
        groups = [one for one in groups if not self._ending.unfinished.intersection(one.names)]
        if not groups or not self._place.is_same():
            return
        with self.display() as display:
            verdicts = Round(self._inbox, engine, display).run(groups)
        for verdict in verdicts:
            # Invariant: another directory that has its place now is not the one that was read.
            if self._place.is_same():
                self._ending.end(verdict)

    # -- the inbox and the library --------------------------------------------------------------

    def is_away(self) -> bool:
        before, missing = self._place.known, self._place.missing()
        if missing is not None:
            text = f"the inbox {self.root}: {missing}; it is waited for"
            self._teller.once(What.WAITING, "", text, _INBOX)
            self._standing.clear()
            return True
        if before not in (None, self._place.known):
            self._standing.clear()
        if self._teller.forget(_INBOX):
            self._teller(What.BACK, "", f"the inbox {self.root} is there")
        return False

    def _library_missing(self) -> str | None:
        """Why nothing can be brought in: the Music Directory is another than it was, or empty.

        What is brought into the place of a disk that is not mounted would be seen by nobody.
        """
        music, known = self.settings.music, self._music.known is not None
        missing = self._music.missing()
        if missing is None and not any(music.iterdir()) and _has_music(self.settings):
            return f"the Music Directory {music} is empty, but the database has music"
        return f"the Music Directory {music}: {missing}" if missing and known else None

    def _put_off(self, reason: str) -> None:
        self._teller.once(What.WAITING, "", f"{reason}; it is tried again", _LIBRARY)
        self._busy_until_s = self.clock() + self._busy_for_s
        self._busy_for_s = min(_LONGEST_BUSY_S, self._busy_for_s * 2)

    def _wait_s(self) -> float:
        """How long nothing is to be done, if nothing happens."""
        next_s = self._standing.next_s()
        if self._inbox.is_unfinished:
            next_s = min(self._ending.unfinished_until_s, math.inf if next_s is None else next_s)
        if next_s is None:
            return self.look_s
        return min(self.look_s, max(next_s, self._busy_until_s) - self.clock())

    def _tell_states(self, now_s: float) -> None:
        coming = self._standing.coming()
        for entry in self._standing.entries.values():
            if entry.is_link:
                self._teller.once(What.LEFT, entry.name, "a link, which is not followed")
            elif entry.name in coming and now_s - entry.since_s > _LONG_S:
                self._tell_coming(entry.name, _waits(coming[entry.name]))

    def _tell_coming(self, name: str, text: str) -> None:
        self._teller.once(What.COMING, name, text)


def _waits(name: str) -> str:
    return f"it waits: {name!r} is the name of something that is still coming in"


def _has_music(settings: Settings) -> bool:
    """Whether the database has any; one that cannot be used yet, the engine makes or refuses."""
    try:
        return settings.database.is_file() and bool(MusicDatabase(settings.database).artists())
    except DatabaseUnusable:
        return False


def _check_apart(inbox: Path, settings: Settings) -> None:
    """Raises SettingsError if one of them lies in the other."""
    inbox = inbox.resolve()
    for what, path in (("Music Directory", settings.music), ("data directory", settings.data)):
        other = path.resolve()
        if inbox.is_relative_to(other) or other.is_relative_to(inbox):
            reason = f"the inbox {inbox} and the {what} {other} have to lie beside each other"
            raise SettingsError(None, "", "", reason)
