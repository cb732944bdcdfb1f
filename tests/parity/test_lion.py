"""LION beside the released code, number by number, in float32 on the CPU.

Bounds: 1e-4 of the golden tensor's largest value, 4e-4 for gradients. Worst errors measured stand in
``docs/explanation/numerics_released.md``; the golden data's own mutation study shows that real mistakes move tensors
far more.
"""

import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lion.convert.key_map import our_name
from lion.model import TaskLevel
from tests.parity import released
from tests.parity.released import LEVELS, batch, tensors

TENSOR_BOUND = 1e-4
GRADIENT_BOUND = 4e-4
LEVEL_NAMES = tuple(LEVELS)


def relative_error(ours: Tensor, golden: Tensor) -> float:
    assert ours.shape == golden.shape
    return float((ours - golden).abs().max() / golden.abs().max().clamp_min(1e-12))


@pytest.fixture(scope="module")
def lion():
    return released.model()


@functools.cache
def trace(level: str) -> dict[str, Tensor]:
    """One teacher-forced pass and its backward, with every named tensor on the way."""
    model = released.model()
    seen: dict[str, Tensor] = {}

    def keep(name: str, pick: Callable = lambda output: output, source: str = "output") -> Callable:
        def hook(_module, args, kwargs, output):
            value = output if source == "output" else (*args, *kwargs.values())[0]
            seen.setdefault(name, pick(value).detach())

        return hook

    def watch(module, name, pick=lambda output: output, source="output"):
        module.register_forward_hook(keep(name, pick, source), with_kwargs=True)

    vit, t5, bert = model.vision_encoder.vit, model.language_model, model.qformer.bert
    watch(vit.embeddings, "vit.embed")
    for index in (0, 18, 28, 38):
        watch(vit.encoder.layers[index], f"vit.block{index}")
    for index, block in enumerate(model.vision_aggregator.blocks):
        watch(block, f"agg.block{index}")
        watch(block.self_attention, f"agg.block{index}.selfattn")
        watch(block.cross_attention, f"agg.block{index}.crossattn")
    watch(model.vision_aggregator, "agg.ln_adapter")
    watch(model.vision_aggregator.norm, "agg.out", source="input")
    watch(model.mlp, "agg.adapter_proj")
    watch(model.qformer.vision_norm, "qf.ln_vision")
    watch(bert.embeddings, "qf.embeddings")
    for index, layer in enumerate(bert.encoder.layer):
        watch(layer, f"qf.layer{index}")
    watch(bert, "qf.last_hidden_state", lambda output: output.last_hidden_state)
    watch(model.qformer, "qf.t5_proj")
    for short, stack in (("enc", t5.encoder), ("dec", t5.decoder)):
        for index, block in enumerate(stack.block):
            watch(block, f"{level}.{short}.block{index}", lambda output: output[0])
        watch(stack, f"{level}.{short}.last_hidden_state", lambda output: output.last_hidden_state)
    watch(t5.encoder.block[0].mixture.region_adapter, f"{level}.enc.block0.adapter0")
    watch(t5.encoder.block[0].mixture.image_adapter, f"{level}.enc.block0.adapter1")
    watch(t5.encoder.block[0].mixture, f"{level}.enc.block0.adapter_mix")

    inputs = batch(level)
    inputs_embeds, mask, _ = model.embed(**{name: value for name, value in inputs.items() if name != "labels"})
    seen |= {"enc.inputs_embeds": inputs_embeds.detach(), "enc.attention_mask": mask}
    output = model(**inputs)
    output.loss.backward()
    seen |= {f"{level}.logits": output.logits.detach(), f"{level}.loss": output.loss.detach()}
    nll = torch.nn.functional.cross_entropy(output.logits.transpose(1, 2), inputs["labels"], reduction="none")
    seen[f"{level}.nll_sum_per_sample"] = nll.sum(dim=1).detach()
    seen |= {"vit.out": seen["vit.block38"]}
    seen |= {f"vit.intermediate{index}": seen[f"vit.block{index}"] for index in (18, 28, 38)}
    seen[f"{level}.enc.block0.ffn_with_adapter"] = seen[f"{level}.enc.block0"]
    seen |= {f"grad:{name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
    return seen


NOT_TRACED = ("gen.", "probe.", "qformer.", "aggregator.", "notags", "t5.", "qf.input_ids", "qf.attention_mask")
TRACED = sorted(name for name in tensors("outputs") if not name.startswith(NOT_TRACED) and ".grad." not in name)
GRADIENTS = sorted(name for name in tensors("outputs") if ".grad." in name)


@pytest.mark.parametrize("name", TRACED)
def test_tensor(name):
    level = name.split(".")[0] if name.startswith(LEVEL_NAMES) else "region_level"
    golden = tensors("outputs")[name]
    ours = trace(level)[name]
    if not golden.dtype.is_floating_point:
        assert torch.equal(ours, golden)
    else:
        assert relative_error(ours, golden) <= TENSOR_BOUND


def gradient(level: str, key: str) -> Tensor:
    """Our gradient in the released layout."""
    ours = trace(level)[f"grad:{our_name(key)}"]
    if key.endswith(("router_ratio1", "router_ratio2")):
        return ours[:, int(key[-1]) - 1]
    return ours


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradient(name):
    level, _, key = name.split(".", 2)
    golden = tensors("outputs")[name]
    if golden.abs().max() == 0:
        assert gradient(level, key).abs().max() == 0
    else:
        assert relative_error(gradient(level, key), golden) <= GRADIENT_BOUND


@pytest.mark.parametrize("level", LEVEL_NAMES)
def test_gradient_norm_of_every_trainable_tensor(level):
    norms = released.read_json("outputs.json")["grad_norms"]
    golden = (
        norms[level] if level in norms else {k.split(".", 1)[1]: v for k, v in norms.items() if k.startswith(level)}
    )
    largest = max(golden.values())
    for key, norm in golden.items():
        assert float(gradient(level, key).norm()) == pytest.approx(norm, rel=GRADIENT_BOUND, abs=1e-6 * largest), key


@pytest.mark.parametrize(
    ("variant", "visual_inputs", "level"),
    [
        ("qformer", "qformer", "image_level"),
        ("aggregator", "aggregator", "region_level"),
        ("notags", "both", "region_level"),
        ("notags", "both", "image_level"),
        ("notags_trunc", "both", "region_level"),
    ],
)
def test_variant(variant, visual_inputs, level):
    limits = {"max_text_tokens": 16, "max_answer_tokens": 8} if variant == "notags_trunc" else {}
    inputs = batch(level, tags=not variant.startswith("notags"), **limits)
    golden = tensors("outputs")
    model = released.model(visual_inputs)
    if f"{variant}.qf.input_ids" in golden:
        assert torch.equal(inputs["qformer_input_ids"], golden[f"{variant}.qf.input_ids"])
    assert torch.equal(inputs["labels"], golden[f"{variant}.t5.labels"])
    with torch.no_grad():
        inputs_embeds, mask, _ = model.embed(**{name: value for name, value in inputs.items() if name != "labels"})
        output = model(**inputs)
    assert torch.equal(mask, golden[f"{variant}.enc.attention_mask"])
    assert relative_error(inputs_embeds, golden[f"{variant}.enc.inputs_embeds"]) <= TENSOR_BOUND
    encoded = golden[f"{variant}.{level}.enc.last_hidden_state"]
    assert relative_error(output.encoder_last_hidden_state, encoded) <= TENSOR_BOUND
    assert relative_error(output.logits, golden[f"{variant}.{level}.logits"]) <= TENSOR_BOUND
    assert float(output.loss) == pytest.approx(float(golden[f"{variant}.{level}.loss"]), rel=1e-5)


def test_tokens():
    inputs = batch("region_level")
    golden = tensors("outputs")
    assert torch.equal(inputs["input_ids"], golden["t5.input_ids"])
    assert torch.equal(inputs["labels"], golden["t5.labels"])
    assert torch.equal((inputs["labels"] != -100).long(), golden["t5.decoder_attention_mask"])  # as forward masks them
    assert torch.equal(inputs["qformer_input_ids"], golden["qf.input_ids"])
    ones = inputs["qformer_attention_mask"].new_ones(3, 8)
    assert torch.equal(torch.cat([ones, inputs["qformer_attention_mask"]], 1), golden["qf.attention_mask"])


@torch.no_grad()
def test_norm_epsilons_on_small_inputs(lion):
    """Only inputs of amplitude 1e-3 can see a wrong LayerNorm epsilon."""
    golden = tensors("outputs")
    x, level_a, level_b = (golden[f"probe.{name}"] for name in ("x", "level_a", "level_b"))
    ours = {
        "ln_vision": lion.qformer.vision_norm(x),
        "ln_adapter": lion.vision_aggregator.norm(x),
        "fusion_adapter": lion.vision_aggregator.fuse([x, level_a, level_b]),
        "vit_block0": lion.vision_encoder.vit.encoder.layers[0](x),
    }
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, golden[f"probe.{name}"], atol=5e-6, rtol=0, msg=name)


