"""Prompts of all kinds, lengths and times of arrival: each gets the ids that transformers' ``generate`` gives it."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lion.engine import Scheduler, Settings, Weights
from tests.engine import tiny

WAYS = [
    Settings(1, 12),
    Settings(3, 9),
    Settings(1, 7, repetition_penalty=1.5),
    Settings(3, 12, length_penalty=-1.0, repetition_penalty=1.3),
    Settings(2, 10, min_new_tokens=4),
    Settings(1, 5, min_new_tokens=3, repetition_penalty=0.8),
]


@pytest.fixture(scope="module")
def model():
    return tiny.language_model(seed=1)


@pytest.fixture(scope="module")
def mixed(model):
    """Prompts of all ways, and what transformers generates for each way alone."""
    prompts = [prompt for number, way in enumerate(WAYS) for prompt in tiny.prompts(way, 5, seed=number)]
    golden = [ids for number in range(len(WAYS)) for ids in tiny.generate(model, prompts[5 * number : 5 * number + 5])]
    return prompts, golden


@examples(max_examples=12, deadline=None)
@given(st.sampled_from([1, 2, 3, 5, 8, 64]), st.integers(0, 2**32))
def test_any_order_any_time_any_number_of_places(model, mixed, places, seed):
    """Some prompts come while others are decoded; no answer depends on its neighbours."""
    prompts, golden = mixed
    chance = random.Random(seed)
    order = chance.sample(range(len(prompts)), len(prompts))
    scheduler, answers, tickets = Scheduler(Weights(model), places), {}, {}
    while len(answers) < len(prompts):
        for _ in range(chance.randint(0, 6)):
            if order:
                number = order.pop()
                tickets[scheduler.submit(prompts[number])] = number
        answers |= {tickets[ticket]: found[0].ids for ticket, found in scheduler.step().items()}
    assert [answers[number] for number in range(len(prompts))] == golden


def test_who_is_cancelled_leaves_and_nobody_else_notices(model, mixed):
    """In a place, encoded and waiting, and only given."""
    prompts, golden = mixed
    scheduler = Scheduler(Weights(model), 2)
    tickets = [scheduler.submit(prompt) for prompt in prompts]
    answers = scheduler.step()
    left = [number for number in range(len(prompts)) if number % 3 == 0 and tickets[number] not in answers]
    for number in left:
        scheduler.cancel(tickets[number])
    while scheduler:
        answers |= scheduler.step()
    stayed = [number for number in range(len(prompts)) if number not in left]
    assert answers.keys() == {tickets[number] for number in stayed}
    assert [answers[tickets[number]][0].ids for number in stayed] == [golden[number] for number in stayed]


def test_what_is_certain_so_far_grows_row_by_row_and_beams_settle_at_the_end(model, mixed):
    prompts, golden = mixed
    scheduler = Scheduler(Weights(model), 4)
    row, beams = scheduler.submit(prompts[0]), scheduler.submit(prompts[5])
    assert scheduler.partial(row) == []
    answers, seen = {}, []
    while row not in answers:
        answers |= scheduler.step()
        seen += [output.ids for output in scheduler.partial(row)]
        assert scheduler.partial(beams) == []
    assert seen == [golden[0][:length] for length in range(1, len(golden[0]))]


@pytest.mark.parametrize(
    ("layers", "config"),
    [((3, 1), {}), ((1, 4), {}), ((2, 2), {"feed_forward_proj": "relu"}), ((2, 2), {"scale_decoder_outputs": True})],
    ids=["shallow decoder", "deep decoder", "plain", "scaled"],
)
def test_other_language_models(layers, config):
    model = tiny.language_model(2, layers, **config)
    prompts = tiny.prompts(Settings(3, 8), 6)
    ids = [answer[0].ids for answer in Scheduler(Weights(model)).run(prompts)]
    if layers[1] > layers[0]:  # transformers takes the encoder's depth for the decoder's cache and fails
        with pytest.raises(IndexError):
            tiny.generate(model, prompts)
        model.generation_config.use_cache = False
    assert ids == tiny.generate(model, prompts)


def test_long_answers_and_prompts_outgrow_the_first_buffers(model):
    """Buffers grow while others are decoded, and what stood in them stays."""
    prompts = tiny.prompts(Settings(2, 70, min_new_tokens=70), 3, longest=5)
    late = tiny.prompts(Settings(2, 5), 1, seed=9, longest=3)
    late[0] = type(late[0])(torch.randn(150, tiny.WIDTH), 1, late[0].settings)
    scheduler = Scheduler(Weights(model), 4)
    for prompt in prompts:
        scheduler.submit(prompt)
    answers: dict = {}
    for step in range(100):
        if step == 20:
            scheduler.submit(late[0])
        answers |= scheduler.step()
    golden = [*tiny.generate(model, prompts), *tiny.generate(model, late)]
    assert [answers[ticket][0].ids for ticket in sorted(answers)] == golden


def test_logprobs_and_the_likeliest_tokens(model):
    """Those of the full forward, before penalties."""
    for way in (Settings(beams, 8, repetition_penalty=1.5, top_logprobs=4) for beams in (1, 3)):
        prompts = tiny.prompts(way, 4, seed=5)
        for prompt, (answer,) in zip(prompts, Scheduler(Weights(model)).run(prompts), strict=True):
            with torch.no_grad():
                logits = model(**tiny.padded([prompt]), labels=torch.tensor([answer.ids])).logits[0]
            logprobs = logits.log_softmax(-1)
            golden = logprobs[range(len(answer.ids)), answer.ids].tolist()
            assert answer.logprobs == pytest.approx(golden, abs=1e-5)
            values, tokens = logprobs.topk(4)
            assert [[token for token, _ in top] for top in answer.top] == tokens.tolist()
            assert [value for top in answer.top for _, value in top] == pytest.approx(
                values.flatten().tolist(), abs=1e-5
            )


def test_a_text_may_stop_an_answer(model):
    """By the reader's own rule, on the ids so far; the token that completed the stop is the last."""
    for beams in (1, 3):
        plain = Scheduler(Weights(model)).run(tiny.prompts(Settings(beams, 10, min_new_tokens=10), 5))
        stop = plain[0][0].ids[2]
        way = Settings(beams, 10, min_new_tokens=10, stop=lambda ids, stop=stop: ids[-1] == stop)
        answers = [answer[0].ids for answer in Scheduler(Weights(model)).run(tiny.prompts(way, 5))]
        assert all(stop not in ids[:-1] for ids in answers) and any(ids[-1] == stop for ids in answers)
        if beams == 1:
            assert answers == [
                ids[: ids.index(stop) + 1] if stop in ids else ids for ids in (one[0].ids for one in plain)
            ]
