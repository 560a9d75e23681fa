"""Which files a person means with the paths that were given."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

from attrs import define, field, frozen

from ..library import FileIdentity
from ..music import Settings


@frozen
class Refusal:
    """A file or folder that is not added, and why."""

    source: Path
    reason: str
    #: Those of the folder that are meant, where it is not all of it; empty for a file.
    files: tuple[Path, ...] = ()

    @property
    def number(self) -> int:
        """How many files are refused with it."""
        return len(self.files) or 1


class Why(StrEnum):
    """Why a file or folder is left out: the first that is true."""

    HIDDEN = "hidden"
    IGNORED = "in the ignore list"
    LINK = "a link"


@frozen
class LeftOut:
    """What lies in a folder that is walked, and is passed over."""

    path: Path
    why: Why


@frozen
class Source:
    """A file that shall be added."""

    path: Path
    #: The folder that was given and holds it, or the file's own.
    root: Path
    identity: FileIdentity
    #: It was given itself, and does not only lie in a folder that was.
    is_named: bool = False

    @property
    def size_bytes(self) -> int:
        return self.identity.size_bytes

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def name(self) -> str:
        return self.path.name


@define
class Collected:
    """All files below the given paths."""

    sources: list[Source] = field(factory=list)
    refusals: list[Refusal] = field(factory=list)
    left_out: list[LeftOut] = field(factory=list)


def collect(paths: Iterable[Path], settings: Settings) -> Collected:
    """The files at and below `paths`, each once, sorted; reads no file.

    A hidden or ignored file that was named itself is refused where one that lies in a folder is
    left out. A link is followed only if it was named itself: nobody sees where the links of a
    folder lead.
    """
    # A dictionary keeps the order, and is searched quickly.
    named = dict.fromkeys(_absolute(path) for path in paths)
    found = Collected()
    seen: set[Path] = set()
    for path in named:
        if path.is_dir():
            candidates = _walk(path, settings, found)
        else:
            candidates = iter([path]) if not _refused(path, settings, found) else iter(())
        root = path if path.is_dir() else path.parent
        for candidate in candidates:
            if candidate not in seen:
                seen.add(candidate)
                _take(candidate, root, candidate in named, settings, found)
    found.left_out = [one for one in found.left_out if one.path not in named]
    return found


def _absolute(path: Path) -> Path:
    # Not resolved: what a person calls a folder is what the messages call it.
    return Path(os.path.normpath(path.absolute()))


def _refused(path: Path, settings: Settings, found: Collected) -> bool:
    why = _why_left_out(path, settings, is_link=path.is_symlink())
    if why not in {Why.HIDDEN, Why.IGNORED}:
        return False
    found.refusals.append(Refusal(path, f"{why}: such files are not added"))
    return True


def _why_left_out(path: Path, settings: Settings, *, is_link: bool) -> Why | None:
    if path.name.startswith("."):
        return Why.HIDDEN
    # The ignore list is one of files.
    if path.name in settings.ignore_songs and not path.is_dir():
        return Why.IGNORED
    return Why.LINK if is_link else None


def _walk(top: Path, settings: Settings, found: Collected) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        found.refusals.append(Refusal(Path(error.filename), f"cannot be read: {error.strerror}"))

    for folder, directories, names in os.walk(top, onerror=refuse):
        directories.sort()
        links = _links(folder, (*directories, *names))
        for path in [Path(folder, name) for name in directories]:
            why = _why_left_out(path, settings, is_link=path.name in links)
            if why is not None:
                directories.remove(path.name)
                found.left_out.append(LeftOut(path, why))
        for path in [Path(folder, name) for name in sorted(names)]:
            why = _why_left_out(path, settings, is_link=path.name in links)
            if why is None:
                yield path
            else:
                found.left_out.append(LeftOut(path, why))


def _links(folder: str, names: Iterable[str]) -> set[str]:
    """The names of the links in a folder, by its own entries: no file is asked for its state."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_symlink()}
    except OSError:  # it went just now, perhaps
        return {name for name in names if Path(folder, name).is_symlink()}


def _take(path: Path, root: Path, is_named: bool, settings: Settings, found: Collected) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        found.refusals.append(Refusal(path, f"cannot be read: {reason}"))
        return
    most = settings.max_upload_size_bytes
    size_bytes = status.st_size
    if not stat.S_ISREG(status.st_mode):
        found.refusals.append(Refusal(path, "neither a file nor a folder"))
    elif size_bytes == 0:
        found.refusals.append(Refusal(path, "the file is empty"))
    elif size_bytes > most:
        found.refusals.append(
            Refusal(path, f"larger than the {most} bytes of [tasks] maxuploadsize")
        )
    else:
        found.sources.append(Source(path, root, FileIdentity.of(status), is_named))
