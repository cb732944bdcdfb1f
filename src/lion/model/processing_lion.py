"""Picture + instruction + tags to tensors, and LION's text back to boxes. The model's only tokenizers live here.

B batch, T prompt tokens (T5), T' instruction tokens (BERT), A answer tokens.
"""

import os
import re
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from transformers import BatchFeature, GenerationConfig, PreTrainedTokenizerBase, ProcessorMixin
from transformers.image_utils import ImageInput
from transformers.processing_utils import ImagesKwargs, ProcessingKwargs, TextKwargs

from lion.boxes import parse_boxes
from lion.errors import LionError, LionWarning
from lion.model.image_processing_lion import LionImageProcessor
from lion.model.mixture_of_adapters import level_of
from lion.prompts import CHAT_TEMPLATE, SOFT_TOKEN, Task, tag_prompt

_PLACE = re.compile(r"\b(?:locate|coordinates)\b|\[\s*[0-9.]+\s*,", re.IGNORECASE)
_NO_TASK = (
    'a text that asks for a place, or names one, is answered as tasks="vqa"; give tasks="rec" to locate something, '
    'tasks="reg" to describe a region, or tasks="vqa" if that is meant'
)

PADDING = {True: "longest", "longest": "longest", "max_length": "max_length", False: False, "do_not_pad": False}
TRUNCATION = {True: True, "longest_first": True, "only_first": True, False: False, "do_not_truncate": False}
"""What transformers' values of ``padding`` and ``truncation`` mean for prompts."""

AS_ALWAYS = {"add_special_tokens": True, "padding_side": "right", "return_attention_mask": True}
"""Keywords of tokenizers that ask for what LION, trained so, does anyway. For the others False or 0 does."""


class TextSettings(NamedTuple):
    """How the prompts of one batch become ids."""

    limit: int
    truncation: bool
    padding: str | bool
    multiple: int | None
    tensors: str | None


KEYWORDS = {*TextKwargs.__annotations__, *ImagesKwargs.__annotations__, "text_kwargs", "images_kwargs", "common_kwargs"}
OTHERS = ("audio", "videos", "audio_kwargs", "videos_kwargs")
"""Of transformers' processors; the latter may be empty."""


def is_readable(text: str) -> bool:
    """Whether a tokenizer can read it: no surrogates, which stand for bytes that were not UTF-8."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _prompt(instruction: str, tags: Sequence[str] | None) -> str:
    """Tag prompt + instruction. Raises: LionError if it is not readable text."""
    prompt = instruction if tags is None else tag_prompt(tags) + instruction
    if not is_readable(prompt):
        raise LionError("the instruction or one of its tags is not readable text; write it in UTF-8")
    return prompt


def _check_count(what: str, count: int, instructions: int) -> None:
    if count != instructions:
        raise LionError(f"{count} {what} for {instructions} instructions; give one each")


def _meaning(table: Mapping[Any, Any], name: str, value: Any) -> Any:
    """Raises: LionError if a keyword's value has none."""
    value = getattr(value, "value", value)  # of transformers' enumerations
    if value not in table:
        raise LionError(f"LION's processor has no use for {name}={value!r}; leave it out")
    return table[value]


def _texts(name: str, texts: str | Sequence[str]) -> list[str]:
    """Raises: LionError if it is no text, no list of texts, or empty."""
    rows = [texts] if isinstance(texts, str) else list(texts) if isinstance(texts, Iterable) else []
    if not rows or not all(isinstance(text, str) for text in rows):
        raise LionError(f"{name} is one text or a list of them, not {texts!r}")
    return rows


def _one_for_each_row(images: Any) -> Any:
    """Raises: LionError for rows, as chats have them, of none or several pictures."""
    for row, pictures in enumerate(images if isinstance(images, list | tuple) else ()):
        if isinstance(pictures, list | tuple) and len(pictures) != 1:
            raise LionError(f"row {row} has {len(pictures)} pictures; LION reads one for each prompt")
    return images


def _padded(tokenizer: PreTrainedTokenizerBase, ids: list[list[int]], settings: TextSettings) -> dict[str, Any]:
    """``input_ids`` and ``attention_mask`` as lists."""
    if len(ids) == 1 and settings.padding == "longest" and not settings.multiple:  # of each request: nothing to pad
        return {"input_ids": ids, "attention_mask": [[1] * len(ids[0])]}
    return dict(
        tokenizer.pad(
            {"input_ids": ids},
            padding=settings.padding,
            max_length=settings.limit if settings.padding == "max_length" else None,
            pad_to_multiple_of=settings.multiple,
            padding_side="right",
            return_attention_mask=True,
        )
    )


