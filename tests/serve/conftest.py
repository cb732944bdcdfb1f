"""One app over the tiny model for all tests of this folder, and a client in the tests' own process."""

import asyncio
import base64
import threading
from contextlib import contextmanager
from io import BytesIO

import pytest
from PIL import Image

from lion.pipeline import DecodingPreset, LionPipeline
from tests.pipeline import tiny

pytest.importorskip("fastapi", reason="lion serve's packages are not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")

from lion.serve.app import create_app  # noqa: E402 - where it can be imported
from lion.serve.settings import Settings  # noqa: E402
from tests.serve.process import Server  # noqa: E402


def encoded(image, kind="PNG", **options):
    """A picture's file as bytes."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def data_url(content, kind="png"):
    """Bytes of a picture as a data: URL."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def scans(side, count):
    """A grey JPEG whose last scan comes so many times more."""
    whole = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    before, _, last = whole.removesuffix(b"\xff\xd9").rpartition(b"\xff\xda")
    return before + (b"\xff\xda" + last) * (count + 1) + b"\xff\xd9"


def message(text, *urls, role="user"):
    """A message with pictures."""
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": role, "content": [{"type": "text", "text": text}, *parts]}


class Client:
    """Calls an app from a loop in a thread of its own; ``post`` and ``get`` wait, ``run`` takes any coroutine."""

    def __init__(self, app):
        self.app, self.loop = app, asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lion", timeout=60)

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def post(self, path, body=None, **options):
        return self.run(self.http.post(path, **({"json": body} if body is not None else {}), **options))

    def get(self, path, **options):
        return self.run(self.http.get(path, **options))

    def chat(self, text, url, **fields):
        return self.post("/v1/chat/completions", {"messages": [message(text, url)], **fields})

    @property
    def serving(self):
        return self.app.state.serving


@contextmanager
def client_of(pipeline, **settings):
    """A client of an app of one's own, from its start to its end."""
    app = create_app(pipeline, Settings(**settings))
    client, ended = Client(app), threading.Event()

    async def live(started):
        async with app.router.lifespan_context(app):
            started.set()
            await asyncio.to_thread(ended.wait)

    started = threading.Event()
    life = asyncio.run_coroutine_threadsafe(live(started), client.loop)
    assert started.wait(60) or life.result()
    try:
        yield client
    finally:
        ended.set()
        life.result(60)
        client.loop.call_soon_threadsafe(client.loop.stop)


@pytest.fixture(scope="session")
def pipeline():
    processor = tiny.processor()
    lion = LionPipeline(tiny.model(processor), processor, tiny.tagger(), name="models/tiny", batch_size=4)
    lion.decoding = dict.fromkeys(lion.decoding, DecodingPreset(num_beams=2, max_new_tokens=6))
    return lion


@pytest.fixture(scope="session")
def client(pipeline):
    with client_of(pipeline) as client:
        yield client


@pytest.fixture(scope="session")
def picture():
    return Image.linear_gradient("L").resize((90, 60)).convert("RGB")


@pytest.fixture(scope="session")
def url(picture):
    return data_url(encoded(picture))


@pytest.fixture
def says(pipeline, monkeypatch):
    """Let the model write a given text whatever it is asked."""
    return lambda text: monkeypatch.setattr(pipeline, "decoder", tiny.Says(pipeline.processor, text))


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    assert server.end() == 0


@pytest.fixture(scope="module")
def lion():
    return LionPipeline.from_pretrained()
