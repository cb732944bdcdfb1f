"""Processes of one server: their share of the cores, and of the clients."""

import gc
import json
import os
import signal
import socket
import threading
import time
import warnings
from contextlib import suppress

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="lion serve's packages are not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")

from lion.errors import LionError  # noqa: E402 - where it can be imported
from lion.serve import protocol, run  # noqa: E402


@pytest.mark.parametrize(
    ("weights", "cores", "workers", "wanted"),
    [(2**24, 16, 1, 1), (2**26, 4, 2, 1), (2**30, 16, 1, 16), (2**30, 16, 3, 5), (2**30, 2, 4, 1)],
)
def test_processes_share_the_cores_and_a_small_model_takes_one(weights, cores, workers, wanted):
    assert run.threads(weights, cores, workers) == wanted


@pytest.mark.parametrize(
    ("weights", "cores", "workers", "wanted"),
    [
        (2**24, 16, 1, "this small model uses 1 of 16 cores; many clients want --workers N, N up to 16"),
        (2**24, 2, 2, None),
        (2**24, 1, 1, None),
        (2**30, 16, 3, None),
    ],
)
def test_a_small_model_that_leaves_cores_idle_says_how_to_use_them(weights, cores, workers, wanted):
    assert run.idle(weights, cores, workers) == wanted


@pytest.fixture
def reserved():
    with run._reserved(run._listen("127.0.0.1", 0)) as made:
        yield made


dealt = pytest.mark.skipif(not run.DEALT, reason="here processes share one listener")


class Successor:
    """A process that is ready after so many looks, and what becomes of it."""

    looks, alive, made = 2, True, []

    def __init__(self, *given):
        self.process, self.calls = self, []
        self.made.append(self)

    def is_alive(self):
        return self.alive

    def wait_until_ready(self, seconds):
        self.looks -= 1
        return self.looks < 0

    def __getattr__(self, name):
        return lambda: self.calls.append(name)


@pytest.fixture
def processes(monkeypatch):
    """Two of them, under the eyes of what replaces them."""
    monkeypatch.setattr(Successor, "made", [])
    monkeypatch.setattr(run, "Process", Successor)
    own = run._Processes.__new__(run._Processes)
    own.config = own.sockets = None
    own.processes, own.signal_queue, own.watched = [Successor(), Successor()], [], 0

    def watch():
        own.watched += 1

    own.keep_subprocess_alive = watch
    return own


def test_each_process_ends_once_its_successor_is_ready(processes):
    old = list(processes.processes)
    processes.restart_all()
    assert [one.calls for one in old] == [["terminate", "join"]] * 2
    assert processes.processes == Successor.made[2:] and [one.calls for one in processes.processes] == [["start"]] * 2
    assert processes.watched == 4, "one that dies meanwhile is replaced"


@pytest.mark.parametrize("why", ["late", "dead", "ends"])
def test_processes_stay_where_a_successor_is_not_ready(processes, monkeypatch, why):
    monkeypatch.setattr(Successor, "looks", 10**6)
    monkeypatch.setattr(Successor, "alive", why != "dead")
    monkeypatch.setattr(run, "LOADS_WITHIN", 0.02 if why == "late" else 600)
    processes.signal_queue += [signal.SIGTERM] * (why == "ends")
    old = list(processes.processes)
    processes.restart_all()
    assert processes.processes == old and not any(one.calls for one in old)
    assert [one.calls for one in Successor.made[2:]] == [["start", "kill", "join"]]


def test_an_address_that_is_taken_leaves_no_socket_open(reserved):
    gc.collect()  # what other tests have left
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        with pytest.raises(LionError, match="cannot listen on"):
            run._listen(*reserved.getsockname())
        gc.collect()
    assert not [one for one in told if "socket" in str(one.message)]


@dealt
def test_every_process_gets_its_share_of_a_burst(reserved):
    address = reserved.getsockname()
    listeners = [protocol.shared(reserved.family, address) for _ in range(3)]
    for listener in listeners:
        listener.listen(200)
        listener.setblocking(False)
    clients = [socket.create_connection(address, timeout=10) for _ in range(120)]
    taken = []
    for listener in listeners:
        taken.append(0)
        with suppress(BlockingIOError):
            while True:
                listener.accept()[0].close()
                taken[-1] += 1
    for one in [*clients, *listeners]:
        one.close()
    assert sum(taken) == 120 and min(taken) >= 10


@dealt
@pytest.mark.parametrize("ready", [False, True])
def test_an_address_of_several_processes_is_taken_for_another_server(reserved, ready):
    with protocol.shared(reserved.family, reserved.getsockname()) as listener:
        if ready:
            listener.listen()
        with pytest.raises(LionError, match="cannot listen on"):
            run._listen(*reserved.getsockname())


@dealt
def test_between_two_servers_an_address_is_nobody_elses(monkeypatch):
    """At no moment can a second server have it, whichever listener the first has got to."""
    taken, listener = [], run._listen("127.0.0.1", 0)
    address, make = listener.getsockname(), protocol.shared

    def between(*place):
        for _ in range(2):  # before the address is reserved, and after
            with suppress(LionError):
                taken.append(run._listen(*address))
            made = make(*place)
        return made

    monkeypatch.setattr(run, "shared", between)
    run._reserved(listener).close()
    assert not taken


@dealt
def test_a_server_follows_another_whose_connections_linger():
    listener = run._listen("127.0.0.1", 0)
    for _ in range(2):  # after one process, and after several
        address = listener.getsockname()
        client, (connection, _) = socket.create_connection(address), listener.accept()
        connection.close()  # it lingers with who closes first
        client.close()
        listener.close()
        with run._reserved(run._listen(*address)) as reserved:
            listener = protocol.shared(reserved.family, address)
            listener.listen()
    listener.close()
    run._listen(*address).close()


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@dealt
def test_a_process_listens_from_when_it_is_ready_until_it_ends(reserved, caplog):
    caplog.set_level("INFO", "lion.serve")
    url = protocol.url_of(reserved)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    config = uvicorn.Config(app, loop="lion.serve.protocol:Loop", http=protocol.HttpProtocol, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([reserved],))
    thread.start()
    end = time.monotonic() + 20
    while not caplog.messages and time.monotonic() < end:
        time.sleep(0.01)
    assert json.loads(caplog.messages[0]) == {"listening": url, "process": os.getpid()}
    assert httpx.get(url).text == "ok"
    server.should_exit = True
    thread.join(20)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
