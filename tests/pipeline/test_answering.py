"""The path of requests: failed ones as rows, settings of one request, several threads."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from PIL import Image

from lion.boxes import Box
from lion.errors import LionError
from lion.pipeline import Answer, DecodingPreset, LionPipeline, Look, Request, Verb, open_pictures
from lion.prompts import Task

SHORT = DecodingPreset(num_beams=2, max_new_tokens=6)


def picture(number):
    return Image.linear_gradient("L").rotate(40 * number).resize((64, 48)).convert("RGB")


def mistakes():
    """A request of each kind of mistake, with a word of its reason."""
    return [
        (Request("nothing.png", Verb.CAPTION), "no such file"),
        (Request(b"", Verb.CAPTION), "empty"),
        (Request(picture(0), Verb.ASK, " "), "question is empty"),
        (Request(picture(0), Verb.ASK, "word " * 10_000), "limit is"),
        (Request(picture(0), Verb.DESCRIBE, box=Box(0, 0, 65, 48, "pixel")), "reaches outside"),
        (Request(picture(0), Verb.DESCRIBE), "needs a box"),
        (Request(picture(0), Verb.ASK, "is it?", candidates=[]), "no candidates"),
        (Request(picture(0), Verb.CHAT, "is it?", history=["no round"]), "list of rounds"),
        (Request(picture(0), Verb.CAPTION, tags="a, b"), "list of words"),
        (Request(picture(0), Verb.CAPTION, tags=5), "list of words"),
        (Request(picture(0), Verb.CHAT, "is it?", history=5), "list of rounds"),
        (Request(picture(0), Verb.ASK, instruction=5), "an instruction is text"),
    ]


def test_failed_requests_become_rows_and_the_others_are_answered(pipeline):
    good = [Request(picture(1), Verb.CAPTION, decoding=SHORT), Request(picture(2), Verb.TAG)]
    wanted = pipeline.answer(good)
    requests = [good[0], *(request for request, _ in mistakes()), good[1]]
    first, *failed, last = pipeline.answer(requests, on_error="row")
    assert [first, last] == wanted and not first.failed
    for (request, word), answer in zip(mistakes(), failed, strict=True):
        assert (answer.failed, answer.ok, answer.text, answer.boxes) == (True, False, "", ())
        assert answer.task is request.verb and answer.model == "tiny" and word in answer.reason
    assert failed[0].image == "nothing.png" and failed[1].image is None


@pytest.mark.parametrize("number", range(len(mistakes())))
def test_errors_are_raised_unless_rows_are_wanted(pipeline, number):
    request, word = mistakes()[number]
    with pytest.raises(LionError, match=word):
        pipeline.answer([request])


def test_a_tagger_that_fails_for_one_picture_fails_that_row_alone(pipeline, monkeypatch):
    bad = picture(3)

    def tagger(images):
        if any(image.tobytes() == bad.tobytes() for image in images):
            raise LionError("no tags of this picture")
        return [["car"]] * len(images)

    monkeypatch.setattr(pipeline, "tagger", tagger)
    requests = [Request(one, Verb.CAPTION, decoding=SHORT) for one in (picture(1), bad, picture(2))]
    answers = pipeline.answer(requests, on_error="row")
    assert [answer.failed for answer in answers] == [False, True, False]
    assert answers[0].tags == answers[2].tags == ("car",) and answers[1].reason == "no tags of this picture"


def test_a_decoder_that_cannot_serve_a_request_is_an_error_of_that_request(pipeline, monkeypatch):
    submit = pipeline.decoder.submit

    def no_boxes(prompts, vision, presets):
        if any(preset.box_only for preset in presets):
            raise LionError("this tokenizer cannot write boxes")
        return submit(prompts, vision, presets)

    monkeypatch.setattr(pipeline.decoder, "submit", no_boxes)
    requests = [
        Request(picture(1), Verb.CAPTION, decoding=SHORT),
        Request(picture(1), Verb.LOCATE, "the car", decoding=DecodingPreset(box_only=True)),
    ]
    one, other = pipeline.answer(requests, on_error="row")
    assert not one.failed and other.failed and other.reason == "this tokenizer cannot write boxes"


def test_a_bug_is_no_row(pipeline, monkeypatch):
    monkeypatch.setattr(pipeline.decoder, "step", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pipeline.answer([Request(picture(1), Verb.CAPTION)], on_error="row")


def test_pictures_are_opened_before_there_is_a_model(tmp_path):
    picture(1).save(tmp_path / "a.png")
    requests = [Request(tmp_path / "a.png", Verb.CAPTION), Request(tmp_path / "b.png", Verb.CAPTION)]
    look, failed = open_pictures(requests, Look.open, "row", "lion-mini")
    assert isinstance(look, Look) and look.size == (64, 48)
    assert isinstance(failed, Answer) and failed.failed and failed.image == str(tmp_path / "b.png")
    with pytest.raises(LionError, match="no such file"):
        open_pictures(requests, Look.open)


def test_decoding_belongs_to_the_request(pipeline, monkeypatch):
    presets = []
    submit = pipeline.decoder.submit
    monkeypatch.setattr(pipeline.decoder, "submit", lambda p, v, own: presets.append(own) or submit(p, v, own))
    other = DecodingPreset(num_beams=1, max_new_tokens=3)
    pipeline.batch_size = 4
    before = pipeline.decoding
    pipeline.answer([Request(picture(n), Verb.CAPTION, decoding=(SHORT, other)[n % 2]) for n in range(4)])
    assert presets == [[SHORT, other, SHORT, other]]
    presets.clear()
    pipeline.ask(picture(0), "what is it?", num_beams=1, max_new_tokens=3)
    assert presets == [[other]] and pipeline.decoding is before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_beams": 0}, "num_beams=0"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"num_beams": 2.5}, "num_beams=2.5"),
        ({"num_beams": True}, "num_beams=True"),
        ({"repetition_penalty": 0}, "repetition_penalty=0"),
        ({"repetition_penalty": "1.5"}, "repetition_penalty='1.5'"),
        ({"length_penalty": float("nan")}, "length_penalty=nan"),
        ({"box_only": "no"}, "box_only='no'"),
        ({"beams": 3}, "no decoding setting 'beams'; there are num_beams"),
        ({"adapters": "shop"}, r"are a request's: answer\(\[Request\(image, verb, text, adapters=NAME"),
    ],
)
def test_settings_out_of_range_are_one_line(pipeline, settings, message):
    with pytest.raises(LionError, match=message):
        pipeline.caption(picture(0), **settings)


def test_the_limit_of_a_prompt_belongs_to_the_request(pipeline):
    words = "is the car red? " * 24
    with pytest.raises(LionError, match="limit is"):
        pipeline.answer([Request(picture(0), Verb.ASK, words, tags=[])])
    assert pipeline.answer([Request(picture(0), Verb.ASK, words, tags=[], max_prompt_tokens=256, decoding=SHORT)])[0].ok
    history = [(f"is thing {index} red?", "yes it is") for index in range(20)]
    long, usual = pipeline.answer(
        [
            Request(picture(0), Verb.CHAT, "what is it?", history=history, max_prompt_tokens=limit, decoding=SHORT)
            for limit in (256, None)
        ]
    )
    dropped = [int(answer.note.split()[2]) for answer in (long, usual)]
    assert dropped[0] < dropped[1] and "256 tokens" in long.note


def test_several_threads_get_the_answers_of_one(parts):
    pipeline = LionPipeline(*parts, name="tiny", batch_size=2)
    pictures = [picture(n) for n in range(4)]

    def work(thread, start=None):
        if start:
            start.wait()
        answers = []
        for n in range(4):
            one = pictures[(thread + n) % 4]
            answers.append(pipeline.ask(one, f"what is it? {n}", num_beams=2, max_new_tokens=4).text)
            answers.append(pipeline.tags(one).text)
            if n == 2:
                pipeline.cache.clear()
        return answers

    wanted = [work(thread) for thread in range(4)]
    start = Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda thread: work(thread, start), range(4))) == wanted


def test_tasks_have_their_presets(parts):
    pipeline = LionPipeline(*parts, decoding="short")
    assert pipeline.decoding[Task.VQA].max_new_tokens == 10 and pipeline.decoding[Task.CAPTION].max_new_tokens == 64


def test_evidence_holds_for_one_pipeline(pipeline, parts):
    """A look that another pipeline has filled is not taken for this one's, nor handed to later pictures."""
    other = LionPipeline(*parts, name="other")
    look = pipeline.look(picture(1))
    look.evidence.tags = ("wrong",)
    other.tagger = lambda images: [["right"]] * len(images)
    assert other.tags(look).tags == ("right",) and other.tags(picture(1)).tags == ("right",)
    assert pipeline.tags(look).tags == ("wrong",)


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(pipeline, limit):
    with pytest.raises(LionError, match=f"max_prompt_tokens={limit}"):
        pipeline.answer([Request(picture(0), Verb.ASK, "is it?", max_prompt_tokens=limit)])


