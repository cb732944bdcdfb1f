"""Pictures: ink fills boxes exactly, objects stay visible and readable, any size works, and it is fast."""

import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lion.boxes import Box
from lion.errors import LionError
from lion.random import stream
from lion.world import CATEGORIES, COLOURS, THEMES, Scene, SceneObject, caption, render, scene
from lion.world.backgrounds import background
from lion.world.dialog import dialog
from lion.world.draw import COLOUR_RGB, FIXED_TONES, ICONS, _sprite, extents
from lion.world.language import expression, vqa
from lion.world.scene import BACKGROUNDS
from lion.world.vocabulary import ASPECT


def ink_mask(obj: SceneObject, pixels: int = 256) -> Image.Image:
    """How much of each pixel the object covers, ignoring nearer objects: an "L" picture, 255 where it is opaque."""
    mask = Image.new("L", (pixels, pixels))
    left, top, right, bottom = (round(edge * pixels) for edge in obj.box.xyxy())
    sprite = _sprite(obj.category, obj.colour, right - left, bottom - top).getchannel("A")
    mask.paste(sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if obj.mirrored else sprite, (left, top))
    return mask


def pixels_of(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, dtype=np.int16)


@pytest.mark.parametrize("index", range(40))
def test_ink_touches_its_box(index):
    one = scene("test", index)
    for obj in one.objects:
        alone = replace(one, objects=(obj,))
        changed = np.abs(pixels_of(render(alone)) - pixels_of(render(replace(one, objects=())))).max(axis=2) > 24
        ys, xs = np.nonzero(changed)
        ink = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert np.abs(np.array(ink) - np.array(obj.box.to_pixel(256, 256).xyxy())).max() <= 1.5, obj


def test_every_object_is_mostly_visible():
    hidden = 0
    for index in range(300):
        covered = np.zeros((128, 128), bool)
        for obj in reversed(scene("train", index).objects):
            ink = np.asarray(ink_mask(obj, 128)) > 127
            visible = (ink & ~covered).sum() / ink.sum()
            assert visible >= 0.65, (index, obj)
            hidden += visible < 0.99
            covered |= ink
    assert hidden > 60, "occlusion does occur"


@pytest.mark.parametrize("category", CATEGORIES)
def test_icons_have_the_declared_shape(category):
    layers = ICONS[category]()
    x1, y1, x2, y2 = extents(layers)
    assert (x2 - x1) / (y2 - y1) == pytest.approx(ASPECT[category], rel=0.02)
    assert {layer.tone for layer in layers} <= {"base", "light", "dark", *FIXED_TONES}
    for layer in layers:
        if not layer.edge:
            assert all(x1 <= x <= x2 and y1 <= y <= y2 for x, y in layer.points)


def lone(category: str, colour: str, theme: str = "park", long: float = 0.4) -> Scene:
    aspect = ASPECT[category]
    w, h = (long, long / aspect) if aspect >= 1 else (long * aspect, long)
    return Scene("x", "train", theme, 0, (SceneObject(category, colour, "large", Box(0.3, 0.3, 0.3 + w, 0.3 + h)),))


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_colour_named_is_the_colour_seen(category):
    for colour in COLOURS:
        one = lone(category, colour)
        ink = np.asarray(ink_mask(one.objects[0])) > 250
        seen = pixels_of(render(one))[ink]
        near = {name: (np.abs(seen - np.array(rgb)).sum(axis=1) < 40).sum() for name, rgb in COLOUR_RGB.items()}
        others = [name for name in near if name not in (colour, "white")]
        assert near[colour] > 0.2 * len(seen), (colour, near)
        assert all(near[name] < 0.5 * near[colour] for name in others), (colour, near)


@pytest.mark.parametrize("theme", THEMES)
def test_no_colour_drowns_in_a_background(theme):
    for variant in range(BACKGROUNDS):
        scenery = pixels_of(background(theme, variant, 64)).reshape(-1, 3)
        for colour, rgb in COLOUR_RGB.items():
            same = np.abs(scenery - np.array(rgb)).sum(axis=1) < 60
            assert same.mean() < (0.3 if colour == "white" else 0.02), (theme, variant, colour)


def test_backgrounds_differ_and_are_left_alone():
    kept = background("park", 0, 128)
    before = kept.tobytes()
    render(replace(scene("train", 0), theme="park", background=0), 128)
    assert background("park", 0, 128).tobytes() == before
    pictures = {background(theme, variant, 64).tobytes() for theme in THEMES for variant in range(BACKGROUNDS)}
    assert len(pictures) == len(THEMES) * BACKGROUNDS


@pytest.mark.parametrize("pixels", [32, 128, 224, 1024])
def test_any_size(pixels):
    picture = render(scene("val", 3), pixels)
    assert (picture.mode, picture.size) == ("RGB", (pixels, pixels))
    small = pixels_of(picture.resize((32, 32), Image.Resampling.BOX))
    reference = pixels_of(render(scene("val", 3)).resize((32, 32), Image.Resampling.BOX))
    assert np.abs(small - reference).mean() < 6, "the same picture at every size"


def test_mirroring_turns_the_icon_in_its_box():
    one = lone("fish", "red")
    turned = replace(one, objects=(replace(one.objects[0], mirrored=True),))
    masks = [np.asarray(ink_mask(each.objects[0])) for each in (one, turned)]
    left, right = round(0.3 * 256), round(one.objects[0].box.x2 * 256)
    assert (masks[0][:, left:right] == masks[1][:, left:right][:, ::-1]).all()
    assert (masks[0] != masks[1]).any()


@pytest.mark.parametrize("pixels", [0, 31, 2049])
def test_unreasonable_sizes_are_refused(pixels):
    with pytest.raises(LionError):
        render(scene("val", 0), pixels)


@pytest.mark.slow
def test_two_hundred_scenes_a_second():
    """Sampling, drawing at 256 pixels and one text of each kind, on one core with warm caches."""

    def work(index: int) -> None:
        one, rng = scene("train", index), stream("speed", index)
        render(one)
        caption(one, rng), vqa(one, rng), expression(one, rng), dialog(one, rng)

    for index in range(500):
        work(index)
    start = time.process_time()
    for index in range(1000, 2000):
        work(index)
    assert 1000 / (time.process_time() - start) >= 200
