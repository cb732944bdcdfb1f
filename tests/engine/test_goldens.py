"""The engine beside what the released code generated, and beside transformers on lion-mini."""

import pytest
import torch

from lion.boxes import Box
from lion.engine import EmbeddedPrompt, Scheduler, Settings, StopRule, Weights
from lion.pipeline import DECODING, EngineDecoder, LionPipeline, Request, TransformersDecoder, Verb
from lion.world import render
from lion.world.questions import test_questions as questions_of
from tests.engine.tiny import until_end
from tests.parity import released

GENERATIONS = released.read_json("outputs.json")["generation"]
READ = ("num_beams", "max_new_tokens", "repetition_penalty", "length_penalty")


@pytest.mark.parametrize("rule", StopRule)
@pytest.mark.parametrize("name", sorted(GENERATIONS))
def test_stored_generations(name, rule):
    how, level = name.rsplit(".", 1)
    model = released.model("qformer" if how.startswith("qformer") else "both")
    inputs = {key: value for key, value in released.batch(level).items() if key != "labels"}
    with torch.no_grad():
        inputs_BND, mask_BN, _ = model.embed(**inputs)
    kwargs = GENERATIONS[name]["kwargs"]
    settings = Settings(**{key: kwargs[key] for key in READ if key in kwargs}, stop_rule=rule)
    rows = zip(inputs_BND, mask_BN.bool(), inputs["task_levels"].tolist(), strict=True)
    prompts = [EmbeddedPrompt(row[mask], level, settings) for row, mask, level in rows]
    answers = [answer[0].ids for answer in Scheduler(Weights(model.language_model), 2).run(prompts)]
    assert answers == [until_end(row[1:]) for row in released.tensors("outputs")[f"gen.{name}.ids"].tolist()]


@pytest.fixture(scope="module")
def mini():
    return LionPipeline.from_pretrained()


@pytest.mark.parametrize("preset", sorted(set(DECODING) - {"official"}))
def test_lion_mini_answers_as_with_transformers(mini, preset):
    """All verbs in one batch, of other lengths and both levels. 2,760 answers of the default preset agreed as well."""
    pictures = [render(question.scene) for question in questions_of("vqa", 4, split="val")]
    requests = [
        request
        for picture in pictures
        for request in (
            Request(picture, Verb.CAPTION, tags=[]),
            Request(picture, Verb.ASK, "is there a dog?"),
            Request(picture, Verb.CHAT, "what color is it?", history=[("is there a kite?", "yes")]),
            Request(picture, Verb.LOCATE, "the biggest thing"),
            Request(picture, Verb.DESCRIBE, box=Box(0.2, 0.2, 0.6, 0.6)),
        )
    ]
    texts = []
    for decoder in (EngineDecoder, TransformersDecoder):
        pipeline = LionPipeline(
            mini.model,
            mini.processor,
            mini.tagger,
            batch_size=10,
            decoding=preset,
            decoder=decoder(mini.model, mini.processor),
        )
        texts.append([answer.text for answer in pipeline.answer(requests)])
    assert texts[0] == texts[1] and len(set(texts[0])) > 8
