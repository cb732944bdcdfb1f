"""Processes of one server: their share of the cores, and of the clients."""

import socket
from types import SimpleNamespace

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="lion serve's packages are not installed")

from lion.errors import LionError  # noqa: E402 - where it can be imported
from lion.serve import run  # noqa: E402


@pytest.mark.parametrize(
    ("weights", "cores", "workers", "wanted"),
    [(2**24, 16, 1, 1), (2**26, 4, 2, 1), (2**30, 16, 1, 16), (2**30, 16, 3, 5), (2**30, 2, 4, 1)],
)
def test_processes_share_the_cores_and_a_small_model_takes_one(weights, cores, workers, wanted):
    assert run.threads(weights, cores, workers) == wanted


@pytest.fixture
def listeners():
    opened = run._listen("127.0.0.1", 0, 3)
    yield opened
    for one in opened:
        one.close()


@pytest.mark.skipif(not run.DEALT, reason="here processes share one listener")
def test_every_process_gets_its_share_of_a_burst(listeners):
    address = listeners[0].getsockname()
    assert {one.getsockname() for one in listeners} == {address}
    clients = [socket.create_connection(address, timeout=10) for _ in range(120)]
    waiting = []
    for listener in listeners:
        listener.setblocking(False)
        accepted = []
        try:
            while True:
                accepted.append(listener.accept()[0])
        except BlockingIOError:
            waiting.append(len(accepted))
        for one in accepted:
            one.close()
    for client in clients:
        client.close()
    assert sum(waiting) == 120 and min(waiting) >= 10


@pytest.mark.parametrize("count", [1, 2])
def test_an_address_that_is_taken_is_told_also_where_it_could_be_shared(listeners, count):
    with pytest.raises(LionError, match="cannot listen on"):
        run._listen("127.0.0.1", listeners[0].getsockname()[1], count)


def test_a_process_takes_the_listener_of_the_one_that_has_ended(monkeypatch):
    monkeypatch.setattr("signal.signal", lambda number, handler: None)  # these processes' signals are not the tests'
    config = uvicorn.Config("none:app", workers=3)
    processes = run._Processes(config, ["one", "two", "three"])
    alive, dead = SimpleNamespace(exitcode=None), SimpleNamespace(exitcode=-9)
    for started, wanted in (([], "one"), ([alive], "two"), ([alive] * 2, "three"), ([alive, dead, dead], "two")):
        processes.processes = started
        assert processes.sockets == [wanted]
    processes.processes = [alive] * 3
    assert processes.sockets == ["one", "two", "three"]  # one more than was asked for serves all
