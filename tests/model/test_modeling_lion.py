"""The composed model at tiny size: routing, freezing, saving, generation, checkpointing."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, Trainer, TrainingArguments

from lion.model import FROZEN, TRAINABLE, LionConfig, LionForConditionalGeneration, TaskLevel, VisualFeatures
from lion.model.modeling_lion import component_of
from lion.train.params import freeze_all_but
from lion.train.stages import STAGES


@pytest.fixture(scope="module")
def lion():
    torch.manual_seed(0)
    model = LionForConditionalGeneration(LionConfig.tiny()).eval()
    with torch.no_grad():  # adapters start by adding nothing; give them something to say
        for name, parameter in model.named_parameters():
            if ".mixture." in name or "vision_aggregator" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def inputs(rows=4, levels=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    side = LionConfig.tiny().vision_config.image_size

    def ids(length):
        return torch.randint(3, 400, (rows, length), generator=generator)

    return {
        "pixel_values": torch.randn(rows, 3, side, side, generator=generator),
        "input_ids": ids(9),
        "attention_mask": torch.ones(rows, 9, dtype=torch.long),
        "qformer_input_ids": ids(6),
        "qformer_attention_mask": torch.ones(rows, 6, dtype=torch.long),
        "task_levels": torch.tensor(levels or [0, 1] * (rows // 2)),
    }


def labels(rows=4):
    return torch.randint(3, 400, (rows, 5), generator=torch.Generator().manual_seed(9))


@settings(max_examples=12, deadline=None)
@given(levels=st.lists(st.sampled_from(list(TaskLevel)), min_size=4, max_size=4), beams=st.sampled_from([1, 3]))
def test_mixed_batch_equals_single_calls(lion, levels, beams):
    batch = inputs(levels=[int(level) for level in levels])
    with torch.no_grad():
        mixed = lion(**batch, labels=labels()).logits
    ids = lion.generate(**batch, num_beams=beams, max_new_tokens=6, min_new_tokens=6)
    for row in range(4):
        single = {name: value[row : row + 1] for name, value in batch.items()}
        with torch.no_grad():
            alone = lion(**single, labels=labels()[row : row + 1]).logits
        assert (alone[0] - mixed[row]).abs().max() <= 5e-5
        assert torch.equal(lion.generate(**single, num_beams=beams, max_new_tokens=6, min_new_tokens=6)[0], ids[row])


def test_level_changes_the_answer(lion):
    batch = inputs()
    with torch.no_grad():
        image = lion(**batch | {"task_levels": torch.full((4,), int(TaskLevel.IMAGE))}, labels=labels()).logits
        region = lion(**batch | {"task_levels": torch.full((4,), int(TaskLevel.REGION))}, labels=labels()).logits
    assert (image - region).abs().max() > 1e-2


def test_look_once_ask_many(lion):
    batch = inputs()
    with torch.no_grad():
        direct = lion(**batch, labels=labels()).logits
        vision = lion.look(batch.pop("pixel_values"))
        cached = lion(**batch, vision=vision, labels=labels()).logits
    assert (direct - cached).abs().max() <= 5e-5
    joined = VisualFeatures.concatenate([vision.map(lambda t: t[:1]), vision.map(lambda t: t[1:])])
    assert torch.equal(joined.last_BPV, vision.last_BPV)


@pytest.mark.parametrize("settings_", [{"do_sample": True, "top_p": 0.9}, {"num_beams": 4, "num_return_sequences": 2}])
def test_generate_takes_what_transformers_offers(lion, settings_):
    torch.manual_seed(0)
    ids = lion.generate(**inputs(), max_new_tokens=4, **settings_)
    assert ids.shape[0] == 4 * settings_.get("num_return_sequences", 1)


def test_cache_changes_nothing(lion):
    batch = inputs()
    with_cache = lion.generate(**batch, max_new_tokens=8, min_new_tokens=8)
    assert torch.equal(with_cache, lion.generate(**batch, max_new_tokens=8, min_new_tokens=8, use_cache=False))


def only(model, components):
    """Freeze all others."""
    freeze_all_but(model, {component: list(model.component_parameters(component)) for component in components})


def test_checkpointed_gradients_equal_plain_ones():
    """Levels are an argument of each block, so recomputation sees its own batch's, also after another forward."""
    torch.manual_seed(0)
    model = LionForConditionalGeneration(LionConfig.tiny())
    only(model, TRAINABLE)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".mixture." in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.train()

    def gradients():
        model.zero_grad()
        loss = model(**inputs(levels=[0, 1, 1, 0]), labels=labels(), use_cache=False).loss
        with torch.no_grad():  # another batch with other levels in between must not matter
            model(**inputs(levels=[1, 0, 0, 1], seed=1), labels=labels())
        loss.backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.qformer.bert.eval()
    plain = gradients()
    model.gradient_checkpointing_enable()
    assert any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
    checkpointed = gradients()
    assert plain.keys() == checkpointed.keys()
    largest = max(gradient.abs().max() for gradient in plain.values())  # key biases have none but rounding errors
    for name, gradient in plain.items():
        assert (checkpointed[name] - gradient).abs().max() <= 1e-5 * gradient.abs().max() + 1e-8 * largest, name


