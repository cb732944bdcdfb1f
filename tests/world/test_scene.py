"""Scenes: repeatable, disjoint, inside the picture, mostly visible, with the pairs held out that should be."""

import dataclasses
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.errors import LionError
from lion.world import CATEGORIES, COLOURS, SIZES, THEMES, scene
from lion.world.vocabulary import ASPECT, HELD_OUT, PARTNERS, SPLITS, likely_absent, popular_absent

ANY_SCENE = st.builds(
    scene,
    st.sampled_from(SPLITS),
    st.integers(0, 10**9),
    seed=st.integers(0, 3),
    max_objects=st.none() | st.integers(1, 6),
)


@pytest.fixture(scope="module")
def sample():
    return {split: [scene(split, index) for index in range(3000)] for split in SPLITS}


@given(ANY_SCENE)
def test_a_scene_is_sound(one):
    assert one.theme in THEMES
    assert [obj.box.y2 for obj in one.objects] == sorted(obj.box.y2 for obj in one.objects), "back to front"
    looks = {(obj.category, obj.colour, obj.size) for obj in one.objects}
    assert len(looks) == len(one.objects), "no two objects are alike"
    for obj in one.objects:
        box = obj.box
        assert 0 <= box.x1 < box.x2 <= 1 and 0 <= box.y1 < box.y2 <= 1
        long = max(box.x2 - box.x1, box.y2 - box.y1) * 256
        assert {"small": 32 <= long <= 44, "medium": 56 <= long <= 70, "large": 84 <= long <= 104}[obj.size]
        assert all(edge * 128 == int(edge * 128) for edge in box.xyxy())
        shape = (box.x2 - box.x1) / (box.y2 - box.y1)
        assert shape == pytest.approx(ASPECT[obj.category], rel=0.07)


@given(st.sampled_from(SPLITS), st.integers(0, 10**6), st.integers(1, 6))
def test_a_scene_depends_on_its_name_only(split, index, cap):
    assert scene(split, index, max_objects=cap) == scene(split, index, max_objects=cap)
    assert 1 <= len(scene(split, index, max_objects=cap).objects) <= cap
    assert 2 <= len(scene(split, index).objects) <= 6


def test_another_process_draws_the_same_scene():
    code = "from lion.world import scene; print(scene('val', 7).fingerprint)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == scene("val", 7).fingerprint


def test_the_fingerprint_sees_every_change():
    one = scene("train", 0)
    changed = dataclasses.replace(one.objects[0], mirrored=not one.objects[0].mirrored)
    assert dataclasses.replace(one, objects=(changed, *one.objects[1:])).fingerprint != one.fingerprint
    assert dataclasses.replace(one, id="other").fingerprint == one.fingerprint


@given(ANY_SCENE)
def test_splits_are_disjoint_by_construction(one):
    residue = round(sum(obj.box.x1 for obj in one.objects) * 128) % 4
    assert residue in {"train": (0, 1), "val": (2,), "test": (3,)}[one.split]


def test_no_scene_occurs_twice(sample):
    prints = [one.fingerprint for scenes in sample.values() for one in scenes]
    prints += [scene("train", index, seed=1).fingerprint for index in range(500)]
    assert len(set(prints)) == len(prints)


def test_held_out_pairs_appear_in_test_only(sample):
    for split, scenes in sample.items():
        objects = [obj for one in scenes for obj in one.objects]
        share = sum(HELD_OUT.get(obj.category) == obj.colour for obj in objects) / len(objects)
        assert 0.2 < share < 0.25 if split == "test" else share == 0
    seen = {(obj.category, obj.colour) for one in sample["test"] for obj in one.objects if obj.held_out}
    assert seen == set(HELD_OUT.items())
    assert 12 <= len(HELD_OUT) <= 16


def test_everything_appears_often_in_train(sample):
    objects = [obj for one in sample["train"] for obj in one.objects]
    for values, attribute, least in ((CATEGORIES, "category", 0.02), (COLOURS, "colour", 0.1), (SIZES, "size", 0.25)):
        counts = Counter(getattr(obj, attribute) for obj in objects)
        assert all(counts[value] > least * len(objects) for value in values), counts
    pairs = {(obj.category, obj.colour) for obj in objects}
    assert len(pairs) == len(CATEGORIES) * len(COLOURS) - len(HELD_OUT)
    assert set(Counter(len(one.objects) for one in sample["train"])) == {2, 3, 4, 5, 6}


def test_things_that_go_together_do(sample):
    for theme, preferred in THEMES.items():
        objects = [obj.category for one in sample["train"] if one.theme == theme for obj in one.objects]
        assert sum(category in preferred for category in objects) / len(objects) > 0.7
    present = {category: sum(category in kinds for kinds in map(_kinds, sample["train"])) for category in CATEGORIES}
    ranks = []
    for category in CATEGORIES:
        company = Counter(other for one in sample["train"] if category in _kinds(one) for other in _kinds(one))
        lift = {other: company[other] / present[other] for other in CATEGORIES if other != category}
        ranks.append(sorted(lift, key=lambda other: -lift[other]).index(PARTNERS[category]))
    assert sum(rank < 4 for rank in ranks) > 20, "partners are seen together more than chance has it"


def test_distractors_are_common(sample):
    crowded = [one for one in sample["train"] if len(_kinds(one)) < len(one.objects)]
    assert 0.5 < len(crowded) / len(sample["train"]) < 0.85


def test_absent_categories_are_ranked():
    assert likely_absent(["boat"])[0] == "fish"
    assert set(likely_absent(["car", "house"])[:3]) <= {*THEMES["street"], "mushroom"}
    assert set(popular_absent(["cat"])[:3]) == {"ball", "bird", "tree"}
    assert "cat" not in likely_absent(["cat"])


@pytest.mark.parametrize("call", [("dev", 0, None), ("train", -1, None), ("train", 0, 0), ("train", 0, 7)])
def test_wrong_arguments_are_named(call):
    split, index, cap = call
    with pytest.raises(LionError):
        scene(split, index, max_objects=cap)


def _kinds(one):
    return {obj.category for obj in one.objects}
