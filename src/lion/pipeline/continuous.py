"""Continuous batching: requests are answered together, and join and leave while others are decoded.

This is the one path of all requests. :func:`answer_each` follows it until the last request is answered, :func:`stream`
looks at it between two tokens, and a server never stops.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice

from lion.engine import Output
from lion.errors import LionError
from lion.pipeline.adapters import Parts
from lion.pipeline.answering import Batch, OnError, Submitted
from lion.pipeline.read import Answer, Detokenizer, read
from lion.pipeline.request import Request


@dataclass(frozen=True, slots=True)
class Result:
    """All that a request gave."""

    answers: tuple[Answer, ...]
    """The best first; several if its decoding asks for them."""
    outputs: tuple[Output, ...] = ()
    """The tokens of each answer; none for tags, ranked candidates and failed requests."""
    prompt_tokens: int = 0
    """What the language model read, visual tokens included."""


class ContinuousBatch:
    """Requests in progress; of one thread, though several threads may each have one over the same pipeline.

    Args:
        parts: the pipeline.
        on_error: whether the first error is raised by :meth:`step`, or becomes that request's answer.
    """

    def __init__(self, parts: Parts, on_error: OnError = "row") -> None:
        self.parts, self.on_error = parts, on_error
        self._tickets = count(1)
        self._waiting: dict[int, Request] = {}
        self._decoded: dict[int, Submitted] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting or self._decoded)

    @property
    def has_room(self) -> bool:
        """Whether the next step could admit more than what waits."""
        return not self._waiting and len(self._decoded) <= self.parts.batch_size

    def submit(self, request: Request) -> int:
        """Take a request; :meth:`step` hands its result back under the number returned."""
        ticket = next(self._tickets)
        self._waiting[ticket] = request
        return ticket

    def cancel(self, *tickets: int) -> None:
        """Forget requests, all of them if none is named, and free their places; one that has a result is none."""
        for ticket in tickets or [*self._waiting, *self._decoded]:
            self._waiting.pop(ticket, None)
            if submitted := self._decoded.pop(ticket, None):
                with self.parts.lock:
                    self.parts.decoder.cancel(submitted.ticket)

    def partial(self, ticket: int) -> list[Output]:
        """What is certain of a request's answers so far, as :meth:`Decoder.partial`."""
        submitted = self._decoded.get(ticket)
        with self.parts.lock:
            return self.parts.decoder.partial(submitted.ticket) if submitted else []

    def step(self) -> dict[int, Result]:
        """Admit requests that wait, as long as no more than two batches are decoded, and move all on by a token; the
        results of those that have ended. Raises: LionError as :meth:`LionPipeline.answer`, where errors are raised."""
        results: dict[int, Result] = {}
        if self._waiting and len(self._decoded) <= self.parts.batch_size:
            results |= self._admit()
        if self._decoded:
            with self.parts.lock:
                self.parts.decoder.step()
                for ticket, submitted in list(self._decoded.items()):
                    if result := self._result(submitted):
                        del self._decoded[ticket]
                        results[ticket] = result
        return results

    def _admit(self) -> dict[int, Result]:
        """A batch of those that wait goes up to its decoding; the results of those that need none."""
        groups: dict[str | None, list[int]] = {}
        for ticket in islice(self._waiting, self.parts.batch_size):
            groups.setdefault(self._waiting[ticket].adapters, []).append(ticket)
        results: dict[int, Result] = {}
        for name, tickets in groups.items():
            results |= self._admit_alike(name, tickets)
        return results

    def _admit_alike(self, adapters: str | None, tickets: list[int]) -> dict[int, Result]:
        """Those that take the same adapters."""
        parts, requests = self.parts, [self._waiting.pop(ticket) for ticket in tickets]
        try:
            variant = parts.variant(adapters)
        except LionError as error:
            batch = Batch(requests, self.on_error, parts.name)
            batch.fail(error)
            return {ticket: Result((answer,)) for ticket, answer in zip(tickets, batch.answers, strict=True)}
        batch = Batch(requests, self.on_error, variant.name)
        batch.open(variant.cache.open)
        with parts.lock:  # the model has one device
            try:
                batch.tag(parts.tagger, parts.batch_size)
                positions = parts.model.config.qformer_config.max_position_embeddings
                batch.prepare(parts.processor, positions)
                batch.encode(variant.seeing, parts.processor, parts.batch_size)
                batch.score(parts.decoder, parts.processor, positions)
                submitted = batch.submit(parts.decoder, parts.decoding)
            finally:
                variant.cache.trim(batch.looks)
        by_row = dict(zip(map(id, batch.rows), tickets, strict=True))
        self._decoded |= {by_row[id(one.row)]: one for one in submitted}
        return {by_row[id(row)]: Result((row.answer.with_about(parts.about),)) for row in batch.rows if row.answer}

    def _result(self, submitted: Submitted) -> Result | None:
        """The answers to a request whose decoding has ended."""
        row, look, prompt, preset, ticket = submitted
        with row.attempt():
            outputs = self.parts.decoder.outputs(ticket)
            if outputs is None:
                return None
            tokenizer, about = self.parts.processor.tokenizer, self.parts.about
            answers = (
                read(prompt, look, output, tokenizer, row.model, preset.stop).with_about(about) for output in outputs
            )
            wanted = preset.top_logprobs  # a box's score may have needed more
            tops = ([row[:wanted] for row in output.top] if wanted else [] for output in outputs)
            trimmed = (replace(output, top=top) for output, top in zip(outputs, tops, strict=True))
            return Result(tuple(answers), tuple(trimmed), self._length(submitted))
        assert row.answer is not None
        return Result((row.answer,))

    def _length(self, submitted: Submitted) -> int:
        """Positions that a prompt takes in the language model."""
        config, vision = self.parts.model.config, submitted.look.evidence.vision
        queries = 0 if config.visual_inputs == "aggregator" else config.num_query_tokens
        patches = 0 if config.visual_inputs == "qformer" or vision is None else vision.last_BPV.shape[1]
        return queries + patches + int(submitted.prompt.inputs["attention_mask"].sum())


def answer_each(parts: Parts, requests: Iterable[Request], on_error: OnError) -> Iterator[Answer]:
    """Each request's answer in its turn; see :meth:`LionPipeline.answer_each`."""
    waiting, batch = iter(requests), ContinuousBatch(parts, on_error)
    tickets: deque[int] = deque()
    results: dict[int, Result] = {}
    try:
        while True:
            if batch.has_room and len(tickets) <= 2 * parts.batch_size:
                tickets.extend(map(batch.submit, islice(waiting, parts.batch_size)))
            if not tickets:
                return
            results |= batch.step()
            while tickets and tickets[0] in results:
                yield results.pop(tickets.popleft()).answers[0]
    finally:
        batch.cancel()


def stream(parts: Parts, request: Request) -> Generator[str, None, Answer]:
    """One request's answer in pieces of text; see :meth:`LionPipeline.stream`."""
    stop: tuple[str, ...] = ()
    if request.verb.task and request.candidates is None:
        decoding = replace(request.decoding or parts.decoding[request.verb.task], num_beams=1)
        request, stop = replace(request, decoding=decoding), decoding.stop
    batch = ContinuousBatch(parts, "raise")
    ticket = batch.submit(request)
    detokenizer = Detokenizer(parts.processor.tokenizer, stop)
    try:
        while batch:
            results = batch.step()
            for output in batch.partial(ticket):
                if piece := detokenizer.add(output.ids):
                    yield piece
    finally:
        batch.cancel()
    (answer,) = results[ticket].answers
    if piece := detokenizer.end(answer.text):
        yield piece
    return answer
