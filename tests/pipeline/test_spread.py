"""One or several: what holds several is taken as a list whatever its type, and nothing of a user's ends as Python's."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lion.boxes import Box
from lion.errors import LionError
from lion.pipeline import DecodingPreset, LionPipeline, Request, Verb
from lion.pipeline.request import listed
from lion.pipeline.spread import One, pictures, spread
from tests.pipeline.tiny import several

pytestmark = pytest.mark.usefixtures("short_answers")
WORDS = ["is it red?", "is it big?"]
HOLDERS = {
    "list": list,
    "tuple": tuple,
    "generator": iter,
    "array": np.array,
    "array of objects": lambda items: np.array(items, dtype=object),
    "Series": pd.Series,
    "Series of objects": lambda items: pd.Series(items, dtype=object),
    "Index": pd.Index,
    "values of a dict": lambda items: dict(enumerate(items)).values(),
}
NO_LISTS = {"set": set, "dict": dict.fromkeys, "table": lambda items: pd.DataFrame({item: [1] for item in items})}


@pytest.fixture(params=HOLDERS.values(), ids=HOLDERS.keys())
def held(request):
    return request.param


def test_whatever_holds_several_is_a_list(held):
    items = listed(held(WORDS))
    assert items == WORDS and all(type(item) is str for item in items)


@pytest.mark.parametrize(
    "value", ["text", np.str_("text"), b"bytes", bytearray(b"a"), np.array("text"), 5, None, Box(0, 0, 1, 1)]
)
def test_one_value_is_no_list(value):
    assert listed(value) is None


@pytest.mark.parametrize("hold", NO_LISTS.values(), ids=NO_LISTS.keys())
def test_what_has_no_order_or_no_single_kind_is_no_list(hold):
    assert listed(hold(WORDS)) is None


def test_texts_of_any_holder_are_asked_located_ranked_and_told(pipeline, picture, held):
    assert pipeline.ask(picture, held(WORDS)) == pipeline.ask(picture, WORDS)
    assert pipeline.locate(picture, held(WORDS)) == pipeline.locate(picture, WORDS)
    assert pipeline.rank(picture, "is it?", held(WORDS)) == pipeline.rank(picture, "is it?", WORDS)
    assert pipeline.rank(picture, held(WORDS), held(["a", "b"])) == pipeline.rank(picture, WORDS, ["a", "b"])
    assert pipeline.ask([picture, picture], "is it?", tags=held(["car", "sun"])) == pipeline.ask(
        [picture, picture], "is it?", tags=["car", "sun"]
    )
    request = Request(picture, Verb.ASK, "is it?", candidates=held(WORDS), tags=held(["car"]))
    assert request.candidates == tuple(WORDS) and request.tags == ("car",)


def test_rounds_of_any_holder_are_a_history(pipeline, picture):
    rounds = [("what is it?", "a car"), ("is it red?", "yes")]
    wanted = pipeline.chat(picture, "is it big?", rounds)
    for given in (tuple(rounds), iter(rounds), np.array(rounds), [list(one) for one in rounds]):
        assert pipeline.chat(picture, "is it big?", given) == wanted
    both = pipeline.chat(picture, iter(["is it big?", "is it big?"]), iter([rounds, []]))
    assert both[0] == wanted and both[1] == pipeline.chat(picture, "is it big?")


def test_candidates_of_each_question_may_be_a_table_of_numpy(pipeline, picture):
    lists = [["red", "blue"], ["one", "two"]]
    assert pipeline.rank(picture, WORDS, np.array(lists)) == pipeline.rank(picture, WORDS, lists)
    assert pipeline.rank(picture, WORDS, [np.array(one) for one in lists]) == pipeline.rank(picture, WORDS, lists)


def test_pictures_of_any_holder_are_several(pipeline, tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, picture in zip(paths, several(2), strict=True):
        picture.save(path)
    wanted = pipeline.caption(list(map(str, paths)))
    for hold in (
        tuple,
        iter,
        pd.Series,
        lambda items: np.array(items, dtype=object),
        lambda items: np.array(list(map(str, items))),
    ):
        assert pipeline.caption(hold(paths)) == wanted
    assert [look.size for look in pipeline.look(iter(paths))] == [(64, 48)] * 2
    assert pipeline.describe_region(paths[0], (Box(0, 0, 1, 1), Box(0, 0, 0.5, 1)))[1].ok


def test_an_array_of_numbers_is_one_picture_and_four_axes_are_several():
    one = np.zeros((8, 8, 3), np.uint8)
    assert pictures(one) is one and len(pictures(one[None])) == 1
    tensor = torch.zeros(2, 3, 8, 8)
    assert len(pictures(tensor)) == 2 and isinstance(pictures(tensor[0]), torch.Tensor)
    file = io.BytesIO(b"x")
    assert pictures(file) is file


def test_arrays_and_open_files_are_pictures_one_or_several(pipeline, tmp_path):
    made = several(2)
    wanted = [answer.text for answer in pipeline.caption(made)]
    arrays = np.stack([np.asarray(picture) for picture in made])
    assert [answer.text for answer in pipeline.caption(arrays)] == wanted
    assert pipeline.caption(arrays[1]).text == wanted[1]
    made[0].save(tmp_path / "a.png")
    with (tmp_path / "a.png").open("rb") as file:
        answer = pipeline.caption(file)
    assert answer.text == wanted[0] and answer._repr_png_()


def test_lists_that_are_one_value_go_with_all():
    assert spread(image=1, text="a", history=One([1, 2])) == {"image": 1, "text": "a", "history": [1, 2]}
    rows = spread(image=[1, 2], text="a", history=One([3]))
    assert rows == [{"image": 1, "text": "a", "history": [3]}, {"image": 2, "text": "a", "history": [3]}]


@pytest.mark.parametrize(
    "wrong", [{"a", "b"}, {"a": 1}, pd.DataFrame({"a": [1]}), 5, None, [None], pd.Series(["a", None])]
)
def test_what_is_no_text_and_no_list_of_texts_is_one_line(pipeline, picture, wrong):
    calls = [
        lambda: pipeline.ask(picture, wrong),
        lambda: pipeline.locate(picture, wrong),
        lambda: pipeline.rank(picture, wrong, ["a"]),
        lambda: pipeline.rank(picture, "is it?", wrong),
        lambda: pipeline.rank([picture], "is it?", wrong),
        lambda: pipeline.describe_region(picture, wrong),
        lambda: pipeline.chat(picture, wrong),
        lambda: pipeline.chat(picture, "is it?", wrong),
        lambda: pipeline.chat([picture], "is it?", wrong),
        lambda: pipeline.caption(wrong),
        lambda: pipeline.look(wrong),
        lambda: pipeline.answer(wrong),
    ]
    if wrong is not None:
        calls.append(lambda: pipeline.caption(picture, tags=wrong))
    for call in calls:
        with pytest.raises(LionError) as caught:
            call()
        assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)


def test_requests_may_come_from_a_generator_and_one_alone_is_an_error(pipeline):
    requests = [Request(picture, Verb.TAG) for picture in several(4)]
    assert pipeline.answer(iter(requests)) == pipeline.answer(requests)
    with pytest.raises(LionError, match="list of"):
        pipeline.answer(requests[0])


def test_numbers_of_numpy_are_numbers(parts, picture):
    preset = DecodingPreset(num_beams=np.int64(2), max_new_tokens=np.uint8(4), length_penalty=np.float32(0.5))
    assert preset == DecodingPreset(2, 4, length_penalty=0.5)
    assert [type(value) for value in (preset.num_beams, preset.length_penalty)] == [int, float]
    assert LionPipeline(*parts, batch_size=np.int64(2)).batch_size == 2
    for wrong in ("8", 2.5, True, None, 0):
        with pytest.raises(LionError, match=r"batch_size=.* must be a whole number"):
            LionPipeline(*parts, batch_size=wrong)


@pytest.mark.parametrize("limit", ["64", 64.5, True, 0, -3])
def test_a_limit_that_is_no_number_is_refused(pipeline, picture, limit):
    with pytest.raises(LionError, match=f"max_prompt_tokens={limit!r}"):
        pipeline.answer([Request(picture, Verb.ASK, "is it?", max_prompt_tokens=limit)])


def test_a_limit_beyond_the_positions_of_the_q_former_is_refused(pipeline, picture):
    positions = pipeline.model.config.qformer_config.max_position_embeddings
    with pytest.raises(LionError, match=f"max_prompt_tokens={positions + 1} .* {positions} positions"):
        pipeline.answer([Request(picture, Verb.ASK, "is it?", max_prompt_tokens=positions + 1)])
    words = "is the car red? " * positions
    with pytest.raises(LionError, match="limit is"):
        pipeline.answer([Request(picture, Verb.ASK, words, tags=[], max_prompt_tokens=positions)])
    pipeline.processor.max_text_tokens, usual = 10 * positions, pipeline.processor.max_text_tokens
    try:
        with pytest.raises(LionError, match="limit is"):
            pipeline.ask(picture, words, tags=[])
    finally:
        pipeline.processor.max_text_tokens = usual


def test_a_preset_of_another_type_is_refused(parts):
    for name in (["lion"], 5, None):
        with pytest.raises(LionError, match="no decoding"):
            LionPipeline(*parts, decoding=name)


def test_an_image_is_one_picture():
    image = Image.new("RGB", (4, 4))
    assert pictures(image) is image and pictures([image]) == [image]
