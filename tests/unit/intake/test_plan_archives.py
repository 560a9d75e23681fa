"""What `add` would do with albums in archives."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from archivekit import album_files, encrypted, make_tar, make_zip
from clikit import ALBUM, BOOKLET, FLAC, MP3, TARGETS, copy_album, retag
from musictasks.intake.archives import is_archive
from musictasks.intake.overrides import Overrides
from musictasks.intake.plans import Plan
from musictasks.music import Settings
from plankit import make_plan

ZIP = make_zip(album_files())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.in_directory(tmp_path / "library")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return written(tmp_path / "Album.zip", ZIP)


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def look(*paths: Path, settings: Settings, **given: str | int) -> Plan:
    overrides = Overrides(**given)  # pyright: ignore[reportArgumentType]
    return make_plan(paths, settings, overrides, look_inside=True)


def reasons(plan: Plan) -> dict[str, str]:
    return {refusal.source.name: refusal.reason for refusal in plan.refusals}


def other_tags(folder: Path, **tags: str | None) -> dict[str, bytes]:
    """The sample album's files, of which one song has other tags."""
    song = retag(copy_album(folder, FLAC) / FLAC, **tags)
    return {**album_files(), f"Album/{FLAC}": song.read_bytes()}


@pytest.mark.parametrize("name", ["a.zip", "a.ZIP", "a.tar", "a.tar.gz", "a.tgz", "a.b.tar.xz"])
def test_names_of_archives(name: str) -> None:
    """What the engine unpacks, by its extension in any case."""
    assert is_archive(name)


@pytest.mark.parametrize("name", ["zip", ".zip", "a.gz", "a.rar", "a.zip.flac", "a.tar.7z"])
def test_names_of_others(name: str) -> None:
    """An extension alone, or of something else, is none."""
    assert not is_archive(name)


def test_a_look_inside(settings: Settings, archive: Path, tmp_path: Path) -> None:
    """A dry run tells the path of each file, as the engine will name it; nothing is changed."""
    before = sorted(tmp_path.rglob("*"))
    (planned,) = look(archive, settings=settings).archives
    assert planned.album is not None
    assert planned.album.path == ALBUM
    assert {file.inside: file.target for file in planned.files} == {
        f"Album/{name}": target for name, target in TARGETS.items()
    }
    assert planned.is_new
    assert sorted(tmp_path.rglob("*")) == before


def test_no_look_inside(settings: Settings, tmp_path: Path) -> None:
    """Else it is the engine that unpacks: no byte of it is read but for its checksum."""
    archive = written(tmp_path / "Album.zip", b"no archive")
    (planned,) = make_plan([archive], settings).archives
    assert (planned.album, planned.files) == (None, ())


def test_what_is_given_counts_more(settings: Settings, archive: Path) -> None:
    """Each alone; what is not given the songs say."""
    (planned,) = look(archive, settings=settings, artist="AC/DC", year=1975).archives
    assert planned.album is not None
    assert planned.album.path == "AC∕DC/1975 - Über den Wäldern"


def test_songs_that_do_not_agree(settings: Settings, tmp_path: Path) -> None:
    """What to give is said; given, it is enough."""
    data = other_tags(tmp_path / "song", artist="Guest", albumartist=None, date="1999")
    archive = written(tmp_path / "a.zip", make_zip(data))
    assert reasons(look(archive, settings=settings)) == {
        "a.zip": "its songs have no artist, no year in common: give --artist --year"
    }
    assert look(archive, settings=settings, artist="A", year=1999).archives


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (make_zip({"a.txt": b"text"}), "there is no song in it"),
        (encrypted(ZIP), "is encrypted"),
        (make_zip({"A/01 A.mp3": b"no music" * 9}), "A/01 A.mp3 in it: "),
        (make_tar({"../01 A.mp3": b"x"}), "leads out of the archive"),
        (b"no archive at all", "it is no archive"),
    ],
)
def test_what_the_engine_refuses(
    settings: Settings, tmp_path: Path, data: bytes, reason: str
) -> None:
    """The dry run says it, and why."""
    archive = written(tmp_path / "a.zip", data)
    assert reason in reasons(look(archive, settings=settings))["a.zip"]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"archive_size_bytes": 10_000}, "more than 10000 bytes"),
        ({"archive_files": 4}, "more than 4 files"),
        ({"max_upload_size_bytes": 9}, "[tasks] maxuploadsize"),
        ({"allow": ("albumfile",)}, "[uploads] allow does not name album"),
    ],
)
def test_what_the_settings_refuse(
    archive: Path, tmp_path: Path, limits: dict[str, object], reason: str
) -> None:
    """As for everything else."""
    settings = Settings.in_directory(tmp_path / "library", **limits)
    assert reason in reasons(look(archive, settings=settings))["Album.zip"]


