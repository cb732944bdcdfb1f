"""Step 2, prepare: a request becomes the words, tags and token ids that the model reads. No model is involved.

T prompt tokens (language model), T' instruction tokens (Q-Former).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import BatchFeature

from lion.boxes import Box, has_written_area, shown_box, unit_box
from lion.errors import LionError
from lion.model import LionProcessor
from lion.model.processing_lion import is_readable
from lion.pipeline.request import Request, Round, Verb, Wording, shown, whole_number
from lion.prompts import Task, instruction, tag_words


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request made ready for the model."""

    request: Request
    task: Task
    instruction: str
    """The bare instruction, as the Q-Former reads it."""
    tags: tuple[str, ...] | None
    """Tags of the tag prompt; None for a prompt without one; empty for one whose list is empty."""
    inputs: BatchFeature
    """``input_ids`` and ``attention_mask`` (1, T), ``qformer_input_ids`` and ``qformer_attention_mask`` (1, T'),
    ``task_levels`` (1,)."""
    candidates: list[list[int]] | None
    """Token ids of the request's candidates, each ending in ``</s>``."""
    note: str | None
    """A message on tags or rounds that were dropped to fit the limit."""
    presence: float | None = None
    """Once it is known, the probability that the phrase of a request with `if_there` names something there."""


def prepare(
    request: Request,
    processor: LionProcessor,
    size: tuple[int, int],
    found: Sequence[str] | None = None,
    positions: int | None = None,
) -> Prompt:
    """Word, tag and tokenize a request.

    Args:
        request: of any verb but ``tag``, which needs no prompt.
        processor: the model's.
        size: (width, height) of the picture in pixels.
        found: the tagger's tags, for a request that gives none; None without a tagger.
        positions: the longest instruction, in tokens, that the model's Q-Former has positions for; None to check none.

    Raises:
        LionError: an empty or too long question, a box that is missing, outside the picture or without area, a history
            that is none, tags or candidates that are no list of words, a limit that is none or beyond ``positions``.
    """
    assert request.verb.task is not None
    limit = processor.max_text_tokens if positions is None else min(processor.max_text_tokens, positions)
    if request.max_prompt_tokens is not None:
        limit = whole_number("max_prompt_tokens", request.max_prompt_tokens)
        if positions is not None and limit > positions:
            raise LionError(f"max_prompt_tokens={limit} is more than the Q-Former's {positions} positions; lower it")
    if not isinstance(request.tags, Sequence | None):
        raise LionError(f"tags is a list of words, not {shown(request.tags)}")
    if request.tags == "empty":
        tags: Sequence[str] | None = ()
    else:
        tags = found if request.tags is None else tag_words(request.tags) or None
    words, note = _instruction(request, processor, size, tags, limit)
    if tags and len(kept := processor.fitting_tags(words, tags, limit)) < len(tags):
        notes = (note, f"kept {len(kept)} of {len(tags)} tags: the prompt's limit is {limit} tokens")
        tags, note = kept, "; ".join(filter(None, notes))
    inputs = processor(text=[words], tags=None if tags is None else [tags], tasks=[request.verb.task], max_length=limit)
    candidates = None if request.candidates is None else candidate_ids(processor, request.candidates)
    return Prompt(request, request.verb.task, words, None if tags is None else tuple(tags), inputs, candidates, note)


def _instruction(
    request: Request, processor: LionProcessor, size: tuple[int, int], tags: Sequence[str] | None, limit: int
) -> tuple[str, str | None]:
    """The bare instruction, and a note for the user if any."""
    verb, text, history, words = request.verb, request.text, request.history, request.instruction
    if not isinstance(history, Sequence):
        raise LionError(f"a history is a list of rounds (question, answer), not {shown(history)}")
    if callable(words):
        return fit_history(processor, tags, history, words, limit)
    if words is not None and not isinstance(words, str):
        raise LionError(f"an instruction is text, or a function that words a history, not {shown(words)}")
    if words is not None:
        return words, None
    if verb is Verb.DESCRIBE:
        return _region_instruction(request.box, size, processor.box_decimals)
    if verb is Verb.CAPTION:
        return instruction(Task.CAPTION), None
    if text is not None and not isinstance(text, str):
        raise LionError(f"a question or phrase is text, not {shown(text)}")
    if text is None or not text.strip():
        what = "phrase" if verb is Verb.LOCATE else "question"
        raise LionError(f"the {what} is empty; write a {what}")
    if verb is Verb.LOCATE:
        return instruction(Task.REC, expression=text), None
    if verb is Verb.ASK:
        return instruction(Task.VQA, question=text), None
    if not all(map(_is_round, history)):
        raise LionError("a history is a list of rounds (question, answer), both texts; of several pictures a list each")
    return fit_history(
        processor, tags, history, lambda rounds: instruction(Task.DIALOG, question=text, history=rounds), limit
    )


def _region_instruction(box: object, size: tuple[int, int], decimals: int) -> tuple[str, str | None]:
    if box is None:
        raise LionError("describe needs a box: x1,y1,x2,y2")
    if not isinstance(box, Box):
        raise LionError(f"a box is lion.Box(x1, y1, x2, y2), not {shown(box)}")
    unit = unit_box(box, size)
    note = f"at the {decimals} decimals that the model reads, the box {shown_box(box)} has no area"
    return instruction(Task.REG, box=unit, decimals=decimals), None if has_written_area(unit, decimals) else note


def _is_round(value: object) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(text, str) for text in value)


def fit_history(
    processor: LionProcessor, tags: Sequence[str] | None, history: Sequence[Round], wording: Wording, limit: int
) -> tuple[str, str | None]:
    """A dialog with as many of its latest rounds as fit the limit (tokens), and a note if some do not.

    Tags may keep half of the prompt and no more: a few survive any history, and many do not push the history out.
    """
    few = None if tags is None else processor.fitting_tags("", tags, limit // 2)

    def fits(words: str) -> bool:
        return max(processor.prompt_length(words, few), processor.instruction_length(words)) <= limit

    low, high = 0, len(history)  # the fewest rounds to drop; if some number fits, so does every larger one
    while low < high:
        middle = (low + high) // 2
        if fits(wording(history[middle:])):
            high = middle
        else:
            low = middle + 1
    note = f"dropped the {low} oldest of {len(history)} rounds: the prompt's limit is {limit} tokens"
    return wording(history[low:]), note if low else None


def candidate_ids(processor: LionProcessor, candidates: Sequence[str]) -> list[list[int]]:
    """Each candidate's token ids, ``</s>`` last; none is shortened.

    Raises: LionError if they are no list, there are none, or one is empty or no readable text.
    """
    if not isinstance(candidates, (list, tuple)):
        raise LionError(f"candidates is a list of answers, not {shown(candidates)}")
    if not candidates:
        raise LionError("there are no candidates; give at least one answer to rank")
    for index, text in enumerate(candidates):
        if not isinstance(text, str) or not is_readable(text):
            raise LionError(f"candidate {index} of {len(candidates)} is not readable text: {shown(text)}; leave it out")
    rows: list[list[int]] = processor.tokenizer(list(candidates))["input_ids"]
    for index, (text, ids) in enumerate(zip(candidates, rows, strict=True)):
        if not text.strip() or len(ids) < 2:
            raise LionError(f"candidate {index} of {len(candidates)} is empty: {text!r}; leave it out")
    return rows
