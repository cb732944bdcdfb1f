"""A set of questions, and the prediction that the pipeline's answer to each is stored as."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lion.errors import LionError
from lion.eval.predictions import SKIPPED, Prediction
from lion.pipeline import Answer, LionPipeline, Request
from lion.pipeline.evidence import Picture


@dataclass(frozen=True)
class QuestionSet:
    """Questions whose predictions go into one file; a question's index is its place in ``ids``.

    Args:
        name: of the predictions file, without suffix.
        ids: the questions' ids, in their own order.
        prompts: each question's instruction in full, with all earlier rounds of a dialog.
        request: makes the request of a question, by index.
        images: each question's image, to batch by; empty to keep the given order.
        references: each question's reference, for readers of the file.
        skip_bad: whether a question that cannot be answered is stored with the reason instead of raising; None where
            the user has no such option.
    """

    name: str
    ids: Sequence[str]
    prompts: Sequence[str]
    request: Callable[[int], Request]
    images: Sequence[Path | bytes] = ()
    references: Sequence[Any] = ()
    skip_bad: bool | None = None

    def look(self, pipeline: LionPipeline, indices: Sequence[int]) -> None:
        """Encode the questions' images, each once, before batches of them are answered."""
        if not self.images:
            return
        images: list[Picture] = list(dict.fromkeys(self.images[index] for index in indices))
        with suppress(LionError, OSError):  # what cannot be read is reported by `answer`
            pipeline.look(images)

    def answer(self, pipeline: LionPipeline, indices: Sequence[int]) -> list[Prediction]:
        """A prediction for each question.

        Raises: LionError for one that cannot be answered, unless bad ones are skipped.
        """
        answers = pipeline.answer([self.request(index) for index in indices], on_error="row")
        return [self._prediction(index, answer) for index, answer in zip(indices, answers, strict=True)]

    def _prediction(self, index: int, answer: Answer) -> Prediction:
        prediction: Prediction = {"asked": self.prompts[index]}
        if answer.failed and self.skip_bad:
            return prediction | {SKIPPED: " ".join((answer.reason or "").split())}
        if answer.failed:
            hint = "" if self.skip_bad is None else " (mend it, or skip bad records with --skip-bad)"
            raise LionError(f"{self.name} record {self.ids[index]}: {answer.reason}{hint}")
        if self.references:
            prediction["true"] = self.references[index]
        prediction |= {"text": answer.text, "tags": list(answer.tags)}
        if answer.candidates:
            given = sorted(answer.candidates, key=lambda candidate: candidate.index)
            # To 5 decimals: a smaller difference is a tie, whatever machine and batch it was computed in.
            prediction |= {"nll": [round(one.nll, 5) for one in given], "tokens": [one.tokens for one in given]}
        return prediction | ({"note": answer.note} if answer.note else {})
