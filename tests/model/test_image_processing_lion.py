"""Pictures to pixels: bit for bit as the released transform makes them."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from lion.errors import LionError
from lion.images import open_image
from lion.model import LionImageProcessor
from tests.parity.released import GOLDEN

PREPROCESS = GOLDEN / "preprocess"
PICTURES = ("image_300x200", "image_61x83")


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("side", [56, 224])
def test_pictures_equal_the_released_transform(name, side):
    """Exactly, up to Pillow 13's own change of some downscales (golden/README, Preprocess)."""
    golden = np.load(PREPROCESS / "resized_u8.npz")
    keys = [key for key in (f"{name}.bicubic_{side}_u8", f"{name}.bicubic_{side}_u8_pillow13") if key in golden]
    ours = LionImageProcessor(side).resize(Image.open(PREPROCESS / f"{name}.png"))
    assert any(np.array_equal(ours, golden[key]) for key in keys)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(("side", "suffix"), [(56, ""), (224, "_f16")])
def test_normalisation_is_exact(name, side, suffix):
    golden = load_file(PREPROCESS / "tensors.safetensors")[f"{name}.lion_eval_{side}{suffix}"]
    resized = np.load(PREPROCESS / "resized_u8.npz")[f"{name}.bicubic_{side}_u8"]
    ours = LionImageProcessor(side).normalize(resized[None])[0]
    assert torch.equal(ours.to(golden.dtype), golden)


def test_constants_are_clips():
    constants = json.loads((PREPROCESS / "config.json").read_text())["lion_eval"]
    processor = LionImageProcessor()
    assert [processor.image_size, processor.image_mean, processor.image_std] == [
        constants["S"],
        constants["mean"],
        constants["std"],
    ]


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
MEAN, STD = (torch.tensor(getattr(LionImageProcessor(), name)).view(3, 1, 1) for name in ("image_mean", "image_std"))
PLAIN = LionImageProcessor(56)(PICTURE)["pixel_values"][0]


@pytest.fixture(params=["at construction", "in a call", "from a file"])
def pixels(request, tmp_path):
    """A function from an option to the picture's pixels with it."""

    def process(**option):
        if request.param == "in a call":
            return LionImageProcessor(56)(PICTURE, **option)["pixel_values"][0]
        own = LionImageProcessor(**{"image_size": 56} | option)
        if request.param == "from a file":
            own.save_pretrained(tmp_path)
            own = LionImageProcessor.from_pretrained(tmp_path)
        return own(PICTURE)["pixel_values"][0]

    return process


def test_no_normalisation(pixels):
    torch.testing.assert_close(pixels(do_normalize=False), PLAIN * STD + MEAN)


def test_no_rescaling(pixels):
    torch.testing.assert_close(
        pixels(do_rescale=False), ((PLAIN * STD + MEAN) * 255 - MEAN) / STD, rtol=1e-5, atol=1e-4
    )


def test_another_rescaling(pixels):
    torch.testing.assert_close(pixels(rescale_factor=1 / 127.5), ((PLAIN * STD + MEAN) * 2 - MEAN) / STD)


@pytest.mark.parametrize("mean", [0, [0, 0, 0], (0.0, 0.0, 0.0)])
def test_another_mean_and_deviation(pixels, mean):
    torch.testing.assert_close(pixels(image_mean=mean, image_std=1.0), PLAIN * STD + MEAN)


@pytest.mark.parametrize("size", [28, (28, 28), [28, 28], {"height": 28, "width": 28}, {"width": 28, "height": 28}])
def test_another_size(pixels, size):
    assert torch.equal(pixels(size=size), LionImageProcessor(28)(PICTURE)["pixel_values"][0])


def test_another_filter(pixels):
    assert torch.equal(
        pixels(resample=Image.Resampling.NEAREST), LionImageProcessor(56)(PICTURE, resample=0)["pixel_values"][0]
    )
    assert not torch.equal(pixels(resample=Image.Resampling.NEAREST), PLAIN)


def test_no_resizing(pixels):
    assert pixels(do_resize=False).shape == (3, 30, 40)


