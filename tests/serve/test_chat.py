"""Chat completions: what goes in, what comes out, whole and streamed; what is refused is named."""

import json

import pytest

from lion.pipeline import DecodingPreset, Request, Verb
from tests.serve.conftest import data_url, encoded, message

CHAT = "/v1/chat/completions"
BOX = {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}


def schema(properties, **more):
    body = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "json_schema", "json_schema": {"name": "box", "schema": body, **more}}


def events(response):
    assert response.status_code == 200 and response.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_an_answer_is_that_of_the_pipeline_with_what_openai_tells_besides(client, pipeline, picture, url):
    response = client.chat("what is it?", url, model="tiny").json()
    (wanted,) = pipeline.answer([Request(picture, Verb.ASK, "what is it?")])
    (choice,) = response["choices"]
    assert choice["message"] == {"role": "assistant", "content": wanted.text, "refusal": None}
    assert choice["finish_reason"] == "length" and choice["logprobs"] is None and choice["index"] == 0
    lion = choice["lion"]
    assert (lion["task"], lion["tags"], lion["size"], lion["ok"]) == ("ask", ["car", "tree", "sun"], [90, 60], True)
    assert response["object"] == "chat.completion" and response["model"] == "tiny"
    usage = response["usage"]
    assert usage["completion_tokens"] == 6 and usage["prompt_tokens"] > 20
    assert usage["total_tokens"] == usage["completion_tokens"] + usage["prompt_tokens"]


def test_turns_are_a_dialog_and_no_system_message_is_dropped_in_silence(client, pipeline, picture, url):
    turns = [
        {"role": "system", "content": "Be brief."},
        message("what is it?", url),
        {"role": "assistant", "content": "a car", "refusal": None, "annotations": [], "tool_calls": None},
        {"role": "user", "content": "is it red?"},
    ]
    choice = client.post(CHAT, {"messages": turns}).json()["choices"][0]
    (wanted,) = pipeline.answer([Request(picture, Verb.CHAT, "is it red?", history=[("what is it?", "a car")])])
    assert choice["message"]["content"] == wanted.text and choice["lion"]["task"] == "chat"
    assert "system message was not read" in choice["lion"]["note"]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_both_names_of_the_first_role_are_known(client, url, role):
    response = client.post(CHAT, {"messages": [{"role": role, "content": "Hi"}, message("what?", url)]})
    assert f"the {role} message was not read" in response.json()["choices"][0]["lion"]["note"]


def test_tags_in_and_out(client, url):
    asked = [
        client.chat("what?", url, lion={"tags": tags}).json()["choices"][0]["lion"]["tags"] for tags in (["dog"], [])
    ]
    assert asked == [["dog"], []]
    assert client.chat("", url, lion={"task": "tag"}).json()["choices"][0]["message"]["content"] == "car, tree, sun"


def test_a_region_is_described(client, pipeline, picture, url):
    lion = client.chat("", url, lion={"box": [9, 6, 45, 30], "space": "pixel"}).json()["choices"][0]["lion"]
    assert lion["task"] == "describe" and lion["boxes"][0]["unit"] == [0.1, 0.1, 0.5, 0.5]
    assert lion["boxes"][0]["pixel"] == [9, 6, 45, 30]


def test_a_seed_gives_the_same_draws_and_none_others(client, url):
    def texts(**fields):
        choices = client.chat("what is it?", url, n=3, temperature=1.5, **fields).json()["choices"]
        assert [choice["index"] for choice in choices] == [0, 1, 2]
        return [choice["message"]["content"] for choice in choices]

    assert texts(seed=1) == texts(seed=1) != texts(seed=2)
    assert len({tuple(texts()) for _ in range(3)}) > 1
    assert (
        len(
            set(
                client.chat("what?", url, temperature=0, n=2).json()["choices"][i]["message"]["content"] for i in (0, 1)
            )
        )
        == 1
    )


def test_the_best_beams_are_several_answers(client, url):
    choices = client.chat("what is it?", url, n=2).json()["choices"]
    assert len({choice["message"]["content"] for choice in choices}) == 2
    error = client.chat("what is it?", url, n=3).json()["error"]
    assert error["param"] == "n" and "at most 2" in error["message"]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_tokens_are_limited_by_the_client_and_the_server(client, url, name, monkeypatch):
    response = client.chat("what is it?", url, **{name: 2}).json()
    assert response["usage"]["completion_tokens"] == 2 and response["choices"][0]["finish_reason"] == "length"
    monkeypatch.setattr(client.serving, "settings", type(client.serving.settings)(max_tokens=3))
    assert client.chat("what is it?", url, **{name: 99}).json()["usage"]["completion_tokens"] == 3


def test_a_stop_ends_the_answer(client, url, says):
    says("a red car on the left")
    assert client.chat("what?", url, stop=["blue", "car"]).json()["choices"][0]["message"]["content"] == "a red"


