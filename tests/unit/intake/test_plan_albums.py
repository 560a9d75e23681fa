"""What `add` would do with files and folders: every path, and every refusal with its reason."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import mutagen
import mutagen.id3
import pytest
from clikit import ALBUM, ARTIST, BOOKLET, COVER, FLAC, M4A, MP3, TARGETS, copy_album, retag
from musictasks.intake import Spelling
from musictasks.intake.overrides import Overrides
from musictasks.intake.plans import Plan
from musictasks.intake.songs import listed
from musictasks.music import Settings
from plankit import make_plan


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.in_directory(tmp_path / "library")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return copy_album(tmp_path / "album")


def targets(plan: Plan) -> dict[str, str]:
    return {file.source.name: file.target for file in plan.files}


def refused(plan: Plan) -> set[str]:
    """The names of the files that are refused."""
    return {file.name for one in plan.refusals for file in (one.files or (one.source,))}


def reasons(plan: Plan) -> dict[str, str]:
    return {refusal.source.name: refusal.reason for refusal in plan.refusals}


def test_album(settings, album):
    """A folder becomes an album: songs named by their tags, the other files beside them."""
    plan = make_plan([album], settings)
    assert targets(plan) == TARGETS
    assert not plan.refusals
    assert not plan.left_out
    assert [one.path.path for one in plan.albums] == [ALBUM]
    assert not any(file.there for file in plan.files)


def test_planning_changes_nothing(settings, album, tmp_path):
    """A plan makes no directory and touches no file."""
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    make_plan([album], settings)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_same_plan_each_time(settings, album, tmp_path):
    """A plan depends on the files only, not on the order in which they are named."""
    one = make_plan([album], settings)
    other = make_plan([*sorted(album.iterdir(), reverse=True), album], settings)
    assert other.albums == one.albums


def test_overrides_count_more_than_tags(settings, album):
    """Artist, album and year of the command line replace those of all tags."""
    plan = make_plan([album], settings, Overrides("AC/DC", "T.N.T.", 1975))
    assert [one.path.path for one in plan.albums] == ["AC∕DC/1975 - T.N.T."]
    assert targets(plan)[FLAC] == "AC∕DC/1975 - T.N.T./01 Morgenröte.flac"


def test_artist_of_the_whole_album(settings, album):
    """The songs of guests stay with the album where a tag names the album's artist."""
    retag(album / FLAC, artist="A guest")
    assert targets(make_plan([album], settings)) == TARGETS


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (["tracknumber"], "its tags have no track number: write the tags"),
        (["title"], "its tags have no title: write the tags"),
        (["album"], "its tags have no album: give --album"),
        (["artist", "albumartist"], "its tags have no artist: give --artist"),
        (["date"], "its tags have no year: give --year"),
        (
            ["date", "album", "title"],
            "its tags have no album, no year, no title: give --album --year and write the tags",
        ),
    ],
)
def test_song_that_says_too_little(settings, album, missing, reason):
    """A song without a tag that its path needs is refused, and the reason says what to do."""
    retag(album / FLAC, **dict.fromkeys(missing))
    plan = make_plan([album], settings)
    assert reasons(plan) == {FLAC: reason}
    assert targets(plan) == {name: TARGETS[name] for name in TARGETS if name != FLAC}


def test_missing_tags_can_be_given(settings, album):
    """What the tags lack may come from the command line."""
    retag(album / FLAC, date=None)
    plan = make_plan([album], settings, Overrides(year=2020))
    assert targets(plan) == TARGETS


@pytest.mark.parametrize("content", [b"no music", b"fLaC" + bytes(100)])
def test_song_that_is_none(settings, album, content):
    """A file with a song's name and other content is refused."""
    (album / FLAC).write_bytes(content)
    plan = make_plan([album], settings)
    assert list(reasons(plan)) == [FLAC]


def test_several_years_in_a_folder(settings, album):
    """Songs of one album and folder with different years are one album badly tagged."""
    retag(album / FLAC, date="2019")
    plan = make_plan([album], settings)
    assert reasons(plan)[album.name] == (
        "the songs of 'Über den Wäldern' in this folder have several years ('2019' and '2020'): "
        "give --year"
    )
    assert refused(plan) == set(TARGETS)
    assert targets(make_plan([album], settings, Overrides(year=2020))) == TARGETS


