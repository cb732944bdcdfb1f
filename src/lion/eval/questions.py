"""A set of questions: its batches, and the predictions that the pipeline's answers are stored as."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lion.errors import LionError
from lion.eval.predictions import SKIPPED, Prediction
from lion.images import StoredImage
from lion.pipeline import Answer, LionPipeline, Request
from lion.pipeline.evidence import Picture, batched


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
    images: Sequence[Path | bytes | StoredImage] = ()
    references: Sequence[Any] = ()
    skip_bad: bool | None = None

    def batch_groups(self, size: int) -> list[list[list[int]]]:
        """Batches of at most `size` question indices, in groups that share images and belong to one process.

        With ``images``, questions about one image stay in one group of at most `size` images, and groups and batches go
        from long prompts to short ones, so that the largest memory is needed first; without, the given order is kept.

        Batches depend on the questions and the size alone, not on which questions are answered already nor on the
        number of processes, so every prediction comes out of the same batch, bit for bit, after any interruption.
        """
        if not self.images:
            return [[list(batch)] for batch in batched(range(len(self.ids)), size)]
        of_image: dict[Path | bytes | StoredImage, list[int]] = {}
        for index, image in enumerate(self.images):
            of_image.setdefault(image, []).append(index)
        lengths = [len(prompt) for prompt in self.prompts]
        images = sorted(of_image.values(), key=lambda indices: (-max(lengths[i] for i in indices), indices[0]))
        groups = [[index for indices in some for index in indices] for some in batched(images, size)]
        for group in groups:
            group.sort(key=lambda index: (-lengths[index], index))
        return [list(map(list, batched(group, size))) for group in groups]

    def look(self, pipeline: LionPipeline, indices: Sequence[int]) -> None:
        """Encode the questions' images, each once, before batches of them are answered."""
        if not self.images:
            return
        images: list[Picture] = list(dict.fromkeys(self.images[index] for index in indices))
        with suppress(LionError, OSError):  # `answer` reports an image that cannot be read
            pipeline.look(images, tags=self.request(indices[0]).tags is None)

    def answer(self, pipeline: LionPipeline, indices: Sequence[int]) -> list[Prediction]:
        """A prediction for each. Raises: LionError for one that cannot be answered, unless bad ones are skipped."""
        answers = pipeline.answer([self.request(index) for index in indices], on_error="row")
        return [self._prediction(index, answer) for index, answer in zip(indices, answers, strict=True)]

    def _prediction(self, index: int, answer: Answer) -> Prediction:
        prediction: Prediction = {"asked": self.prompts[index]}
        if answer.failed and self.skip_bad:
            return prediction | {SKIPPED: " ".join((answer.reason or "").split())}
        if answer.failed:
            hint = "" if self.skip_bad is None else " (fix it, or skip bad records with --skip-bad)"
            raise LionError(f"{self.name} record {self.ids[index]}: {answer.reason}{hint}")
        if self.references:
            prediction["true"] = self.references[index]
        prediction |= {"text": answer.text, "tags": list(answer.tags)}
        if answer.candidates:
            given = sorted(answer.candidates, key=lambda candidate: candidate.index)
            # To 5 decimals: a smaller difference is a tie, whatever machine and batch it was computed in.
            prediction |= {"nll": [round(one.nll, 5) for one in given], "tokens": [one.tokens for one in given]}
        return prediction | ({"note": answer.remark} if answer.remark else {})
