"""The adapted T5: T5 itself where adapters add nothing, levels through generation, and shared cross-attention."""

import pytest
import torch
from torch import nn
from transformers import T5Config, T5ForConditionalGeneration

from lion.model.language_model import LionLanguageModel, SharedCrossAttention

CONFIG = T5Config(
    vocab_size=60,
    d_model=16,
    d_kv=8,
    d_ff=24,
    num_layers=2,
    num_heads=2,
    feed_forward_proj="gated-gelu",
    tie_word_embeddings=False,
    decoder_start_token_id=0,
    scale_decoder_outputs=False,
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LionLanguageModel(CONFIG, bottleneck=4).eval()


def plain(model):
    """T5 without adapters, with the model's weights."""
    t5 = T5ForConditionalGeneration(CONFIG).eval()
    t5.lm_head = nn.Linear(CONFIG.d_model, CONFIG.vocab_size, bias=False)  # T5 ties it to the embedding
    state = {name: tensor for name, tensor in model.state_dict().items() if ".mixture." not in name}
    for stack, place in (("encoder", 1), ("decoder", 2)):
        state = {
            name.replace("feed_forward", f"layer.{place}") if name.startswith(stack) else name: tensor
            for name, tensor in state.items()
        }
    t5.load_state_dict(state)
    return t5


@torch.no_grad()
def test_fresh_adapters_leave_t5_as_it_was(model):
    ids, labels = torch.randint(2, 60, (2, 7)), torch.randint(2, 60, (2, 4))
    for level in (0, 1):
        ours = model(input_ids=ids, labels=labels, task_levels=torch.full((2,), level)).logits
        torch.testing.assert_close(ours, plain(model)(input_ids=ids, labels=labels).logits)


def test_levels_are_needed_and_generation_takes_them(model):
    ids = torch.randint(2, 60, (2, 7))
    with pytest.raises(TypeError, match="task_levels"):
        model(input_ids=ids, labels=ids)
    generated = model.generate(input_ids=ids, task_levels=torch.tensor([0, 1]), num_beams=2, max_new_tokens=3)
    assert torch.equal(generated, plain(model).generate(input_ids=ids, num_beams=2, max_new_tokens=3))


@torch.no_grad()
def test_answers_in_a_row_attend_as_each_alone(model):
    shared = model.decoder.block[0].layer[1]
    assert isinstance(shared, SharedCrossAttention)
    prompts, answers = torch.randn(2, 5, 16), torch.randn(6, 3, 16)
    mask = torch.zeros(2, 1, 3, 5)
    mask[1, :, :, 3:] = torch.finfo(torch.float32).min
    joined = shared(answers, prompts, attention_mask=mask)[0]
    for row in range(6):
        prompt = slice(row // 3, row // 3 + 1)
        alone = shared(answers[row : row + 1], prompts[prompt], attention_mask=mask[prompt])[0]
        torch.testing.assert_close(joined[row : row + 1], alone)
