"""A gallery: pictures with their questions and answers, of one run or of several side by side, boxes drawn."""

import html
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, Self

from PIL import Image, ImageDraw

from lion.atomic import atomic_write
from lion.boxes import Box
from lion.errors import LionError
from lion.eval.benchmark import SampleScore
from lion.eval.predictions import Predictions, run_folders
from lion.eval.runner import benchmark_of
from lion.figures import COLOURS, INK
from lion.images import image_hash

NAMES = ("blue", "vermilion", "green", "purple")
"""Of the first of COLOURS, one for each run."""
_SIDES = (256, 384)
"""Bounds of a shown picture's longer side in pixels."""
_LINE, _DASH = 3, 7
"""Pixels."""
_KEY = (
    "A dashed box is the true one, or the one asked about; a solid one is an answer. A number is the IoU of a box, or "
    "the score of an answer that is right in part."
)
_ALTERNATING = "from all sets in turn, as many right answers as wrong ones where there are"
_TELLING = "from all sets in turn, first what one run gets right and another does not"
_TITLES = {
    "caption": "Captions",
    "vqa": "Questions",
    "dialog": "Dialogs",
    "rec": "Boxes for words (REC)",
    "reg": "Words for boxes (REG)",
    "pope-random": "POPE, random",
    "pope-popular": "POPE, popular",
    "pope-adversarial": "POPE, adversarial",
    "dialog-without-history": "Dialogs, without their history",
}
"""Of the drawn world's sets, by their names."""

Panel = Sequence[SampleScore]
"""One question with the answer of each run."""


def choose(runs: Sequence[Sequence[SampleScore]], count: int) -> list[Panel]:
    """At most `count` questions that all runs have answered, in the order of their sets.

    Raises: LionError if there is none.
    """
    answered = [{(one.group, one.id): one for one in samples} for samples in runs]
    sets: dict[str, dict[tuple[bool, ...], list[Panel]]] = {}
    for key in answered[0]:
        if all(key in one for one in answered):
            panel = [one[key] for one in answered]
            sets.setdefault(key[0], {}).setdefault(tuple(map(_right, panel)), []).append(panel)
    if not sets:
        raise LionError("the runs have no question in common; name runs of one benchmark with the same settings")
    shown: set[str] = set()
    by_set = (_in_turn(_unseen(kinds[kind], shown) for kind in sorted(kinds, key=_agreed)) for kinds in sets.values())
    chosen = islice(_in_turn(by_set), count)
    order = {key: (list(sets).index(key[0]), place) for place, key in enumerate(answered[0]) if key[0] in sets}
    return sorted(chosen, key=lambda panel: order[panel[0].group, panel[0].id])


@dataclass(frozen=True, slots=True)
class Gallery:
    """Questions with the answers of one run or several."""

    names: Sequence[str]
    """Of the runs: the model, with the folder where two are called the same."""
    records: Sequence[Mapping[str, Any]]
    """Of the runs, each one's first."""
    samples: Sequence[Sequence[SampleScore]]
    """All answers of each run."""
    panels: Sequence[Panel]
    """What is shown."""

    @classmethod
    def read(cls, folders: Sequence[Path], count: int, data: Path | None = None) -> Self:
        """The gallery of some runs' answers.

        Args:
            folders: for each model a run, or a folder of runs.
            count: questions, of all sets together.
            data: where the datasets lie now, if they have moved.

        Raises: LionError if a folder holds no run, one is not scored, or the runs have no question in common.
        """
        if len(folders) > len(NAMES):
            raise LionError(f"a gallery shows at most {len(NAMES)} runs side by side; name fewer")
        found = [[(one, Predictions(one).record()) for one in run_folders([folder])] for folder in folders]
        names = [Path(records[0][1]["model"]).name for records in found]
        if len(set(names)) < len(names):
            names = [f"{name}, {folder.resolve().name}" for name, folder in zip(names, folders, strict=True)]
        samples = [
            [one for run, record in records for one in benchmark_of(record, data).sample_scores(Predictions(run).read)]
            for records in found
        ]
        return cls(names, [records[0][1] for records in found], samples, choose(samples, count))

    def page(self, pictures: Path) -> str:
        """Write the pictures, in place of an earlier gallery's, and return the page that stands beside their folder.

        It is Markdown without a title.
        """
        for old in pictures.glob("panel-*.webp"):
            old.unlink()
        chosen = _TELLING if len(self.names) > 1 else _ALTERNATING
        blocks = [f"{len(self.panels)} questions: {chosen}, each picture once. {_KEY}"]
        if any(record.get("drawn", record["benchmark"] == "world") for record in self.records):
            blocks.append("The pictures are drawn: nothing here says anything about photographs.")
        blocks.append("\n".join(map(self._about, range(len(self.names)))))
        group = ""
        for number, panel in enumerate(self.panels, start=1):
            if panel[0].group != group:
                blocks += ["</div>"] * bool(group)
                group = panel[0].group
                blocks += [self._heading(group), '<div class="grid cards" markdown>']
            file, buffer = pictures / f"panel-{number:02}.webp", io.BytesIO()
            drawn_boxes(panel).save(buffer, "WEBP", quality=85, method=6)
            atomic_write(file, buffer.getvalue())
            blocks.append(self._card(panel, f"{pictures.name}/{file.name}"))
        return "\n\n".join([*blocks, "</div>"]) + "\n"

    def answers(self, panel: Panel) -> list[tuple[str, str]]:
        """Each run's answer, after its name, with a mark; last the right one, where not all gave it."""
        given = [(name, f"{verdict(one)} {one.generated}") for name, one in zip(self.names, panel, strict=True)]
        wanted = any(one.generated != panel[0].reference for one in panel)
        return given + [("right", panel[0].reference)] * wanted

    def _about(self, place: int) -> str:
        record = self.records[place]
        colour = f"{NAMES[place]} boxes; " if any(one.predicted_box for one in self.samples[place]) else ""
        made = f"{(record['commit'] or 'unknown')[:10]}, {record['hardware']}, {record['date'][:10]}"
        return f"* **{_escaped(self.names[place])}** ({colour}{made})"

    def _heading(self, group: str) -> str:
        """The set, and how many of all its questions each run has answered rightly."""
        counts = []
        for name, samples in zip(self.names, self.samples, strict=True):
            verdicts = [_right(one) for one in samples if one.group == group]
            counts.append(f"{_escaped(name)} {sum(verdicts)} of {len(verdicts)} right")
        return f"## {_TITLES.get(_set(group), _set(group))}\n\n{'; '.join(counts)}."

    def _card(self, panel: Panel, picture: str) -> str:
        one = panel[0]
        lines = [f"![{_set(one.group)}, {_escaped(one.id)}]({picture})", _escaped(one.prompt)]
        lines += [f"**{_escaped(name)}** {_escaped(text)}" for name, text in self.answers(panel)]
        return "-   " + "\n\n    ".join(lines)


