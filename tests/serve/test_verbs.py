"""LION's verbs over HTTP: one or many, JSON or a form; a bad picture among good ones, and malformed bodies."""

import pytest

from lion.boxes import Box
from lion.pipeline import Request, Verb
from tests.serve.conftest import data_url, encoded

BODIES = {
    "caption": ({}, {}),
    "ask": ({"question": "what is it?"}, {"text": "what is it?"}),
    "locate": ({"phrase": "the car"}, {"text": "the car"}),
    "describe": ({"box": [0.1, 0.1, 0.5, 0.5]}, {"box": Box(0.1, 0.1, 0.5, 0.5)}),
    "tag": ({}, {}),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_verb_answers_as_the_pipeline_does(client, pipeline, picture, url, name):
    body, fields = BODIES[name]
    response = client.post(f"/v1/lion/{name}", {"image": url, **body})
    assert response.status_code == 200 and response.json()["model"] == "tiny"
    (answer,) = response.json()["answers"]
    (wanted,) = pipeline.answer([Request(picture, Verb(name), **fields)])
    assert answer == {key: value for key, value in wanted.to_json().items() if key not in ("image", "model")}


def test_a_phrase_may_be_asked_for_first(client, pipeline, picture, url, monkeypatch):
    body = {"image": url, "phrase": ["the car", "the tree"], "if_there": True}
    for least in (0.0, 1.1):
        monkeypatch.setattr("lion.pipeline.answering.PRESENCE_THRESHOLD", least)
        answers = client.post("/v1/lion/locate", body).json()["answers"]
        wanted = [pipeline.locate(picture, phrase, if_there=True) for phrase in body["phrase"]]
        assert [answer["presence"] for answer in answers] == [round(one.presence, 4) for one in wanted]
        assert [answer["reason"] for answer in answers] == [one.reason for one in wanted]
    form = client.post("/v1/lion/locate", files={"image": b"x"}, data={"phrase": "the car", "if_there": "maybe"})
    assert form.status_code == 400 and form.json()["error"]["param"] == "if_there"
    form = client.post("/v1/lion/locate", files={"image": encoded(picture)}, data={"phrase": "a", "if_there": "true"})
    assert 0 < form.json()["answers"][0]["presence"] < 1


def test_candidates_are_ranked(client, pipeline, picture, url):
    body = {"image": url, "question": "what is it?", "candidates": ["a car", "yes"]}
    (answer,) = client.post("/v1/lion/rank", body).json()["answers"]
    wanted = pipeline.rank(picture, "what is it?", ["a car", "yes"])
    assert [one["text"] for one in answer["candidates"]] == [one.text for one in wanted]
    assert answer["candidates"][0]["nll"] == pytest.approx(wanted[0].nll, rel=1e-5)


@pytest.mark.parametrize("verb", ["caption", "ask", "locate", "describe"])
def test_an_explanation_comes_with_the_answer_of_the_verb(client, pipeline, picture, url, verb):
    body, fields = BODIES[verb]
    (answer,) = client.post("/v1/lion/explain", {"image": url, "tags": ["car"], **body}).json()["answers"]
    wanted = pipeline.explain(picture, verb=Verb(verb), tags=["car"], **fields)
    assert answer.pop("explanation") == wanted.to_json()
    (same,) = client.post(f"/v1/lion/{verb}", {"image": url, "tags": ["car"], **body}).json()["answers"]
    assert answer == same


def test_an_explanation_is_of_one_verb(client, url):
    response = client.post("/v1/lion/explain", {"image": url, "question": "what is it?", "phrase": "the car"})
    assert response.status_code == 400 and "exclude each other" in response.json()["error"]["message"]


def test_several_pictures_and_questions_go_pairwise_and_one_with_all(client, pipeline, picture, url):
    other = picture.rotate(90)
    urls = [url, data_url(encoded(other))]
    questions = ["what is it?", "is it red?"]

    def texts(image, question):
        answers = client.post("/v1/lion/ask", {"image": image, "question": question}).json()["answers"]
        return [answer["text"] for answer in answers]

    def wanted(*pairs):
        return [answer.text for answer in pipeline.answer([Request(a, Verb.ASK, b) for a, b in pairs])]

    assert texts(urls, questions) == wanted((picture, questions[0]), (other, questions[1]))
    assert texts(urls, questions[0]) == wanted((picture, questions[0]), (other, questions[0]))
    assert texts(url, questions) == wanted((picture, questions[0]), (picture, questions[1]))
    assert texts([url], "what is it?") == wanted((picture, questions[0]))
    error = client.post("/v1/lion/ask", {"image": urls, "question": ["a"]}).json()["error"]
    assert "of one length" in error["message"]


def test_a_bad_picture_among_others_fails_alone(client, url):
    response = client.post("/v1/lion/caption", {"image": [url, "data:image/png;base64,AAAA", url]})
    first, bad, last = response.json()["answers"]
    assert response.status_code == 200 and first == last and first["ok"]
    assert bad["ok"] is False and "PNG" in bad["error"]["message"]
    assert client.post("/v1/lion/caption", {"image": "data:image/png;base64,AAAA"}).status_code == 400


def test_forms_with_files(client, picture, url):
    files = [
        ("image", ("a.png", encoded(picture), "image/png")),
        ("image", ("b.txt", encoded(picture.rotate(90)), "text/plain")),
    ]
    form = client.post("/v1/lion/ask", files=files, data={"question": "what is it?", "tags": "car, tree"}).json()
    urls = [url, data_url(encoded(picture.rotate(90)))]
    assert (
        form == client.post("/v1/lion/ask", {"image": urls, "question": "what is it?", "tags": ["car", "tree"]}).json()
    )
    form = client.post("/v1/lion/describe", files=files[:1], data={"box": "0.1,0.1,0.5,0.5"}).json()
    assert form == client.post("/v1/lion/describe", {"image": url, "box": [0.1, 0.1, 0.5, 0.5]}).json()
    form = client.post(
        "/v1/lion/rank", files=files[:1], data={"question": "is it?", "candidates": ["yes", "no"]}
    ).json()
    assert len(form["answers"][0]["candidates"]) == 2
    form = client.post("/v1/lion/locate", files=files[:1], data={"phrase": "the car", "if_there": "true"})
    assert 0 < form.json()["answers"][0]["presence"] < 1
    for wrong in ("maybe", ["true", "false"], ["true", "true"]):
        form = client.post("/v1/lion/locate", files=files[:1], data={"phrase": "the car", "if_there": wrong})
        assert form.status_code == 400 and form.json()["error"]["param"] == "if_there", wrong
    form = client.post("/v1/lion/tag", files={"image": ("a", encoded(picture))})
    assert form.json()["answers"][0]["tags"] == ["car", "tree", "sun"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ask", {"json": {"image": "data:,x"}}),
        ("ask", {"json": {"question": "what?"}}),
        ("ask", {"json": {"image": 5, "question": "what?"}}),
        ("ask", {"json": {"image": "data:,x", "question": "what?", "more": 1}}),
        ("ask", {"json": []}),
        ("ask", {"content": b"{"}),
        ("ask", {"content": b"\xff\xfe"}),
        ("ask", {"content": b"[" * 100_000}),
        ("ask", {"content": b""}),
        ("ask", {"data": {"question": "what?"}}),
        ("ask", {"files": {"other": b"x"}, "data": {"question": "what?"}}),
        ("ask", {"content": b"--x\r\nbroken", "headers": {"content-type": "multipart/form-data; boundary=x"}}),
        ("ask", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}),
        ("describe", {"files": {"image": b"x"}, "data": {"box": "a,b"}}),
        ("describe", {"json": {"image": "data:,x", "box": [0, 0, 1]}}),
        ("describe", {"json": {"image": "data:,x", "box": [1, 1, 0, 0]}}),
        ("rank", {"json": {"image": "data:,x", "question": "a", "candidates": []}}),
        ("caption", {"json": {"image": []}}),
        ("ask", {"json": {"image": "data:,x", "question": []}}),
        ("describe", {"json": {"image": "data:,x", "box": []}}),
        ("describe", {"json": {"image": "data:,x", "box": [[]]}}),
        ("describe", {"json": {"image": "data:,x", "box": [[0, 0, 1, 1], 1, 2, 3]}}),
        ("caption", {"json": {"image": "/etc/hostname"}}),
        ("caption", {"json": {"image": "file:///etc/hostname"}}),
    ],
)
def test_malformed_bodies_are_mistakes_of_the_client(client, name, options):
    response = client.post(f"/v1/lion/{name}", **options)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error" and error["message"] and "\n" not in error["message"]
    assert "Traceback" not in response.text and "site-packages" not in response.text


def test_many_pictures_are_refused(client, url):
    response = client.post("/v1/lion/tag", {"image": [url] * 17})
    assert response.status_code == 400 and "16 a request" in response.json()["error"]["message"]
    response = client.post("/v1/lion/ask", {"image": url, "question": ["a"] * 65})
    assert response.status_code == 400 and "64 a request" in response.json()["error"]["message"]
