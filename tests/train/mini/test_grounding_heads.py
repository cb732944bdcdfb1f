"""The grounding heads' labels: what an instruction refers to, what is compared with what, which words name which."""

import torch

from lion.prompts import Task, tag_prompt
from lion.train.mini.curriculum import Example
from lion.train.mini.grounding_heads import GroundingHeads, GroundingTargets
from lion.train.mini.pretrain_language import PretrainLanguage
from lion.train.presets import world_processor
from lion.train.recipe import load
from lion.world import scene
from tests.train.mini.helpers import words_and_box


def test_referents_are_the_objects_of_the_answer():
    objective = PretrainLanguage(load("mini-t5", ["batch_size=16", "steps=200"]))
    batches = {batch.tasks[0]: batch for batch in map(objective.batch, range(150, 200))}
    assert not batches[Task.CAPTION].tensors["referent_mask"].any()
    rec = batches[Task.REC].tensors
    decode = objective.processor.tokenizer.decode
    for labels, ids, referent in zip(rec["labels"], rec["object_ids"], rec["referent_labels"], strict=True):
        [box] = {tuple(words_and_box(objective, one)[1]) for one in ids[referent[:, 0].bool()]}
        assert decode(labels[labels >= 0], skip_special_tokens=True) == f"[{','.join(box)}]"


def test_labels_of_a_relation_name_both_objects_and_what_is_true():
    objective = PretrainLanguage(load("mini-t5", ["batch_size=64", "steps=100", "options.curriculum_grounding=0.9"]))
    batches = [batch for batch in map(objective.batch, range(20, 60)) if batch.tensors["relation_mask"].any()]
    decode = objective.processor.tokenizer.decode
    seen = set()
    for batch in batches:
        t = batch.tensors
        for row in t["relation_mask"].any(-1).any(-1).nonzero().flatten().tolist():
            roles, ids = t["referent_labels"][row].bool(), t["object_ids"][row]
            described = [[words_and_box(objective, one) for one in ids[roles[:, role]]] for role in (0, 1)]
            [thing], [anchor] = ({tuple(map(float, box)) for _, box in tokens} for tokens in described)
            place = int(roles[:, 0].nonzero()[0])
            answer = decode(t["labels"][row][t["labels"][row] >= 0], skip_special_tokens=True)
            left, above, holds = t["relation_labels"][row, place].tolist()
            left_known, above_known, claimed = t["relation_mask"][row, place].tolist()
            if left_known:
                assert left == (thing[0] + thing[2] < anchor[0] + anchor[2])
            if above_known:
                assert above == (thing[1] + thing[3] < anchor[1] + anchor[3])
            assert claimed == (answer in ("yes", "no")) and holds == (answer == "yes")
            if answer in ("left", "above"):
                assert (left if answer == "left" else above) == 1
            text = [decode([i]).strip() for i in t["input_ids"][row]]
            for role, tokens in enumerate(described):
                names = {text[i] for i in t["role_labels"][row, :, role].nonzero().flatten().tolist()}
                assert names and names <= set(tokens[0][0].split())
            seen.add(answer)
    assert seen == {"yes", "no", "left", "right", "above", "below"}


def test_tags_before_a_question_play_no_part_in_its_relation():
    tokenizer = world_processor("mini").tokenizer
    text = tag_prompt(["cat", "dog", "ball"]) + "farm: small red cat [0.10,0.20,0.30,0.40]. is the cat left of the dog?"
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    shown = scene("val", 0)
    example = Example(shown, Task.VQA, text, "yes", {"kind": "relation", "about": (0, 1)}, ())
    targets = GroundingTargets(tokenizer)([example], ids)
    labels, mask = targets["role_labels"][0], targets["role_mask"][0]
    names = [tokenizer.decode([each]).strip() for each in ids[0]]
    assert [names[place] for place in mask[:, 0].nonzero().flatten().tolist()] == ["cat", "dog"]
    assert [names[place] for place in labels[:, 1].nonzero().flatten().tolist()] == ["dog"]


def test_a_head_without_a_known_label_has_no_loss_and_unknown_labels_cost_nothing():
    torch.manual_seed(0)
    heads, embedding = GroundingHeads(8, world_processor("tiny").tokenizer), torch.nn.Embedding(500, 8)
    encoded, first = torch.randn(2, 3, 8), torch.randn(2, 4, 8)
    shapes = {"referent": (2, 3, 2), "relation": (2, 3, 3), "role": (2, 4, 2)}
    batch = {f"{head}_{kind}": torch.zeros(shape) for head, shape in shapes.items() for kind in ("labels", "mask")}
    assert heads.losses(encoded, first, embedding, batch) == {}
    batch["referent_mask"][0] = 1
    losses = heads.losses(encoded, first, embedding, batch)
    assert set(losses) == {"thing", "anchor"}
    batch["referent_labels"][1] = 1  # unknown: the mask is 0 there
    assert heads.losses(encoded, first, embedding, batch)["thing"] == losses["thing"]
    batch["referent_labels"][0] = 1
    assert heads.losses(encoded, first, embedding, batch)["thing"] != losses["thing"]
