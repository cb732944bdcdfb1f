"""Negative log-likelihoods of candidate answers under the language model; each prompt is encoded once.

The decoder reads the candidates teacher-forced, in several passes where they are many. A prompt's cross-attention keys
and values are computed in the first pass and shared by all its candidates
(:class:`~lion.model.language_model.SharedCrossAttention`).

Short candidates are packed: several form one decoder sequence, under a block-diagonal causal mask. This is exact, since
T5 has relative positions only, and hardly any padding is computed.

B prompts, K candidates of a prompt, L packed sequences of a prompt in one pass, T tokens of a sequence, N input tokens,
D width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from lion.errors import LionError
from lion.model.language_model import LionLanguageModel

Candidates = Sequence[Sequence[Sequence[int]]]
"""For each prompt, for each of its candidates: the token ids, ``</s>`` last."""

TOKENS_PER_SEQUENCE = 48
"""T: several candidates, yet little masked attention. A longer candidate makes all sequences as long as itself."""

TOKENS_PER_PASS = 2048
"""Most decoder tokens of one pass, B * L * T (but at least one sequence of each prompt): bounds the memory."""

IGNORED, PADDING = -100, -1
"""Label and candidate index of padding."""


@dataclass
class _Pass:
    """Packed candidates, those of a prompt together, and for each token the index of its candidate; all (B * L, T)."""

    decoder_input_ids: Tensor
    labels: Tensor
    candidate_indices: Tensor


@torch.no_grad()
def negative_log_likelihoods(
    language_model: LionLanguageModel,
    inputs_BND: Tensor,
    mask_BN: Tensor,
    task_levels_B: Tensor,
    candidates: Candidates,
) -> list[Tensor]:
    """For each prompt the (K,) float32 negative log-likelihoods of its candidates in nats, summed over their tokens.

    Raises:
        ValueError: candidates of more or fewer prompts.
        LionError: a prompt without candidates, a candidate without tokens.
    """
    if len(candidates) != len(inputs_BND):
        raise ValueError(f"candidates for {len(candidates)} rows and {len(inputs_BND)} prompts; give a list for each")
    for row, answers in enumerate(candidates):
        if not answers or not all(map(len, answers)):
            lack = "has no candidates" if not answers else "has a candidate without tokens"
            raise LionError(f"row {row} {lack}; give each prompt answers that end in </s>")
    encoded = language_model.encoder(inputs_embeds=inputs_BND, attention_mask=mask_BN, task_levels=task_levels_B)
    cross_attention_cache = DynamicCache()
    # Equal candidates are scored once, or rounding would tell them apart.
    distinct = [{ids: index for index, ids in enumerate(dict.fromkeys(map(tuple, row)))} for row in candidates]
    prompts, most = len(distinct), max(map(len, distinct))
    scores_BK = torch.zeros(prompts, most, device=inputs_BND.device)
    for part in _passes(list(map(list, distinct)), language_model.config.decoder_start_token_id):
        indices = part.candidate_indices.to(inputs_BND.device)
        logits = language_model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded.last_hidden_state),
            attention_mask=mask_BN,
            decoder_input_ids=part.decoder_input_ids.to(inputs_BND.device),
            decoder_attention_mask=_packed_mask(indices, language_model.dtype),
            past_key_values=EncoderDecoderCache(DynamicCache(), cross_attention_cache),
            use_cache=True,
            task_levels=task_levels_B.repeat_interleave(len(indices) // prompts),
        ).logits
        losses = nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), part.labels.flatten().to(logits.device), reduction="none"
        ).to(indices.device)
        # The loss of padding is 0 (its label is IGNORED), so it may be added to any candidate.
        scores_BK.scatter_add_(1, indices.clamp(min=0).view(prompts, -1), losses.view(prompts, -1))
    columns = [[known[tuple(ids)] for ids in row] for row, known in zip(candidates, distinct, strict=True)]
    return [row[torch.tensor(column, device=row.device)] for row, column in zip(scores_BK, columns, strict=True)]


def _packed_mask(indices: Tensor, dtype: torch.dtype) -> Tensor:
    """Additive self-attention mask, (B * L, 1, T, T): a token attends to its own candidate up to itself."""
    attended = (indices[:, :, None] == indices[:, None, :]).tril()
    return torch.zeros_like(attended, dtype=dtype).masked_fill_(~attended, torch.finfo(dtype).min)[:, None]


def _passes(candidates: Candidates, start_id: int) -> Iterator[_Pass]:
    """Pack all candidates, in order, and cut the sequences into passes of equally many for each prompt."""
    length = max(TOKENS_PER_SEQUENCE, *(len(ids) for row in candidates for ids in row))
    packed = [list(_pack(row, length)) for row in candidates]
    most = max(map(len, packed))
    packed = [own + [range(0)] * (most - len(own)) for own in packed]  # prompts with fewer get sequences of padding
    per_pass = max(1, TOKENS_PER_PASS // (length * len(candidates)))
    for start in range(0, most, per_pass):
        sequences = [
            [(index, row[index]) for index in sequence]
            for row, own in zip(candidates, packed, strict=True)
            for sequence in own[start : start + per_pass]
        ]
        yield _Pass(
            _padded([[token for _, ids in each for token in (start_id, *ids[:-1])] for each in sequences], start_id),
            _padded([[token for _, ids in each for token in ids] for each in sequences], IGNORED),
            _padded([[index for index, ids in each for _ in ids] for each in sequences], PADDING),
        )


def _pack(candidates: Sequence[Sequence[int]], length: int) -> Iterator[range]:
    """A prompt's candidates as runs of indices whose tokens fit into one sequence of that length."""
    start = tokens = 0
    for index, ids in enumerate(candidates):
        if tokens + len(ids) > length:
            yield range(start, index)
            start, tokens = index, 0
        tokens += len(ids)
    yield range(start, len(candidates))


def _padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    tensors = [torch.tensor(row, dtype=torch.long) for row in rows]
    return nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)