def test_ignored_names(settings: Settings, archive: Path, tmp_path: Path) -> None:
    """Ignored files inside are left out; an album that is ignored is refused in every run."""
    data = {**album_files(), "Album/Thumbs.db": b"x", "__MACOSX/._a": b"x"}
    more = written(tmp_path / "more.zip", make_zip(data))
    (planned,) = look(more, settings=settings).archives
    assert len(planned.files) == len(TARGETS)
    given = Overrides("lost+found", "B", 2000)
    for inside in (True, False):
        plan = make_plan([archive], settings, given, look_inside=inside)
        assert "lost+found/2000 - B: the ignore lists" in reasons(plan)["Album.zip"]


def test_in_a_folder(settings: Settings, tmp_path: Path) -> None:
    """It is no booklet but an album of its own, as if it had been named by itself."""
    album = copy_album(tmp_path / "album")
    written(album / "Album.zip", ZIP)
    written(album / "scans.RAR", b"Rar!")
    plan = make_plan([album], settings)
    assert reasons(plan) == {
        "scans.RAR": "rar archives are not supported: make it a zip or a tar",
    }
    assert {file.target for file in plan.files} == set(TARGETS.values())
    assert [one.source.name for one in plan.archives] == ["Album.zip"]
    rar = Overrides("A", "B", 2000)
    assert set(reasons(make_plan([album / "scans.RAR"], settings, rar))) == {"scans.RAR"}


def test_one_album_twice(settings: Settings, archive: Path, tmp_path: Path) -> None:
    """An archive is a whole album: nothing else of the run may go there, but for its copy."""
    copy = written(tmp_path / "copy.zip", ZIP)
    tar = written(tmp_path / "other.tar", make_tar(album_files()))
    plan = look(copy, archive, tar, settings=settings)
    assert [(one.source, one.copy_of) for one in plan.archives] == [
        (archive, None),
        (copy, archive),
    ]
    assert "another archive goes to the same album" in reasons(plan)["other.tar"]
    plan = look(archive, copy_album(tmp_path / "album", BOOKLET, MP3), settings=settings)
    assert "other files go to the same album" in reasons(plan)["Album.zip"]


def test_an_album_that_is_there(settings: Settings, archive: Path) -> None:
    """With the same files it counts as there; with any other it is refused, and named."""
    album = settings.music / ALBUM
    for name, target in TARGETS.items():
        written(settings.music / target, album_files()[f"Album/{name}"])
    written(album / ".hidden", b"x")
    assert [one.there for one in look(archive, settings=settings).archives] == [True]

    def refused() -> str:
        return reasons(look(archive, settings=settings))["Album.zip"]

    there = f"the album is there with other files, and is never overwritten: {ALBUM}"
    extra = written(album / "more.txt", b"x")
    assert refused() == there
    extra.unlink()
    (settings.music / TARGETS[BOOKLET]).write_bytes(b"other")
    assert refused() == there
    shutil.rmtree(album)
    written(album, b"a file")
    assert refused() == f"what is no album has its place: {ALBUM}"
    album.unlink()
    album.symlink_to(settings.music / "nowhere")
    assert refused() == f"what is no album has its place: {ALBUM}"
    album.unlink()
    almost = album.with_name(album.name.upper())
    almost.mkdir()
    assert refused() == f"an album of almost this name is there: {almost.parent.name}/{almost.name}"
