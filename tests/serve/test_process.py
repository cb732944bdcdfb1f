"""A server process of lion-mini, and the official OpenAI client; signals while it works."""

import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import BaseModel

from lion.cli import main
from lion.serve.settings import Settings

ROOT = Path(__file__).parents[2]
httpx = pytest.importorskip("httpx", reason="httpx is not installed")
openai = pytest.importorskip("openai", reason="the openai client is not installed")
pytest.importorskip("uvicorn", reason="lion serve's packages are not installed")

from tests.serve.process import SCENE, URL, Server  # noqa: E402 - where it can be imported


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def asked(text, *before):
    picture = {"type": "image_url", "image_url": {"url": URL}}
    return [{"role": "user", "content": [{"type": "text", "text": text}, picture]}, *before]


def test_the_official_client_gets_captions_dialogs_streams_and_likelihoods(client, lion):
    create = client.chat.completions.create
    caption = create(model="lion-mini", messages=asked("Describe this picture."))
    assert caption.choices[0].message.content == lion.caption(SCENE).text
    assert caption.choices[0].model_extra["lion"]["task"] == "caption" and caption.usage.total_tokens > 50
    first = create(model="lion-mini", messages=asked("is there a kite?")).choices[0].message
    turns = asked("is there a kite?", first.model_dump(), {"role": "user", "content": "what color is it?"})
    dialog = create(model="lion-mini", messages=turns).choices[0].message.content
    assert dialog == lion.chat(SCENE, "what color is it?", [("is there a kite?", first.content)]).text
    chunks = list(
        create(
            model="lion-mini",
            messages=asked("Describe this picture."),
            stream=True,
            temperature=0,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == lion.caption(SCENE, num_beams=1).text and chunks[-1].usage.completion_tokens > 5
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) > 5
    drawn = create(
        model="lion-mini",
        messages=asked("what color is it?"),
        n=3,
        temperature=1,
        seed=1,
        logprobs=True,
        top_logprobs=2,
    )
    assert len(drawn.choices) == 3
    for choice in drawn.choices:
        tokens = choice.logprobs.content
        assert b"".join(bytes(one.bytes) for one in tokens).decode() == choice.message.content
        assert all(len(one.top_logprobs) == 2 for one in tokens)


def test_the_official_client_gets_boxes_in_its_own_model(client, lion):
    class Found(BaseModel):
        label: str
        box: tuple[int, int, int, int]

    parsed = client.chat.completions.parse(model="lion-mini", messages=asked("the kite"), response_format=Found)
    (box,) = lion.locate(SCENE, "the kite", box_only=True).boxes
    assert parsed.choices[0].message.parsed == Found(label="the kite", box=tuple(map(round, box.pixel.xyxy())))


def test_mistakes_are_the_clients_exceptions(client):
    with pytest.raises(openai.BadRequestError, match="tools"):
        client.chat.completions.create(
            model="lion-mini", messages=asked("?"), tools=[{"type": "function", "function": {"name": "x"}}]
        )
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt", messages=asked("?"))
    assert [model.id for model in client.models.list()] == ["lion-mini"]


def test_what_was_accepted_is_answered_before_the_end():
    """TERM under load: every answer is whole, and the process ends with code 0."""
    server = Server("--max-requests", "200")
    body = {"image": URL, "question": [f"what color is thing {number}?" for number in range(8)]}
    results = []

    def ask():
        try:
            results.append(httpx.post(f"{server.url}/v1/lion/ask", json=body, timeout=60))
        except httpx.ConnectError:
            results.append(None)  # it came too late

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 60
    while "lion_requests_in_progress 12.0" not in httpx.get(f"{server.url}/metrics").text and time.monotonic() < end:
        time.sleep(0.01)
    assert server.end() == 0
    for thread in threads:
        thread.join(60)
    assert len(results) == 12 and all(one is not None and one.status_code == 200 for one in results)
    assert all(len(one.json()["answers"]) == 8 for one in results)
    assert not any("Traceback" in line for line in server.log)


@pytest.mark.slow
def test_several_processes_share_a_port_and_one_that_dies_is_replaced():
    server = Server("--workers", "2")
    try:
        codes = [httpx.post(f"{server.url}/v1/lion/tag", json={"image": URL}).status_code for _ in range(10)]
        assert codes == [200] * 10
        text = httpx.get(f"{server.url}/metrics").text
        assert 'lion_requests_total{route="/v1/lion/tag",status="200"} 10.0' in text
    finally:
        assert server.end() == 0


@pytest.mark.slow
def test_one_of_two_processes_is_killed_under_load_and_clients_notice_nothing():
    """kill -9: the other goes on, the dead one is replaced with all it started, and clients that ask again are
    answered. TERM ends both with code 0."""
    psutil = pytest.importorskip("psutil", reason="psutil is not installed")
    server = Server("--workers", "2")
    ended, texts, errors = threading.Event(), [], []
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=5, timeout=60)

    def ask():
        while not ended.is_set():
            try:
                answer = client.chat.completions.create(model="lion-mini", messages=asked("what color is the kite?"))
                texts.append(answer.choices[0].message.content)
            except openai.APIConnectionError:
                if not ended.is_set():
                    raise

    def guarded():
        try:
            ask()
        except Exception as error:
            errors.append(error)

    def workers():
        found = set()
        for one in psutil.Process(server.process.pid).children():
            with suppress(psutil.Error):  # it has just ended
                if "spawn_main" in " ".join(one.cmdline()):
                    found.add(one)
        return found

    threads = [threading.Thread(target=guarded) for _ in range(8)]
    try:
        end = time.monotonic() + 120
        while len(workers()) < 2 and time.monotonic() < end:
            time.sleep(0.1)
        for thread in threads:
            thread.start()
        while len(texts) < 20 and time.monotonic() < end:
            time.sleep(0.05)
        victim, other = sorted(workers(), key=lambda one: one.pid)
        orphans = victim.children(recursive=True)
        victim.kill()
        answered = len(texts)
        time.sleep(0.1)  # it is gone, and its successor far from ready: whoever comes now is the other's
        assert [httpx.get(f"{server.url}/healthz", timeout=5).status_code for _ in range(20)] == [200] * 20
        while (len(texts) < answered + 20 or len(workers()) < 2 or victim in workers()) and time.monotonic() < end:
            time.sleep(0.05)
        assert len(workers()) == 2 and other in workers() and victim not in workers() and len(texts) > answered
        assert not psutil.wait_procs(orphans, 20)[1], "what it started has ended, too"
        text = httpx.get(f"{server.url}/metrics", timeout=30).text
        assert float(re.search(r"^lion_requests_in_progress (.*)$", text, re.MULTILINE)[1]) <= len(threads)
    finally:
        ended.set()
        assert server.end() == 0
        for thread in threads:
            thread.join(120)
    assert not errors and set(texts) == {texts[0]}