def test_several_artists_without_an_albums_artist(settings, album):
    """A compilation whose tags name no artist for the whole does not fall apart in silence."""
    for number, name in enumerate((FLAC, MP3, M4A)):
        retag(album / name, artist=f"Artist {number}", albumartist=None)
    plan = make_plan([album], settings)
    assert reasons(plan)[album.name].endswith(
        "have several artists ('Artist 0', 'Artist 1' and 'Artist 2'): "
        'if it is one album, give --artist "Various Artists"'
    )
    assert refused(plan) == set(TARGETS)
    assert sum(refusal.number for refusal in plan.refusals) == len(TARGETS)
    assert targets(make_plan([album], settings, Overrides(artist=ARTIST))) == TARGETS


@pytest.mark.parametrize("said", [FLAC, MP3, M4A])
def test_compilation(settings, album, said):
    """Each kind of tag has a word for it; the songs of such an album have one artist."""
    for number, name in enumerate((FLAC, MP3, M4A)):
        retag(album / name, artist=f"Artist {number}", albumartist=None)
    for name in {FLAC, MP3, M4A} - {said}:
        (album / name).unlink()
    mark_compilation(album / said)
    copy_album(album.parent / "other", FLAC)
    (made,) = (one for one in make_plan([album], settings).albums)
    assert made.path.artist == "Various Artists"


def mark_compilation(path):
    song: Any = mutagen.File(path)  # pyright: ignore[reportPrivateImportUsage]
    if path.suffix == ".mp3":
        song.tags.add(mutagen.id3.TCMP(text="1"))
    elif path.suffix == ".m4a":
        song["cpil"] = True
    else:
        song["compilation"] = "1"
    song.save()


@pytest.mark.parametrize("there", ["søren größenwald", unicodedata.normalize("NFD", ARTIST)])
def test_artist_that_is_there_in_another_spelling(settings, album, there):
    """The one that is there is taken, and said; what a person gives counts more."""
    (settings.music / there / "1999 - Early").mkdir(parents=True)
    plan = make_plan([album], settings)
    assert {file.target.partition("/")[0] for file in plan.files} == {there}
    assert plan.spellings == (Spelling(ARTIST, there),)
    given = make_plan([album], settings, Overrides(artist=ARTIST))
    assert targets(given) == TARGETS
    assert given.spellings == ()


def test_the_very_artist_counts_more_than_other_spellings(settings, album):
    for name in (ARTIST.upper(), ARTIST, ARTIST.lower()):
        (settings.music / name).mkdir(parents=True)
    plan = make_plan([album], settings)
    assert targets(plan) == TARGETS
    assert plan.spellings == ()


def test_two_spellings_in_what_is_added(settings, album):
    """The first one counts, else the album would fall apart, or in two directories."""
    retag(album / M4A, artist=ARTIST.upper(), albumartist=ARTIST.upper())
    plan = make_plan([album], settings)
    assert len(plan.albums) == 1
    assert len(plan.spellings) == 1
    assert not plan.refusals


def test_albums_of_one_name_in_one_folder(settings, album):
    """Two artists' albums of one name are two albums, if the tags name the albums' artists."""
    retag(album / FLAC, albumartist="Another")
    plan = make_plan([album / FLAC, album / MP3], settings)
    assert [one.path.artist for one in plan.albums] == ["Another", ARTIST]


@pytest.mark.parametrize("tags", [{"discnumber": "2"}, {"discnumber": "1/2"}])
def test_many_discs(settings, album, tags):
    """As soon as one song tells of a second disc, the names of all hold the disc."""
    retag(album / MP3, **tags)
    plan = make_plan([album], settings)
    disc = tags["discnumber"][0]
    assert targets(plan)[MP3] == f"{ALBUM}/{disc}-02 Ebbe∕Flut.mp3"
    assert targets(plan)[FLAC] == f"{ALBUM}/1-01 Morgenröte.flac"


