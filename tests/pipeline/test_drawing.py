"""Annotated pictures: boxes where they belong, letters that can be read, files that are whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lion.boxes import Box
from lion.errors import LionError
from lion.pipeline import LabelledBox, annotate, save_picture
from lion.pipeline.drawing import COLOURS, SMALLEST_SIDE, _overlap, _Pen

LONG = "a very long label " * 10
UNIT = st.floats(0, 1)


def labelled(label, *box, size=(400, 300)):
    return LabelledBox.of(label, Box(*box), size)


def coloured(image, colour):
    """Columns and rows (left, top, right, bottom; inclusive) that hold exactly this colour."""
    rgb = tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))
    rows, columns = np.nonzero((np.asarray(image) == rgb).all(axis=-1))
    return columns.min(), rows.min(), columns.max(), rows.max()


def test_what_holds_a_picture_is_drawn_and_saved(pipeline, picture, tmp_path):
    look = pipeline.look(picture)
    picture.save(tmp_path / "given.png")
    for number, held in enumerate((look, picture, tmp_path / "given.png", np.asarray(picture))):
        save_picture(held, tmp_path / f"{number}.png")
        assert np.array_equal(Image.open(tmp_path / f"{number}.png"), picture)
        assert np.array_equal(annotate(held, text="a car"), annotate(picture, text="a car"))
    with pytest.raises(LionError, match=r"annotate\(look, answer.boxes"):
        save_picture(pipeline.tags(look), tmp_path / "answer.png")
    with pytest.raises(LionError, match="not int"):
        save_picture(3, tmp_path / "none.png")


def test_the_frame_lies_on_the_box():
    drawn = annotate(Image.new("RGB", (400, 300), "gray"), [labelled("", 0.25, 0.5, 0.75, 1.0)])
    assert drawn.size == (400, 300)
    assert coloured(drawn, COLOURS[0]) == (100, 150, 299, 299)


def test_several_boxes_have_several_colours_and_their_labels_keep_apart():
    boxes = [labelled("car", 0.1, 0.1, 0.6, 0.6), labelled("tree", 0.12, 0.12, 0.5, 0.5), labelled("", 0.7, 0.7, 1, 1)]
    drawn = annotate(Image.new("RGB", (400, 300), "gray"), boxes)
    assert len({coloured(drawn, colour) for colour in COLOURS[:3]}) == 3


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 500), (500, 1), (7, 3), (128, 128), (640, 480), (4000, 100), (100, 4000), (8000, 6000)]
)
def test_every_size_holds_readable_letters(size):
    drawn = annotate(
        Image.new("RGB", size, "gray"), [labelled("a red car", 0, 0, 1, 1, size=size)], "Q: what?\nA: a car"
    )
    assert drawn.width >= max(SMALLEST_SIDE, size[0]) and drawn.height >= size[1]
    letter = _Pen.for_canvas(*drawn.size).measure("X")[1]
    assert 14 <= letter <= max(40, 0.06 * max(drawn.size))
    strip = np.asarray(drawn.crop((0, drawn.height - letter, drawn.width, drawn.height)).convert("L"))
    assert (strip < 60).sum() > 20, "no dark letters in the strip"
    assert coloured(drawn, COLOURS[0])


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    corners=st.lists(st.tuples(UNIT, UNIT, UNIT, UNIT), max_size=4),
    label=st.one_of(st.text(max_size=40), st.just(LONG)),
    text=st.text(max_size=80),
)
def test_anything_can_be_drawn(size, corners, label, text):
    boxes = [
        labelled(label, min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2), size=size) for x1, y1, x2, y2 in corners
    ]
    drawn = annotate(Image.new("L", size), boxes, text)
    assert drawn.mode == "RGB" and drawn.width >= size[0] and drawn.height >= size[1]


@given(text=st.text(max_size=200), room=st.integers(60, 400))
def test_wrapped_text_fits_and_loses_nothing(text, room):
    pen = _Pen.for_canvas(400, 300)
    wrapped = pen.wrap(text, room)
    assert all(pen.font.getlength(line) <= room for line in wrapped.split("\n"))
    assert "".join(wrapped.split()) == "".join(text.split())


@pytest.mark.parametrize("size", [(20_000, 1_000), (1_000, 20_000), (8_000, 200)])
def test_letters_on_a_long_picture_follow_its_short_side(size):
    drawn = annotate(Image.new("RGB", size), [], "a cat and a dog")
    assert drawn.width == size[0] and drawn.height < 1.2 * size[1] + 40


def test_a_picture_too_thin_to_draw_on_is_an_error():
    assert annotate(Image.new("RGB", (1_000_000, 1)), [], "a cat").height < 50
    with pytest.raises(LionError, match="1 x 1000000 is too long and thin to be drawn on"):
        annotate(Image.new("RGB", (1, 1_000_000)), [], "a cat")


def test_overlap_is_of_areas():
    assert _overlap((0, 0, 2, 2), (1, 1, 3, 3))
    assert not _overlap((0, 0, 2, 2), (2, 0, 4, 2))


def test_the_picture_itself_stays_as_it_was():
    image = Image.new("RGB", (50, 50), "gray")
    before = image.tobytes()
    annotate(image, [labelled("x", 0, 0, 1, 1, size=(50, 50))], "text")
    assert image.tobytes() == before


@pytest.mark.parametrize(
    ("name", "format"), [("x.png", "PNG"), ("X.JPG", "JPEG"), ("x.jpeg", "JPEG"), ("x.webp", "WEBP")]
)
def test_saved_in_the_format_of_the_name(tmp_path, name, format):
    path = tmp_path / "new" / name
    save_picture(Image.new("RGB", (5, 5)), path)
    assert Image.open(path).format == format
    assert [entry.name for entry in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", ["x", "x.txt", "x.gif"])
def test_unknown_formats_are_refused(tmp_path, name):
    with pytest.raises(LionError, match="must end in"):
        save_picture(Image.new("RGB", (5, 5)), tmp_path / name)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LionError, match="cannot save"):
        save_picture(Image.new("RGB", (5, 5)), tmp_path / "file" / "x.png")


def test_a_file_is_drawn_on_as_people_see_it(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    stored = Image.linear_gradient("L").resize((500, 400)).convert("RGB")
    stored.save(tmp_path / "turned.png", exif=exif)
    drawn = annotate(Image.open(tmp_path / "turned.png"))
    assert drawn.size == (400, 500) and drawn == annotate(tmp_path / "turned.png") == annotate(
        stored.rotate(-90, expand=True)
    )
    clear = annotate(Image.new("RGBA", (400, 300), (0, 0, 0, 0)))
    assert clear.getpixel((200, 150)) == (255, 255, 255)
    with pytest.raises(LionError, match="a picture is a path"):
        annotate(5)