def test_a_cache_is_built_where_it_can_be_read():
    model = LionForConditionalGeneration(LionConfig.tiny())
    model.train()
    batch = inputs()
    decoder = {"decoder_input_ids": labels().clamp(min=0)}
    assert model(**batch, labels=labels()).past_key_values is None and model(**batch, **decoder).past_key_values is None
    model.eval()
    assert model(**batch, labels=labels()).past_key_values is None
    assert model(**batch, **decoder).past_key_values is not None
    assert model(**batch, labels=labels(), use_cache=True).past_key_values is not None


def test_frozen_parts_get_no_gradient_memory():
    model = LionForConditionalGeneration(LionConfig.tiny())
    only(model, STAGES["stage3"].trainable)
    model.train()
    model(**inputs(), labels=labels()).loss.backward()
    for part in FROZEN:
        assert all(p.grad is None and not p.requires_grad for _, p in model.component_parameters(part))
    assert not model.vision_encoder.training
    unused = {"qformer.bert.encoder.layer.1.intermediate", "qformer.bert.encoder.layer.1.output."}  # last text FFN
    for part in TRAINABLE:
        for name, parameter in model.component_parameters(part):
            if not name.startswith(tuple(unused)):
                assert parameter.grad is not None, name


def test_components_partition_the_parameters(lion):
    names = [name for part in FROZEN + TRAINABLE for name, _ in lion.component_parameters(part)]
    assert sorted(names) == sorted(name for name, _ in lion.named_parameters())
    assert component_of("language_model.encoder.block.0.mixture.router.gates") == "router"


def test_start_values():
    model = LionForConditionalGeneration(LionConfig.tiny())
    blocks = [*model.language_model.encoder.block, *model.language_model.decoder.block]
    for mixture in (block.mixture for block in blocks):
        assert mixture.region_adapter.up.weight.abs().max() == 0 == mixture.image_adapter.up.weight.abs().max()
        assert mixture.router.gates[TaskLevel.REGION, :, 0].tolist() == [1, 0]
        assert mixture.router.gates[TaskLevel.IMAGE, :, 0].tolist() == [0, 1]
    for block in model.vision_aggregator.blocks:
        for part in (block.self_attention, block.cross_attention, block.feed_forward):
            assert part.output.weight.abs().max() == 0
    width, heads = 32, 16 * 2
    query = model.language_model.encoder.block[1].layer[0].SelfAttention.q.weight
    assert float(query.std()) == pytest.approx(
        (width * heads / 2) ** -0.5, rel=0.2
    )  # T5's own rule, kept for our blocks


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_save_and_load_round_trip_is_silent(lion, tmp_path, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lion.save_pretrained(tmp_path)
        again, report = LionForConditionalGeneration.from_pretrained(tmp_path, dtype=dtype, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for (name, old), (_, new) in zip(lion.state_dict().items(), again.state_dict().items(), strict=True):
        assert torch.equal(old.to(new.dtype), new), name
    assert not again.config.text_config.scale_decoder_outputs and again.config.text_config.dense_act_fn == "gelu"
    with torch.no_grad():
        logits = again(**inputs() | {"pixel_values": inputs()["pixel_values"].to(dtype)}, labels=labels()).logits
        golden = lion(**inputs(), labels=labels()).logits
    if dtype == torch.float32:
        assert torch.equal(logits, golden)
    else:
        assert (logits.float() - golden).abs().max() < 0.1 * golden.abs().max()


def test_sharded_round_trip(lion, tmp_path):
    lion.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    again = LionForConditionalGeneration.from_pretrained(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(lion.parameters(), again.parameters(), strict=True))


def test_auto_classes(lion, tmp_path):
    lion.save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), LionConfig)
    for auto in (AutoModel, AutoModelForImageTextToText):
        assert isinstance(auto.from_pretrained(tmp_path), LionForConditionalGeneration)


def test_router_row_missing_from_a_checkpoint_starts_by_its_rule(lion, tmp_path):
    state = {name: tensor for name, tensor in lion.state_dict().items() if ".mixture." not in name}
    lion.save_pretrained(tmp_path, state_dict=state)
    again = LionForConditionalGeneration.from_pretrained(tmp_path)
    mixture = again.language_model.decoder.block[0].mixture
    assert mixture.router.gates[TaskLevel.REGION, :, 0].tolist() == [1, 0]
    assert mixture.image_adapter.up.weight.abs().max() == 0


def test_a_vocabulary_can_be_resized(lion):
    size = lion.get_input_embeddings().num_embeddings
    copy = LionForConditionalGeneration(lion.config)
    copy.resize_token_embeddings(size + 3)
    assert copy.get_input_embeddings().num_embeddings == copy.get_output_embeddings().out_features == size + 3
    assert copy(**inputs(), labels=labels()).logits.shape[-1] == size + 3


