"""Slow clients: who begins no request, or never ends its headers, is cut off; others are answered meanwhile."""

import asyncio
import gc
import socket
import threading
import time
import weakref
from contextlib import suppress

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="lion serve's packages are not installed")

from lion.serve import protocol  # noqa: E402 - where it can be imported

HELD = threading.Event()
"""Set once an app may read a body."""
HELD.set()


async def app(scope, receive, send):
    if dict(scope["headers"]).get(b"content-length"):
        while not HELD.is_set():
            await asyncio.sleep(0.01)
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def port(listener):
    return listener.getsockname()[1]


@pytest.fixture(autouse=True)
def server(listener, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.8)
    config = uvicorn.Config(app, port=0, http=protocol.HttpProtocol, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield server
    server.should_exit = True
    thread.join(10)


def connect(port, first=b""):
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(first)
    return connection


def closed(connection):
    """Whether the server closes it, however slowly letters come."""
    connection.settimeout(0.05)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            connection.sendall(b"a")
            if connection.recv(100) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


REQUEST = b"GET / HTTP/1.1\r\nHost: lion\r\n\r\n"


def answered(connection):
    """Whether a whole answer comes."""
    found = b""
    while not found.endswith(b"\r\n\r\nok"):
        if not (part := connection.recv(1000)):
            return False
        found += part
    return found.startswith(b"HTTP/1.1 200")


def test_who_begins_no_request_is_cut_off(port):
    slow, other = connect(port, b"GET / HTTP/1.1\r\nX-Slow: "), connect(port, REQUEST)
    assert answered(other)
    assert closed(slow)
    assert answered(connect(port, REQUEST))


def test_a_connection_may_ask_again(port):
    connection = connect(port)
    for _ in range(4):
        connection.sendall(REQUEST)
        assert answered(connection)
    assert closed(connection)


@pytest.mark.parametrize(
    ("method", "size", "most"),
    [("POST", protocol.UNREAD // 2, None), ("POST", 2**26, protocol.UNREAD), ("GET", 2**26, 2**16)],
)
def test_of_a_body_that_nobody_reads_yet_only_a_little_is_taken(server, port, method, size, most):
    HELD.clear()
    try:
        connection = connect(port, f"{method} / HTTP/1.1\r\nHost: lion\r\nContent-Length: {size}\r\n\r\n".encode())
        connection.settimeout(0.5)
        left = memoryview(bytes(size))
        with suppress(TimeoutError):
            while left:
                left = left[connection.send(left) :]
        end = time.monotonic() + 10
        while not server.server_state.connections and time.monotonic() < end:
            time.sleep(0.01)
        (ours,) = server.server_state.connections
        while (not ours.cycle or len(ours.cycle.body) < (most or size)) and time.monotonic() < end:
            time.sleep(0.01)
        assert ours.flow.read_paused == (most is not None)
        assert len(ours.cycle.body) == size if most is None else most < len(ours.cycle.body) <= most + 2**18
    finally:
        HELD.set()
    connection.settimeout(20)
    connection.sendall(left)
    assert answered(connection)


def test_a_connection_that_ends_leaves_nothing_behind(server, port):
    """Not even until the collector of cycles comes: it would hold the last request's body."""
    gc.collect()
    gc.disable()
    try:
        connection, end = connect(port), time.monotonic() + 20
        while not server.server_state.connections and time.monotonic() < end:
            time.sleep(0.01)
        (ours,) = map(weakref.ref, server.server_state.connections)
        connection.sendall(b"POST / HTTP/1.1\r\nHost: lion\r\nContent-Length: 2\r\n\r\n{}")
        assert answered(connection)
        connection.close()
        while ours() is not None and time.monotonic() < end:
            time.sleep(0.01)
        assert ours() is None
    finally:
        gc.enable()


def test_a_request_behind_another_one_waits_for_its_answer(port):
    connection, found = connect(port, REQUEST + REQUEST), b""
    while found.count(b"\r\n\r\nok") < 2:
        part = connection.recv(1000)
        assert part
        found += part
    assert found.count(b"HTTP/1.1 200") == 2
