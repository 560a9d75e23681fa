"""What becomes of entries of an inbox that were looked at, and of what was cut off there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from attrs import define, field

from ..library.inbox_directory import (
    REFUSED,
    Concluded,
    Conclusion,
    InboxDirectory,
    Kind,
    Unfinished,
)
from .archives import is_archive
from .inbox_news import Teller, What
from .inbox_round import Verdict
from .inbox_standing import Entry, Standing

_FIRST_RETRY_S = 30.0
_LAST_RETRY_S = 3600.0
_UNFINISHED_RETRY_S = 30.0


@define(eq=False)
class Ending:
    """Clears away what is done, and puts off what is not."""

    inbox: InboxDirectory
    standing: Standing
    teller: Teller
    clock: Callable[[], float]
    #: Nothing leaves the inbox.
    keep: bool
    #: Entries of which a part may have left the inbox, and nobody knows yet what becomes of the
    #: rest. There may be no note of them: then they are looked at anew.
    unfinished: set[str] = field(factory=set, init=False)
    #: Not tried again before.
    unfinished_until_s: float = field(default=0, init=False)

    def end(self, verdict: Verdict) -> None:
        now_s, group = self.clock(), verdict.group
        if verdict.changed:
            name = group.names[0]
            self.teller.once(What.COMING, name, "it changed while it was read")
            for entry in group.entries:
                self.standing.see(entry.name, self.inbox.look(entry.name), now_s, touched=True)
            return
        if verdict.later is not None or verdict.conclusion is None:
            for entry in group.entries:
                self.put_off(entry, verdict.later or "", tell=entry is group.entries[0])
            return
        if self.keep:
            self._keep(verdict, verdict.conclusion)
        else:
            self._clear_away(verdict, verdict.conclusion)

    def _tell_done(self, verdict: Verdict) -> None:
        if verdict.counted:
            self.teller(What.DONE, verdict.group.name, verdict.counted)

    def _keep(self, verdict: Verdict, conclusion: Conclusion) -> None:
        written: list[tuple[str, Path]] = []
        try:
            for refused in conclusion.refused:
                written.append((refused.name, self.inbox.refuse_in_place(refused)))
        except OSError as error:
            reason = f"the reason cannot be written into {REFUSED}: {error.strerror or error}"
            for entry in verdict.group.entries:
                self.put_off(entry, reason, tell=entry is verdict.group.entries[0])
            return
        self._tell_done(verdict)
        for name, path in written:
            self.teller(What.REFUSED, name, "it stays; the reason is in", path)
        for entry in verdict.group.entries:
            entry.is_settled = True

    def _clear_away(self, verdict: Verdict, conclusion: Conclusion) -> None:
        group = verdict.group
        try:
            concluded = self.inbox.conclude(conclusion)
        except OSError as error:
            self._leave_unfinished(group.name, group.names, str(error))
            return
        finally:
            self._tell_done(verdict)
        self._tell_concluded(concluded)
        for entry in group.entries:
            self._see_rest(entry, concluded)

    def _see_rest(self, entry: Entry, concluded: Concluded) -> None:
        """What is left of an entry stays, unless it is new or has changed: that is brought in."""
        before, now = entry.snapshot, self.inbox.look(entry.name)
        self.standing.see(entry.name, now, self.clock())
        rest = self.standing.entries.get(entry.name)
        if rest is None:
            self.teller.forget(entry.name)
        if rest is None or not rest.has_files:
            return
        changed = [parts for parts in now if before.get(parts) != now[parts]]
        if not changed and not concluded.changed:
            rest.is_settled = True
            files = (parts for parts, seen in now.items() if seen.kind is not Kind.DIRECTORY)
            left = ", ".join("/".join(parts[1:]) or parts[0] for parts in files)
            self.teller(What.LEFT, entry.name, f"not brought in, and left there: {left}")

    def go_on(self) -> None:
        """Ends what an earlier process, or an error, has cut off."""
        ended = self.inbox.go_on()
        self.unfinished = set()
        for one in ended:
            if isinstance(one, Unfinished):
                self._leave_unfinished(one.name, one.entries, one.reason)
            else:
                self._tell_concluded(one)

    def _tell_concluded(self, concluded: Concluded) -> None:
        for name, path in concluded.refused.items():
            self.teller(What.REFUSED, name, "it is now", path)
        for parts in concluded.changed:
            text = "it is not any more what was brought in, and stays"
            self.teller(What.LEFT, "/".join(parts), text)

    def put_off(self, entry: Entry, reason: str, *, tell: bool = True) -> None:
        """It is tried again: an archive at once, with a look into it, which may tell more."""
        delay_s = min(_LAST_RETRY_S, _FIRST_RETRY_S * 2**entry.failures)
        if is_archive(entry.name) and not entry.failures:
            delay_s, tell = 0, False
        entry.failures += 1
        entry.not_before_s = self.clock() + delay_s
        if tell:
            self.teller.once(What.LATER, entry.name, f"{reason}; it is tried again")

    def is_unfinished(self) -> bool:
        """Whether something is to be ended now that was cut off."""
        is_any = bool(self.unfinished) or self.inbox.is_unfinished
        return self.clock() >= self.unfinished_until_s and is_any

    def _leave_unfinished(self, name: str, entries: Iterable[str], reason: str) -> None:
        self.unfinished |= set(entries)
        self.unfinished_until_s = self.clock() + _UNFINISHED_RETRY_S
        text = f"it cannot leave the inbox: {reason}; it is tried again"
        self.teller.once(What.LATER, name, text)
