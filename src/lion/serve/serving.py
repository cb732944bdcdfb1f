"""What the routes of an app share, and how they wait: no longer than the deadline, nor than the client does."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import fastapi

from lion.pipeline import Answer, Result
from lion.serve.errors import HttpError
from lion.serve.metrics import Metrics, labelled
from lion.serve.pictures import Pictures
from lion.serve.protocol import GONE
from lion.serve.settings import Settings
from lion.serve.worker import Worker

T = TypeVar("T")


@dataclass(slots=True)
class Serving:
    """One process's worker, pictures and counters."""

    name: str
    """Of the model, as clients write it; never a path."""
    settings: Settings
    worker: Worker
    pictures: Pictures
    metrics: Metrics
    started: int = field(default_factory=lambda: int(time.time()))
    """When, in seconds since 1970."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names that clients may write as the model: its own, and those of its adapters."""
        return self.name, *self.worker.pipeline.adapters

    def adapters_of(self, model: str | None) -> str | None:
        """The adapters that a client's model means; None for the model as it is. Raises: HttpError for neither."""
        if model not in (None, *self.models):
            there = " and ".join(f"'{name}'" for name in self.models)
            raise HttpError(404, f"there is no model '{model}' here, only {there}", "model_not_found", "model")
        return None if model == self.name else model

    def count(self, result: Result) -> None:
        """Add a result to the metrics."""
        labelled(self.metrics.tokens, "prompt").inc(result.prompt_tokens)
        labelled(self.metrics.tokens, "completion").inc(sum(len(output.ids) for output in result.outputs))
        for answer in result.answers:
            labelled(self.metrics.answers, answer.task, str(answer.ok).lower()).inc()


def serving_of(request: fastapi.Request) -> Serving:
    """What the app of a request shares."""
    found = request.app.state.serving
    assert isinstance(found, Serving)
    return found


async def within(request: fastapi.Request, deadline: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled where it takes too long, or the client has gone.

    Raises: HttpError in either case.
    """
    own, cause = asyncio.current_task(), ""
    assert own

    def stop(why: str) -> None:
        nonlocal cause
        cause = why
        own.cancel()

    def leave(gone: asyncio.Future[None]) -> None:
        if not gone.cancelled():
            stop("gone")

    known = request.scope.get("state", {}).get(GONE)
    gone = known or asyncio.ensure_future(_gone(request))  # our protocol knows without a task
    gone.add_done_callback(leave)
    limit = asyncio.get_running_loop().call_later(deadline, stop, "late")
    try:
        return await work
    except asyncio.CancelledError:
        if not cause or own.uncancel():  # somebody else cancels, too
            raise
        if cause == "gone":
            raise HttpError(499, "the client has gone", "client_gone") from None
        raise HttpError(504, f"no answer within {deadline:g} s, the deadline; try again later", "deadline") from None
    finally:
        gone.remove_done_callback(leave)
        limit.cancel()
        if not known:
            gone.cancel()


async def _gone(request: fastapi.Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def describe(answer: Answer, notes: tuple[str, ...] = ()) -> dict[str, Any]:
    """An answer as JSON: the keys of ``lion ask --json``, without the picture's and model's names."""
    row = answer.to_json()
    for name in ("image", "model"):
        del row[name]
    row["note"] = "; ".join([*([row["note"]] if row.get("note") else []), *notes]) or None
    return row
