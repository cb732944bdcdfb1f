"""The drawn world in datasets' files, and a pipeline that knows the answers to what is asked about it."""

from functools import cache
from pathlib import Path
from unittest.mock import patch

from lion.boxes import format_box
from lion.data.drawn import FILE, picture_bytes
from lion.data.writers import FORMATS, write_as
from lion.eval import PAPER, DatasetBenchmark
from lion.pipeline import Answer, Candidate, LionPipeline
from lion.prompts import Task

SIZE = 24


@cache
def data(folder: Path) -> Path:
    """Every format, once for each folder, without the mark of drawn data: it stands for the original files."""
    with patch(
        "lion.data.writers.facts.picture_bytes", lambda picture, mark, suffix: picture_bytes(picture, {}, suffix)
    ):
        for name in FORMATS:
            (write_as(name, folder, SIZE, split="test", pixels=64) / FILE).unlink()
    return folder


def truth(record) -> str:
    """A right answer."""
    return format_box(record.box, 6) if record.task == Task.REC else record.answers[0]


class Knowing(LionPipeline):
    """Answers a benchmark's questions from the truth, after `spoil` has had its way with it.

    Attributes:
        asked: every request it got.
    """

    def __init__(self, parts, benchmark: DatasetBenchmark, spoil=lambda record, text: text, **settings):
        super().__init__(*parts, **{"name": "knowing", "batch_size": 4, **settings})
        self.asked, self._truth = [], {}
        reg = benchmark.row.task == Task.REG
        for record in benchmark.selection.records:
            request = benchmark._request(record, self.processor.box_decimals, 512)
            text = record.expression if reg else truth(record)
            self._truth[self._key(request)] = spoil(record, text)

    def _key(self, request):
        words = request.instruction
        asked = words(request.history) if callable(words) else words
        return request.image, asked, tuple(request.candidates or ())

    def look(self, image, *, tags=True):
        """It knows without looking."""

    def answer(self, requests, *, on_error="raise"):
        self.asked += requests
        return [self._answer_one(one) for one in requests]

    def _answer_one(self, request):
        text = self._truth[self._key(request)]
        if request.candidates is None:
            return Answer(text, request.verb, tags=("cat",))
        given = [Candidate(one, float(one != text), 2, place) for place, one in enumerate(request.candidates)]
        return Answer(text, request.verb, candidates=tuple(sorted(given, key=lambda one: one.nll)))


def on(name: str, folder: Path, **settings) -> DatasetBenchmark:
    """A benchmark on the drawn data."""
    return DatasetBenchmark(PAPER[name], folder, **settings)
