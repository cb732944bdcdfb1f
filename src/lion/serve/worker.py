"""The one thread that owns a pipeline. Requests come at any time and join those that are being decoded between two
steps (continuous batching); whoever stops listening frees its place.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from lion.engine import Output
from lion.errors import LionError
from lion.pipeline import ContinuousBatch, LionPipeline, Request, Result
from lion.serve.errors import LOG, HttpError

T = TypeVar("T")
Event = list[Output] | Result | Exception


@dataclass(eq=False, slots=True)
class Job:
    """A request on its way through the worker."""

    request: Request
    streams: bool
    """Whether what is certain of the answers is wanted before their end."""
    loop: asyncio.AbstractEventLoop
    events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)

    async def next(self) -> list[Output] | Result:
        """The answers so far, for one that streams, or the result, which comes last.

        Raises: LionError if the request cannot be answered.
        """
        event = await self.events.get()
        if isinstance(event, Exception):
            raise event
        return event

    async def result(self) -> Result:
        """The result. Raises: as :meth:`next`."""
        while not isinstance(event := await self.next(), Result):
            pass
        return event


class Worker:
    """A thread, and the pipeline that nobody else may use while it runs.

    Args:
        pipeline: answers.
    """

    def __init__(self, pipeline: LionPipeline) -> None:
        self.pipeline = pipeline
        self._batch = ContinuousBatch(pipeline)
        self._inbox: queue.SimpleQueue[tuple[str, Job | Callable[[], None] | None]] = queue.SimpleQueue()
        self._jobs: dict[int, Job] = {}
        self._thread = threading.Thread(target=self._run, name="lion-worker", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer what has been submitted, then end."""
        self._inbox.put(("end", None))
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether it answers."""
        return self._thread.is_alive()

    @asynccontextmanager
    async def job(self, request: Request, streams: bool = False) -> AsyncIterator[Job]:
        """A request that is being answered; leaving before the end gives its place to others.

        Raises: HttpError if the worker has ended.
        """
        self._check_alive()
        job = Job(request, streams, asyncio.get_running_loop())
        self._inbox.put(("submit", job))
        try:
            yield job
        finally:
            self._inbox.put(("cancel", job))

    async def call(self, function: Callable[[LionPipeline], T]) -> T:
        """What a function gives that uses the pipeline for a short time, between two steps.

        Raises: HttpError if the worker has ended, or what the function raises.
        """
        self._check_alive()
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(self.pipeline))
                except Exception as error:
                    future.set_exception(error)

        self._inbox.put(("call", run))
        return await asyncio.wrap_future(future)

    def _check_alive(self) -> None:
        if not self.alive:
            raise HttpError(503, "the server is ending; ask another one", "ending", headers={"Retry-After": "1"})

    def _run(self) -> None:
        ending = False
        while not (ending and not self._batch):
            ending |= self._take_in(wait=not ending)
            try:
                results = self._batch.step()
            except Exception as error:  # a bug, or no memory: those in the batch are told, later ones are answered
                LOG.exception("a step of the worker failed")
                with suppress(Exception):
                    self._batch.cancel()
                self._batch = ContinuousBatch(self.pipeline)
                _send([(job, error) for job in self._jobs.values()])
                self._jobs.clear()
                continue
            events: list[tuple[Job, Event]] = []
            for ticket, job in list(self._jobs.items()):
                if ticket in results:
                    events.append((self._jobs.pop(ticket), _event(results[ticket])))
                elif job.streams and (outputs := self._batch.partial(ticket)):
                    events.append((job, outputs))
            _send(events)

    def _take_in(self, wait: bool) -> bool:
        """Submit and cancel what has come, and wait for it while there is nothing else to do; whether to end."""
        ending = False
        with suppress(queue.Empty):
            while True:
                word, job = self._inbox.get(block=wait and not ending and not self._batch)
                if job is None:
                    ending = True
                elif not isinstance(job, Job):
                    job()
                elif word == "submit":
                    self._jobs[self._batch.submit(job.request)] = job
                elif ticket := next((ticket for ticket, known in self._jobs.items() if known is job), None):
                    del self._jobs[ticket]
                    self._batch.cancel(ticket)
        return ending


def _event(result: Result) -> Event:
    """A result, or the error that it stands for."""
    (answer, *_) = result.answers
    return LionError(answer.reason or "the request failed") if answer.failed else result


def _send(events: list[tuple[Job, Event]]) -> None:
    """Hand events to the event loops of those who wait for them, waking each loop once."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Job, Event]]] = {}
    for job, event in events:
        loops.setdefault(job.loop, []).append((job, event))
    for loop, own in loops.items():
        with suppress(RuntimeError):  # it is closed: nobody waits
            loop.call_soon_threadsafe(_put, own)


def _put(events: list[tuple[Job, Event]]) -> None:
    for job, event in events:
        job.events.put_nowait(event)
