"""Noise on tags: what recipes can set beside what the sources' tests hold."""

from lion.data.tag_noise import TagNoise
from lion.random import stream
from lion.world import scene, tags


def test_a_swapped_tag_is_a_wrong_one_in_the_place_of_a_true_one():
    shown, true = scene("train", 3), set(tags(scene("train", 3)))
    none, all_of_them = TagNoise(drop=0, spurious=0), TagNoise(drop=0, spurious=0, swapped=1)
    assert none.corrupted(shown, stream("any")) == sorted(true)
    assert not true & set(all_of_them.corrupted(shown, stream("any")))
    drawn = [TagNoise(drop=0, spurious=0, swapped=0.3).corrupted(shown, stream("some", n)) for n in range(400)]
    kept = sum(len(true & set(one)) for one in drawn) / (400 * len(true))
    assert abs(kept - 0.7) < 0.05
    swapped = TagNoise(drop=0, spurious=0, swapped=1).of_file(("cat",), ("dog",), stream("file"))
    assert swapped == ("dog",)
