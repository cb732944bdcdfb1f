"""The questions about every picture: the words of ``--do``, and the requests that they mean.

Words are read without torch, so that a mistake is reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lion.boxes import Box, unit_box
from lion.errors import LionError

if TYPE_CHECKING:
    from lion.pipeline import LionPipeline, Request
    from lion.pipeline.evidence import Picture
    from lion.pipeline.request import Tags

ALONE = ("caption", "tags")
WORDED = ("ask", "describe", "locate", "presence")
OFFERED = 'caption, tags, ask:"QUESTION", locate:"PHRASE", presence:"PHRASE", describe:X1,Y1,X2,Y2'

_NEXT = rf"(?:(?:{'|'.join(ALONE)})\s*(?:,|$)|(?:{'|'.join(WORDED)})\s*:)"
_ITEM = re.compile(
    rf'\s*(\w+)\s*(?::\s*(?:"([^"]*)"(?=\s*(?:,|$))|(.*?)(?=\s*(?:$|,\s*{_NEXT}))))?\s*(?:,|$)', re.DOTALL
)
"""An item of a list, up to its comma. Words without quotes, which shells take away, end where another item begins."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing to do with each picture."""

    verb: str
    text: str = ""
    box: Box | None = None
    """The region of ``describe``, in the unit square."""

    @property
    def name(self) -> str:
        """As it is written in ``--do``, without quotes."""
        return f"{self.verb}:{self.text}" if self.text else self.verb

    def request(self, picture: Picture, tags: Tags = None, if_there: bool = False) -> Request:
        """The request about a picture; tags and `if_there` as in :class:`Request`, the latter of ``locate`` alone."""
        from lion.pipeline import Request, Verb

        if self.verb == "tags":
            return Request(picture, Verb.TAG)
        if self.verb == "presence":
            return Request(picture, Verb.LOCATE, self.text, tags=tags).presence()
        text = self.text if self.text and self.box is None else None
        if_there = if_there and self.verb == "locate"
        return Request(picture, Verb(self.verb), text, self.box, tags=tags, if_there=if_there)


def parse(lists: Iterable[str]) -> tuple[Ask, ...]:
    """The asks of one or several comma lists, in their order.

    Raises: LionError that lists what there is, for an unknown verb, missing or needless words, or an ask that is there
        twice; for a box outside the unit square.
    """
    asks = [ask for text in lists for ask in _items(text)]
    if not asks:
        raise LionError(f"--do names nothing to do; there are {OFFERED}")
    for ask in asks:
        if asks.count(ask) > 1:
            raise LionError(f"--do has {ask.name} twice; leave one out")
    return tuple(asks)


def _items(text: str) -> Iterable[Ask]:
    start = 0
    while text[start:].strip():
        found = _ITEM.match(text, start)
        verb = found[1] if found else text[start:].split(",")[0].strip()
        if found is None or verb not in (*ALONE, *WORDED):
            raise LionError(f"--do has no '{verb}'; there are {OFFERED}")
        words = (found[2] if found[2] is not None else found[3] or "").strip()
        if bool(words) != (verb in WORDED):
            raise LionError(f"--do {verb}: {'its words are missing' if verb in WORDED else 'it takes no words'}")
        yield Ask(verb, words, _region(words) if verb == "describe" else None)
        start = found.end()


def _region(text: str) -> Box:
    try:
        x1, y1, x2, y2 = (float(number) for number in text.strip("[]").split(","))
    except ValueError as error:
        raise LionError(f"--do describe:{text} is not four numbers; write describe:x1,y1,x2,y2") from error
    return unit_box(Box(x1, y1, x2, y2), (1, 1))


def check(asks: Iterable[Ask], pipeline: LionPipeline) -> None:
    """Raise LionError for an ask that the model could answer about no picture: words too long, no tagger."""
    from lion.pipeline import prepare

    positions = pipeline.model.config.qformer_config.max_position_embeddings
    for ask in asks:
        if ask.verb != "tags":
            prepare(ask.request(b""), pipeline.processor, (1, 1), (), positions)
        elif pipeline.tagger is None:
            raise LionError(f"--do tags: '{pipeline.name}' has no tagger; put one in its sub-folder tagger/")
