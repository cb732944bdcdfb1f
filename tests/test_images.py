"""Every odd picture is seen as people see it, and every bad one gives one line that names file and fix."""

import base64
import io
import os
import struct
import warnings
import zlib
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from lion import images
from lion.errors import LionError, LionWarning
from lion.images import MAX_MEGAPIXELS, image_hash, open_image, pixel_count, stored_size, suffixes

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quadrants(width: int = 40, height: int = 20) -> Image.Image:
    """Red, green / blue, white: no two orientations look alike."""
    image = Image.new("RGB", (width, height))
    half_width, half_height = width // 2, height // 2
    for colour, corner in zip(
        (RED, GREEN, BLUE, WHITE), ((0, 0), (half_width, 0), (0, half_height), (half_width, half_height)), strict=True
    ):
        image.paste(colour, (*corner, corner[0] + half_width, corner[1] + half_height))
    return image


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """Top left, top right, bottom left, bottom right, with JPEG's noise rounded off."""
    width, height = image.size
    points = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)]
    return [tuple(round(value / 255) * 255 for value in image.getpixel(point)) for point in points]  # type: ignore


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_paths_bytes_and_pil_images_give_the_same_picture(tmp_path: Path, kind: str) -> None:
    data = encoded(quadrants(), kind)
    path = tmp_path / f"picture.{kind.lower()}"
    path.write_bytes(data)
    images = [open_image(source) for source in (path, str(path), data, Image.open(path))]
    assert {image.mode for image in images} == {"RGB"}
    assert len({image_hash(image) for image in images}) == 1
    assert corners(images[0]) == [RED, GREEN, BLUE, WHITE]


