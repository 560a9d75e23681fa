"""Songs of the kinds that `[tasks] audioformats` adds, the whole way, and not by default."""

from __future__ import annotations

import json
from hashlib import sha1
from pathlib import Path
from typing import Any

import mutagen
import mutagen.id3
import pytest
from archivekit import make_zip
from audiokit import WAYS, make_song, picture_comment
from clikit import Library
from musictasks.cli import main
from musictasks.intake.proposals import propose
from musictasks.library import ALL_FORMATS, Ledger, MusicDatabase, sample_album
from musictasks.music import Answer, Settings, open_library

MORE = ("ogg", "opus", "wav", "aiff")
KINDS = pytest.mark.parametrize("kind", MORE)
ALBUM = "Artist/2020 - Album"


def write_tags(path: Path, number: int) -> Path:
    song: Any = mutagen.File(path)
    image = (sample_album() / "cover.png").read_bytes()
    if path.suffix in {".ogg", ".opus"}:
        song.update(title=f"Song {number}", artist="Artist", album="Album", date="2020")
        song.update(tracknumber=f"{number}", metadata_block_picture=picture_comment(image))
    else:
        song.add_tags()
        texts = {"TIT2": f"Song {number}", "TPE1": "Artist", "TALB": "Album", "TDRC": "2020"}
        for name, text in (texts | {"TRCK": f"{number}"}).items():
            song.tags.add(mutagen.id3.Frames[name](encoding=3, text=text))
        song.tags.add(mutagen.id3.APIC(encoding=3, mime="image/jpeg", type=3, data=image))
    song.save()
    return path


def album(folder: Path, *kinds: str) -> Path:
    """An album of two songs of each kind, with tags and a picture."""
    for number, kind in enumerate([*kinds, *kinds], 1):
        write_tags(make_song(folder / f"{number}.{kind}", number), number)
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


def settings_file(library: Library, *kinds: str) -> Path:
    path = library.root / "musicdb.ini"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "[directories]\nmusic=music\ndata=data\n[albumcover]\nscales=16\n"
        f"[tasks]\naudioformats={', '.join(kinds)}\ndurability=none\n"
    )
    return path


def settings_of(library: Library, *kinds: str) -> Settings:
    return Settings.from_file(settings_file(library, *kinds))


@KINDS
def test_from_add_to_the_artwork(kind: str, library: Library, tmp_path: Path, capsys):
    """At its place, in the database with its length, with artwork; and then it is there."""
    config = settings_file(library, "flac", kind)
    folder = album(tmp_path / "album", kind)
    assert main(["add", str(folder), "--config", str(config)]) == 0
    paths = [f"{ALBUM}/{number:02} Song {number}.{kind}" for number in (1, 2)]
    assert sorted(library.music) == paths
    database = MusicDatabase(library.root / "data" / "music.db")
    songs = database.songs()
    assert [(row["path"], row["name"], row["number"], row["playtime"]) for row in songs] == [
        (path, f"Song {number}", number, 1) for number, path in enumerate(paths, 1)
    ]
    assert all(row["bitrate"] > 8000 for row in songs)
    assert database.albums()[0]["artworkpath"] == "Artist - Album.jpg"
    assert not library.leftovers
    before = library.content
    capsys.readouterr()
    assert main(["add", str(folder), "--config", str(config)]) == 0
    assert "0 files added, 2 there already." in capsys.readouterr().out
    assert library.content == before


def test_an_archive_of_all_kinds(library: Library, tmp_path: Path):
    """Unpacked, named by their tags, imported; the bytes of the archive and of a song are known."""
    settings = settings_of(library, "flac", "mp3", "m4a", "aac", *MORE)
    folder = album(tmp_path / "album", *MORE)
    archive = tmp_path / "album.zip"
    archive.write_bytes(make_zip({f"Album/{p.name}": p.read_bytes() for p in folder.iterdir()}))
    config = str(library.root / "musicdb.ini")
    assert main(["add", str(archive), "--config", config, "--dry-run"]) == 0
    assert main(["add", str(archive), "--config", config]) == 0
    assert len(library.music) == 8
    assert len(MusicDatabase(settings.database).songs()) == 8
    with open_library(settings) as engine:
        for path, kind in ((archive, "album"), (folder / "3.wav", "albumfile")):
            data = path.read_bytes()
            checksum = sha1(data).hexdigest()
            found = engine.preflight(content_type=kind, checksum=checksum, file_size=len(data))
            assert found.answer is Answer.THERE


