"""Brings what people have (files, folders, archives, clips) into the library.

First `plan` says what would go where, and what not, and why; it changes nothing. Then `bring`
carries the plan out with an engine of the caller's. It may be cut off anywhere: the same plan, or
a new one of the same files, goes on where it was. `plan_imports` plans what is in the Music
Directory already.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import lazy_loader

from ..music import Settings
from .archive_job import ArchiveJob
from .archives import is_meant
from .artists import Spelling
from .batches import Batch
from .delivery import bring
from .display import Display, Silent
from .import_jobs import ImportJob, VideoImportJob
from .imports import moved_from, path_in_music, plan_imports
from .job import Job, Result
from .overrides import Overrides, Wording
from .planner import make_plan
from .plans import (
    ArchivedTarget,
    Plan,
    PlannedAlbum,
    PlannedArchive,
    PlannedFile,
    PlannedImport,
    PlannedUpload,
)
from .proposals import Proposal, placed, propose, propose_album
from .report import FileReport, ImportReport, Report
from .scan import Found, scanned, unfinished_scan
from .shelf import Shelf
from .sources import LeftOut, Refusal, Why
from .upload_job import UploadJob
from .watch import Watch

if TYPE_CHECKING:
    from .inbox import Inbox
    from .inbox_news import News, What
else:
    # An inbox is a program of its own; `add` starts faster without it.
    __getattr__, _, _ = lazy_loader.attach(
        __name__, submod_attrs={"inbox": ["Inbox"], "inbox_news": ["News", "What"]}
    )

__all__ = [
    "ArchiveJob",
    "ArchivedTarget",
    "Batch",
    "Display",
    "FileReport",
    "Found",
    "ImportJob",
    "ImportReport",
    "Inbox",
    "Job",
    "LeftOut",
    "News",
    "Overrides",
    "Plan",
    "PlannedAlbum",
    "PlannedArchive",
    "PlannedFile",
    "PlannedImport",
    "PlannedUpload",
    "Proposal",
    "Refusal",
    "Report",
    "Result",
    "Shelf",
    "Silent",
    "Spelling",
    "UploadJob",
    "VideoImportJob",
    "Watch",
    "What",
    "Why",
    "Wording",
    "bring",
    "is_meant",
    "moved_from",
    "path_in_music",
    "placed",
    "plan",
    "plan_imports",
    "propose",
    "propose_album",
    "scanned",
    "unfinished_scan",
]


def plan(
    paths: Iterable[str | PathLike[str]],
    settings: Settings,
    *,
    artist: str | None = None,
    album: str | None = None,
    year: int | None = None,
    name: str | None = None,
    look_inside: bool = False,
    wording: Wording | None = None,
) -> Plan:
    """What these files and folders become in the library; reads them, changes nothing.

    Every file below `paths` is in the plan, in its refusals, or left out. The same files give the
    same plan, in whatever order they are named. It may take long: files are hashed.

    Args:
        paths: Files and folders.
        settings: Where the library is, what it ignores, and what may be uploaded.
        artist: Counts more than the artist in tags and file names; so do the next three.
        album: Of songs and archives; with it, videos are files of the album.
        year: Of the album or the video.
        name: Of a music video.
        look_inside: Looks into archives and videos, as the engine will, and so refuses now what
            it would refuse then. For a look at what would happen.
        wording: How reasons call the four arguments above.
    """
    overrides = Overrides(artist, album, year, name, wording or Wording())
    return make_plan(map(Path, paths), settings, overrides, look_inside=look_inside)
