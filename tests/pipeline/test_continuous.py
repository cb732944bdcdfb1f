"""Continuous batching: who joins late, leaves early, asks for several answers or fails, and nobody else notices."""

from dataclasses import replace

import pytest

from lion.engine.look import embed
from lion.errors import LionError
from lion.pipeline import ContinuousBatch, DecodingPreset, LionPipeline, Request, TransformersDecoder, Verb
from tests.pipeline.tiny import several

GREEDY = DecodingPreset(num_beams=1, max_new_tokens=8)
BEAMS = DecodingPreset(num_beams=3, max_new_tokens=8)
DRAWN = DecodingPreset(num_beams=1, max_new_tokens=8, temperature=1.0, seed=5)


def requests():
    pictures = several(3)
    return [
        Request(pictures[0], Verb.CAPTION, decoding=BEAMS),
        Request(pictures[1], Verb.ASK, "what is it?", decoding=GREEDY),
        Request(pictures[1], Verb.LOCATE, "the car", decoding=replace(GREEDY, box_only=True, max_new_tokens=30)),
        Request(pictures[2], Verb.ASK, "is it red?", decoding=DRAWN),
        Request(pictures[2], Verb.TAG),
        Request(pictures[0], Verb.ASK, "is it?", candidates=["yes", "no"]),
    ]


def finish(batch):
    results = {}
    while batch:
        results |= batch.step()
    return results


def test_who_joins_while_others_are_decoded_gets_the_answer_of_a_single_call(pipeline):
    alone = [pipeline.answer([request])[0] for request in requests()]
    batch, tickets, results = ContinuousBatch(pipeline), [], {}
    for request in requests():
        tickets.append(batch.submit(request))
        results |= batch.step()
        results |= batch.step()
    results |= finish(batch)
    assert [results[ticket].answers for ticket in tickets] == [(answer,) for answer in alone]


def test_who_leaves_frees_its_place_and_changes_nothing(pipeline):
    (wanted,) = pipeline.answer([requests()[1]])
    batch = ContinuousBatch(pipeline)
    left = [batch.submit(request) for request in requests()[:2]]
    stays = batch.submit(requests()[1])
    batch.step()
    waits = batch.submit(requests()[0])
    batch.cancel(*left, waits)
    assert finish(batch).keys() == {stays}
    ticket = batch.submit(requests()[1])
    assert finish(batch)[ticket].answers == (wanted,)
    batch.cancel(ticket, 999)
    batch.submit(requests()[0])
    batch.step()
    batch.cancel()
    assert not batch and not pipeline.decoder._kept and not pipeline.decoder._answers


def test_no_more_than_two_batches_are_decoded(pipeline):
    batch = ContinuousBatch(pipeline)
    tickets = [batch.submit(replace(requests()[1], text=f"what is {number}?")) for number in range(10)]
    most, results = 0, {}
    while batch:
        results |= batch.step()
        most = max(most, len(batch._decoded))
    assert results.keys() == set(tickets) and most <= 2 * pipeline.batch_size


def test_partial_answers_grow_to_the_whole(pipeline):
    batch = ContinuousBatch(pipeline)
    row, beams = batch.submit(replace(requests()[1], decoding=replace(GREEDY, answers=2))), batch.submit(requests()[0])
    seen, results = [], {}
    while batch:
        results |= batch.step()
        seen.append([output.ids for output in batch.partial(row)])
        assert row in results or len(seen[-1]) == 2
        assert batch.partial(beams) == []
    for part in filter(None, seen):
        assert all(o.ids[: len(ids)] == ids for ids, o in zip(part, results[row].outputs, strict=True))


def test_several_answers_are_draws_or_the_best_beams(pipeline):
    (best,) = pipeline.answer([requests()[0]])
    batch = ContinuousBatch(pipeline)
    beams = batch.submit(replace(requests()[0], decoding=replace(BEAMS, answers=3, top_logprobs=2)))
    drawn = batch.submit(replace(requests()[3], decoding=replace(DRAWN, answers=3)))
    results = finish(batch)
    assert len(results[beams].answers) == 3 and results[beams].answers[0] == best
    scores = [output.score for output in results[beams].outputs]
    assert scores == sorted(scores, reverse=True)
    output = results[beams].outputs[0]
    assert len(output.ids) == len(output.logprobs) == len(output.top) and all(len(top) == 2 for top in output.top)
    assert len({answer.text for answer in results[drawn].answers}) > 1
    (again,) = pipeline.answer([requests()[3]])
    assert results[drawn].answers[0] == again


