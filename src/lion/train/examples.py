"""Held-out samples with the model's answers, as people watch a run: rows of examples.jsonl, and one picture of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from lion.boxes import Box, LabelledBox, format_box, parse_boxes
from lion.data.sample import Sample
from lion.pipeline import annotate
from lion.prompts import Task

SHOWN = 4
"""Samples of a set of questions."""
_SIDE, _GAP, _TITLE = 320, 16, 22
"""Pixels: the longer side of a shown picture, between two, and the size of a set's name."""
_LONGEST = 160
"""Letters of an instruction or an answer, of which more would not be read."""


@dataclass(frozen=True, slots=True)
class Example:
    """A sample of a set of questions, such as `vqa` or `held_out/rec`, and what the model wrote."""

    questions: str
    sample: Sample
    answer: str

    @property
    def truth(self) -> str:
        """The right answer; of REC the box as the model would write it."""
        box: Box | None = self.sample.meta.get("box")
        return format_box(box.clamp()) if box and self.sample.task == Task.REC else str(self.sample.answer)

    def row(self) -> dict[str, Any]:
        """As examples.jsonl has it."""
        sample = self.sample
        row = {"set": self.questions, "id": sample.id, "asked": sample.instruction}
        return row | {"tags": list(sample.tags or ()), "answer": self.answer, "truth": self.truth}

    def picture(self) -> Image.Image:
        """The sample's picture with true (or given) and predicted box, above question, answer and truth."""
        source = self.sample.image
        image = source if isinstance(source, Image.Image) else Image.fromarray(source)
        image = image.convert("RGB")
        scale = _SIDE / max(image.size)
        size = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
        image = image.resize(size, Image.Resampling.LANCZOS if scale < 3 else Image.Resampling.NEAREST)
        true: Box | None = self.sample.meta.get("box")
        boxes = (
            [LabelledBox.of("truth" if self.sample.task == Task.REC else "given", true.clamp(), size)] if true else []
        )
        if self.sample.task == Task.REC:
            boxes += [LabelledBox.of("answer", box, size) for box in parse_boxes(self.answer).boxes[:1]]
        texts = (self.sample.instruction, f"answer: {self.answer}", f"truth: {self.truth}")
        return annotate(image, boxes, "\n".join(map(_shorten, texts)))


def sheet(examples: Sequence[Example]) -> Image.Image:
    """All examples on one picture, a line of pictures for each set of questions, in 256 colours."""
    lines = [(name, [each.picture() for each in some]) for name, some in groupby(examples, lambda each: each.questions)]
    width = max(sum(each.width + _GAP for each in pictures) for _, pictures in lines) + _GAP
    heights = [max(each.height for each in pictures) + _TITLE + 2 * _GAP for _, pictures in lines]
    canvas = Image.new("RGB", (width, sum(heights)), "white")
    draw, top = ImageDraw.Draw(canvas), 0
    for (name, pictures), height in zip(lines, heights, strict=True):
        draw.text((_GAP, top + _GAP // 2), name, fill="black", font=ImageFont.load_default(_TITLE))
        left = _GAP
        for picture in pictures:
            canvas.paste(picture, (left, top + _TITLE + _GAP))
            left += picture.width + _GAP
        top += height
    return canvas.quantize(256, method=Image.Quantize.FASTOCTREE)


def _shorten(text: str) -> str:
    """One line, without the beginning where it is long: a dialog's question comes last."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else "... " + line[-_LONGEST:].partition(" ")[2]
