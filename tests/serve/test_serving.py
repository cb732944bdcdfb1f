"""How a route waits: for its work, its deadline, or the client's end, whichever comes first."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from lion.serve.errors import HttpError
from lion.serve.protocol import GONE
from lion.serve.serving import within


class Asking:
    """A request whose client leaves after so many seconds, as our protocol tells, or another server's messages."""

    ours = False

    def __init__(self, leaves: float = 60):
        self.leaves = leaves

    @property
    def scope(self) -> dict[str, Any]:
        gone = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(self.leaves, gone.set_result, None)
        return {"state": {GONE: gone} if self.ours else {}}

    async def receive(self) -> dict[str, str]:
        await asyncio.sleep(self.leaves)
        return {"type": "http.disconnect"}


@pytest.fixture(autouse=True, params=[False, True], ids=["messages", "protocol"])
def told_by(request, monkeypatch):
    monkeypatch.setattr(Asking, "ours", request.param)


class Work:
    """Takes so long, and notes whether it was stopped."""

    def __init__(self, seconds: float):
        self.seconds, self.stopped = seconds, False

    async def __call__(self) -> str:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.stopped = True
            raise
        return "done"


def _waited(work: Coroutine[Any, Any, str], leaves: float = 60, deadline: float = 60) -> str:
    return asyncio.run(within(Asking(leaves), deadline, work))  # type: ignore[arg-type]


def test_work_that_ends_in_time_gives_its_result():
    assert _waited(Work(0)()) == _waited(Work(0.01)()) == "done"


@pytest.mark.parametrize(
    ("given", "status"), [({"leaves": 0.01}, 499), ({"deadline": 0.01}, 504), ({"deadline": -1}, 504)]
)
def test_work_is_stopped_when_the_client_goes_or_time_is_over(given, status):
    work = Work(5)
    with pytest.raises(HttpError) as failed:
        _waited(work(), **given)
    assert failed.value.status_code == status
    assert work.stopped or given.get("deadline") == -1


def test_the_route_goes_on_after_its_client_has_gone():
    async def route() -> str:
        with pytest.raises(HttpError):
            await within(Asking(0.01), 60, Work(5)())  # type: ignore[arg-type]
        await asyncio.sleep(0.01)  # would be cut off, were the task still being cancelled
        return "answered"

    assert asyncio.run(route()) == "answered"


def test_errors_of_the_work_itself_are_passed_on():
    async def fails(error: Exception) -> str:
        raise error

    for error in (TimeoutError("its own"), ValueError("bad")):
        with pytest.raises(type(error), match=str(error)):
            _waited(fails(error))


def test_a_cancelled_route_is_no_gone_client():
    async def cancelled() -> None:
        route = asyncio.ensure_future(within(Asking(), 60, Work(5)()))  # type: ignore[arg-type]
        await asyncio.sleep(0.01)
        route.cancel()
        with pytest.raises(asyncio.CancelledError):
            await route

    asyncio.run(cancelled())