def test_discs_in_folders_of_their_own(settings, tmp_path):
    """The folders of an album's discs are one album; a cover above them belongs to it."""
    copy_album(tmp_path / "box" / "CD1", FLAC)
    retag(copy_album(tmp_path / "box" / "CD2", MP3) / MP3, discnumber="2", tracknumber="1")
    copy_album(tmp_path / "box", COVER)
    copy_album(tmp_path / "box" / "CD2" / "Scans", BOOKLET)
    plan = make_plan([tmp_path / "box"], settings)
    assert targets(plan) == {
        FLAC: f"{ALBUM}/1-01 Morgenröte.flac",
        MP3: f"{ALBUM}/2-01 Ebbe∕Flut.mp3",
        COVER: f"{ALBUM}/cover.png",
        BOOKLET: f"{ALBUM}/booklet.pdf",
    }


def test_cover_between_albums(settings, tmp_path):
    """A file that could belong to several albums is refused, unless all three names are given."""
    retag(copy_album(tmp_path / "all" / "one", FLAC) / FLAC, album="One")
    retag(copy_album(tmp_path / "all" / "two", MP3) / MP3, album="Two")
    copy_album(tmp_path / "all", COVER)
    plan = make_plan([tmp_path / "all"], settings)
    assert reasons(plan) == {
        COVER: "beside it are songs of several albums: give --artist, --album and --year"
    }
    plan = make_plan([tmp_path / "all" / COVER], settings, Overrides("A", "B", 2000))
    assert targets(plan) == {COVER: "A/2000 - B/cover.png"}


def test_file_without_songs(settings, album):
    """A booklet alone tells no album, and songs outside of what was given are not asked."""
    assert reasons(make_plan([album / BOOKLET], settings)) == {
        BOOKLET: "beside it is no song that tells the album: give --artist, --album and --year"
    }


def test_songs_above_what_was_given(settings, album):
    """Only folders that were given are searched for the album of a file."""
    copy_album(album / "Scans", BOOKLET)
    plan = make_plan([album / "Scans", album / FLAC], settings)
    assert BOOKLET in reasons(plan)


def test_audio_that_the_library_does_not_know(settings, album):
    """Music of other formats is refused, instead of lying in the album as if it were a booklet."""
    (album / "04 Song.OGG").write_bytes(b"OggS")
    plan = make_plan([album], settings)
    assert "unknown to the library" in reasons(plan)["04 Song.OGG"]


def test_two_files_for_one_target(settings, album):
    """Different files that would get one path are all refused, each naming a rival."""
    shutil.copyfile(album / MP3, album / "again.mp3")
    retag(album / "again.mp3", genre="Another genre")
    plan = make_plan([album], settings)
    assert set(reasons(plan)) == {MP3, "again.mp3"}
    assert str(album / "again.mp3") in reasons(plan)[MP3]
    assert TARGETS[MP3] in reasons(plan)[MP3]


def test_names_that_differ_by_case_only(settings, album):
    """Two names that some file systems hold for the same one are rivals."""
    (album / "COVER.png").write_bytes(b"another")
    assert set(reasons(make_plan([album], settings))) == {COVER, "COVER.png"}


def test_copies_of_one_file(settings, album):
    """The same bytes for the same target are no contradiction."""
    shutil.copyfile(album / MP3, album / "again.mp3")
    plan = make_plan([album], settings)
    assert not plan.refusals
    assert targets(plan)["again.mp3"] == TARGETS[MP3]


def test_target_that_is_there(settings, album):
    """A file that the library has already, byte for byte, is marked."""
    place = settings.music / TARGETS[FLAC]
    place.parent.mkdir(parents=True)
    shutil.copyfile(album / FLAC, place)
    there = {file.source.name for file in make_plan([album], settings).files if file.there}
    assert there == {FLAC}


@pytest.mark.parametrize("same_size", [True, False])
def test_target_with_other_bytes(settings, album, same_size):
    """Where another file has the place, also one of the same length, the file is refused."""
    place = settings.music / TARGETS[FLAC]
    place.parent.mkdir(parents=True)
    place.write_bytes(bytes((album / FLAC).stat().st_size if same_size else 3))
    reason = reasons(make_plan([album], settings))[FLAC]
    assert reason == (
        f"a file with other bytes has its place, and is never overwritten: {TARGETS[FLAC]}"
    )


