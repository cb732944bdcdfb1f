"""The input of a pipeline: one :class:`Request` per picture and question, and how its answer is decoded.

This is the one place with generation settings and their named presets.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized, ValuesView
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from numbers import Integral, Real
from typing import Any, Literal, Self, TypedDict

from lion.boxes import Box
from lion.engine.settings import StopRule
from lion.errors import LionError
from lion.pipeline.evidence import Picture
from lion.prompts import Task, presence_question


class Verb(StrEnum):
    """A task as users know it: a command of ``lion``, and the value of ``task`` in an answer."""

    CAPTION = "caption"
    ASK = "ask"
    CHAT = "chat"
    LOCATE = "locate"
    DESCRIBE = "describe"
    TAG = "tag"

    @property
    def task(self) -> Task | None:
        """The model's task behind the verb; None for ``tag``, which only the tagger answers."""
        return _TASK_OF[self]

    @classmethod
    def of(cls, task: Task) -> Self:
        """The verb that asks for a task."""
        return next(verb for verb in cls if verb.task is task)


_TASK_OF = {
    Verb.CAPTION: Task.CAPTION,
    Verb.ASK: Task.VQA,
    Verb.CHAT: Task.DIALOG,
    Verb.LOCATE: Task.REC,
    Verb.DESCRIBE: Task.REG,
    Verb.TAG: None,
}
_WITH_TEXT = (Verb.ASK, Verb.CHAT, Verb.LOCATE)


def listed(value: object) -> list[Any] | None:
    """The items of what holds several in an order: a list, tuple, generator, array or Series; None for one value.

    A text and a file are one value; so is what has no order (a set) or more than one kind of item (a dict, a table).
    """
    if isinstance(value, (str, bytes, bytearray, memoryview)) or hasattr(value, "read"):
        return None
    if hasattr(value, "tolist"):  # of NumPy, pandas or torch; a single number gives no list
        items = value.tolist()
        return items if isinstance(items, list) else None
    return list(value) if isinstance(value, (Sequence, Iterator, ValuesView)) else None


def shown(value: object) -> str:
    """A value in an error's one line: at most 100 characters of its `repr`."""
    line = " ".join(repr(value).split())
    return line if len(line) <= 100 else line[:97] + "..."