@KINDS
def test_moved_and_retagged(kind: str, library: Library, tmp_path: Path, capsys):
    """What `verify` knows and the scan finds again, whatever the tags are by then."""
    config = str(settings_file(library, kind))
    assert main(["add", str(album(tmp_path / "album", kind)), "--config", config]) == 0
    assert main(["verify", "--config", config]) == 0
    old, new = library.root / "music" / ALBUM, library.root / "music" / "Artist" / "2021 - New"
    old.rename(new)
    for song in new.iterdir():
        WAYS[kind][0](song)
    capsys.readouterr()
    assert main(["scan", "--config", config, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [pair["changed"] for pair in found["movedpaths"]] == [True, True]
    assert main(["import", "--new", "--config", config]) == 0
    rows = MusicDatabase(library.root / "data" / "music.db").songs("Artist/2021 - New")
    assert len(rows) == 2
    audio = Ledger(library.root / "data" / "ledger.db").audio(row["checksum"] for row in rows)
    assert len(set(audio.values())) == 2


@KINDS
def test_proposals_and_artwork_of_one_song(kind: str, library: Library, tmp_path: Path):
    """An upload by itself: its annotations, where it would go, and its picture as artwork."""
    song = write_tags(make_song(tmp_path / f"x.{kind}", 1), 1).read_bytes()
    target = f"{ALBUM}/01 Song 1.{kind}"
    with open_library(settings_of(library, kind)) as engine:
        task = engine.begin_upload(
            content_type="albumfile", file_size=len(song), source_filename=f"x.{kind}"
        )
        engine.receive_chunk(task.id, song)
        task = engine.wait(task.id, "readyforintegration", 30)
        assert task.annotations["song"] == "Song 1"
        assert propose(engine.settings, task).target == target
        engine.integrate(task.id, target, then_import=True)
        engine.wait(task.id, "importcomplete", 30)
        made = engine.import_artwork(source=target, target=ALBUM)
        engine.wait(made.id, "importcomplete", 30)
    assert library.artwork


# -- by default -------------------------------------------------------------------------------


@KINDS
def test_refused_by_default(kind: str, library: Library, tmp_path: Path, capsys):
    """In a folder, before a byte is sent, and in an archive; the setting is named."""
    told = f"[tasks] audioformats can name {kind}, too"
    folder = album(tmp_path / "album", kind)
    assert main(["add", str(folder), "--library", str(library.root)]) == 1
    assert told in "".join(capsys.readouterr())
    archive = tmp_path / "album.zip"
    archive.write_bytes(make_zip({path.name: path.read_bytes() for path in folder.iterdir()}))
    assert main(["add", str(archive), "--library", str(library.root)]) == 1
    assert told in "".join(capsys.readouterr())
    assert library.music == {}


@KINDS
def test_a_scan_says_why_an_album_is_no_album(kind: str, library: Library, tmp_path: Path, capsys):
    album(library.root / "music" / ALBUM, kind)
    assert main(["scan", "--library", str(library.root)]) == 0
    assert "there is no song in it; this kind of audio is unknown" in capsys.readouterr().out


def test_a_setting_that_was_taken_back(library: Library, tmp_path: Path, capsys):
    """Songs that are in the database stay there: they are not lost, as their files are not."""
    config = str(settings_file(library, "ogg"))
    assert main(["add", str(album(tmp_path / "album", "ogg")), "--config", config]) == 0
    settings_file(library, "flac")
    capsys.readouterr()
    assert main(["scan", "--config", config, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["lostpaths"] == {"artists": [], "albums": [], "songs": [], "videos": []}
    assert main(["verify", "--config", config]) == 0


def test_an_unknown_name_in_the_setting(library: Library, capsys):
    config = settings_file(library, "flac", "vorbis")
    assert main(["scan", "--config", str(config)]) == 1
    told = capsys.readouterr().err
    assert "[tasks] audioformats" in told
    assert "vorbis" in told
    assert "flac, mp3, m4a, aac, ogg, opus, wav, aiff" in told
    assert ALL_FORMATS.names == {"flac", "mp3", "m4a", "aac", *MORE}
