"""LION as a model of lmms-eval 0.7: ``lmms-eval --model lion --model_args pretrained=lion-mini --tasks pope``.

A sample of lmms-eval is a picture and a prompt, which becomes LION's instruction, on one line; the model argument
``task`` gives its task level. What LION does not support is an error, never a score of something else.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from lmms_eval.api.instance import GenerationResult, Instance
from lmms_eval.api.model import lmms
from tqdm import tqdm

from lion.distributed import Processes
from lion.errors import LionError
from lion.pipeline import DecodingPreset, LionPipeline, Request
from lion.pipeline.evidence import batched
from lion.plugins.lmms_eval_settings import cut, preset, task_of


class Lion(lmms):
    """See `lmms_eval.api.model.lmms`.

    Args:
        pretrained: a checkpoint folder, a Hub id or ``lion-mini``.
        task: the task of every prompt, of :class:`lion.prompts.Task`; ``rec`` where the answers are boxes.
        decoding: a preset of :mod:`lion.pipeline.request`, for settings that a task's ``generation_kwargs`` lack.
        batch_size: prompts that go through the model together.
        device: None for a GPU if there is one; each of several processes takes its own.
        max_batch_size: passed by lmms-eval to every model; ignored.

    Raises: LionError for an unknown task or batch size, and as :meth:`LionPipeline.from_pretrained`.
    """

    def __init__(
        self,
        pretrained: str = "lion-mini",
        task: str = "vqa",
        decoding: str = "lion",
        batch_size: int | str = 1,
        device: str | None = None,
        max_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        if not str(batch_size).isdecimal():
            raise LionError(f"LION finds no batch size by itself; give a number in place of --batch_size {batch_size}")
        self.task, self.verb = task_of(task)
        processes = Processes.launched()
        self._rank, self._world_size = processes.rank, processes.count
        self.pipeline = LionPipeline.from_pretrained(
            pretrained, device=processes.device(device), batch_size=int(batch_size), decoding=decoding
        )
        self.usual = self.pipeline.decoding[self.task]
        # Prompts of benchmarks are long; as in lion eval, the Q-Former's positions are the limit.
        self.limit: int = self.pipeline.model.config.qformer_config.max_position_embeddings

    @property
    def device(self) -> torch.device:
        """The device on which lmms-eval counts the requests of several processes."""
        return self.pipeline.model.device

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """The answer to each prompt, up to the first string of ``until``."""
        groups: dict[DecodingPreset, list[int]] = defaultdict(list)
        for number, one in enumerate(requests):
            groups[preset(self.usual, one.args[1])].append(number)
        texts = [""] * len(requests)
        for settings, numbers in groups.items():
            for batch in self._batches(numbers):
                answers = self._generate([self._request(requests[number]) for number in batch], settings)
                for number, text in zip(batch, answers, strict=True):
                    texts[number] = cut(text, requests[number].args[1].get("until"))
        return texts

    def loglikelihood(self, requests: Sequence[Instance]) -> list[GenerationResult]:
        """For each continuation its loss, and whether greedy decoding would generate it: a pair, as ``text``.

        The loss is the mean over the tokens, as other models of lmms-eval give it, and the least is the best. A bare
        pair becomes a string in lmms-eval up to 0.7.3, which its tasks of multiple choice cannot read.
        """
        groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for number, one in enumerate(requests):
            groups[one.args[0], *one.args[3:]].append(number)  # by prompt and document
        found: dict[int, GenerationResult] = {}
        for batch in self._batches(list(groups.values())):
            ranking = [
                replace(self._request(requests[same[0]]), candidates=[self._continuation(requests[n]) for n in same])
                for same in batch
            ]
            ranked = [answer.candidates for answer in self.pipeline.answer(ranking)]
            longest = max(one.tokens for candidates in ranked for one in candidates)
            greedy = self._generate([replace(one, candidates=None) for one in ranking], DecodingPreset(1, longest))
            for same, candidates, text in zip(batch, ranked, greedy, strict=True):
                found |= {same[one.index]: GenerationResult((one.mean_nll, one.text == text)) for one in candidates}
        return [found[number] for number in range(len(requests))]

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[str]:
        """Not supported. Raises: LionError."""
        raise LionError("LION answers single questions of lmms-eval; leave out tasks of several rounds")

    def _generate(self, requests: Sequence[Request], settings: DecodingPreset) -> list[str]:
        return [answer.text for answer in self.pipeline.answer([replace(one, decoding=settings) for one in requests])]

    def _request(self, one: Instance) -> Request:
        if len(one.args) != 6:
            raise LionError(f"{one.task_name} asks in several steps, LION answers one question; choose another task")
        words, _, visual, number, task, split = one.args
        images = visual(self.task_dict[task][split][number]) or []
        if len(images) != 1:
            raise LionError(f"{task}, sample {number}: {len(images)} pictures, LION reads one; choose another task")
        words = " ".join(words.replace("<image>", " ").split())
        return Request(images[0], self.verb, instruction=words, max_prompt_tokens=self.limit)

    def _continuation(self, one: Instance) -> str:
        target, _, number, task, split = one.args[1:]
        return str(target(self.task_dict[task][split][number]) if callable(target) else target).strip()

    def _batches(self, items: list[Any]) -> Iterator[Sequence[Any]]:
        with tqdm(total=len(items), desc="LION", disable=self.rank != 0) as bar:
            for batch in batched(items, self.pipeline.batch_size):
                yield batch
                bar.update(len(batch))
