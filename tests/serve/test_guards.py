"""Keys, rates, sizes, and the log: what every request passes before a route sees it."""

import asyncio
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lion.errors import LionError
from lion.serve.guards import _without_pictures
from lion.serve.openapi import Answers, ChatCompletion
from lion.serve.settings import Settings, read_keys
from tests.serve.conftest import client_of, data_url, encoded, message

KEY = {"Authorization": "Bearer secret-1"}


@pytest.fixture
def keys(tmp_path, monkeypatch):
    (tmp_path / "keys").write_text("# ours\n\nsecret-1\nsecret-2\n")
    monkeypatch.setenv("LION_API_KEYS", "from-outside, other")
    return read_keys(tmp_path / "keys")


def test_keys_come_from_a_file_and_the_environment(keys, tmp_path):
    settings = Settings(keys=keys)
    names = [settings.key_name(f"Bearer {key}") for key in ("secret-1", "secret-2", "from-outside", "other")]
    assert len(set(names)) == 4 and None not in names
    for header in (None, "", "Bearer", "Bearer ", "secret", "Basic secret-1", "Bearer secret-1x", "bearer \udcff"):
        assert settings.key_name(header) is None
    assert "secret" not in repr(settings) and not any(b"secret" in key for key in keys)
    (tmp_path / "windows").write_bytes("\ufeffsecret-1\r\n".encode())
    assert read_keys(tmp_path / "windows").keys() <= keys.keys()
    (tmp_path / "none").write_text("# nothing\n")
    for name in ("none", "missing"):
        with pytest.raises(LionError, match="--api-keys"):
            read_keys(tmp_path / name)


def test_without_a_key_there_are_no_answers_but_signs_of_life(pipeline, keys, url):
    with client_of(pipeline, keys=keys) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}):
            for response in (
                client.post("/v1/lion/caption", {"image": url}, headers=headers),
                client.get("/v1/models", headers=headers),
                client.get("/metrics", headers=headers),
                client.get("/nothing", headers=headers),
            ):
                assert response.status_code == 401 and response.json()["error"]["code"] == "invalid_api_key"
                assert response.headers["www-authenticate"] == "Bearer"
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
        assert client.post("/v1/lion/caption", {"image": url}, headers=KEY).status_code == 200
        assert client.get("/v1/models", headers=KEY).json()["data"][0]["id"] == "tiny"


def test_each_key_has_its_share_of_a_minute(pipeline, keys):
    with client_of(pipeline, keys=keys, requests_per_minute=3) as client:
        codes = [client.get("/v1/models", headers=KEY).status_code for _ in range(5)]
        assert codes == [200, 200, 200, 429, 429]
        late = client.get("/v1/models", headers=KEY)
        assert 1 <= int(late.headers["retry-after"]) <= 21 and late.json()["error"]["type"] == "rate_limit_error"
        assert client.get("/v1/models", headers={"Authorization": "Bearer secret-2"}).status_code == 200


def test_bodies_are_limited_whatever_they_say_of_their_length(pipeline):
    async def pieces():
        for _ in range(3):
            yield b"x" * 2**20

    with client_of(pipeline, body_mb=1) as client:
        for response in (
            client.post("/v1/lion/tag", content=b"x" * (2**20 + 1)),
            client.run(client.http.post("/v1/lion/tag", content=pieces())),
        ):
            assert response.status_code == 413 and "1 MB" in response.json()["error"]["message"]


