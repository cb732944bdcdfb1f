"""The pretraining objectives: they run, they learn what they should from, and stages can start from what they leave."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lion.boxes import Box
from lion.checkpoints.parts import load_part
from lion.data.sources.world import instruction_and_answer
from lion.errors import LionError
from lion.model import LionForConditionalGeneration
from lion.model.vision_encoder import sincos_positions
from lion.prompts import Task, tag_prompt
from lion.tagging import RamTagger
from lion.train.mini.curriculum import Row
from lion.train.mini.grounding_heads import MeantTargets
from lion.train.mini.mil_loss import matching_logits, matching_loss
from lion.train.mini.object_tokens import Symbols, embed_symbols
from lion.train.mini.presets import preset_config, world_processor
from lion.train.mini.pretrain_connectors import PretrainConnectors
from lion.train.mini.pretrain_language import PretrainLanguage
from lion.train.mini.pretrain_vision import PretrainVision, known_phrases, phrases_of, undecided
from lion.train.mini.tokenizers import COORDINATES, bert_tokenizer, t5_tokenizer
from lion.train.recipe import load
from lion.train.run import make_objective, train
from lion.world import render, scene, vocabulary
from lion.world.vocabulary import HELD_OUT, held_out_pair

SHORT = ["steps=2", "batch_size=3", "optimizer.warmup=1", "precision=fp32", "data.0.scenes=8"]
SHORT += ["validation.every=2", "validation.samples=4"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LION_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", ["mini-vit", "mini-t5", "mini-tagger"])
def test_an_objective_makes_the_same_batches_in_another_process(name):
    here = make_objective(load(name, SHORT))
    there = pickle.loads(pickle.dumps(here)).batch(1).tensors
    wanted = here.batch(1).tensors
    assert there.keys() == wanted.keys()
    assert all(torch.equal(there[name], wanted[name]) for name in wanted)


def test_what_cannot_end_well_is_refused_at_once():
    with pytest.raises(LionError, match="validation: pretrain-tagger sets its tags' thresholds on val scenes"):
        make_objective(load("mini-tagger", ["validation=null"]))
    with pytest.raises(LionError, match=r"options\.curriculum_grounding: only rec, reg, vqa find things"):
        make_objective(load("mini-t5", ["data.0.tasks={caption: 1, dialog: 1}"]))


@pytest.mark.parametrize(("name", "part"), [("mini-vit", "vision_encoder"), ("mini-t5", "language_model")])
def test_a_stage_can_start_from_the_part(name, part, tmp_path):
    recipe = load(name, [*SHORT, "model=tiny", f"root={tmp_path}"])
    record = train(recipe)
    assert record["steps"] == 2 and record["scores"]
    model = LionForConditionalGeneration(preset_config("tiny", world_processor("tiny")))
    before = {name: p.clone() for name, p in model.component_parameters(part)}
    load_part(model, part, recipe.folder)
    assert any(not torch.equal(before[name], p) for name, p in model.component_parameters(part))


def test_connectors_train_without_the_language_model_and_a_stage_goes_on_from_them(tmp_path):
    recipe = load("mini-connectors", [*SHORT, "steps=1", "init={}", f"root={tmp_path}"])
    scores = train(recipe)["scores"]
    assert set(scores) == {"qformer_distance", "mlp_distance"} and min(scores.values()) > 0
    torch.manual_seed(recipe.seed)
    before = PretrainConnectors(recipe).build().lion.state_dict()
    after = load_file(recipe.folder / "model.safetensors")
    changed = {name for name, tensor in after.items() if not torch.equal(before[name], tensor)}
    assert {name.split(".")[0] for name in changed} == {"qformer", "vision_aggregator", "mlp"}
    stage = load("mini-stage1", [*SHORT, f"root={tmp_path}"])
    model = make_objective(stage).build()
    assert all(torch.equal(after[name], tensor) for name, tensor in model.state_dict().items() if name in after)


def test_connectors_come_nearer_to_the_symbols():
    recipe = load("mini-connectors", [*SHORT, "init={}"])
    objective = PretrainConnectors(recipe)
    objective.prepare()
    torch.manual_seed(0)
    model = objective.build()
    named = [parameter for part in objective.trainable(model).values() for _, parameter in part]
    optimiser = torch.optim.AdamW(named, lr=0.002)
    batch = objective.batch(0)
    losses = []
    for _ in range(8):
        loss = objective.loss(model, batch)
        assert float(loss.total.detach()) == pytest.approx(sum(float(part) for part in loss.per_task.values()))
        loss.total.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.per_task)
    assert all(losses[-1][kind] < 0.9 * losses[0][kind] for kind in ("qformer", "mlp"))
    again = PretrainConnectors(recipe).batch(0)
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in batch.tensors.items())


def test_the_tagger_it_leaves_tags(tmp_path):
    recipe = load("mini-tagger", [*SHORT, f"root={tmp_path}"])
    train(recipe)
    tagger = RamTagger.from_pretrained(recipe.folder)
    assert tagger.scores([render(scene("val", 0))]).shape == (1, len(tagger.tags))


def test_no_held_out_pair_is_among_the_phrases():
    phrases = set(known_phrases())
    assert not any(held_out_pair(phrase[-1], phrase[-2]) for phrase in phrases if len(phrase) > 1)
    for index in range(50):
        assert phrases_of(scene("train", index)) <= phrases


def test_finding_comes_first_and_bare():
    overrides = ["batch_size=4", "options.curriculum_grounding=0.5", "steps=400"]
    objective = PretrainLanguage(load("mini-t5", overrides))
    tokenizer = objective.processor.tokenizer
    first, later = ([objective.batch(step) for step in range(start, start + 30)] for start in (0, 370))
    assert {task for batch in first for task in batch.tasks} == {Task.REC, Task.REG, Task.VQA}
    texts = [text for batch in first for text in tokenizer.batch_decode(batch.tensors["input_ids"])]
    assert not any(word in text for text in texts for word in ("locate", "region", "answer"))
    assert {task for batch in later for task in batch.tasks} == set(objective.lessons.tasks)


@pytest.mark.parametrize("step", [0, 399])
def test_batches_are_a_function_of_the_step(step):
    one, two = (PretrainLanguage(load("mini-t5", ["batch_size=4", "steps=400"])).batch(step) for _ in range(2))
    assert one.ids == two.ids
    assert all(torch.equal(one.tensors[name], two.tensors[name]) for name in one.tensors)


def told(objective, ids_7):
    """A symbol's words and its box as text, read back from its ids."""
    words, corners = ids_7[:3].tolist(), ids_7[3:].tolist()
    decode = objective.processor.tokenizer.decode
    return decode([i for i in words if i]), [decode([i]).strip() for i in corners if i]