def test_target_that_is_no_file(settings, album):
    """A directory or a link in the place refuses the file, whatever it leads to."""
    (settings.music / TARGETS[FLAC]).mkdir(parents=True)
    (settings.music / TARGETS[MP3]).symlink_to(album / MP3)
    assert {
        name: reason.partition(":")[0]
        for name, reason in reasons(make_plan([album], settings)).items()
    } == dict.fromkeys((FLAC, MP3), "what is no file has its place")


def test_what_is_left_out(settings, album):
    """Hidden and ignored files and links of a folder are passed over, each for one reason."""
    for name in (".hidden.flac", "Thumbs.db", "README"):
        (album / name).write_bytes(b"x")
    (album / "link").symlink_to(album.parent)
    (album / "link.txt").symlink_to("/etc/passwd")
    (album / "nowhere").symlink_to(album / "nothing")
    (album / ".link").symlink_to("/etc/passwd")
    plan = make_plan([album], settings)
    assert targets(plan) == TARGETS
    assert not plan.refusals
    assert {one.path.name: str(one.why) for one in plan.left_out} == {
        ".hidden.flac": "hidden",
        ".link": "hidden",
        "README": "in the ignore list",
        "Thumbs.db": "in the ignore list",
        "link": "a link",
        "link.txt": "a link",
        "nowhere": "a link",
    }


def test_what_is_left_out_and_was_named(settings, album, tmp_path):
    """Named themselves, hidden and ignored files are refused, and links are followed."""
    for name in (".hidden.flac", "README"):
        (album / name).write_bytes(b"x")
    (album / "link.pdf").symlink_to(album / BOOKLET)
    (tmp_path / "folder").symlink_to(album)
    named = [tmp_path / "folder", album, *(album / n for n in (".hidden.flac", "README"))]
    plan = make_plan([*named, album / "link.pdf"], settings)
    assert reasons(plan) == {
        ".hidden.flac": "hidden: such files are not added",
        "README": "in the ignore list: such files are not added",
    }
    assert targets(plan) == {**TARGETS, "link.pdf": f"{ALBUM}/link.pdf"}
    assert {one.path.parent.name for one in plan.left_out} == {"folder"}


def test_files_that_cannot_be_added(settings, album, tmp_path):
    """What is missing, empty, too large or no file is refused, and the rest goes on."""
    (album / "empty.txt").touch()
    os.mkfifo(album / "pipe")
    small = Settings.in_directory(settings.music.parent, max_upload_size_bytes=63_000)
    plan = make_plan([album, tmp_path / "nothing", Path("a\0b")], small)
    found = reasons(plan)
    assert found.pop("a\0b").startswith("cannot be read: ")  # the rest depends on the Python
    assert found == {
        "empty.txt": "the file is empty",
        "pipe": "neither a file nor a folder",
        "nothing": "cannot be read: No such file or directory",
        FLAC: "larger than the 63000 bytes of [tasks] maxuploadsize",
    }
    assert len(plan.files) == 4


def test_names_of_tags_become_safe_names(settings, album):
    """Slashes, control characters, dots and length of tags cannot make another path of it."""
    retag(album / FLAC, title="../../\x1b[31m" + "ü" * 300)
    target = targets(make_plan([album / FLAC], settings))[FLAC]
    folder, _, name = target.rpartition("/")
    assert folder == ALBUM
    assert name.startswith("01 ..∕..∕[31mü")
    assert name.endswith("ü.flac")
    assert len(name.encode()) <= 255


def test_names_of_files_become_safe_names(settings, album):
    """The name of a file that is no song is made safe, too, bytes that are no text as well."""
    odd = os.fsdecode(bytes(album) + b"/bo\\ok\x1b\xff.PDF")
    shutil.copyfile(album / BOOKLET, odd)
    plan = make_plan([album], settings)
    assert targets(plan)[Path(odd).name] == f"{ALBUM}/bo∖ok.PDF"


def test_values_in_reasons():
    """A list as people write it, and nothing in it that steers a terminal."""
    assert listed(["a", "2", "c"]) == "'a', '2' and 'c'"
    assert listed(["a"]) == "'a'"
    assert "\x1b" not in listed(["\x1b[31m"])
