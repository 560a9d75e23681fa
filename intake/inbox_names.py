"""Names under which programs write what is still coming in."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..library.inbox_directory import Kind, Snapshot

_ENDINGS = (
    *("crdownload", "part", "partial", "opdownload", "download"),  # browsers, curl, wget, yt-dlp
    *("tmp", "temp", "filepart", "!qb", "!ut", "bc!", "aria2", "ytdl"),  # WinSCP, torrents
)
_TEMPORARY = re.compile(rf".+\.(?:{'|'.join(_ENDINGS)})|~syncthing~.+\.tmp", re.I | re.DOTALL)
#: Of rsync, `.name.XXXXXX` and its directories; of Chromium, Nextcloud, Syncthing, `mktemp`.
_HIDDEN = re.compile(
    r"\..+\.[A-Za-z0-9]{6}|\.~tmp~|\.rsync-partial|\.com\.google\.Chrome\..+|\..+\.~[0-9a-f]+"
    r"|\.syncthing\..+\.tmp|\..+\.(?:part|tmp|swp|crdownload|filepart)",
    re.DOTALL,
)


def is_temporary(name: str) -> bool:
    """Whether a program calls a file so, or a folder, until it is whole."""
    pattern = _HIDDEN if name.startswith(".") else _TEMPORARY
    return pattern.fullmatch(name) is not None


def temporary_in(snapshot: Snapshot) -> str | None:
    """Something in an entry, or the entry, that has such a name; as a relative path."""
    return next(("/".join(parts) for parts in snapshot if is_temporary(parts[-1])), None)


def held_back(name: str, temporary: Iterable[str]) -> str | None:
    """What of these temporary names says that `name` is still coming in: `name.part`, say.

    Firefox makes an empty file of the final name, aria2 writes into that.
    """
    begun = (one for one in temporary if one.startswith(f"{name}."))
    return next((one for one in begun if "." not in one.removeprefix(f"{name}.")), None)


def is_empty_file(snapshot: Snapshot, name: str) -> bool:
    seen = snapshot.get((name,))
    return seen is not None and seen.kind is Kind.FILE and seen.size_bytes == 0
