"""Beam search: the k likeliest unfinished answers of a prompt go on, until none can beat the finished ones.

Decisions about one prompt are plain Python on 2k numbers; scores of all prompts of a step are computed together.
P prompts, k beams of each, R = P * k, V vocabulary.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lion.engine.rows import Token, after, constrained, ends, likeliest, output
from lion.engine.settings import Output, Settings, StopRule

NEVER = -1e9
"""Score of a beam that does not exist yet: at first all beams but one, or all would say the same."""


class BeamSearch:
    """The beams of one prompt; see :class:`~lion.engine.rows.Search`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.length = 0
        self.done = False
        self.rows: list[Token | None] = [None] * settings.num_beams
        self.scores = [0.0] + [NEVER] * (settings.num_beams - 1)
        self.parents = list(range(settings.num_beams))
        self._finished: list[tuple[float, Token]] = []
        """At most k, best first; of equals the earlier."""

    def outputs(self) -> list[Output]:
        return [output(token, score) for score, token in self._finished[: self.settings.answers]]

    def advance(self, candidates: Sequence[tuple[float, int, Token]], end: int) -> None:
        """One step.

        Args:
            candidates: the 2k likeliest continuations of all beams, best first: summed score, beam, token.
            end: the id of ``</s>``.
        """
        if math.isnan(candidates[0][0]):  # it comes first where one is, and nothing follows from it
            self._finished, self.done = [(math.nan, candidates[0][2])], True
            return
        settings, count = self.settings, self.settings.num_beams
        released = settings.stop_rule is StopRule.ALL_CANDIDATES
        self.length += 1
        last = self.length >= settings.max_new_tokens
        running: list[tuple[float, int, Token]] = []
        for rank, candidate in enumerate(candidates):
            score, _, token = candidate
            if not (ends(settings, end, token) or (last and not released)):
                running.append(candidate)
            elif rank < count and score > NEVER / 2:  # below it no beam: a filler, or a token that may not follow
                self._finish(score, token)
        running = [*running, *[(NEVER, beam, token) for _, beam, token in candidates[:count]]][:count]
        self.scores, self.parents, self.rows = map(list, zip(*running, strict=True))
        best = candidates[0][0] if released else self.scores[0]
        full = len(self._finished) == count and self._finished[-1][0] >= self._per_length(best)
        if last and released and not full:
            for score, _, token in running:
                self._finish(score, token)
        self.done = full or last or self.scores[0] <= NEVER / 2

    def _finish(self, score: float, token: Token) -> None:
        score = self._per_length(score)
        place = sum(other >= score for other, _ in self._finished)
        self._finished.insert(place, (score, token))
        del self._finished[self.settings.num_beams :]

    def _per_length(self, score: float) -> float:
        return float(score / self.length**self.settings.length_penalty)


def advance(logits_RV: Tensor, searches: Sequence[BeamSearch], start: int, end: int) -> None:
    """One step of all prompts of a lane."""
    count = searches[0].settings.num_beams
    logprobs_RV = torch.log_softmax(logits_RV, dim=-1)
    scores_RV = constrained(logprobs_RV, searches, start, end)
    running = torch.tensor([search.scores for search in searches], device=logits_RV.device)
    vocabulary = scores_RV.shape[-1]
    summed = (scores_RV.view(len(searches), count, vocabulary) + running[..., None]).flatten(1)
    values, places = summed.topk(2 * count)
    logprobs = logprobs_RV.view(len(searches), -1).gather(1, places)
    top = likeliest(logprobs_RV, searches)
    copied = torch.stack([values.double(), places.double(), logprobs.double()], dim=1).tolist()  # once from the device
    for number, (search, step) in enumerate(zip(searches, copied, strict=True)):
        candidates = []
        for score, place, logprob in zip(*step, strict=True):
            beam, token = divmod(int(place), vocabulary)
            before = search.rows[beam]
            state = after(search.settings, before, token)
            candidates.append((score, beam, Token(before, token, logprob, top[number * count + beam], state)))
        search.advance(candidates, end)
