"""Beam search by the rules of transformers 4.42.4, which the released code ran with, written down a second time.

Without caches: scores come from whole forward passes, one a step for all prompts. Serves to decide what the engine's
stop rule ``ALL_CANDIDATES`` must do.
"""

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from lion.engine import EmbeddedPrompt
from lion.model.language_model import LionLanguageModel
from tests.engine.tiny import END, padded


@torch.no_grad()
def search(model: LionLanguageModel, prompts: list[EmbeddedPrompt]) -> list[list[int]]:
    """The best answer to each prompt; their settings are equal."""
    batch = padded(prompts)
    mask, levels = batch["attention_mask"], batch["task_levels"]
    states = model.encoder(**batch).last_hidden_state
    searches = [Search(prompt) for prompt in prompts]
    while running := [row for row, search in enumerate(searches) for _ in search.beams if not search.done]:
        said = [[0, *ids] for search in searches if not search.done for _, ids in search.beams]
        logits = model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states[running]),
            attention_mask=mask[running],
            decoder_input_ids=torch.tensor(said),
            task_levels=levels[running],
        ).logits[:, -1]
        each = logits.log_softmax(-1).split([len(search.beams) for search in searches if not search.done])
        for search, logprobs in zip([search for search in searches if not search.done], each, strict=True):
            search.step(logprobs)
    return [max(search.kept)[1] for search in searches]


class Search:
    """One prompt: open beams and finished answers, each with its score."""

    def __init__(self, prompt: EmbeddedPrompt) -> None:
        self.settings = prompt.settings
        self.beams: list[tuple[float, list[int]]] = [(0.0, [])]
        self.kept: list[tuple[float, list[int]]] = []
        self.length, self.done = 0, False

    def step(self, logprobs: Tensor) -> None:
        """Log-probabilities of what may follow each open beam, (beams, vocabulary)."""
        count, self.length = self.settings.num_beams, self.length + 1
        if (penalty := self.settings.repetition_penalty) != 1.0:
            logprobs = logprobs.clone()
            for row, (_, ids) in zip(logprobs, self.beams, strict=True):
                row[[*{0, *ids}]] *= penalty  # none is positive; the start token counts as said
        sums = torch.tensor([score for score, _ in self.beams])[:, None] + logprobs
        scores, places = sums.flatten().topk(min(2 * count, sums.numel()))
        candidates = [
            (score, [*self.beams[place // sums.shape[1]][1], place % sums.shape[1]])
            for score, place in zip(scores.tolist(), places.tolist(), strict=True)
        ]
        for score, ids in candidates[:count]:
            if ids[-1] == END:
                self.keep(score, ids)
        self.beams = [one for one in candidates if one[1][-1] != END][:count]
        worst = min(self.kept)[0] if len(self.kept) == count else -torch.inf
        self.done = worst >= self.per_length(candidates[0][0])
        if not self.done and self.length == self.settings.max_new_tokens:
            self.done = True
            for score, ids in self.beams:
                self.keep(score, ids)

    def per_length(self, score: float) -> float:
        return float(score / self.length**self.settings.length_penalty)

    def keep(self, score: float, ids: list[int]) -> None:
        """Take a finished answer if it is among the best."""
        self.kept.append((self.per_length(score), ids))
        if len(self.kept) > self.settings.num_beams:
            self.kept.remove(min(self.kept))
