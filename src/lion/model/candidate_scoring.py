"""How likely the language model finds given answers, with each prompt encoded once for all of them.

The encoder runs once; the decoder reads the candidates teacher-forced. A prompt's keys and values are made in the first
pass, kept in a cache for the others, and not repeated for its candidates
(:class:`~lion.model.language_model.SharedCrossAttention`). Short candidates stand behind each other in a line, and a
mask keeps each from seeing the others: T5 knows relative positions only, so a candidate reads the same wherever it
stands, and hardly any padding is computed.

B prompts, K candidates of a prompt, L lines of a prompt in one pass, T tokens of a line, N input tokens, D width,
W vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from lion.model.language_model import LionLanguageModel

Candidates = Sequence[Sequence[Sequence[int]]]
"""For each prompt, for each of its candidates: the token ids, ``</s>`` last."""

TOKENS_PER_LINE = 48
"""Long enough to hold several candidates, short enough that what is masked costs little; a longer candidate makes all
lines as long as itself."""

TOKENS_PER_PASS = 2048
"""Answer tokens that the decoder reads together, but at least a line of each prompt; this bounds the memory for logits
and attention."""

IGNORED = -100
"""Label of padding."""

NOBODY = -1
"""The candidate that padding belongs to."""


@dataclass
class _Pass:
    """Some candidates of every prompt, one line after the other, those of a prompt together; each (B * L, T)."""

    inputs: Tensor
    labels: Tensor
    candidates: Tensor
    """Which of its prompt's candidates a token belongs to."""


@torch.no_grad()
def negative_log_likelihoods(
    language_model: LionLanguageModel,
    inputs_BND: Tensor,
    mask_BN: Tensor,
    task_levels_B: Tensor,
    candidates: Candidates,
) -> list[Tensor]:
    """For each prompt the (K,) negative log-likelihoods of its candidates in nats, in their order, in float32.

    Summed over a candidate's tokens, with no division by their number. B and K are at least 1; K may differ.
    """
    encoded = language_model.encoder(inputs_embeds=inputs_BND, attention_mask=mask_BN, task_levels=task_levels_B)
    keys_and_values_of_prompts = DynamicCache()
    # Equal candidates are read once, or rounding would tell them apart.
    distinct = [{ids: place for place, ids in enumerate(dict.fromkeys(map(tuple, row)))} for row in candidates]
    prompts, most = len(distinct), max(map(len, distinct))
    scores_BK = torch.zeros(prompts, most, device=inputs_BND.device)
    for part in _passes(list(map(list, distinct)), language_model.config.decoder_start_token_id):
        owners = part.candidates.to(inputs_BND.device)
        logits = language_model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded.last_hidden_state),
            attention_mask=mask_BN,
            decoder_input_ids=part.inputs.to(inputs_BND.device),
            decoder_attention_mask=_own_past_only(owners, language_model.dtype),
            past_key_values=EncoderDecoderCache(DynamicCache(), keys_and_values_of_prompts),
            use_cache=True,
            task_levels=task_levels_B.repeat_interleave(len(owners) // prompts),
        ).logits
        losses = nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), part.labels.flatten().to(logits.device), reduction="none"
        ).to(owners.device)
        # Padding has no loss (cross_entropy passes over -100), so it does not matter where it goes.
        scores_BK.scatter_add_(1, owners.clamp(min=0).view(prompts, -1), losses.view(prompts, -1))
    places = [[known[tuple(ids)] for ids in row] for row, known in zip(candidates, distinct, strict=True)]
    return [row[torch.tensor(place, device=row.device)] for row, place in zip(scores_BK, places, strict=True)]


def _own_past_only(owners: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to the decoder's self-attention, (B * L, 1, T, T): a token sees its own candidate up to itself."""
    seen = (owners[:, :, None] == owners[:, None, :]).tril()
    return torch.zeros_like(seen, dtype=dtype).masked_fill_(~seen, torch.finfo(dtype).min)[:, None]


def _passes(candidates: Candidates, start_id: int) -> Iterator[_Pass]:
    """All candidates, those of a prompt in order; a prompt that has no more gets lines of padding."""
    room = max(TOKENS_PER_LINE, *(len(ids) for row in candidates for ids in row))
    lines = [list(_lines(row, room)) for row in candidates]
    step = max(1, TOKENS_PER_PASS // (room * len(candidates)))
    most = max(map(len, lines))
    lines = [own + [range(0)] * (most - len(own)) for own in lines]
    for start in range(0, most, step):
        part = [(row, line) for row, own in zip(candidates, lines, strict=True) for line in own[start : start + step]]
        yield _Pass(
            _padded([[token for k in line for token in (start_id, *row[k][:-1])] for row, line in part], start_id),
            _padded([[token for k in line for token in row[k]] for row, line in part], IGNORED),
            _padded([[k for k in line for _ in row[k]] for row, line in part], NOBODY),
        )


def _lines(candidates: Sequence[Sequence[int]], room: int) -> Iterator[range]:
    """A prompt's candidates cut into runs of at most ``room`` tokens."""
    start = tokens = 0
    for place, ids in enumerate(candidates):
        if tokens + len(ids) > room:
            yield range(start, place)
            start, tokens = place, 0
        tokens += len(ids)
    yield range(start, len(candidates))


def _padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    tensors = [torch.tensor(row, dtype=torch.long) for row in rows]
    return nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)