def test_verbs_may_be_given_by_name():
    assert Request("a.png", "ask", "is it?").verb is Verb.ASK
    with pytest.raises(LionError, match="no verb 'asks'; there are caption"):
        Request("a.png", "asks", "is it?")


def test_candidates_that_are_no_text_are_refused(pipeline):
    with pytest.raises(LionError, match="candidate 0 of 2 is not readable text: 1"):
        pipeline.rank(picture(0), "how many?", [1, 2])


@pytest.mark.parametrize("on_error", ["rows", None])
def test_another_way_with_errors_is_refused(pipeline, on_error):
    with pytest.raises(LionError, match=r"on_error=.* is not one of raise, row"):
        pipeline.answer([Request(picture(0), Verb.CAPTION)], on_error=on_error)


def test_the_cache_stays_bounded_where_batches_fail(pipeline, monkeypatch):
    monkeypatch.setattr(pipeline.decoder, "step", lambda: 1 / 0)
    pipeline.look(picture(0))
    pipeline.cache.max_bytes = 2 * pipeline.look(picture(0)).evidence.nbytes
    for number in range(5):
        with pytest.raises(ZeroDivisionError):
            pipeline.answer([Request(picture(number), Verb.CAPTION, tags=[])])
    assert len(pipeline.cache) <= 2