def test_symbols_hold_every_thing_and_its_box():
    objective = PretrainLanguage(load("mini-t5", ["batch_size=6", "steps=100"]))
    batch = objective.batch(99)
    for row, name in enumerate(batch.ids):
        split, seed, index = name.split(":")[0].split("-")[:3]
        shown = scene(split, int(index), seed=int(seed))
        symbols = [told(objective, ids) for ids in batch.tensors["symbol_ids"][row] if ids.any()]
        things = {(words, *corners) for words, corners in symbols if corners}
        assert things == {
            (f"{t.size} {t.colour} {t.category}", *(f"{corner:.2f}" for corner in t.box.xyxy())) for t in shown.objects
        }
        assert {words for words, corners in symbols if not corners} <= {shown.theme}


def test_symbols_that_are_meant_are_those_of_the_answer():
    objective = PretrainLanguage(load("mini-t5", ["batch_size=16", "steps=200"]))
    batches = {batch.tasks[0]: batch for batch in map(objective.batch, range(150, 200))}
    assert not batches[Task.CAPTION].tensors["meant_symbols"].any()
    rec = batches[Task.REC].tensors
    decode = objective.processor.tokenizer.decode
    for labels, ids, meant in zip(rec["labels"], rec["symbol_ids"], rec["meant_symbols"], strict=True):
        [box] = {tuple(told(objective, one)[1]) for one in ids[meant[0, :, 0].bool()]}
        assert decode(labels[labels >= 0], skip_special_tokens=True) == f"[{','.join(box)}]"