def whole_number(name: str, value: object, least: int = 1) -> int:
    """The value, NumPy's numbers included, as an int. Raises: LionError for anything else, or less than ``least``."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise LionError(f"{name}={shown(value)} must be a whole number of at least {least}")
    return int(value)


@dataclass(frozen=True, slots=True)
class DecodingPreset:
    """Settings of one task; requests with equal presets share a batch.

    Raises: LionError for a number that is out of range.
    """

    num_beams: int = 5
    """Beams; 5 as released."""
    max_new_tokens: int = 64
    """A guard: answers end themselves long before."""
    repetition_penalty: float = 1.0
    """The released code uses 1.5 everywhere. It punishes the ``0.`` and ``,`` that every box repeats, so we do not."""
    length_penalty: float = 1.0
    """Above 1 beams favour long answers, below 0 short ones."""
    box_only: bool = False
    """Let the model generate one box and nothing else (:mod:`lion.pipeline.box_only`)."""
    stop_rule: StopRule = StopRule.RUNNING
    """When beam search gives up on running beams."""
    temperature: float = 0.0
    """Above 0, and with one beam, tokens are drawn from the scores divided by it; 0 takes the likeliest."""
    top_k: int = 0
    """Draw among the k likeliest tokens only; 0 for all."""
    top_p: float = 1.0
    """Draw among the fewest likeliest tokens that have this probability together."""
    seed: int = 0
    """Of the draws: the same request with the same seed gives the same answer, whatever is answered beside it."""
    stop: tuple[str, ...] = ()
    """Texts that end an answer; it does not hold them."""
    answers: int = 1
    """How many come back in a :class:`~lion.pipeline.Result`: the best of the beams, or as many draws."""
    top_logprobs: int = 0
    """So many of the likeliest tokens are reported beside each that was taken."""

    def __post_init__(self) -> None:
        for name, least in (("num_beams", 1), ("max_new_tokens", 1), ("answers", 1), ("top_k", 0), ("top_logprobs", 0)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        stop = [self.stop] if isinstance(self.stop, str) else listed(self.stop)
        if stop is None or not all(isinstance(text, str) and text for text in stop):
            raise LionError(f"stop={shown(self.stop)} must be texts, none of them empty")
        object.__setattr__(self, "stop", tuple(stop))
        object.__setattr__(self, "seed", whole_number("seed", self.seed, -(2**64)))
        if not isinstance(self.box_only, bool):
            raise LionError(f"box_only={self.box_only!r} must be True or False")
        for name in ("repetition_penalty", "length_penalty", "temperature", "top_p"):
            value = getattr(self, name)
            if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
                raise LionError(f"{name}={shown(value)} must be a finite number")
            if not isinstance(value, int):
                object.__setattr__(self, name, float(value))
        if self.repetition_penalty <= 0:
            raise LionError(f"repetition_penalty={self.repetition_penalty!r} must be above 0")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise LionError(
                f"temperature={self.temperature!r} must be at least 0, top_p={self.top_p!r} above 0, at most 1"
            )
        if self.temperature and self.num_beams > 1:
            raise LionError(f"temperature={self.temperature!r} draws with one beam; add num_beams=1")
        if 1 < self.num_beams < self.answers:
            raise LionError(
                f"{self.num_beams} beams have no {self.answers} answers; set a temperature with num_beams=1"
            )

    def as_kwargs(self) -> dict[str, Any]:
        """Keyword arguments of ``generate``."""
        names = ("num_beams", "max_new_tokens", "repetition_penalty", "length_penalty")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> dict[str, Any]:
        """For records: the fields that presets always had, and of the later ones those that are not as ever."""
        first = {*self.as_kwargs(), "box_only"}
        values = {one.name: (getattr(self, one.name), one.default) for one in fields(self)}
        kept = {name: value for name, (value, usual) in values.items() if name in first or value != usual}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}

    def sampling(self) -> dict[str, Any]:
        """What transformers' ``generate`` is not asked for."""
        names = ("temperature", "top_k", "top_p", "seed", "answers", "top_logprobs")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        search = "greedy" if self.num_beams == 1 else f"{self.num_beams} beams"
        if self.temperature:
            search = f"drawn at temperature {self.temperature:g}, top_p {self.top_p:g}, seed {self.seed}"
            search += f", top_k {self.top_k}" * (self.top_k > 0)
        words = f"{search}, at most {self.max_new_tokens} tokens, repetition penalty "
        words += f"{self.repetition_penalty:g}, length penalty {self.length_penalty:g}"
        return words + (", one box and nothing else" if self.box_only else "")


class DecodingSettings(TypedDict, total=False):
    """Fields of a :class:`DecodingPreset` for one call; those left out are the pipeline's."""

    num_beams: int
    max_new_tokens: int
    repetition_penalty: float
    length_penalty: float
    box_only: bool
    temperature: float
    top_k: int
    top_p: float
    seed: int
    stop: Sequence[str]


