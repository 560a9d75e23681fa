"""MusicDB's directory of video frames: real pictures, real files."""

import io
import pickle
from pathlib import Path

import pytest
from musictasks.errors import MediaError
from musictasks.library import FramesDirectory, ImageLimits, VideoFrames, parse_video, to_jpeg
from PIL import Image

VIDEO = parse_video("AC∕DC/2020 - Who: made it?.mp4")
FOLDER = "AC∕DC/Who: made it?"
COLORS = ["#A03060", "#30A060", "#3060A0"]


@pytest.fixture
def frames(tmp_path: Path) -> FramesDirectory:
    return FramesDirectory(tmp_path, 3, ((16, 9), (20, 20)), preview_length_s=1.5)


def pictures(size: tuple[int, int] = (80, 60)) -> list[Image.Image]:
    return [Image.new("RGB", size, color) for color in COLORS]


def files(root: Path) -> dict[str, bytes]:
    paths = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def near(pixel: object, color: str) -> bool:
    wanted = Image.new("RGB", (1, 1), color).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    assert isinstance(wanted, tuple)
    return all(abs(a - b) < 12 for a, b in zip(pixel, wanted, strict=True))


def test_all_that_musicdb_looks_for(frames: FramesDirectory, tmp_path: Path) -> None:
    """Each frame in full and in each scale, and the animation, by the documented names."""
    made = frames.make(VIDEO, pictures(), "clip")
    assert made == VideoFrames(FOLDER, "frame-01.jpg", "preview.webp")
    sizes = {"": (80, 60), " (16×9)": (16, 9), " (20×20)": (20, 20)}
    names = {f"frame-0{n}{scale}.jpg" for n in (1, 2, 3) for scale in sizes}
    names |= {f"preview{scale}.webp" for scale in sizes}
    assert set(files(tmp_path)) == {f"{FOLDER}/{name}" for name in names}
    for scale, size in sizes.items():
        for number, color in enumerate(COLORS, 1):
            with Image.open(tmp_path / FOLDER / f"frame-0{number}{scale}.jpg") as image:
                assert (image.format, image.size) == ("JPEG", size)
                assert near(image.getpixel((5, 5)), color)


def test_the_animation(frames: FramesDirectory, tmp_path: Path) -> None:
    """It shows every frame for the same time, and begins again."""
    frames.make(VIDEO, pictures(), "clip")
    for name, size in (("preview.webp", (80, 60)), ("preview (16×9).webp", (16, 9))):
        with Image.open(tmp_path / FOLDER / name) as animation:
            assert (animation.format, animation.size) == ("WEBP", size)
            assert animation.n_frames == 3  # pyright: ignore[reportAttributeAccessIssue]
            assert animation.info["loop"] == 0
            for number, color in enumerate(COLORS):
                animation.seek(number)
                animation.load()
                assert animation.info["duration"] == 500
                assert near(animation.convert("RGB").getpixel((5, 5)), color)


def test_a_scaled_frame_shows_the_middle(frames: FramesDirectory, tmp_path: Path) -> None:
    """What does not fit the ratio is cut off at both sides, nothing is stretched."""
    wide = Image.new("RGB", (90, 30), "#FFFFFF")
    wide.paste("#3060A0", (30, 0, 60, 30))
    frames.make(VIDEO, [wide], "clip")
    with Image.open(tmp_path / FOLDER / "frame-01 (20×20).jpg") as image:
        assert near(image.getpixel((2, 10)), "#3060A0")
        assert near(image.getpixel((17, 10)), "#3060A0")


def test_again(frames: FramesDirectory, tmp_path: Path) -> None:
    """The same frames give the same files, whatever was there."""
    frames.make(VIDEO, pictures(), "clip")
    before = files(tmp_path)
    (tmp_path / FOLDER / "frame-02.jpg").write_bytes(b"broken")
    (tmp_path / FOLDER / "preview.webp").unlink()
    frames.make(VIDEO, pictures(), "clip")
    assert files(tmp_path) == before


def test_other_settings(frames: FramesDirectory, tmp_path: Path) -> None:
    """What was made with others goes; what is not ours stays."""
    frames.make(VIDEO, pictures(), "clip")
    for name in ("frame-cover.jpg", "thumbnail.jpg", "notes (1×1).txt"):
        (tmp_path / FOLDER / name).write_bytes(b"by hand")
    FramesDirectory(tmp_path, 1, ((8, 8),)).make(VIDEO, pictures()[:1], "clip")
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == {
        *("frame-01.jpg", "frame-01 (8×8).jpg", "preview.webp", "preview (8×8).webp"),
        *("frame-cover.jpg", "thumbnail.jpg", "notes (1×1).txt"),
    }


def test_frames_of_several_sizes(frames: FramesDirectory, tmp_path: Path) -> None:
    """A video may change its size on the way; an animation may not."""
    frames.make(VIDEO, [*pictures()[:2], *pictures((40, 40))[2:]], "clip")
    with Image.open(tmp_path / FOLDER / "frame-03.jpg") as image:
        assert image.size == (80, 60)


def test_no_frames(frames: FramesDirectory, tmp_path: Path) -> None:
    """Nothing is written."""
    with pytest.raises(MediaError, match="clip"):
        frames.make(VIDEO, [], "clip")
    assert files(tmp_path) == {}


def test_a_thumbnail(frames: FramesDirectory, tmp_path: Path) -> None:
    """A picture that a person chose stands beside the frames."""
    frames.make(VIDEO, pictures(), "clip")
    out = io.BytesIO()
    Image.new("RGB", (50, 50), "#102030").save(out, "PNG")
    limits = ImageLimits()
    jpeg = to_jpeg(io.BytesIO(out.getvalue()), "cover.png", limits)
    made = frames.make_thumbnail(VIDEO, jpeg, "cover.png", limits)
    assert made.columns() == {"framesdirectory": FOLDER, "thumbnailfile": "thumbnail.jpg"}
    assert (tmp_path / FOLDER / "thumbnail.jpg").read_bytes() == jpeg
    with Image.open(tmp_path / FOLDER / "thumbnail (16×9).jpg") as image:
        assert image.size == (16, 9)
    assert (tmp_path / FOLDER / "frame-03.jpg").exists()
    with pytest.raises(MediaError, match=r"cover\.png"):
        frames.make_thumbnail(VIDEO, b"no jpeg", "cover.png", limits)


@pytest.mark.parametrize("name", [".", "..", "...", ".hidden"])
def test_a_name_of_dots_leads_nowhere(tmp_path: Path, name: str) -> None:
    """A video may be called `..`; its frames stay in the artist's directory all the same."""
    root = tmp_path / "frames"
    root.mkdir()
    FramesDirectory(root).make(parse_video(f"Artist/2020 - {name}.mp4"), pictures(), "clip")
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]
    assert {path.parent.parent for path in root.rglob("*.webp")} == {root / "Artist"}


def test_what_a_killed_run_left(frames: FramesDirectory, tmp_path: Path) -> None:
    """Half-written files go; everything else stays."""
    frames.make(VIDEO, pictures(), "clip")
    before = files(tmp_path)
    (tmp_path / FOLDER / ".musictasks.abc.tmp").write_bytes(b"half")
    (tmp_path / "a file").write_bytes(b"")
    (tmp_path / "AC∕DC" / "another").write_bytes(b"")
    frames.prepare()
    assert set(files(tmp_path)) - set(before) == {"a file", "AC∕DC/another"}


def test_it_can_be_pickled(frames: FramesDirectory) -> None:
    """It goes to workers in other processes."""
    assert pickle.loads(pickle.dumps(frames)) == frames
