"""A directory that is away, or back; real mounts are in the test of the command."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve
from musictasks.intake.inbox_place import Place


def test_a_mount_point_without_its_mount_is_not_the_directory(tmp_path: Path) -> None:
    """It is known still which one was there; where nothing was mounted, another one is taken."""
    place = Place(tmp_path / "inbox")
    place.path.mkdir()
    assert place.missing() is None
    assert place.known is not None
    assert not place.known.is_mounted
    place.known = mounted = evolve(place.known, is_mounted=True)
    assert place.missing() == "it is not mounted"
    assert not place.is_same()
    assert place.known == mounted


def test_what_is_gone_and_what_is_no_directory_is_waited_for(tmp_path: Path) -> None:
    place = Place(tmp_path / "inbox")
    assert place.missing() == "it is not there"
    assert not place.is_same()
    place.path.touch()
    assert place.missing() == "it is no directory"
    place.path.unlink()
    place.path.mkdir()
    assert place.missing() is None
    assert place.is_same()
    place.path.rename(tmp_path / "away")
    assert not place.is_same()
    place.path.mkdir()
    assert not place.is_same()
    assert place.missing() is None
    assert place.is_same()


def test_a_mount_is_known_as_one() -> None:
    place = Place(Path("/proc"))
    assert place.missing() is None
    assert place.known is not None
    assert place.known.is_mounted