def until_end(ids: Tensor) -> list[int]:
    """A row up to and including its first ``</s>``; what follows is padding, which differs between versions."""
    row = ids.tolist()
    return row[: row.index(1) + 1] if 1 in row else row


GENERATIONS = released.read_json("outputs.json")["generation"]


@pytest.mark.parametrize("name", sorted(GENERATIONS))
def test_generation(name):
    how, level = name.rsplit(".", 1)
    visual_inputs = "qformer" if how.startswith("qformer") else "both"
    model, processor = released.model(visual_inputs), released.processor()
    inputs = {key: value for key, value in batch(level).items() if key != "labels"}
    settings = {k: v for k, v in GENERATIONS[name]["kwargs"].items() if k not in ("top_p", "temperature")}
    ids = model.generate(**inputs, **settings)
    golden = tensors("outputs")[f"gen.{name}.ids"]
    assert [until_end(row) for row in ids] == [until_end(row) for row in golden]
    texts = [
        processor.tokenizer.decode(until_end(row), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        for row in ids
    ]
    assert texts == GENERATIONS[name]["text_no_cleanup"]


@pytest.mark.parametrize("beams", [1, 5])
def test_mixed_levels_equal_single_calls(lion, beams):
    """The released code routes a whole batch by its first row; ours routes each row, beams included."""
    levels = torch.tensor([TaskLevel.IMAGE, TaskLevel.REGION, TaskLevel.IMAGE])
    inputs = batch("region_level") | {"task_levels": levels}
    labels = inputs.pop("labels")
    mixed_ids = lion.generate(**inputs, num_beams=beams, max_new_tokens=24, repetition_penalty=1.5)
    with torch.no_grad():
        mixed_logits = lion(**inputs, labels=labels).logits
    for row in range(3):
        single = {key: value[row : row + 1] for key, value in inputs.items()}
        for ids, mask in (("input_ids", "attention_mask"), ("qformer_input_ids", "qformer_attention_mask")):
            length = int(single[mask].sum())
            single[ids], single[mask] = single[ids][:, :length], single[mask][:, :length]
        ids = lion.generate(**single, num_beams=beams, max_new_tokens=24, repetition_penalty=1.5)
        assert until_end(ids[0]) == until_end(mixed_ids[row])
        with torch.no_grad():
            logits = lion(**single, labels=labels[row : row + 1]).logits
        real = labels[row] != -100
        assert (logits[0][real] - mixed_logits[row][real]).abs().max() <= 5e-5


def test_every_released_tensor_is_used_once():
    weights = released.released_weights()
    used = [our_name(name) for name in weights if our_name(name)]
    pairs = {name for name in used if name.endswith(("qkv.bias", "router.gates"))}
    assert all(used.count(name) == (2 if name in pairs else 1) for name in used)
    ours = {name for name, _ in released.model().named_parameters()}
    assert set(used) == ours
