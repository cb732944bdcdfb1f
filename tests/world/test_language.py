"""Texts: true by a second opinion, unambiguous, balanced, made of known words, and silent about held-out pairs."""

import re
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.errors import LionError
from lion.random import stream
from lion.world import (
    CATEGORIES,
    COLOURS,
    EXPRESSION_KINDS,
    SIZES,
    VQA_KINDS,
    caption,
    noisy_tags,
    scene,
    tags,
    templates,
    vocabulary,
)
from lion.world.dialog import dialog
from lion.world.language import POPE_FLAVOURS, describe, expression, pope, relation, vqa
from lion.world.relations import OPPOSITE
from lion.world.templates import Wording, all_templates, is_held_out
from lion.world.vocabulary import HELD_OUT, SPLITS, likely_absent, plural, popular_absent, words
from tests.world import oracle
from tests.world.test_scene import ANY_SCENE

SEEDS = st.integers(0, 10**6).map(lambda seed: stream("test", seed))


@pytest.fixture(scope="module")
def val():
    return [scene("val", index) for index in range(1500)]


@given(ANY_SCENE, SEEDS)
def test_a_caption_names_everything_once_from_left_to_right(one, rng):
    text = caption(one, rng)
    assert one.theme in text
    named = re.findall(rf"(?:({'|'.join(SIZES)}) )?({'|'.join(COLOURS)}) ({'|'.join(CATEGORIES)})\b", text)
    ordered = sorted(one.objects, key=lambda obj: (obj.box.x1 + obj.box.x2) / 2)
    assert [(colour, category) for _, colour, category in named] == [(t.colour, t.category) for t in ordered]
    assert [size for size, _, _ in named] in ([t.size for t in ordered], [""] * len(ordered))


@given(ANY_SCENE, SEEDS, st.sampled_from(VQA_KINDS))
def test_answers_are_true(one, rng, kind):
    question = vqa(one, rng, kind)
    if question is None:
        assert kind in ("colour", "relation")
        return
    assert question.kind == kind and not question.needs_history
    assert oracle.answer(one, question.question) == question.answer, question


def test_a_first_lesson_in_relations_names_things_by_category_alone(val):
    questions = [(one, relation(one, stream("plain", one.id), plain=True)) for one in val[:400]]
    questions = [(one, question) for one, question in questions if question]
    assert len(questions) > 200
    for one, question in questions:
        assert not set(question.question.rstrip("?").split()) & {*COLOURS, *SIZES}
        assert oracle.answer(one, question.question) == question.answer
    sides = sum(question.answer in OPPOSITE for _, question in questions)
    assert sides / len(questions) == pytest.approx(2 / 3, abs=0.1)


@given(ANY_SCENE, SEEDS, st.sampled_from(EXPRESSION_KINDS))
def test_expressions_denote_one_object_clearly(one, rng, kind):
    phrase = expression(one, rng, kind)
    if phrase is None:
        assert kind != "attribute"
        return
    assert phrase.kind == kind
    assert oracle.refer(one, phrase.text) is one.objects[phrase.target], phrase


@given(ANY_SCENE, SEEDS)
def test_without_a_kind_there_is_always_something_to_say(one, rng):
    assert vqa(one, rng).kind in VQA_KINDS
    assert expression(one, rng).kind in EXPRESSION_KINDS


@given(ANY_SCENE, SEEDS)
def test_dialogs_are_true_round_by_round(one, rng):
    rounds = dialog(one, rng)
    assert 3 <= len(rounds) <= 5
    assert not rounds[0].needs_history
    history: list[tuple[str, str]] = []
    for question in rounds:
        assert oracle.answer(one, question.question, history) == question.answer, (history, question)
        assert question.needs_history == bool(re.search(r"\b(it|its|they|them|one)\b", question.question))
        history.append((question.question, question.answer))


@given(ANY_SCENE)
def test_a_description_denotes_its_object(one):
    for index, obj in enumerate(one.objects):
        assert describe(one, index) == f"{obj.size} {obj.colour} {obj.category}"
        assert oracle.only(one, describe(one, index)) is obj


