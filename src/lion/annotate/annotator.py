"""Answers for the pictures of a shard: each is tagged and looked at once, whatever is asked about it.

Which pictures go through the model together depends on the shard alone, so its rows are the same however often it is
made, and wherever.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from lion.annotate.asks import Ask
from lion.annotate.reader import Picture
from lion.errors import LionError
from lion.pipeline import Answer, LionPipeline, Look, Request
from lion.pipeline.request import Tags

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """The content of a shard; every input is in one of the two."""

    rows: list[Row] = field(default_factory=list)
    errors: list[Row] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Inputs, rows and errors; and of rows with a note in one of their answers, where there are any."""
        counts = {"inputs": len(self.rows) + len(self.errors), "rows": len(self.rows), "errors": len(self.errors)}
        notes = sum(any(answer["note"] for answer in row["answers"]) for row in self.rows)
        return counts | ({"notes": notes} if notes else {})


class Annotator:
    """Answers the same questions about every picture.

    Args:
        pipeline: its `batch_size` pictures are looked at together.
        asks: the questions.
        tags: those of the prompts, as :attr:`Request.tags`.
        if_there: of ``locate``, as :attr:`Request.if_there`.
    """

    def __init__(self, pipeline: LionPipeline, asks: tuple[Ask, ...], tags: Tags = None, if_there: bool = False):
        self.pipeline, self.asks, self.tags, self.if_there = pipeline, asks, tags, if_there
        self._words = any(ask.verb != "tags" for ask in asks)
        self._tagged = tags is None or any(ask.verb == "tags" for ask in asks)

    def shard(self, pictures: Iterator[Picture], advance: Callable[[int], None] = lambda count: None) -> Made:
        """The rows of a shard's pictures, in their order; `advance` is called with how many more are done.

        Raises: LionError or OSError of the pipeline only where no picture can be answered.
        """
        self.pipeline.cache.clear()  # what is known of an earlier shard's pictures was computed in other batches
        made, requested = Made(), deque[tuple[Row, Ask]]()
        requests = self._requests(pictures, made, requested, advance)
        for answer in self.pipeline.answer_each(requests, on_error="row"):
            row, ask = requested.popleft()
            row["answers"].append(_answer(ask, answer))
            if ask.verb == "tags" and not answer.failed:
                row["tags"] = list(answer.tags)
            if len(row["answers"]) == len(self.asks):
                advance(1)
        return made

    def _requests(
        self, pictures: Iterator[Picture], made: Made, requested: deque[tuple[Row, Ask]], advance: Callable[[int], None]
    ) -> Iterator[Request]:
        """The requests, picture by picture; each is noted in `requested` as it is handed out."""
        inputs = enumerate(pictures)
        while taken := list(islice(inputs, self.pipeline.batch_size)):
            looked_at = self._looked_at(taken, made)
            advance(len(taken) - len(looked_at))
            for row, look in looked_at:
                for ask in self.asks:
                    requested.append((row, ask))
                    yield ask.request(look, self.tags, self.if_there)

    def _looked_at(self, taken: list[tuple[int, Picture]], made: Made) -> list[tuple[Row, Look]]:
        """New rows for pictures that could be opened, with features and tags; the others go to the errors."""
        opened: list[tuple[int, Picture, Look]] = []
        for index, picture in taken:
            if picture.look is None:
                error = {"key": as_text(picture.key), "index": index, "sha256": picture.sha256}
                made.errors.append(error | {"reason": as_text(picture.reason or "")})
            else:
                opened.append((index, picture, picture.look))
        looks = [look for _, _, look in opened]
        if self._words and looks:
            try:
                looks = self.pipeline.look(looks, tags=self._tagged)
            except LionError:  # of the tagger; each request then meets its own
                looks = self.pipeline.look(looks, tags=False)
        rows = [_row(index, picture, look) for (index, picture, _), look in zip(opened, looks, strict=True)]
        made.rows.extend(rows)
        return list(zip(rows, looks, strict=True))


def _row(index: int, picture: Picture, look: Look) -> Row:
    return {
        "key": as_text(picture.key),
        "index": index,
        "sha256": picture.sha256,
        "hash": look.hash,
        "width": look.size[0],
        "height": look.size[1],
        "tags": None if look.evidence.tags is None else list(look.evidence.tags),
        "answers": [],
    }


def _answer(ask: Ask, answer: Answer) -> Row:
    found = answer.to_json()
    presence = found["presence"]
    if ask.verb == "presence" and answer.confidence is not None:  # which is the better candidate's
        presence = round(answer.confidence if answer.text == "yes" else 1 - answer.confidence, 4)
    kept = {name: found[name] for name in ("text", "ok", "reason", "boxes", "confidence")}
    return {"do": ask.name, **kept, "presence": presence, "note": answer.remark}


def as_text(name: str) -> str:
    """A file's name as text; bytes that are not text are escaped."""
    return name.encode(errors="backslashreplace").decode()
