"""Pictures from the web: which names and addresses are refused, and what a server there may answer."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from lion.errors import LionError
from lion.serve import fetch as fetching
from lion.serve.fetch import fetch, is_public, public_address

HOSTS = frozenset({"pictures.example"})


def get(url, hosts=HOSTS, most=1000, seconds=5):
    return fetch(url, hosts, most, seconds)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://pictures.example/a.png",
        "gopher://pictures.example/",
        "/etc/passwd",
        "",
        "http://other.example/a.png",
        "http://pictures.example.evil.example/a.png",
        "http://pictures.example@evil.example/a.png",
        "http://user:word@pictures.example/a.png",
        "http://pictures.example:22/",
        "https://pictures.example:80/",
        "http://127.0.0.1/a.png",
        "http://[::1]/a.png",
        "http://2130706433/a.png",
        "http://0x7f.1/a.png",
        "http://localhost/a.png",
        "http://pictures.example:x/",
        "http://[pictures.example/",
        "http://pictures.example/a b.png",
        "http://pictures.example/a\r\nHost: evil",
        "http://pictures.example/\u00e9.png",
        "http://pictures\u3002example/a.png",
    ],
)
def test_urls_that_are_refused_before_any_name_is_resolved(url, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: pytest.fail("resolved"))
    with pytest.raises(LionError) as caught:
        get(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_addresses_of_private_networks(address, monkeypatch):
    assert not is_public(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    public = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))
    for found in ([(family, socket.SOCK_STREAM, 6, "", (address, 80))], [public, (family, 1, 6, "", (address, 80))]):
        monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, found=found, **options: found)
        with pytest.raises(LionError, match="private network"):
            public_address("pictures.example", 80)


def test_public_addresses():
    assert all(map(is_public, ("93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "64:ff9b::808:808")))


class Web(BaseHTTPRequestHandler):
    """Answers by path, on this machine."""

    def do_GET(self):
        status = {"/moved": 302, "/gone": 404}.get(self.path.partition("?")[0], 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1/secret")
        if self.path == "/lies":
            self.send_header("Content-Length", "10")
        if self.path == "/large":
            self.send_header("Content-Length", "5000")
        self.end_headers()
        body = b"x" * (5000 if self.path in ("/large", "/endless") else 10)
        self.wfile.write(f"{self.headers['Host']} {self.path}".encode() if self.path == "/name?a=b" else body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def web(monkeypatch):
    """A server that the name of the tests is said to resolve to."""
    server = HTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setattr(fetching, "public_address", lambda name, port: "127.0.0.1")
    monkeypatch.setitem(fetching.PORTS, "http", server.server_port)
    yield server
    server.shutdown()


def test_the_connection_goes_to_the_checked_address_and_names_the_host(web):
    assert get("http://pictures.example/name?a=b").startswith(b"pictures.example")
    assert get("http://pictures.example") == b"x" * 10


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("moved", "redirects are not followed"),
        ("gone", "answered 404"),
        ("large", "the limit"),
        ("endless", "the limit"),
    ],
)
def test_answers_that_are_refused(web, path, word):
    with pytest.raises(LionError, match=word):
        get(f"http://pictures.example/{path}")


def test_a_name_is_resolved_once_and_the_checked_address_is_the_one_that_is_asked(monkeypatch):
    """A name that has another address a moment later gains nothing."""
    answers, asked = iter(["93.184.216.34", "127.0.0.1"]), []

    def resolve(name, port, *arguments, **options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connect(address, *arguments, **options):
        asked.append(address)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    for url in ("http://pictures.example/", "https://pictures.example/"):
        answers = iter(["93.184.216.34", "127.0.0.1"])
        with pytest.raises(LionError, match="refused"):
            get(url)
    assert asked == [("93.184.216.34", 80), ("93.184.216.34", 443)]


def test_an_address_that_does_not_answer_is_one_line(monkeypatch):
    monkeypatch.setattr(fetching, "public_address", lambda name, port: "127.0.0.1")
    monkeypatch.setitem(fetching.PORTS, "http", 9)
    with pytest.raises(LionError, match=r"pictures\.example cannot be fetched"):
        get("http://pictures.example/a.png")


def test_a_name_without_an_address_is_one_line(monkeypatch):
    def unknown(*arguments, **options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(LionError, match="Name or service not known"):
        get("https://pictures.example/a.png")


def test_the_server_fetches_only_from_hosts_it_was_told(client, pipeline, picture, web, monkeypatch):
    from tests.serve.conftest import client_of, encoded

    for url in ("http://pictures.example/a.png", "file:///etc/passwd", "http://127.0.0.1:1/", "http://[::1]/"):
        response = client.post("/v1/lion/tag", {"image": url})
        assert response.status_code == 400 and "127.0.0.1" not in response.text.replace(url, "").replace(url[7:18], "")
    monkeypatch.setattr(
        Web, "do_GET", lambda self: (self.send_response(200), self.end_headers(), self.wfile.write(encoded(picture)))
    )
    with client_of(pipeline, hosts=HOSTS) as allowed:
        response = allowed.post("/v1/lion/tag", {"image": "http://pictures.example/a.png"})
        assert response.json()["answers"][0]["tags"] == ["car", "tree", "sun"]
