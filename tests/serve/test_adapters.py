"""Adapters are models by name, as in /v1/models; each answers as it does in the pipeline."""

import pytest

from lion.checkpoints.adapters import save_adapters
from lion.pipeline import Request, Verb
from tests.checkpoints.test_adapters import MIXTURE, trained
from tests.serve.conftest import message


@pytest.fixture
def shop(client, pipeline, tmp_path):
    model = trained(pipeline.model, MIXTURE)
    save_adapters(model, MIXTURE, tmp_path / "shop.safetensors", "tiny", {"name": "shop"})
    yield client.serving.worker.pipeline.load_adapters(tmp_path / "shop.safetensors")
    client.serving.worker.pipeline.unload_adapters("shop")


def test_they_are_listed_with_their_model(client, shop):
    data = client.get("/v1/models").json()["data"]
    assert [(one["id"], one.get("parent")) for one in data] == [("tiny", None), ("shop", "tiny")]
    assert client.get("/v1/models/shop").json()["parent"] == "tiny"
    missing = client.get("/v1/models/ships").json()["error"]
    assert "no model 'ships' here, only 'tiny' and 'shop'" in missing["message"]


def test_a_model_s_name_chooses_them(client, shop, pipeline, picture, url):
    wanted = {
        name: pipeline.answer([Request(picture, Verb.ASK, "what is it?", adapters=name)])[0].text
        for name in (None, "shop")
    }
    assert wanted[None] != wanted["shop"]
    for model, name in (("tiny", None), ("shop", "shop")):
        answer = client.chat("what is it?", url, model=model).json()
        assert answer["model"] == model and answer["choices"][0]["message"]["content"] == wanted[name]
        body = {"image": url, "question": "what is it?", "model": model}
        verb = client.post("/v1/lion/ask", body).json()
        assert verb["model"] == model and verb["answers"][0]["text"] == wanted[name]


def test_unknown_ones_and_explain(client, shop, url):
    response = client.post("/v1/chat/completions", {"messages": [message("what?", url)], "model": "ships"})
    assert response.status_code == 404 and response.json()["error"]["code"] == "model_not_found"
    response = client.post("/v1/lion/explain", {"image": url, "model": "shop"})
    assert response.status_code == 400 and "without adapters" in response.json()["error"]["message"]
