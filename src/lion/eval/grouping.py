"""Groups questions into batches: similar prompt lengths together, and all questions about an image near each other.

Batches depend on the questions and the batch size alone, not on what is answered already nor on the number of
processes, so every prediction comes out of the same batch, bit for bit, however often a run was stopped.
"""

from __future__ import annotations

from pathlib import Path

from lion.eval.questions import QuestionSet
from lion.pipeline.evidence import batched


def batch_groups(questions: QuestionSet, size: int) -> list[list[list[int]]]:
    """Batches of question indices, in groups that share images and belong to one process.

    Args:
        questions: with ``images``, questions about one image stay in one group of at most `size` images, and groups
            and batches go from long prompts to short ones, so that the largest memory is needed first; without, the
            given order is kept.
        size: questions of a batch, at most.
    """
    if not questions.images:
        return [[list(batch)] for batch in batched(range(len(questions.ids)), size)]
    of_image: dict[Path | bytes, list[int]] = {}
    for index, image in enumerate(questions.images):
        of_image.setdefault(image, []).append(index)
    lengths = [len(prompt) for prompt in questions.prompts]
    images = sorted(of_image.values(), key=lambda indices: (-max(lengths[i] for i in indices), indices[0]))
    groups = [[i for indices in images[start : start + size] for i in indices] for start in range(0, len(images), size)]
    for group in groups:
        group.sort(key=lambda index: (-lengths[index], index))
    return [list(map(list, batched(group, size))) for group in groups]