def drawn_boxes(panel: Panel) -> Image.Image:
    """The picture with the true or given box, dashed, and every answer's box in its run's colour."""
    picture = panel[0].image().copy()
    picture.thumbnail((_SIDES[1], _SIDES[1]))
    if max(picture.size) < _SIDES[0]:
        factor = -(-_SIDES[0] // max(picture.size))
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)
    for one, colour in zip(panel, COLOURS, strict=False):
        if one.predicted_box:
            _frame(draw, one.predicted_box, picture.size, colour)
    if panel[0].box:
        _frame(draw, panel[0].box, picture.size, INK, dashed=True)
    return picture


def _frame(draw: ImageDraw.ImageDraw, box: Box, size: tuple[int, int], colour: str, *, dashed: bool = False) -> None:
    """A line on a white one, so that it shows on any ground, and the one below it between its dashes."""
    left, top, right, bottom = (round(edge) for edge in box.clamp().to_pixel(*size).xyxy())
    right, bottom = max(right - _LINE, left), max(bottom - _LINE, top)
    along, down = range(left, right + 1, 2 * _DASH), range(top, bottom + 1, 2 * _DASH)
    if not dashed:
        along, down = range(left, left + 1), range(top, top + 1)
    wide, high = (_DASH, _DASH) if dashed else (right - left + _LINE, bottom - top + _LINE)
    lines = [(x, y, min(x + wide, right + _LINE), y + _LINE) for x in along for y in (top, bottom)]
    lines += [(x, y, x + _LINE, min(y + high, bottom + _LINE)) for y in down for x in (left, right)]
    for grown, ink in ((1, "white"), (0, colour)):
        for x1, y1, x2, y2 in lines:
            draw.rectangle((x1 - grown, y1 - grown, x2 - 1 + grown, y2 - 1 + grown), fill=ink)


def _in_turn(panels: Iterable[Iterable[Panel]]) -> Iterator[Panel]:
    """The first of each, then the second of each, and so on."""
    return (one for row in zip_longest(*panels) for one in row if one is not None)


def _unseen(panels: Iterable[Panel], shown: set[str]) -> Iterator[Panel]:
    """Those whose picture is not shown by then; it is from then on."""
    for panel in panels:
        if (picture := image_hash(panel[0].image())) not in shown:
            shown.add(picture)
            yield panel


def _right(sample: SampleScore) -> bool:
    return sample.score >= sample.right_from


def _agreed(kind: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
    """Sorts what tells runs apart first, then what is wrong."""
    return len(set(kind)) == 1 and len(kind) > 1, kind


def verdict(sample: SampleScore) -> str:
    """A mark; with a number where an answer may be partly right: a box's IoU, a text's score."""
    mark = "✓" if _right(sample) else "✗"
    if sample.right_from < 1:
        return f"{mark} IoU {sample.score:.2f}:"
    return f"{mark} {sample.score:.2f}:" if 0 < sample.score < 1 else mark


def _set(group: str) -> str:
    """The name of a benchmark or, of the drawn world, of a set of its questions."""
    return _escaped(group.rpartition(": ")[2])


def _escaped(text: str) -> str:
    """Words in Markdown, on one line."""
    return re.sub(r"([\\`*_\[\]])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
