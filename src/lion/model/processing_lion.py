"""Picture + instruction + tags to tensors, and LION's text back to boxes. The model's only tokenizers live here.

B batch, T prompt tokens (T5), T' instruction tokens (BERT), A answer tokens.
"""

import os
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Literal, Self

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerBase, ProcessorMixin

from lion.boxes import parse_boxes
from lion.errors import LionError
from lion.model.image_processing_lion import LionImageProcessor
from lion.model.mixture_of_adapters import level_of
from lion.prompts import SOFT_TOKEN, Task, tag_prompt

TooLong = Literal["error", "truncate"]


def is_readable(text: str) -> bool:
    """Whether a tokenizer can read it: no surrogates, which stand for bytes that were not UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _prompt(instruction: str, tags: Sequence[str] | None) -> str:
    """Tag prompt + instruction. Raises: LionError if it is not readable text."""
    prompt = instruction if tags is None else tag_prompt(tags) + instruction
    if not is_readable(prompt):
        raise LionError("the instruction or one of its tags is not readable text; write it in UTF-8")
    return prompt


def _check_count(what: str, count: int, instructions: int) -> None:
    if count != instructions:
        raise LionError(f"{count} {what} for {instructions} instructions; give one each")


class LionProcessor(ProcessorMixin):
    """Pictures, instructions, tags and answers to the tensors that :class:`LionForConditionalGeneration` reads.

    Args:
        image_processor: squash and normalisation.
        tokenizer: T5's, for prompt and answer.
        qformer_tokenizer: BERT's, for the bare instruction.
        max_text_tokens: budget of tag prompt + instruction, ``</s>`` included, and of the Q-Former's instruction.
        max_answer_tokens: budget of a training answer.
        box_decimals: decimals of boxes in instructions: 3 as released, 2 for lion-mini.

    Source: released ``forward`` (128 tokens each), except that it truncates prompts from the left, soft token first.
    """

    def __init__(
        self,
        image_processor: LionImageProcessor,
        tokenizer: PreTrainedTokenizerBase,
        qformer_tokenizer: PreTrainedTokenizerBase,
        max_text_tokens: int = 128,
        max_answer_tokens: int = 128,
        box_decimals: int = 3,
        **kwargs: Any,
    ) -> None:
        self.max_text_tokens = max_text_tokens
        self.max_answer_tokens = max_answer_tokens
        self.box_decimals = box_decimals
        super().__init__(image_processor, tokenizer, qformer_tokenizer, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], *args: Any, **kwargs: Any) -> Self:
        """As transformers' own, which silently loads T5's tokenizer twice where BERT's is missing or damaged.

        Raises: LionError if it did.
        """
        processor: Self = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        if processor.tokenizer.get_vocab() == processor.qformer_tokenizer.get_vocab():
            lack = f"'{pretrained_model_name_or_path}' lacks the folder qformer_tokenizer, or it is damaged"
            raise LionError(f"{lack}; save or copy the checkpoint again")
        return processor

    def __call__(
        self,
        images: Image.Image | Sequence[Image.Image] | None = None,
        text: str | Sequence[str] | None = None,
        tags: Sequence[Sequence[str] | None] | None = None,
        tasks: Task | Sequence[Task] | None = None,
        answers: str | Sequence[str] | None = None,
        too_long: TooLong = "error",
        *,
        max_text_tokens: int | None = None,
        return_tensors: str | None = "pt",
        padding: bool = True,
    ) -> BatchFeature:
        """Build a batch.

        Args:
            images: pictures as people see them; None where the model is given a cached look.
            text: the bare instruction of each row (see :mod:`lion.prompts`).
            tags: image tags of each row, most important first; None (for all or for one row) for a prompt without.
            tasks: the task of each row, or one for all; gives ``task_levels``.
            answers: the training target of each row; give ``labels``.
            too_long: what to do with an instruction beyond the budget: ``error``, or ``truncate`` to its end, as the
                released training did. Tags are always shortened first, from the last, and the soft token never cut.
            max_text_tokens: budget of this batch; None for the processor's.
            return_tensors, padding: as transformers' processors have them; only these values are supported.

        Returns:
            ``pixel_values`` (B, 3, S, S), ``input_ids`` and ``attention_mask`` (B, T), ``qformer_input_ids`` and
            ``qformer_attention_mask`` (B, T'), ``task_levels`` (B,), ``labels`` (B, A).

        Raises: LionError if an instruction is empty, too long, no text or holds the soft token; counts do not match.
        """
        if return_tensors not in ("pt", None) or padding is not True:
            raise LionError('a batch is PyTorch\'s and padded: return_tensors="pt", padding=True, or leave them out')
        batch: dict[str, Tensor] = {}
        if images is not None:
            batch.update(self.image_processor(images))
        if text is not None:
            instructions = [text] if isinstance(text, str) else list(text)
            limit = self.max_text_tokens if max_text_tokens is None else max_text_tokens
            batch.update(self._encode_prompts(instructions, tags, too_long, limit))
            batch.update(self._encode_instructions(instructions, too_long, limit))
            if tasks is not None:
                rows = [tasks] * len(instructions) if isinstance(tasks, str) else tasks
                _check_count("tasks", len(rows), len(instructions))
                batch["task_levels"] = torch.tensor([int(level_of(task)) for task in rows])
            if images is not None:
                _check_count("images", len(batch["pixel_values"]), len(instructions))
        if answers is not None:
            targets = [answers] if isinstance(answers, str) else list(answers)
            if text is not None:
                _check_count("answers", len(targets), len(batch["input_ids"]))
            batch["labels"] = self.encode_answers(targets)
        return BatchFeature(batch)

    def _encode_prompts(
        self, instructions: list[str], tags: Sequence[Sequence[str] | None] | None, too_long: TooLong, limit: int
    ) -> dict[str, Tensor]:
        rows_tags = [None] * len(instructions) if tags is None else list(tags)
        _check_count("tag lists", len(rows_tags), len(instructions))
        prompts = []
        for row, (instruction, row_tags) in enumerate(zip(instructions, rows_tags, strict=True)):
            if not instruction.strip():
                raise LionError(f"instruction {row} is empty; write an instruction")
            if any(SOFT_TOKEN in text for text in (instruction, *(row_tags or ()))):
                raise LionError(f"{SOFT_TOKEN} is reserved for the tag prompt; remove it from the instruction and tags")
            prompts.append(_prompt(instruction, row_tags))
        ids = self.tokenizer(prompts)["input_ids"]
        for row, row_ids in enumerate(ids):
            if len(row_ids) > limit:
                ids[row] = self._shortened(instructions[row], rows_tags[row], too_long, limit)
        return dict(self.tokenizer.pad({"input_ids": ids}, padding_side="right", return_tensors="pt"))

    def prompt_length(self, instruction: str, tags: Sequence[str] | None) -> int:
        """Tokens of a prompt as T5 reads it. Raises: LionError if it is not readable text."""
        return len(self.tokenizer(_prompt(instruction, tags))["input_ids"])

    def instruction_length(self, instruction: str) -> int:
        """Tokens of an instruction as the Q-Former reads it."""
        return len(self.qformer_tokenizer(instruction)["input_ids"])

    def fitting_tags(self, instruction: str, tags: Sequence[str], limit: int | None = None) -> tuple[str, ...]:
        """The first tags that fit beside the instruction into ``limit`` tokens (the budget by default)."""
        limit = self.max_text_tokens if limit is None else limit
        if self.prompt_length(instruction, tags) <= limit:
            return tuple(tags)
        counts = range(1, len(tags) + 1)
        return tuple(tags[: bisect_right(counts, limit, key=lambda n: self.prompt_length(instruction, tags[:n]))])

    def _shortened(self, instruction: str, tags: Sequence[str] | None, too_long: TooLong, limit: int) -> list[int]:
        """Ids of a prompt within the budget: tags go first, from the last; then the instruction's beginning."""
        if tags is not None:
            ids = self.tokenizer(tag_prompt(self.fitting_tags(instruction, tags, limit)) + instruction)["input_ids"]
            if len(ids) <= limit:
                return ids
        prefix = [] if tags is None else self.tokenizer(tag_prompt([]), add_special_tokens=False)["input_ids"]
        ids = self.tokenizer(instruction)["input_ids"]
        room = limit - len(prefix)
        if room < 1:
            raise LionError(f"a limit of {limit} tokens does not hold the tag prompt ({len(prefix)}); raise it")
        if too_long == "error":
            raise LionError(f"the instruction has {len(ids)} tokens and the limit is {room}; shorten it")
        return prefix + ids[-room:]

    def _encode_instructions(self, instructions: list[str], too_long: TooLong, limit: int) -> dict[str, Tensor]:
        """The Q-Former's input; its tokenizer has its own count, so its limit is checked too."""
        tokenizer = self.qformer_tokenizer
        ids = tokenizer(instructions)["input_ids"]
        longest = max(map(len, ids))
        if longest > limit:
            if too_long == "error":
                raise LionError(f"the instruction has {longest} Q-Former tokens and the limit is {limit}; shorten it")
            tokenizer.truncation_side = "left"
            ids = tokenizer(instructions, truncation=True, max_length=limit)["input_ids"]
        padded = tokenizer.pad({"input_ids": ids}, padding_side="right", return_tensors="pt")
        return {f"qformer_{name}": tensor for name, tensor in padded.items()}

    def encode_answers(self, answers: Sequence[str]) -> Tensor:
        """Answers as labels, (B, A), -100 on padding; too long ones lose their end.

        Raises: LionError if one is not readable text.
        """
        for row, answer in enumerate(answers):
            if not is_readable(answer):
                raise LionError(f"answer {row} is not readable text; write it in UTF-8")
        encoded = self.tokenizer(
            list(answers), padding=True, truncation=True, max_length=self.max_answer_tokens, return_tensors="pt"
        )
        return encoded["input_ids"].masked_fill(encoded["attention_mask"] == 0, -100)

    def post_process_grounding(
        self, texts: Sequence[str], target_sizes: Sequence[tuple[int, int]]
    ) -> list[dict[str, Any]]:
        """Boxes in generated texts, with the keys of transformers' grounding post-processors.

        Args:
            texts: decoded answers.
            target_sizes: (height, width) of each picture in pixels.

        Returns:
            For each text ``boxes`` (n, 4) in pixels xyxy, ``unit`` (n, 4) in the unit square, ``labels`` (n empty
            names: LION does not generate them), ``scores`` None, ``ok`` and ``reason``; a text without a readable
            box gives none.
        """
        results = []
        for text, (height, width) in zip(texts, target_sizes, strict=True):
            parsed = parse_boxes(text)
            unit = torch.tensor([box.xyxy() for box in parsed.boxes]).reshape(-1, 4)
            results.append(
                {
                    "boxes": unit * torch.tensor([width, height, width, height]),
                    "unit": unit,
                    "labels": [""] * len(unit),
                    "scores": None,
                    "ok": parsed.ok,
                    "reason": parsed.reason,
                }
            )
        return results

    @property
    def model_input_names(self) -> list[str]:
        """Tensors the model reads."""
        text = ["input_ids", "attention_mask", "qformer_input_ids", "qformer_attention_mask", "task_levels"]
        return [*self.image_processor.model_input_names, *text]