# orientation -> the corners a viewer shows for stored corners red, green, blue, white
SEEN = {
    1: [RED, GREEN, BLUE, WHITE],
    2: [GREEN, RED, WHITE, BLUE],
    3: [WHITE, BLUE, GREEN, RED],
    4: [BLUE, WHITE, RED, GREEN],
    5: [RED, BLUE, GREEN, WHITE],
    6: [BLUE, RED, WHITE, GREEN],
    7: [WHITE, GREEN, BLUE, RED],
    8: [GREEN, WHITE, RED, BLUE],
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", SEEN)
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(quadrants(), kind, exif=exif)
    image = open_image(data)
    assert corners(image) == SEEN[orientation]
    assert image.size == ((40, 20) if orientation < 5 else (20, 40))
    assert open_image(Image.open(io.BytesIO(data))).tobytes() == image.tobytes()


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("orientation", SEEN)
def test_the_orientation_of_an_uncompressed_tiff_on_disk(tmp_path: Path, mode: str, orientation: int) -> None:
    """Pillow maps such a file into memory, and then turns it in another way."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / "picture.tif"
    quadrants().convert(mode).save(path, exif=exif)
    shades = {colour: corners(quadrants().convert(mode).convert("RGB"))[at] for at, colour in enumerate(SEEN[1])}
    assert corners(open_image(path)) == [shades[colour] for colour in SEEN[orientation]]
    with Image.open(path) as opened:
        assert corners(open_image(opened)) == [shades[colour] for colour in SEEN[orientation]]


def test_a_broken_exif_block_does_not_hide_the_picture() -> None:
    data = encoded(quadrants(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f" + b"\xff" * 40)
    assert corners(open_image(data)) == [RED, GREEN, BLUE, WHITE]


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    assert Image.open(io.BytesIO(data)).n_frames == 3  # type: ignore[attr-defined]
    assert corners(open_image(data)) == [RED] * 4


def test_a_pil_image_gives_its_current_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    image = Image.open(io.BytesIO(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    image.seek(1)
    assert corners(open_image(image)) == [GREEN] * 4


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str) -> None:
    assert corners(open_image(encoded(quadrants().convert("CMYK"), kind))) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    stored = np.array([[0, 257, 25700], [32768, 51400, 65535]], dtype=np.uint16)
    pixels = np.asarray(open_image(encoded(Image.fromarray(stored), kind)))
    assert pixels[..., 0].tolist() == [[0, 1, 100], [128, 200, 255]]
    assert (pixels == pixels[..., :1]).all()


def test_a_dark_16_bit_picture_stays_dark() -> None:
    stored = np.full((4, 4), 200, dtype=np.uint16)
    assert np.asarray(open_image(encoded(Image.fromarray(stored), "PNG"))).max() == 1


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_float_grey_takes_the_smallest_usual_range(top: float) -> None:
    stored = np.array([[0, 0.2, 1.0]], dtype=np.float32) * np.float32(top)
    assert np.asarray(open_image(encoded(Image.fromarray(stored), "TIFF")))[0, :, 0].tolist() == [0, 51, 255]


def test_infinite_floats_do_not_darken_the_rest() -> None:
    stored = np.array([[0, 0.2, 1.0, np.inf, -np.inf, np.nan]], dtype=np.float32)
    pixels = np.asarray(open_image(encoded(Image.fromarray(stored), "TIFF")))
    assert pixels[0, :, 0].tolist() == [0, 51, 255, 255, 0, 0]


def test_32_bit_grey_in_16_bit_range() -> None:
    image = Image.fromarray(np.array([[0, 65535]], dtype=np.int32))
    assert image.mode == "I"
    assert np.asarray(open_image(image))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("top", [255, 65535])
@pytest.mark.parametrize("kind", [None, "TIFF"])
def test_32_bit_grey_takes_the_smallest_usual_range(top: int, kind: str | None) -> None:
    image = Image.fromarray(np.array([[0, top // 5, top]], dtype=np.int32))
    assert np.asarray(open_image(encoded(image, kind) if kind else image))[0, :, 0].tolist() == [0, 51, 255]


def test_a_pgm_of_10_bits_is_of_16() -> None:
    image = open_image(b"P5 2 1 1023\n" + np.array([2, 1023], ">u2").tobytes())
    assert np.asarray(image)[0, :, 0].tolist() == [0, 255]
    assert np.asarray(open_image(b"P5 2 1 1023\n" + np.array([0, 2], ">u2").tobytes())).max() <= 1


def test_grey_that_was_widened_is_what_it_was() -> None:
    grey = Image.linear_gradient("L")
    assert open_image(grey.convert("I")).tobytes() == open_image(grey).tobytes()


@pytest.mark.parametrize("array", [np.float32([[0, 0.1]]), np.float32([[0, 4095]]), np.int32([[0, 1]])])
def test_no_deep_picture_is_black_in_silence(array: np.ndarray) -> None:
    if array.dtype == np.float32:
        below = images.read_image(Image.fromarray(np.where(array == 0, np.nan, array)))[1]
        assert (below or "").startswith("the picture has values below 0 or NaN, which are black")
    assert "below 0" in (images.read_image(Image.fromarray(array - array.dtype.type(1)))[1] or "")
    assert (images.read_image(Image.fromarray(array))[1] or "").startswith("the picture is nearly black: its largest")
    full = array / array.max() * (255 if array.dtype == np.int32 else 1)
    assert images.read_image(Image.fromarray(full.astype(array.dtype)))[1] is None


def transparent_palette() -> bytes:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putpixel((1, 0), 1)
    return encoded(image, "PNG", transparency=bytes([255, 0]))


def transparent_gif() -> bytes:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putpixel((1, 0), 1)
    return encoded(image, "GIF", transparency=1)


def transparent_rgba() -> bytes:
    image = Image.new("RGBA", (2, 1), (*RED, 255))
    image.putpixel((1, 0), (*GREEN, 0))
    return encoded(image, "PNG")


def transparent_rgb_colour() -> bytes:
    image = Image.new("RGB", (2, 1), RED)
    image.putpixel((1, 0), GREEN)
    return encoded(image, "PNG", transparency=GREEN)


@pytest.mark.parametrize("make", [transparent_palette, transparent_gif, transparent_rgba, transparent_rgb_colour])
def test_transparency_lies_on_white(make: object) -> None:
    image = open_image(make())  # type: ignore[operator]
    assert image.mode == "RGB"
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [RED, WHITE]


def test_half_transparent_grey() -> None:
    image = open_image(encoded(Image.new("LA", (1, 1), (0, 128)), "PNG"))
    assert image.getpixel((0, 0)) == (127, 127, 127)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "I", "I;16", "F"])
def test_one_pixel_of_every_mode(mode: str) -> None:
    image = open_image(Image.new(mode, (1, 1)))
    assert (image.mode, image.size) == ("RGB", (1, 1))


def _in(mode: str) -> tuple[Image.Image, Image.Image]:
    """A picture in a mode, and what people see of it."""
    seen = quadrants()
    if mode in ("LA", "La", "RGBA", "RGBa", "PA"):
        alpha = Image.linear_gradient("L").resize(seen.size)
        source = seen.convert("L").convert("RGB") if mode in ("LA", "La") else seen
        seen = Image.composite(source, Image.new("RGB", seen.size, "white"), alpha)
        held = source.convert("RGBA")
        held.putalpha(alpha)
        if mode == "PA":
            held, seen = source.quantize(8).convert("PA"), source
        return held.convert({"La": "LA", "RGBa": "RGBA"}.get(mode, mode)).convert(mode), seen
    if mode.startswith("I") or mode == "F":
        grey = np.asarray(seen.convert("L"))
        depth = 1 if mode == "F" else 257
        kind = {"I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2", "I;16N": "=u2", "I": "=i4", "F": "=f4"}[mode]
        raw = (grey.astype(np.int64) * depth).astype(kind).tobytes()
        return Image.frombytes(mode, seen.size, raw), seen.convert("L").convert("RGB")
    held = seen.convert(mode)
    return held, held.convert("RGB")


@pytest.mark.parametrize("mode", Image.MODES)
def test_every_mode_of_pillow_is_seen_as_it_is(mode: str) -> None:
    held, seen = _in(mode)
    assert held.mode == mode
    found = open_image(held)
    assert found.mode == "RGB" and found.size == held.size
    assert np.abs(np.asarray(found, int) - np.asarray(seen, int)).max() <= 6  # alpha that was multiplied is rounded


def test_a_mode_without_a_way_to_rgb_is_named_and_not_called_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(*_: object) -> None:
        raise ValueError("conversion from X to RGB not supported")

    image = Image.new("HSV", (4, 4))
    monkeypatch.setattr(image, "convert", convert, raising=False)
    with pytest.raises(LionError, match="mode HSV") as error:
        open_image(image)
    assert "damaged" not in str(error.value) and "convert it" in str(error.value)


@pytest.mark.parametrize(
    ("peak", "said"),
    [(4095, "12 bits, save it with its values times 16"), (255, "8 bits, save it with its values times 257")]
    + [(peak, None) for peak in (0, 8192, 65535)],
)
def test_few_bits_kept_in_16_are_told_once_and_kept(monkeypatch: pytest.MonkeyPatch, peak: int, said: str | None):
    monkeypatch.setattr(images, "_TOLD", [])
    buffer = io.BytesIO()
    Image.fromarray(np.linspace(0, peak, 100).round().astype(np.uint16).reshape(10, 10)).save(buffer, "PNG")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [open_image(buffer.getvalue()) for _ in range(3)]
    assert [one.category for one in caught] == [LionWarning] * (said is not None)
    assert said is None or said in str(caught[0].message)
    assert np.asarray(found[2]).max() == round(peak / 65535 * 255)


@pytest.mark.parametrize(("channels", "colour"), [(3, 2), (4, 6), (2, 4)])
@pytest.mark.parametrize(("times", "said"), [(1, True), (16, False)])
def test_few_bits_in_16_of_colours_are_told_too(monkeypatch, channels, colour, times, said):
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    values = np.full((4, 4, channels), 4095 * times, ">u2")
    if channels != 3:
        values[..., -1] = 65535  # opaque
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in values))
    header = struct.pack(">IIBBBBB", 4, 4, 16, colour, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    monkeypatch.setattr(images, "_TOLD", [])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        open_image(data)
    assert [one.category for one in caught] == [LionWarning] * said
    assert not said or "12 bits, save it with its values times 16" in str(caught[0].message)


def test_a_plain_picture_comes_back_as_it_is() -> None:
    image = quadrants()
    assert open_image(image) is image
    once = open_image(encoded(image, "JPEG"))
    assert open_image(once) is once


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF"])
def test_what_is_opened_is_nobody_elses(kind: str) -> None:
    data = encoded(quadrants(), kind)
    theirs = Image.open(io.BytesIO(data))
    for source in (theirs, data):
        ours = open_image(source)
        assert type(ours) is Image.Image and ours.info == {}
        before = image_hash(ours)
        ours.putpixel((0, 0), (1, 2, 3))
        assert image_hash(open_image(source)) == before


def test_the_file_can_be_deleted_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "picture.gif"
    path.write_bytes(encoded(quadrants(), "GIF"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        image = open_image(path)
        path.unlink()
        assert corners(image) == [RED, GREEN, BLUE, WHITE]


# -- bad input ---------------------------------------------------------------------------------------------------------


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost nothing: what a decompression bomb looks like."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def truncated(kind: str) -> bytes:
    rng = np.random.default_rng(0)
    data = encoded(Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)), kind)
    return data[: len(data) // 2]


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
"""Pillow would have another program run it."""

BAD = {
    "empty.png": (b"", "is empty (0 bytes): copy or download it again"),
    "notes.txt": (b"this is not a picture", "convert it to PNG or JPEG"),
    "half.jpg": (truncated("JPEG"), "copy or download it again"),
    "half.png": (truncated("PNG"), "copy or download it again"),
    "half.webp": (truncated("WEBP"), "copy or download it again"),
    "program.eps": (EPS, "convert it to PNG or JPEG"),
    "header.jpg": (truncated("JPEG")[:12], ""),
    "bomb.png": (png_header(20_000, 20_000), f"more than {MAX_MEGAPIXELS} megapixels, the limit: make it smaller"),
    "large.png": (png_header(10_001, 10_000), f"more than {MAX_MEGAPIXELS} megapixels, the limit: make it smaller"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gives_one_line_with_its_name_and_the_fix(tmp_path: Path, name: str) -> None:
    data, fix = BAD[name]
    path = tmp_path / name
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one line, not a warning and a line
        for source, subject in ((path, str(path)), (data, "the image")):
            with pytest.raises(LionError) as caught:
                open_image(source)
            message = str(caught.value)
            assert message.startswith(subject) and fix in message and "\n" not in message


def test_the_largest_allowed_size_passes_the_limit(tmp_path: Path) -> None:
    with pytest.raises(LionError, match="cannot be decoded"):  # refused for its missing pixels, not for its size
        open_image(png_header(10_000, 1_000 * MAX_MEGAPIXELS // 10))


def test_missing_folder_and_address(tmp_path: Path) -> None:
    with pytest.raises(LionError, match=r"nothing\.png: there is no such file; check the path"):
        open_image(tmp_path / "nothing.png")
    with pytest.raises(LionError, match="is a folder: name the pictures in it"):
        open_image(tmp_path)
    with pytest.raises(LionError, match="is a web address: download"):
        open_image("https://example.org/cat.jpg")
    with pytest.raises(LionError, match="there is no such file"):
        open_image("null\0byte.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes exist on Unix only")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(LionError, match="not an ordinary file"):
        open_image(tmp_path / "pipe.png")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(quadrants(), "PNG"))
    path.chmod(0)
    with pytest.raises(LionError, match="permission"):
        open_image(path)


def test_a_lazy_pil_image_that_is_cut_off_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    path.write_bytes(truncated("JPEG"))
    with pytest.raises(LionError, match=r"half\.jpg cannot be decoded"):
        open_image(Image.open(path))


# -- hash --------------------------------------------------------------------------------------------------------------


def test_hash_is_stable_across_versions_and_machines() -> None:
    assert image_hash(quadrants(4, 2)) == "60d834dcc59f247c8302e0e0fe2b2f0e"


def test_hash_sees_pixels_and_size_not_the_file() -> None:
    image = quadrants()
    assert image_hash(Image.open(io.BytesIO(encoded(image, "PNG")))) == image_hash(image)
    assert image_hash(Image.open(io.BytesIO(encoded(image, "BMP")))) == image_hash(image)
    assert image_hash(image.convert("RGBA")) == image_hash(image)
    changed = image.copy()
    changed.putpixel((3, 3), (254, 0, 0))
    assert image_hash(changed) != image_hash(image)
    assert image_hash(Image.new("RGB", (4, 2))) != image_hash(Image.new("RGB", (2, 4)))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise_anything_else(data: bytes) -> None:
    with pytest.raises(LionError):
        open_image(data)


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_damaged_byte_is_a_picture_or_an_error_of_ours(position: int, value: int) -> None:
    data = bytearray(encoded(quadrants(), "JPEG"))
    data[position % len(data)] = value
    try:
        assert open_image(bytes(data)).mode == "RGB"
    except LionError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", SEEN)
def test_the_stored_size_and_its_orientation_are_read_from_the_header(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(quadrants(), kind, exif=exif)
    assert stored_size(data) == ((40, 20), orientation)
    (tmp_path / "a").write_bytes(data)
    assert stored_size(tmp_path / "a") == ((40, 20), orientation)


def test_an_orientation_that_does_not_exist_turns_nothing():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 9
    data = encoded(quadrants(), "JPEG", exif=exif)
    assert stored_size(data) == ((40, 20), 1) and open_image(data).size == (40, 20)


# -- PIL images: straight from a file, or made by hand -----------------------------------------------------------------


def turned_file(orientation=6):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return Image.open(io.BytesIO(encoded(quadrants(), "PNG", exif=exif)))


BY_HAND = {
    "rotate": lambda image: image.rotate(-90, expand=True),
    "transpose": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "exif_transpose": lambda image: ImageOps.exif_transpose(image),
    "convert": lambda image: image.convert("RGB"),
    "grey": lambda image: image.convert("L"),
    "crop": lambda image: image.crop((0, 0, 30, 20)),
    "resize": lambda image: image.resize((80, 40)),
    "copy": lambda image: image.copy(),
    "pixels": lambda image: Image.fromarray(np.asarray(image)),
}


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("change", BY_HAND)
def test_a_picture_made_by_hand_is_taken_by_its_pixels(change, orientation):
    """It keeps the file's EXIF block, also where it was turned since."""
    image = BY_HAND[change](turned_file(orientation))
    assert np.array_equal(np.asarray(open_image(image)), np.asarray(image.convert("RGB")))


def test_a_picture_straight_from_a_file_is_turned_as_its_file():
    image = turned_file()
    assert corners(open_image(image)) == SEEN[6]
    image.load()
    assert corners(open_image(image)) == SEEN[6]
    ImageOps.exif_transpose(image, in_place=True)
    assert corners(open_image(image)) == SEEN[6]


# -- arrays, open files, addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_arrays_are_pictures(mode):
    image = quadrants().convert(mode)
    assert open_image(np.asarray(image)).tobytes() == image.convert("RGB").tobytes()
    assert open_image(np.asarray(image)[::-1]).tobytes() == ImageOps.flip(image.convert("RGB")).tobytes()


def test_an_array_of_a_picture_that_is_transparent_lies_on_white_and_is_copied():
    array = np.zeros((2, 2, 4), np.uint8)
    image = open_image(array)
    assert corners(image) == [WHITE] * 4
    grey = np.zeros((2, 2), np.uint8)
    image = open_image(grey)
    grey[:] = 255
    assert corners(image) == [(0, 0, 0)] * 4


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3)), r"array of float64 .* uint8, 0 to 255; .*\(255 \* array\).round\(\).astype\('uint8'\)"),
        (np.zeros((4, 4), np.float32), "array of float32"),
        (np.zeros((4, 4), bool), r"array of bool .*: \(255 \* array\).round\(\).astype\('uint8'\)"),
        (np.zeros((4, 4), np.uint16), r"array of uint16 .* from 0 to 65535: \(array // 257\).astype\('uint8'\)"),
        (np.zeros((4, 4), np.int32), r"array of int32 .* array.clip\(0, 255\).astype\('uint8'\)"),
        (np.array("a.png"), "array of <U5"),
        (np.zeros((3, 8, 9), np.uint8), r"channels first: array.transpose\(1, 2, 0\)"),
        (np.zeros((1, 8, 9), np.uint8), "channels first"),
        (np.zeros((4, 8, 9), np.uint8), "channels first"),
        (np.zeros((8, 8, 2), np.uint8), r"shape \(8, 8, 2\) is no picture: give \(height, width\)"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"shape \(2, 8, 8, 3\) is no picture"),
        (np.zeros((8,), np.uint8), "is no picture"),
        (np.zeros((0, 4, 3), np.uint8), "is no picture"),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else "",
)
def test_other_arrays_are_refused_with_the_fix(array, message):
    with pytest.raises(LionError, match=message):
        open_image(array)


