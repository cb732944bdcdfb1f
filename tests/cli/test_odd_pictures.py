"""Odd pictures from file to saved box: answered as people see them."""

import csv

import numpy as np
import pytest
from PIL import Image

from lion.pipeline.drawing import COLOURS

LEFT_HALF = "[0.00,0.00,0.50,1.00]"


def one_pixel(path):
    Image.new("RGB", (1, 1), "red").save(path.with_suffix(".png"))
    return path.with_suffix(".png"), (1, 1)


def animated_gif(path):
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue")]
    frames[0].save(path.with_suffix(".gif"), save_all=True, append_images=frames[1:])
    return path.with_suffix(".gif"), (60, 40)


def cmyk(path):
    Image.new("CMYK", (60, 40), (0, 255, 255, 0)).save(path.with_suffix(".jpg"), quality=95)
    return path.with_suffix(".jpg"), (60, 40)


def grey_16_bit(path):
    Image.fromarray(np.linspace(0, 65535, 60 * 40).reshape(40, 60).astype(np.uint16)).save(path.with_suffix(".png"))
    return path.with_suffix(".png"), (60, 40)


def palette_with_alpha(path):
    image = Image.new("P", (60, 40), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.info["transparency"] = 1
    image.save(path.with_suffix(".png"), transparency=1)
    return path.with_suffix(".png"), (60, 40)


def rotated_by_exif(path):
    """Stored 60 x 40; people see 40 x 60, its left half red and its right half white."""
    seen = Image.new("RGB", (40, 60), "white")
    seen.paste("red", (0, 0, 20, 60))
    exif = Image.Exif()
    exif[274] = 6  # people see it turned by 90 degrees clockwise
    seen.rotate(90, expand=True).save(path.with_suffix(".png"), exif=exif)
    return path.with_suffix(".png"), (40, 60)


ODD = [one_pixel, animated_gif, cmyk, grey_16_bit, palette_with_alpha, rotated_by_exif]


@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
def test_odd_pictures_are_answered(run, checkpoint, tmp_path, make):
    """By the model itself, nothing replaced."""
    path, _ = make(tmp_path / "odd")
    ran = run("ask", path, "what is it?", "-m", checkpoint, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.rows[0]["ok"] and ran.rows[0]["text"] and ran.rows[0]["tags"]


@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
def test_boxes_land_where_people_see_them(run, says, checkpoint, tmp_path, make):
    says(LEFT_HALF)
    path, (width, height) = make(tmp_path / "odd")
    saved = tmp_path / "saved.png"

    ran = run("locate", path, "the left half", "-m", checkpoint, "--json", "--save", saved)

    assert (ran.code, ran.err) == (0, "")
    (box,) = ran.rows[0]["boxes"]
    assert box["unit"] == [0, 0, 0.5, 1] and box["pixel"] == [0, 0, width / 2, height]
    drawn = np.asarray(Image.open(saved).convert("RGB"))
    colour = tuple(int(COLOURS[0][at : at + 2], 16) for at in (1, 3, 5))
    rows, columns = np.nonzero((drawn == colour).all(axis=-1))
    enlarged = -(-320 // max(width, height))
    assert rows.max() == height * enlarged - 1
    assert width * enlarged / 2 - 2 <= columns[rows == rows.max()].max() < width * enlarged / 2 + 1


def test_the_turned_picture_is_saved_upright(run, says, checkpoint, tmp_path):
    says("[0.60,0.60,0.90,0.90]")
    path, (width, height) = rotated_by_exif(tmp_path / "odd")
    run("locate", path, "x", "-m", checkpoint, "--save", tmp_path / "saved.png")
    drawn = Image.open(tmp_path / "saved.png").convert("RGB")
    factor = -(-320 // max(width, height))
    assert drawn.getpixel((5, height * factor // 2)) == (255, 0, 0)
    assert drawn.getpixel(((width - 1) * factor, 5)) == (255, 255, 255)


def test_a_region_of_a_turned_picture_is_the_one_people_see(run, checkpoint, tmp_path):
    """40 x 60 as seen: a box 60 high fits, one 60 wide does not."""
    path, _ = rotated_by_exif(tmp_path / "odd")
    assert run("describe", path, "--pixels", "--box", "0,0,40,60", "-m", checkpoint).code == 0
    assert run("describe", path, "--pixels", "--box", "0,0,60,40", "-m", checkpoint).code == 2


def test_every_dark_picture_is_named_and_its_rows_say_so(run, checkpoint, tmp_path):
    for name, peak in (("a", 4095), ("b", 65535), ("c", 4000)):
        Image.fromarray(np.linspace(0, peak, 2400).reshape(40, 60).astype(np.uint16)).save(tmp_path / f"{name}.png")
    dark = "the picture is nearly black: its largest value is {} of 65535; if it holds 12 bits, save it with its values"
    words = ("locate", tmp_path, "the dog", "--and", "the cat", "-m", checkpoint)
    ran = run(*words, "--json")
    notes = [row["note"] for row in ran.rows]
    assert [bool(note) for note in notes] == [True, True, False, False, True, True]
    assert notes[0].startswith(dark.format(4095)) and notes[5].startswith(dark.format(4000))
    lines = [line for line in ran.err.splitlines() if "nearly black" in line]
    assert [line.split(": ")[:3] for line in lines] == [
        ["lion", "note", str(tmp_path / f"{name}.png")] for name in "ac"
    ]
    run("caption", tmp_path, "-m", checkpoint, "--export", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open() as file:
        assert [bool(row["note"]) for row in csv.DictReader(file)] == [True, False, True]