def test_logprobs_join_to_the_answer(client, url):
    choice = client.chat("what is it?", url, logprobs=True, top_logprobs=3).json()["choices"][0]
    rows = choice["logprobs"]["content"]
    assert "".join(row["token"] for row in rows).strip() == choice["message"]["content"]
    assert b"".join(bytes(row["bytes"]) for row in rows).decode().strip() == choice["message"]["content"]
    for row in rows:
        assert row["logprob"] <= 0 and len(row["top_logprobs"]) == 3
        values = [one["logprob"] for one in row["top_logprobs"]]
        assert values == sorted(values, reverse=True)
    bare = client.chat("what is it?", url, logprobs=True).json()["choices"][0]["logprobs"]["content"]
    assert [row["top_logprobs"] for row in bare] == [[]] * len(rows)


@pytest.mark.parametrize(
    "fields", [{}, {"temperature": 0}, {"temperature": 1.0, "seed": 3, "n": 2}, {"logprobs": True, "temperature": 0}]
)
def test_a_stream_is_the_answer_in_pieces(client, url, fields):
    whole = client.chat("what is it?", url, **fields).json()
    rows = events(client.chat("what is it?", url, stream=True, stream_options={"include_usage": True}, **fields))
    assert (
        {row["id"] for row in rows} == {rows[0]["id"]}
        and rows[-1]["usage"] == whole["usage"]
        and rows[-1]["choices"] == []
    )
    for index, choice in enumerate(whole["choices"]):
        own = [row["choices"][0] for row in rows[:-1] if row["choices"][0]["index"] == index]
        assert own[0]["delta"] == {"role": "assistant", "content": ""}
        assert "".join(one["delta"].get("content", "") for one in own) == choice["message"]["content"]
        assert own[-1]["finish_reason"] == choice["finish_reason"] and own[-1]["lion"] == choice["lion"]
        if fields.get("logprobs"):
            told = [row for one in own if one["logprobs"] for row in one["logprobs"]["content"]]
            assert [row["token"] for row in told] == [row["token"] for row in choice["logprobs"]["content"]]


def test_boxes_are_json_of_the_clients_schema(client, url, says):
    says("[0.10,0.20,0.50,0.80]")
    wanted = schema({"label": {"type": "string"}, "bbox_2d": BOX})
    content = client.chat("the car", url, response_format=wanted).json()["choices"][0]["message"]["content"]
    assert json.loads(content) == {"label": "the car", "bbox_2d": [9, 12, 45, 48]}
    rows = events(client.chat("the car", url, response_format=wanted, stream=True))
    pieces = [row["choices"][0]["delta"]["content"] for row in rows if row["choices"][0]["delta"].get("content")]
    assert pieces == [content]  # whole, never half a box


def test_a_strict_schema_lets_the_model_write_nothing_but_a_box(client, url):
    response = client.chat("the car", url, response_format=schema({"box": BOX}, strict=True), max_tokens=40).json()
    x1, y1, x2, y2 = json.loads(response["choices"][0]["message"]["content"])["box"]
    assert 0 <= x1 <= x2 <= 90 and 0 <= y1 <= y2 <= 60


def test_no_readable_box_is_an_honest_error(client, url, says):
    says("no such thing")
    response = client.chat("the car", url, response_format=schema({"box": BOX}))
    assert response.status_code == 422 and response.json()["error"]["code"] == "unreadable_box"
    streamed = events(client.chat("the car", url, response_format=schema({"box": BOX}), stream=True))
    assert streamed[-1]["error"]["code"] == "unreadable_box"
    lion = client.chat("Please locate the car in the image.", url).json()["choices"][0]["lion"]
    assert lion["task"] == "locate" and not lion["ok"] and "no [x1,y1,x2,y2]" in lion["reason"]


WHERE = {"task": "locate", "if_there": True}


@pytest.fixture
def absent(monkeypatch):
    """Nothing is ever there."""
    monkeypatch.setattr("lion.pipeline.answering.PRESENCE_THRESHOLD", 1.1)


def test_what_is_there_is_located_as_without_the_question(client, url, monkeypatch):
    monkeypatch.setattr("lion.pipeline.answering.PRESENCE_THRESHOLD", 0.0)
    asked, plain = (client.chat("the car", url, lion=lion).json() for lion in (WHERE, {"task": "locate"}))
    presence = asked["choices"][0]["lion"].pop("presence")
    assert 0 < presence < 1 and plain["choices"][0]["lion"].pop("presence") is None
    assert asked["choices"] == plain["choices"]


def test_what_is_not_there_has_no_box(client, url, absent):
    (choice,) = client.chat("the car", url, lion=WHERE).json()["choices"]
    lion = choice["lion"]
    assert choice["message"]["content"] == "" and (lion["ok"], lion["reason"], lion["boxes"]) == (
        False,
        "not there",
        [],
    )
    assert 0 < lion["presence"] < 1