@pytest.mark.parametrize(
    "option",
    [
        {"do_convert_rgb": True},
        {"do_center_crop": False},
        {"do_pad": False},
        {"data_format": "channels_first"},
        {"size": None},
        {"do_normalize": None},
        {"crop_size": None},
    ],
)
def test_what_asks_for_nothing_else_is_accepted(pixels, option):
    assert torch.equal(pixels(**option), PLAIN)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"size": {"height": 28, "width": 56}}, "is no square; write size="),
        ({"size": {"shortest_edge": 28}}, "is no square; write size="),
        ({"do_center_crop": True}, "no use for do_center_crop=True"),
        ({"crop_size": {"height": 28, "width": 28}}, "no use for crop_size="),
        ({"do_pad": True}, "no use for do_pad=True"),
        ({"do_convert_rgb": False}, "no use for do_convert_rgb=False"),
        ({"data_format": "channels_last"}, "no use for data_format"),
        ({"device": "cuda"}, "no use for device"),
        ({"image_mean": [0.5]}, "image_mean has 1 values for the 3 channels"),
        ({"do_normalise": False}, "'do_normalise' is not an option"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(option, message):
    for run in (lambda: LionImageProcessor(56, **option), lambda: LionImageProcessor(56)(PICTURE, **option)):
        with pytest.raises(LionError, match=message) as caught:
            run()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "type_"), [("pt", torch.Tensor), ("np", np.ndarray), (None, list)])
def test_pixels_come_as_asked_for(kind, type_):
    found = LionImageProcessor(56)([PICTURE, PICTURE], return_tensors=kind)["pixel_values"]
    assert isinstance(found, type_) and len(found) == 2
    assert torch.equal(torch.as_tensor(np.stack(found)), torch.stack([PLAIN, PLAIN]))
    with pytest.raises(LionError, match='neither "pt" nor "np"'):
        LionImageProcessor(56)(PICTURE, return_tensors="tf")


ARRAY = np.asarray(PICTURE)


@pytest.mark.parametrize(
    "same",
    [
        ARRAY,
        ARRAY.transpose(2, 0, 1),
        ARRAY.astype(np.int64),
        ARRAY.astype(np.float32),
        ARRAY / 255,
        (ARRAY / 255).astype(np.float32),
        torch.from_numpy(ARRAY.copy()).permute(2, 0, 1),
        torch.from_numpy(ARRAY.copy()).permute(2, 0, 1) / 255,
        torch.from_numpy(ARRAY.copy()).permute(2, 0, 1)[None],
        ARRAY[None],
        [ARRAY],
        ([PICTURE],),
        [[ARRAY.transpose(2, 0, 1)]],
        np.dstack([ARRAY, np.full((30, 40), 255, np.uint8)]),
    ],
)
def test_arrays_tensors_and_nested_lists_are_pictures(same):
    assert torch.equal(LionImageProcessor(56)(same)["pixel_values"], PLAIN[None])


def test_grey_arrays_and_those_whose_shape_does_not_tell():
    grey = PICTURE.convert("L")
    golden = LionImageProcessor(56)(grey)["pixel_values"]
    for array in (np.asarray(grey), np.asarray(grey)[None], np.asarray(grey)[..., None]):
        assert torch.equal(LionImageProcessor(56)(array)["pixel_values"], golden)
    narrow = ARRAY[:3]
    with pytest.raises(LionError, match="needs input_data_format"):
        LionImageProcessor(56)(narrow)
    told = LionImageProcessor(56)(narrow, input_data_format="channels_last")["pixel_values"]
    assert torch.equal(told, LionImageProcessor(56)(Image.fromarray(narrow))["pixel_values"])


def test_a_path_is_opened(tmp_path):
    PICTURE.save(tmp_path / "a.png")
    assert torch.equal(LionImageProcessor(56)(str(tmp_path / "a.png"))["pixel_values"], PLAIN[None])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "there is no picture"),
        ([[], []], "there is no picture"),
        (7, "int is no picture"),
        (None, "NoneType is no picture"),
        ([{"image": PICTURE}], "dict is no picture"),
        (np.full((30, 40, 3), 300), "an array of int64 is no picture"),
        (ARRAY.astype(np.uint16) * 257, "an array of uint16 is no picture"),
        (PLAIN.numpy(), "an array of float32 is no picture"),
        (np.full((30, 40, 3), np.nan), "an array of float64 is no picture"),
        (np.zeros((30, 40, 3), bool), "an array of bool is no picture"),
        (np.zeros((0, 40, 3), np.uint8), "is no picture"),
        (np.zeros((30, 40, 5), np.uint8), "needs input_data_format"),
        (np.zeros(5, np.uint8), "needs input_data_format"),
    ],
)
def test_what_is_no_picture_is_named(images, message):
    with pytest.raises(LionError, match=message):
        LionImageProcessor(56)(images)


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