class LionProcessor(ProcessorMixin):
    """Pictures, instructions, tags and answers to the tensors that :class:`LionForConditionalGeneration` reads.

    Args:
        image_processor: squash and normalisation.
        tokenizer: T5's, for prompt and answer.
        qformer_tokenizer: BERT's, for the bare instruction.
        max_text_tokens: budget of tag prompt + instruction, ``</s>`` included, and of the Q-Former's instruction.
        max_answer_tokens: budget of a training answer.
        box_decimals: decimals of boxes in instructions: 3 as released, 2 for lion-mini.
        chat_template: Jinja; by default a chat's first message is the instruction as it stands, and later ones are
            worded as a dialog's.

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
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.max_text_tokens = max_text_tokens
        self.max_answer_tokens = max_answer_tokens
        self.box_decimals = box_decimals
        template = CHAT_TEMPLATE if chat_template is None else chat_template
        super().__init__(image_processor, tokenizer, qformer_tokenizer, chat_template=template, **kwargs)

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

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> Any:
        """As transformers' own, which also writes down how a tokenizer was last called to truncate and to pad."""
        for tokenizer in (self.tokenizer, self.qformer_tokenizer):
            if backend := getattr(tokenizer, "backend_tokenizer", None):
                backend.no_truncation()
                backend.no_padding()
        return super().save_pretrained(save_directory, *args, **kwargs)

    def __call__(
        self,
        images: ImageInput | None = None,
        text: str | Sequence[str] | None = None,
        tags: Sequence[Sequence[str] | None] | None = None,
        tasks: Task | str | Sequence[Task | str] | None = None,
        answers: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Build a batch.

        Args:
            images: one picture for each row, as people see them, of the kinds that :class:`LionImageProcessor` reads;
                None where the model is given a cached look.
            text: the bare instruction of each row (see :mod:`lion.prompts`).
            tags: image tags of each row, most important first; None (for all or for one row) for a prompt without.
            tasks: the task of each row, or one for all; gives ``task_levels``. None means "vqa", warned of for places.
            answers: the training target of each row; give ``labels``.
            **kwargs: transformers' keywords, flat or as ``text_kwargs`` and ``images_kwargs``. ``max_length`` is the
                budget of this batch, by default ``max_text_tokens``. An instruction beyond it is an error, or with
                ``truncation=True`` loses its beginning, as in the released training; tags are always shortened first,
                from the last, and the soft token never cut. ``padding`` is True by default, and on the right.
                ``return_tensors`` is "pt" by default; "np", or None for lists. How a tokenizer was called before, or
                what its file says about truncation and padding, changes nothing.

        Returns:
            ``pixel_values`` (B, 3, S, S), ``input_ids`` and ``attention_mask`` (B, T), ``qformer_input_ids`` and
            ``qformer_attention_mask`` (B, T'), ``task_levels`` (B,), ``labels`` (B, A).

        Raises: LionError if an instruction is empty, too long, no text or holds the soft token; counts do not match;
            there is nothing to process, or a keyword is unknown or of no use.
        """
        settings, image_settings = self._settings(kwargs)
        batch: dict[str, Any] = {}
        if images is None and text is None and answers is None:
            raise LionError("there is nothing to process; give images, text or answers")
        if text is None and (tags is not None or tasks is not None):
            raise LionError("tags and tasks belong to a text; give text, too")
        if images is not None:
            batch.update(self.image_processor(_one_for_each_row(images), **image_settings))
        if text is not None:
            instructions = _texts("text", text)
            batch.update(self._encode_prompts(instructions, tags, settings))
            batch.update(self._encode_instructions(instructions, settings))
            rows = [tasks or Task.VQA] * len(instructions) if tasks is None or isinstance(tasks, str) else tasks
            _check_count("tasks", len(rows), len(instructions))
            if tasks is None and any(map(_PLACE.search, instructions)):
                warnings.warn(_NO_TASK, LionWarning, stacklevel=2)
            batch["task_levels"] = [int(level_of(task)) for task in rows]
            if images is not None:
                _check_count("images", len(batch["pixel_values"]), len(instructions))
        if answers is not None:
            targets = _texts("answers", answers)
            if text is not None:
                _check_count("answers", len(targets), len(batch["input_ids"]))
            batch["labels"] = self.encode_answers(targets).tolist()
        try:
            return BatchFeature(batch, tensor_type=settings.tensors)
        except ValueError as error:
            raise LionError("rows of several lengths make no tensor; leave padding=False out") from error

    def _settings(self, kwargs: Any) -> tuple[TextSettings, dict[str, Any]]:
        """Those of the prompts, and the image processor's keywords. Raises: LionError for what cannot be."""
        if kwargs.keys() == {"max_length"} and type(kwargs["max_length"]) is int and kwargs["max_length"] > 0:
            # As each request of the pipeline has it: what the below makes of that in a quarter of the call's time.
            return TextSettings(kwargs["max_length"], False, "longest", None, "pt"), {"return_tensors": "pt"}
        for name in kwargs.keys() - KEYWORDS:
            if name not in OTHERS and hasattr(GenerationConfig(), name):
                own = f"generate_kwargs={{{name!r}: {kwargs[name]!r}}}"
                raise LionError(f"{name} is for generate, not for the processor; in transformers' pipeline write {own}")
            if name not in OTHERS:
                raise LionError(f"LION's processor has no keyword {name!r}; see the signature of its call")
            if kwargs.pop(name):
                raise LionError(f"LION reads pictures and text; leave {name} out")
        try:
            merged = self._merge_kwargs(ProcessingKwargs, **kwargs)
        except (TypeError, ValueError) as error:
            raise LionError(" ".join(str(error).split())) from error
        text, images = ({"return_tensors": "pt"} | merged[f"{kind}_kwargs"] for kind in ("text", "images"))
        limit, padding = text.pop("max_length", None), text.pop("padding", None)
        settings = TextSettings(
            self.max_text_tokens if limit is None else limit,
            _meaning(TRUNCATION, "truncation", text.pop("truncation", None) or False),
            _meaning(PADDING, "padding", True if padding is None else padding),
            text.pop("pad_to_multiple_of", None),
            _meaning({"pt": "pt", "np": "np", None: None}, "return_tensors", text.pop("return_tensors")),
        )
        for name, value in text.items():
            if value not in (None, AS_ALWAYS.get(name, False)):
                _meaning({}, name, value)
        if settings.limit < 1:
            raise LionError(f"max_length={limit} must be at least 1")
        return settings, images

    def _encode_prompts(
        self, instructions: list[str], tags: Sequence[Sequence[str] | None] | None, settings: TextSettings
    ) -> dict[str, Any]:
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
            if len(row_ids) > settings.limit:
                ids[row] = self._shortened(instructions[row], rows_tags[row], settings)
        return _padded(self.tokenizer, ids, settings)

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

    def _shortened(self, instruction: str, tags: Sequence[str] | None, settings: TextSettings) -> list[int]:
        """Ids of a prompt within the budget: tags go first, from the last; then the instruction's beginning."""
        limit = settings.limit
        if tags is not None:
            ids = self.tokenizer(tag_prompt(self.fitting_tags(instruction, tags, limit)) + instruction)["input_ids"]
            if len(ids) <= limit:
                return ids
        prefix = [] if tags is None else self.tokenizer(tag_prompt([]), add_special_tokens=False)["input_ids"]
        ids = self.tokenizer(instruction)["input_ids"]
        room = limit - len(prefix)
        if room < 1:
            raise LionError(f"a limit of {limit} tokens does not hold the tag prompt ({len(prefix)}); raise it")
        if not settings.truncation:
            raise LionError(f"the instruction has {len(ids)} tokens and the limit is {room}; shorten it")
        return prefix + ids[-room:]

    def _encode_instructions(self, instructions: list[str], settings: TextSettings) -> dict[str, Any]:
        """The Q-Former's input; its tokenizer has its own count, so its limit is checked too."""
        ids, limit = self.qformer_tokenizer(instructions)["input_ids"], settings.limit
        longest = max(map(len, ids))
        if longest > limit and not settings.truncation:
            raise LionError(f"the instruction has {longest} Q-Former tokens and the limit is {limit}; shorten it")
        # [CLS], which BERT begins with, stays. Not the tokenizer's own truncation, which would last.
        ids = [row if len(row) <= limit else row[:1] + row[len(row) - limit + 1 :] for row in ids]
        return {f"qformer_{name}": rows for name, rows in _padded(self.qformer_tokenizer, ids, settings).items()}

    def encode_answers(self, answers: Sequence[str]) -> Tensor:
        """Answers as labels, (B, A), -100 on padding; too long ones lose their end, but for ``</s>``.

        Raises: LionError if one is not readable text.
        """
        for row, answer in enumerate(answers):
            if not is_readable(answer):
                raise LionError(f"answer {row} is not readable text; write it in UTF-8")
        most = self.max_answer_tokens
        ids = self.tokenizer(list(answers))["input_ids"]
        rows = [torch.tensor(row if len(row) <= most else row[: most - 1] + row[-1:]) for row in ids]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)

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
