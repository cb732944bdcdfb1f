"""FiftyOne finds the models, and stores what they say; needs fiftyone, in an environment of its own.

Its database, mongod, comes with ``fiftyone-db``, or is downloaded; without, a dataset is not tested.
"""

import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from lion.errors import LionError
from lion.pipeline import LionPipeline

ROOT = Path(__file__).parents[2]
SCENE = ROOT / "examples" / "scene.png"
PAGE = (ROOT / "docs" / "how-to" / "integrations_fiftyone.md").read_text()
pytestmark = pytest.mark.slow


@pytest.fixture
def foz(tmp_path, monkeypatch):
    """FiftyOne's zoo in a folder of its own, where LION has registered."""
    fo = pytest.importorskip("fiftyone", reason="not installed: pip install fiftyone")
    foz = pytest.importorskip("fiftyone.zoo")
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "zoo"))
    from lion.plugins import fiftyone_zoo

    fiftyone_zoo.register()
    fiftyone_zoo.register()  # again, as after an update
    return foz


def test_the_zoo_lists_a_toy_and_checkpoints_of_ones_own(foz):
    assert {"lion", "lion-mini"} <= set(foz.list_zoo_models())
    assert "toy" in foz.get_zoo_model("lion-mini").description and foz.list_zoo_models(tags="toy") == ["lion-mini"]
    assert foz.list_zoo_models(tags="vision-language") == ["lion", "lion-mini"]


def test_boxes_captions_answers_and_tags_are_those_of_the_pipeline(foz, loads, pipeline, picture):
    pixels, wide = np.asarray(picture), np.asarray(picture.resize((200, 40)))
    model = foz.load_zoo_model("lion", model="own", labels="kite=the blue kite;boat", device="cpu", batch_size=4)
    assert loads[-1] == (("own",), {"device": "cpu", "decoding": "lion", "batch_size": 4})
    assert model.media_type == "image" and not model.ragged_batches
    (kite, boat), _ = (found.detections for found in model.predict_all([pixels, wide]))
    (box,) = pipeline.locate(picture, "the blue kite", if_there=True).boxes
    assert (kite.label, boat.label, kite.confidence) == ("kite", "boat", box.score)
    assert kite.bounding_box == pytest.approx(box.unit.xywh()) and kite.tags == []
    for settings, answer in (
        ({"do": "caption"}, pipeline.caption(picture)),
        ({"question": "what is it?"}, pipeline.ask(picture, "what is it?")),
    ):
        found = foz.load_zoo_model("lion", model="own", **settings).predict(pixels)
        assert (found.label, found.confidence) == (answer.text, answer.confidence) and answer.text
    tags = foz.load_zoo_model("lion", model="own", do="tags").predict(pixels).classifications
    assert [one.label for one in tags] == list(pipeline.tags(picture).tags) != []


def test_the_folder_is_a_source_that_fiftyone_fetches(foz, loads, monkeypatch, tmp_path):
    import fiftyone as fo

    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "other"))
    shutil.make_archive(str(tmp_path / "source"), "zip", ROOT / "src" / "lion" / "plugins" / "fiftyone_zoo")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/source.zip"
        foz.register_zoo_model_source(url)
        server.shutdown()
    assert foz.list_zoo_model_sources() == [url]
    foz.load_zoo_model("lion-mini", do="tags", device="cpu")
    assert loads[-1][0] == ("lion-mini",)


def test_mistakes_name_the_fix(foz, loads):
    with pytest.raises(LionError, match=r"model='path/to/model'.*'lion-mini', a toy"):
        foz.load_zoo_model("lion", labels="kite")
    for wrong in ({}, {"do": "dance"}, {"do": "tags", "labels": "kite"}, {"labels": "kite", "question": "what?"}):
        with pytest.raises(LionError, match="one thing"):
            foz.load_zoo_model("lion-mini", **wrong)
    assert not loads


def test_the_program_of_the_docs_stores_the_kite_of_a_drawn_scene(foz, monkeypatch):
    import fiftyone as fo

    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(SCENE.parent)
    try:
        fo.list_datasets()
    except Exception as error:
        pytest.skip(f"FiftyOne has no database here: {error}")
    names = {}
    try:
        exec(compile(program.replace("path/to/model", "lion-mini").replace("boat", "rocket"), "docs", "exec"), names)
        dataset = names["dataset"]
        (found,) = dataset.first().lion.detections
        (box,) = LionPipeline.from_pretrained().locate(SCENE, "the blue kite").boxes
        assert found.label == "kite" and found.confidence > 0.5
        assert found.bounding_box == pytest.approx(box.unit.xywh(), abs=1e-6)
        dataset.apply_model(foz.load_zoo_model("lion-mini", do="caption"), label_field="caption", skip_failures=False)
        assert "kite" in dataset.first().caption.label
    finally:
        if "dataset" in names:
            names["dataset"].delete()
