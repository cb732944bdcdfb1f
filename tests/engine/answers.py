"""lion-mini's answers by the engine beside those of another decoder, verb by verb and preset by preset.

    python -m tests.engine.answers

asks for 1,000 (some minutes on one core), prints how many differ by preset, and each that does with how likely both
are. transformers' ``generate`` is the other decoder; for ``official``, whose stop rule it no longer has, the second
writing in :mod:`tests.engine.released_beams`.
"""

import warnings
from collections.abc import Iterator

import torch

from lion.boxes import Box
from lion.engine import rank
from lion.pipeline import DECODING, EngineDecoder, LionPipeline, Request, TransformersDecoder, Verb
from lion.world import render
from lion.world.questions import test_questions as questions_of
from tests.engine import released_beams

VERBS = 5


class ReleasedDecoder(EngineDecoder):
    """Beams as the released code's transformers searched."""

    def generate(self, prompts, vision, preset):
        return released_beams.search(self.model.language_model, self._prompts(prompts, vision, preset))


class Recorded:
    """A decoder whose prompts and ids are kept."""

    def __init__(self, decoder) -> None:
        self.decoder, self.prompts, self.ids = decoder, [], []

    def generate(self, prompts, vision, preset):
        found = self.decoder.generate(prompts, vision, preset)
        self.ids += [tuple(row[row[0] == 0 :]) for row in found]  # transformers' rows begin with the start token
        self.prompts += [
            (prompt, vision.map(lambda t, row=row: t[row : row + 1])) for row, prompt in enumerate(prompts)
        ]
        return found


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


def differing(mini: LionPipeline, preset: str, pictures: int) -> Iterator[str]:
    """A line for each answer that is not the same to the id."""
    parts, found = (mini.model, mini.processor), []
    for kind in (EngineDecoder, ReleasedDecoder if preset == "official" else TransformersDecoder):
        decoder = Recorded(kind(*parts))
        LionPipeline(*parts, mini.tagger, batch_size=10, decoding=preset, decoder=decoder).answer(requests(pictures))
        found.append(decoder)
    ours = found[0]
    assert len(ours.ids) == VERBS * pictures and len(set(ours.ids)) > pictures
    engine = EngineDecoder(*parts)
    for (prompt, vision), *both in zip(ours.prompts, *(_without_padding(one.ids) for one in found), strict=True):
        if both[0] != both[1]:
            inputs, levels = engine._embedded([prompt], vision)
            nats = rank(engine._scheduler().weights, inputs, levels, [both])[0]
            texts = mini.processor.tokenizer.batch_decode(both, skip_special_tokens=True)
            yield f"{preset}, {prompt.request.verb.value}: " + " / ".join(
                f"{text!r} ({-nll:.5f} nats)" for text, nll in zip(texts, nats, strict=True)
            )


def _without_padding(rows):
    return [row[: row.index(1) + 1] if 1 in row else row for row in rows]


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    mini, pictures = LionPipeline.from_pretrained(), 1000 // (VERBS * len(DECODING))
    for preset in DECODING:
        lines = list(differing(mini, preset, pictures))
        print(f"{preset}: {VERBS * pictures} answers, {len(lines)} differ", *lines, sep="\n  ", flush=True)


if __name__ == "__main__":
    main()
