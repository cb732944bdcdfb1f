"""An lmms-eval task's settings in LION's terms, and where an answer ends; works without lmms-eval."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from lion.errors import LionError
from lion.pipeline import DecodingPreset, Verb
from lion.prompts import Task

_SUPPORTED = ("num_beams", "max_new_tokens", "repetition_penalty", "length_penalty")


def task_of(name: str) -> tuple[Task, Verb]:
    """The task of that name, and its verb. Raises: LionError if there is no such task."""
    if name not in list(Task):
        raise LionError(f"no task '{name}'; there are {', '.join(Task)}")
    return Task(name), Verb.of(Task(name))


def preset(usual: DecodingPreset, given: Mapping[str, Any]) -> DecodingPreset:
    """The usual preset with a task's ``generation_kwargs``; settings that only other models have are ignored.
    Raises: LionError for sampled decoding."""
    sampled, temperature = given.get("do_sample"), given.get("temperature")
    if sampled is not False and (bool(sampled) if temperature is None else temperature > 0):
        raise LionError("LION does not draw answers by chance; add --gen_kwargs do_sample=False,temperature=0")
    return replace(usual, **{name: given[name] for name in _SUPPORTED if given.get(name) is not None})


def cut(text: str, until: str | Iterable[str | None] | None) -> str:
    """The text before the first of the strings that end an answer."""
    for stop in [until] if isinstance(until, str) else until or ():
        text = text.split(stop)[0] if stop else text
    return text.strip()