Round = tuple[str, str]
"""A question and the answer it got."""
Tags = Sequence[str] | Literal["empty"] | None
"""Tags of a prompt: None for the tagger's; a list; an empty list for no tag prompt at all; ``"empty"`` for the tag
prompt with nothing in its list, as the released code words a picture in which no tag was found."""
Wording = Callable[[Sequence[Round]], str]
"""Words a dialog, given the rounds of its history that fit the prompt."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question, of any verb, about one picture. Lists may be arrays, Series or generators as well.

    Raises: LionError for an unknown verb, or for what its verb would not read: ``if_there`` with another than
        ``locate``, a text, box or history where none is asked about, a decoding beside candidates.
    """

    image: Picture
    verb: Verb
    text: str | None = None
    """The question (ask, chat) or the phrase (locate)."""
    box: Box | None = None
    """The region to describe, in unit or pixel space."""
    history: Sequence[Round] = ()
    """Earlier rounds of a chat, (question, answer), oldest first."""
    tags: Tags = None
    instruction: str | Wording | None = None
    """The model's instruction word for word, instead of the one the verb makes of the fields above; or a function that
    words it with as many of the `history`'s latest rounds as fit."""
    candidates: Sequence[str] | None = None
    """Answers to rank by likelihood, instead of generating one."""
    decoding: DecodingPreset | None = None
    """How the answer is generated; None for the pipeline's preset of the task."""
    if_there: bool = False
    """Of ``locate``: ask first whether what the phrase names is there, and give no box where it is not."""
    max_prompt_tokens: int | None = None
    """Limit of tag prompt + instruction in tokens; None for the processor's."""
    adapters: str | None = None
    """Name of the adapters to answer with, see :meth:`LionPipeline.load_adapters`; None for the model as it is."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "verb", Verb(self.verb))
        except ValueError:
            raise LionError(f"no verb {self.verb!r}; there are {', '.join(Verb)}") from None
        if not isinstance(self.if_there, bool):
            raise LionError(f"if_there={shown(self.if_there)} must be True or False")
        if self.if_there and self.verb is not Verb.LOCATE:
            raise LionError(f"if_there asks for the phrase of locate, and {self.verb} has none; leave it out")
        self._check_that_all_is_read()
        for name in ("history", "tags", "candidates"):
            value = getattr(self, name)
            if not isinstance(value, tuple | None) and (items := listed(value)) is not None:
                object.__setattr__(self, name, tuple(items))

    def _check_that_all_is_read(self) -> None:
        """An instruction of one's own replaces text and history, which then name the answer or serve its wording."""
        takes = {"text": _WITH_TEXT, "box": (Verb.DESCRIBE,), "history": (Verb.CHAT,)}
        for name, verbs in takes.items() if self.instruction is None else ():
            value = getattr(self, name)
            if self.verb not in verbs and value is not None and not (isinstance(value, Sized) and len(value) == 0):
                raise LionError(f"{self.verb} reads no {name}, which is for {', '.join(verbs)}; leave it out")
        if self.candidates is not None and self.verb is Verb.TAG:
            raise LionError("tag ranks no candidates; leave them out")
        if self.candidates is not None and self.decoding is not None:
            raise LionError("candidates are ranked and nothing is decoded; leave the decoding settings out")

    def presence(self) -> Self:
        """The request whose candidates, yes and no, say whether what the phrase names is there.

        Raises: LionError without a phrase, which an instruction of one's own does not replace here.
        """
        if not self.text:
            raise LionError("if_there asks for the phrase; give it as text, also beside an instruction")
        same = replace(self, instruction=None, history=(), candidates=("yes", "no"), decoding=None, if_there=False)
        return replace(same, verb=Verb.ASK, text=presence_question(self.text))


_OURS = dict.fromkeys(Task, DecodingPreset())
_SHORT = DecodingPreset(max_new_tokens=10, length_penalty=-1.0)

DECODING: Mapping[str, Mapping[Task, DecodingPreset]] = {
    "lion": _OURS,
    "official": dict.fromkeys(
        Task, DecodingPreset(max_new_tokens=256, repetition_penalty=1.5, stop_rule=StopRule.ALL_CANDIDATES)
    ),
    "short": {**_OURS, Task.VQA: _SHORT, Task.DIALOG: _SHORT},
    "boxes": {**_OURS, Task.REC: DecodingPreset(box_only=True)},
    "greedy": dict.fromkeys(Task, DecodingPreset(num_beams=1)),
}
"""Presets by name, each a table by task: ``lion``, the default; ``official``, the released code's defaults and its beam
search's stop rule (but for a ``min_length=1`` that has no effect); ``short``, as ``lion`` except that questions are
answered in a word or few, as InstructBLIP's published VQA settings do; ``boxes``, as ``lion`` except that a phrase is
always answered with a box that can be read; ``greedy``, as ``lion`` with a single beam: faster, and the words can be
shown as they come."""


def decoding_presets(name: str) -> Mapping[Task, DecodingPreset]:
    """A preset's table by task.

    Raises: LionError if there is no preset of that name.
    """
    if not isinstance(name, str) or name not in DECODING:
        raise LionError(f"no decoding '{name}'; there are {', '.join(DECODING)}")
    return DECODING[name]


def with_settings(preset: DecodingPreset, settings: DecodingSettings) -> DecodingPreset:
    """A preset with some of its fields replaced. Raises: LionError for an unknown field, or as the preset."""
    known = DecodingSettings.__annotations__
    if "adapters" in settings:
        raise LionError(
            "adapters by name are a request's: answer([Request(image, verb, text, adapters=NAME)]); to explain with "
            "them, put them on the model: from_pretrained(adapters=FILE)"
        )
    if unknown := sorted(set(settings) - set(known)):
        raise LionError(f"no decoding setting '{unknown[0]}'; there are {', '.join(known)}")
    return replace(preset, **settings)  # type: ignore[arg-type]  # a list of stops becomes a tuple there
