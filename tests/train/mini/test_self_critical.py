"""The self-critical loss: what a caption is worth, whom it is for, and where its gradient leads."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lion.data import pictures
from lion.train.mini import self_critical
from lion.train.mini.self_critical import DRAWN, SelfCriticalLoss, agreement
from lion.train.params import freeze_all_but
from lion.train.recipe import parse
from lion.train.run import make_objective, train
from lion.world import CATEGORIES
from lion.world.language import listed
from lion.world.vocabulary import COLOURS, with_article

TASKS = {"caption": 1, "rec": 1}
OBJECTS = [("red", "cat"), ("blue", "kite"), ("red", "kite")]
NAMED = st.lists(st.tuples(st.sampled_from(COLOURS), st.sampled_from(CATEGORIES)), min_size=2, max_size=6)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(pictures, "BLOCK", 8)


def recipe(tmp_path, out="a", tasks=TASKS, weight=2.0, **fields):
    world = {"source": "world", "scenes": 8, "pixels": 64, "tasks": tasks}
    made = {"name": out, "out": out, "root": str(tmp_path), "stage": "stage3", "model": "tiny", "data": [world]}
    made |= {"steps": 1, "batch_size": 4, "optimizer": {"lr": 0.01, "warmup": 1}}
    return parse({**made, "options": {"self_critical": weight}, **fields})


def sentence(objects):
    return "a farm with " + listed([with_article(" ".join(one)) for one in objects])


@pytest.mark.parametrize(
    ("caption", "worth"),
    [
        ("a farm with a red kite, a small red cat and a blue kite", 1.0),
        ("a red cat, a blue kite and a red kite", 1.0),
        ("two kites and a cat", (4 / 5 + 0 + 1) / 3),  # a word counts once: kites are one kite
        ("a red cat, a red cat, a blue kite and a red kite", (6 / 7 + 6 / 7 + 0) / 3),
        ("a red cat and a blue kite", (4 / 5 + 4 / 5 + 1) / 3),
        ("a blue cat, a blue kite and a red kite", (1 + 2 / 3 + 1) / 3),
        ("a red cat, a blue kite and a red hat", (2 / 3 + 2 / 3 + 0) / 3),
        ("a farm", 1 / 3),
    ],
)
def test_a_caption_is_worth_what_it_names_rightly_and_once(caption, worth):
    assert agreement(caption, OBJECTS) == pytest.approx(worth)


@given(NAMED, st.randoms())
def test_naming_all_in_any_order_is_best_and_repeating_or_omitting_one_is_worse(objects, random):
    named = random.sample(objects, len(objects))
    assert agreement(sentence(named), objects) == 1
    assert agreement(sentence([*named, random.choice(named)]), objects) < 1
    assert agreement(sentence(named[1:]), objects) < 1


def test_it_is_for_captions_of_drawn_scenes(tmp_path):
    made = make_objective(recipe(tmp_path))
    samples, _ = made.mixture.batch(0, 0, 8)
    present = SelfCriticalLoss(made.processor).tensors(samples)["present"]
    for sample, row in zip(samples, present.tolist(), strict=True):
        objects = [(one.colour, one.category) for one in sample.meta["scene"].objects]
        assert self_critical._objects(row) == (objects if sample.task == "caption" else [])
    assert {sample.task for sample in samples} == {"caption", "rec"}


def test_a_batch_without_captions_has_none(tmp_path):
    made = make_objective(recipe(tmp_path, tasks={"rec": 1, "caption": 1e-9}))
    loss = made.loss(made.build(), made.batch(0))
    assert "self_critical" not in loss.per_task and loss.total.isfinite()


def test_its_weight_counts(tmp_path):
    made, plain = (make_objective(recipe(tmp_path, tasks={"caption": 1}, weight=weight)) for weight in (2.0, 0.0))
    model = made.build().eval()  # without dropout
    loss = made.loss(model, made.batch(0))
    without = plain.loss(model, plain.batch(0))
    assert loss.total.item() == pytest.approx(
        without.total.item() + 2 * loss.per_task["self_critical"].item(), rel=1e-5
    )


def test_the_better_captions_become_likelier(tmp_path, monkeypatch):
    """Of the same draws; over all pictures, which share the weights that change."""
    torch.manual_seed(0)
    made = make_objective(recipe(tmp_path, tasks={"caption": 1}))
    model, batch = made.build().eval(), made.batch(0)  # without dropout
    freeze_all_but(model, made.trainable(model))
    tokens = made.processor.tokenizer
    scenes = [sample.meta["scene"] for sample in made.mixture.batch(0, 0, 4)[0]]
    good = [sentence([(one.colour, one.category) for one in scene.objects]) for scene in scenes]
    bad = [f"{text} and {text.partition(' with ')[2]}" for text in good]
    texts = [text for pair in zip(good, bad, strict=True) for text in (*pair, pair[1], pair[0], pair[1])]
    drawn = [tokens(text).input_ids for text in texts]
    draw = self_critical._draw
    monkeypatch.setattr(self_critical, "_draw", lambda *given: (drawn, draw(*given)[1]))

    def likelihoods():
        inputs = {name: batch.tensors[name] for name in ("input_ids", "attention_mask", "task_levels")}
        inputs |= {name: tensor for name, tensor in batch.tensors.items() if name.startswith("qformer")}
        pixels = made.processor.image_processor.normalize(batch.tensors["pixels"])
        candidates = [drawn[DRAWN * row : DRAWN * row + 2] for row in range(4)]
        return -torch.stack(model.score_candidates(candidates=candidates, pixel_values=pixels, **inputs))

    before = likelihoods()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-6)
    output, _ = made._answers(model, batch)
    SelfCriticalLoss(made.processor)(output, batch.tensors, model).backward()
    optimizer.step()
    gained = likelihoods() - before
    assert gained[:, 0].sum() > gained[:, 1].sum()


def test_where_all_draws_are_worth_the_same_nothing_is_learnt(tmp_path, monkeypatch):
    made = make_objective(recipe(tmp_path, tasks={"caption": 1}))
    model, batch = made.build(), made.batch(0)
    monkeypatch.setattr(self_critical, "agreement", lambda caption, objects: 0.1 + 0.2)
    assert made.loss(model, batch).per_task["self_critical"] == 0


def test_a_run_that_was_stopped_draws_the_same(tmp_path):
    whole = train(recipe(tmp_path, "whole", tasks={"caption": 1}, steps=4))
    cut = recipe(tmp_path, "cut", tasks={"caption": 1}, steps=4, checkpoint={"every": 2})

    def stop(name, step, steps, row):
        if step == 2 and row:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(cut, watch=stop)
    train(cut)
    curves = [(tmp_path / name / "train.jsonl").read_text().splitlines() for name in ("whole", "cut")]
    losses = [[json.loads(line)["per_task"]["self_critical"] for line in lines] for lines in curves]
    assert whole["steps"] == 4 and losses[0] == losses[1]
