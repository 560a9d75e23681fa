"""Which files `add` takes for music videos, and the paths they get."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from clikit import ALBUM, FLAC, MP3, TARGETS, copy_album, retag
from musictasks.intake import Spelling
from musictasks.intake.overrides import Overrides
from musictasks.intake.plans import Plan
from musictasks.intake.videos import VideoNames, video_names
from musictasks.music import Settings
from plankit import make_plan
from videokit import make_video, sound_only

MP4 = make_video(frames=2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.in_directory(tmp_path / "library")


def video(path: Path, data: bytes = MP4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def videos(plan: Plan) -> list[str]:
    return [file.target for file in plan.videos]


def reasons(plan: Plan) -> dict[str, str]:
    return {refusal.source.name: refusal.reason for refusal in plan.refusals}


@pytest.mark.parametrize(
    ("stem", "given", "known"),
    [
        ("clip", Overrides("A", None, 2020), ("A", 2020, "clip")),
        ("clip", Overrides("A", None, 2020, "B"), ("A", 2020, "B")),
        ("clip", Overrides(), (None, None, "clip")),
        ("2020 - Name", Overrides("A"), ("A", 2020, "Name")),
        ("AC∕DC - Name", Overrides(None, None, 2020), ("AC∕DC", 2020, "Name")),
        ("A - 2020 - Name", Overrides(), ("A", 2020, "Name")),
        ("A - Name - Live", Overrides(), ("A", None, "Name - Live")),
        ("2020 - A - Name", Overrides(), (None, 2020, "A - Name")),
        ("2020 - Name", Overrides("A", None, 2020), ("A", 2020, "Name")),
        ("2020 - Name", Overrides("A", None, 2021), ("A", 2021, "2020 - Name")),
        ("AC∕DC - Name", Overrides("AC/DC", None, 2020), ("AC/DC", 2020, "Name")),
        ("acdc - 2020 - Name", Overrides("AC/DC"), ("AC/DC", 2020, "Name")),
        ("??? - Name", Overrides("!!!", None, 2020), ("!!!", 2020, "??? - Name")),
        ("Live - Name", Overrides("A", None, 2020), ("A", 2020, "Live - Name")),
        ("A - 2020 - Name", Overrides(None, None, None, "B"), ("A", 2020, "B")),
        ("A - ", Overrides(), (None, None, "A - ")),
        ("A-B", Overrides(), (None, None, "A-B")),
        ("20200 - Name", Overrides(), ("20200", None, "Name")),
    ],
)
def test_names(stem: str, given: Overrides, known: tuple[object, ...]) -> None:
    """The options count more than the file's name, which then keeps what they say otherwise."""
    assert video_names(stem, given) == VideoNames(*known)  # pyright: ignore[reportArgumentType]


def test_named_by_itself(settings: Settings, tmp_path: Path) -> None:
    """It goes to the artist's directory; its extension becomes lower case."""
    clip = video(tmp_path / "AC-DC - Clip.MP4")
    plan = make_plan([clip], settings, Overrides("AC/DC", None, 1990, "T/N"))
    assert videos(plan) == ["AC∕DC/1990 - T∕N.mp4"]
    assert (plan.albums, plan.refusals) == ((), ())
    assert [file.content_type for file in plan.uploads] == ["video"]


def test_a_separator_in_its_name(settings: Settings, tmp_path: Path) -> None:
    """It is refused, with a name that would do, which does."""
    clip = video(tmp_path / "A - 2020 - B - Live.mp4")
    reason = reasons(make_plan([clip], settings))[clip.name]
    assert "'B – Live'" in reason
    assert reason.endswith("give --name")
    plan = make_plan([clip], settings, Overrides("A", None, 2020, "B – Live"))
    assert videos(plan) == ["A/2020 - B – Live.mp4"]


def test_too_little_is_known(settings: Settings, tmp_path: Path) -> None:
    """What to give is said."""
    paths = [video(tmp_path / name) for name in ("clip.mp4", "2020 - clip.mp4", "A - clip.webm")]
    assert reasons(make_plan(paths, settings)) == {
        "clip.mp4": "as a music video it has no artist, no year: give --artist --year",
        "2020 - clip.mp4": "as a music video it has no artist: give --artist",
        "A - clip.webm": "as a music video it has no year: give --year",
    }


