"""What can be asked: one :class:`Request` per picture and question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lion.boxes import Box
from lion.pipeline.answer import Verb
from lion.pipeline.instructions import Round
from lion.pipeline.look import Look

Picture = str | Path | bytes | Image.Image | Look
"""Whatever names a picture: a path, the bytes of a file, a PIL image or an earlier look."""
Pictures = list[str] | list[Path] | list[bytes] | list[Image.Image] | list[Look] | list[Picture] | tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to say about one picture."""

    image: Picture
    verb: Verb
    text: str | None = None
    """The question (ask, chat) or the phrase (locate)."""
    box: Box | None = None
    """The region to describe, in either space."""
    history: Sequence[Round] = ()
    """Earlier rounds of a chat, (question, answer), oldest first."""
    tags: Sequence[str] | None = None
    """Tags to give the model; None for the tagger's, an empty list for a prompt without tags."""
    instruction: str | None = None
    """What the model reads, word for word, in place of the wording that the verb gives to the fields above."""
    candidates: Sequence[str] | None = None
    """Answers to choose from by likelihood, where the model shall not write its own."""
