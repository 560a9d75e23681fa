"""Images of strangers, and MusicDB's artwork directory: real images, real files."""

import io
import pickle
from pathlib import Path

import pytest
from imagekit import huge_png
from musictasks.errors import MediaError
from musictasks.library.artwork import ArtworkDirectory, artwork_name
from musictasks.library.images import ImageLimits, to_jpeg
from musictasks.library.naming import AlbumPath, parse_album
from PIL import Image, ImageChops, ImageDraw, ImageOps, ImageStat

LIMITS = ImageLimits()
ALBUM = parse_album("Artist/2020 - Album")


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> io.BytesIO:
    out = io.BytesIO()
    image.save(out, kind, **options)
    out.seek(0)
    return out


def decoded(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    image.load()
    assert image.format == "JPEG"
    assert image.mode == "RGB"
    return image


def color_at(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    color = image.getpixel((x, y))
    assert isinstance(color, tuple)
    return tuple(round(part / 16) * 16 for part in color)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_every_known_format_becomes_a_jpeg_of_the_same_size(kind: str) -> None:
    """An image of each format becomes a JPEG with its size and its colour."""
    jpeg = to_jpeg(encoded(Image.new("RGB", (60, 40), "#A03060"), kind), "a", LIMITS)

    assert decoded(jpeg).size == (60, 40)
    assert color_at(decoded(jpeg), 30, 20) == (160, 48, 96)


def test_the_same_image_gives_the_same_bytes() -> None:
    """A conversion that runs twice leaves what one leaves."""
    image = encoded(Image.linear_gradient("L")).getvalue()

    assert to_jpeg(io.BytesIO(image), "a", LIMITS) == to_jpeg(io.BytesIO(image), "a", LIMITS)


def test_what_is_transparent_becomes_white() -> None:
    """JPEG knows no transparency, so an image is laid on white."""
    image = Image.new("RGBA", (20, 10), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 10, 10))

    jpeg = decoded(to_jpeg(encoded(image), "a", LIMITS))

    assert min(jpeg.getpixel((2, 5))) > 240  # pyright: ignore[reportArgumentType]


def test_a_grey_image_of_16_bits_keeps_its_greys() -> None:
    """16 bits a pixel are scaled down, not clipped to white."""
    image = Image.new("I;16", (16, 16), 0x8000)

    assert color_at(decoded(to_jpeg(encoded(image), "a", LIMITS)), 8, 8) == (128, 128, 128)


def test_the_orientation_of_a_photo_is_applied() -> None:
    """A photo that says it lies on its side stands upright, and says so no more."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    photo = encoded(Image.new("RGB", (60, 40), "red"), "JPEG", exif=exif)

    jpeg = decoded(to_jpeg(photo, "a", LIMITS))

    assert jpeg.size == (40, 60)
    assert not jpeg.getexif()


def test_no_metadata_is_kept() -> None:
    """Neither place nor comment of the original is in the artwork."""
    exif = Image.Exif()
    exif[0x010E] = "Secret place"
    photo = encoded(Image.new("RGB", (8, 8)), "JPEG", exif=exif, comment=b"Secret comment")
    assert b"Secret" in photo.getvalue()

    assert b"Secret" not in to_jpeg(photo, "a", LIMITS)


def test_of_an_animation_the_first_frame_counts() -> None:
    """An animated GIF becomes the picture it begins with."""
    frames = [Image.new("RGB", (10, 10), color) for color in ("red", "blue")]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])

    assert color_at(decoded(to_jpeg(gif, "a", LIMITS)), 5, 5)[0] > 240


@pytest.mark.parametrize("side", [6_000, 30_000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    """A few bytes that say they are a huge image are refused with their name."""
    with pytest.raises(MediaError, match=r"bomb\.png.*pixels"):
        to_jpeg(io.BytesIO(huge_png(side)), "bomb.png", LIMITS)


def test_the_limit_of_pixels_is_exact() -> None:
    """As many pixels as the limit says are fine, one more is not."""
    limits = ImageLimits(pixels=100)
    to_jpeg(encoded(Image.new("RGB", (10, 10))), "a", limits)

    with pytest.raises(MediaError, match="101 x 1 are more than 100 pixels"):
        to_jpeg(encoded(Image.new("RGB", (101, 1))), "a", limits)


def test_the_limit_of_bytes_is_exact() -> None:
    """A file of as many bytes as the limit says is fine, one more is not."""
    image = encoded(Image.new("RGB", (10, 10))).getvalue()
    to_jpeg(io.BytesIO(image), "a", ImageLimits(bytes=len(image)))

    with pytest.raises(MediaError, match="larger than"):
        to_jpeg(io.BytesIO(image), "a", ImageLimits(bytes=len(image) - 1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_an_image_that_is_cut_off_is_refused(kind: str) -> None:
    """Half an image is no image, in whatever format."""
    noise = Image.effect_noise((200, 200), 80).convert("RGB")
    data = encoded(noise, kind).getvalue()

    with pytest.raises(MediaError, match="half"):
        to_jpeg(io.BytesIO(data[: len(data) // 2]), "half", LIMITS)


@pytest.mark.parametrize(
    "data",
    [b"", b"just text", b"\xff\xd8\xff", b"GIF89a", b"RIFF\x00\x00\x00\x00WEBP", bytes(1000)],
)
def test_what_is_no_image_is_refused_by_name(data: bytes) -> None:
    """Text, nothing, and bare beginnings of images are refused with the file's name."""
    with pytest.raises(MediaError, match=r"cover\.png") as error:
        to_jpeg(io.BytesIO(data), "cover.png", LIMITS)
    assert error.value.path == "cover.png"
    assert "BytesIO" not in str(error.value)


def test_text_is_refused_with_the_formats_that_are_read() -> None:
    """A person is told what an image may be, not of an object in memory."""
    with pytest.raises(MediaError, match=r"no image of a format that is read \(JPEG, PNG, .*BMP\)"):
        to_jpeg(io.BytesIO(b"just text"), "cover.png", LIMITS)


def test_a_format_that_is_not_wanted_is_not_even_tried() -> None:
    """A real TIFF is an image, but not one that is read here."""
    with pytest.raises(MediaError):
        to_jpeg(encoded(Image.new("RGB", (9, 9)), "TIFF"), "a", LIMITS)


def cover(width: int = 300, height: int = 300) -> bytes:
    return to_jpeg(encoded(Image.new("RGB", (width, height), "teal")), "cover", LIMITS)


def test_artwork_is_the_source_and_its_scaled_squares(tmp_path: Path) -> None:
    """The source keeps its bytes; each scale is a progressive JPEG of exactly that size."""
    artwork = ArtworkDirectory(tmp_path, (20, 50))

    name = artwork.make(ALBUM, cover(), "cover", LIMITS)

    assert name == "Artist - Album.jpg"
    assert (tmp_path / name).read_bytes() == cover()
    files = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert files == {name, f"20x20/{name}", f"50x50/{name}"}
    for scale in (20, 50):
        image = decoded((tmp_path / f"{scale}x{scale}" / name).read_bytes())
        assert image.size == (scale, scale)
        assert image.info.get("progressive")


def test_a_scaled_image_shows_the_middle_of_one_that_is_not_square(tmp_path: Path) -> None:
    """A wide image is cropped at both sides, never squeezed."""
    image = Image.new("RGB", (300, 100), "red")
    image.paste((0, 0, 255), (100, 0, 200, 100))
    jpeg = to_jpeg(encoded(image), "wide", LIMITS)

    name = ArtworkDirectory(tmp_path, (60,)).make(ALBUM, jpeg, "wide", LIMITS)

    scaled = decoded((tmp_path / "60x60" / name).read_bytes())
    for x in (3, 30, 57):
        red, _, blue = scaled.getpixel((x, 30))  # pyright: ignore[reportGeneralTypeIssues]
        assert blue > 200 > 60 > red


def test_a_small_image_is_scaled_up(tmp_path: Path) -> None:
    """The directory says the size, so a smaller source is enlarged."""
    name = ArtworkDirectory(tmp_path, (64,)).make(ALBUM, cover(16, 16), "tiny", LIMITS)

    assert decoded((tmp_path / "64x64" / name).read_bytes()).size == (64, 64)


def test_a_large_image_is_scaled_down_with_its_colours(tmp_path: Path) -> None:
    """A source far larger than any scale comes out right at each of them."""
    name = ArtworkDirectory(tmp_path, (32, 100)).make(ALBUM, cover(1700, 900), "big", LIMITS)

    for scale in (32, 100):
        image = decoded((tmp_path / f"{scale}x{scale}" / name).read_bytes())
        assert image.size == (scale, scale)
        assert color_at(image, scale // 2, scale // 2) == (0, 128, 128)


def test_artwork_made_again_is_the_same_and_new_artwork_replaces_the_old(tmp_path: Path) -> None:
    """Making is idempotent, and an album has one artwork: the last."""
    artwork = ArtworkDirectory(tmp_path, (20,))

    def contents() -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in tmp_path.rglob("*.jpg")}

    name = artwork.make(ALBUM, cover(), "cover", LIMITS)
    first = contents()
    artwork.make(ALBUM, cover(), "cover", LIMITS)
    assert contents() == first

    other = to_jpeg(encoded(Image.new("RGB", (90, 90), "red")), "other", LIMITS)
    assert artwork.make(ALBUM, other, "other", LIMITS) == name
    assert contents().keys() == first.keys()
    assert all(contents()[file] != first[file] for file in first)


def test_artwork_that_is_no_jpeg_writes_nothing(tmp_path: Path) -> None:
    """A PNG, or half a JPEG, is refused, and no file is left."""
    artwork = ArtworkDirectory(tmp_path, (20,))
    noise = to_jpeg(encoded(Image.effect_noise((200, 200), 80)), "noise", LIMITS)

    for bad in (encoded(Image.new("RGB", (9, 9))).getvalue(), noise[: len(noise) // 2]):
        with pytest.raises(MediaError, match="bad"):
            artwork.make(ALBUM, bad, "bad", LIMITS)
    assert not list(tmp_path.iterdir())


def test_a_name_longer_than_a_file_may_have_is_cut_by_bytes(tmp_path: Path) -> None:
    """Long names give a file of 255 bytes, the same each time, and another for another album."""
    long = AlbumPath("Künstler " * 16, 2020, "Ä" * 120)
    other = AlbumPath("Künstler " * 16, 2020, "Ä" * 119 + "B")

    name = ArtworkDirectory(tmp_path, (20,)).make(long, cover(), "cover", LIMITS)

    assert 253 <= len(name.encode()) <= 255
    assert name.startswith("Künstler")
    assert name.endswith(".jpg")
    assert (tmp_path / "20x20" / name).is_file()
    assert artwork_name(other) != name == artwork_name(long)


def test_a_name_of_just_255_bytes_is_kept() -> None:
    """Only a name that is too long is changed."""
    album = "x" * (255 - len("Artist - .jpg"))

    assert artwork_name(AlbumPath("Artist", 2020, album)) == f"Artist - {album}.jpg"
    assert "~" in artwork_name(AlbumPath("Artist", 2020, album + "x"))


def test_default_artwork_is_made_once_and_a_users_own_is_kept(tmp_path: Path) -> None:
    """Albums without artwork have a default.jpg in every scale; the user's own stays."""
    artwork = ArtworkDirectory(tmp_path, (20, 50))
    artwork.prepare()

    assert decoded((tmp_path / "default.jpg").read_bytes()).size == (1000, 1000)
    for scale in (20, 50):
        path = tmp_path / f"{scale}x{scale}" / "default.jpg"
        assert decoded(path.read_bytes()).size == (scale, scale)

    (tmp_path / "default.jpg").write_bytes(cover())
    artwork.prepare()
    assert (tmp_path / "default.jpg").read_bytes() == cover()


def drawn() -> Image.Image:
    """A record in grey, in the colours that the database gives an album without artwork."""
    image = Image.new("RGB", (1000, 1000), "#101010")
    draw = ImageDraw.Draw(image)
    for radius, fill in ((420, "#303030"), (150, "#909090"), (20, "#101010")):
        draw.circle((500, 500), radius, fill=fill)
    return image


def test_default_artwork_is_the_same_picture_in_every_size(tmp_path: Path) -> None:
    """Those of the documented scales are ready-made, another one is made; all are progressive."""
    scales = (150, 200, 300, 500, 1000)
    ArtworkDirectory(tmp_path, scales).prepare()

    for scale in (0, *scales):
        path = tmp_path / (f"{scale}x{scale}" if scale else "") / "default.jpg"
        made = decoded(path.read_bytes())
        off = ImageStat.Stat(ImageChops.difference(made, drawn().resize(made.size)))
        assert made.size == (scale or 1000, scale or 1000)
        assert max(off.mean) < 1, path  # of 255
        assert scale == 0 or made.info["progressive"], path


def test_a_new_scale_gets_its_default_artwork_from_the_one_that_is_there(tmp_path: Path) -> None:
    """Only what is missing is made, and it shows the person's own default.jpg."""
    ArtworkDirectory(tmp_path, (20,)).prepare()
    (tmp_path / "default.jpg").write_bytes(cover())
    (tmp_path / "20x20" / "default.jpg").write_bytes(b"a person's own")

    ArtworkDirectory(tmp_path, (20, 50)).prepare()

    scaled = decoded((tmp_path / "50x50" / "default.jpg").read_bytes())
    assert scaled.size == (50, 50)
    assert color_at(scaled, 25, 25) == (0, 128, 128)
    assert (tmp_path / "default.jpg").read_bytes() == cover()
    assert (tmp_path / "20x20" / "default.jpg").read_bytes() == b"a person's own"


def test_a_default_artwork_that_cannot_be_read_is_kept_and_does_not_hinder(tmp_path: Path) -> None:
    """A new scale shows our own default where the person's is broken."""
    (tmp_path / "default.jpg").write_bytes(b"no image")

    ArtworkDirectory(tmp_path, (20,)).prepare()

    assert decoded((tmp_path / "20x20" / "default.jpg").read_bytes()).size == (20, 20)
    assert (tmp_path / "default.jpg").read_bytes() == b"no image"


def test_slashes_in_names_stay_out_of_the_path() -> None:
    """A slash in a name is U+2215 in the name of the artwork, as in the Music Directory."""
    assert artwork_name(AlbumPath("AC/DC", 1980, "Back")) == "AC\u2215DC - Back.jpg"


def test_preparing_clears_what_a_killed_run_left_and_nothing_else(tmp_path: Path) -> None:
    """Half-written temporaries of ours go; what others put there stays."""
    artwork = ArtworkDirectory(tmp_path, (20,))
    artwork.prepare()
    kept = [*tmp_path.rglob("*"), tmp_path / ".musictasks-notes"]
    (tmp_path / ".musictasks-notes").touch()
    (tmp_path / ".musictasks.1.2.tmp").touch()
    (tmp_path / "20x20" / ".musictasks.1.2.tmp").touch()

    artwork.prepare()

    assert sorted(tmp_path.rglob("*")) == sorted(kept)


def test_an_artwork_directory_can_be_pickled(tmp_path: Path) -> None:
    """Handlers that hold it may go to another process."""
    artwork = ArtworkDirectory(tmp_path)

    assert pickle.loads(pickle.dumps(artwork)) == artwork


@pytest.mark.parametrize("scales", [(150, 200, 500, 1000), (1000, 500, 200, 150), (100, 90)])
def test_a_small_image_shows_what_the_large_one_shows(
    tmp_path: Path, scales: tuple[int, ...]
) -> None:
    """Sizes are made of one another, and look as if each had been made of the image itself."""
    image = Image.merge("RGB", [Image.radial_gradient("L"), *[Image.linear_gradient("L")] * 2])
    image = image.resize((640, 480))
    image.paste("red", (500, 200, 560, 280))
    source = decoded(to_jpeg(encoded(image), "a", LIMITS))

    ArtworkDirectory(tmp_path, scales).make(ALBUM, encoded(source, "JPEG").getvalue(), "a", LIMITS)

    for scale in scales:
        made = decoded((tmp_path / f"{scale}x{scale}" / artwork_name(ALBUM)).read_bytes())
        fair = ImageOps.fit(source, (scale, scale), Image.Resampling.LANCZOS)
        off = ImageStat.Stat(ImageChops.difference(made, fair))
        assert max(off.mean) < 3, scale  # of 255
