"""What the rows of a prompt have generated so far, and what they may not generate next.

P prompts, k rows of each, R = P * k, V vocabulary.
"""

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

from lion.engine.settings import Output, Settings


class Token(NamedTuple):
    """A generated token and those before it, which rows share."""

    before: Self | None  # type: ignore[misc]  # mypy does not know recursive tuples of Self
    id: int
    logprob: float
    top: list[tuple[int, float]]
    state: Hashable
    """Of the grammar, after this token."""


class Search(Protocol):
    """One prompt while it is decoded, by beams or row by row."""

    settings: Settings
    length: int
    """Tokens generated so far."""
    rows: list[Token | None]
    """The last token of each of its k rows."""

    @property
    def done(self) -> bool:
        """Whether its answers are complete."""

    def outputs(self) -> list[Output]:
        """The answers, best first."""


def written(token: Token | None) -> list[Token]:
    """All tokens of a row, in order."""
    tokens = []
    while token is not None:
        tokens.append(token)
        token = token.before
    return tokens[::-1]


def ids(token: Token | None) -> list[int]:
    """The ids of a row, in order."""
    return [one.id for one in written(token)]


def output(token: Token | None, score: float) -> Output:
    """A row that has ended, as an answer."""
    tokens = written(token)
    return Output([t.id for t in tokens], [t.logprob for t in tokens], score, [t.top for t in tokens if t.top])


def ends(settings: Settings, end: int, token: Token) -> bool:
    """Whether a row is complete with its last token."""
    return token.id == end or (settings.stop is not None and settings.stop(ids(token)))


def constrained(scores_RV: Tensor, searches: Sequence[Search], start: int, end: int) -> Tensor:
    """Scores after repetition penalty, minimum length and grammar of each prompt, in transformers' order."""
    scores_RV = _repetition(scores_RV, searches, start)
    rows = len(scores_RV) // len(searches)
    early = [p for p, search in enumerate(searches) if search.length < search.settings.min_new_tokens]
    if early:
        scores_RV = scores_RV.clone()
        scores_RV.view(len(searches), rows, -1)[early, :, end] = -torch.inf
    if any(search.settings.grammar for search in searches):
        scores_RV = _grammar(scores_RV, searches)
    return scores_RV


def _repetition(scores_RV: Tensor, searches: Sequence[Search], start: int) -> Tensor:
    """As transformers' processor: the decoder's start token counts as generated."""
    if all(search.settings.repetition_penalty == 1.0 for search in searches):
        return scores_RV
    rows = [row for search in searches for row in search.rows]
    generated = [[start, *ids(row)] for row in rows]
    longest = max(map(len, generated))
    generated_RT = torch.tensor([row + [start] * (longest - len(row)) for row in generated], device=scores_RV.device)
    penalties = [search.settings.repetition_penalty for search in searches for _ in search.rows]
    penalty_R1 = torch.tensor(penalties, device=scores_RV.device)[:, None]
    values = scores_RV.gather(1, generated_RT)
    return scores_RV.scatter(1, generated_RT, torch.where(values < 0, values * penalty_R1, values / penalty_R1))


def _grammar(scores_RV: Tensor, searches: Sequence[Search]) -> Tensor:
    """Leave, in rows with a grammar, only the tokens that may follow."""
    kept_RV = scores_RV.clone()
    for grammar in {search.settings.grammar for search in searches}:
        if grammar is None:
            continue
        places, states = [], []
        for place, (search, row) in enumerate(_each_row(searches)):
            if search.settings.grammar is grammar:
                places.append(place)
                states.append(row.state if row else grammar.start)
        allowed = grammar.allowed(states).to(scores_RV.device)
        own = scores_RV[places]
        kept_RV[places] = torch.full_like(own, -torch.inf).scatter(1, allowed, own.gather(1, allowed))
    return kept_RV


def _each_row(searches: Sequence[Search]) -> Iterator[tuple[Search, Token | None]]:
    return ((search, row) for search in searches for row in search.rows)


def after(settings: Settings, before: Token | None, token: int) -> Hashable:
    """The grammar's state after a token; None without a grammar."""
    grammar = settings.grammar
    return grammar and grammar.next(before.state if before else grammar.start, token)


def likeliest(logprobs_RV: Tensor, searches: Sequence[Search]) -> list[list[tuple[int, float]]]:
    """For each row the tokens to report beside the chosen one; empty where none are asked for."""
    counts = [search.settings.top_logprobs for search in searches for _ in search.rows]
    asked = [row for row, count in enumerate(counts) if count]
    found: list[list[tuple[int, float]]] = [[]] * len(counts)
    if asked:
        values, tokens = logprobs_RV[asked].topk(min(max(counts), logprobs_RV.shape[-1]))
        for row, ids, logprobs in zip(asked, tokens.tolist(), values.tolist(), strict=True):
            found[row] = list(zip(ids, logprobs, strict=True))[: counts[row]]
    return found
