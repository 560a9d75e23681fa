"""`musictasks verify` on a library that `musictasks add` made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from clikit import ALBUM, COVER, MP3, TARGETS, Library, copy_album
from musictasks.cli import main
from musictasks.library import Ledger
from verifykit import edit, rot


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    assert main(["add", str(copy_album(root / "album")), "--library", str(root / "library")]) == 0
    return root / "library"


@pytest.fixture
def library(template: Path, tmp_path: Path) -> Library:
    """Copied with all times, as a backup program does."""

    return Library(Path(shutil.copytree(template, tmp_path / "library")))


def verify(library: Library, *arguments: str) -> int:
    return main(["verify", *arguments, "--library", str(library.root)])


def test_what_was_added_is_the_same(library: Library, capsys: pytest.CaptureFixture[str]):
    """Each file is known by its SHA-1 and its task; nothing had to be read before."""
    assert verify(library) == 0
    assert "5 files verified: 5 same." in capsys.readouterr().out
    entries = Ledger(library.settings.ledger).entries()
    assert set(entries) == set(TARGETS.values())
    assert all(entry.task for entry in entries.values())


def test_damage_is_told_with_what_to_do(library: Library, capsys: pytest.CaptureFixture[str]):
    """Exit status 1; what a person did is accepted, and then all is well."""
    music = library.root / "music"
    edit(music / TARGETS[MP3])
    rot(music / TARGETS[COVER])
    assert verify(library) == 1
    output = capsys.readouterr().out
    assert f"~ {TARGETS[MP3]}  changed" in output
    assert f"! {TARGETS[COVER]}  rot; other bytes" in output
    assert "--accept PATH" in output
    assert "backup" in output
    assert verify(library, "--accept", str(music / TARGETS[MP3])) == 0
    assert verify(library, "--accept", TARGETS[COVER]) == 0
    assert verify(library) == 0


def test_json(library: Library, capsys: pytest.CaptureFixture[str]):
    (library.root / "music" / TARGETS[MP3]).unlink()
    assert verify(library, ALBUM, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["total"], found["complete"]) == (5, True)
    assert found["counts"] == {"same": 4, "lost": 1}
    (file,) = found["files"]
    assert (file["path"], file["verdict"]) == (TARGETS[MP3], "lost")
    assert file["task"]


def test_a_budget_of_nothing_reads_nothing(library: Library, capsys: pytest.CaptureFixture[str]):
    """The next run goes on; a run that found nothing wrong so far is no failure."""
    assert verify(library, "--budget", "0s") == 0
    assert "5 to go: the same command goes on" in capsys.readouterr().out
    assert verify(library, "--budget", "1h30m") == 0
    assert "5 same" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["--accept"], ["--anew", ALBUM], ["--budget", "soon"], ["--budget", ""]],
)
def test_wrong_usage(library: Library, arguments: list[str]):
    try:
        status = verify(library, *arguments)
    except SystemExit as error:
        status = error.code
    assert status == 2


def test_begun_anew(library: Library, capsys: pytest.CaptureFixture[str]):
    """Also where the ledger is damaged, which is said, and where it is missing."""
    library.settings.ledger.write_bytes(b"\0" * 5000)
    assert verify(library) == 1
    assert "--anew" in capsys.readouterr().err
    assert verify(library, "--anew") == 0
    assert "5 unknown (of them)" in capsys.readouterr().out
    library.settings.ledger.unlink()
    assert verify(library) == 0
    assert verify(library) == 0
    assert "5 same. " in capsys.readouterr().out


def test_no_library_is_made(tmp_path: Path):
    assert main(["verify", "--library", str(tmp_path / "nothing")]) == 1
    assert not (tmp_path / "nothing").exists()


def test_a_damaged_ledger_stops_no_upload(library: Library, tmp_path: Path, capsys):
    """What is added is at its place and in the database; the log says what the ledger lacks."""
    library.settings.ledger.write_bytes(b"\xa5" * 8192)
    album = copy_album(tmp_path / "album")
    status = main(["add", str(album), "--year", "2021", "--library", str(library.root)])
    assert status == 0
    assert "ledger" in capsys.readouterr().err
    assert len(library.music) == 10
    assert library.leftovers == []