def test_labels_in_a_batch_do_not_change_what_is_generated(lion):
    batch, options = inputs(), {"max_new_tokens": 8, "min_new_tokens": 8}
    targets = labels()
    targets[0, 1:] = -100  # an answer of one token
    assert torch.equal(lion.generate(**batch, labels=targets, **options), lion.generate(**batch, **options))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.ones(3, 5, dtype=torch.long)}, "3 rows of labels for 4 prompts"),
        ({"task_levels": None}, "one level per row"),
        ({"task_levels": torch.tensor([1])}, "one level per row"),
        ({"pixel_values": None}, "a picture is missing; .*images="),
        ({"pixel_values": torch.zeros(4, 3, 64, 64)}, r"\(B, 3, 56, 56\)"),
        ({"pixel_values": torch.zeros(3, 3, 56, 56)}, "3 pictures for 4 prompts"),
        ({"pixel_values": torch.zeros(1, 3, 56, 56)}, "1 pictures for 4 prompts"),
        ({"qformer_input_ids": None}, "Q-Former reads the instruction"),
    ],
)
def test_bad_input_is_one_clear_error(lion, change, message):
    with pytest.raises(ValueError, match=message):
        lion(**inputs() | {"labels": labels()} | change)


def test_the_trainer_of_transformers_divides_the_loss_when_it_accumulates(lion, tmp_path):
    trainer = Trainer(lion, TrainingArguments(str(tmp_path), gradient_accumulation_steps=2, use_cpu=True))
    assert not trainer.model_accepts_loss_kwargs


@pytest.mark.parametrize("visual_inputs", ["both", "qformer", "aggregator"])
def test_the_output_carries_the_visual_tokens_that_the_language_model_read(visual_inputs):
    torch.manual_seed(0)
    model = LionForConditionalGeneration(LionConfig.tiny()).eval()
    model.config.visual_inputs = visual_inputs
    batch = inputs()
    with torch.no_grad():
        output = model(**batch, labels=labels())
        features = model.get_image_features(
            batch["pixel_values"], batch["qformer_input_ids"], batch["qformer_attention_mask"]
        )
        inputs_embeds, mask, _ = model.embed(**batch)
    parts = {"qformer": (4, 8, 32), "aggregator": (4, 17, 32)}
    for part, shape in parts.items():
        tokens = getattr(output, f"{part}_hidden_states")
        if visual_inputs in (part, "both"):
            assert tokens.shape == shape and torch.equal(tokens, getattr(features, f"{part}_hidden_states"))
        else:
            assert tokens is None and getattr(features, f"{part}_hidden_states") is None
    tokens = [each for each in (output.qformer_hidden_states, output.aggregator_hidden_states) if each is not None]
    assert torch.equal(features.pooler_output, torch.cat(tokens, 1))
    assert torch.equal(inputs_embeds[:, : features.pooler_output.shape[1]], features.pooler_output)
    assert mask.shape == inputs_embeds.shape[:2] and features.last_hidden_state.shape == (4, 17, 32)


def test_gradients_reach_the_connectors_through_the_output():
    model = LionForConditionalGeneration(LionConfig.tiny())
    output = model(**inputs(), labels=labels())
    (output.qformer_hidden_states.sum() + output.aggregator_hidden_states.sum()).backward()
    assert model.mlp.output.weight.grad.any() and model.qformer.projection.weight.grad.any()


def test_a_tuple_begins_with_what_any_seq2seq_model_returns(lion):
    with torch.no_grad():
        named, plain = (lion(**inputs(), labels=labels(), return_dict=asked) for asked in (True, False))
    assert torch.equal(plain[0], named.loss) and torch.equal(plain[1], named.logits)
    assert torch.equal(plain[-1], named.aggregator_hidden_states)
    features = lion.get_image_features(
        **{name: t for name, t in inputs().items() if name.startswith(("pixel", "qformer"))}, return_dict=False
    )
    assert isinstance(features, tuple)


def test_generate_refuses_an_argument_that_nothing_reads(lion):
    with pytest.raises(ValueError, match=r"model_kwargs.*visoin"):
        lion.generate(**inputs(), visoin=1, max_new_tokens=2)
    with pytest.raises(TypeError, match="visoin"):
        lion.score_candidates(**inputs(), visoin=1, candidates=[[[1]]] * 4)


def test_the_trainer_of_transformers_keeps_every_column_and_collects_no_visual_tokens(lion, tmp_path):
    rows = [{name: t[row] for name, t in (inputs() | {"labels": labels()}).items()} for row in range(4)]
    trainer = Trainer(lion, TrainingArguments(str(tmp_path), use_cpu=True, per_device_eval_batch_size=2))
    trainer._set_signature_columns_if_needed()
    assert set(rows[0]) <= set(trainer._signature_columns)
    predicted = trainer.predict(rows)
    with torch.no_grad():
        golden = lion(**inputs(), labels=labels())
    shapes = {part.shape for part in predicted.predictions}
    assert golden.logits.shape in shapes and golden.aggregator_hidden_states.shape not in shapes
    assert predicted.metrics["test_loss"] == pytest.approx(golden.loss.item(), rel=1e-5)
