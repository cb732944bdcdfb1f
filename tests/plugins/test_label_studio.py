"""Label Studio's requests, as version 1.23 sends them, and answers that its SDK accepts."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from lion.cli import main
from lion.errors import LionError
from lion.pipeline import LionPipeline
from lion.plugins.label_studio_config import LOCAL_FILES, UPLOADS, picture_source, read_config
from tests.serve.conftest import client_of, data_url, encoded

CONFIG = """
<View>  <!-- what a project may look like -->
  <Image name="img" value="$image"/>
  <RectangleLabels name="box" toName="img" model_score_threshold="0.0">
    <Label value="Kite" predicted_values="the blue kite"/>
    <Label value="boat" alias="ship" background="red"/>
  </RectangleLabels>
  <TextArea name="caption" toName="img"/>
  <TextArea name="answer" toName="img" question="what is it?"/>
  <Choices name="color" toName="img" question="what color is the kite?">
    <Choice value="red"/> <Choice value="blue" alias="b"/>
  </Choices>
  <Choices name="quality" toName="img"><Choice value="good"/><Choice value="bad"/></Choices>
  <TextArea name="note" toName="img" perRegion="true"/>
  <Text name="words" value="$text"/> <TextArea name="summary" toName="words"/>
</View>
"""
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "integrations_label_studio.md").read_text()
ROUTES = ("lion.plugins.label_studio",)


def request(*pictures, config=CONFIG):
    tasks = [{"id": number, "data": {"image": picture}, "project": 1} for number, picture in enumerate(pictures)]
    return {"tasks": tasks, "project": "1.1764288000", "label_config": config, "params": {"context": None}}


@pytest.fixture
def client(pipeline):
    with client_of(pipeline, routes=ROUTES, pictures=3, body_mb=1) as client:
        yield client


@pytest.fixture
def url(picture):
    return data_url(encoded(picture))


def checked(config, prediction):
    """What Label Studio's SDK has against a prediction."""
    interface = pytest.importorskip("label_studio_sdk.label_interface", reason="not installed: label-studio-sdk")
    objects = pytest.importorskip("label_studio_sdk.label_interface.objects")
    objects.PredictionValue(**prediction)
    return interface.LabelInterface(config).validate_prediction(prediction, return_errors=True)


def test_it_connects(client):
    assert client.get("/health").json()["status"] == "UP"
    setup = {"project": "1.2", "schema": CONFIG, "hostname": "http://localhost:8080", "access_token": "a"}
    found = client.post("/setup", {**setup, "extra_params": None})
    assert found.json() == {"model_version": "tiny", "fills": ["box", "caption", "answer", "color"]}
    trained = client.post("/webhook", {"action": "START_TRAINING", "project": {"id": 1}})
    assert trained.status_code == 200 and "lion train" in trained.json()["reason"]


def test_a_prediction_holds_boxes_texts_and_choices(client, pipeline, picture, url):
    (found,) = client.post("/predict", request(url)).json()["results"]
    assert found["model_version"] == "tiny" and 0 < found["score"] < 1
    kite, ship, caption, answer, color = found["result"]
    (box,) = pipeline.locate(picture, "the blue kite", if_there=True).boxes
    x, y, width, height = box.unit.xywh()
    sides = {"x": 100 * x, "y": 100 * y, "width": 100 * width, "height": 100 * height}
    assert kite["value"] == sides | {"rotation": 0, "rectanglelabels": ["Kite"]}
    assert (kite["from_name"], kite["to_name"], kite["type"]) == ("box", "img", "rectanglelabels")
    assert (kite["original_width"], kite["original_height"]) == picture.size and kite["score"] == box.score
    assert ship["value"]["rectanglelabels"] == ["ship"] and len({one["id"] for one in found["result"]}) == 5
    assert caption["value"] == {"text": [pipeline.caption(picture).text]} and caption["type"] == "textarea"
    assert answer["value"] == {"text": [pipeline.ask(picture, "what is it?").text]}
    best = pipeline.rank(picture, "what color is the kite?", ["red", "blue"])[0].text
    assert color["value"] == {"choices": [{"red": "red", "blue": "b"}[best]]} and color["type"] == "choices"


def test_boxes_below_the_threshold_and_things_that_are_not_there_stay_out(client, url, monkeypatch):
    boxes = '<View><Image name="i" value="$image"/><RectangleLabels name="b" toName="i" model_score_threshold="1">'
    boxes += '<Label value="kite"/></RectangleLabels></View>'
    (found,) = client.post("/predict", request(url, config=boxes)).json()["results"]
    assert (found["result"], found["score"]) == ([], None)
    monkeypatch.setattr("lion.pipeline.answering.PRESENCE_THRESHOLD", 1.1)
    (found,) = client.post("/predict", request(url, config=boxes.replace('="1"', '="0"'))).json()["results"]
    assert found["result"] == []


def test_a_task_that_fails_leaves_the_others(client, url):
    good, bad, none = client.post("/predict", request(url, "http://example.com/a.png", None)).json()["results"]
    assert good["result"] and "--allow-url" in bad["error"] and "no picture as 'image'" in none["error"]
    assert "result" not in bad  # Label Studio then logs the error, and stores nothing
    alone = client.post("/predict", request("http://example.com/a.png"))
    assert alone.status_code == 400 and "--allow-url" in alone.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"tasks": []}, "tasks"),
        ({"tasks": [{"data": {}}]}, "label_config"),
        (request("a", "b", "c", "d"), "--max-pictures"),
        (request("a", config="<View>"), "not readable XML"),
        (request("a", config="<!DOCTYPE a [<!ENTITY b 'c'>]><View>&b;</View>"), "DOCTYPE"),
        (request("a", config="<View><Image name='i' value='$image'/></View>"), "nothing that LION fills"),
        (request("a", config=CONFIG.replace('"0.0"', '"much"')), "model_score_threshold"),
        ([], "JSON object"),
        (request("http://\ud800.com/a.png"), "JSON object"),
    ],
)
def test_what_is_wrong_is_named(client, body, word):
    answer = client.post("/predict", content=json.dumps(body))  # httpx itself sends no half characters
    assert answer.status_code == 400 and word in answer.json()["error"]["message"]
    assert client.get("/health").status_code == 200


