"""What clients send to do harm, to a server process of its own: nothing but errors of 4xx, and a server that goes on
with bounded memory."""

import json
import socket
import struct
import threading
import time
import zlib
from contextlib import suppress
from io import BytesIO

import pytest
from PIL import Image

from tests.serve.conftest import encoded, scans
from tests.serve.process import URL, Server

pytestmark = pytest.mark.slow
psutil = pytest.importorskip("psutil", reason="psutil is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")
MB = 2**20
HOSTS = (
    "pictures.example",
    "localhost",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "[::1]",
    "::1",
    "127.0.0.1",
)


@pytest.fixture(scope="module")
def server():
    server = Server(*(word for host in HOSTS for word in ("--allow-url", host)))
    yield server
    assert server.end() == 0
    assert not any("Traceback" in line for line in server.log), server.log


def memory(server):
    """Resident megabytes of the server's processes."""
    own = psutil.Process(server.process.pid)
    return sum(one.memory_info().rss for one in [own, *own.children(recursive=True)]) / MB


@pytest.fixture(autouse=True)
def lives(server):
    """A stranger is answered afterwards, nothing is left in progress, and memory has not grown without end."""
    assert httpx.post(f"{server.url}/v1/lion/tag", json={"image": URL}, timeout=60).status_code == 200
    before, peak, ended = memory(server), [0.0], threading.Event()

    def watch():
        while not ended.wait(0.02):
            peak[0] = max(peak[0], memory(server))

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield
    ended.set()
    watcher.join()
    assert httpx.post(f"{server.url}/v1/lion/tag", json={"image": URL}, timeout=60).status_code == 200
    end = time.monotonic() + 30
    while "lion_requests_in_progress 0.0" not in httpx.get(f"{server.url}/metrics", timeout=30).text:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert peak[0] < before + 600 and memory(server) < before + 300


def connect(server):
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def raw(server, content):
    """What comes back for bytes as they are, after which nothing more is sent."""
    with connect(server) as connection:
        answer = b""
        with suppress(OSError):  # it is closed before all is sent
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while piece := connection.recv(65536):
                answer += piece
        return answer


def head(path="/v1/lion/tag", *lines):
    return "\r\n".join(
        [f"POST {path} HTTP/1.1", "Host: lion", "Content-Type: application/json", *lines, "", ""]
    ).encode()


BODY = json.dumps({"image": URL}).encode()


@pytest.mark.parametrize(
    "content",
    [
        head() + BODY,  # without a length there is no body
        head("/v1/lion/tag", "Content-Length: -1"),
        head("/v1/lion/tag", "Content-Length: 1", "Content-Length: 2") + b"{}",
        head("/v1/lion/tag", "Content-Length: many") + b"{}",
        head("/v1/lion/tag", "Transfer-Encoding: chunked") + b"xyz\r\n",
        head("/v1/lion/tag", "Transfer-Encoding: chunked") + b"-5\r\nhello\r\n",
        head("/v1/lion/tag", "Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n",
        head("/v1/lion/tag", *(f"X-{number}: {'a' * 1000}" for number in range(200))),
        b"POST /v1/lion/tag HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\0" * 1000 + b"\r\n\r\n",
    ],
    ids=range(13),
)
def test_what_is_no_http_is_refused(server, content):
    answer = raw(server, content)
    assert answer.startswith(b"HTTP/1.1 4") or (not answer and len(content) > 100_000)


@pytest.mark.parametrize("length", [1, len(BODY) // 2, len(BODY) - 1])
def test_bodies_that_are_cut_off(server, length):
    for lines, body in (
        ((f"Content-Length: {len(BODY)}",), BODY[:length]),
        (("Transfer-Encoding: chunked",), f"{len(BODY):x}\r\n".encode() + BODY[:length]),
    ):
        answer = raw(server, head("/v1/lion/tag", *lines) + body)
        assert not answer or answer.startswith(b"HTTP/1.1 400")


def test_uploads_of_100_megabytes(server):
    def pieces():
        for _ in range(100):
            yield b"x" * MB

    for options in ({"content": b"x" * 100 * MB}, {"content": pieces()}, {"files": {"image": b"x" * 100 * MB}}):
        response = httpx.post(f"{server.url}/v1/lion/tag", timeout=60, **options)
        assert response.status_code == 413 and response.json()["error"]["code"] == "body_too_large"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks, size=(8, 8)):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def gif(frames, side=2000):
    buffer = BytesIO()
    pictures = [Image.new("P", (side, side), number % 256) for number in range(frames)]
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:])
    return buffer.getvalue()


