"""`musictasks add` of a folder of downloads, where everything lies beside everything."""

from __future__ import annotations

from pathlib import Path

import pytest
from archivekit import album_files, make_zip
from audiokit import make_song
from clikit import ARTIST, BOOKLET, FLAC, M4A, MP3, Library, copy_album, retag, settings_file
from musictasks.cli import main
from videokit import make_video

#: As it is there already.
SPELLED = ARTIST.upper()


def written(path: Path, data: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def make_downloads(downloads: Path, aside: Path) -> None:
    other = copy_album(aside, FLAC, MP3)
    for name in (FLAC, MP3):
        retag(other / name, album="Second", date="2021")
    written(downloads / "One.zip", make_zip(album_files("")))
    written(downloads / "Two.zip", make_zip({p.name: p.read_bytes() for p in other.iterdir()}))
    written(downloads / "Three.zip", b"PK\3\4 cut off")
    written(downloads / "Four.rar", b"Rar!")
    for number, name in enumerate((FLAC, MP3, M4A)):
        retag(copy_album(downloads, name) / name, album=f"Single {number}", date="2018")
        mixed = copy_album(downloads / "Mix", name) / name
        retag(mixed, artist=f"Artist {number}", albumartist=None, album="Mix")
    written(downloads / "Band - 2020 - Clip.mp4", make_video())
    for kind in ("ogg", "opus", "wav", "aiff"):
        make_song(downloads / "Formats" / f"01 Song.{kind}", 1)
    written(downloads / "Formats" / "02 Song.wma", b"no song here")
    written(downloads / "Broken" / "01 Song.mp3", b"no song")
    written(downloads / "Broken" / "02 Song.flac")
    copy_album(downloads / "Scans", BOOKLET)
    retag(copy_album(downloads / "Untagged", MP3) / MP3, title=None)
    written(downloads / ".hidden", b"x")
    (downloads / "link.mp3").symlink_to(downloads / MP3)


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    make_downloads(tmp_path / "Downloads", tmp_path / "aside")
    return tmp_path / "Downloads"


def test_downloads(downloads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """All that can be taken is, as if it was named by itself; all else has its reason and remedy.

    What the remedies say is done, and then the rest is there, too.
    """
    library = Library(tmp_path / "library")
    (library.root / "music" / SPELLED / "1999 - Early").mkdir(parents=True)
    assert main(["add", str(downloads), "--library", str(library.root)]) == 1
    told = "".join(capsys.readouterr())
    assert sorted({path.rpartition("/")[0] for path in library.music}) == [
        "Band",
        f"{SPELLED}/2018 - Single 0",
        f"{SPELLED}/2018 - Single 1",
        f"{SPELLED}/2018 - Single 2",
        f"{SPELLED}/2020 - Über den Wäldern",
        f"{SPELLED}/2021 - Second",
    ]
    assert f"{ARTIST}: goes to {SPELLED}, who is there" in told
    for reason in (
        'if it is one album, give --artist "Various Artists"',
        "its tags have no title: write the tags",
        "beside it are songs of several albums: give --artist, --album and --year",
        "rar archives are not supported: make it a zip or a tar",
        "it is no archive, or a broken one",
        "the file is empty",
        "[tasks] audioformats can name ogg, too",
        "aac: convert it",
        "link.mp3: a link; left out",
    ):
        assert told.count(reason) == 1, reason
    assert "6 files added, 0 there already, 1 failed, 13 refused." in told
    config = settings_file(library, "audioformats = flac, mp3, m4a, aac, ogg, opus, wav, aiff")
    remedies = [
        (downloads / "Mix", "--artist", "Various Artists"),
        (downloads / "Scans", "--artist", SPELLED, "--album", "Second", "--year", "2021"),
        (downloads / "Broken" / "03 Song.flac",),
    ]
    written(downloads / "Broken" / "03 Song.flac", (downloads / FLAC).read_bytes())
    for remedy in remedies:
        assert main(["add", *map(str, remedy), "--config", str(config)]) == 0
    capsys.readouterr()
    assert main(["add", str(downloads / "Formats"), "--config", str(config)]) == 1
    told = "".join(capsys.readouterr())
    # They are songs by now, and told what songs are told.
    assert told.count("its tags have no artist, no album, no year") == 4
    assert len([path for path in library.music if path.startswith("Various Artists/")]) == 3
    assert f"{SPELLED}/2021 - Second/{BOOKLET}" in library.music
