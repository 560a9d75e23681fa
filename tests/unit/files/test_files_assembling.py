"""Assembling a directory: whole or not at all, never over another, at every effect."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from musictasks.errors import InvalidPath, TargetExists
from musictasks.files import (
    Directory,
    Effects,
    Placed,
    assemble,
    new_directory,
    remove_tree,
    sweep_assembly,
    using,
)

FILES = {"01 Song.flac": b"first" * 50_000, "02 Song.flac": b"second", "booklet.pdf": b""}
TARGET = "Artist/2020 - Album"


@pytest.fixture
def source(tmp_path: Path) -> Directory:
    (tmp_path / "uploads/unpacked").mkdir(parents=True)
    for name, data in FILES.items():
        (tmp_path / "uploads/unpacked" / name).write_bytes(data)
    return Directory(tmp_path / "uploads")


def run(source: Directory, root: Directory, rel: str = TARGET) -> Placed:
    return assemble(source, "unpacked", root, rel, owner="t")


def content(root: Directory, rel: str = TARGET) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root.root / rel).iterdir()}


def everything(root: Directory) -> list[str]:
    return sorted(str(path.relative_to(root.root)) for path in root.root.rglob("*"))


def test_all_files_are_there(source: Directory, root: Directory) -> None:
    """Every file has its bytes and its mode, the source stays, and nothing hidden is left."""
    sizes = sum(map(len, FILES.values()))
    assert run(source, root) == Placed(existed=False, size_bytes=sizes)
    assert content(root) == FILES
    assert content(source, "unpacked") == FILES
    assert root.names("Artist") == ["2020 - Album"]
    assert (root.root / TARGET).stat().st_mode & 0o7777 == 0o775
    assert (root.root / TARGET / "booklet.pdf").stat().st_mode & 0o7777 == 0o664


def test_the_same_files_count_as_done(source: Directory, root: Directory) -> None:
    """A second run finds them, and copies nothing; hidden files beside them do not count."""
    run(source, root)
    (root.root / TARGET / ".DS_Store").write_bytes(b"x")
    before = (root.root / TARGET / "booklet.pdf").stat().st_ino
    assert run(source, root).existed
    assert (root.root / TARGET / "booklet.pdf").stat().st_ino == before


def test_ignored_files_do_not_count(source: Directory, root: Directory) -> None:
    """Where they are beside the same files; but what the source has must be there."""

    def again() -> Placed:
        ignored = frozenset({"Thumbs.db", "booklet.pdf"})
        return assemble(source, "unpacked", root, TARGET, owner="t", ignored=ignored)

    again()
    (root.root / TARGET / "Thumbs.db").write_bytes(b"x")
    assert again().existed
    (root.root / TARGET / "booklet.pdf").unlink()
    with pytest.raises(TargetExists):
        again()


@pytest.mark.parametrize(
    "change",
    [
        lambda album: (album / "02 Song.flac").write_bytes(b"others"),
        lambda album: (album / "booklet.pdf").write_bytes(b"longer"),
        lambda album: (album / "02 Song.flac").unlink(),
        lambda album: (album / "03 Song.flac").write_bytes(b"more"),
        lambda album: [path.unlink() for path in album.iterdir()],
        lambda album: album.rename(album.with_name("2020 - ALBUM")),
    ],
)
def test_another_album_is_refused_and_untouched(source: Directory, root: Directory, change) -> None:
    """One file more, less or different, or a name of another case: nothing is touched."""
    run(source, root)
    change(root.root / TARGET)
    before = everything(root)
    with pytest.raises(TargetExists, match="2020 - A"):
        run(source, root)
    assert everything(root) == before


def test_a_file_or_a_link_in_the_way_is_refused(source: Directory, root: Directory) -> None:
    """They stay as they are."""
    (root.root / "Artist").mkdir()
    (root.root / TARGET).write_bytes(b"mine")
    with pytest.raises(TargetExists):
        run(source, root)
    (root.root / "Artist/2021 - Link").symlink_to(root.root.parent)
    with pytest.raises(TargetExists):
        run(source, root, "Artist/2021 - Link")
    assert everything(root) == ["Artist", "Artist/2020 - Album", "Artist/2021 - Link"]


@pytest.mark.parametrize("kind", ["link", "directory", "pipe"])
def test_a_source_of_other_things_is_refused(source: Directory, root: Directory, kind: str) -> None:
    """Files only, and no directory is made for others."""
    odd = source.root / "unpacked/odd"
    {"link": lambda: odd.symlink_to("/etc/passwd"), "directory": odd.mkdir}.get(
        kind, lambda: os.mkfifo(odd)
    )()
    with pytest.raises(InvalidPath, match="odd"):
        run(source, root)
    assert everything(root) == []


def test_a_missing_source_makes_nothing(root: Directory) -> None:
    """It is told as what it is."""
    with pytest.raises(FileNotFoundError):
        run(Directory(root.root.parent), root)
    assert everything(root) == []


def test_killed_at_every_effect(source: Directory, root: Directory, breaks: Any) -> None:
    """The album is there whole or not at all, and the next run ends it."""
    calls = breaks.count(lambda: run(source, root))
    assert calls.count("rename_noreplace") == 1
    for at in range(1, len(calls) + 1):
        remove_tree(root, "Artist")
        with using(breaks.crash(at)), pytest.raises(SystemExit):
            run(source, root)
        if (root.root / TARGET).exists():
            assert content(root) == FILES
        run(source, root)
        assert content(root) == FILES
        assert root.names("Artist") == ["2020 - Album"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.usefixtures("no_leaks")
def test_an_error_at_every_effect(
    source: Directory, root: Directory, breaks: Any, code: int
) -> None:
    """All or none, nothing hidden stays, and no descriptor is left open."""
    calls = breaks.count(lambda: run(source, root))
    for at in range(1, len(calls) + 1):
        remove_tree(root, "Artist")
        with using(breaks.fail(at, code)), pytest.raises(OSError, match=os.strerror(code)):
            run(source, root)
        assert everything(root) == [] or content(root) == FILES
        run(source, root)
        assert content(root) == FILES


def test_short_writes(source: Directory, root: Directory, breaks: Any) -> None:
    """A disk that takes a part of each write gets all of it in the end."""
    with using(breaks.short_writes()):
        run(source, root)
    assert content(root) == FILES


def test_a_disk_that_lies_is_found_out(source: Directory, root: Directory) -> None:
    """What is read back is not what was written: nothing appears."""

    class Lying(Effects):
        def write(self, fd: int, data: bytes | memoryview, offset: int) -> int:
            return super().write(fd, bytes(len(data)), offset)

    with using(Lying()), pytest.raises(OSError, match="may be bad"):
        run(source, root)
    assert everything(root) == []


def test_another_who_was_faster(source: Directory, root: Directory, breaks: Any) -> None:
    """Whoever comes second finds the same files, or refuses the others'; both stay whole."""
    calls = breaks.count(lambda: run(source, root))
    at = calls.index("rename_noreplace") + 1
    remove_tree(root, "Artist")

    def same() -> None:
        (root.root / TARGET).mkdir()
        for name, data in FILES.items():
            (root.root / TARGET / name).write_bytes(data)

    with using(breaks.act({at: same})):
        assert run(source, root).existed
    remove_tree(root, "Artist")
    with using(breaks.act({at: (root.root / TARGET).mkdir})), pytest.raises(TargetExists):
        run(source, root)
    assert everything(root) == ["Artist", "Artist/2020 - Album"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS])