@pytest.mark.slow
def test_after_hup_each_process_has_a_successor_and_clients_notice_nothing():
    psutil = pytest.importorskip("psutil", reason="psutil is not installed")
    server = Server("--workers", "2")
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=5, timeout=60)

    def workers():
        found = set()
        for one in psutil.Process(server.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it has just ended; a zombie counts as that, too
                if "spawn_main" in " ".join(one.cmdline()):
                    found.add(one.pid)
        return found

    try:
        end = time.monotonic() + 120
        while sum("listening" in line for line in server.log) < 2 and time.monotonic() < end:
            time.sleep(0.1)
        before, texts = workers(), set()
        server.process.send_signal(signal.SIGHUP)
        while (len(now := workers()) != 2 or now & before) and time.monotonic() < end:
            answer = client.chat.completions.create(model="lion-mini", messages=asked("what color is the kite?"))
            texts.add(answer.choices[0].message.content)
        assert len(now) == len(before) == 2 and not now & before and len(texts) == 1
    finally:
        assert server.end() == 0


PAGES = ("how-to/serving", "how-to/serving_production", "tutorials/serve")
PAGE = "".join((ROOT / "docs" / f"{page}.md").read_text() for page in PAGES)
REFERENCE = (ROOT / "docs" / "reference" / "http.md").read_text()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder as the page assumes it."""
    for name in ("scene.png", "photo.jpg"):
        (tmp_path / name).write_bytes(SCENE.read_bytes())
    (tmp_path / "keys.txt").write_text("secret\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", re.findall(r"^\$ (curl .*)$", PAGE, re.MULTILINE))
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_of_the_docs(server, place, command):
    words = shlex.split(command.replace("http://127.0.0.1:8000", server.url))
    answer = json.loads(subprocess.run(words, capture_output=True, check=True, timeout=60).stdout)
    assert "error" not in answer and all(row.get("ok", True) for row in answer.get("answers", []))


def test_python_of_the_docs(server, place, capsys):
    blocks = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    exec(compile(blocks.replace("http://127.0.0.1:8000", server.url), "docs/how-to/serving.md", "exec"), {})
    out = capsys.readouterr().out
    assert "a farm" in out and "label='the blue kite'" in out and "logprob=" in out


@pytest.mark.parametrize("command", re.findall(r"^\$ lion (serve.*)$", PAGE, re.MULTILINE))
def test_commands_of_the_docs(place, monkeypatch, capsys, command):
    started = []
    monkeypatch.setattr(
        "lion.serve.run.serve", lambda model, settings, *rest, **options: started.append((settings, rest))
    )
    for place_of in ("lion.checkpoints.finding.find_checkpoint", "lion.cli.options.find_folder"):
        monkeypatch.setattr(place_of, lambda model: (Path(), model or "lion-mini"))
    assert main(shlex.split(command)) == 0
    ((settings, (_, _, workers, *_)),) = started
    assert settings.deadline == 60 and workers == 1 + ("--workers" in command) and not capsys.readouterr().err


def test_the_table_of_limits_is_that_of_the_settings():
    defaults = Settings()
    for option, value in {
        "max-requests": defaults.requests,
        "max-body": f"{defaults.body_mb} MB",
        "max-megapixels": defaults.megapixels,
        "max-pictures": defaults.pictures,
        "deadline": f"{defaults.deadline:g} s",
        "max-tokens": defaults.max_tokens,
    }.items():
        assert f"| `--{option}` | {value} |" in REFERENCE


def test_mistakes_of_the_command(capsys, place, monkeypatch):
    def mistake(*words):
        assert main(["serve", *words]) == 2
        return capsys.readouterr().err

    assert "no model folder" in mistake("nothing")
    assert "holds no key" in (mistake("--api-keys", "empty") if (place / "empty").touch() is None else "")
    assert "no decoding 'fast'" in mistake("--decoding", "fast")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "cannot listen on" in mistake("--port", str(taken.getsockname()[1]))
    monkeypatch.setattr("lion.serve.run.serve", lambda *arguments, **options: None)
    assert main(["serve", "--host", "0.0.0.0"]) == 0 and "--api-keys" in capsys.readouterr().err
