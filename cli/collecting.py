"""Which files a person means with the paths that were given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import define, field, frozen

from ..engine.settings import Settings


@frozen
class Refusal:
    """A file or folder that is not added, and why."""

    source: Path
    reason: str


@frozen
class Source:
    """A file that shall be added."""

    path: Path
    #: The folder that was given and holds it, or the file's own.
    root: Path
    size_bytes: int

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
    #: Hidden files, ignored ones and links to folders: seen, and passed over.
    left_out: list[Path] = field(factory=list)


def collect(paths: Iterable[Path], settings: Settings) -> Collected:
    """The files at and below `paths`, each once, sorted; reads no file.

    A file that was named itself is refused where one that lies in a folder is left out.
    """
    found = Collected()
    seen: set[Path] = set()
    for path in map(_absolute, paths):
        if path.is_dir():
            candidates = _walk(path, settings, found)
        else:
            candidates = iter([path]) if not _refused(path, settings, found) else iter(())
        root = path if path.is_dir() else path.parent
        for candidate in candidates:
            if candidate not in seen:
                seen.add(candidate)
                _take(candidate, root, settings, found)
    return found


def _absolute(path: Path) -> Path:
    # Not resolved: what a person calls a folder is what the messages call it.
    return Path(os.path.normpath(path.absolute()))


def _refused(path: Path, settings: Settings, found: Collected) -> bool:
    if not _ignored(path.name, settings):
        return False
    found.refusals.append(Refusal(path, "hidden files and those of the ignore list are not added"))
    return True


def _ignored(name: str, settings: Settings) -> bool:
    return name.startswith(".") or name in settings.ignore_songs


def _walk(top: Path, settings: Settings, found: Collected) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        found.refusals.append(Refusal(Path(error.filename), f"cannot be read: {error.strerror}"))

    for folder, directories, names in os.walk(top, onerror=refuse):
        directories.sort()
        for name in [name for name in directories if _passed_over(Path(folder, name))]:
            directories.remove(name)
            found.left_out.append(Path(folder, name))
        for name in sorted(names):
            if _ignored(name, settings):
                found.left_out.append(Path(folder, name))
            else:
                yield Path(folder, name)


def _passed_over(directory: Path) -> bool:
    return directory.name.startswith(".") or directory.is_symlink()


def _take(path: Path, root: Path, settings: Settings, found: Collected) -> None:
    try:
        size_bytes = path.stat().st_size
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        found.refusals.append(Refusal(path, f"cannot be read: {reason}"))
        return
    most = settings.max_upload_size_bytes
    if not path.is_file():
        found.refusals.append(Refusal(path, "neither a file nor a folder"))
    elif size_bytes == 0:
        found.refusals.append(Refusal(path, "the file is empty"))
    elif size_bytes > most:
        found.refusals.append(
            Refusal(path, f"larger than the {most} bytes of [tasks] maxuploadsize")
        )
    else:
        found.sources.append(Source(path, root, size_bytes))
