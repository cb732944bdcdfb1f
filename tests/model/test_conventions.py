"""What transformers' models promise, asked of LION and, as a control, of InstructBLIP, whose parts LION shares."""

import math

import pytest
import torch
from transformers import (
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipQFormerConfig,
    InstructBlipVisionConfig,
    T5Config,
)
from transformers.models.t5.modeling_t5 import T5Stack

from lion.model import FROZEN, TRAINABLE, LionConfig, LionForConditionalGeneration
from lion.model.modeling_lion import component_of
from tests.model.test_modeling_lion import inputs, labels

KINDS = ("lion", "instructblip")


def instructblip():
    lion = LionConfig.tiny()
    config = InstructBlipConfig(
        vision_config=InstructBlipVisionConfig(**lion.vision_config.to_dict()),
        qformer_config=InstructBlipQFormerConfig(**lion.qformer_config.to_dict()),
        text_config=T5Config(**lion.text_config.to_dict()),
        num_query_tokens=8,
        image_token_id=500,
    )
    return InstructBlipForConditionalGeneration(config)


def build(kind):
    torch.manual_seed(0)
    return LionForConditionalGeneration(LionConfig.tiny()) if kind == "lion" else instructblip()


def batch_for(kind, rows=2):
    batch = inputs(rows=rows)
    if kind == "instructblip":
        del batch["task_levels"]
        batch["input_ids"] = torch.cat([torch.full((rows, 8), 500), batch["input_ids"]], dim=1)
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    return batch


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def model(kind):
    return build(kind).eval()


def without_gradient(model, batch):
    model.train().zero_grad()
    model(**batch, labels=labels(len(batch["input_ids"]))).loss.backward()
    return [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


def test_what_says_it_is_trainable_gets_a_gradient(kind, tmp_path):
    own = build(kind)
    assert not without_gradient(own, batch_for(kind))
    own.save_pretrained(tmp_path)
    again = type(own).from_pretrained(tmp_path)
    assert not without_gradient(again, batch_for(kind))
    assert [p.requires_grad for p in again.parameters()] == [p.requires_grad for p in own.parameters()]


@pytest.mark.parametrize("visual_inputs", ["qformer", "aggregator"])
def test_a_connector_that_is_not_read_is_not_trainable(visual_inputs):
    config = LionConfig.tiny()
    config.visual_inputs = visual_inputs
    model = LionForConditionalGeneration(config)
    assert not without_gradient(model, inputs())
    assert not without_gradient(model.freeze(), inputs())


def test_a_vision_encoder_that_is_unfrozen_learns():
    model = build("lion")
    model.vision_encoder.requires_grad_(True)
    assert not without_gradient(model, inputs())
    weight = model.vision_encoder.vit.embeddings.patch_embedding.weight
    assert weight.grad.abs().max() > 0


def test_a_frozen_vision_encoder_keeps_no_activations():
    assert not build("lion").vision_encoder(inputs()["pixel_values"])[0].requires_grad


def test_freeze_leaves_what_the_paper_trains():
    model = build("lion").freeze()
    trained = {component_of(name) for name, p in model.named_parameters() if p.requires_grad}
    assert trained == set(TRAINABLE)
    model.freeze(("qformer", "image_adapter"))
    assert {component_of(name) for name, p in model.named_parameters() if p.requires_grad} == {
        "qformer",
        "image_adapter",
    }
    assert not without_gradient(model.freeze((*TRAINABLE, *FROZEN)), inputs())  # everything
    with pytest.raises(ValueError, match=r"unknown components \['adapter'\]; choose from vision_encoder"):
        model.freeze(["adapter"])


@pytest.mark.parametrize("mask", ["attention_mask", "qformer_attention_mask"])
def test_no_mask_means_no_padding(kind, model, mask):
    batch = batch_for(kind)
    bare = {name: tensor for name, tensor in batch.items() if name != mask}
    options = {"max_new_tokens": 4, "min_new_tokens": 4}
    assert torch.equal(model.generate(**bare, **options), model.generate(**batch, **options))
    with torch.no_grad():
        full, less = (model(**each, labels=labels(2)).logits for each in (batch, bare))
    assert torch.equal(full, less)


def test_encoder_and_decoder_are_found(model):
    assert isinstance(model.get_encoder(), T5Stack) and not model.get_encoder().is_decoder
    assert isinstance(model.get_decoder(), T5Stack) and model.get_decoder().is_decoder
    assert model.get_encoder(modality="image") is not model.get_encoder()


def test_forward_compiles_as_one_graph():
    """One block of each part: compiling is slow, and the others are like the first."""
    config = LionConfig.tiny()
    config.taps, config.vision_config.num_hidden_layers, config.qformer_config.num_hidden_layers = (1, 1), 1, 1
    config.text_config.num_layers = config.text_config.num_decoder_layers = 1
    model = LionForConditionalGeneration(config).eval()
    with torch.no_grad():
        compiled = torch.compile(model, backend="eager", fullgraph=True)(**inputs(rows=2), labels=labels(2))
        assert torch.equal(compiled.loss, model(**inputs(rows=2), labels=labels(2)).loss)


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True])
def test_whole_model_compiles_as_one_graph_to_train(kind, dynamic):
    model = build(kind).train()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=dynamic)
    compiled(**batch_for(kind), labels=labels(2)).loss.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_forward_takes_what_callers_of_a_t5_pass(kind, model):
    batch = batch_for(kind)
    with torch.no_grad():
        plain = model(**batch, labels=labels(2))
        output = model(
            **batch,
            labels=labels(2),
            inputs_embeds=None,
            decoder_input_ids=None,
            output_attentions=False,
            output_hidden_states=None,
            use_cache=False,
            return_dict=True,
        )
    assert torch.equal(output.loss, plain.loss)
    with torch.no_grad():
        ids = torch.tensor([[0, 5, 6]] * 2)
        assert model(**batch, decoder_input_ids=ids).logits.shape[:2] == (2, 3)


