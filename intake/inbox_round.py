"""Entries of an inbox that stand still: planned, brought in, and what is to be done with them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

from attrs import define, field, frozen

from ..errors import MusicTasksError, TaskNotFound
from ..library.inbox_directory import (
    Conclusion,
    Done,
    InboxDirectory,
    Kind,
    Refused,
    Snapshot,
    remains,
)
from ..music import MusicEngine
from .delivery import bring
from .display import Display
from .inbox_standing import Entry, title
from .job import Result
from .overrides import Overrides, Wording
from .planner import make_plan
from .plans import Plan, PlannedFile, PlannedUpload
from .report import FileReport, Report
from .sources import Refusal

_log = logging.getLogger(__name__)

_OF_TASK = re.compile(r" \(task [^ ()]+, [a-z]+\)$")
_OPTIONS = Wording("--{}", " ", '--{} "{}"')


@frozen
class Group:
    """Entries that go together."""

    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        return title(self.entries)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.entries)

    @property
    def snapshot(self) -> Snapshot:
        """As they were when they were found to stand still."""
        return dict(chain.from_iterable(entry.snapshot.items() for entry in self.entries))

    @property
    def was_tried(self) -> bool:
        return any(entry.failures for entry in self.entries)


@frozen
class Verdict:
    """What becomes of a group."""

    group: Group
    #: What is to be done with it; None where that is open.
    conclusion: Conclusion | None = None
    #: Why not now; it is tried again.
    later: str | None = None
    #: It changed while it was read: all of it waits until it stands still again.
    changed: bool = False
    #: How many of its files were added, and were in the library already.
    added: int = 0
    there: int = 0

    @property
    def counted(self) -> str:
        """What of it is in the library, in words."""
        counts = {"added": self.added, "there already": self.there}
        return ", ".join(f"{number} {what}" for what, number in counts.items() if number)


@define
class Round:
    """One plan for each group, and all of them brought in together."""

    inbox: InboxDirectory
    engine: MusicEngine
    display: Display
    _verdicts: list[Verdict] = field(factory=list, init=False)
    #: The artists of all groups.
    _spelled: dict[str, str] = field(factory=dict, init=False)

    def run(self, groups: Iterable[Group]) -> list[Verdict]:
        """What becomes of each; nothing in the inbox is changed."""
        planned: list[tuple[Group, Plan]] = []
        for group in groups:
            folders = self._folders(group)
            try:
                plan = self._plan(group)
            except Exception as error:  # one file that nobody thought of holds no others up
                _log.exception("%s cannot be planned", group.name)
                self._verdicts.append(Verdict(group, later=f"{type(error).__name__}: {error}"))
                continue
            # Invariant: what was hashed lies in the inbox. A plan opens files by their paths, and
            # a link may have had the place of a folder meanwhile. From here on the hashes count.
            if folders is None or self._folders(group) != folders or self._has_changed(group):
                self._verdicts.append(Verdict(group, changed=True))
            else:
                planned.append((group, plan))
        report = bring(_together(planned), self.engine, self.display, exclusive=True)
        for group, plan in planned:
            self._verdicts.append(self._verdict(group, plan, report))
        return self._verdicts

    def _plan(self, group: Group) -> Plan:
        # What an archive holds is known from the engine, or, if that was refused, from a look.
        return make_plan(
            map(self.inbox.root.joinpath, group.names),
            self.engine.settings,
            Overrides(wording=_OPTIONS),
            look_inside=group.was_tried,
            spelled=self._spelled,
        )

    def _folders(self, group: Group) -> dict[tuple[str, ...], tuple[int, int, int]] | None:
        """Which directories those of a group are; None if not all of them are there."""
        seen = {parts for parts, one in group.snapshot.items() if one.kind is Kind.DIRECTORY}
        try:
            found = dict(chain.from_iterable(self.inbox.folders(n).items() for n in group.names))
        except OSError:
            return None
        return found if found.keys() == seen else None

    def _has_changed(self, group: Group) -> bool:
        try:
            now = dict(chain.from_iterable(self.inbox.look(name).items() for name in group.names))
        except OSError:
            return True
        return now != group.snapshot

    def _verdict(self, group: Group, plan: Plan, report: Report) -> Verdict:
        # Invariant: judged by bytes that are there still, and nothing else: a file that changed
        # while it was read has failed for no reason of its own.
        if self._has_changed(group):
            return Verdict(group, changed=True)
        sources = {upload.source for upload in plan.uploads}
        failed = list(_failed(report, sources))
        wrong = [Refusal(f.file.source, f.lasting_reason) for f in failed if self._is_final(f)]
        for one in (*plan.refusals, *failed):
            reason = self._for_now(one)
            if reason is not None:
                return Verdict(group, later=reason)
        self._remove_tasks(failed)
        files = [file for file in report.files if file.file.source in sources]
        bad = {one.source for one in wrong}
        done = [file.file for file in files if file.file.source not in bad]
        ends = [file.result for file in files]
        return Verdict(
            group,
            conclusion=self._conclusion(group, done, [*plan.refusals, *wrong]),
            added=ends.count(Result.ADDED),
            there=ends.count(Result.THERE),
        )

    def _for_now(self, one: Refusal | _Failure) -> str | None:
        """Why it may work another time; None where it never will."""
        if isinstance(one, _Failure):
            return None if self._is_final(one) else f"{one.file.source.name}: {one.reason}"
        for path in one.files or (one.source,):
            try:
                _read(path)
            except OSError as error:
                return f"{path.name} cannot be read: {error.strerror}"
        return None

    def _is_final(self, failure: _Failure) -> bool:
        """Whether the engine has found the content wrong; all else may work another time."""
        try:
            task = self.engine.get(failure.task_ids[-1]) if failure.task_ids else None
        except MusicTasksError:
            return False
        return task is not None and bool(task.history) and task.history[-1].event == "reject"

    def _remove_tasks(self, refused: Iterable[_Failure]) -> None:
        """What the engine has found wrong, its reason says: nobody goes on with the task."""
        for task_id in {failure.task_ids[-1] for failure in refused}:
            with suppress(TaskNotFound):
                self.engine.remove(task_id)
                self.engine.wait(task_id, self.engine.lifecycle.gone)

    def _conclusion(
        self, group: Group, done: list[PlannedUpload], refusals: list[Refusal]
    ) -> Conclusion:
        leaving = tuple(
            Done(self._inside(one.source), one.size_bytes, one.checksum) for one in done
        )
        gone = {one.parts for one in leaving}
        directories = (
            parts for parts, seen in group.snapshot.items() if seen.kind is Kind.DIRECTORY
        )
        return Conclusion(
            name=group.name,
            done=leaving,
            directories=tuple(directories),
            refused=tuple(self._refused(group, refusals, gone)),
        )

    def _refused(
        self, group: Group, refusals: list[Refusal], gone: set[tuple[str, ...]]
    ) -> Iterator[Refused]:
        for entry in group.entries:
            mine = [one for one in refusals if self._inside(one.source)[0] == entry.name]
            if mine:
                text = refusal_text(entry.name, mine, self.inbox.root)
                yield Refused(entry.name, text, remains(entry.snapshot, gone))

    def _inside(self, path: Path) -> tuple[str, ...]:
        return path.relative_to(self.inbox.root).parts


@frozen
class _Failure:
    """A planned file that could not be brought in, or an import that its files wait for."""

    file: PlannedUpload
    reason: str
    task_ids: tuple[str, ...]

    @property
    def lasting_reason(self) -> str:
        """The reason without the task, which is another one each time, and soon gone."""
        reason = _OF_TASK.sub("", self.reason)
        return reason.removeprefix(f"{self.file.source.name}: ")


def _failed(report: Report, sources: set[Path]) -> Iterator[_Failure]:
    imports = {one.path: one for one in report.imports if one.result is Result.FAILED}
    for file in report.files:
        if file.file.source not in sources:
            continue
        if file.result is Result.FAILED:
            yield _Failure(file.file, file.reason or "no reason given", file.task_ids)
        elif (importing := imports.get(_imported_as(file))) is not None:
            yield _Failure(file.file, importing.reason or "no reason given", importing.task_ids)


def _imported_as(file: FileReport) -> str:
    """The path of the import that follows a file."""
    is_song = isinstance(file.file, PlannedFile) and file.file.content_type == "albumfile"
    path = file.path or ""
    return path.rpartition("/")[0] if is_song else path


def _together(planned: Iterable[tuple[Group, Plan]]) -> Plan:
    plans = [plan for _, plan in planned]
    return Plan(
        albums=tuple(chain.from_iterable(plan.albums for plan in plans)),
        archives=tuple(chain.from_iterable(plan.archives for plan in plans)),
        videos=tuple(chain.from_iterable(plan.videos for plan in plans)),
    )


def _read(path: Path) -> None:
    """Raises OSError where the disk does not give it all."""
    if path.is_file():
        with path.open("rb") as file:
            while file.read(1024 * 1024):
                pass


def refusal_text(name: str, refusals: Iterable[Refusal], root: Path) -> str:
    """What stands beside a refused entry: every reason, and what to do."""
    lines = [f"musictasks has not brought this in: {name}", ""]
    for one in refusals:
        lines.append(f"{one.source.relative_to(root)}")
        lines.append(f"    {one.reason}")
        lines += [f"    - {file.relative_to(root)}" for file in one.files]
    lines += [
        "",
        "Mend it and put it into the inbox again. What the options above say can be given by hand:",
        "musictasks add PATH, with the option, brings it in from where it is now.",
        "",
    ]
    return "\n".join(lines)