def test_without_rename_noreplace(
    source: Directory, root: Directory, breaks: Any, code: int
) -> None:
    """A plain rename does the same: it takes the place of no file and of no filled directory."""
    with using(breaks.refuse(code, "rename_noreplace")):
        run(source, root)
    assert content(root) == FILES
    remove_tree(root, "Artist")

    class Late(Effects):
        """Somebody makes the album at the last moment."""

        def rename_noreplace(self, src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            (root.root / TARGET).mkdir()
            (root.root / TARGET / "mine").write_bytes(b"mine")
            raise OSError(code, os.strerror(code))

    with using(Late()), pytest.raises(TargetExists):
        run(source, root)
    assert content(root) == {"mine": b"mine"}


def test_progress_may_stop_it(source: Directory, root: Directory) -> None:
    """What it raises passes, and nothing stays."""

    def stop(done: int, total: int, name: str) -> None:
        if name == "02 Song.flac":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        assemble(source, "unpacked", root, TARGET, owner="t", progress=stop)
    assert everything(root) == []


def test_sweeping_takes_the_owners_directory_only(root: Directory) -> None:
    """What a killed run of one task left goes; another task's stays."""
    for owner in ("t", "other"):
        (root.root / f"Artist/.{owner}.tmp").mkdir(parents=True)
        (root.root / f"Artist/.{owner}.tmp/01 Song.flac").write_bytes(b"x")
    assert sweep_assembly(root, "Artist", "t")
    assert not sweep_assembly(root, "Artist", "t")
    assert not sweep_assembly(root, "Nobody", "t")
    assert root.names("Artist") == [".other.tmp"]


def test_a_tree_goes_and_links_are_not_followed(root: Directory) -> None:
    """Of a link in it, the link goes; what it names stays."""
    (root.root / "keep").write_bytes(b"x")
    (root.root / "a/b/c").mkdir(parents=True)
    (root.root / "a/b/link").symlink_to(root.root)
    (root.root / "a/b/file").write_bytes(b"x")
    (root.root / "link").symlink_to("a")
    assert remove_tree(root, "a")
    assert not remove_tree(root, "a")
    assert remove_tree(root, "link")
    assert everything(root) == ["keep"]
    with pytest.raises(InvalidPath):
        remove_tree(root, "../root")


def test_a_new_directory_takes_the_place_of_an_older_try(root: Directory) -> None:
    """What a killed run left in it is gone; a name is given once."""
    (root.root / "unpacked").mkdir()
    (root.root / "unpacked/old").write_bytes(b"x")
    with new_directory(root, "unpacked") as filling:
        filling.write("1", [b"a", b"b"])
        filling.rename("1", "one")
        filling.write("2", [])
        for call in (lambda: filling.write("one", []), lambda: filling.rename("2", "one")):
            with pytest.raises(FileExistsError):
                call()
        with pytest.raises(InvalidPath):
            filling.write("a/b", [])
    assert content(root, "unpacked") == {"one": b"ab", "2": b""}