def test_relations_say_who_is_compared_with_whom_and_what_is_true():
    objective = PretrainLanguage(load("mini-t5", ["batch_size=64", "steps=100", "options.curriculum_grounding=0.9"]))
    batches = [batch for batch in map(objective.batch, range(20, 60)) if batch.tensors["meant_relations"].any()]
    decode = objective.processor.tokenizer.decode
    seen = set()
    for batch in batches:
        t = batch.tensors
        for row in t["meant_relations"][:, 1].any(-1).any(-1).nonzero().flatten().tolist():
            symbols, relations, words = t["meant_symbols"][row, 0], t["meant_relations"][row], t["meant_words"][row]
            boxes = [
                {tuple(map(float, told(objective, one)[1])) for one in t["symbol_ids"][row][symbols[:, kind].bool()]}
                for kind in (0, 1)
            ]
            [thing], [anchor] = boxes
            place = int(symbols[:, 0].nonzero()[0])
            answer = decode(t["labels"][row][t["labels"][row] >= 0], skip_special_tokens=True)
            left, above, holds = relations[0, place].tolist()
            if relations[1, place, 0]:
                assert left == (thing[0] + thing[2] < anchor[0] + anchor[2])
            if relations[1, place, 1]:
                assert above == (thing[1] + thing[3] < anchor[1] + anchor[3])
            assert relations[1, place, 2] == (answer in ("yes", "no")) and holds == (answer == "yes")
            if answer in ("left", "above"):
                assert (left if answer == "left" else above) == 1
            text = [decode([i]).strip() for i in t["input_ids"][row]]
            names = {kind: {text[i] for i in words[0, :, kind].nonzero().flatten().tolist()} for kind in (0, 1)}
            told_of = {kind: told(objective, t["symbol_ids"][row][symbols[:, kind].bool()][0])[0] for kind in (0, 1)}
            assert all(names[kind] and names[kind] <= set(told_of[kind].split()) for kind in (0, 1))
            seen.add(answer)
    assert seen == {"yes", "no", "left", "right", "above", "below"}


def test_tags_before_a_question_play_no_part_in_its_relation():
    tokenizer = world_processor("mini").tokenizer
    text = tag_prompt(["cat", "dog", "ball"]) + "farm: small red cat [0.10,0.20,0.30,0.40]. is the cat left of the dog?"
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    shown = scene("val", 0)
    row = Row(shown, Task.VQA, text, "yes", {"kind": "relation", "about": (0, 1)}, ())
    truths, known = MeantTargets(tokenizer)([row], ids)["meant_words"][0]
    names = [tokenizer.decode([each]).strip() for each in ids[0]]
    assert [names[place] for place in known[:, 0].nonzero().flatten().tolist()] == ["cat", "dog"]
    assert [names[place] for place in truths[:, 1].nonzero().flatten().tolist()] == ["dog"]


def test_a_thing_that_tags_name_may_go_untold():
    objective = PretrainLanguage(load("mini-t5", ["batch_size=64", "steps=200", "seed=2"]))
    untold = 0
    for batch in map(objective.batch, range(100, 190)):
        if batch.tasks[0] != Task.VQA:
            continue
        decode = objective.processor.tokenizer.decode
        for row in range(64):
            if not batch.tensors["meant_symbols"][row, 0, :, 0].any():
                text = decode(batch.tensors["input_ids"][row], skip_special_tokens=True)
                labels = batch.tensors["labels"][row]
                if decode(labels[labels >= 0], skip_special_tokens=True) == "yes":
                    assert "following tags" in text
                    untold += 1
    assert untold, "3 such rows in these 90 batches when last counted"


def test_a_symbol_tells_the_corners_apart():
    symbols = Symbols(world_processor("mini").tokenizer, 2)
    embedding = torch.nn.Embedding(1000, 16)
    boxes = [Box(0.1, 0.2, 0.3, 0.4), Box(0.2, 0.1, 0.3, 0.4), Box(0.1, 0.2, 0.3, 0.4)]
    one, other, same = embed_symbols(symbols.ids([[(("red", "cat"), box) for box in boxes]]), embedding)[0]
    assert torch.equal(one, same) and (one - other).abs().max() > 0.1
    assert not embed_symbols(symbols.ids([[((), None)]]), embedding).any()


def test_who_is_meant_counts_in_the_loss():
    objective = PretrainLanguage(load("mini-t5", ["batch_size=4", "steps=100", "model=tiny"]))
    batch = next(batch for batch in map(objective.batch, range(90, 100)) if Task.REC in batch.tasks)
    model = objective.build()
    told = objective.loss(model, batch)
    torch.nn.init.constant_(model.heads.symbols.bias, 9.0)
    assert objective.loss(model, batch).total > told.total + 1
    told.total.backward()
    assert model.heads.symbols.weight.grad.any()


