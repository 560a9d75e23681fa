"""Saves that write over what earlier ones left, in place of making a file each."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from musictasks import files
from musictasks.errors import FileChanged
from musictasks.files import Directory, DurableFile, SpareFiles, using
from musictasks.testing import Struck

pytestmark = pytest.mark.usefixtures("no_leaks")

#: What a save does to the disk that makes its file, and one that writes over a spare one.
MAKING = ["open", "write", "fsync", "exchange", "fsync"]
OVER = MAKING
OVER_A_LONGER = ["open", "write", "truncate", "fsync", "exchange", "fsync"]


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare files are written over at once, but in tests that say else."""
    monkeypatch.setattr(files.spares, "_RESTING", 0)


@pytest.fixture
def spares() -> SpareFiles:
    return SpareFiles()


@pytest.fixture
def dir_fd(root: Directory) -> Iterator[int]:
    with root.descriptor() as fd:
        yield fd


@pytest.fixture
def file(root: Directory, dir_fd: int, spares: SpareFiles) -> DurableFile:
    """A file `t.json` that holds `old`, saved twice: its next save has a spare file."""
    file = DurableFile(root, "t.json", dir_fd=dir_fd, spares=spares)
    file.create(b"first")
    file.save(b"older")
    file.save(b"old")
    return file


@pytest.fixture
def path(root: Directory) -> Path:
    return root.root / "t.json"


def spare_path(root: Directory, spares: SpareFiles) -> Path:
    (name,) = spares.names
    return root.root / name


def test_a_save_writes_over_what_the_last_one_left(
    root: Directory, dir_fd: int, spares: SpareFiles, path: Path, breaks: Any
) -> None:
    """Two files take turns: none is made any more, and none removed."""
    file = DurableFile(root, "t.json", dir_fd=dir_fd, spares=spares)
    file.create(b"first")
    assert breaks.count(lambda: file.save(b"second")) == MAKING
    inodes = {path.stat().st_ino, spare_path(root, spares).stat().st_ino}
    for content in (b"longer than before", b"longer than it was", b"short"):
        calls = breaks.count(lambda: file.save(content))  # noqa: B023 - called at once
        assert calls in (OVER, OVER_A_LONGER)
        assert path.read_bytes() == file.read(99) == content
        assert {path.stat().st_ino, spare_path(root, spares).stat().st_ino} == inodes


