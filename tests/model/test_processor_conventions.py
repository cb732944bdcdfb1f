"""What transformers' processors promise, asked of LION's and, as a control, of InstructBLIP's with equal tokenizers."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import InstructBlipProcessor, pipeline
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from lion.model import LionForConditionalGeneration
from lion.train.presets import preset_config, world_processor

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
TEXT = "is there a cat?"


def build(kind):
    own = world_processor("tiny")
    if kind == "lion":
        return own
    images = BlipImageProcessorPil(size={"height": 56, "width": 56})
    return InstructBlipProcessor(images, own.tokenizer, own.qformer_tokenizer, num_query_tokens=8)


@pytest.fixture(scope="module", params=["lion", "instructblip"])
def processor(request):
    return build(request.param)


def visual(processor):
    """Placeholders that the prompt begins with: InstructBLIP's, where LION has none."""
    return getattr(processor, "num_query_tokens", 0)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("length", [20, 33])
def test_padding_to_a_length(processor, nested, length):
    keywords = {"padding": "max_length", "max_length": length}
    keywords = {"text_kwargs": keywords} if nested else keywords
    batch = processor(images=PICTURE, text=TEXT, return_tensors="pt", **keywords)
    assert batch["input_ids"].shape == (1, length) and batch["qformer_input_ids"].shape == (1, length)


def test_truncation_to_a_length(processor):
    text = "is there a red cat beside the big umbrella in the image?"
    batch = processor(text=text, max_length=9 + visual(processor), truncation=True, return_tensors="pt")
    assert batch["input_ids"].shape == (1, 9)


@pytest.mark.parametrize("nested", [False, True])
def test_rescaling_by_a_negative_factor(processor, nested):
    keywords = {"do_rescale": True, "rescale_factor": -1.0}
    keywords = {"images_kwargs": keywords} if nested else keywords
    assert processor(images=PICTURE, text=TEXT, return_tensors="pt", **keywords)["pixel_values"].mean() < 0


@pytest.mark.parametrize("size", [28, {"height": 28, "width": 28}])
def test_another_size_in_a_call(processor, size):
    assert processor(images=PICTURE, text=TEXT, size=size, return_tensors="pt")["pixel_values"].shape[2:] == (28, 28)


def test_a_keyword_given_twice(processor):
    with pytest.raises(ValueError, match="passed two times"):
        processor(images=PICTURE, text=TEXT, images_kwargs={"do_resize": True}, do_resize=False)


def test_nothing_in_is_an_error(processor):
    with pytest.raises((ValueError, TypeError)):
        processor()


@pytest.mark.parametrize(("kind", "type_"), [("np", np.ndarray), ("pt", torch.Tensor)])
def test_the_kind_of_tensors(processor, kind, type_):
    for keywords in ({"return_tensors": kind}, {"common_kwargs": {"return_tensors": kind}}):
        assert {type(value) for value in processor(images=PICTURE, text=TEXT, **keywords).values()} == {type_}


def test_parts_give_what_the_whole_gives(processor):
    batch = processor(images=PICTURE, text=TEXT, return_tensors="pt")
    pixels = processor.image_processor(PICTURE, return_tensors="pt")["pixel_values"]
    assert torch.equal(batch["pixel_values"], pixels)
    ids = processor.qformer_tokenizer([TEXT], return_tensors="pt")["input_ids"]
    assert torch.equal(batch["qformer_input_ids"], ids)


def test_the_model_reads_what_the_processor_names(processor):
    batch = processor(images=PICTURE, text=TEXT, return_tensors="pt")
    assert set(batch) == set(processor.model_input_names)


def test_saved_and_loaded_it_does_the_same(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    again = world_like(processor, tmp_path)
    for name, value in processor(images=PICTURE, text=TEXT, return_tensors="pt").items():
        assert torch.equal(again(images=PICTURE, text=TEXT, return_tensors="pt")[name], value), name
    assert again.to_json_string() == processor.to_json_string()


def world_like(processor, folder):
    if isinstance(processor, InstructBlipProcessor):  # its own from_pretrained would look for torchvision
        parts = (BlipImageProcessorPil.from_pretrained(folder), processor.tokenizer, processor.qformer_tokenizer)
        return InstructBlipProcessor(*parts, num_query_tokens=8)
    return type(processor).from_pretrained(folder)


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """transformers' pipeline of a tiny LION."""
    folder, processor = tmp_path_factory.mktemp("model"), build("lion")
    torch.manual_seed(0)
    LionForConditionalGeneration(preset_config("tiny", processor)).save_pretrained(folder)
    processor.save_pretrained(folder)
    return pipeline("image-text-to-text", model=str(folder), device="cpu")


def chat(*rest, words=TEXT):
    content = [{"type": "image", "image": PICTURE}, {"type": "text", "text": words}]
    return [{"role": "user", "content": content}, *rest]


FEW = {"generate_kwargs": {"max_new_tokens": 4}}


def texts(found):
    return [row["generated_text"] for row in found]


def test_the_pipeline_answers_texts_and_chats_alike(answer):
    plain = texts(answer(PICTURE, text=TEXT, return_full_text=False, **FEW))
    assert plain == texts(answer(text=chat(), return_full_text=False, **FEW))
    assert plain == texts(answer(PICTURE, text=TEXT, tasks="vqa", return_full_text=False, **FEW))
    full = answer(text=chat(), **FEW)[0]["generated_text"]
    assert full[-1] == {"role": "assistant", "content": plain[0]}
    assert len(answer(text=[*full, {"role": "user", "content": "is it red?"}], **FEW)[0]["generated_text"]) == 4


def test_the_pipeline_takes_batches(answer):
    words = [TEXT, "what is there beside the umbrella?"]
    both = texts(answer([PICTURE, PICTURE], text=words, return_full_text=False, **FEW))
    alone = [texts(answer(PICTURE, text=each, return_full_text=False, **FEW))[0] for each in words]
    assert both == alone
    chats = answer(text=[chat(words=each) for each in words], batch_size=2, return_full_text=False, **FEW)
    assert [texts(found)[0] for found in chats] == alone


def test_the_pipeline_refuses_what_would_do_nothing(answer):
    with pytest.raises(ValueError, match=r"generate_kwargs=\{'num_beams': 2\}"):
        answer(PICTURE, text=TEXT, num_beams=2)
    with pytest.raises(ValueError, match="a picture is missing"):
        answer(text=[{"role": "user", "content": [{"type": "text", "text": TEXT}]}])
    with pytest.raises(ValueError, match="no keyword 'num_beans'"):
        answer(PICTURE, text=TEXT, num_beans=2)