def test_a_label_is_its_own_phrase_and_a_choice_needs_a_question():
    box, caption, answer, color = read_config(CONFIG)
    assert {label: fields["text"] for label, fields in box.questions.items()} == {
        "Kite": "the blue kite",
        "ship": "boat",
    }
    assert (box.variable, box.threshold) == ("image", 0.0)
    assert [list(one.questions) for one in (caption, answer, color)] == [["caption"], ["answer"], ["color"]]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder of Label Studio's with an upload, and a secret beside what it may show."""
    (tmp_path / "data" / "media" / "upload" / "1").mkdir(parents=True)
    (tmp_path / "data" / "media" / "upload" / "1" / "a b.png").write_bytes(b"picture")
    (tmp_path / "data" / "secret").write_bytes(b"secret")
    (tmp_path / "data" / "media" / "upload" / "link").symlink_to(tmp_path / "data" / "secret")
    for name in (UPLOADS, LOCAL_FILES):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "data"


def test_files_of_label_studio_are_read_where_it_is_allowed(files, monkeypatch):
    upload, local = "/data/upload/1/a%20b.png", "/data/local-files/?d=upload/1/a%20b.png"
    for url, name in ((upload, UPLOADS), (local, LOCAL_FILES)):
        with pytest.raises(LionError, match=f"start it with {name}"):
            picture_source({"image": url}, "image", 1)
    monkeypatch.setenv(UPLOADS, str(files))
    monkeypatch.setenv(LOCAL_FILES, str(files / "media"))
    assert picture_source({"image": upload}, "image", 1) == picture_source({"image": local}, "image", 1) == b"picture"


@pytest.mark.parametrize(
    "url",
    [
        "/data/upload/../../secret",
        "/data/upload/%2e%2e/%2e%2e/secret",
        "/data/upload/link",
        "/data/upload/1",
        "/data/upload/%00",
        "/data/local-files/?d=../secret",
        "/data/local-files/?d=/etc/passwd",
        "/data/local-files/?d=upload/big",
        "/data/local-files/",
        "/data/other/1/a.png",
        "/etc/passwd",
        ["/data/upload/1/a b.png"],
    ],
)
def test_no_other_file_is_read(files, monkeypatch, url):
    monkeypatch.setenv(UPLOADS, str(files))
    monkeypatch.setenv(LOCAL_FILES, str(files / "media"))
    (files / "media" / "upload" / "big").write_bytes(bytes(2**20 + 1))
    with pytest.raises(LionError):
        picture_source({"image": url}, "image", 1)


def test_an_uploaded_picture_is_opened(client, files, picture, monkeypatch):
    monkeypatch.setenv(UPLOADS, str(files))
    picture.save(files / "media" / "upload" / "1" / "scene.png")
    body = request("/data/upload/1/scene.png", "/data/upload/1/a%20b.png")
    good, bad = client.post("/predict", body).json()["results"]
    assert len(good["result"]) == 5 and "not a PNG" in bad["error"] and str(files) not in json.dumps(bad)


def test_a_key_may_be_the_password_that_label_studio_sends(pipeline):
    from lion.serve.settings import digest

    with client_of(pipeline, routes=ROUTES, keys={digest("key"): "one"}) as client:
        codes = [client.get("/health", auth=auth).status_code for auth in (None, ("user", "no"), ("user", "key"))]
        assert codes == [401, 401, 200]
        assert client.get("/health", headers={"Authorization": "Basic ?"}).status_code == 401


def test_routes_that_cannot_be_added_are_named(capsys):
    for name, word in (("no.such.module", "cannot be imported"), ("lion.boxes", "has no router")):
        assert main(["serve", "--routes", name]) == 2
        assert word in capsys.readouterr().err


@pytest.mark.slow
def test_the_sdk_accepts_predictions(client, url):
    (found,) = client.post("/predict", request(url)).json()["results"]
    assert len(found["result"]) == 5 and checked(CONFIG, found) == []
    found["result"][0]["value"]["x"] = "left"
    assert checked(CONFIG, found)  # it does look


@pytest.mark.slow
def test_lion_mini_fills_the_project_of_the_docs_and_is_called_a_toy():
    (config,) = re.findall(r"^```xml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    scene = Image.open(ROOT / "examples" / "scene.png")
    with client_of(LionPipeline.from_pretrained(device="cpu"), routes=ROUTES) as client:
        (found,) = client.post("/predict", request(data_url(encoded(scene)), config=config)).json()["results"]
    assert "toy" in found["model_version"] and checked(config, found) == []
    values = {one["from_name"]: one["value"] for one in found["result"] if one["from_name"] != "box"}
    assert (
        "kite" in values["caption"]["text"][0]
        and values["color"] == {"choices": ["blue"]}
        and values["answer"]["text"] == ["no"]
    )
    kite = found["result"][0]
    assert kite["value"]["rectanglelabels"] == ["kite"] and kite["score"] > 0.5
