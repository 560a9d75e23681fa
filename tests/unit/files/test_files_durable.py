"""The save of a small file, broken at every call, and with other people at the same file."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from musictasks.errors import FileChanged, InvalidPath
from musictasks.files import Directory, DurableFile, using, written_at
from musictasks.testing import Struck

pytestmark = pytest.mark.usefixtures("no_leaks")

CODES = [errno.ENOSPC, errno.EIO, errno.EMFILE]
#: What one save does to the disk.
SAVE = ["open", "write", "fsync", "exchange", "fsync", "unlink"]


@pytest.fixture
def file(root: Directory) -> DurableFile:
    """A file `t.json` that holds `old`."""
    file = DurableFile(root, "t.json")
    file.create(b"old")
    return file


@pytest.fixture
def path(root: Directory) -> Path:
    return root.root / "t.json"


def edit_in_place(path: Path, text: str) -> Callable[[], None]:
    def edit() -> None:
        path.write_text(text)

    return edit


def edit_by_rename(path: Path, text: str) -> Callable[[], None]:
    """As most editors do it."""

    def edit() -> None:
        other = path.with_name("editor")
        other.write_text(text)
        other.replace(path)

    return edit


EDITS = [edit_in_place, edit_by_rename]


def test_a_file_is_made_saved_read_and_deleted(root: Directory, path: Path) -> None:
    """The plain way, with nobody else at the file."""
    file = DurableFile(root, "t.json")
    file.create(b"one")
    file.save(b"two!")
    file.save(b"three")
    assert path.read_bytes() == file.read(5) == b"three"
    file.save(b"four")
    assert root.names() == ["t.json"]
    assert file.delete()
    assert not file.delete()
    assert root.names() == []


def test_the_order_of_a_save(file: DurableFile, breaks: Any) -> None:
    """The content is durable before it has the name, and the name before the old content goes."""
    assert breaks.count(lambda: file.save(b"new")) == SAVE


def test_a_descriptor_of_the_directory_can_be_lent(root: Directory, path: Path) -> None:
    """With a descriptor that the caller holds, the directory is not opened again."""
    with root.descriptor() as dir_fd:
        file = DurableFile(Directory(root.root / "not looked at"), "t.json", dir_fd=dir_fd)
        file.create(b"one")
        file.save(b"two")
        assert file.read(9) == path.read_bytes() == b"two"


@pytest.mark.parametrize("code", CODES)
def test_an_error_at_any_call_leaves_the_old_content(
    file: DurableFile, path: Path, root: Directory, breaks: Any, code: int
) -> None:
    """A save that raises has changed nothing, leaves no temporary, and can be called again."""
    for at, name in enumerate(SAVE, 1):
        with using(breaks.fail(at, code)):
            if name == "unlink":  # the new content is durable: nothing to complain about
                file.save(b"old")
                assert len(root.names()) == 2
                root.remove_prefixed("", ".t.")
            else:
                with pytest.raises(OSError, match=os.strerror(code)):
                    file.save(b"newer")
        assert path.read_bytes() == b"old", f"call {at}, {name}"
        assert root.names() == ["t.json"], f"call {at}, {name}"
        file.save(b"old")


@pytest.mark.parametrize("code", CODES)
def test_a_creation_that_fails_makes_no_file(root: Directory, breaks: Any, code: int) -> None:
    """At any call: there is no file and no temporary, and the next creation works."""
    calls = breaks.count(lambda: DurableFile(root, "other").create(b"x"))
    assert calls == ["open", "write", "fsync", "rename_noreplace", "fsync"]
    for at in range(1, len(calls) + 1):
        file = DurableFile(root, "t.json")
        with using(breaks.fail(at, code)), pytest.raises(OSError, match=os.strerror(code)):
            file.create(b"x")
        assert root.names() == ["other"], f"call {at}, {calls[at - 1]}"
        file.create(b"x")
        file.delete()


def test_short_writes_are_gone_on_with(file: DurableFile, path: Path, breaks: Any) -> None:
    """A system that writes less than asked for loses nothing."""
    with using(breaks.short_writes()):
        file.save(bytes(range(200)))
    assert path.read_bytes() == bytes(range(200))


def test_a_crash_at_any_call_leaves_one_whole_content(
    file: DurableFile, path: Path, root: Directory, breaks: Any
) -> None:
    """A run that ends at any call leaves the old or the new content, and a name to sweep."""
    for at, name in enumerate(SAVE, 1):
        file = DurableFile(root, "t.json")
        file.read(100)
        path_before = path.read_bytes()
        with using(breaks.crash(at)), pytest.raises(SystemExit):
            file.save(b"new %d" % at)
        after = path.read_bytes()
        assert after == (b"new %d" % at if at > SAVE.index("exchange") + 1 else path_before), name
        left = [other for other in root.names() if other != "t.json"]
        assert all(other.startswith(".t.") and other.endswith(".tmp") for other in left)
        root.remove_prefixed("", ".t.")


def test_a_deleted_file_never_comes_back(
    file: DurableFile, path: Path, root: Directory, breaks: Any
) -> None:
    """Deleted at any call of a save it stays deleted, and that save or the next says so."""
    for at in range(1, len(SAVE) + 1):
        raised = False
        with using(breaks.act({at: path.unlink})):
            try:
                file.save(b"new")
            except FileNotFoundError:
                raised = True
        assert root.names() == [], f"call {at}"
        assert raised == (at <= SAVE.index("exchange") + 1), f"call {at}"
        with pytest.raises(FileNotFoundError):
            file.save(b"newer")
        file.create(b"old")


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_never_lost(
    file: DurableFile, path: Path, root: Directory, breaks: Any, edit: Any
) -> None:
    """Edited at any call of a save the edit stays, and that save or the next says so."""
    for at in range(1, len(SAVE) + 1):
        raised = False
        with using(breaks.act({at: edit(path, "an edit")})):
            try:
                file.save(b"new")
            except FileChanged:
                raised = True
        assert path.read_text() == "an edit", f"call {at}"
        assert root.names() == ["t.json"], f"call {at}"
        assert raised == (at <= SAVE.index("exchange") + 1), f"call {at}"
        if not raised:
            with pytest.raises(FileChanged):
                file.save(b"newer")
        assert file.read(100) == b"an edit"
        file.save(b"old")


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_outlives_an_error(
    file: DurableFile, path: Path, root: Directory, breaks: Any, edit: Any
) -> None:
    """An edit at one call and an error at a later one: still the edit stays."""
    for at in range(1, len(SAVE) + 1):
        for later in range(at + 1, at + 6):
            effects = breaks.act({at: edit(path, f"edit {at}, {later}"), later: full})
            with using(effects), suppress(FileChanged, OSError):
                file.save(b"new")
            assert path.read_text() == f"edit {at}, {later}"
            root.remove_prefixed("", ".t.")
            file.read(100)


@pytest.mark.parametrize("edit", EDITS)
def test_of_two_edits_the_last_stays_and_a_deletion_wins(
    file: DurableFile, path: Path, root: Directory, breaks: Any, edit: Any
) -> None:
    """Two changes at any two calls of one save: the file is as the second left it."""
    for first in range(1, len(SAVE) + 3):
        for second in range(first + 1, len(SAVE) + 4):
            effects = breaks.act({first: edit(path, "first"), second: edit(path, "the second")})
            with using(effects), suppress(FileChanged):
                file.save(b"new")
            if len(effects.calls) >= second:
                assert path.read_text() == "the second", f"{first}, {second}"
            assert root.names() == ["t.json"]
            file.read(100)
            effects = breaks.act({first: edit(path, "first"), second: path.unlink})
            with using(effects), suppress(FileChanged, FileNotFoundError):
                file.save(b"new")
            assert path.exists() == (len(effects.calls) < second), f"{first}, {second}"
            path.unlink(missing_ok=True)
            assert root.names() == []
            file.create(b"old")


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS])
def test_a_file_system_without_the_renames_still_saves(
    root: Directory, path: Path, breaks: Any, code: int
) -> None:
    """FUSE, NFS, macOS: links and plain renames after a look; what is there is respected."""
    file = DurableFile(root, "t.json")
    with using(breaks.refuse(code, "exchange", "rename_noreplace")):
        file.create(b"old")
        with pytest.raises(FileExistsError):
            DurableFile(root, "t.json").create(b"other")
        file.save(b"new")
        file.save(b"newer")
        assert path.read_bytes() == b"newer"
        path.write_bytes(b"an edit")
        with pytest.raises(FileChanged):
            file.save(b"x")
        assert file.read(100) == b"an edit"
        path.unlink()
        with pytest.raises(FileNotFoundError):
            file.save(b"x")
    assert root.names() == []


def test_a_deletion_without_exchange_is_looked_for(
    file: DurableFile, path: Path, root: Directory, breaks: Any
) -> None:
    """Without the exchange a look just before the replace finds a deleted file."""
    effects = breaks.act({})

    def hook(number: int, name: str) -> None:
        if name == "exchange":
            path.unlink()
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    effects.strike = hook
    with using(effects), pytest.raises(FileNotFoundError):
        file.save(b"new")
    assert root.names() == []


@pytest.mark.parametrize("code", CODES)
def test_an_error_without_exchange_can_be_saved_over(
    root: Directory, path: Path, breaks: Any, code: int
) -> None:
    """Also there an error leaves a whole content, and the next save works."""
    file = DurableFile(root, "t.json")
    file.create(b"old")
    for at in range(1, 9):

        def hook(number: int, name: str, at: int = at) -> None:
            if name == "exchange":
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            if number == at:
                raise OSError(code, os.strerror(code))

        effects = breaks.act({})
        effects.strike = hook
        with using(effects):
            try:
                file.save(b"new")
            except OSError:
                assert path.read_bytes() in (b"old", b"new")
            else:
                assert path.read_bytes() == b"new"
        assert root.names() == ["t.json"]
        file.save(b"old")


def test_create_never_overwrites(file: DurableFile, path: Path, root: Directory) -> None:
    """A file that is there stays as it is."""
    with pytest.raises(FileExistsError):
        DurableFile(root, "t.json").create(b"other")
    assert path.read_bytes() == b"old"
    assert root.names() == ["t.json"]


def test_only_a_regular_file_of_a_sane_size_is_read(root: Directory) -> None:
    """A link, a pipe, a directory and a file over the limit are refused."""
    root.write("file", b"12345")
    (root.root / "link").symlink_to("file")
    (root.root / "dir").mkdir()
    os.mkfifo(root.root / "pipe")
    for name in ("link", "dir", "pipe"):
        with pytest.raises(InvalidPath):
            DurableFile(root, name).read(100)
    assert DurableFile(root, "file").read(5) == b"12345"
    with pytest.raises(InvalidPath, match="larger"):
        DurableFile(root, "file").read(4)


def test_a_link_in_the_place_of_the_file_is_an_edit(
    file: DurableFile, path: Path, root: Directory, breaks: Any
) -> None:
    """Swapped for a symbolic link at any call: the link stays, its target is untouched."""
    target = root.root / "target"
    target.write_text("precious")

    def swap() -> None:
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    for at in range(1, len(SAVE) + 1):
        with using(breaks.act({at: swap})), suppress(FileChanged):
            file.save(b"new")
        assert path.is_symlink()
        assert target.read_text() == "precious"
        path.unlink()
        file.create(b"old")


def test_without_durability_nothing_is_synced(root: Directory, breaks: Any) -> None:
    """With durable=False a save is a temporary, an exchange and an unlink."""
    file = DurableFile(root, "t.json", durable=False)

    def work() -> None:
        file.create(b"x")
        file.save(b"y")
        file.delete()

    assert "fsync" not in breaks.count(work)


def test_leftovers_of_an_earlier_process_are_in_nobodys_way(
    file: DurableFile, root: Directory, path: Path, breaks: Any
) -> None:
    """A temporary name that exists already (the same pid again) is left; the next is taken."""
    names: list[str] = []

    def note(number: int, name: str) -> None:
        names.extend(n for n in root.names() if n.startswith(".t.") and n not in names)

    effects = breaks.act({})
    effects.strike = note
    with using(effects):
        file.save(b"new")
    _, stem, pid, number, _ = names[0].split(".")
    ahead = [f".{stem}.{pid}.{int(number) + more}.tmp" for more in (1, 2)]
    for name in ahead:
        (root.root / name).write_bytes(b"left over")
    assert breaks.count(lambda: file.save(b"newer")) == ["open", "open", *SAVE]
    assert path.read_bytes() == b"newer"
    assert root.names() == [*ahead, "t.json"]
    assert [(root.root / name).read_bytes() for name in ahead] == [b"left over"] * 2


def test_what_a_failed_fsync_undoes_is_synced(
    file: DurableFile, path: Path, root: Directory, breaks: Any
) -> None:
    """Else a power cut could still bring back what its writer was told is not saved."""
    with using(breaks.fail(5, errno.EIO)) as effects, pytest.raises(OSError, match="Input/output"):
        file.save(b"new")
    assert isinstance(effects, Struck)
    assert effects.calls[3:] == ["exchange", "fsync", "exchange", "fsync", "unlink"]
    assert path.read_bytes() == b"old"
    made = DurableFile(root, "made.json")
    with using(breaks.fail(5, errno.EIO)) as effects, pytest.raises(OSError, match="Input/output"):
        made.create(b"new")
    assert isinstance(effects, Struck)
    assert effects.calls[3:] == ["rename_noreplace", "fsync", "unlink", "fsync"]
    assert made.status() is None


def test_a_file_of_whatever_time_is_saved(file: DurableFile, path: Path) -> None:
    """Before 1970, or after the year 2262: a wrong clock is no reason not to load it."""
    for seconds in (-3, 10_000_000_000):
        os.utime(path, ns=(seconds * 10**9 + 1, seconds * 10**9 + 1))
        status = file.status()
        assert status is not None
        if path.stat().st_mtime_ns == seconds * 10**9 + 1:  # not every file system has such times
            assert written_at(status) == pytest.approx(seconds, abs=1e-3)
        text = file.read(100)
        file.save(text)
