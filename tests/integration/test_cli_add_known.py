"""`musictasks add` of what the library has already, under whatever name: it is not sent again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from archivekit import make_tar
from clikit import (
    ALBUM,
    ARTIST,
    BOOKLET,
    COVER,
    FLAC,
    M4A,
    MP3,
    TARGETS,
    Library,
    copy_album,
    retag,
    settings_file,
)
from musictasks.cli import main
from musictasks.library import sample_album

RENAMED = f"{ARTIST}/2020 - Deluxe"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    library = Library(root / "library")
    assert add(library, sample_album()) == 0
    return library.root


@pytest.fixture
def library(template: Path, tmp_path: Path) -> Library:
    return Library(Path(shutil.copytree(template, tmp_path / "library")))


def add(library: Library, *arguments: object) -> int:
    return main(["add", *map(str, arguments), "--config", str(settings_file(library))])


def rename(library: Library) -> None:
    """The person calls the album by another name, and its files; then all is verified."""
    music = library.root / "music"
    (music / ALBUM).rename(music / RENAMED)
    (music / RENAMED / "booklet.pdf").rename(music / RENAMED / "notes.pdf")
    assert main(["verify", "--library", str(library.root)]) == 0


def test_an_album_that_has_another_name_by_now(library: Library, tmp_path: Path, capsys):
    """Its songs are known by their bytes, and what lies beside them with them."""
    rename(library)
    before = library.music
    for name in (BOOKLET, COVER):
        shutil.copyfile(sample_album() / name, tmp_path / name)
    assert add(library, copy_album(tmp_path / "album")) == 0
    assert "0 files added, 5 there already." in capsys.readouterr().out
    assert library.music == before


def test_a_dry_run_says_where(library: Library, tmp_path: Path, capsys):
    rename(library)
    assert add(library, copy_album(tmp_path / "album"), "--dry-run") == 0
    output = capsys.readouterr().out
    assert f"= {RENAMED}/notes.pdf" in output
    assert "0 files would be added" in output


def test_what_was_given_counts_more(library: Library, tmp_path: Path):
    """Who says where a file goes gets it there, too."""
    assert add(library, copy_album(tmp_path / "album", MP3), "--year", "2021") == 0
    assert len(library.music) == 6


def test_a_cover_of_another_album_is_added(library: Library, tmp_path: Path):
    """The same image lies in many albums: it is there only where songs of its album are."""
    album = copy_album(tmp_path / "album", MP3, COVER)
    retag(album / MP3, album="Another")
    assert add(library, album) == 0
    assert f"{ARTIST}/2020 - Another/{COVER}" in library.music
    assert len(library.music) == 7


def test_a_file_whose_place_is_taken_by_another_that_moved(library: Library, tmp_path: Path):
    """Two songs changed their names in the library: each is found, none is refused."""
    music = library.root / "music"
    flac = music / TARGETS[FLAC]
    flac.rename(music / ALBUM / "07 Last.flac")
    assert main(["verify", "--library", str(library.root)]) == 0
    retag(Path(shutil.copyfile(music / ALBUM / "07 Last.flac", flac)), title="Another")
    assert add(library, copy_album(tmp_path / "album", FLAC)) == 0
    assert f"{ALBUM}/01 Morgenröte.flac" in library.music
    assert len(library.music) == 6


def archive(tmp_path: Path) -> Path:
    path = tmp_path / "album.tar"
    names = (FLAC, M4A, BOOKLET)
    path.write_bytes(
        make_tar({f"A/{name}": (sample_album() / name).read_bytes() for name in names})
    )
    return path


def test_an_archive_that_is_there_is_not_sent_again(tmp_path: Path, capsys):
    """No task is made for it; nor for a song of it that comes by itself."""
    library, packed = Library(tmp_path / "library"), archive(tmp_path)
    assert add(library, packed) == 0
    before = library.content
    config = settings_file(library, "", "[uploads]", "allow =")  # nothing can be sent
    for path in (packed, copy_album(tmp_path / "album", M4A)):
        assert main(["add", str(path), "--config", str(config)]) == 0
        assert "0 files added, 1 there already." in capsys.readouterr().out
    assert library.content == before


def test_an_archive_of_an_album_that_was_renamed(tmp_path: Path, capsys):
    """It is there, under its present name; with another album named, it is sent."""
    library, packed = Library(tmp_path / "library"), archive(tmp_path)
    assert add(library, packed) == 0
    (library.root / "music" / ALBUM).rename(library.root / "music" / RENAMED)
    assert main(["verify", "--library", str(library.root)]) == 0
    capsys.readouterr()
    assert add(library, packed) == 0
    assert "0 files added, 1 there already." in capsys.readouterr().out
    assert add(library, packed, "--dry-run") == 0
    assert f"= {RENAMED}/" in capsys.readouterr().out
    assert add(library, packed, "--album", "Other") == 0
    assert len(library.music) == 6
