"""Another task does the same work in the middle of each effect of the first one."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from crashkit import Struck
from musictasks.errors import TargetExists
from musictasks.files import Directory, place, using
from musictasks.library import AlbumPath, ArtworkDirectory, ImageLimits, parse_album, to_jpeg
from PIL import Image

ALBUMS = (parse_album("Artist/2020 - One"), parse_album("Artist/2021 - Two"))


def at_every_effect(act: Callable[[], object], neighbour: Callable[[], object]) -> list[str]:
    """Runs `act` once for each of its effects, and `neighbour` wholly before that effect."""
    with using(counting := Struck()):
        act()
    for at in range(1, len(counting.calls) + 1):

        def strike(number: int, name: str, at: int = at) -> None:
            if number == at:
                with using(Struck()):
                    neighbour()

        with using(Struck(strike)):
            act()
    return counting.calls


def picture(colour: str) -> bytes:
    image = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(image, "PNG")
    image.seek(0)
    return to_jpeg(image, "picture", ImageLimits())


def test_two_artworks_at_once(tmp_path: Path):
    """Each album has its own picture, whole, and nothing is left over."""
    artwork = ArtworkDirectory(tmp_path, (8,))
    pictures = dict(zip(ALBUMS, (picture("red"), picture("blue")), strict=True))

    def make(album: AlbumPath) -> str:
        return artwork.make(album, pictures[album], "picture", ImageLimits())

    names = [make(album) for album in ALBUMS]
    wanted = {path: path.read_bytes() for path in tmp_path.rglob("*.jpg")}
    assert len(wanted) == 4

    def act() -> None:
        for path in wanted:
            path.unlink(missing_ok=True)
        make(ALBUMS[0])
        make(ALBUMS[1])
        assert {path: path.read_bytes() for path in wanted} == wanted

    assert len(at_every_effect(act, lambda: make(ALBUMS[1]))) > 20
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["8x8", *names])


@pytest.mark.parametrize("other", [b"others", b"of another size"])
def test_two_files_for_one_place(tmp_path: Path, other: bytes):
    """One of them gets it, whole; the other is told so, and nothing is left over."""
    music = Directory(tmp_path)
    target = tmp_path / "Artist/2020 - Album/booklet.pdf"
    won: list[str] = []

    def put(owner: str, data: bytes) -> bool:
        try:
            place(io.BytesIO(data), music, "Artist/2020 - Album/booklet.pdf", owner=owner)
        except TargetExists:
            return False
        won.append(owner)
        return True

    def act() -> None:
        target.unlink(missing_ok=True)
        won.clear()
        put("first", b"mine..")
        assert len(won) == 1
        assert target.read_bytes() == {"first": b"mine..", "second": other}[won[0]]
        assert [path.name for path in target.parent.iterdir()] == ["booklet.pdf"]

    assert len(at_every_effect(act, lambda: put("second", other))) >= 6