@pytest.mark.parametrize("kind", [bool, np.uint16, np.int16, np.int64, np.float16, np.float64])
def test_what_the_error_advises_keeps_the_picture(kind):
    top = {np.uint16: 65535, np.int16: 255, np.int64: 255}.get(kind, 1)
    array = np.array([[0, top], [top, 0]], kind)
    with pytest.raises(LionError) as error:
        open_image(array)
    advised = {
        "(255 * array).round().astype('uint8')": lambda: (255 * array).round().astype("uint8"),
        "(array // 257).astype('uint8')": lambda: (array // 257).astype("uint8"),
        "array.clip(0, 255).astype('uint8')": lambda: array.clip(0, 255).astype("uint8"),
    }
    assert advised[str(error.value).rpartition(": ")[2]]().tolist() == [[0, 255], [255, 0]]


def test_open_files_are_pictures_wherever_they_stand(tmp_path):
    data = encoded(quadrants(), "PNG")
    (tmp_path / "a.png").write_bytes(data)
    buffer = io.BytesIO()
    buffer.write(data)  # its position is at the end now
    with open(tmp_path / "a.png", "rb") as file:
        for source in (buffer, buffer, file, file, bytearray(data), memoryview(data)):
            assert corners(open_image(source)) == [RED, GREEN, BLUE, WHITE]


def test_what_can_only_be_read_once_is_a_picture_too():
    class Stream:
        def read(self):
            return encoded(quadrants(), "PNG")

    assert corners(open_image(Stream())) == [RED, GREEN, BLUE, WHITE]


def test_open_files_that_cannot_be_read_are_told(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(quadrants(), "PNG"))
    with open(path) as text, pytest.raises(LionError, match=r"a\.png is opened as text: open it with mode 'rb'"):
        open_image(text)
    with pytest.raises(LionError, match=r"a\.png cannot be read \(.*closed"):
        open_image(text_closed(path))
    with path.open("ab") as file, pytest.raises(LionError, match=r"a\.png cannot be read"):
        open_image(file)
    with pytest.raises(LionError, match=r"the image is empty"):
        open_image(io.BytesIO())


def text_closed(path):
    with path.open("rb") as file:
        return file


def data_uri(head="data:image/png;base64,"):
    return head + base64.b64encode(encoded(quadrants(), "PNG")).decode()


@pytest.mark.parametrize("head", ["data:image/png;base64,", "DATA:;BASE64,", "data:image/png;charset=x;base64,"])
def test_data_uris_are_pictures(head):
    assert corners(open_image(data_uri(head))) == [RED, GREEN, BLUE, WHITE]
    assert corners(open_image(data_uri(head).replace("=", "%3D"))) == [RED, GREEN, BLUE, WHITE]
    plain = "data:image/png," + quote(encoded(quadrants(), "PNG"))
    assert corners(open_image(plain)) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (data_uri() + "!", r"is not base64 \(.*\): copy it whole"),
        (data_uri()[:-3], "copy it whole|cannot be decoded"),
        ("data:image/png;base64,", r"is empty"),
        ("data:image/png;base64", r"is empty"),
        ("data:image/png;base64," + "QUJD" * 999, "convert it to PNG or JPEG"),
        ("QUJD" * 999, "there is no such file|name too long"),
        ("QU/JD" * 999, "there is no such file|name too long"),
    ],
)
def test_content_is_never_repeated_whole_in_an_error(text, message):
    with pytest.raises(LionError, match=message) as caught:
        open_image(text)
    assert str(caught.value).startswith(text[:20]) and len(str(caught.value)) < 200