def test_file_of_an_album(settings: Settings, tmp_path: Path) -> None:
    """In a folder, beside songs that are added, or with an album given, it is an album's file."""
    album = copy_album(tmp_path / "album")
    clip = video(album / "2020 - Clip.mp4")
    target = f"{ALBUM}/2020 - Clip.mp4"
    for paths in ([album], sorted(album.iterdir())):
        plan = make_plan(paths, settings)
        assert {file.target for file in plan.files} == {*TARGETS.values(), target}
        assert videos(plan) == []
    plan = make_plan([clip], settings, Overrides("A", "B", 2000))
    assert [one.path.path for one in plan.albums] == ["A/2000 - B"]
    plan = make_plan([clip, album / FLAC], settings, Overrides("A", None, None, "Name"))
    assert videos(plan) == ["A/2020 - Name.mp4"]


def test_in_a_folder_without_songs(settings: Settings, tmp_path: Path) -> None:
    """It is a music video, whether it was named itself or not."""
    clip = video(tmp_path / "clips" / "A - 2020 - Clip.mp4")
    assert videos(make_plan([clip.parent], settings)) == ["A/2020 - Clip.mp4"]
    assert videos(make_plan([clip.parent, clip], settings)) == ["A/2020 - Clip.mp4"]


def test_among_songs_of_several_albums(settings: Settings, tmp_path: Path) -> None:
    """A folder of downloads: it can be a file of none of them."""
    retag(copy_album(tmp_path / "all", FLAC) / FLAC, album="One")
    retag(copy_album(tmp_path / "all", MP3) / MP3, album="Two")
    clip = video(tmp_path / "all" / "A - 2020 - Clip.mp4")
    for paths in ([clip.parent], sorted(clip.parent.iterdir())):
        plan = make_plan(paths, settings)
        assert videos(plan) == ["A/2020 - Clip.mp4"]
        assert plan.refusals == ()


def test_artist_that_is_there_in_another_spelling(settings: Settings, tmp_path: Path) -> None:
    (settings.music / "ac∕dc").mkdir(parents=True)
    clip = video(tmp_path / "AC-DC - 2020 - Clip.mp4")
    assert videos(make_plan([clip], settings)) == ["AC-DC/2020 - Clip.mp4"]
    clip = video(tmp_path / "AC∕DC - 2020 - Clip.mp4")
    plan = make_plan([clip], settings)
    assert videos(plan) == ["ac∕dc/2020 - Clip.mp4"]
    assert plan.spellings == (Spelling("AC/DC", "ac/dc"),)


def test_without_the_extra(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused, with what to install; what it lacks besides is said first."""
    clip = video(tmp_path / "A - 2020 - Clip.mp4")
    bare = video(tmp_path / "clip.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    told = reasons(make_plan([clip, bare], settings))
    assert told[clip.name].endswith("pip install 'musictasks[video]'")
    assert told[bare.name].endswith("give --artist --year")


def test_what_is_no_video(settings: Settings, tmp_path: Path) -> None:
    """A dry run looks inside, and says what the engine would."""
    clip = video(tmp_path / "A - 2020 - Clip.mp4", sound_only())
    assert videos(make_plan([clip], settings)) == ["A/2020 - Clip.mp4"]
    assert reasons(make_plan([clip], settings, look_inside=True))[clip.name]


def test_its_place(settings: Settings, tmp_path: Path) -> None:
    """The same bytes are there already; others, an ignored artist, and rivals are refused."""
    clip = video(tmp_path / "A - 2020 - Clip.mp4")
    place = settings.music / "A" / "2020 - Clip.mp4"
    place.parent.mkdir(parents=True)
    shutil.copyfile(clip, place)
    assert [file.there for file in make_plan([clip], settings).videos] == [True]
    place.write_bytes(b"other")
    assert "never overwritten: A/2020 - Clip.mp4" in reasons(make_plan([clip], settings))[clip.name]
    plan = make_plan([clip], settings, Overrides("lost+found", None, 2020, "Clip"))
    assert "the ignore lists" in reasons(plan)[clip.name]
    upper = video(tmp_path / "A - 2020 - CLIP.mp4", make_video(frames=4))
    assert (
        "almost this name is there: 2020 - Clip"
        in reasons(make_plan([upper], settings))[upper.name]
    )
    rival = video(tmp_path / "B" / "A - 2020 - clip.mp4", make_video(frames=3))
    assert set(reasons(make_plan([clip, rival], settings))) == {clip.name, rival.name}
    place.unlink()
    without = Settings.in_directory(tmp_path / "library", allow=("albumfile",))
    plan = make_plan([rival], without)
    assert reasons(plan) == {rival.name: "[uploads] allow does not name video"}
