"""The page's files and scenes over HTTP: without a key and without requests to others; its scenes with one."""

import re

import pytest

from lion.images import open_image
from lion.serve import page
from lion.serve.settings import Settings, digest
from tests.serve.conftest import client_of, data_url, encoded

KEY = {"Authorization": "Bearer secret"}


def test_the_page_and_its_files_are_served_with_a_policy(client):
    index = client.get("/")
    assert index.status_code == 200 and index.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in index.headers["content-security-policy"]
    for name in re.findall(r'(?:src|href)="(page/[^"]+)"', index.text):
        assert client.get(f"/{name}").status_code == 200, name
    for name in re.findall(r'from "\./([^"]+)"', client.get("/page/page.js").text):
        script = client.get(f"/page/{name}")
        assert script.headers["content-type"].startswith("text/javascript"), name
    assert client.get("/page/settings.py").status_code == client.get("/page/..%2fapp.py").status_code == 404


def test_the_page_names_no_other_place():
    for path in page.FILES.values():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", text.replace("url(${", "")), path
        assert "innerHTML" not in text and "style=" not in text, f"{path}: against the policy, or a way in for a label"


def test_scenes_are_drawn_pictures_that_can_be_asked_about(client):
    first, other = (client.get(f"/page/scenes/{sheet}").json()["scenes"] for sheet in (0, 1))
    assert len(first) == page.SCENES and {one["image"] for one in first}.isdisjoint(one["image"] for one in other)
    assert open_image(first[0]["image"]).size == (page.SIDE, page.SIDE) and "Drawn scene 1: " in first[0]["name"]
    assert client.post("/v1/lion/tag", {"image": first[0]["image"]}).json()["answers"][0]["ok"]
    assert client.get("/page/scenes/first").status_code == 400


def test_a_copy_of_lion_mini_is_known_as_such(client, pipeline, url, monkeypatch):
    assert client.get("/v1/models").json()["data"][0]["about"] is None
    monkeypatch.setattr(pipeline.model.config, "domain", "drawn scenes")
    known = client.get("/page/scenes/0").json()["about"]
    assert "drawn scenes only" in known and "models/" not in known
    assert client.get("/v1/models").json()["data"][0]["about"] == known
    assert client.post("/v1/lion/caption", {"image": url}).json()["answers"][0]["note"] == known


def test_the_server_shows_what_a_browser_cannot(client, picture):
    large = picture.resize((1500, 1000))
    shown = client.post("/page/preview", {"image": data_url(encoded(large, "TIFF"), "tiff")}).json()["image"]
    assert shown.startswith("data:image/png;base64,") and open_image(shown).size == (1024, 683)
    for bad in (data_url(b"no picture"), "https://nobody.example/a.png", "data:image/png;base64,!"):
        answer = client.post("/page/preview", {"image": bad})
        assert answer.status_code == 400 and answer.json()["error"]["message"]
    assert client.post("/page/preview", {}).status_code == 400


def test_with_keys_the_page_comes_without_one_and_all_else_does_not(pipeline):
    with client_of(pipeline, keys={digest("secret"): "ours"}, requests_per_minute=2) as client:
        assert [client.get(path).status_code for path in sorted(page.PATHS)] == [200] * len(page.PATHS)
        assert (
            client.get("/page/scenes/0").status_code == client.post("/page/preview", {"image": ""}).status_code == 401
        )
        assert client.get("/page/scenes/0", headers=KEY).status_code == 200


def test_without_the_page_there_is_none(pipeline):
    with client_of(pipeline, page=False) as client:
        assert client.get("/").status_code == client.get("/page/page.js").status_code == 404


@pytest.mark.parametrize("options", [[], ["--no-page"]])
def test_the_command_line_leaves_it_out(monkeypatch, options):
    from lion.cli import main

    seen = []
    monkeypatch.setattr("lion.serve.run.serve", lambda model, settings, *rest, **more: seen.append(settings))
    assert main(["serve", *options]) == 0
    assert seen == [Settings(page=not options)]