def test_the_length_of_a_prompt_counts_what_the_language_model_reads(pipeline, monkeypatch):
    seen = []
    monkeypatch.setattr("lion.pipeline.decode.embed", lambda *given: seen.append(embed(*given)) or seen[-1])
    batch = ContinuousBatch(pipeline)
    ticket = batch.submit(requests()[1])
    assert finish(batch)[ticket].prompt_tokens == len(seen[0][0])


def test_a_stop_ends_an_answer_that_does_not_hold_it(pipeline):
    (whole,) = pipeline.answer([requests()[1]])
    stop = whole.text[2:4]
    (cut,) = pipeline.answer([replace(requests()[1], decoding=replace(GREEDY, stop=(stop,)))])
    assert cut.text == whole.text.split(stop)[0].strip()


def test_errors_are_rows_or_raised(pipeline):
    bad = Request(several(1)[0], Verb.ASK, " ")
    batch = ContinuousBatch(pipeline)
    ticket, good = batch.submit(bad), batch.submit(requests()[1])
    results = finish(batch)
    assert results[ticket].answers[0].failed and results[good].answers[0].ok
    raising = ContinuousBatch(pipeline, "raise")
    raising.submit(bad)
    with pytest.raises(LionError, match="question is empty"):
        raising.step()


def test_a_failing_step_ends_the_decoding_of_all_and_the_decoder_goes_on(pipeline, monkeypatch):
    one, other = ContinuousBatch(pipeline), ContinuousBatch(pipeline)
    for batch in (one, other):
        batch.submit(requests()[1])
    one.step()
    monkeypatch.setattr("lion.engine.scheduler.Scheduler.step", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        other.step()
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="ended with an error"):
        one.step()
    one.cancel(), other.cancel()
    assert pipeline.answer([requests()[1]])[0].ok


def test_a_decoder_without_tokens_between_answers_the_same(pipeline, parts):
    other = LionPipeline(*parts, name="tiny", batch_size=3, decoder=TransformersDecoder(*parts[:2]))
    asked = [requests()[place] for place in (0, 1, 2, 4, 5)]
    for theirs, ours in zip(other.answer(asked), pipeline.answer(asked), strict=True):
        assert [each.text for each in theirs.candidates] == [each.text for each in ours.candidates]
        assert replace(theirs, candidates=()) == replace(ours, candidates=())  # likelihoods differ by rounding
    assert "".join(other.stream(asked[1])) == pipeline.answer([asked[1]])[0].text
    with pytest.raises(LionError, match="need the EngineDecoder"):
        other.answer([requests()[3]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1}, "temperature=-1"),
        ({"temperature": 1.0}, "draws with one beam"),
        ({"top_k": -1}, "top_k=-1"),
        ({"top_p": 0}, "top_p=0"),
        ({"seed": 0.5}, "seed=0.5"),
        ({"stop": [""]}, "stop="),
        ({"answers": 2}, "no decoding setting 'answers'"),
    ],
)
def test_settings_of_draws_are_checked(pipeline, picture, settings, message):
    with pytest.raises(LionError, match=message):
        pipeline.caption(picture, **settings)


def test_draws_from_python(pipeline, picture):
    settings = {"num_beams": 1, "temperature": 1.5, "max_new_tokens": 8}
    texts = [pipeline.ask(picture, "what is it?", seed=seed, **settings).text for seed in (1, 2, 1)]
    assert texts[0] == texts[2] != texts[1]
    likeliest = pipeline.ask(picture, "what is it?", num_beams=1, max_new_tokens=8).text
    assert pipeline.ask(picture, "what is it?", top_k=1, **settings).text == likeliest != texts[0]


def test_answer_each_hands_answers_back_in_order_while_later_requests_are_taken(pipeline):
    taken = []

    def endless():
        while True:
            for request in requests():
                taken.append(request)
                yield request

    wanted = [pipeline.answer([request])[0] for request in requests()]
    answers = pipeline.answer_each(endless())
    assert taken == []
    for number in range(20):
        assert next(answers) == wanted[number % len(wanted)]
        assert len(taken) - number <= 1 + 3 * pipeline.batch_size
    assert len(taken) > 20
    answers.close()
    assert pipeline.decoder._answers == {}
    assert not pipeline.decoder._kept


def test_answer_each_raises_in_the_turn_of_the_error_or_makes_it_a_row(pipeline):
    bad = Request(several(1)[0], Verb.ASK, "")
    rows = list(pipeline.answer_each([bad, *requests()], on_error="row"))
    assert [row.failed for row in rows] == [True] + [False] * 6
    with pytest.raises(LionError, match="question"):
        list(pipeline.answer_each([*requests(), bad]))
    with pytest.raises(LionError, match="on_error"):
        pipeline.answer_each([], on_error="stop")