@pytest.mark.parametrize("settings", [{}, {"n": 3, "temperature": 1}])
def test_an_absent_box_as_json_is_an_empty_list_or_a_refusal(client, url, absent, settings):
    several = schema({"objects": {"type": "array", "items": {"properties": {"bbox": BOX}, "type": "object"}}})
    for wanted, content, refusal in (
        (several, '{"objects": []}', None),
        (schema({"label": {"type": "string"}, "box": BOX}), None, "not there"),
    ):
        fields = {"response_format": wanted, "lion": {"if_there": True}, **settings}
        choices = client.chat("the car", url, **fields).json()["choices"]
        messages = [choice["message"] for choice in choices]
        assert messages == [{"role": "assistant", "content": content, "refusal": refusal}] * settings.get("n", 1)
        rows = [row["choices"][0] for row in events(client.chat("the car", url, stream=True, **fields))]
        last = [row for row in rows if row["finish_reason"]]
        assert len(last) == len(choices) and last[0]["delta"] == ({"refusal": refusal} if refusal else {})
        assert [row["delta"]["content"] for row in rows if row["delta"].get("content")] == [content] * (
            len(choices) if content else 0
        )


def test_boxes_have_the_score_that_lion_gives_them(client, url):
    wanted = schema({"box": BOX, "score": {"type": "number", "minimum": 0, "maximum": 1}}, strict=True)
    (choice,) = client.chat("the car", url, response_format=wanted, max_tokens=40).json()["choices"]
    (box,) = choice["lion"]["boxes"]
    assert json.loads(choice["message"]["content"])["score"] == box["score"] and 0 <= box["score"] <= 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"lion": {"if_there": True}}, "lion.if_there"),
        ({"lion": {"task": "locate", "if_there": "yes"}}, "lion.if_there"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"audio": {}}, "audio"),
        ({"anything": 1}, "anything"),
        ({"lion": {"mode": 1}}, "lion.mode"),
        ({"lion": {"task": "fly"}}, "lion.task"),
        ({"lion": {"box": [0, 0, 1]}}, "lion.box"),
        ({"lion": {"box": [1, 1, 0, 0]}}, "lion.box"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"n": 0}, "n"),
        ({"n": True}, "n"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": [""]}, "stop.0"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"response_format": schema({"colour": {"type": "string"}})}, "response_format.json_schema.schema"),
        ({"stream_options": {"include_usage": True}}, ""),
        ({"top_logprobs": 2}, ""),
        ({"max_tokens": 1, "max_completion_tokens": 2}, ""),
        ({"model": "gpt"}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "no picture"}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages.0.content.0"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(client, url, fields, param):
    response = client.post(CHAT, {"messages": [message("what is it?", url)], **fields})
    error = response.json()["error"]
    assert response.status_code == (404 if param == "model" else 400), error
    assert error["type"] == "invalid_request_error" and (error["param"] or "") == param
    assert "\n" not in error["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"presence_penalty": 0, "frequency_penalty": 0.0, "logit_bias": {}, "user": "me", "store": False},
        {"tools": None, "tool_choice": "none", "seed": None, "n": 1, "top_p": 1, "response_format": {"type": "text"}},
    ],
)
def test_what_asks_for_nothing_is_taken(client, url, fields):
    assert (
        client.chat("what is it?", url, **fields).json()["choices"] == client.chat("what is it?", url).json()["choices"]
    )


@pytest.mark.parametrize(
    ("messages", "word"),
    [
        (lambda one, two: [message("which?", one, two)], "messages hold 2"),
        (lambda one, two: [message("a", one), {"role": "assistant", "content": "b"}], "alternate"),
        (lambda one, two: [{"role": "assistant", "content": "b"}, message("a", one)], "alternate"),
        (lambda one, two: [message("a", one, role="system"), message("a", one)], "of the user"),
    ],
)
def test_conversations_that_lion_cannot_have(client, url, picture, messages, word):
    other = data_url(encoded(picture.rotate(90)))
    response = client.post(CHAT, {"messages": messages(url, other)})
    assert response.status_code == 400 and word in response.json()["error"]["message"]


def test_a_mistake_that_shows_late_has_its_status_also_where_a_stream_was_asked_for(client, url):
    for fields in ({}, {"stream": True}):
        response = client.chat("word " * 3000, url, **fields)
        assert response.status_code == 400 and "limit is" in response.json()["error"]["message"]


def test_a_preset_is_taken_by_name(client, url):
    assert client.chat("what?", url, lion={"decoding": "greedy"}).status_code == 200
    assert "no decoding 'fast'" in client.chat("what?", url, lion={"decoding": "fast"}).json()["error"]["message"]


def test_presets_are_not_changed_by_requests(client, pipeline, url):
    before = dict(pipeline.decoding)
    client.chat("what?", url, temperature=1.0, max_tokens=3)
    assert pipeline.decoding == before and all(isinstance(one, DecodingPreset) for one in before.values())