def test_told_in_words_there_are_no_symbols():
    objective = PretrainLanguage(load("mini-t5", ["batch_size=2", "steps=100", "options.scene_as=text"]))
    batch = objective.batch(99)
    assert batch.tensors["symbol_mask"].shape[1] == 0
    texts = objective.processor.tokenizer.batch_decode(batch.tensors["input_ids"])
    assert all("0." in text for text in texts)
    model = objective.build()
    assert torch.isfinite(objective.loss(model, batch).total)


def test_matching_finds_the_word_whose_token_is_there():
    words = torch.eye(3)
    tokens = torch.stack([words[[0, 0, 1]], words[[2, 2, 2]]])
    logits = matching_logits(tokens, words, 10.0, -6.0)
    shown = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert ((logits > 0) == shown.bool()).all()
    assert matching_loss(logits, shown) < matching_loss(-logits, shown)


def test_tokenizers_hold_the_world_and_lose_no_text():
    words = vocabulary()
    t5, bert = t5_tokenizer(words), bert_tokenizer(words)
    for text in ("What color is the Cat?", "zebra's 42!", "[0.12,0.34,0.56,1.00]"):
        assert t5.decode(t5(text)["input_ids"], skip_special_tokens=True) == text.lower()
    assert len(t5("[0.12,0.34,0.56,1.00]")["input_ids"]) == 10
    for word in words:
        if not word.startswith("<"):
            assert t5.unk_token_id not in t5(word)["input_ids"] and bert.unk_token_id not in bert(word)["input_ids"]
    assert t5.convert_tokens_to_ids(list(COORDINATES))[-1] - t5.convert_tokens_to_ids(list(COORDINATES))[0] == 100


def test_nothing_is_meant_by_a_question_for_what_is_absent():
    rng = np.random.default_rng(0)
    asked = [instruction_and_answer(scene("train", index), Task.VQA, rng, 2) for index in range(300)]
    absent = [meta for _, answer, meta in asked if (meta["kind"], answer) == ("exists", "no")]
    assert absent and not any(meta["about"] for meta in absent)
    assert all(meta["about"] for _, answer, meta in asked if (meta["kind"], answer) == ("exists", "yes"))


def test_bare_phrases_name_and_do_not_place():
    rng = np.random.default_rng(0)
    kinds = {
        instruction_and_answer(scene("train", index), Task.REC, rng, 2, bare=True)[2]["kind"] for index in range(200)
    }
    assert kinds <= {"unique", "attribute"} and len(kinds) == 2


def test_what_training_never_shows_is_neither_shown_nor_denied():
    shown = next(one for one in (scene("train", i) for i in range(99)) if any(t.colour == "red" for t in one.objects))
    there = {thing.category for thing in shown.objects}
    names = undecided(shown)
    assert names and not names & {(category,) for category in there}
    assert {category for category, colour in HELD_OUT.items() if colour == "red"} - there <= {c for (c,) in names}
    objective = PretrainVision(load("mini-vit", ["batch_size=8", "data.0.scenes=8"]))
    tensors = objective.batch(0).tensors
    assert 0 < (tensors["known"] == 0).float().mean() < 0.05
    assert not (tensors["shown"] * (1 - tensors["known"])).any()


def test_what_is_unknown_costs_nothing():
    logits, shown = torch.tensor([[9.0, -9.0]]), torch.tensor([[0.0, 0.0]])
    assert matching_loss(logits, shown) > 8
    assert matching_loss(logits, shown, torch.tensor([[0.0, 1.0]])) < 0.01


def test_cells_are_coded_where_their_middles_lie():
    patches, cells = sincos_positions(8, 64), sincos_positions(8, 64, 4)
    assert patches.shape == (64, 64) and cells.shape == (16, 64)
    assert float(patches.square().mean()) == pytest.approx(1)
    # The first of 4 x 4 cells lies between the first two patches of each side, and nearest to those four.
    nearest = (patches - cells[0]).square().sum(-1).argsort()[:4]
    assert sorted(nearest.tolist()) == [0, 1, 8, 9]
