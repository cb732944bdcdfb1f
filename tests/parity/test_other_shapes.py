"""LION beside a second, independent writing of it, in shapes that the released golden data does not have.

Decoder depth unlike the encoder's, a bottleneck other than 64, other picture and patch sizes, other taps and widths.
"""

import pytest
import torch
from transformers import InstructBlipQFormerConfig, InstructBlipVisionConfig, T5Config

from lion.model import LionConfig, LionForConditionalGeneration, TaskLevel, VisionAggregatorConfig
from tests.parity.reference import Reference

BOUND = 1e-5
"""Of the largest value, in float32; measured 1e-6. An adapter or a block left out moves logits by more than 1e-2."""
SOFT = 59

SHAPES = {
    "shallow decoder": {"layers": (3, 1), "bottleneck": 5, "image": 42, "patch": 14, "taps": (4, 2, 1), "queries": 3},
    "deep decoder": {"layers": (1, 4), "bottleneck": 96, "image": 64, "patch": 16, "taps": (3, 4), "queries": 7},
    "one tap": {"layers": (2, 3), "bottleneck": 1, "image": 30, "patch": 10, "taps": (2,), "queries": 1},
}


def config(layers, bottleneck, image, patch, taps, queries):
    return LionConfig(
        vision_config=InstructBlipVisionConfig(
            hidden_size=24,
            intermediate_size=40,
            num_hidden_layers=4,
            num_attention_heads=3,
            image_size=image,
            patch_size=patch,
            initializer_range=0.1,
        ),
        qformer_config=InstructBlipQFormerConfig(
            vocab_size=50,
            hidden_size=20,
            intermediate_size=30,
            num_hidden_layers=2,
            num_attention_heads=2,
            initializer_range=0.1,
        ),
        aggregator_config=VisionAggregatorConfig(num_attention_heads=6, intermediate_size=36),
        text_config=T5Config(
            vocab_size=60,
            d_model=28,
            d_kv=5,
            d_ff=44,
            num_heads=3,
            num_layers=layers[0],
            num_decoder_layers=layers[1],
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
            decoder_start_token_id=0,
        ),
        taps=taps,
        num_query_tokens=queries,
        adapter_bottleneck=bottleneck,
        soft_prompt_token_id=SOFT,
    )


def both(shape):
    """Our model with no path at zero, and the reference with its weights."""
    torch.manual_seed(0)
    model = LionForConditionalGeneration(config(**shape)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".mixture." in name or name.startswith(("vision_aggregator", "qformer.queries", "tag_soft", "mlp")):
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model, Reference(model.config, model.state_dict())


def batch(image):
    rng = torch.Generator().manual_seed(1)
    ids = torch.randint(2, 50, (3, 8), generator=rng)
    ids[0, 2] = ids[2, 4] = SOFT
    mask, qformer_mask = torch.ones(3, 8, dtype=torch.long), torch.ones(3, 5, dtype=torch.long)
    mask[1, 6:] = qformer_mask[2, 3:] = 0
    return {
        "pixel_values": torch.randn(3, 3, image, image, generator=rng),
        "input_ids": ids,
        "attention_mask": mask,
        "qformer_input_ids": torch.randint(2, 50, (3, 5), generator=rng),
        "qformer_attention_mask": qformer_mask,
    }


def assert_near(ours, golden):
    assert ours.shape == golden.shape
    assert (ours - golden).abs().max() <= BOUND * golden.abs().max()


@pytest.mark.parametrize("level", TaskLevel)
@pytest.mark.parametrize("name", SHAPES)
@torch.no_grad()
def test_tokens_encoder_logits_and_answers(name, level):
    model, reference = both(SHAPES[name])
    inputs, levels, labels = batch(SHAPES[name]["image"]), torch.full((3,), int(level)), torch.randint(2, 50, (3, 6))
    reference.level = int(level)
    golden_inputs = reference.encoder_input(inputs)
    golden = reference.t5(**golden_inputs, labels=labels)
    ours = model(**inputs, task_levels=levels, labels=labels)
    queries, visual = SHAPES[name]["queries"], golden_inputs["inputs_embeds"].shape[1] - 8
    assert_near(ours.qformer_hidden_states, golden_inputs["inputs_embeds"][:, :queries])
    assert_near(ours.aggregator_hidden_states, golden_inputs["inputs_embeds"][:, queries:visual])
    assert_near(ours.encoder_last_hidden_state, golden.encoder_last_hidden_state)
    assert_near(ours.logits, golden.logits)
    assert_near(ours.loss, golden.loss)
    encoder_layers, decoder_layers = SHAPES[name]["layers"]
    # transformers' generate makes its cache as deep as the encoder, T5 itself included.
    how = {"max_new_tokens": 5, "min_new_tokens": 5, "num_beams": 3, "use_cache": decoder_layers <= encoder_layers}
    assert torch.equal(
        model.generate(**inputs, task_levels=levels, **how), reference.t5.generate(**golden_inputs, **how)
    )


@pytest.mark.parametrize("name", SHAPES)
def test_a_mixed_batch_is_its_rows(name):
    """The reference knows one level at a time; rows of a mixed batch equal the batches of their levels."""
    model, reference = both(SHAPES[name])
    inputs, levels, labels = batch(SHAPES[name]["image"]), torch.tensor([1, 0, 1]), torch.randint(2, 50, (3, 6))
    with torch.no_grad():
        ours = model(**inputs, task_levels=levels, labels=labels).logits
        for level in TaskLevel:
            reference.level = int(level)
            golden = reference.t5(**reference.encoder_input(inputs), labels=labels).logits
            assert_near(ours[levels == level], golden[levels == level])


def test_the_bound_sees_a_missing_adapter():
    model, reference = both(SHAPES["shallow decoder"])
    inputs, labels = batch(42), torch.randint(2, 50, (3, 6))
    with torch.no_grad():
        golden = reference.t5(**reference.encoder_input(inputs), labels=labels).logits
        model.language_model.decoder.block[0].mixture.region_adapter.scale.zero_()
        ours = model(**inputs, task_levels=torch.zeros(3, dtype=torch.long), labels=labels).logits
    assert (ours - golden).abs().max() > 100 * BOUND * golden.abs().max()


@pytest.mark.parametrize("name", SHAPES)
@torch.no_grad()
def test_scores_of_candidates(name):
    model, reference = both(SHAPES[name])
    inputs, candidates = batch(SHAPES[name]["image"]), [[[7, 8, 1], [9, 1]], [[3, 1]], [[4, 5, 6, 1]]]
    ours = model.score_candidates(**inputs, task_levels=torch.zeros(3, dtype=torch.long), candidates=candidates)
    encoded = reference.encoder_input(inputs)
    for row, answers in enumerate(candidates):
        one = {key: value[row : row + 1] for key, value in encoded.items()}
        golden = [reference.t5(**one, labels=torch.tensor([ids])).loss * len(ids) for ids in answers]
        torch.testing.assert_close(ours[row], torch.stack(golden), rtol=BOUND, atol=1e-5)
