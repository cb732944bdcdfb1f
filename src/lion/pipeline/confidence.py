"""How sure the model is of what it generated: of each token, of an answer, of a box in it.

Nothing here changes an answer; docs/explanation/confidence.md measures how well these numbers tell right from wrong.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from lion.boxes import Box, parse_boxes
from lion.engine import Output

LIKELIEST = 16
"""So many tokens are weighed at each place of a box."""
NEGLIGIBLE = 1e-3
"""Tokens less probable are passed over: they move no score by more than the last digit that people read."""


class TokenLogprob(NamedTuple):
    """A generated token."""

    text: str
    """What it adds to the text: joined, these are the text. ``</s>`` and the like add nothing."""
    logprob: float
    """Its log-probability under the model in nats, given all before it; no penalty or constraint is in it."""


def token_logprobs(output: Output, tokenizer: PreTrainedTokenizerBase) -> tuple[TokenLogprob, ...]:
    """The tokens of an answer, ``</s>`` included; none from a decoder that gives no log-probabilities."""
    if not output.logprobs:
        return ()
    return tuple(map(TokenLogprob, token_texts(output.ids, tokenizer), output.logprobs))


def token_texts(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What each token adds to the text; a character of several tokens comes with its last one."""
    texts, known = [], ""
    for text in tokenizer.batch_decode([ids[:length] for length in range(1, len(ids) + 1)], skip_special_tokens=True):
        text = known if text.endswith("\ufffd") or not text.startswith(known) else text
        texts.append(text[len(known) :])
        known = text
    return texts


def confidence(tokens: Sequence[TokenLogprob]) -> float | None:
    """The geometric mean of the tokens' probabilities, in (0, 1]; None without tokens.

    A product would fall with every further word, so that long answers looked doubtful for being long.
    """
    return math.exp(sum(token.logprob for token in tokens) / len(tokens)) if tokens else None


def box_scores(
    output: Output, tokens: Sequence[TokenLogprob], boxes: Sequence[Box], tokenizer: PreTrainedTokenizerBase
) -> list[float | None]:
    """For each box of an answer's text the overlap that the model itself expects it to have with the true one.

    At each place of the text the likeliest tokens are put in, one at a time, weighted by their probabilities: the mean
    IoU of the box with what is then written there, 0 where that is no box. A score is the product over all places, as
    if they erred independently. So a coordinate off by a hundredth costs little, and doubt between two objects much,
    which the probability of the tokens alone does not tell apart.

    None for each where the decoder gave no likeliest tokens.
    """
    if not (output.top and tokens):
        return [None] * len(boxes)
    scores = [1.0] * len(boxes)
    texts = [token.text for token in tokens]
    for place, likeliest in enumerate(output.top):
        weights = dict(likeliest) | {output.ids[place]: output.logprobs[place]}
        expected = [0.0] * len(boxes)
        for token, probability in ((token, math.exp(logprob)) for token, logprob in weights.items()):
            if token == output.ids[place]:
                others = tuple(boxes)
            elif probability < NEGLIGIBLE:
                continue
            else:
                other = str(tokenizer.decode([token], skip_special_tokens=True))
                others = parse_boxes("".join([*texts[:place], other, *texts[place + 1 :]])).boxes
            for number, (box, written) in enumerate(zip(boxes, others, strict=False)):
                expected[number] += probability * box.iou(written)
        scores = [score * mean for score, mean in zip(scores, expected, strict=True)]
    return list(scores)
