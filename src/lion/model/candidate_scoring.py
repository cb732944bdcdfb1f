"""How likely the language model finds given answers, with each prompt encoded once for all of its candidates.

The encoder runs once. The decoder reads all candidates teacher-forced; its cross-attention makes a prompt's keys and
values in the first pass, keeps them in a cache, and never repeats them
(:class:`~lion.model.language_model.SharedCrossAttention`).

B prompts, K candidates of a prompt, A answer tokens, N input tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from lion.model.language_model import LionLanguageModel

Candidates = Sequence[Sequence[Sequence[int]]]
"""For each prompt, for each of its candidates: the token ids, ``</s>`` last."""

TOKENS_PER_PASS = 1024
"""Answer tokens, padding included, that the decoder reads together: they bound the memory for logits and attention."""

IGNORED = -100
"""Label of padding."""


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
    prompts = BaseModelOutput(last_hidden_state=encoded.last_hidden_state)
    prompt_keys_and_values = DynamicCache()
    # Candidates of like length share a pass, so that little of it is padding.
    orders = [sorted(range(len(row)), key=[len(ids) for ids in row].__getitem__) for row in candidates]
    by_length = [[row[place] for place in order] for row, order in zip(candidates, orders, strict=True)]
    scores = []
    for labels_BKA in _passes(by_length):
        labels_BKA = labels_BKA.to(inputs_BND.device)
        labels_RA = labels_BKA.flatten(0, 1)
        logits_RAW = language_model(
            encoder_outputs=prompts,
            attention_mask=mask_BN,
            decoder_input_ids=language_model.prepare_decoder_input_ids_from_labels(labels_RA),
            past_key_values=EncoderDecoderCache(DynamicCache(), prompt_keys_and_values),
            use_cache=True,
            task_levels=task_levels_B.repeat_interleave(labels_BKA.shape[1]),
        ).logits
        losses = nn.functional.cross_entropy(
            logits_RAW.flatten(0, 1).float(), labels_RA.flatten(), ignore_index=IGNORED, reduction="none"
        )
        scores.append(losses.view_as(labels_BKA).sum(-1))
    scores_BK = torch.cat(scores, dim=1)
    places = [torch.tensor(order, device=scores_BK.device).argsort() for order in orders]
    return [row[place] for row, place in zip(scores_BK, places, strict=True)]


def _passes(candidates: Candidates) -> Iterator[Tensor]:
    """Labels (B, K, A) of consecutive candidates of all prompts; a prompt that has no more gets rows of padding."""
    most = max(len(row) for row in candidates)
    longest = [max(len(row[place]) for row in candidates if place < len(row)) for place in range(most)]
    start = 0
    while start < most:
        end, length = start + 1, longest[start]
        while end < most and len(candidates) * (end + 1 - start) * max(length, longest[end]) <= TOKENS_PER_PASS:
            length = max(length, longest[end])
            end += 1
        labels_BKA = torch.full((len(candidates), end - start, length), IGNORED)
        for labels_KA, row in zip(labels_BKA, candidates, strict=True):
            for labels_A, ids in zip(labels_KA, row[start:end], strict=False):
                labels_A[: len(ids)] = torch.tensor(ids)
        yield labels_BKA
        start = end
