"""Random language models of a few thousand weights, whose answers end by themselves, and prompts for them."""

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import T5Config

from lion.engine import EmbeddedPrompt, Settings
from lion.model.language_model import LionLanguageModel

END, WIDTH = 1, 16


def language_model(
    seed: int = 0, layers: tuple[int, int] = (2, 2), vocabulary: int = 24, **config: object
) -> LionLanguageModel:
    """No weight is zero, levels differ, and ``</s>`` is about as likely as other tokens."""
    torch.manual_seed(seed)
    shape = {
        "d_model": WIDTH,
        "d_kv": 6,
        "d_ff": 20,
        "num_heads": 2,
        "num_layers": layers[0],
        "num_decoder_layers": layers[1],
    }
    options = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "decoder_start_token_id": 0} | config
    model = LionLanguageModel(T5Config(vocab_size=vocabulary, **shape, **options), bottleneck=5).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".mixture." in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
        model.lm_head.weight.normal_(std=1.0)
    return model


def inputs(count: int, seed: int = 0, longest: int = 40) -> tuple[list[Tensor], list[int]]:
    """Embedded prompts of 1 to ``longest`` tokens, and their levels."""
    rng = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=rng).tolist()
    levels = torch.randint(0, 2, (count,), generator=rng).tolist()
    return [2 * torch.randn(length, WIDTH, generator=rng) for length in lengths], levels


def prompts(settings: Settings | list[Settings], count: int, seed: int = 0, longest: int = 40) -> list[EmbeddedPrompt]:
    """The same as prompts; one setting for all, or one each."""
    each = settings if isinstance(settings, list) else [settings] * count
    return [EmbeddedPrompt(*one) for one in zip(*inputs(count, seed, longest), each, strict=True)]


def padded(prompts: list[EmbeddedPrompt]) -> dict[str, Tensor]:
    """One batch for transformers: embeddings, mask and levels."""
    mask = pad_sequence([torch.ones(len(one.inputs_ND), dtype=torch.long) for one in prompts], batch_first=True)
    return {
        "inputs_embeds": pad_sequence([one.inputs_ND for one in prompts], batch_first=True),
        "attention_mask": mask,
        "task_levels": torch.tensor([one.level for one in prompts]),
    }


def generate(model: LionLanguageModel, prompts: list[EmbeddedPrompt]) -> list[list[int]]:
    """What transformers generates for prompts of equal settings, without start token and padding."""
    settings = prompts[0].settings
    penalty = {"repetition_penalty": settings.repetition_penalty} if settings.repetition_penalty != 1 else {}
    least = {"min_new_tokens": settings.min_new_tokens} if settings.min_new_tokens else {}
    ids = model.generate(
        **padded(prompts),
        num_beams=settings.num_beams,
        max_new_tokens=settings.max_new_tokens,
        length_penalty=settings.length_penalty,
        do_sample=False,
        num_return_sequences=settings.answers,
        **penalty,
        **least,
    )
    return [until_end(row[1:]) for row in ids.tolist()]


def until_end(ids: list[int]) -> list[int]:
    return ids[: ids.index(END) + 1] if END in ids else ids
