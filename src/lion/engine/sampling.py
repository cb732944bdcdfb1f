"""Decoding row by row: the likeliest token (greedy), or one drawn from the likeliest by a request's own seed.

P prompts, k answers of each, R = P * k, V vocabulary.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lion.engine.rows import Token, after, constrained, ends, likeliest, output, written
from lion.engine.settings import Output, Settings
from lion.random import stream


class RowSearch:
    """Independent answers to one prompt; see :class:`~lion.engine.rows.Search`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.length = 0
        self.rows: list[Token | None] = [None] * settings.answers
        self._open = [True] * settings.answers
        self._draws = [stream("sampling", settings.seed, row) for row in range(settings.answers)]

    @property
    def done(self) -> bool:
        return not any(self._open)

    def outputs(self) -> list[Output]:
        return [output(row, sum(token.logprob for token in written(row))) for row in self.rows]

    def draws(self) -> list[float]:
        """A number in [0, 1) for each row."""
        return [float(draw.random()) for draw in self._draws]

    def advance(self, tokens: Sequence[tuple[int, float, list[tuple[int, float]]]], end: int) -> None:
        """One step: for each row the chosen token, its log-probability and the likeliest beside it."""
        self.length += 1
        for row, (token, logprob, top) in enumerate(tokens):
            if self._open[row]:
                before = self.rows[row]
                new = Token(before, token, logprob, top, after(self.settings, before, token))
                self.rows[row] = new
                over = ends(self.settings, end, new) or math.isnan(logprob)
                self._open[row] = self.length < self.settings.max_new_tokens and not over


def advance(logits_RV: Tensor, searches: Sequence[RowSearch], start: int, end: int) -> None:
    """One step of all prompts of a lane."""
    scores_RV = constrained(logits_RV, searches, start, end)
    chosen_R = scores_RV.argmax(-1)
    if any(search.settings.temperature for search in searches):
        chosen_R = torch.where(_is_drawn(searches, chosen_R), _drawn(scores_RV, searches), chosen_R)
    logprobs_RV = torch.log_softmax(logits_RV, dim=-1)
    logprobs_R = logprobs_RV.gather(1, chosen_R[:, None])[:, 0]
    chosen, logprobs = torch.stack([chosen_R.double(), logprobs_R.double()]).tolist()  # one copy from the device
    steps = list(zip(map(int, chosen), logprobs, likeliest(logprobs_RV, searches), strict=True))
    count = len(searches[0].rows)
    for number, search in enumerate(searches):
        search.advance(steps[number * count : (number + 1) * count], end)


def _is_drawn(searches: Sequence[RowSearch], like: Tensor) -> Tensor:
    return _by_row([search.settings.temperature > 0 for search in searches], searches, like)[:, 0]


def _drawn(scores_RV: Tensor, searches: Sequence[RowSearch]) -> Tensor:
    """A token for each row (R,): temperature, then the k likeliest, then the likeliest of probability p."""
    settings = [search.settings for search in searches]
    temperature = _by_row([one.temperature or 1.0 for one in settings], searches, scores_RV)
    ordered, tokens = (scores_RV / temperature).sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(ordered.shape[-1], device=ordered.device)
    ordered = ordered.masked_fill(
        rank >= _by_row([one.top_k or len(rank) for one in settings], searches, rank), -torch.inf
    )
    shares = ordered.softmax(-1)
    before = shares.cumsum(-1) - shares
    shares = shares.masked_fill(before >= _by_row([one.top_p for one in settings], searches, shares), 0.0)
    summed = shares.cumsum(-1)
    draws = torch.tensor([draw for search in searches for draw in search.draws()], device=summed.device)[:, None]
    place = (summed <= draws * summed[:, -1:]).sum(-1, keepdim=True).clamp_max(len(rank) - 1)
    return tokens.gather(1, place)[:, 0]


def _by_row(values: Sequence[float], searches: Sequence[RowSearch], like: Tensor) -> Tensor:
    """A prompt's value for each of its rows, (R, 1)."""
    repeated = [value for value, search in zip(values, searches, strict=True) for _ in search.rows]
    return torch.tensor(repeated, device=like.device)[:, None]
