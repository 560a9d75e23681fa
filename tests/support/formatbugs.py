"""Seeded bugs of the kinds of audio, and of the ledger's connections."""

from __future__ import annotations

from seededbugs import Bug

FORMATS = "tests/unit/library/test_more_formats.py"
ASKED = "tests/unit/library/test_asked_ledger.py"
ANEW = "tests/unit/library/test_verifying.py::test_begun_anew_and_stopped_in_the_middle"
WAY = "tests/integration/test_more_formats.py"

FORMAT_BUGS = (
    Bug(
        "ogg: the headers of its pages count as audio",
        "library/audio.py",
        "        ranges.append((page.body, page.end))\n",
        "        ranges.append((page.offset, page.end))\n",
        (FORMATS,),
    ),
    Bug(
        "ogg: only the first page counts as audio",
        "library/audio.py",
        "        ranges.append((page.body, page.end))\n",
        "        pass\n",
        (FORMATS,),
    ),
    Bug(
        "ogg: its end is not looked at",
        "library/formats.py",
        "    if is_cut_off(file):\n",
        "    if False:\n",
        (FORMATS,),
    ),
    Bug(
        "ogg: any stream's last page tells how long it plays",
        "library/ogg.py",
        "page.serial == serial and page.position >= 0",
        "page.position >= 0",
        (FORMATS,),
    ),
    Bug(
        "ogg: its comments are not counted",
        "library/guards.py",
        "        if count > FRAME_LIMIT:\n",
        "        if False:\n",
        (FORMATS,),
    ),
    Bug(
        "opus: the samples that are skipped count",
        "library/formats.py",
        "(samples - skipped) / 48_000",
        "(samples + 48_000 * skipped) / 48_000",
        (FORMATS,),
    ),
    Bug(
        "wav: the kind of its samples does not count",
        "library/audio.py",
        '_of_samples("wav", b"fmt", 16, b"data", 0)',
        '_of_samples("wav", b"fmt", 0, b"data", 0)',
        (FORMATS,),
    ),
    Bug(
        "wav: tags are read without the guard",
        "library/formats.py",
        "        return GuardedID3(io.BytesIO(file.read(chunk.length)), known_frames=FRAMES)\n",
        "        return mutagen.id3.ID3(io.BytesIO(file.read(chunk.length)))\n",
        (FORMATS,),
    ),
    Bug(
        "formats: audio that is no song may be placed",
        "library/music_directory.py",
        "        if no_song is not None:\n",
        "        if False:\n",
        (FORMATS,),
    ),
    Bug(
        "formats: preprocessing knows the default ones only",
        "music/opening.py",
        "settings.ignore_songs, settings.formats\n        ),\n",
        "settings.ignore_songs\n        ),\n",
        (WAY,),
    ),
    Bug(
        "formats: a proposal knows the default ones only",
        "intake/proposals.py",
        "    formats = settings.formats\n",
        "    from ..library import DEFAULT_FORMATS\n\n    formats = DEFAULT_FORMATS\n",
        (WAY,),
    ),
    Bug(
        "ledger: another file at its path is not noticed",
        "library/connections.py",
        "            if file != self._file:\n",
        "            if self._file is None:\n",
        (ASKED,),
    ),
    Bug(
        "ledger: connections of a closed engine stay",
        "library/connections.py",
        "            self._closed = True\n            self._drop()\n",
        "            self._closed = True\n",
        (ASKED,),
    ),
    Bug(
        "ledger: who writes does not notice a copy over the file",
        "library/connections.py",
        "            return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns\n",
        "            return found.st_dev, found.st_ino\n",
        (ASKED,),
    ),
    Bug(
        "ledger: a forked child uses its parent's connections",
        "library/connections.py",
        "            if self._pid != os.getpid():\n",
        "            if self._pid is None:\n",
        (ASKED,),
    ),
    Bug(
        "ledger: a transaction is not ended",
        "library/connections.py",
        '            connection.execute("commit")\n',
        "",
        (ASKED,),
    ),
    Bug(
        "ledger: begun anew, its journal goes first",
        "library/ledger.py",
        'for suffix in ("", "-journal", "-wal", "-shm"):',
        'for suffix in ("-journal", "-wal", "-shm", ""):',
        (ANEW,),
    ),
)
