"""Candidates scored together get what the full forward gives each alone, and the prompt is worked on once."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lion.checkpoints.loading import load
from lion.errors import LionError
from lion.model import LionConfig, LionForConditionalGeneration, TaskLevel, candidate_scoring
from tests.model.test_modeling_lion import inputs
from tests.parity import released

END = 1
BOUND = 1e-5
"""Relative; measured 7e-7. What rounding leaves of a likelihood near 1 is below `FLOOR` nats."""
FLOOR = 1e-5


@pytest.fixture(scope="module")
def lion():
    torch.manual_seed(0)
    model = LionForConditionalGeneration(LionConfig.tiny()).eval()
    with torch.no_grad():  # adapters start by adding nothing; give them something to say
        for name, parameter in model.named_parameters():
            if ".mixture." in name or "vision_aggregator" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def some(*lengths, seed=0, vocabulary=400):
    """Random candidates of so many tokens, ``</s>`` included."""
    generator = torch.Generator().manual_seed(seed)
    return [[*torch.randint(3, vocabulary, (length - 1,), generator=generator).tolist(), END] for length in lengths]


def rows(batch, row):
    """One row without its padding."""
    one = {name: value[row : row + 1] for name, value in batch.items()}
    for ids, mask in (("input_ids", "attention_mask"), ("qformer_input_ids", "qformer_attention_mask")):
        length = int(one[mask].sum())
        one[ids], one[mask] = one[ids][:, :length], one[mask][:, :length]
    return one


@torch.no_grad()
def one_by_one(model, batch, candidates):
    """By the full forward, a picture, a prompt and a candidate at a time."""
    return [
        torch.stack(
            [
                torch.nn.functional.cross_entropy(
                    model(**rows(batch, row), labels=torch.tensor([ids])).logits[0], torch.tensor(ids), reduction="sum"
                )
                for ids in answers
            ]
        )
        for row, answers in enumerate(candidates)
    ]


def assert_same(ours, golden):
    for row, expected in zip(ours, golden, strict=True):
        assert row.dtype == torch.float32
        torch.testing.assert_close(row, expected, rtol=BOUND, atol=FLOOR)


@pytest.mark.parametrize("visual_inputs", ["both", "qformer", "aggregator"])
@pytest.mark.parametrize("levels", [[0, 0, 0], [1, 1, 1], [1, 0, 1]])
def test_golden_weights_in_every_mode_and_level(visual_inputs, levels):
    model = released.model(visual_inputs)
    batch = released.batch("region_level") | {"task_levels": torch.tensor(levels)}
    golden = [ids[ids != -100].tolist() for ids in batch.pop("labels")]
    assert len({int(length) for length in batch["attention_mask"].sum(1)}) > 1  # prompts that need padding
    candidates = [[golden[0], *some(2, 9, 4)], [golden[1]], [*some(6, 6), golden[2], golden[2]]]
    ours = model.score_candidates(**batch, candidates=candidates)
    assert_same(ours, one_by_one(model, batch, candidates))
    assert ours[2][2] == ours[2][3]  # to the last bit, so that ties are ties


@pytest.mark.parametrize("level", released.LEVELS)
def test_released_losses(level):
    """The loss of each sample as the released code computed it."""
    batch = released.batch(level)
    labels = batch.pop("labels")
    golden = released.tensors("outputs")[f"{level}.nll_sum_per_sample"]
    ours = released.model().score_candidates(
        **batch, candidates=[[*some(3), ids[ids != -100].tolist()] for ids in labels]
    )
    assert [float(row[1]) for row in ours] == pytest.approx(golden.tolist(), rel=BOUND)


def test_the_bundled_model():
    loaded = load(None, "cpu", None)
    processor, model = loaded.processor, loaded.model.eval()
    side = model.config.vision_config.image_size
    batch = dict(processor(text=["is there a cat?", "where is the red ball?"], tasks=["vqa", "rec"]))
    batch["pixel_values"] = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(3))
    texts = [["yes", "no", "a red cat"], ["[0.12,0.34,0.56,0.78]", "no"]]
    candidates = [processor.tokenizer(row)["input_ids"] for row in texts]
    assert_same(model.score_candidates(**batch, candidates=candidates), one_by_one(model, batch, candidates))


lengths = st.lists(st.integers(1, 12), min_size=1, max_size=9)


@settings(max_examples=12)
@given(
    counts=st.tuples(lengths, lengths, lengths),
    levels=st.lists(st.sampled_from(list(TaskLevel)), min_size=3, max_size=3),
    line=st.integers(1, 20),
    tokens=st.integers(1, 80),
    attention=st.sampled_from(["sdpa", "eager"]),
)
def test_however_they_are_cut(lion, counts, levels, line, tokens, attention):
    batch = inputs(rows=3, levels=[int(level) for level in levels])
    batch["attention_mask"][1, 5:] = 0
    candidates = [some(*row, seed=seed) for seed, row in enumerate(counts)]
    golden = one_by_one(lion, batch, candidates)
    lion.set_attn_implementation(attention)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidate_scoring, "TOKENS_PER_SEQUENCE", line)
        patch.setattr(candidate_scoring, "TOKENS_PER_PASS", tokens)
        ours = lion.score_candidates(**batch, candidates=candidates)
    lion.set_attn_implementation("sdpa")
    assert_same(ours, golden)


def test_level_and_picture_reach_the_scores(lion):
    batch, candidates = inputs(rows=2, levels=[0, 0]), [some(4, 6)] * 2
    first, second = lion.score_candidates(**batch, candidates=candidates)
    assert (first - second).abs().min() > 1e-3
    other = lion.score_candidates(**batch | {"task_levels": torch.tensor([1, 1])}, candidates=candidates)[0]
    assert (first - other).abs().min() > 1e-3


def test_a_look_is_used_in_place_of_pixels(lion):
    batch, candidates = inputs(rows=2, levels=[0, 1]), [some(4, 6)] * 2
    golden = lion.score_candidates(**batch, candidates=candidates)
    vision = lion.look(batch.pop("pixel_values"))
    assert_same(lion.score_candidates(**batch, vision=vision, candidates=candidates), golden)


def test_a_prompt_is_worked_on_once_and_never_repeated(lion, monkeypatch):
    """100 candidates in several passes: each part runs once, on as many rows as there are prompts."""
    monkeypatch.setattr(candidate_scoring, "TOKENS_PER_PASS", 400)
    model, seen = lion.language_model, {}
    keys = [block.layer[1].EncDecAttention.k for block in model.decoder.block]
    parts = {"vision": lion.vision_encoder, "qformer": lion.qformer, "encoder": model.encoder} | {
        f"keys {index}": key for index, key in enumerate(keys)
    }
    decoded = []
    hooks = [model.decoder.register_forward_hook(lambda _m, _a, out: decoded.append(out.last_hidden_state.shape))]
    for name, part in parts.items():
        hooks.append(part.register_forward_hook(lambda *_args, name=name: seen.setdefault(name, []).append(1)))
    attended = []
    attention = torch.nn.functional.scaled_dot_product_attention

    def watching(query, key, value, **kwargs):
        attended.append((key.shape, query.shape))
        return attention(query, key, value, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watching)
    batch = inputs(rows=2, levels=[0, 1])
    lion.score_candidates(**batch, candidates=[some(*[2, 3, 4, 5, 6] * 20), some(*[6] * 90)])
    for hook in hooks:
        hook.remove()
    assert seen == {name: [1] for name in parts}
    assert len(decoded) > 1 and all(rows * length <= 400 for rows, length, _ in decoded)
    visual = lion.config.num_query_tokens + (lion.config.vision_config.image_size // 14) ** 2 + 1
    prompt = visual + batch["input_ids"].shape[1]
    crossing = [key for key, query in attended if key[2] == prompt and query[2] != prompt]
    assert len(crossing) == len(keys) * len(decoded)
    assert {key[0] for key in crossing} == {2}


def test_hardly_any_padding_is_computed():
    """VisDial's shape: 100 candidates of one to eight tokens."""
    candidates = some(*[2, 9, 4, 7, 3, 5, 8, 6, 2, 4] * 10)
    passes = list(candidate_scoring._passes([candidates], 0))
    assert len(passes) == 1
    assert passes[0].labels.numel() < 1.2 * sum(map(len, candidates))


