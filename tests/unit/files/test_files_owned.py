"""The directories that owners have: made, taken over into, removed as a whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from musictasks.errors import InvalidPath
from musictasks.files import Directory, Effects, OwnedDirectories, using


@pytest.fixture
def owned(tmp_path: Path) -> OwnedDirectories:
    return OwnedDirectories(Directory(tmp_path, durable=False))


def names(path: Path) -> list[str]:
    return sorted(one.name for one in path.iterdir())


def test_one_is_made_and_removed_with_all_that_is_in_it(owned: OwnedDirectories, tmp_path: Path):
    place = owned.make("a")
    assert (place, owned.make("a"), owned.path("a")) == (tmp_path / "a",) * 3
    (place / "deep" / "er").mkdir(parents=True)
    (place / "deep" / "er" / "file").write_bytes(b"x")
    assert owned.owners() == ["a"]
    assert owned.remove("a")
    assert names(tmp_path) == []
    assert not owned.remove("a")


def test_its_name_is_durable_when_it_has_been_made(tmp_path: Path):
    """The directory and the root are both synced."""
    synced: list[int] = []

    class Watch(Effects):
        def fsync(self, fd: int) -> None:
            synced.append(os.fstat(fd).st_ino)
            super().fsync(fd)

    with using(Watch()):
        place = OwnedDirectories(Directory(tmp_path)).make("a")
    assert {place.stat().st_ino, tmp_path.stat().st_ino} <= set(synced)


@pytest.mark.parametrize("owner", ["", "..", "a/b", "a\\b", "a\0"])
def test_an_owner_is_a_plain_name(owned: OwnedDirectories, owner: str):
    for call in (owned.make, owned.remove, owned.path):
        with pytest.raises(InvalidPath):
            call(owner)


def test_a_half_removed_one_is_never_taken_for_whole(owned: OwnedDirectories, tmp_path: Path):
    """Whatever is refused in the middle, it has another name by then; the next call goes on."""
    place = owned.make("a")
    for name in ("one", "two", "three"):
        (place / name).write_bytes(b"x")

    class Refuses(Effects):
        left = 1

        def unlink(self, name: str, *, dir_fd: int) -> None:
            if self.left == 0:
                raise OSError(errno.EIO, "Input/output error")
            self.left -= 1
            super().unlink(name, dir_fd=dir_fd)

    with using(Refuses()), pytest.raises(OSError, match="Input/output"):
        owned.remove("a")
    assert names(tmp_path) == [".a.gone"]
    assert owned.owners() == []
    owned.make("a")  # what has the name by then is not in its way
    assert owned.remove("a")
    assert names(tmp_path) == []


def test_a_sweep_ends_what_was_cut_off_and_nothing_else(owned: OwnedDirectories, tmp_path: Path):
    for name in (".a.gone", ".b.gone", "c", ".keep"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x")
    assert owned.sweep() == [".a.gone", ".b.gone"]
    assert names(tmp_path) == [".keep", "c"]
    assert OwnedDirectories(Directory(tmp_path / "not there")).sweep() == []


def test_a_symbolic_link_in_its_place_is_removed_itself(owned: OwnedDirectories, tmp_path: Path):
    """It is never followed."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_bytes(b"x")
    (tmp_path / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidPath, match="symbolic link"):
        owned.make("a")
    assert owned.remove("a")
    assert names(tmp_path) == ["outside"]
    assert names(tmp_path / "outside") == ["precious"]


def test_what_lies_in_the_root_moves_in(owned: OwnedDirectories, tmp_path: Path):
    """A file or a directory; again, nothing happens."""
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked" / "song").write_bytes(b"y")
    moved = [owned.adopt("a", name) for name in ("file", "unpacked", "file", "other")]
    assert moved == [True, True, False, False]
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["file", "unpacked"]


def test_what_the_owner_has_already_stays(owned: OwnedDirectories, tmp_path: Path):
    """Neither is written over the other."""
    owned.make("a")
    (tmp_path / "a" / "file").write_bytes(b"mine")
    (tmp_path / "file").write_bytes(b"the other")
    assert not owned.adopt("a", "file")
    assert (tmp_path / "a" / "file").read_bytes() == b"mine"
    assert (tmp_path / "file").read_bytes() == b"the other"


def test_a_file_system_without_that_rename_moves_it_too(owned: OwnedDirectories, tmp_path: Path):
    class Old(Effects):
        def rename_noreplace(self, src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

    (tmp_path / "file").write_bytes(b"x")
    with using(Old()):
        assert owned.adopt("a", "file")
        (tmp_path / "file").write_bytes(b"the other")
        assert not owned.adopt("a", "file")
    assert (tmp_path / "a" / "file").read_bytes() == b"x"