def test_file_urls_are_paths(tmp_path):
    path = tmp_path / "a picture #1?.png"
    path.write_bytes(encoded(quadrants(), "PNG"))
    for url in (path.as_uri(), f"file://localhost{path}", f"FILE://{path}", f"file:{path}", f"file://{path}"):
        assert corners(open_image(url)) == [RED, GREEN, BLUE, WHITE]
    with pytest.raises(LionError, match="there is no such file"):
        open_image(f"file://{tmp_path}/nothing.png")


@pytest.mark.parametrize(
    "address", ["https://x.org/a.jpg", "HTTPS://x.org/a.jpg", "Http://x.org/a.jpg", "ftp://x/a", "file://server/a.png"]
)
def test_web_addresses_are_refused_in_any_case(address):
    with pytest.raises(LionError, match=f"^{address} is a web address: download the picture and name the file$"):
        open_image(address)
    if not address.startswith("file"):
        with pytest.raises(LionError, match="is a web address"):
            open_image(Path(address))


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes(encoded(quadrants(), "PNG"))
    assert open_image("~/a.png").size == open_image(Path("~/a.png")).size == (40, 20)


@pytest.mark.parametrize("source", [None, 3, [1], {"path": "a.png"}, object()], ids=type)
def test_what_is_no_picture_at_all_is_told_what_one_is(source):
    with pytest.raises(LionError, match=f"a picture is a path, .* NumPy array, not {type(source).__name__}$"):
        open_image(source)


