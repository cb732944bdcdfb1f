"""A request in words: the instruction the model reads, checked, with a chat's history cut to what fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lion.boxes import Box, format_box, parse_boxes
from lion.errors import LionError
from lion.model import LionProcessor
from lion.pipeline.answer import Verb
from lion.prompts import Task, dialog_instruction, instruction

Round = tuple[str, str]
"""A question and the answer it got."""
Wording = Callable[[Sequence[Round]], str]
"""Puts a dialog into words, given the rounds that shall be told."""


def instruction_of(
    verb: Verb,
    processor: LionProcessor,
    size: tuple[int, int],
    tags: Sequence[str] | None,
    text: str | None,
    box: Box | None,
    history: Sequence[Round],
) -> tuple[str, str | None]:
    """The bare instruction for a request about a picture of ``size`` (width, height), and a note for the asker if any.

    Raises: LionError if the question or phrase is empty, a round is no pair of texts, or the box is missing, no Box,
        outside the picture or without area.
    """
    if verb is Verb.DESCRIBE:
        if box is None:
            raise LionError("describe needs a box: x1,y1,x2,y2")
        if not isinstance(box, Box):
            raise LionError(f"a box is lion.Box(x1, y1, x2, y2), not {box!r}")
        unit, decimals = unit_box(box, size), processor.box_decimals
        read = parse_boxes(format_box(unit, decimals))
        note = (
            None if read.ok else f"at the {decimals} decimals that the model reads, the box {_numbers(box)} has no area"
        )
        return instruction(Task.REG, box=unit, decimals=decimals), note
    if verb is Verb.CAPTION:
        return instruction(Task.CAPTION), None
    if text is not None and not isinstance(text, str):
        raise LionError(f"a question or phrase is text, not {text!r}")
    if not (text or "").strip():
        raise LionError(f"the {'phrase' if verb is Verb.LOCATE else 'question'} is empty; say what you want to know")
    if verb is Verb.LOCATE:
        return instruction(Task.REC, expression=text), None
    if verb is Verb.ASK:
        return instruction(Task.VQA, question=text), None
    if not all(map(_is_round, history)):
        raise LionError("a history is a list of rounds (question, answer), both texts; of several pictures a list each")
    return fitting(processor, tags, history, lambda rounds: dialog_instruction(rounds, text or ""))


def _is_round(value: object) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(text, str) for text in value)


def unit_box(box: Box, size: tuple[int, int]) -> Box:
    """The box in the unit square of a picture of ``size`` (width, height).

    Raises: LionError if it reaches outside the picture or has no area.
    """
    unit = box.to_unit(*size)
    if unit != unit.clamp():
        inside = "0 to 1 each way" if box.space == "unit" else f"{size[0]}x{size[1]} pixels"
        hint = "; for pixels say so: --pixels, or Box(..., 'pixel')" if box.space == "unit" else ""
        raise LionError(f"the box {_numbers(box)} reaches outside the picture, which is {inside}{hint}")
    if unit.area == 0:
        raise LionError(f"the box {_numbers(box)} has no area; x1 < x2 and y1 < y2 are needed")
    return unit


def _numbers(box: Box) -> str:
    return ",".join(f"{value:g}" for value in box.xyxy())


def fitting(
    processor: LionProcessor, tags: Sequence[str] | None, history: Sequence[Round], wording: Wording
) -> tuple[str, str | None]:
    """A dialog with as many of its latest rounds as fit beside the rest, and a note if some do not.

    Rounds leave tags half of the prompt, if they need it, and no more: few tags are kept whatever was said, and many do
    not push out what was said.
    """
    few = None if tags is None else processor.fitting_tags("", tags, processor.max_text_tokens // 2)
    low, high = 0, len(history)  # the fewest rounds to drop; fewer rounds always fit if more do
    while low < high:
        middle = (low + high) // 2
        if _fits(processor, few, wording(history[middle:])):
            high = middle
        else:
            low = middle + 1
    words = wording(history[low:])
    if low == 0:
        return words, None
    limit = processor.max_text_tokens
    return words, f"dropped the {low} oldest of {len(history)} rounds: the prompt's limit is {limit} tokens"


def _fits(processor: LionProcessor, tags: Sequence[str] | None, words: str) -> bool:
    lengths = (processor.prompt_length(words, tags), processor.instruction_length(words))
    return max(lengths) <= processor.max_text_tokens
