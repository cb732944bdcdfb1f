"""Evidence: computed once for equal pictures, kept within a bound in bytes, shared by threads."""

import base64
import io
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from PIL import Image

from lion.errors import LionWarning
from lion.model import VisualFeatures
from lion.pipeline import Answer, Evidence, EvidenceCache, Look, Request, Verb
from tests.pipeline.tiny import several

pytestmark = pytest.mark.usefixtures("short_answers")


def test_look_once_ask_many(pipeline, picture, counted):
    look = pipeline.look(picture)
    assert isinstance(look, Look) and look.size == (90, 60) and look.tags == ("car", "tree", "sun")
    pipeline.caption(look)
    pipeline.ask(look, ["what is it?", "is it red?", "is it big?"])
    pipeline.locate(picture, "the car")
    assert counted == {"vision": 1, "tagger": 1}


def test_equal_pictures_are_looked_at_once_whatever_their_names(pipeline, picture, counted, tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.bmp"]
    for path in paths:
        picture.save(path)
    answers = pipeline.caption(paths)
    assert counted == {"vision": 1, "tagger": 1}
    assert [answer.image for answer in answers] == [str(path) for path in paths]


def two_pictures(pipeline):
    """A cache that holds the evidence of two pictures, in bytes."""
    return EvidenceCache(2 * pipeline.look(several(1)[0]).evidence.nbytes)


def test_memory_is_bounded(pipeline, counted):
    pipeline.cache = two_pictures(pipeline)
    counted["vision"] = 0
    pictures = several(4)
    pipeline.look(pictures)
    assert len(pipeline.cache) == 2
    pipeline.look(pictures[3])
    assert counted["vision"] == 4
    pipeline.look(pictures[0])
    assert counted["vision"] == 5


def test_a_picture_that_comes_back_in_a_large_batch_is_still_one(pipeline, counted):
    pipeline.cache = two_pictures(pipeline)
    pictures = several(4)
    pictures.append(pictures[0].copy())
    looks = pipeline.look(pictures)
    assert looks[0].tags == looks[4].tags != () and looks[0].evidence is looks[4].evidence
    pipeline.cache.clear()
    pipeline.batch_size = 5
    answers = pipeline.answer([Request(picture, Verb.CAPTION) for picture in pictures])
    assert answers[0].tags == answers[4].tags != () and answers[0].text == answers[4].text
    assert all(answer.ok for answer in pipeline.answer([Request(p, Verb.CAPTION, tags=["car"]) for p in pictures]))


def test_what_is_forgotten_is_looked_at_anew(pipeline, picture, monkeypatch):
    monkeypatch.setattr(pipeline, "tagger", lambda images: [("old",)] * len(images))
    pipeline.cache.clear()
    assert pipeline.tags(picture).tags == ("old",)
    monkeypatch.setattr(pipeline, "tagger", lambda images: [("new",)] * len(images))
    assert pipeline.tags(picture).tags == ("old",)
    pipeline.cache.clear()
    assert pipeline.tags(picture).tags == ("new",)
    pipeline.cache.clear()


def seen(cache, picture, kilobytes):
    """A look at a picture whose visual features take so many kilobytes."""
    look = cache.open(picture)
    look.evidence.vision = VisualFeatures(torch.zeros(1, 16, 16 * kilobytes), None)
    cache.trim([look])
    return look


def test_the_bound_is_in_bytes_and_the_least_recently_used_go_first():
    bare = Evidence().nbytes
    cache, pictures = EvidenceCache(3 * bare + 6 * 1024), several(4)
    looks = [seen(cache, picture, size) for picture, size in zip(pictures[:3], (3, 2, 1), strict=True)]
    assert [look.evidence.nbytes - bare for look in looks] == [3 * 1024, 2 * 1024, 1024] and len(cache) == 3
    cache.open(pictures[0])  # used again
    seen(cache, pictures[3], 2)
    assert [cache.open(picture).evidence.vision is not None for picture in pictures] == [True, False, True, True]
    assert looks[1].evidence.vision is not None  # a look in use keeps its own
    seen(cache, several(5)[4], 100)  # larger than the bound alone
    assert len(cache) == 0


def test_a_copy_for_another_process_is_empty_and_has_the_bound():
    cache = EvidenceCache(5000)
    cache.open(several(1)[0])
    copy = pickle.loads(pickle.dumps(cache))
    assert (len(cache), len(copy), copy.max_bytes) == (1, 0, 5000)


def test_threads_that_open_equal_pictures_share_their_evidence():
    cache, pictures, start = EvidenceCache(2 * Evidence().nbytes), several(3), Barrier(8)

    def work(thread):
        start.wait()
        looks = [cache.open(pictures[number % 2]) for number in range(40)]
        cache.trim(looks)
        return looks

    with ThreadPoolExecutor(8) as pool:
        looks = [look for found in pool.map(work, range(8)) for look in found]
    assert len({id(look.evidence) for look in looks}) == len({look.hash for look in looks}) == len(cache) == 2
    cache.trim([cache.open(pictures[2])])
    assert len(cache) == 2


def test_a_look_has_the_name_it_was_given_and_the_hash_of_its_pixels(tmp_path):
    (picture,) = several(1)
    picture.save(tmp_path / "a.png")
    by_path, by_pixels = Look.open(tmp_path / "a.png"), Look.open(picture)
    assert by_path.name == str(tmp_path / "a.png") and by_pixels.name is None
    assert by_path.hash == by_pixels.hash and Look.open(by_path) is by_path


def test_a_picture_may_come_in_any_form(pipeline, picture, counted, tmp_path):
    path = tmp_path / "a.png"
    picture.save(path)
    data = path.read_bytes()
    uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    with path.open("rb") as file:
        answers = pipeline.ask([path, path.as_uri(), data, uri, np.asarray(picture), file, io.BytesIO(data)], "what?")
    assert counted == {"vision": 1, "tagger": 1} and len({answer.text for answer in answers}) == 1
    assert [answer.image for answer in answers] == [str(path), path.as_uri(), None, f"{uri[:57]}...", None, None, None]


def test_a_data_uri_that_cannot_be_read_is_named_in_short(pipeline):
    (answer,) = pipeline.answer([Request("data:image/png;base64," + "?" * 999, Verb.CAPTION)], on_error="row")
    assert answer.failed and answer.image in answer.reason and len(answer.reason) < 200


def test_a_note_goes_with_the_picture_and_is_a_warning_once_it_is_used(monkeypatch, tmp_path):
    monkeypatch.setattr("lion.images._TOLD", [])
    path = tmp_path / "scan.png"
    Image.fromarray(np.full((9, 9), 4095, np.uint16)).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        look = Look.open(path)  # whoever opens it himself has the note
        assert look.note and EvidenceCache().open(look).note == look.note
    with pytest.warns(LionWarning, match=r"scan\.png: the picture is nearly black"):
        EvidenceCache().open(path)
    answer = Answer.of("text", Verb.CAPTION, look, "m", "the rest").with_about("of the model")
    assert answer.note == f"{look.note}; the rest; of the model" and answer.remark == f"{look.note}; the rest"
