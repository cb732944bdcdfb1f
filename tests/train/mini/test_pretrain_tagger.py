"""Training of the tagger: the exported tagger tags."""

from lion.tagging import RamTagger
from lion.train.recipe import load
from lion.train.run import train
from lion.world import render, scene
from tests.train.mini.helpers import SHORT


def test_the_tagger_it_leaves_tags(tmp_path):
    recipe = load("mini-tagger", [*SHORT, f"root={tmp_path}"])
    train(recipe)
    tagger = RamTagger.from_pretrained(recipe.folder)
    assert tagger.scores([render(scene("val", 0))]).shape == (1, len(tagger.tags))
