"""Seeded bugs of what goes into the library: archives, videos, and the scan of what is there."""

from __future__ import annotations

from seededbugs import Bug

_CRASH = "tests/integration/crash"
ARCHIVE_KILL = f"{_CRASH}/test_crash_sweeps.py::test_killed_at_every_effect[archive]"
ARCHIVE_REMOVED = (
    f"{_CRASH}/test_crash_sweeps.py::test_killed_at_every_effect_and_removed_then[archive]"
)
ARCHIVE_IMAGES = f"{_CRASH}/test_crash_images.py::test_a_power_cut_at_every_effect[archive]"
ARCHIVES = "tests/unit/library/test_archives.py"
ALBUMS = "tests/unit/library/test_album_names.py"
UPLOADS = "tests/unit/engine/test_engine_data.py"
IMPORT = "tests/unit/library/test_importing.py"
VIDEO = "tests/unit/library/test_video.py"
VIDEO_WAY = "tests/integration/test_upload_video.py"
EXCHANGED = (
    "tests/integration/killed/test_killed_scan.py"
    "::test_files_that_were_exchanged_while_no_process_lived_are_hashed_again"
)

LIBRARY_BUGS = (
    Bug(
        "album: its files are not synced before it appears",
        "files/assembling.py",
        "    def _finish(self, mode: int) -> None:\n"
        "        steps.set_mode(self._dir_fd, mode)\n"
        "        self._sync(self._dir_fd)\n\n"
        "    def _sync(self, fd: int) -> None:\n"
        "        if self.directory.durable:\n",
        "    def _finish(self, mode: int) -> None:\n"
        "        steps.set_mode(self._dir_fd, mode)\n"
        "        self._sync(self._dir_fd)\n\n"
        "    def _sync(self, fd: int) -> None:\n"
        "        if False:\n",
        (ARCHIVE_IMAGES,),
    ),
    Bug(
        "album: its appearance is not synced",
        "files/assembling.py",
        "        if target.durable:\n            effects.current.fsync(dir_fd)\n",
        "",
        (ARCHIVE_IMAGES,),
    ),
    Bug(
        "album: it is filled in its place",
        "files/assembling.py",
        '    return f".{check_name(owner)}.tmp"\n',
        '    return "2020 - Über den Wäldern"\n',
        (ARCHIVE_KILL,),
    ),
    Bug(
        "removal: what is half assembled stays",
        "handlers/removal.py",
        "                    sweep_assembly(self.music.directory, target, task.id)\n",
        "                    pass\n",
        (ARCHIVE_REMOVED,),
    ),
    Bug(
        "archive: a path may lead out",
        "library/archives.py",
        '        if ".." in parts:\n',
        "        if False:\n",
        (ARCHIVES,),
    ),
    Bug(
        "archive: nobody counts what it unpacks to",
        "library/archives.py",
        "        self.bytes += count\n",
        "",
        (ARCHIVES,),
    ),
    Bug(
        "archive: a link is a file",
        "library/archives.py",
        "not in (0, stat.S_IFREG, stat.S_IFDIR)",
        "not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)",
        (ARCHIVES,),
    ),
    Bug(
        "album: a file over another of the same name",
        "library/album_names.py",
        "    _check_different(archive, files, names)\n",
        "",
        (ALBUMS,),
    ),
    Bug(
        "uploads: preprocessed data goes, whosever it is",
        "music/takeover.py",
        "TASK_ID.fullmatch(first)",
        "not first",
        ("tests/unit/music/test_takeover.py::test_a_path_in_anothers_directory_does_not_load",),
    ),
    Bug(
        "scan: the cache does not look at the inode",
        "library/scan_cache.py",
        "known[:3] == _measured(status)",
        "known[:2] == _measured(status)[:2]",
        (EXCHANGED,),
    ),
    Bug(
        "import: a bitrate is mended, whoever wrote it",
        "library/bitrates.py",
        "    return stored in former and stored != bitrate\n",
        "    return stored != bitrate\n",
        (IMPORT,),
    ),
    Bug(
        "import: a bitrate is listed, whatever file it is of",
        "library/bitrates.py",
        ' and sha256_of(file) == row["checksum"]:\n',
        ":\n",
        (IMPORT,),
    ),
    Bug(
        "video: whatever ends its reader is its own fault",
        "library/video.py",
        "        if self.is_ready and -code in _BREAKDOWNS:\n",
        "        if code:\n",
        (VIDEO,),
    ),
    Bug(
        "video: its header is believed",
        "library/video_program.py",
        "    return max(ends.values()) - start_s, video_s\n",
        "    return (container.duration or 0) / av.time_base, video_s\n",
        (VIDEO,),
    ),
    Bug(
        "video: turned the wrong way",
        "library/video_program.py",
        '    (0, 1, -1, 0): "ROTATE_270",\n',
        '    (0, 1, -1, 0): "ROTATE_90",\n',
        (VIDEO,),
    ),
    Bug(
        "video: a second import makes a second row",
        "library/video_import.py",
        "    if row is None:\n",
        "    if True:\n",
        ("tests/unit/library/test_video_import.py",),
    ),
    Bug(
        "video: its annotations say nothing of the origin",
        "handlers/music_import.py",
        "origin=known, check=",
        "origin=None, check=",
        (VIDEO_WAY,),
    ),
    Bug(
        "video: any extension will do",
        "library/video.py",
        "    if is_video(name) and name",
        "    if False and name",
        (VIDEO_WAY,),
    ),
)