@pytest.mark.parametrize("kind", ["application/json", "text/plain", None])
@pytest.mark.parametrize(
    ("path", "more", "named"),
    [
        ("/v1/lion/ask", '"question": "what is it?", "question": "is it a car?"', "'question'"),
        ("/v1/lion/caption", '"tags": [], "t\\u0061gs": ["car"]', "'tags'"),
        ("/v1/lion/caption", f'"image": "{"a" * 1000}"', "'image'"),
        ("/v1/lion/caption", f'"{"a" * 1000}": 1, "{"a" * 1000}": 1', "'aaa"),
        ("/v1/lion/caption", '"\\ud800": 1, "\\ud800": 1', r"'\ud800'"),
        ("/v1/chat/completions", '"messages": [], "messages": []', "'messages'"),
        ("/v1/chat/completions", '"lion": {"task": "caption", "task": "locate"}', "'task'"),
        ("/v1/chat/completions", '"messages": [{"content": [{"type": "text", "text": "a", "text": "b"}]}]', "'text'"),
    ],
)
def test_a_key_given_twice_is_refused_by_name(client, path, more, named, kind):
    """JSON's readers keep the last of the two; none is kept here, at whatever depth, whatever the body is called."""
    headers = {} if kind is None else {"content-type": kind}
    response = client.post(path, content=f'{{"image": "data:,x", {more}}}'.encode(), headers=headers)
    error = response.json()["error"]
    assert response.status_code == 400 and error["type"] == "invalid_request_error"
    assert (
        f"the key {named}" in error["message"] and "is there twice" in error["message"] and len(error["message"]) < 200
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_in_any_encoding_that_is_read(client, encoding):
    content = '{"messages": [], "messages": []}'.encode(encoding)
    response = client.post("/v1/chat/completions", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400 and "'messages' is there twice" in response.json()["error"]["message"]


PIECES = [
    '"data:,x"',
    '"data:;base64,AA=="',
    '"a"',
    '"a',
    '"',
    "\\",
    '\\"',
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    " ",
    "1",
    '"data:',
]


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_what_is_read_of_a_body_without_its_pictures_is_what_is_read_of_all_of_it(pieces):
    """Keys given twice are found or not, whatever the body is made of, JSON or not."""

    def found(body):
        try:
            return json.loads(body, object_pairs_hook=lambda pairs: tuple((key, blank(value)) for key, value in pairs))
        except ValueError:
            return None

    def blank(read):
        if isinstance(read, list):
            return [blank(item) for item in read]
        return "" if isinstance(read, str) and read.startswith("data:") else read

    body = "".join(pieces).encode()
    assert blank(found(_without_pictures(body))) == blank(found(body))


def test_a_body_of_any_json_is_read_without_its_pictures():
    rows = {"image": ["data:" + "A" * 1000, 'a"data:x', "data:"], "lion": {"data:": "data:,", "data:b": "b"}}
    read = json.loads(_without_pictures(json.dumps({"image": "data:" + "A" * 1000, "tags": ["data:,", "a"]}).encode()))
    assert read == {"image": "", "tags": ["", "a"]}
    for body in (json.dumps(rows).encode(), json.dumps(rows).encode("utf-16")):
        assert json.loads(_without_pictures(body)) == rows


def test_a_body_that_does_not_arrive_is_given_up(pipeline):
    async def slow():
        yield b"{"
        await asyncio.sleep(30)

    with client_of(pipeline, body_seconds=0.05) as client:
        assert client.run(client.http.post("/v1/lion/tag", content=slow())).status_code == 408


def test_more_requests_than_there_is_room_for_get_429(pipeline, url):
    with client_of(pipeline, requests=2) as client:

        async def many():
            calls = (client.http.post("/v1/lion/caption", json={"image": url}) for _ in range(6))
            return await asyncio.gather(*calls)

        responses = client.run(many())
        codes = sorted(response.status_code for response in responses)
        assert codes == [200, 200, 429, 429, 429, 429]
        assert next(one for one in responses if one.status_code == 429).headers["retry-after"]
        assert client.post("/v1/lion/caption", {"image": url}).status_code == 200


def test_pixels_are_limited_before_they_are_decoded(pipeline, picture, url):
    bomb = encoded(Image.new("1", (9000, 9000)))
    assert len(bomb) < 2**20
    with client_of(pipeline, megapixels=1) as client:
        error = client.post("/v1/lion/tag", {"image": data_url(bomb)})
        assert error.status_code == 400 and "9000 x 9000" in error.json()["error"]["message"]
        assert client.post("/v1/lion/tag", {"image": url}).status_code == 200


def test_the_log_tells_of_requests_and_nothing_of_pictures_or_words(client, url, caplog):
    caplog.set_level(logging.INFO, "lion.serve")
    logger = logging.getLogger("lion.serve")
    logger.addHandler(caplog.handler)
    try:
        response = client.post("/v1/chat/completions", {"messages": [message("a secret question", url)], "user": "me"})
        client.post("/v1/lion/ask", {"image": "data:,x", "question": "a secret question"})
        client.get("/nowhere")
    finally:
        logger.removeHandler(caplog.handler)
    rows = [json.loads(record.getMessage()) for record in caplog.records]
    first = next(row for row in rows if row["id"] == response.headers["x-request-id"])
    assert (first["status"], first["task"], first["user"], first["route"]) == (200, "ask", "me", "/v1/chat/completions")
    assert {row["status"] for row in rows} >= {200, 400, 404} and all(row["ms"] >= 0 for row in rows)
    assert "secret" not in caplog.text and "base64" not in caplog.text and url[30:60] not in caplog.text


def test_a_bug_is_a_500_without_a_trace(client, url, monkeypatch, caplog):
    def broken(*arguments):
        raise RuntimeError("at /srv/private/path")

    monkeypatch.setattr("lion.serve.verbs.describe", broken)
    response = client.post("/v1/lion/caption", {"image": url})
    assert response.status_code == 500 and response.json()["error"]["type"] == "server_error"
    assert "private" not in response.text and response.headers["x-request-id"]


def test_unknown_routes_and_methods_are_error_objects(client):
    assert client.get("/nothing").status_code == 404 and client.get("/nothing").json()["error"]["message"]
    assert client.get("/v1/chat/completions").status_code == 405
    assert client.get("/v1/models/other").json()["error"]["code"] == "model_not_found"
    assert client.get("/v1/models/tiny").json()["owned_by"] == "lion"


def test_no_page_of_another_site_may_ask(client, url):
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    response = client.run(client.http.options("/v1/lion/caption", headers=headers))
    assert "access-control-allow-origin" not in response.headers and response.status_code == 405


def test_prometheus_reads_what_was_answered(client, url):
    client.post("/v1/lion/caption", {"image": url})
    client.post("/v1/lion/caption", {"image": "data:,x"})
    text = client.get("/metrics").text
    for line in (
        'lion_requests_total{route="/v1/lion/caption",status="200"}',
        'lion_requests_total{route="/v1/lion/caption",status="400"}',
        'lion_request_seconds_bucket{le="0.1",route="/v1/lion/caption"}',
        'lion_answers_total{ok="true",task="caption"}',
        'lion_tokens_total{kind="completion"}',
        "lion_requests_in_progress 0.0",
    ):
        assert line in text


def test_the_examples_of_openapi_run(client):
    paths = client.get("/openapi.json").json()["paths"]
    ran = 0
    for path, methods in paths.items():
        for operation in methods.values():
            assert operation["summary"] and operation.get("description", "x")
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in (
                [body["example"]] if "example" in body else [e["value"] for e in body.get("examples", {}).values()]
            ):
                response = client.post(path, example)
                assert response.status_code in (200, 422), (path, response.text)
                if response.status_code == 200:
                    (ChatCompletion if "chat" in path else Answers).model_validate(response.json(), strict=True)
                ran += 1
    assert ran == 10
