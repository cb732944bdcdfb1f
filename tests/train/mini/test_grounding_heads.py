"""The grounding heads' labels: what an instruction refers to, what is compared with what, which words name which."""

import torch

from lion.prompts import Task, tag_prompt
from lion.train.mini.curriculum import Example
from lion.train.mini.grounding_heads import GroundingHeads, GroundingTargets, States
from lion.train.mini.pretrain_language import PretrainLanguage
from lion.train.presets import world_processor
from lion.train.recipe import load
from lion.world import scene
from lion.world.vocabulary import NUMBERS
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
    targets = GroundingTargets(tokenizer)([example], ids, torch.tensor([[1]]))
    labels, mask = targets["role_labels"][0], targets["role_mask"][0]
    names = [tokenizer.decode([each]).strip() for each in ids[0]]
    assert [names[place] for place in mask[:, 0].nonzero().flatten().tolist()] == ["cat", "dog"]
    assert [names[place] for place in labels[:, 1].nonzero().flatten().tolist()] == ["dog"]


def test_a_head_without_a_known_label_has_no_loss_and_unknown_labels_cost_nothing():
    torch.manual_seed(0)
    heads, embedding = GroundingHeads(8, world_processor("tiny").tokenizer), torch.nn.Embedding(500, 8)
    states = States(torch.randn(2, 3, 8), torch.randn(2, 3, 8), torch.randn(2, 4, 8), torch.randn(2, 5, 8))
    shapes = {"referent": (2, 3, 2), "relation": (2, 3, 3), "role": (2, 4, 2), "repeat": (2, 3, 1), "rank": (2, 3)}
    shapes["current"] = (2, 4, 1)
    batch = {f"{head}_{kind}": torch.zeros(shape) for head, shape in shapes.items() for kind in ("labels", "mask")}
    batch |= {"naming_labels": torch.zeros(2, 5, 3), "naming_mask": torch.zeros(2, 5, 1)}
    batch["object_mask"] = torch.tensor([[1, 1, 1], [1, 0, 0]])
    assert heads.losses(states, embedding, batch) == {}
    batch["referent_mask"][0] = 1
    losses = heads.losses(states, embedding, batch)
    assert set(losses) == {"thing", "anchor"}
    batch["referent_labels"][1] = 1  # unknown: the mask is 0 there
    assert heads.losses(states, embedding, batch)["thing"] == losses["thing"]
    batch["referent_labels"][0] = 1
    assert heads.losses(states, embedding, batch)["thing"] != losses["thing"]
    for head in ("repeat", "rank"):
        batch[f"{head}_mask"][0, 1] = 1
        known = heads.losses(states, embedding, batch)[head]
        batch[f"{head}_labels"][0, 0] = 1
        assert heads.losses(states, embedding, batch)[head] == known
        batch[f"{head}_labels"][0, 1] = 1
        assert heads.losses(states, embedding, batch)[head] != known


def test_a_name_points_to_all_tokens_of_its_object_and_to_none_of_the_padding():
    torch.manual_seed(0)
    heads, embedding = GroundingHeads(8, world_processor("tiny").tokenizer), torch.nn.Embedding(500, 8)
    objects, answer = torch.randn(1, 4, 8), torch.randn(1, 2, 8, requires_grad=True)
    batch = {"object_mask": torch.tensor([[1, 1, 1, 0]]), "naming_mask": torch.tensor([[[0.0], [1.0]]])}
    batch["naming_labels"] = torch.tensor([[[0.0] * 4, [1.0, 0.0, 1.0, 0.0]]])
    shapes = {
        "referent": (1, 4, 2),
        "relation": (1, 4, 3),
        "role": (1, 3, 2),
        "repeat": (1, 4, 1),
        "current": (1, 3, 1),
    }
    for head, shape in shapes.items():
        batch |= {f"{head}_{kind}": torch.zeros(shape) for kind in ("labels", "mask")}
    batch |= {f"rank_{kind}": torch.zeros(1, 4) for kind in ("labels", "mask")}
    states = States(objects, objects, torch.randn(1, 3, 8), answer)
    loss = heads.losses(states, embedding, batch)["naming"]
    hidden = torch.nn.functional.layer_norm(answer[0, 1], (8,))
    shares = (objects[0, :3] @ heads.naming(hidden) * 8**-0.5).softmax(0)
    torch.testing.assert_close(loss, -(shares[0] + shares[2]).log())
    loss.backward()
    assert torch.isfinite(answer.grad).all() and answer.grad[0, 1].any() and not answer.grad[0, 0].any()


