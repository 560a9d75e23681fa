"""What goes with a task, and what stays."""

import errno
import pickle
from pathlib import Path
from typing import Any

import pytest
from musictasks.files import Effects, using
from musictasks.handlers import Removal
from musictasks.library import MusicDirectory
from musictasks.statemachine import HistoryEntry, MusicTask

ALBUM = "Artist/2020 - Album"
#: A temporary file of task "t", as `files.place` leaves it when it is killed.
TEMPORARY = f"{ALBUM}/.t.123.1.tmp"


@pytest.fixture
def removal(tmp_path: Path) -> Removal:
    (tmp_path / "music" / ALBUM).mkdir(parents=True)
    return Removal(MusicDirectory(tmp_path / "music"))


def put(removal: Removal, *paths: str) -> None:
    for path in paths:
        file = removal.music.root.parent / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)


def left(removal: Removal) -> set[str]:
    top = removal.music.root.parent
    return {
        str(path.relative_to(top))
        for path in top.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }


def task(**changes: Any) -> MusicTask:
    return MusicTask(id="t", upload_path="mine.mp3", preprocessed_path="mine.jpg", **changes)


def test_the_tasks_temporaries_go_and_all_else_stays(removal: Removal) -> None:
    """What a killed placing left goes; songs, others' temporaries and the upload data stay."""
    kept = [
        "uploads/mine.mp3",
        "uploads/mine.jpg",
        f"music/{ALBUM}/01 Song.mp3",
        f"music/{ALBUM}/.t2.123.1.tmp",
        f"music/{ALBUM}/.t.hidden",
        "music/Artist/.t.123.1.tmp",
    ]
    put(removal, f"music/{TEMPORARY}", *kept)

    removal(task(album_file_path=f"{ALBUM}/01 Song.mp3", album_path=ALBUM))

    assert left(removal) == set(kept)


def test_an_albums_own_directory_is_looked_at(removal: Removal) -> None:
    """A task that names only an album had its temporaries in there."""
    put(removal, f"music/{TEMPORARY}")

    removal(task(album_path=ALBUM))

    assert left(removal) == set()


def test_what_is_missing_is_fine(removal: Removal) -> None:
    """Removal may run twice, and on a task that never had data."""
    for _ in range(2):
        removal(task(album_path=ALBUM))
        removal(task(album_file_path="Missing/2020 - Album/01 Song.mp3"))
        removal(MusicTask(id="t"))


def test_a_linked_album_directory_is_not_entered(removal: Removal) -> None:
    """Behind a link nothing is ours, whatever its name; the link itself stays too."""
    put(removal, "elsewhere/.t.123.1.tmp")
    link = removal.music.root / "Artist/2021 - Link"
    link.symlink_to(removal.music.root.parent / "elsewhere")

    removal(task(album_path="Artist/2021 - Link"))

    assert left(removal) == {"elsewhere/.t.123.1.tmp", "music/Artist/2021 - Link"}


def test_a_path_that_leads_out_removes_nothing(removal: Removal) -> None:
    """A bad path in a record neither harms other files nor keeps the task for ever."""
    put(removal, "elsewhere/.t.123.1.tmp")

    removal(task(album_file_path="../elsewhere/x.mp3"))
    removal(task(album_path="../elsewhere"))

    assert left(removal) == {"elsewhere/.t.123.1.tmp"}


def test_a_disk_that_refuses_is_told(removal: Removal) -> None:
    """An error passes through, so that the engine tries again; then it goes."""

    class Refusing(Effects):
        def unlink(self, name: str, *, dir_fd: int) -> None:
            raise OSError(errno.EIO, "broken")

    put(removal, f"music/{TEMPORARY}")
    with using(Refusing()), pytest.raises(OSError, match="broken"):
        removal(task(album_path=ALBUM))

    removal(task(album_path=ALBUM))
    assert left(removal) == set()


def test_a_removal_can_be_pickled(removal: Removal) -> None:
    """It holds nothing open."""
    assert pickle.loads(pickle.dumps(removal)) == removal


def passed(*events: str) -> tuple[HistoryEntry, ...]:
    """A history from the beginning, with these events."""
    states = ["new", *(f"after-{event}" for event in events)]
    steps = zip(events, states, states[1:], strict=False)
    return tuple(HistoryEntry(0, event, source, target) for event, source, target in steps)


CLEAN = ("request_upload", "complete_upload", "begin", "succeed", "begin", "succeed", "remove")


@pytest.mark.parametrize(
    "history",
    [
        (),
        passed("request_upload", "begin", "recover", "begin", "succeed", "remove"),
        passed("request_upload", "begin", "fail", "retry", "begin", "succeed", "remove"),
        passed("request_upload", "begin", "succeed", "begin", "remove"),
        passed(*CLEAN)[1:],
    ],
    ids=["unknown", "killed", "failed", "removed at work", "cut to the newest"],
)
def test_after_work_that_did_not_succeed_the_temporaries_go(
    removal: Removal, history: tuple[HistoryEntry, ...]
) -> None:
    """Also where the record does not know of all the work that there was."""
    put(removal, f"music/{TEMPORARY}")

    removal(task(album_path=ALBUM, history=history))

    assert left(removal) == set()


def test_after_work_that_succeeded_no_directory_is_listed(
    removal: Removal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one task costs does not depend on how many files there are."""
    listed: list[object] = []
    monkeypatch.setattr("musictasks.files.steps.names", lambda fd: listed.append(fd) or [])

    removal(task(album_path=ALBUM, history=passed(*CLEAN)))

    assert listed == []
