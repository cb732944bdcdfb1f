"""How one prompt is decoded, and what comes out of it: numbers and token ids, no words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from lion.engine.grammar import Grammar


class StopRule(StrEnum):
    """When beam search gives up on running beams; the rules differ where ``</s>`` is the likeliest next token.

    Both stop once the worst of k finished answers is no worse than what a running beam may still reach, judged by the
    length penalty of the current length.
    """

    RUNNING = "running"
    """Judged by the best beam that goes on: transformers 5, whose search may end a step earlier."""
    ALL_CANDIDATES = "all candidates"
    """Judged by the best of all 2k candidates of the step, ``</s>`` included: transformers 4, as released (4.42.4)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a prompt is decoded. The caller has checked the numbers."""

    num_beams: int = 1
    """Beams of beam search; 1 decodes row by row, greedily or by sampling."""
    max_new_tokens: int = 64
    min_new_tokens: int = 0
    """``</s>`` cannot come before so many tokens."""
    repetition_penalty: float = 1.0
    """Divides the score of what was generated before (multiplies negative ones), as transformers."""
    length_penalty: float = 1.0
    """Exponent of the length by which a beam's sum of log-probabilities is divided."""
    stop_rule: StopRule = StopRule.RUNNING
    answers: int = 1
    """How many: the best of the beams, or as many samples."""
    temperature: float = 0.0
    """0 is greedy; above, tokens are drawn from the scores divided by it."""
    top_k: int = 0
    """Draw among the k likeliest tokens only; 0 for all."""
    top_p: float = 1.0
    """Draw among the fewest likeliest tokens that have this probability together."""
    seed: int = 0
    """Of the draws: the same prompt, settings and seed give the same tokens, whatever runs beside."""
    top_logprobs: int = 0
    """So many of the likeliest tokens are reported beside each chosen one."""
    grammar: Grammar | None = None
    """What may be generated; None for anything."""
    stop: Callable[[Sequence[int]], bool] | None = None
    """Whether the generated ids so far end the answer, such as a text in them; asked after each token."""

    @property
    def rows(self) -> int:
        """Rows that the prompt holds while it is decoded."""
        return self.num_beams if self.is_beam_search else self.answers

    @property
    def is_beam_search(self) -> bool:
        """Whether rows depend on each other."""
        return self.num_beams > 1


@dataclass(frozen=True, slots=True)
class Output:
    """One answer to a prompt."""

    ids: list[int]
    """Generated tokens; ``</s>`` is the last where the answer ended by itself."""
    logprobs: list[float] = field(default_factory=list)
    """Log-probability of each token under the model in nats, before penalties and masks."""
    score: float = 0.0
    """Beams: sum of the penalised log-probabilities by length to the power of the length penalty. Else their sum."""
    top: list[list[tuple[int, float]]] = field(default_factory=list)
    """For each token the likeliest ids at its place with their log-probabilities; empty unless asked for."""