def batches(task, *overrides):
    objective = PretrainLanguage(load("mini-t5", ["batch_size=32", "steps=100", *overrides]))
    return objective, [batch.tensors for batch in map(objective.batch, range(70, 100)) if batch.tasks[0] == task]


def test_the_first_token_of_an_object_repeats_none():
    _, some = batches(Task.REG)
    for t in some:
        for ids, labels, mask in zip(t["object_ids"], t["repeat_labels"], t["repeat_mask"], strict=True):
            seen = set()
            for token, label, known in zip(ids.tolist(), labels[:, 0].tolist(), mask[:, 0].tolist(), strict=True):
                assert known == (token[3] > 0)
                if known:
                    assert label == (tuple(token) in seen)
                    seen.add(tuple(token))


def test_a_captions_words_name_the_objects_from_left_to_right():
    objective, some = batches(Task.CAPTION)
    decode = objective.processor.tokenizer.decode
    for t in some:
        for row in range(32):
            named, last = t["naming_labels"][row].bool(), -1.0
            ranks = t["rank_labels"][row][t["rank_mask"][row].bool()]
            assert len(ranks) and ranks.max() < 6
            for place in t["naming_mask"][row, :, 0].nonzero().flatten().tolist():
                tokens = named[place].nonzero().flatten().tolist()
                [(words, box)] = {
                    (words, *map(tuple, [box]))
                    for words, box in (words_and_box(objective, t["object_ids"][row, i]) for i in tokens)
                }
                assert decode([t["labels"][row, place]]).strip() in words.split()
                middle = float(box[0]) + float(box[2])
                assert middle >= last - 0.02  # rounded to two decimals
                last = middle
            assert int(t["naming_mask"][row].sum()) >= 2 * len(ranks.unique())


def test_what_is_counted_has_ranks():
    objective, some = batches(Task.VQA)
    decode = objective.processor.tokenizer.decode
    numbers = set()
    for t in some:
        for row in t["rank_mask"].any(-1).nonzero().flatten().tolist():
            known = t["rank_mask"][row].bool()
            assert torch.equal(known, t["referent_labels"][row, :, 0].bool())
            answer = decode(t["labels"][row][t["labels"][row] >= 0], skip_special_tokens=True)
            assert answer == NUMBERS[int(t["rank_labels"][row][known].max()) + 1]
            numbers.add(answer)
    assert len(numbers) > 2


def test_a_comparison_holds_or_not_at_every_object_compared():
    objective, some = batches(Task.DIALOG)
    decode = objective.processor.tokenizer.decode
    answers = []
    for t in some:
        compared = (
            t["relation_mask"][..., 2].bool() & ~t["relation_mask"][..., 0].bool() & ~t["relation_mask"][..., 1].bool()
        )
        for row in (compared.sum(1) > 1).nonzero().flatten().tolist():
            answer = decode(t["labels"][row][t["labels"][row] >= 0], skip_special_tokens=True)
            assert torch.equal(compared[row], t["referent_labels"][row, :, 0].bool())
            assert (t["relation_labels"][row, compared[row], 2] == (answer == "yes")).all()
            answers.append(answer)
    assert set(answers) == {"yes", "no"} and len(answers) > 50


def test_the_current_question_is_what_follows_the_last_answer():
    tokenizer = world_processor("mini").tokenizer
    history = "Dialog history: Question: is there a cat? Answer: yes Question: what color is it? Answer: red "
    text = tag_prompt(["cat", "dog"]) + history + "Question: is there a dog? Short answer:"
    encoded = tokenizer([text, "Question: is there a dog? Short answer:"], padding=True, return_tensors="pt")
    shown = scene("val", 0)
    rows = [Example(shown, Task.DIALOG, text, "no", {"kind": "exists", "about": ()}, ()) for _ in range(2)]
    targets = GroundingTargets(tokenizer)(rows, encoded["input_ids"], torch.tensor([[1], [1]]))
    labels, mask = targets["current_labels"][0, :, 0].bool(), targets["current_mask"][0, :, 0].bool()
    ids = encoded["input_ids"][0]
    assert tokenizer.decode(ids[labels & mask]) == "question: is there a dog?"
    assert "color is it" in tokenizer.decode(ids[~labels & mask]) and not labels[~mask][-4:].any()
    assert not targets["current_mask"][1].any()  # a first round has no other
