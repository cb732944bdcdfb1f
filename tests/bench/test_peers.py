"""LION beside its peers, at a size where that takes no time."""

from dataclasses import replace

import pytest

from lion.bench import peers
from lion.bench.peers import against_ctranslate2, against_generate, against_instructblip, random_lion
from lion.errors import LionError


def test_generate(lion, shape):
    rows = list(against_generate(lion, 0.0, shape))
    assert [(row.pictures, row.beams) for row in rows] == [(1, 1), (3, 2)] * 2
    assert all(row.same for row in rows), [row.what for row in rows if not row.same]
    assert rows[0].what.startswith("tiny") and rows[-1].what.startswith("32 wide")
    assert all(row.speed.low > 0 for row in rows)


def test_other_tokens_are_noticed(lion, shape, monkeypatch):
    outputs = lion.decoder.outputs

    def other(ticket):
        found = outputs(ticket)
        return found and [replace(one, ids=[*one.ids[:-1], 7]) for one in found]

    monkeypatch.setattr(lion.decoder, "outputs", other)
    assert [row.same for row in against_generate(lion, 0.0, shape)] == [False] * 2 + [True] * 2


def test_instructblip(lion, shape):
    """Both write as many tokens as they may, or the run stops."""
    rows = list(against_instructblip(lion, 0.0, shape))
    assert [row.what.split(":")[0] for row in rows] == ["Q-Former alone"] * 2 + ["both inputs"] * 2
    assert {row.same for row in rows} == {None}


def test_ctranslate2_is_named_where_it_is_missing(lion, shape, monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    with pytest.raises(LionError, match="pip install ctranslate2"):
        next(against_ctranslate2(lion, 0.0, shape))


def test_ctranslate2(lion, shape):
    pytest.importorskip("ctranslate2")
    rows = list(against_ctranslate2(lion, 0.0, shape))
    assert [row.what.split(" ")[0] for row in rows] == ["56"] * 2 + ["73"] * 2


def test_random_weights_are_the_same_every_time(lion, shape):
    first, again = (random_lion(shape, "both", lion).model.state_dict() for _ in range(2))
    assert all(tensor.equal(again[name]) for name, tensor in first.items())
