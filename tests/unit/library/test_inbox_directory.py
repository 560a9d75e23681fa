"""What leaves an inbox: only what is the same, durably, and nothing over anything."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest
from musictasks.files import Effects, using
from musictasks.library import inbox_directory
from musictasks.library.inbox_directory import (
    Conclusion,
    Done,
    InboxDirectory,
    Kind,
    Refused,
    Unfinished,
    remains,
)


@pytest.fixture
def inbox(tmp_path: Path) -> InboxDirectory:
    return InboxDirectory.at(tmp_path)


def put(root: Path, **files: bytes) -> None:
    for name, data in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def done(path: str, data: bytes) -> Done:
    checksum = hashlib.sha1(data).hexdigest()
    return Done(tuple(path.split("/")), len(data), checksum)


def files(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def album(inbox: InboxDirectory) -> Conclusion:
    """A song and a cover that are in the library, and a file that is refused."""
    put(inbox.root, Album__song=b"song", Album__CD2__cover=b"cover", Album__noise=b"noise")
    leaving = (done("Album/song", b"song"), done("Album/CD2/cover", b"cover"))
    snapshot = inbox.look("Album")
    return Conclusion(
        name="Album",
        done=leaving,
        directories=tuple(p for p, seen in snapshot.items() if seen.kind is Kind.DIRECTORY),
        refused=(Refused("Album", "why", remains(snapshot, {one.parts for one in leaving})),),
    )


AFTERWARDS = {"refused/Album/noise": b"noise", "refused/Album.txt": b"why"}


def test_what_is_done_leaves_and_the_rest_is_refused(inbox: InboxDirectory) -> None:
    concluded = inbox.conclude(album(inbox))
    assert files(inbox.root) == AFTERWARDS
    assert [path.name for path in inbox.root.iterdir()] == ["refused"]
    assert (concluded.removed, concluded.changed) == (2, ())
    assert concluded.refused == {"Album": inbox.root / "refused" / "Album"}


def test_a_file_with_other_bytes_stays_however_alike_it_looks(inbox: InboxDirectory) -> None:
    put(inbox.root, a=b"same", b=b"size")
    old = (inbox.root / "b").stat()
    (inbox.root / "b").write_bytes(b"diff")
    os.utime(inbox.root / "b", ns=(old.st_atime_ns, old.st_mtime_ns))
    concluded = inbox.conclude(Conclusion(name="", done=(done("a", b"same"), done("b", b"size"))))
    assert files(inbox.root) == {"b": b"diff"}
    assert concluded.changed == (("b",),)


@pytest.mark.skipif(sys.platform != "linux", reason="macOS gives no leases")
def test_a_file_that_somebody_writes_stays(inbox: InboxDirectory) -> None:
    put(inbox.root, song=b"song")
    with (inbox.root / "song").open("ab"):
        concluded = inbox.conclude(Conclusion(name="", done=(done("song", b"song"),)))
    assert files(inbox.root) == {"song": b"song"}
    assert concluded.changed == (("song",),)


def test_what_takes_a_files_place_while_it_is_compared_stays(inbox: InboxDirectory) -> None:
    """A writer by name makes another file; the one that is compared is out of reach."""
    put(inbox.root, song=b"song")

    class Writer(Effects):
        def unlink(self, name: str, *, dir_fd: int) -> None:
            put(inbox.root, song=b"new")
            super().unlink(name, dir_fd=dir_fd)

    with using(Writer()):
        concluded = inbox.conclude(Conclusion(name="", done=(done("song", b"song"),)))
    assert files(inbox.root) == {"song": b"new"}
    assert concluded.changed == ()


def test_a_link_in_a_files_place_is_not_followed(inbox: InboxDirectory, tmp_path: Path) -> None:
    outside = tmp_path.with_name(f"{tmp_path.name}-outside")
    put(outside, song=b"song", Album__song=b"song")
    (inbox.root / "song").symlink_to(outside / "song")
    (inbox.root / "Album").symlink_to(outside / "Album")
    leaving = (done("song", b"song"), done("Album/song", b"song"))
    inbox.conclude(Conclusion(name="", done=leaving))
    assert {path.name for path in inbox.root.iterdir()} == {"song", "Album"}
    assert set(files(outside)) == {"song", "Album/song"}


def test_an_entry_that_has_more_than_what_was_refused_stays(inbox: InboxDirectory) -> None:
    """Nobody has said anything of the new file."""
    conclusion = album(inbox)
    put(inbox.root, Album__new=b"new")
    concluded = inbox.conclude(conclusion)
    assert files(inbox.root) == {"Album/noise": b"noise", "Album/new": b"new"}
    assert concluded.refused == {}


def test_an_error_leaves_the_rest_to_the_next(inbox: InboxDirectory) -> None:
    """The entry is known as unfinished as long as that is so; then it ends as if nothing was."""

    class Stuck(Effects):
        def unlink(self, name: str, *, dir_fd: int) -> None:
            if name == "cover":
                raise PermissionError(13, "Permission denied", name)
            super().unlink(name, dir_fd=dir_fd)

    conclusion = album(inbox)
    with using(Stuck()):
        with pytest.raises(PermissionError):
            inbox.conclude(conclusion)
        assert inbox.is_unfinished
        (unfinished,) = inbox.go_on()
    assert isinstance(unfinished, Unfinished)
    assert unfinished.entries == {"Album"}
    assert "Permission denied" in unfinished.reason
    inbox.go_on()
    assert files(inbox.root) == AFTERWARDS
    assert not inbox.is_unfinished


def test_killed_at_every_effect_the_next_one_ends_it_all_the_same(tmp_path: Path) -> None:
    """Also killed again while it goes on; at no moment is any of the bytes gone that may not."""

    class Killed(Effects):
        left = 0

    def mortal(name: str) -> object:
        def effect(self: Killed, *args: object, **options: object) -> object:
            self.left -= 1
            if self.left < 0:
                raise SystemExit("killed")
            return getattr(Effects, name)(self, *args, **options)

        return effect

    for name in [name for name in vars(Effects) if not name.startswith("_")]:
        setattr(Killed, name, mortal(name))

    number, ended = 0, False
    while not ended:
        inbox = InboxDirectory.at(tmp_path / str(number))
        inbox.root.mkdir()
        conclusion, effects = album(inbox), Killed()
        effects.left, ended = number, True
        with using(effects):
            try:
                inbox.conclude(conclusion)
            except SystemExit:
                ended = False
        assert b"noise" in files(inbox.root).values()
        for again in (number % 7, 1000):
            effects.left = again
            with using(effects):
                try:
                    inbox.go_on()
                except SystemExit:
                    continue
        if not inbox.look("Album"):
            assert files(inbox.root) == AFTERWARDS, f"killed at effect {number}"
        else:
            # It was killed before anything was taken down: nothing has happened.
            assert len(files(inbox.root / "Album")) == 3, f"killed at effect {number}"
        assert not inbox.is_unfinished
        number += 1
    assert number > 30


def test_what_an_earlier_process_had_under_way_is_put_back_beside_a_new_one(
    inbox: InboxDirectory,
) -> None:
    put(inbox.root, **{".musictasks__away__Album__song.mp3": b"old", "Album__song.mp3": b"new"})
    assert inbox.go_on() == []
    assert files(inbox.root) == {"Album/song.mp3": b"new", "Album/song (2).mp3": b"old"}


def test_a_name_as_long_as_it_may_be_is_refused_under_a_shorter_one(inbox: InboxDirectory) -> None:
    name = "ä" * 125 + ".zip"
    put(inbox.root, **{name: b"broken"})
    for _ in range(2):
        (inbox.root / name).write_bytes(b"broken")
        inbox.conclude(Conclusion(name="", refused=(_refused(inbox, name),)))
    names = files(inbox.root / "refused")
    assert name in names
    assert [one.count("(2)") for one in sorted(names, key=len)].count(1) == 2
    assert sorted(names.values()) == [b"broken", b"broken", b"why", b"why"]


def _refused(inbox: InboxDirectory, name: str) -> Refused:
    return Refused(name, "why", remains(inbox.look(name), ()))


def test_where_the_file_system_cannot_rename_without_overwriting_it_looks_first(
    inbox: InboxDirectory,
) -> None:
    """NFS and FUSE: files are linked, directories renamed after a look."""

    class Old(Effects):
        def rename_noreplace(self, *args: object, **options: object) -> None:
            raise OSError(22, "Invalid argument")

    put(inbox.root, refused__Album__mine=b"mine")
    with using(Old()):
        inbox.conclude(album(inbox))
    assert files(inbox.root) == {
        "refused/Album/mine": b"mine",
        "refused/Album (2)/noise": b"noise",
        "refused/Album (2).txt": b"why",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="macOS gives no leases")
def test_what_is_written_over_while_it_is_compared_and_closed_then_stays(
    inbox: InboxDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer had it open before, and is through before the comparison is."""
    put(inbox.root, song=b"song")
    writer = (inbox.root / "song").open("r+b", buffering=0)
    real = inbox_directory._sha1

    def read_then_written(file: BinaryIO) -> str:
        found = real(file)
        writer.write(b"edit")
        writer.close()
        return found

    monkeypatch.setattr(inbox_directory, "_sha1", read_then_written)
    with writer:
        concluded = inbox.conclude(Conclusion(name="", done=(done("song", b"song"),)))
    assert set(files(inbox.root)) == {"song"}
    assert concluded.changed == (("song",),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"name": "Album"',
        '{"name": "", "done": [{"parts": ["..", "x"], "size_bytes": 1, "checksum": "0"}]}',
        '{"name": "", "directories": [[]]}',
        '{"name": "", "refused": [{"name": "a/b", "text": "", "remains": []}]}',
        "[" * 100_000,
    ],
)
def test_a_note_that_is_none_is_told_of_and_left_alone(inbox: InboxDirectory, text: str) -> None:
    """Whoever writes into the inbox can write there, too."""
    note = inbox.root / ".musictasks" / "notes" / "x.json"
    put(inbox.root, **{".musictasks__notes__x.json": text.encode(), "a": b"song"})
    (unfinished,) = inbox.go_on()
    assert isinstance(unfinished, Unfinished)
    assert unfinished.name == ".musictasks/notes/x.json"
    assert note.read_text(encoding="utf-8") == text
    note.unlink()
    assert inbox.go_on() == []
    assert files(inbox.root) == {"a": b"song"}
    assert not inbox.is_unfinished


def test_a_note_that_is_a_link_is_not_followed(inbox: InboxDirectory, tmp_path: Path) -> None:
    conclusion = album(inbox)
    notes = inbox.root / ".musictasks" / "notes"
    notes.mkdir(parents=True)
    outside = tmp_path.with_name(f"{tmp_path.name}-note")
    outside.write_bytes(inbox_directory._saved(conclusion))
    (notes / "x.json").symlink_to(outside)
    assert isinstance(inbox.go_on()[0], Unfinished)
    assert len(files(inbox.root / "Album")) == 3


def test_folders_in_folders_without_end_are_an_error_of_their_own(inbox: InboxDirectory) -> None:
    """Of more of them than Python has calls in each other, too."""
    (inbox.root / "Album").mkdir()
    fd = os.open(inbox.root / "Album", os.O_RDONLY)
    try:
        for _ in range(sys.getrecursionlimit() + 100):
            os.mkdir("d", dir_fd=fd)
            below = os.open("d", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
    finally:
        os.close(fd)
    try:
        with pytest.raises(OSError, match="too many folders"):
            inbox.look("Album")
    finally:
        # What removes the directories of tests would call itself too often, too.
        subprocess.run(["rm", "-rf", inbox.root / "Album"], check=True)