# -- colours named as transparent in every depth of a PNG --------------------------------------------------------------


def png(depth, colour, pixels, transparent, palette=b""):
    """A PNG of one row of two pixels, written by hand: Pillow writes few of these depths."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, depth, colour, 0, 0, 0))]
    parts += [chunk(b"PLTE", palette)] if palette else []
    parts += [chunk(b"tRNS", transparent)] if transparent else []
    parts += [chunk(b"IDAT", zlib.compress(b"\0" + pixels)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def words(*values):
    return struct.pack(f">{len(values)}H", *values)


GREY, RGB, INDEXED, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
TRANSPARENT = {
    "grey 1": (png(1, GREY, b"\x40", words(0)), 255),
    "grey 2": (png(2, GREY, b"\x60", words(1)), 170),
    "grey 4": (png(4, GREY, b"\x5a", words(5)), 170),
    "grey 8": (png(8, GREY, b"\x05\x09", words(5)), 9),
    "grey 16": (png(16, GREY, words(1234, 51400), words(1234)), 200),
    "grey 16, a neighbour": (png(16, GREY, words(1234, 1235), words(1234)), 5),
    "rgb 8": (png(8, RGB, bytes([1, 2, 3, 9, 9, 9]), words(1, 2, 3)), 9),
    "rgb 16": (png(16, RGB, words(1234, 2345, 3456, 2570, 2570, 2570), words(1234, 2345, 3456)), 10),
    "rgb 16, dark": (png(16, RGB, words(200, 200, 200, 2570, 2570, 2570), words(200, 200, 200)), 10),
    "palette 1": (png(1, INDEXED, b"\x40", b"\x00", bytes([0] * 3 + [9] * 3)), 9),
    "palette 4": (png(4, INDEXED, b"\x01", b"\x00\xff", bytes([0] * 3 + [9] * 3)), 9),
    "palette 8, in part": (png(8, INDEXED, b"\x00\x01", b"\x00\x80", bytes([0] * 6)), 127),
    "grey and alpha 16": (png(16, GREY_ALPHA, words(1234, 0, 51400, 65535), b""), 200),
    "rgb and alpha 16": (png(16, RGB_ALPHA, words(1, 1, 1, 0, 51400, 51400, 51400, 65535), b""), 200),
}


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_the_transparent_colour_of_any_depth_lies_on_white(kind):
    data, shade = TRANSPARENT[kind]
    for source in (data, Image.open(io.BytesIO(data))):
        image = open_image(source)
        assert [image.getpixel((x, 0)) for x in (0, 1)] == [WHITE, (shade,) * 3]


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I"])
def test_deep_grey_in_memory_may_name_a_transparent_value(mode):
    image = Image.new(mode, (2, 1), 51400)
    image.putpixel((0, 0), 300)
    image.info["transparency"] = 300
    assert [open_image(image).getpixel((x, 0)) for x in (0, 1)] == [WHITE, (200,) * 3]
    assert image.info == {"transparency": 300}


def test_endings_are_those_that_pillow_reads_here():
    assert {".png", ".jpg", ".jpe", ".jfif", ".jp2", ".webp", ".tif", ".ppm", ".heic"} - suffixes() <= {".heic"}
    assert suffixes().isdisjoint({".eps", ".ps", ".pdf", ".mpg", ".h5", ".txt", ".json", ".grib", ".wmf", ""})
    for ending in (".avif", ".jp2"):
        assert (ending in suffixes()) == (Image.registered_extensions().get(ending) in Image.OPEN)


def test_a_closed_picture_and_an_empty_name_are_no_damage(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    closed = Image.open(tmp_path / "a.png")
    closed.close()
    with pytest.raises(LionError, match=r"closed image.*open it again$"):
        open_image(closed)
    with pytest.raises(LionError, match="name is empty"):
        open_image("")


def test_pixels_are_counted_by_the_header_alone():
    assert pixel_count(png_header(9_000, 10_000)) == 90_000_000
    with pytest.raises(LionError, match=f"more than {MAX_MEGAPIXELS} megapixels"):
        pixel_count(png_header(10_001, 10_000))
