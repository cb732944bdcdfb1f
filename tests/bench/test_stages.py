"""Steps and answers of a tiny model."""

from time import perf_counter

import pytest

from lion.bench import stages
from lion.bench.limits import Limits
from lion.bench.stages import ANSWERS, STEPS, drawn, generated, measure_stages
from lion.bench.timing import Spread

LIMITS = Limits(1, 1e12, 1e12)


@pytest.fixture(scope="module")
def rows(lion):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "OWN_SHAPE_SECONDS", 0.0)
        patch.setattr(stages, "BATCHES", (1, 3))
        patch.setattr(stages, "TOKENS", 5)
        return list(measure_stages(lion, LIMITS, 0.2))


def test_every_stage_at_every_batch_size(rows):
    assert sorted((row.what, row.batch) for row in rows) == sorted(
        (what, batch) for what in (*STEPS, *ANSWERS) for batch in (1, 3)
    )


def test_shares_stand_where_there_is_work_to_count(rows):
    counted = {(row.what, row.batch): row.unit for row in rows if row.share(row.limit) is not None}
    both = {(what, batch): "FLOP" for what in ("look", "encode") for batch in (1, 3)}
    assert counted == {**both, ("decode", 1): "B"}
    assert all(row.own_limit > 0 for row in rows if row.unit)


def test_tokens_are_counted(rows):
    decode = {row.batch: row for row in rows if row.what == "decode"}
    assert 0 < decode[3].tokens <= 4 * decode[3].pictures
    assert all(row.token_rate is None for row in rows if row.what in ("look", "tag", "encode", "rank"))
    assert all(row.tokens >= row.pictures for row in rows if row.what in ("caption", "locate", "ask"))


def test_work_is_that_of_all_pictures_of_a_pass(rows):
    work = {row.work / row.pictures for row in rows if row.what == "look"}
    assert len(work) == 1


def test_agrees_with_a_stopwatch(lion, monkeypatch):
    """Of the same calls, so that what else the machine does disturbs both: all that is on top is an emptied cache."""
    taken = []
    look = lion.look

    def timed(*args, **options):
        begin = perf_counter()
        look(*args, **options)
        taken.append(perf_counter() - begin)

    monkeypatch.setattr(lion, "look", timed)
    lion.batch_size = 3
    (row,) = stages.look(lion, drawn(3), LIMITS, 0.0)
    last_pass = sum(taken[-row.pictures // 3 :])
    assert row.seconds.repeats == 1 and last_pass <= row.seconds.median <= 2 * last_pass


def test_nothing_comes_from_the_cache(lion, monkeypatch):
    seen = []
    look = lion.seeing()
    monkeypatch.setattr(lion, "seeing", lambda: lambda pixels: seen.append(len(pixels)) or look(pixels))
    lion.batch_size = 3
    (row,) = stages.look(lion, drawn(3), LIMITS, 0.0)
    assert len(seen) == 3 and sum(seen) == 3 * row.pictures  # to know how long it takes, to warm up, and once


def test_a_slow_model_gets_a_pass_of_one_batch(lion, monkeypatch):
    monkeypatch.setattr(stages, "stopwatch", lambda run, device: 100.0)
    lion.batch_size = 1
    (row,) = stages.look(lion, drawn(3), LIMITS, 0.1)
    assert row.pictures == 1


def test_drawn_pictures_and_requests_are_always_the_same():
    first, again = drawn(2, 64), drawn(2, 64)
    assert [one.image.tobytes() for one in first] == [one.image.tobytes() for one in again]
    words = [first[0].request(what).text for what in ANSWERS]
    assert (
        words[0] is None and words[1].startswith("the ") and words[2] == words[3] and "what color is the " in words[2]
    )
    assert [bool(first[0].request(what).candidates) for what in ANSWERS] == [False, False, False, True]


def test_generated_tokens(lion):
    assert generated([0, 5, 0, 6, 1, 0, 0], lion) == [5, 0, 6, 1]
    assert generated([7, 1], lion) == [7, 1] and generated([0, 0], lion) == []


def test_rates():
    row = stages.Stage("look", 3, 6, Spread(2.0, 1.0, 3.0, 3), 0, tokens=4, unit="FLOP", work=10.0, limit=20.0)
    assert row.rate.median == 3 and row.token_rate.median == 2 and row.share(row.limit) == 0.25
