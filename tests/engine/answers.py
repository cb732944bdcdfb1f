"""lion-mini's answers by the engine beside those of another decoder, verb by verb and preset by preset.

    python -m tests.engine.answers

asks for 1,000 (some minutes on one core), prints how many differ by preset, each that does with how likely both are,
and whether that is a tie. transformers' ``generate`` is the other decoder; for ``official``, whose stop rule it no
longer has, the second writing in :mod:`tests.engine.released_beams`.
"""

import warnings
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch

from lion.boxes import Box
from lion.engine import EmbeddedPrompt, rank
from lion.pipeline import DECODING, BatchDecoder, EngineDecoder, LionPipeline, Request, TransformersDecoder, Verb
from lion.pipeline.decode import generate, settings_of
from lion.world import render
from lion.world.questions import test_questions as questions_of
from tests.engine import released_beams

VERBS = 5
TIE = 1e-5
"""Nats. Two answers of one length that are nearer than float32 rounds a sum of their log-probabilities are a tie: which
of them a search keeps is chance."""


class Pair(NamedTuple):
    """An answer that differs: by the engine, and by the other decoder."""

    line: str
    apart: float
    """Nats between both; infinite where their lengths differ, since beams then compare means."""


def released(engine: EngineDecoder, prompts, vision, preset):
    """Ids by beams as the released code's transformers searched."""
    settings = settings_of(preset, engine.processor)
    given = [EmbeddedPrompt(inputs_ND, level, settings) for inputs_ND, level, _ in engine._embedded(prompts, vision)]
    return released_beams.search(engine.model.language_model, given)


class Recorded(BatchDecoder):
    """A decoder whose prompts and ids are kept.

    Args:
        ids_of: prompts, vision and preset to ids.
    """

    def __init__(self, ids_of) -> None:
        self.ids_of, self.prompts, self.ids = ids_of, [], []

    def generate(self, prompts, vision, preset):
        found = self.ids_of(prompts, vision, preset)
        rows = [row[1:] if row[0] == 0 else row for row in found]  # transformers' begin with the start token
        self.ids += [row[: row.index(1) + 1] if 1 in row else row for row in rows]
        self.prompts += [(prompt, vision.row(row)) for row, prompt in enumerate(prompts)]
        return found

    def score(self, prompts, vision):
        raise NotImplementedError


def requests(pictures: int) -> list[Request]:
    """Of all verbs, about so many drawn pictures of the validation part."""
    scenes = [render(question.scene) for question in questions_of("vqa", pictures, split="val")]
    return [
        request
        for picture in scenes
        for request in (
            Request(picture, Verb.CAPTION, tags=[]),
            Request(picture, Verb.ASK, "is there a dog?"),
            Request(picture, Verb.CHAT, "what color is it?", history=[("is there a kite?", "yes")]),
            Request(picture, Verb.LOCATE, "the biggest thing"),
            Request(picture, Verb.DESCRIBE, box=Box(0.2, 0.2, 0.6, 0.6)),
        )
    ]


def differing(mini: LionPipeline, preset: str, pictures: int) -> Iterator[Pair]:
    """Each answer that is not the same to the id."""
    parts = (mini.model, mini.processor)
    engine = EngineDecoder(*parts)
    other = partial(released, engine) if preset == "official" else TransformersDecoder(*parts).generate
    ours, theirs = Recorded(partial(generate, engine)), Recorded(other)
    for decoder in (ours, theirs):
        LionPipeline(*parts, mini.tagger, batch_size=10, decoding=preset, decoder=decoder).answer(requests(pictures))
    assert len(ours.ids) == VERBS * pictures and len(set(map(tuple, ours.ids))) > pictures
    for (prompt, vision), *both in zip(ours.prompts, ours.ids, theirs.ids, strict=True):
        if both[0] != both[1]:
            ((inputs_ND, level, _),) = engine._embedded([prompt], vision)
            nats = rank(engine._scheduler().weights, [inputs_ND], [level], [both])[0]
            texts = mini.processor.tokenizer.batch_decode(both, skip_special_tokens=True)
            line = f"{preset}, {prompt.request.verb.value}: " + " / ".join(
                f"{text!r} ({-nll:.7f} nats)" for text, nll in zip(texts, nats, strict=True)
            )
            yield Pair(line, abs(nats[0] - nats[1]) if len(both[0]) == len(both[1]) else float("inf"))


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    mini, pictures = LionPipeline.from_pretrained(), 1000 // (VERBS * len(DECODING))
    for preset in DECODING:
        pairs = list(differing(mini, preset, pictures))
        lines = [pair.line + ", a tie" * (pair.apart < TIE) for pair in pairs]
        print(f"{preset}: {VERBS * pictures} answers, {len(lines)} differ", *lines, sep="\n  ", flush=True)


if __name__ == "__main__":
    main()
