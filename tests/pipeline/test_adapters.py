"""Adapters by name: each request gets what it would get from a model with its adapters alone."""

import pickle

import pytest

from lion.checkpoints.adapters import save_adapters
from lion.errors import LionError
from lion.model import TRAINABLE
from lion.pipeline import DecodingPreset, LionPipeline, Request, TransformersDecoder, Verb
from tests.checkpoints.test_adapters import MIXTURE, trained
from tests.pipeline import tiny

pytestmark = pytest.mark.usefixtures("short_answers")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Of the mixture alone, and of all that trains."""
    model, found = tiny.model(tiny.processor()), {}
    for seed, (name, parts) in enumerate({"shop": MIXTURE, "ships": TRAINABLE}.items()):
        found[name] = tmp_path_factory.mktemp("adapters") / f"{name}.safetensors"
        save_adapters(trained(model, parts, seed), parts, found[name], "tiny", {"name": name})
    return found


@pytest.fixture
def switching(pipeline, files):
    for path in files.values():
        pipeline.load_adapters(path)
    return pipeline


def requests(picture, adapters):
    return [
        Request(picture, Verb.CAPTION, adapters=adapters),
        Request(picture, Verb.ASK, "what is it?", adapters=adapters),
        Request(picture, Verb.LOCATE, "the ball", adapters=adapters),
        Request(picture, Verb.ASK, "what is it?", candidates=("a ball", "a tree"), adapters=adapters),
    ]


def shown(answers):
    return [(one.text, [token.text for token in one.tokens], [row.index for row in one.candidates]) for one in answers]


def test_a_batch_of_all_gives_each_what_it_gets_alone(switching, parts, files, picture):
    groups = [requests(picture, adapters) for adapters in (None, "shop", "ships")]
    mixed = [one for row in zip(*groups, strict=True) for one in row]
    together = switching.answer(mixed)
    found = []
    for start, name in enumerate((None, "shop", "ships")):
        model = parts[0] if name is None else switching.variant(name).model
        alone = LionPipeline(model, *parts[1:], name="tiny")
        alone.decoding = switching.decoding
        expected = shown(alone.answer([one for one in requests(picture, None)]))
        assert shown(together[start::3]) == expected
        found.append(expected)
    assert found[0] != found[1] != found[2] != found[0]
    assert [one.model for one in together[:3]] == ["tiny", "tiny:shop", "tiny:ships"]


def test_pictures_are_seen_again_only_where_adapters_change_what_is_seen(switching, counted, picture):
    switching.answer([Request(picture, Verb.CAPTION, adapters=name) for name in (None, "shop", None, "shop")])
    assert counted["vision"] == 1
    assert switching.variant("ships").cache is not switching.cache


def test_names(switching, files, picture):
    assert switching.adapters == ("shop", "ships")
    assert switching.load_adapters(files["shop"], name="other") == "other"
    with pytest.raises(LionError, match="there are adapters called other; unload_adapters"):
        switching.load_adapters(files["ships"], name="other")
    switching.unload_adapters("other")
    assert switching.adapters == ("shop", "ships")
    with pytest.raises(LionError, match="no adapters are called 'other'; there are shop, ships"):
        switching.answer([Request(picture, Verb.CAPTION, adapters="other")])
    good, bad = switching.answer(
        [Request(picture, Verb.CAPTION), Request(picture, Verb.CAPTION, adapters="other")], on_error="row"
    )
    assert good.ok and bad.failed and "no adapters are called 'other'" in bad.reason


def test_if_there_asks_with_the_same_adapters(switching, picture):
    asked = [Request(picture, Verb.LOCATE, "the ball", if_there=True, adapters=name) for name in (None, "ships")]
    together = switching.answer(asked)
    for request, answer in zip(asked, together, strict=True):
        assert switching.answer([request])[0].presence == pytest.approx(answer.presence, abs=1e-5)


def test_one_for_all_requests(tmp_path, files, picture):
    folder = tiny.save_checkpoint(tmp_path / "tiny")
    put = LionPipeline.from_pretrained(folder, adapters=f"toys={files['ships']}")
    plain = LionPipeline.from_pretrained(folder)
    plain.load_adapters(files["ships"])
    for pipeline in (put, plain):
        pipeline.decoding = dict.fromkeys(pipeline.decoding, DecodingPreset(num_beams=2, max_new_tokens=8))
    assert shown(put.answer(requests(picture, None))) == shown(plain.answer(requests(picture, "ships")))
    assert put.caption(picture).model.endswith("tiny:toys")


def test_a_copy_for_another_process_has_them(switching, picture):
    copy = pickle.loads(pickle.dumps(switching))
    request = Request(picture, Verb.CAPTION, adapters="ships")
    assert shown(copy.answer([request])) == shown(switching.answer([request]))


def test_another_decoder_cannot_switch(parts, files):
    pipeline = LionPipeline(*parts, decoder=TransformersDecoder(*parts[:2]))
    with pytest.raises(LionError, match="need the EngineDecoder; put them on the model"):
        pipeline.load_adapters(files["shop"])
