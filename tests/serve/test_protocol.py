"""Slow clients: who begins no request, or never ends its headers, is cut off; others are answered meanwhile."""

import socket
import threading
import time

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="lion serve's packages are not installed")

from lion.serve import protocol  # noqa: E402 - where it can be imported


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.8)
    config = uvicorn.Config(app, port=0, http=protocol.HttpProtocol, log_config=None, lifespan="off")
    server, listener = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname()[1]
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