RAMP = np.arange(1200, dtype=np.uint16).reshape(30, 40)
HALF = Image.fromarray(np.dstack([ARRAY, np.tile(np.arange(40, dtype=np.uint8) * 6, (30, 1))]))
ODD = {
    "transparent": (HALF, "PNG", {}),
    "transparent grey": (HALF.convert("LA"), "PNG", {}),
    "transparent palette": (PICTURE.convert("P"), "PNG", {"transparency": 3}),
    "transparent colour": (PICTURE, "PNG", {"transparency": tuple(ARRAY[0, 0].tolist())}),
    "16 bits": (Image.fromarray(RAMP * 54), "PNG", {}),
    "floats": (Image.fromarray((RAMP / 1200).astype(np.float32)), "TIFF", {}),
    "CMYK": (PICTURE.convert("CMYK"), "TIFF", {}),
    "one bit": (PICTURE.convert("1"), "PNG", {}),
    **{f"turned {number}": (PICTURE, "JPEG", turned(number)) for number in range(2, 9)},
}


@pytest.mark.parametrize("name", ODD)
def test_pictures_are_opened_as_the_pipeline_opens_them(name, tmp_path):
    image, kind, options = ODD[name]
    image.save(path := tmp_path / f"a.{kind.lower()}", kind, **options)
    seen = LionImageProcessor(56)(np.asarray(open_image(path)))["pixel_values"]
    with path.open("rb") as file:
        for source in (path, str(path), f"file://{path}", path.read_bytes(), file, io.BytesIO(path.read_bytes())):
            assert torch.equal(LionImageProcessor(56)(source)["pixel_values"], seen)
    with Image.open(path) as opened:
        assert torch.equal(LionImageProcessor(56)([opened])["pixel_values"], seen)
    with Image.open(path) as opened:
        assert np.array_equal(LionImageProcessor(56).resize(opened), LionImageProcessor(56).resize(open_image(path)))


def test_transparent_arrays_lie_on_white():
    seen = LionImageProcessor(56)(open_image(HALF))["pixel_values"]
    array = np.asarray(HALF)
    for source in (array, array.transpose(2, 0, 1), torch.from_numpy(array.copy()), array / 255):
        assert torch.equal(LionImageProcessor(56)(source)["pixel_values"], seen)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_tensors_of_every_float(kind):
    bits = torch.from_numpy(ARRAY.copy()) // 255
    seen = LionImageProcessor(56)(bits * 255)["pixel_values"]
    assert torch.equal(LionImageProcessor(56)(bits.to(kind))["pixel_values"], seen)


@pytest.mark.parametrize("dark", [np.zeros((9, 9), np.uint16), torch.zeros(9, 9, dtype=torch.uint16)])
def test_16_bits_are_not_taken_for_8(dark):
    with pytest.raises(LionError, match=r"uint16 is no picture; .* from 0 to 65535: \(array // 257\)"):
        LionImageProcessor(56)(dark)


def test_what_cannot_be_opened_is_one_line(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    for source, says in ((tmp_path / "a.png", "not a picture Pillow can read"), (Path("none.png"), "no such file")):
        with pytest.raises(LionError, match=says):
            LionImageProcessor(56)(source)


def test_a_scaled_picture_is_not_scaled_twice_nor_left_out_of_scale():
    with pytest.raises(LionError, match="has its scale already"):
        LionImageProcessor(56)(ARRAY / 255, do_rescale=False)


def test_without_resizing_a_batch_needs_one_size():
    with pytest.raises(LionError, match="several sizes"):
        LionImageProcessor(56)([PICTURE, PICTURE.resize((9, 9))], do_resize=False)