def bombs():
    zeros = zlib.compress(b"\0" * 300 * MB, 9)
    yield "png of 40,000 x 40,000", png(chunk(b"IDAT", zeros), size=(40_000, 40_000))
    yield "png of 2^31 - 1", png(chunk(b"IDAT", zeros), size=(2**31 - 1, 2**31 - 1))
    yield (
        "png whose text unpacks to 300 MB",
        png(chunk(b"zTXt", b"a\0\0" + zeros), chunk(b"IDAT", zlib.compress(b"\0"))),
    )
    yield "png whose profile unpacks to 300 MB", png(chunk(b"iCCP", b"a\0\0" + zeros), chunk(b"IDAT", b""))
    yield "png of a million chunks", png(chunk(b"abCd", b"") * 1_000_000)
    yield (
        "webp of 16,383 x 16,383",
        encoded(Image.new("1", (16_383, 16_383)).convert("RGB"), "WEBP", lossless=True, method=0),
    )
    yield (
        "gif of a frame beyond its screen",
        gif(1, 8).replace(b"\x2c\0\0\0\0\x08\0\x08\0", b"\x2c\0\0\0\0\xff\xff\xff\xff"),
    )
    yield (
        "tiff that says it is large",
        encoded(Image.new("L", (8, 8)), "TIFF").replace(
            struct.pack("<HHII", 256, 4, 1, 8), struct.pack("<HHII", 256, 4, 1, 2**31 - 1)
        ),
    )
    yield (
        "bmp that says it is large",
        encoded(Image.new("L", (8, 8)), "BMP").replace(struct.pack("<ii", 8, 8), b"\xff\xff\xff\x7f" * 2, 1),
    )


@pytest.mark.parametrize(("what", "content"), [pytest.param(*bomb, id=bomb[0]) for bomb in bombs()])
def test_bombs(server, what, content):
    assert len(content) < 19 * MB
    response = httpx.post(f"{server.url}/v1/lion/tag", files={"image": content}, timeout=60)
    assert response.status_code == 400, (what, response.text)
    assert "/" not in response.json()["error"]["message"].replace("base64", "")


def test_of_many_frames_one_is_decoded(server):
    response = httpx.post(f"{server.url}/v1/lion/tag", files={"image": gif(500)}, timeout=60)
    assert response.status_code == 200 and response.json()["answers"][0]["size"] == [2000, 2000]


def test_pictures_that_take_hours_hold_nobody_up_for_long(server):
    hours = scans(4000, 200_000)
    statuses = []
    threads = [
        threading.Thread(
            target=lambda: statuses.append(
                httpx.post(f"{server.url}/v1/lion/tag", files={"image": hours}, timeout=90).status_code
            )
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert httpx.post(f"{server.url}/v1/lion/tag", json={"image": URL}, timeout=90).status_code == 200
    for thread in threads:
        thread.join()
    assert set(statuses) <= {400, 504}


def test_clients_that_send_slowly_take_nobodys_place(server):
    """More than there are places: headers are given up after ten seconds, bodies after thirty."""
    lines = head("/v1/lion/tag", f"Content-Length: {len(BODY)}")
    connections = [connect(server) for _ in range(200)]
    began = time.monotonic()
    answered = []
    try:
        for number, connection in enumerate(connections):
            connection.sendall(lines[:20] if number % 2 else lines + BODY[:5])
        for place in range(20, 33):
            assert httpx.post(f"{server.url}/v1/lion/tag", json={"image": URL}, timeout=30).status_code == 200
            answered.append(time.monotonic() - began)
            for number, connection in enumerate(connections):
                try:
                    connection.sendall(lines[place : place + 1] if number % 2 else BODY[place - 15 : place - 14])
                except OSError:
                    assert number % 2, "a body has thirty seconds"
            time.sleep(1)
        heads = [connection.recv(1000) for connection in connections[1::2]]
        assert set(heads) == {b""} or all(not one or one.startswith(b"HTTP/1.1 4") for one in heads)
        assert all(connection.recv(1000).startswith(b"HTTP/1.1 408") for connection in connections[::2])
        assert time.monotonic() - began < 60
    finally:
        for connection in connections:
            connection.close()


def test_clients_that_go_away_in_the_middle_of_a_stream(server):
    parts = [{"type": "text", "text": "Describe this picture."}, {"type": "image_url", "image_url": {"url": URL}}]
    body = json.dumps({"messages": [{"role": "user", "content": parts}], "stream": True, "temperature": 0}).encode()
    for piece in (1, 200, 1000):
        for _ in range(5):
            with connect(server) as connection:
                connection.sendall(head("/v1/chat/completions", f"Content-Length: {len(body)}") + body)
                assert connection.recv(piece)


URLS = [
    "file:///etc/passwd",
    "FILE:/etc/passwd",
    "http://localhost/",
    "http://localhost:80/",
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[fe80::1%25eth0]/",
    "http://0/",
    "http://127.0.0.1.nip.io/",
    "http://pictures.example@127.0.0.1/",
    "http://127.0.0.1#@pictures.example/",
    "http://127.0.0.1\\@pictures.example/",
    "http://pictures.example#@127.0.0.1/",
    "http://pictures.example:80@127.0.0.1/",
    "http://pictures.example:22/",
    "http://pictures.example.:80/",
    "http:///127.0.0.1/",
    "http:127.0.0.1",
    "//127.0.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "gopher://127.0.0.1/",
    "jar:http://127.0.0.1!/",
    " http://127.0.0.1/",
    "\thttp://127.0.0.1/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://\u24db\u24deca\u24dbhost/",
    "javascript:alert(1)",
    "http://" + "a" * 10_000 + "/",
]


def test_no_url_reaches_this_machine(server):
    """Though the server was told to fetch from some of these names."""
    for url in URLS:
        response = httpx.post(f"{server.url}/v1/lion/tag", json={"image": url}, timeout=60)
        assert response.status_code == 400, url
        message = response.json()["error"]["message"]
        assert message and "\n" not in message and len(message) < 500, url