@pytest.mark.parametrize(
    ("argument", "error", "message"),
    [
        ({"inputs_embeds": torch.zeros(2, 9, 32)}, ValueError, "LION makes inputs_embeds itself"),
        ({"input_id": None}, TypeError, r"forward\(\) got an unexpected keyword argument 'input_id'"),
    ],
)
def test_what_forward_does_not_take_is_one_line(argument, error, message):
    with pytest.raises(error, match=message) as caught:
        build("lion")(**inputs(rows=2), labels=labels(2), **argument)
    assert "\n" not in str(caught.value)


def test_an_embedding_of_the_answer_may_take_the_place_of_its_ids():
    model = build("lion").eval()
    ids = model.language_model.prepare_decoder_input_ids_from_labels(labels(2))
    with torch.no_grad():
        by_ids = model(**inputs(rows=2), labels=labels(2)).loss
        embeds = model.get_input_embeddings()(ids)
        by_embeds = model(**inputs(rows=2), labels=labels(2), decoder_inputs_embeds=embeds).loss
    assert torch.equal(by_ids, by_embeds)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_loss_is_computed_in_float32(dtype):
    """A certain answer has a small loss, not none: half precision rounds log(1 + e^-7) away."""
    model = build("lion").eval()
    targets = torch.full((2, 3), 7)
    head = torch.nn.Linear(32, 512)
    torch.nn.init.zeros_(head.weight)
    with torch.no_grad():
        head.bias.fill_(-50.0)[7] = 0.0
        head.bias[8] = -7.0
    model.language_model.lm_head = head
    with torch.no_grad():
        loss = model.to(dtype)(
            **inputs(rows=2) | {"pixel_values": inputs(rows=2)["pixel_values"].to(dtype)}, labels=targets
        ).loss
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log1p(math.exp(-7)), rel=1e-3)


@pytest.mark.parametrize("drafts", ["itself", "another LION", "a language model"])
@pytest.mark.parametrize("sample", [False, True])
def test_assisted_generation_answers_as_without(drafts, sample):
    model = build("lion").eval()
    with torch.no_grad():  # so that answers differ from picture to picture
        for name, parameter in model.named_parameters():
            if "lm_head" in name:
                parameter.mul_(4)
    other = LionConfig.tiny()
    other.adapter_bottleneck, other.visual_inputs = 8, "qformer"
    assistants = {
        "itself": model,
        "another LION": LionForConditionalGeneration(other).eval(),
        "a language model": model.language_model,
    }
    row = inputs(rows=2)
    row = {name: tensor[:1] for name, tensor in row.items()}
    options = {"max_new_tokens": 8, "min_new_tokens": 8}
    if sample:  # a draft is drawn, too; that it ends is what can be compared
        assert model.generate(**row, **options, do_sample=True, assistant_model=assistants[drafts]).shape == (1, 9)
    else:
        plain = model.generate(**row, **options)
        assert torch.equal(model.generate(**row, **options, assistant_model=assistants[drafts]), plain)
