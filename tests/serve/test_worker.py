"""The worker under many clients at once: equal answers, freed places, deadlines, errors, and its end."""

import asyncio
import threading
import time

import pytest

from lion.pipeline import DecodingPreset, Request, Verb
from tests.serve.conftest import client_of, data_url, encoded, message

CHAT = "/v1/chat/completions"
LONG = {"max_tokens": 200, "temperature": 1.0, "seed": 1}


def until(condition, seconds=20):
    """Wait for what another thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def idle(client):
    return not client.serving.worker._jobs and not client.serving.worker._batch


@pytest.fixture
def endless(pipeline, monkeypatch):
    """A model that goes on for some time: tests leave before its end."""
    monkeypatch.setattr(pipeline, "decoding", dict.fromkeys(pipeline.decoding, DecodingPreset(1, 4000)))


def test_many_clients_at_once_get_the_answers_of_single_calls(client, pipeline, picture):
    pictures = [picture.rotate(30 * number) for number in range(3)]
    urls = [data_url(encoded(one)) for one in pictures]
    asked = [(number % 3, ("caption", "ask", "locate", "tag")[number % 4], number) for number in range(32)]

    def body(place, verb, number):
        texts = {"ask": {"question": f"what is {number}?"}, "locate": {"phrase": f"thing {number}"}}
        return {"image": urls[place], **texts.get(verb, {})}

    async def one_client(own):
        return [await client.http.post(f"/v1/lion/{verb}", json=body(place, verb, n)) for place, verb, n in own]

    async def all_clients():
        return await asyncio.gather(*(one_client(asked[start::16]) for start in range(16)))

    found = client.run(all_clients())
    for start, responses in enumerate(found):
        for (place, verb, number), response in zip(asked[start::16], responses, strict=True):
            text = {"ask": f"what is {number}?", "locate": f"thing {number}"}.get(verb)
            (wanted,) = pipeline.answer([Request(pictures[place], Verb(verb), text)])
            assert response.status_code == 200 and response.json()["answers"][0]["text"] == wanted.text


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_frees_its_place(client, url, endless, stream):
    serving = client.serving
    body = {"messages": [message("what is it?", url)], "stream": stream}

    async def gone():
        task = asyncio.ensure_future(leave(client.app, body))
        while not serving.worker._batch._decoded:
            await asyncio.sleep(0.005)
        return await task

    settings = type(serving.settings)(max_tokens=4000)
    serving.settings, before = settings, serving.settings
    try:
        client.run(gone())
    finally:
        serving.settings = before
    until(lambda: idle(client))
    assert not client.serving.worker.pipeline.decoder._kept


async def leave(app, body):
    """A request whose client closes the connection once it is being answered."""
    import json

    left, sent = asyncio.Event(), []

    async def receive():
        if not sent:
            sent.append(True)
            return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}
        await asyncio.sleep(0.1)
        left.set()
        return {"type": "http.disconnect"}

    async def send(part):
        pass

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": CHAT,
        "raw_path": CHAT.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("lion", 80),
        "scheme": "http",
        "root_path": "",
    }
    await app(scope, receive, send)
    assert left.is_set()


def test_the_deadline_ends_an_answer_and_frees_its_place(pipeline, url, endless):
    with client_of(pipeline, deadline=0.3, max_tokens=4000) as client:
        client.post("/v1/lion/tag", {"image": url})  # the processes that decode have started
        response = client.chat("what is it?", url)
        assert response.status_code == 504 and response.json()["error"]["code"] == "deadline"
        streamed = client.chat("what is it?", url, stream=True)
        assert '"code": "deadline"' in streamed.text or streamed.status_code == 504
        until(lambda: idle(client))
        client.serving.settings = type(client.serving.settings)()
        assert client.post("/v1/lion/tag", {"image": url}).status_code == 200


def test_a_failing_step_fails_its_requests_and_the_worker_goes_on(client, url, monkeypatch):
    monkeypatch.setattr("lion.engine.scheduler.Scheduler.step", lambda self: 1 / 0)
    response = client.chat("what is it?", url)
    assert response.status_code == 500 and "ZeroDivision" not in response.text
    monkeypatch.undo()
    assert client.chat("what is it?", url).status_code == 200 and client.get("/readyz").status_code == 200


def test_the_end_waits_for_the_answers(pipeline, url):
    with client_of(pipeline) as client:
        client.chat("what is it?", url)
        worker, requests = client.serving.worker, [Request(encoded_picture(url), Verb.CAPTION) for _ in range(3)]

        async def submit_and_end():
            async with worker.job(requests[0]) as one, worker.job(requests[1]) as other:
                await asyncio.to_thread(worker.close)
                return await one.result(), await other.result()

        one, other = client.run(submit_and_end())
        assert one == other and one.answers[0].ok
        response = client.chat("what is it?", url)
        assert response.status_code == 503 and client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200


def encoded_picture(url):
    import base64

    return base64.b64decode(url.partition(",")[2])


def test_a_call_runs_in_the_worker_thread_and_its_error_is_the_callers(client):
    worker = client.serving.worker
    assert client.run(
        worker.call(lambda pipeline: pipeline is worker.pipeline and threading.current_thread().name)
    ) == ("lion-worker")
    with pytest.raises(ZeroDivisionError):
        client.run(worker.call(lambda pipeline: 1 // 0))
    assert worker.alive