@given(ANY_SCENE, SEEDS, st.sampled_from(POPE_FLAVOURS), st.booleans())
def test_pope_flavours(one, rng, flavour, positive):
    question = pope(one, rng, flavour, positive)
    category = re.fullmatch(r"is there an? (\w+) in the image\?", question.question).group(1)
    assert question.answer == ("yes" if positive else "no")
    assert (category in tags(one)) == positive
    if not positive and flavour == "popular":
        assert category in popular_absent(tags(one))[:8]
    if not positive and flavour == "adversarial":
        assert category in likely_absent(tags(one))[:4]


@given(ANY_SCENE, SEEDS)
def test_tags(one, rng):
    true = tags(one)
    assert true == sorted({obj.category for obj in one.objects})
    assert noisy_tags(one, rng, drop=0, add=0) == true
    assert noisy_tags(one, rng, drop=1, add=0) == []
    assert set(true) < set(noisy_tags(one, rng, drop=0, add=1)) <= set(CATEGORIES)


def test_noise_is_as_strong_as_asked(val):
    missing = added = total = likely = 0
    for one in val:
        true, noisy = set(tags(one)), set(noisy_tags(one, stream("noise", one.id), drop=0.3, add=0.2))
        missing, added, total = missing + len(true - noisy), added + len(noisy - true), total + len(true)
        likely += len((noisy - true) & set(likely_absent(sorted(true))[:4]))
    assert missing / total == pytest.approx(0.3, abs=0.03)
    assert added / total == pytest.approx(0.2, abs=0.03)
    assert likely / added > 0.5


def test_answers_are_balanced(val):
    answers = defaultdict(Counter)
    for one in val:
        rng = stream("balance", one.id)
        for kind in VQA_KINDS:
            if question := vqa(one, rng, kind):
                answers[kind][question.answer] += 1
        for question in dialog(one, rng):
            answers[f"dialog {question.kind}"][question.answer] += 1
    commonest = {kind: max(counts.values()) / sum(counts.values()) for kind, counts in answers.items()}
    assert 0.47 < commonest["exists"] < 0.53
    assert commonest["count"] < 0.3
    assert commonest["colour"] < 0.17
    assert commonest["relation"] < 0.38
    assert answers["relation"]["yes"] == pytest.approx(answers["relation"]["no"], rel=0.15)
    assert set(answers["count"]) == {"zero", "one", "two", "three", "four", "five", "six"}
    assert set(answers["relation"]) == {"yes", "no", "left", "right", "above", "below"}
    assert all(share < 0.7 for share in commonest.values()), commonest


def test_a_question_tells_little_about_its_answer():
    """A baseline that knows the commonest answer to each question of 3,000 train scenes stays near chance on val."""
    learnt = defaultdict(Counter)
    for index in range(3000):
        one, rng = scene("train", index), stream("blind", index)
        for kind in ("exists", "count"):
            question = vqa(one, rng, kind)
            learnt[_core(question.question)][question.answer] += 1
    right, total = Counter(), Counter()
    for index in range(1000):
        one, rng = scene("val", index), stream("blind", index)
        for kind, default in (("exists", "yes"), ("count", "zero")):
            question = vqa(one, rng, kind)
            guess = learnt[_core(question.question)].most_common(1)
            right[kind] += question.answer == (guess[0][0] if guess else default)
            total[kind] += 1
    assert right["exists"] / total["exists"] < 0.6
    assert right["count"] / total["count"] < 0.45


def _core(question: str) -> str:
    """The question without its wrapping: "are there any red cats?" -> "any red cats"."""
    return re.sub(r"^(is|are) there |^(do|can) you see | in the image|\?$", "", question)


def test_half_of_what_is_absent_is_tempting(val):
    tempting = total = 0
    for index, one in enumerate(val):
        question = vqa(one, stream("tempting", index), "exists")
        if question.answer == "no":
            total += 1
            category = next(c for c in CATEGORIES if re.search(rf"\b({c}|{plural(c)})\b", question.question))
            plain = not any(re.search(rf"\b{colour}\b", question.question) for colour in COLOURS)
            tempting += category in tags(one) or (plain and category in likely_absent(tags(one))[:4])
    assert 0.45 < tempting / total < 0.75