def test_who_is_just_opening_a_file_finds_nothing_of_another(
    root: Directory, dir_fd: int, spares: SpareFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have found it by its name, and do not count as having it open for an instant: as a
    descriptor of the kind does that only names a file.
    """
    monkeypatch.undo()
    task, other = (
        DurableFile(root, name, dir_fd=dir_fd, spares=spares) for name in ("t.json", "other.json")
    )
    task.create(b"of the task")
    other.create(b"of the other")
    found = os.open(root.root / "t.json", os.O_PATH)
    task.save(b"the task's next")
    for number in range(16):
        other.save(b"%d of the other" % number)
    assert Path(f"/proc/self/fd/{found}").read_bytes() == b"of the task"
    os.close(found)
    assert len(spares.names) == 17


def test_a_shorter_content_leaves_nothing_of_a_longer_one(
    file: DurableFile, path: Path, breaks: Any
) -> None:
    assert breaks.count(lambda: file.save(b"x")) == OVER_A_LONGER
    assert path.read_bytes() == b"x"


def test_what_a_reader_has_open_stays_as_it_was(file: DurableFile, path: Path) -> None:
    """It is not written over, however long the reader takes."""
    with path.open("rb") as reader:
        for number in range(5):
            file.save(b"%d" % number)
        assert reader.read() == b"old"
    assert path.read_bytes() == b"4"


def test_a_mapped_file_stays_as_it_was(file: DurableFile, path: Path) -> None:
    import mmap

    with path.open("rb") as reader:
        mapped = mmap.mmap(reader.fileno(), 0, access=mmap.ACCESS_READ)
    for number in range(5):
        file.save(b"%d" % number)
    assert mapped[:] == b"old"
    mapped.close()


def test_a_hard_link_keeps_its_content(file: DurableFile, root: Directory, path: Path) -> None:
    """As `cp -al` makes them for a backup."""
    backup = root.root / "backup"
    os.link(path, backup)
    for number in range(5):
        file.save(b"%d" % number)
    assert backup.read_bytes() == b"old"


def test_a_mode_that_a_person_gave_goes_to_no_other_file(
    file: DurableFile, root: Directory, dir_fd: int, spares: SpareFiles, path: Path
) -> None:
    path.chmod(0o600)
    other = DurableFile(root, "other.json", dir_fd=dir_fd, spares=spares)
    other.create(b"x")
    file.save(b"new")
    for number in range(5):
        other.save(b"%d" % number)
        assert (root.root / "other.json").stat().st_mode == path.stat().st_mode
        assert path.stat().st_mode & 0o777 != 0o600


def test_an_attribute_that_a_person_gave_goes_to_no_other_file(
    file: DurableFile, root: Directory, dir_fd: int, spares: SpareFiles, path: Path
) -> None:
    """As of an access list that `setfacl` makes."""
    os.setxattr(path, "user.mine", b"1")
    other = DurableFile(root, "other.json", dir_fd=dir_fd, spares=spares)
    other.create(b"x")
    file.save(b"new")
    for number in range(5):
        other.save(b"%d" % number)
        assert os.listxattr(root.root / "other.json") == []


@pytest.mark.parametrize("at", range(1, len(OVER_A_LONGER) + 1))
def test_whoever_removes_temporary_files_deletes_no_task(
    file: DurableFile, root: Directory, path: Path, breaks: Any, at: int
) -> None:
    """At any call: the exchange says ENOENT then, as it does where the file is gone."""

    def remove() -> None:
        for temporary in root.root.glob(".*.tmp"):
            temporary.unlink()

    with using(breaks.act({at: remove})):
        file.save(b"x")
    assert path.read_bytes() == b"x"
    file.save(b"y")
    assert path.read_bytes() == file.read(9) == b"y"


@pytest.mark.parametrize("at", [5, 6])
def test_an_edit_that_is_removed_with_the_temporary_files_is_no_deletion(
    file: DurableFile, path: Path, breaks: Any, at: int
) -> None:
    """Whatever is there is the file, and the next save goes by it."""

    def remove() -> None:
        for temporary in path.parent.glob(".*.tmp"):
            temporary.unlink()

    with using(breaks.act({4: lambda: path.write_bytes(b"edited"), at: remove})):
        try:
            file.save(b"new")
        except FileChanged:
            file.read(9)
    file.save(b"newer")
    assert path.read_bytes() == b"newer"


def test_a_save_whose_temporary_files_are_always_removed_raises(
    file: DurableFile, root: Directory, path: Path
) -> None:
    def remove(_number: int, name: str) -> None:
        if name == "exchange":
            for temporary in root.root.glob(".*.tmp"):
                temporary.unlink()

    with using(Struck(remove)), pytest.raises(OSError, match="removes temporary files"):
        file.save(b"new")
    assert path.read_bytes() == b"old"
    assert root.names() == ["t.json"]
    file.save(b"new")
    assert path.read_bytes() == b"new"


def replaced(path: Path) -> None:
    other = path.with_name("somebody's")
    other.write_bytes(b"somebody's")
    other.replace(path)


@pytest.mark.parametrize(
    "change",
    [
        Path.unlink,
        replaced,
        lambda path: path.write_bytes(b"written into"),
        lambda path: (path.unlink(), path.symlink_to("somebody's")),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
    ],
)
def test_a_spare_file_that_is_not_as_it_was_is_not_used(
    file: DurableFile,
    root: Directory,
    spares: SpareFiles,
    path: Path,
    change: Callable[[Path], object],
) -> None:
    mine = spare_path(root, spares)
    (root.root / "somebody's").write_bytes(b"untouched")
    change(mine)
    file.save(b"new")
    assert path.read_bytes() == b"new"
    assert spare_path(root, spares) != mine
    if (root.root / "somebody's").exists():
        assert (root.root / "somebody's").read_bytes() == b"untouched"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EMFILE])
@pytest.mark.parametrize("at", range(1, len(OVER_A_LONGER) + 1))
def test_an_error_at_any_call_leaves_the_old_content(
    file: DurableFile,
    root: Directory,
    spares: SpareFiles,
    path: Path,
    breaks: Any,
    at: int,
    code: int,
) -> None:
    """Where only the spare file could not be opened, a new one does; else the save raises."""
    with using(breaks.fail(at, code)):
        if OVER_A_LONGER[at - 1] == "open":
            file.save(b"x")
            file.save(b"old")
        else:
            with pytest.raises(OSError, match=os.strerror(code)):
                file.save(b"x")
    assert path.read_bytes() == b"old"
    assert {*root.names()} == {"t.json", *spares.names}
    file.save(b"y")
    assert path.read_bytes() == b"y"


def test_a_file_whose_names_could_not_be_synced_is_no_spare_one(
    file: DurableFile, root: Directory, spares: SpareFiles
) -> None:
    """On the disk it may still be the one that counts: a power cut would show what was written."""

    def refuse_names(number: int, name: str) -> None:
        if name == "fsync" and effects.calls.count("exchange"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with using(effects := Struck(refuse_names)), pytest.raises(OSError, match="Input/output"):
        file.save(b"new")
    assert spares.names == []
    assert root.names() == ["t.json"]


def test_nothing_of_an_edit_is_written_over(
    file: DurableFile, root: Directory, spares: SpareFiles, path: Path
) -> None:
    path.write_bytes(b"edited")
    with pytest.raises(FileChanged):
        file.save(b"new")
    assert path.read_bytes() == b"edited"
    assert file.read(9) == b"edited"
    file.save(b"new")
    assert path.read_bytes() == b"new"


def test_an_edit_between_look_and_exchange_is_put_back(
    file: DurableFile, path: Path, breaks: Any
) -> None:
    edited = breaks.act({4: lambda: path.write_bytes(b"edited")})
    with using(edited), pytest.raises(FileChanged):
        file.save(b"new")
    assert path.read_bytes() == b"edited"


def test_they_go_when_they_are_closed(
    file: DurableFile, root: Directory, spares: SpareFiles
) -> None:
    assert file.dir_fd is not None
    spares.close(file.dir_fd)
    assert root.names() == ["t.json"]
    file.save(b"new")
    assert root.names() == ["t.json"]
    assert spares.names == []


def test_no_more_are_kept_than_save_at_once(
    root: Directory, dir_fd: int, spares: SpareFiles
) -> None:
    for number in range(40):
        name = f".x.1.{number}.tmp"
        (root.root / name).write_bytes(b"")
        spares.give(name, b"", dir_fd)  # pyright: ignore[reportArgumentType]
    assert len(spares.names) == 32
    assert sorted(spares.names) == root.names()


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EACCES, errno.ENOSYS])
def test_without_leases_each_save_makes_a_file(
    file: DurableFile,
    root: Directory,
    spares: SpareFiles,
    path: Path,
    breaks: Any,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
) -> None:
    """Who has a file open cannot be known then; it is asked once."""
    asked = list[int]()

    def refused(fd: int, command: int, argument: int = 0) -> int:
        asked.append(command)
        raise OSError(code, os.strerror(code))

    other = root.root / ".x.1.1.tmp"
    other.write_bytes(b"")
    spares._kept.appendleft((other.name, b""))  # pyright: ignore[reportArgumentType]
    spares._kept.rotate()
    monkeypatch.setattr(fcntl, "fcntl", refused)
    file.save(b"one")
    assert root.names() == ["t.json"]
    assert breaks.count(lambda: file.save(b"two")) == [*MAKING, "unlink"]
    assert path.read_bytes() == b"two"
    assert asked == [fcntl.F_SETSIG]


def test_threads_do_not_share_a_spare_file(
    root: Directory, dir_fd: int, spares: SpareFiles
) -> None:
    """Each file has its own content after each save, whoever had the spare one before."""

    def save_often(number: int) -> list[bytes]:
        file = DurableFile(root, f"{number}.json", False, dir_fd, spares=spares)
        file.create(b"")
        wrong = []
        for count in range(200):
            content = b"%d of %d" % (count, number) * (1 + (count * number) % 7)
            file.save(content)
            if (found := file.read(999)) != content:
                wrong.append(found)
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(save_often, range(8))] == [[]] * 8
    assert {*root.names()} == {f"{n}.json" for n in range(8)} | {*spares.names}