def test_half_precision_sums_in_float32(lion, tmp_path):
    """Sums of bfloat16 would tie: above 16 nats its steps are 0.125."""
    batch, candidates = inputs(rows=2, levels=[0, 1]), [some(*[12] * 30)] * 2
    exact = lion.score_candidates(**batch, candidates=candidates)
    lion.save_pretrained(tmp_path)
    rounded = LionForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    batch["pixel_values"] = batch["pixel_values"].bfloat16()
    for row, golden in zip(rounded.score_candidates(**batch, candidates=candidates), exact, strict=True):
        assert row.dtype == torch.float32
        assert (row - golden).abs().max() < 0.05 * golden.max()
        assert len(set(row.tolist())) == 30


@pytest.mark.parametrize(
    ("candidates", "error", "message"),
    [
        ([some(3), []], LionError, "row 1 has no candidates"),
        ([some(3), [*some(3), []]], LionError, "row 1 has a candidate without tokens"),
        ([some(3)], ValueError, "candidates for 1 rows and 2 prompts"),
    ],
)
def test_bad_candidates_are_one_clear_error(lion, candidates, error, message):
    with pytest.raises(error, match=message):
        lion.score_candidates(**inputs(rows=2), candidates=candidates)


def test_bad_inputs_are_those_of_forward(lion):
    with pytest.raises(ValueError, match="one level per row"):
        lion.score_candidates(**inputs(rows=2) | {"task_levels": None}, candidates=[some(3)] * 2)
    with pytest.raises(ValueError, match="a picture is missing"):
        lion.score_candidates(**inputs(rows=2) | {"pixel_values": None}, candidates=[some(3)] * 2)
