"""Which entries of an inbox stand still, and since when; no disk and no clock of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import define, field

from ..library import is_video
from ..library.inbox_directory import Kind, Snapshot
from .archives import is_archive
from .inbox_names import held_back, is_empty_file, is_temporary, temporary_in


@define
class Entry:
    """What lies directly in the inbox."""

    name: str
    snapshot: Snapshot
    #: Since when it is as it is; in seconds, of the caller's clock, as all times here.
    since_s: float
    #: Not looked at before.
    not_before_s: float = 0
    #: How often it could not be brought in.
    failures: int = 0
    #: Nothing is left to be done with it as it is.
    is_settled: bool = False

    @property
    def is_loose(self) -> bool:
        """A file that may belong to the others beside it: no archive, and no clip."""
        is_own = is_archive(self.name) or is_video(self.name)
        return self._kind is Kind.FILE and not is_own

    @property
    def is_link(self) -> bool:
        return self._kind is Kind.LINK

    @property
    def _kind(self) -> Kind:
        return self.snapshot[(self.name,)].kind

    @property
    def has_files(self) -> bool:
        return any(seen.kind is not Kind.DIRECTORY for seen in self.snapshot.values())


@define
class Standing:
    """The entries of an inbox, and how long each has been as it is."""

    settle_s: float
    entries: dict[str, Entry] = field(factory=dict, init=False)

    def see(self, name: str, snapshot: Snapshot, now_s: float, *, touched: bool = False) -> None:
        """An entry is like this now. `touched`: something has happened to it meanwhile."""
        if not snapshot:
            self.entries.pop(name, None)
            return
        entry = self.entries.get(name)
        if entry is None or entry.snapshot != snapshot:
            self.entries[name] = Entry(name, snapshot, now_s)
        elif touched and not entry.is_settled:
            # Written so quickly that size and times are as before.
            entry.since_s = now_s

    def forget(self, name: str) -> None:
        """It is gone."""
        self.entries.pop(name, None)

    def clear(self) -> None:
        """Nothing of this is there any more."""
        self.entries.clear()

    def wait_for(self, entry: Entry, now_s: float) -> None:
        """It shall stand still for the whole time once more, though it looks as before."""
        entry.since_s = now_s

    def open(self) -> Iterator[Entry]:
        """The entries of which something may become, in their order."""
        for _, entry in sorted(self.entries.items()):
            if not entry.is_settled and not entry.is_link and entry.has_files:
                yield entry

    def coming(self) -> dict[str, str]:
        """By the names of entries that are still coming in: what says so by its own name."""
        temporary = [name for name in sorted(self.entries) if is_temporary(name)]
        coming: dict[str, str] = {}
        for entry in self.open():
            found = temporary_in(entry.snapshot) or held_back(entry.name, temporary)
            if found is None and temporary and is_empty_file(entry.snapshot, entry.name):
                found = temporary[0]
            if found is not None:
                coming[entry.name] = found
        return coming

    def due_s(self, entry: Entry) -> float:
        """When the entry has stood still for long enough, and may be tried again."""
        return max(entry.since_s + self.settle_s, entry.not_before_s)

    def still(self, now_s: float) -> list[list[Entry]]:
        """What can be brought in now: entries that belong together, in their order."""
        return [group for group in self._groups() if self._group_due_s(group) <= now_s]

    def moving(self, now_s: float) -> set[str]:
        """The names of what does not stand still yet, and of what waits for that beside it."""
        since_s = now_s - self.settle_s
        groups = (group for group in self._groups() if any(one.since_s > since_s for one in group))
        return {entry.name for group in groups for entry in group}

    def next_s(self) -> float | None:
        """When the next of them may be ready; None where nothing is waited for."""
        return min(map(self._group_due_s, self._groups()), default=None)

    def _groups(self) -> list[list[Entry]]:
        """Entries that go together.

        Loose files do, when the last of them stands still: a cover belongs to the songs beside
        it. Those that could not be brought in hold no others up.
        """
        coming = self.coming()
        whole = [entry for entry in self.open() if entry.name not in coming]
        fresh = [entry for entry in whole if entry.is_loose and not entry.failures]
        failed = [entry for entry in whole if entry.is_loose and entry.failures]
        groups = [[entry] for entry in whole if not entry.is_loose]
        return [*groups, *filter(None, (fresh, failed))]

    def _group_due_s(self, group: list[Entry]) -> float:
        return max(map(self.due_s, group))


def title(entries: Iterable[Entry]) -> str:
    """What entries that belong together are called."""
    names = [entry.name for entry in entries]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} beside it"