def test_relations_are_mostly_needed(val):
    made = [expression(one, stream("needed", one.id), "relation") for one in val[:500]]
    found = [each for each in made if each]
    assert len(found) > 480
    assert sum(each.redundant for each in found) / len(found) < 0.4


def everything_said(one, rng) -> list[str]:
    """One text of each kind."""
    questions = [vqa(one, rng, kind) for kind in VQA_KINDS] + [pope(one, rng, flavour) for flavour in POPE_FLAVOURS]
    rounds = [each for each in questions if each] + list(dialog(one, rng))
    phrases = [each.text for kind in EXPRESSION_KINDS if (each := expression(one, rng, kind))]
    texts = [text for each in rounds for text in (each.question, each.answer)]
    return [*texts, *phrases, caption(one, rng), *(describe(one, i) for i in range(len(one.objects)))]


@pytest.mark.parametrize("split", SPLITS)
def test_every_word_is_in_the_vocabulary(split):
    known = set(vocabulary())
    for index in range(200):
        one = scene(split, index)
        for text in everything_said(one, stream("words", index)):
            assert set(words(text)) <= known, text
            assert "{" not in text and "  " not in text


def test_the_vocabulary_is_modest():
    assert len(vocabulary()) < 256
    assert list(vocabulary()) == sorted(set(vocabulary()))


@pytest.mark.parametrize("split", ["train", "val"])
def test_held_out_pairs_are_never_spoken_of_in_training(split):
    pairs = "|".join(f"{colour} ({category}|{plural(category)})" for category, colour in HELD_OUT.items())
    attributes = "|".join(
        f"{category} (in the image )?that is (\\w+ and )?{colour}" for category, colour in HELD_OUT.items()
    )
    for index in range(500):
        for text in everything_said(scene(split, index), stream("pairs", index)):
            assert not re.search(rf"\b({pairs}|{attributes})\b", text), text


def test_held_out_questions_are_known_by_their_wording():
    names = {"a_name": "a small red cat", "names": "red cats", "name": "small cat", "other": "dog"}
    names |= {"relation": "to the left of", "all": "both", "colour": "red", "what": "size", "side": "left"}
    for name, wording in vars(templates).items():
        if isinstance(wording, Wording) and wording.trained[0].endswith("?"):
            assert not any(is_held_out(text.format(**names)) for text in wording.trained), name
            assert all(is_held_out(text.format(**names)) for text in wording.held_out), name
    assert is_held_out("In the image is the cat above the dog")


def test_held_out_wordings_are_of_the_test_split_only_and_hold_no_new_word():
    import lion.world.templates as module

    wordings = [value for value in vars(module).values() if isinstance(value, Wording)] + list(
        module.OUTERMOST.values()
    )
    trained = {template for wording in wordings for template in wording.trained}
    held_out = {template for wording in wordings for template in wording.held_out}
    assert not trained & held_out
    familiar = {word for text in trained for word in words(text)} | {","}  # the comma of lists in captions
    assert {word for text in held_out for word in words(text)} <= familiar
    assert set(all_templates()) >= trained | held_out
    flags = {split: [] for split in SPLITS}
    for split in SPLITS:
        for index in range(300):
            one, rng = scene(split, index), stream("wording", index)
            flags[split] += [vqa(one, rng).held_out_wording, expression(one, rng).held_out_wording]
    assert not any(flags["train"]) and not any(flags["val"])
    assert 0.42 < sum(flags["test"]) / len(flags["test"]) < 0.58


def test_wrong_names_are_reported():
    one, rng = scene("val", 0), stream("x")
    for call in (lambda: vqa(one, rng, "why"), lambda: expression(one, rng, "vague"), lambda: pope(one, rng, "rare")):
        with pytest.raises(LionError):
            call()
